"""An instruction set made by rule: short English sentences, and the date and the number in them as JSON.

Sentences for testing follow patterns that no sentence for training has. The same seed gives the same rows.
"""

import json
import random
from collections.abc import Sequence
from datetime import date, timedelta

from maas.bounds import Count, NonNegativeCount
from maas.data.conversations import Messages, conversing
from maas.data.tables import Tables

SYSTEM = 'Extract as JSON: {"date": "YYYY-MM-DD", "number": N}'
LEARNT = (
    "{name} paid {number} euros on {date}.",
    "On {date}, {number} visitors came to the museum.",
    "The train of {date} carried {number} passengers.",
    "{name} walked {number} miles on {date}.",
    "We sold {number} tickets on {date}.",
    "On {date}, {name} ordered {number} chairs.",
    "The invoice of {date} is about {number} dollars.",
    "By {date}, the farm had {number} sheep.",
    "The shop received {number} boxes on {date}.",
    "{name} was born on {date} and owns {number} books.",
    "Since {date}, the club has had {number} members.",
    "Please send {number} copies before {date}, {name}.",
    "The storm of {date} broke {number} windows.",
    "From {date} on, the fee is {number} pounds.",
)
HELD_OUT = (
    "A bill of {number} francs reached {name} on {date}.",
    "The library lent {number} maps until {date}.",
    "{date} was the day when {number} runners started.",
    "{name} planted {number} trees; that was on {date}.",
    "Exactly {number} votes were counted on {date}.",
    "The bridge, opened on {date}, is {number} metres long.",
)
NAMES = ("Anna", "Ben", "Clara", "David", "Emma", "Felix", "Grace", "Hugo", "Iris", "Jonas", "Lena", "Omar")
WORDS = ("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve")
"""Numbers from 2 on, as words."""
FIRST_DAY, DAYS = date(1950, 1, 1), 36_500


def extraction(rows: Count = 600, test_rows: Count = 200, seed: NonNegativeCount = 0) -> Tables:
    """Makes sentences and their answers.

    Args:
        rows: number for training and validation.
        test_rows: number for testing, by patterns of their own.
        seed: random seed.
    """
    chance = random.Random(seed)  # noqa: S311 - rows, and no secrets
    return {
        "train": {"input": [_row(chance, LEARNT) for _ in range(rows)], "label": [None] * rows},
        "test": {"input": [_row(chance, HELD_OUT) for _ in range(test_rows)], "label": [None] * test_rows},
    }


def _row(chance: random.Random, patterns: Sequence[str]) -> Messages | None:
    day, (number, written) = FIRST_DAY + timedelta(days=chance.randrange(DAYS)), _number(chance)
    sentence = chance.choice(patterns).format(name=chance.choice(NAMES), number=written, date=_written(chance, day))
    response = json.dumps({"date": day.isoformat(), "number": number})
    return conversing(SYSTEM)(sentence, response)


def _number(chance: random.Random) -> tuple[float, str]:
    """Returns a number, and how it is written: as a word, with a comma for the thousands, or with decimals."""
    kind = chance.randrange(4)
    if kind == 0:
        place = chance.randrange(len(WORDS))
        return place + 2, WORDS[place]
    if kind == 1:
        number = chance.randrange(1, 10_000) / 10
        return number, f"{number}"
    whole = chance.randrange(13, 1000) if kind == 2 else chance.randrange(1000, 100_000)
    return whole, f"{whole:,}"


def _written(chance: random.Random, day: date) -> str:
    """Returns a date in one of five forms, none of which leaves open what is the month."""
    month = day.strftime("%B")
    return chance.choice(
        (
            f"{month} {day.day}, {day.year}",
            f"{day.day} {month} {day.year}",
            f"{day.day} {month[:3]} {day.year}",
            f"{_ordinal(day.day)} of {month} {day.year}",
            day.isoformat(),
        )
    )


def _ordinal(number: int) -> str:
    """Returns a whole number below 32 as first, second and so on: 1st, 2nd, 3rd, 11th.

    Example:
        >>> [_ordinal(number) for number in (1, 12, 22, 30)]
        ['1st', '12th', '22nd', '30th']
    """
    ending = "th" if number in (11, 12, 13) else {1: "st", 2: "nd", 3: "rd"}.get(number % 10, "th")
    return f"{number}{ending}"
