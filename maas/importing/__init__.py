"""Models made elsewhere, which enter the line at export. One kind of source, one file."""
