"""What `maas generate` does with prompts: one whose text is shown as it comes, a talk, a file of many.

It needs the runtime alone, as a bundle that generates does.
"""
