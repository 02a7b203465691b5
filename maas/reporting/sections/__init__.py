"""The sections of a page, as values for its templates: one file for sections that belong together."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Section:
    """A part of a page under a heading.

    Args:
        name: its anchor; `section_NAME` is the key of its heading.
        template: name of the template in `templates/` that shows the content.
        content: what the template shows.
    """

    name: str
    template: str
    content: object
