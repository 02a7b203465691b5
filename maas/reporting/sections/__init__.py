"""The sections of a page, as values for its templates: one file for sections that belong together."""
