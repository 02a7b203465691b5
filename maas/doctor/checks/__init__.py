"""The checks. One mistake, one file with `check(recipe)`, which yields findings; they are listed from disk."""
