"""The checks. One mistake, one file with `check(patient)`, which yields findings; listed from disk, so none is left out."""
