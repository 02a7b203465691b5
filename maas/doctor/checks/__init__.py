"""The checks. One mistake, one file with `check(patient)`, which yields findings; they are listed from disk."""
