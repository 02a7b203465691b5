"""Texts are checked once, and hostile ones cost no more than long ones."""

import pytest

from maas.errors import InputError
from maas.runtime.texts import CHARACTERS_A_TOKEN, bounded, checked_text


@pytest.mark.parametrize(("keep", "expected"), [("start", "abcd"), ("end", "cdef"), ("ends", "abef")])
def test_text_is_cut_at_the_wanted_side_when_it_is_long(keep, expected):
    assert bounded("abcdef", 4, keep) == expected
    assert bounded("abcd", 4, keep) == "abcd"
    assert bounded("", 4, keep) == ""


def test_odd_limit_gives_the_start_one_more_when_both_ends_are_kept():
    assert bounded("abcdefgh", 5, "ends") == "abcgh"


def test_limit_grows_with_the_tokens_when_a_text_is_checked():
    assert len(checked_text("a" * 1000, 0, 3)) == 3 * CHARACTERS_A_TOKEN


def test_text_is_refused_when_what_is_looked_at_is_blank():
    with pytest.raises(InputError) as caught:
        checked_text(" " * 1000 + "a", 4, 2)
    assert str(caught.value) == "Row 4 is an empty text; the model needs at least one character."
