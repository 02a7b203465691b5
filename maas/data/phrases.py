"""Short sentences about dates, times and amounts, in Chinese and English, made by rules.

A pattern is a sentence with the kinds of what fills it. Those that are for testing have no row in training, though each
of their sentences and each kind stands there in others: a model of these rows is proven on what it has to put together.
"""

import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from random import Random
from typing import Literal, TypeAlias

from maas.bounds import Count, PositiveFraction
from maas.data.number_words import chinese_number, english_number
from maas.data.tables import Tables

Both: TypeAlias = tuple[str, str]
"""A text in Chinese and in English."""
Filler: TypeAlias = Callable[[Random], Both]
Direction = Literal["zh-en", "en-zh"]

WEEKDAYS = tuple(
    zip("一二三四五六日", ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"], strict=True)
)
MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
THINGS = (
    ("本书", "book", "books"),
    ("张票", "ticket", "tickets"),
    ("杯茶", "cup of tea", "cups of tea"),
    ("个苹果", "apple", "apples"),
    ("把椅子", "chair", "chairs"),
    ("辆车", "car", "cars"),
    ("只猫", "cat", "cats"),
    ("支笔", "pen", "pens"),
)
"""Classifier and noun, and the noun in English, one and several."""
UNITS = (("公里", "kilometre", "kilometres"), ("公斤", "kilogram", "kilograms"), ("小时", "hour", "hours"))


def calendar_day(draw: Random) -> Both:
    """A day of a year."""
    year, month, day = draw.randint(1950, 2049), draw.randint(1, 12), draw.randint(1, 28)
    return f"{year}年{month}月{day}日", f"on {day} {MONTHS[month - 1]} {year}"


def day_of_week(draw: Random) -> Both:
    """A day of the week."""
    chinese, english = draw.choice(WEEKDAYS)
    return f"星期{chinese}", f"on {english}"


def day_of_next_week(draw: Random) -> Both:
    """A day of the next week."""
    chinese, english = draw.choice(WEEKDAYS)
    return f"下星期{chinese}", f"next {english}"


def time_of_day(draw: Random) -> Both:
    """A time of the day, to five minutes."""
    hour, minute, (period, half) = draw.randint(1, 11), 5 * draw.randint(0, 11), draw.choice(PERIODS)
    minutes = f"{'零' if minute == 5 else ''}{chinese_number(minute)}分" if minute else ""
    return f"{period}{_counted(hour)}点{minutes}", f"at {hour}:{minute:02} {half}"


def day_and_time(draw: Random) -> Both:
    """A time on a day of the week."""
    (day, on), (hour, at) = day_of_week(draw), time_of_day(draw)
    return day + hour, f"{at} {on}"


def plain_number(draw: Random) -> Both:
    """A number below 10,000; each number of digits is as likely."""
    value = _spread(draw, 4)
    return chinese_number(value), english_number(value)


def counted_things(draw: Random) -> Both:
    """Some things, below 100 of them."""
    return _measured(draw, THINGS, 2)


def measured_amount(draw: Random) -> Both:
    """A length, a weight or a duration."""
    return _measured(draw, UNITS, 3)


def sum_of_money(draw: Random) -> Both:
    """A sum of money."""
    return _measured(draw, (("元", "yuan", "yuan"),), 4)


def percentage(draw: Random) -> Both:
    """A percentage."""
    value = draw.randint(1, 99)
    return f"百分之{chinese_number(value)}", f"{english_number(value)} per cent"


PERIODS = (("上午", "in the morning"), ("下午", "in the afternoon"))
WHEN: Mapping[str, Filler] = {
    one.__name__: one for one in (calendar_day, day_of_week, day_of_next_week, time_of_day, day_and_time)
}
AMOUNTS: Mapping[str, Filler] = {
    one.__name__: one for one in (plain_number, counted_things, measured_amount, sum_of_money, percentage)
}
FILLERS: Mapping[str, Filler] = {**WHEN, **AMOUNTS}
MOMENTS, STATEMENTS = (
    tuple(tuple(line.split("\t")) for line in part.splitlines())
    for part in Path(__file__).with_name("phrases.txt").read_text(encoding="utf-8").split("\n\n")
)
"""Sentences of a time, and sentences of an amount, to which a time may be added; in Chinese and in English."""


@dataclass(frozen=True)
class Pattern:
    """A sentence and the kinds of what fills it.

    Args:
        chinese: sentence with a place, `{0}` or `{1}`, for each of the kinds.
        english: the same in English.
        kinds: names of the fillers.
    """

    chinese: str
    english: str
    kinds: tuple[str, ...]

    def drawn(self, draw: Random) -> Both:
        """Returns a sentence in both languages."""
        fillers = [FILLERS[kind](draw) for kind in self.kinds]
        chinese, english = zip(*fillers, strict=True)
        return self.chinese.format(*chinese), self.english.format(*english)

    def is_held_out(self, fraction: float) -> bool:
        """Whether it is for testing, by its digest: always the same, whatever other patterns there are."""
        digest = hashlib.sha256(f"{self.english}/{'/'.join(self.kinds)}".encode()).digest()
        return int.from_bytes(digest[:8], "big") / 2**64 < fraction


def patterns() -> Iterator[Pattern]:
    """Yields all patterns."""
    for (chinese, english), kind in product(MOMENTS, WHEN):
        yield Pattern(chinese.format("{0}"), english.format("{0}"), (kind,))
    for (chinese, english), kind in product(STATEMENTS, AMOUNTS):
        amount_zh, amount_en = chinese.format("{0}"), english.format("{0}")
        yield Pattern(f"{amount_zh}。", f"{amount_en}.", (kind,))
        for moment in WHEN:
            yield Pattern(f"{{1}}{amount_zh}。", f"{amount_en} {{1}}.", (kind, moment))


def phrases(
    rows: Count = 12_000,
    test_rows: Count = 1000,
    directions: Sequence[Direction] = ("zh-en", "en-zh"),
    test_fraction: PositiveFraction = 0.15,
    seed: int = 0,
) -> Tables:
    """Makes sentences by rules; the direction of each is drawn.

    Args:
        rows: number of sentences to learn from, repeats among them.
        test_rows: number of sentences for testing, of patterns that no row to learn from has.
        directions: from which language to which.
        test_fraction: about this fraction of the patterns is for testing.
        seed: random seed.
    """
    found: dict[bool, list[Pattern]] = {True: [], False: []}
    for pattern in patterns():
        found[pattern.is_held_out(test_fraction)].append(pattern)
    return {
        "train": _table(found[False], rows, directions, Random(f"{seed}/train")),  # noqa: S311 - no secret
        "test": _table(found[True], test_rows, directions, Random(f"{seed}/test")),  # noqa: S311
    }


def _table(chosen: Sequence[Pattern], rows: int, directions: Sequence[Direction], draw: Random) -> dict[str, list[str]]:
    table: dict[str, list[str]] = {"input": [], "label": []}
    for _ in range(rows):
        chinese, english = draw.choice(chosen).drawn(draw)
        is_from_chinese = draw.choice(directions) == "zh-en"
        table["input"].append(chinese if is_from_chinese else english)
        table["label"].append(english if is_from_chinese else chinese)
    return table


def _measured(draw: Random, units: Sequence[tuple[str, str, str]], digits: int) -> Both:
    value, (chinese, one, several) = max(1, _spread(draw, digits)), draw.choice(units)
    return f"{_counted(value)}{chinese}", f"{english_number(value)} {one if value == 1 else several}"


def _counted(value: int) -> str:
    """Returns a number before a classifier: two is 两 there."""
    return "两" if value == 2 else chinese_number(value)


def _spread(draw: Random, digits: int) -> int:
    """Returns a number of at most so many digits; each number of digits is as likely."""
    return draw.randrange(10 ** draw.randint(1, digits))
