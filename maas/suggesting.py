"""What somebody may have meant who typed a name that is not known: one sentence, wherever names are looked up."""

import difflib
from collections.abc import Iterable

CUTOFF = 0.6
"""Likeness, from 0 to 1, from which on a name may have been meant."""
LISTED = 40
"""Names that are listed where none is near; more of them help nobody."""


def nearest_name(word: str, known: Iterable[object], cutoff: float = CUTOFF) -> str | None:
    """Returns the known name nearest to a word; None where none is near.

    Args:
        word: as it was typed, of which the first hundred characters are looked at.
        known: names that could have been meant.
        cutoff: likeness, from 0 to 1, from which on a name is near.

    Example:
        >>> nearest_name("optimiser", ["model", "optimizer"])
        'optimizer'
    """
    names = {str(name).lower(): str(name) for name in known}
    near = difflib.get_close_matches(word[:100].lower(), names, n=1, cutoff=cutoff)
    return names[near[0]] if near else None


def hint_of(word: str, known: Iterable[object]) -> str:
    """Returns a sentence that names what was meant, or nothing where no name is near; it begins with a space."""
    near = nearest_name(word, known)
    return "" if near is None else f" Did you mean {near}?"


def nearest_of(word: str, known: Iterable[object]) -> str:
    """Returns a sentence that names what was meant, or else all that there is; it begins with a space.

    Args:
        word: as it was typed.
        known: names that could have been meant.

    Example:
        >>> nearest_of("fp8", ["accuracy", "recall"])
        ' Known are: accuracy, recall.'
    """
    names = list(map(str, known))
    if hint := hint_of(word, names):
        return hint
    if not names:
        return " There is none."
    more = f" and {len(names) - LISTED} more" if len(names) > LISTED else ""
    return f" Known are: {', '.join(names[:LISTED])}{more}."
