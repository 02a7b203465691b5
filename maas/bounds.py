"""Ranges that signatures of parts, settings and records declare, so that a wrong number is refused before any work.

A part annotates its parameters with these; `maas.config.check` reads them. Nothing here validates by itself; what an
annotation takes is put into words for those that do.
"""

import types
import typing
from collections.abc import Mapping, Sequence
from typing import Annotated

from msgspec import Meta

Fraction = Annotated[float, Meta(ge=0, lt=1, description="a fraction in [0, 1)", examples=[0.5])]
PositiveFraction = Annotated[float, Meta(gt=0, lt=1, description="a fraction in (0, 1)", examples=[0.1])]
ClosedFraction = Annotated[float, Meta(ge=0, le=1, description="a fraction in [0, 1]", examples=[0.99])]
PositiveClosedFraction = Annotated[float, Meta(gt=0, le=1, description="a fraction in (0, 1]", examples=[0.99])]
Positive = Annotated[float, Meta(gt=0, description="a number above 0", examples=[1.0])]
NonNegative = Annotated[float, Meta(ge=0, description="a number not below 0", examples=[0.0])]
Count = Annotated[int, Meta(ge=1, description="a whole number, 1 or more", examples=[1])]
NonNegativeCount = Annotated[int, Meta(ge=0, description="a whole number, 0 or more", examples=[0])]
Threads = Annotated[int, Meta(ge=1, le=256, description="a number of threads from 1 to 256", examples=[1])]
"""More of them than any machine makes use of only take its memory, and minutes to start."""
Workers = Annotated[int, Meta(ge=1, le=256, description="a number of processes from 1 to 256", examples=[2])]
BatchSize = Annotated[int, Meta(ge=1, le=2**20, description="a number of rows from 1 to 1048576", examples=[32])]
Tokens = Annotated[int, Meta(ge=1, le=2**17, description="a number of tokens from 1 to 131072", examples=[256])]
BeamCount = Annotated[int, Meta(ge=1, le=64, description="a number of beams from 1 to 64", examples=[4])]
PadMultiple = Annotated[int, Meta(ge=1, le=2**10, description="a number of tokens from 1 to 1024", examples=[16])]
Opset = Annotated[int, Meta(ge=18, le=23, description="an ONNX opset from 18 to 23", examples=[20])]
Port = Annotated[int, Meta(ge=0, le=65535, description="a port in 0 to 65535; 0 picks a free one")]
ExistingPath = Annotated[str, Meta(description="a file or folder that exists", extra={"must_exist": True})]

PLAIN_NAMES: Mapping[object, tuple[str, object]] = {
    int: ("a whole number", 1),
    float: ("a number", 0.1),
    bool: ("true or false", "true"),
    str: ("a text", "…"),
    type(None): ("null", "null"),
}
"""Plain types in words, each with an example."""


def words_of_hint(hint: object) -> dict[str, object]:
    """Returns what an annotation takes, in words, each with an example; nothing where no words are known for it.

    Args:
        hint: a type, maybe with a bound, a literal, or a union of these.

    Example:
        >>> words_of_hint(Count | None)
        {'a whole number, 1 or more': 1, 'null': 'null'}
    """
    origin, members = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Literal:
        return {f"one of {', '.join(map(str, members))}": members[0]}
    if origin is Annotated:
        metas = [member for member in members if isinstance(member, Meta) and member.description]
        return {str(meta.description): next(iter(meta.examples or ()), "…") for meta in metas}
    if origin in (typing.Union, types.UnionType):
        return {words: example for member in members for words, example in words_of_hint(member).items()}
    if origin in (list, tuple, Sequence):
        return {"a list": "[…]"}
    return dict([PLAIN_NAMES[hint]]) if hint in PLAIN_NAMES else {}


def required_by(hint: object) -> str:
    """Returns what a setting must be, as the end of a clause; nothing where no words are known for its annotation."""
    words = [one for one in words_of_hint(hint) if one != "null"]
    return f"it must be {', or '.join(words)}" if words else ""
