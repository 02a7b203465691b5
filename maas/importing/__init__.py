"""Imported models, which enter the line at export. One kind of source, one file."""
