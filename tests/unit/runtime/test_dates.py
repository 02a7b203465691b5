# ruff: noqa: DTZ001 - a day has no zone
"""Dates as people write them, and their numbers."""

from datetime import UTC, date, datetime, timedelta, timezone

import numpy as np
import pandas as pd
import pytest

from maas.errors import InputError
from maas.runtime.dates import DATE_PARTS, date_numbers, moment_of


@pytest.mark.parametrize(
    ("text", "order", "expected"),
    [
        ("2026-03-05", "ymd", datetime(2026, 3, 5)),
        (" 2026-03-05T14:30:15.25Z", "ymd", datetime(2026, 3, 5, 14, 30, 15, 250000, UTC)),
        ("9999-12-31T23:59:59.9999999", "ymd", datetime(9999, 12, 31, 23, 59, 59, 999999)),
        ("2026-03-05 14:30:15,000001", "ymd", datetime(2026, 3, 5, 14, 30, 15, 1)),
        ("2026/3/5 9:05", "dmy", datetime(2026, 3, 5, 9, 5)),
        ("2026年3月5日", "mdy", datetime(2026, 3, 5)),
        ("05.03.2026", "dmy", datetime(2026, 3, 5)),
        ("03/05/2026 23:59:59", "mdy", datetime(2026, 3, 5, 23, 59, 59)),
        ("5.3.69", "dmy", datetime(1969, 3, 5)),
        ("5.3.68", "dmy", datetime(2068, 3, 5)),
        ("2026-03-05 14:30 +05:30", "ymd", datetime(2026, 3, 5, 14, 30, tzinfo=timezone(timedelta(hours=5.5)))),
    ],
)
def test_moment_is_found_when_a_date_is_written_in_a_usual_way(text, order, expected):
    assert moment_of(text, order) == expected


@pytest.mark.parametrize(
    "text", ["2026-02-30", "31/12/2026", "2026-03", "12:30", "1.5", "2026-03-05 25:00", "٢٠٢٦-٠٣-٠٥"]
)
def test_nothing_is_found_when_a_text_is_no_date(text):
    assert moment_of(text, "mdy") is None


def test_numbers_are_those_of_pandas_when_moments_are_drawn():
    drawn = np.random.default_rng(0).integers(-(10**9), 3 * 10**9, 200)
    moments = pd.to_datetime(drawn, unit="s", utc=True)
    texts = [moment.strftime("%Y-%m-%d %H:%M:%S") for moment in moments]
    found = dict(zip(DATE_PARTS, date_numbers(texts, "sold").T, strict=True))
    for part, name in (("year", "year"), ("month", "month"), ("day", "day"), ("weekday", "day_of_week")):
        assert found[part].tolist() == list(getattr(moments, name))
    np.testing.assert_allclose(found["hour"], moments.hour + moments.minute / 60 + moments.second / 3600, rtol=1e-15)
    np.testing.assert_allclose(found["elapsed"], drawn / 86400, rtol=1e-15)


def test_hour_is_the_one_that_was_seen_when_a_zone_is_given():
    (east,), (plain,) = date_numbers(["2026-03-05T14:00:00+02:00"], "t"), date_numbers(["2026-03-05 12:00"], "t")
    assert (east[4], plain[4]) == (14.0, 12.0)
    assert east[5] == plain[5]


def test_values_of_any_kind_are_read_when_a_frame_holds_them():
    values = [date(2026, 3, 5), datetime(2026, 3, 5), pd.Timestamp("2026-03-05"), "2026-03-05"]
    assert len({tuple(row) for row in date_numbers(values, "t").tolist()}) == 1


@pytest.mark.parametrize("value", [None, "", " ", float("nan"), pd.NaT])
def test_date_is_missing_when_nothing_is_there(value):
    assert np.isnan(date_numbers([value], "t")).all()


@pytest.mark.parametrize("value", ["yesterday", 20260305, True])
def test_row_is_named_when_a_value_is_no_date(value):
    with pytest.raises(InputError, match=r"Row 1 has .* in the column sold, which takes dates. Send a date such as"):
        date_numbers([None, value], "sold")
