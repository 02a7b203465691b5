"""What one column holds, by all of its values."""

import re
import unicodedata
from collections import Counter
from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any

from maas.data.cells import UNCODED_PATTERN, DecimalMark, is_number, with_decimal
from maas.inspecting.description import ColumnDescription
from maas.runtime.dates import DATE_PATTERN, DateOrder, moment_of

EXAMPLES = 3
MOST_EXAMPLE_CHARACTERS = 40
FEWEST_COMPARED = 20
"""Of a column: among fewer, different values mean nothing."""
LONG_TEXT = 40
"""Characters of a text, in the mean, that is no name of a category."""
WORDS_OF_TEXT, HAN_OF_TEXT = 3.0, 6.0
"""Words, or Chinese characters, in the mean, from which many different texts are sentences rather than codes."""
MANY_VALUES = 0.5
"""Fraction of different values among rows, from which they are no categories."""
FEW_CATEGORIES = 50
"""Different values that are categories however long they are."""
SAMPLED_LETTERS = 20_000
YEARS = (1500, 2200)
"""Numbers that may be years: one a row, they say when a row is of, and do not count it."""

_date = re.compile(DATE_PATTERN).fullmatch
_year = re.compile(r"[0-9]{4}").search
_code = re.compile(r"0[0-9]+").fullmatch
_id_name = re.compile(r"(?i:(?:.*[_\s.-])?(?:id|uuid|guid|index|key|no|nr|编号|序号|学号|工号|单号))|.*[a-z]I[dD]")
_index_name = re.compile(r"(?:Unnamed: [0-9.]+|\.\.\.[0-9]+)?")
"""Of an index that pandas or R wrote beside the rows: none, or what it is called once it was read again."""
SCRIPTS = {"CJK": "Han", "HIRAGANA": "Japanese", "KATAKANA": "Japanese", "HANGUL": "Hangul", "CYRILLIC": "Cyrillic"}
SCRIPTS |= {"ARABIC": "Arabic", "DEVANAGARI": "Devanagari", "GREEK": "Greek", "HEBREW": "Hebrew", "THAI": "Thai"}
"""How the names of characters begin in Unicode, and the writing that they belong to; others count as Latin."""


def described_column(name: str, values: Sequence[Any]) -> ColumnDescription:
    """Returns what a column holds.

    Args:
        name: its name.
        values: numbers, texts and truth values; None for what is missing.
    """
    counts = Counter(value for value in values if value is not None)
    present = counts.total()
    common: dict[str, Any] = {
        "name": name,
        "present": present,
        "missing": len(values) - present,
        "distinct": len(counts),
        "examples": _examples(counts),
    }
    if not counts:
        return ColumnDescription(kind="empty", **common)
    types = set(map(type, counts))
    if types <= {int, float}:
        return _numbers(counts, common)
    texts = Counter({str(value): count for value, count in counts.items()}) if types != {str} else counts
    if len(counts) == 1:
        return ColumnDescription(kind="constant", reason=f"every row holds {common['examples'][0]}", **common)
    if types == {bool}:
        return ColumnDescription(kind="category", **common)
    return _texts(texts, common)


def _numbers(counts: Mapping[float, int], common: dict[str, Any]) -> ColumnDescription:
    whole = all(float(value).is_integer() for value in counts)
    found: dict[str, Any] = {"low": float(min(counts)), "high": float(max(counts)), "is_whole": whole}
    if len(counts) == 1:
        return ColumnDescription(kind="constant", reason=f"every row holds {common['examples'][0]}", **found, **common)
    if whole and _index_name.fullmatch(common["name"]):
        reason = "whole numbers without a name are an index; give the column a name to learn from it"
        return ColumnDescription(kind="id", reason=reason, **found, **common)
    if whole and len(counts) == common["present"] >= FEWEST_COMPARED:
        are_years = YEARS[0] <= found["low"] and found["high"] <= YEARS[1]
        if found["high"] - found["low"] == len(counts) - 1 and not are_years:
            return ColumnDescription(kind="id", reason="it counts the rows", **found, **common)
        if _id_name.fullmatch(common["name"]):
            reason = "each row has another, and its name is that of an id"
            return ColumnDescription(kind="id", reason=reason, **found, **common)
    return ColumnDescription(kind="number", **found, **common)


def _texts(counts: Mapping[str, int], common: dict[str, Any]) -> ColumnDescription:
    order = date_order_of(counts)
    if order is not None:
        return ColumnDescription(kind="date", date_order=order, reason=_date_reason(order, counts), **common)
    present, distinct = common["present"], len(counts)
    characters = sum(len(text) * count for text, count in counts.items()) / present
    common |= {"characters": characters, "script": script_of(counts)}
    fraction = distinct / present
    is_many = fraction > MANY_VALUES and distinct >= FEWEST_COMPARED
    if any(map(_code, counts)) and all(map(is_number, counts)):
        if is_many:
            return ColumnDescription(
                kind="id", reason="zeros before numbers make codes, nearly all different", **common
            )
        return ColumnDescription(kind="category", reason="zeros before numbers make codes", **common)
    words = sum(_words(text) * count for text, count in counts.items()) / present
    is_sentence = words >= WORDS_OF_TEXT or characters >= LONG_TEXT
    if is_sentence and (is_many or distinct > max(FEW_CATEGORIES, 0.05 * present)):
        return ColumnDescription(kind="text", **common)
    if is_many:
        return ColumnDescription(kind="id", reason="nearly each row has another code or name", **common)
    return ColumnDescription(kind="category", **common)


def date_order_of(texts: Mapping[str, int] | Sequence[str]) -> DateOrder | None:
    """Returns the order of year, month and day that makes dates of all texts; None where they are no dates.

    Where both the day and the month may come first, it is the day after points, and the month after other signs.
    """
    if not all(_date(text) and _year(text) for text in texts):
        return None
    sample = next(iter(texts))
    orders: tuple[DateOrder, ...] = ("dmy", "mdy") if "." in sample.partition(" ")[0] else ("mdy", "dmy")
    if all(re.match(r"\s*[0-9]{4}", text) for text in texts):
        orders = ("ymd",)
    return next((order for order in orders if all(moment_of(text, order) for text in texts)), None)


def number_reading(
    texts: Mapping[str, int] | Sequence[str], words: Sequence[str], decimal: DecimalMark = "."
) -> tuple[str, ...] | None:
    """Returns which words stand for nothing, where all other texts of a column are numbers; None where they are not.

    Args:
        texts: different texts of a column.
        words: words that may stand for nothing.
        decimal: what comes before the fraction of a number.
    """
    is_number_here = re.compile(with_decimal(UNCODED_PATTERN, decimal)).fullmatch
    others = [text for text in texts if not is_number_here(text)]
    found = tuple(word for word in words if word in others)
    return found if found and len(found) == len(others) < len(texts) else None


def script_of(texts: Mapping[str, int] | Sequence[str]) -> str:
    """Returns the writing of most letters, e.g. `Han`; `mixed` where none has three quarters of them."""
    letters = Counter[str]()
    for letter in islice((letter for text in texts for letter in text if letter.isalpha()), SAMPLED_LETTERS):
        letters[SCRIPTS.get(unicodedata.name(letter, "?").split(maxsplit=1)[0].split("-")[0], "Latin")] += 1
    if not letters:
        return ""
    if letters["Japanese"] > 0.1 * letters.total():
        return "Japanese"
    most, count = letters.most_common(1)[0]
    return most if count >= 0.75 * letters.total() else "mixed"


def _words(text: str) -> float:
    """Returns the words of a text; of writings without blanks, two characters are about one."""
    blanks = text.count(" ") + 1
    wide = sum(letter > "\u2e80" for letter in text)
    return max(blanks, wide * WORDS_OF_TEXT / HAN_OF_TEXT)


def _date_reason(order: DateOrder, texts: Mapping[str, int]) -> str:
    other: DateOrder = "dmy" if order == "mdy" else "mdy"
    if order == "ymd" or not all(moment_of(text, other) for text in texts):
        return ""
    first = "month" if order == "mdy" else "day"
    return f"read with the {first} first; processor.date_order={other} reads it the other way"


def _examples(counts: Mapping[Any, int]) -> tuple[str, ...]:
    shown = (" ".join(str(value).split()) for value in islice(counts, EXAMPLES))
    return tuple(
        text if len(text) <= MOST_EXAMPLE_CHARACTERS else f"{text[: MOST_EXAMPLE_CHARACTERS - 1]}…" for text in shown
    )
