"""The checks: each is a function `check_NAME(recipe)` that yields findings; they are listed from this folder."""
