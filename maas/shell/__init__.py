"""What a person finds in the shell: the verbs, lists of recipes, parts, runs and models, one of them shown, completion.

Nothing here changes anything.
"""
