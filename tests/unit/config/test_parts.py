"""Parts: importable callables and their arguments."""

from fractions import Fraction

import pytest

from maas.config import Part, target_of
from maas.config.part import is_part
from maas.errors import ConfigError, DataError


def refuse() -> None:
    raise DataError("no rows")


def test_part_is_called_when_it_is_built():
    assert Part.of({"_target_": "fractions.Fraction", "numerator": 1, "denominator": 2}, "x").build() == Fraction(1, 2)


def test_nested_parts_are_built_first_when_a_part_holds_parts():
    node = {"_target_": "builtins.dict", "a": {"_target_": "fractions.Fraction", "numerator": 3}, "b": [1, 2]}
    part = Part.of(node, "x")
    assert part.build() == {"a": Fraction(3), "b": [1, 2]}
    assert type(part.build()["b"]) is list


def test_arguments_in_code_come_first_when_they_are_given():
    assert Part.of({"_target_": "fractions.Fraction"}, "x").build(3, denominator=4) == Fraction(3, 4)


def test_refusal_names_place_part_and_cause_when_the_part_raises_a_value_error():
    with pytest.raises(ConfigError) as caught:
        Part.of({"_target_": "fractions.Fraction", "numerator": "abc"}, "data.ratio").build()
    refused = "data.ratio was refused by fractions.Fraction: Invalid literal for Fraction: 'abc'"
    assert str(caught.value) == f"{refused}. It was given data.ratio.numerator=abc."


def test_own_error_comes_through_when_the_part_raises_one(monkeypatch):
    monkeypatch.setattr("fractions.Fraction", refuse)
    with pytest.raises(DataError, match="^no rows$"):
        Part.of({"_target_": "fractions.Fraction"}, "x").build()


@pytest.mark.parametrize("name", ["absent_module.Thing", "fractions.Absent", "no dots here", "", "fractions.Fraction."])
def test_target_is_refused_when_it_cannot_be_imported(name):
    with pytest.raises(ConfigError, match=r"cannot be imported: .*\. Name an importable class or function\.$"):
        target_of(name)


@pytest.mark.parametrize(
    ("node", "expected"), [({"_target_": "a.b"}, True), ({"a": 1}, False), (None, False), ("_target_", False)]
)
def test_part_is_told_by_its_target_when_a_node_is_looked_at(node, expected):
    assert is_part(node) is expected
