"""Texts: typing errors, in any script."""

import unicodedata
from collections.abc import Mapping, Sequence

import numpy as np

from maas.evidence.robustness.base import Perturbation
from maas.runtime.codec import Codec

JOINER = "\u200d"  # makes one sign of the emoji on either side
Alphabets = Mapping[str, Sequence[str]]


def perturbations(_: Codec) -> tuple[Perturbation, ...]:
    """Returns typing errors."""
    return (Perturbation("typos", "share of signs", (0.0, 0.02, 0.05, 0.1, 0.2), mistyped),)


def mistyped(rows: Sequence[str], rate: float, random: np.random.Generator) -> list[str]:
    """Returns texts in which each sign that is not blank was mistyped with a probability.

    One of four things happens to it, each as likely: it is swapped with the one before it, dropped, doubled, or
    replaced by another one of its script and case that occurs in `rows`. Marks and joiners stay with the sign that they
    belong to. A text of which nothing would be left stays as it is.

    Args:
        rows: texts.
        rate: of errors, in [0, 1].
        random: random generator.
    """
    signs = [_signs(row) for row in rows]
    alphabets = _alphabets({sign for row in signs for sign in row})
    typed = [_typed(row, rate, random, alphabets) for row in signs]
    return [new if new.strip() else old for new, old in zip(typed, rows, strict=True)]


def _typed(signs: Sequence[str], rate: float, random: np.random.Generator, alphabets: Alphabets) -> str:
    is_hit = random.random(len(signs)) < rate
    how, which = random.integers(4, size=len(signs)), random.random(len(signs))
    typed: list[str] = []
    for sign, hit, error, choice in zip(signs, is_hit.tolist(), how.tolist(), which.tolist(), strict=True):
        if not hit or sign.isspace():
            typed.append(sign)
        elif error == 0 and typed:
            typed.insert(-1, sign)
        elif error == 1:
            continue
        elif error == 2:
            typed.append(_other(sign, choice, alphabets))
        else:
            typed += [sign, sign]
    return "".join(typed)


def _other(sign: str, choice: float, alphabets: Alphabets) -> str:
    others = [one for one in alphabets[_script(sign)] if one != sign] or [sign]
    return others[int(choice * len(others))]


def _alphabets(signs: set[str]) -> Alphabets:
    alphabets: dict[str, list[str]] = {}
    for sign in sorted(signs):
        alphabets.setdefault(_script(sign), []).append(sign)
    return alphabets


def _script(sign: str) -> str:
    """Returns the first word of a sign's name, such as LATIN, CJK or DIGIT, and whether it is a capital."""
    return f"{unicodedata.name(sign[0], '').partition(' ')[0]} {sign.isupper()}"


def _signs(text: str) -> list[str]:
    """Returns what readers take for single signs: letters with their marks, emoji with what they are joined to."""
    signs: list[str] = []
    for sign in text:
        is_tied = unicodedata.category(sign).startswith("M") or sign == JOINER or (signs and signs[-1].endswith(JOINER))
        if is_tied and signs:
            signs[-1] += sign
        else:
            signs.append(sign)
    return signs
