"""Moments: what people write, in their own zone, on the days when clocks change, and far out of range."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime

import pytest

from imagebus import moment

Zone = Callable[[str], None]


@pytest.fixture
def zone(monkeypatch: pytest.MonkeyPatch) -> Iterator[Zone]:
    """Set the local time zone for one test."""

    def local(name: str) -> None:
        monkeypatch.setenv("TZ", name)
        time.tzset()

    yield local
    monkeypatch.undo()
    time.tzset()


def utc_ms(text: str) -> int:
    return round(datetime.strptime(text, "%Y-%m-%d %H:%M:%S").replace(tzinfo=UTC).timestamp() * 1000)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-11-21T14:00:00Z", "2026-11-21 14:00:00"),
        ("2026-11-21T14:00:00+01:00", "2026-11-21 13:00:00"),
        ("2026-11-21T14:00-0330", "2026-11-21 17:30:00"),
        ("2026-11-21 14:00:00+00:00", "2026-11-21 14:00:00"),
        ("20261121T140000Z", "2026-11-21 14:00:00"),
    ],
)
@pytest.mark.parametrize("here", ["UTC", "Europe/Berlin", "Pacific/Auckland"])
def test_a_time_with_a_zone_is_the_same_everywhere(zone: Zone, here: str, text: str, utc: str) -> None:
    zone(here)
    assert moment.parse(text) == utc_ms(utc)


@pytest.mark.parametrize(
    ("here", "text", "utc"),
    [
        ("Europe/Berlin", "2026-11-21T14:00", "2026-11-21 13:00:00"),
        ("Europe/Berlin", "2026-07-21T14:00:30", "2026-07-21 12:00:30"),
        ("Pacific/Auckland", "2026-11-21T14:00", "2026-11-21 01:00:00"),
        ("Europe/Berlin", "2026-11-21", "2026-11-20 23:00:00"),
        ("Europe/Berlin", "20261121", "2026-11-20 23:00:00"),
    ],
)
def test_a_time_without_a_zone_is_local_and_a_date_is_its_first_moment(
    zone: Zone, here: str, text: str, utc: str
) -> None:
    zone(here)
    assert moment.parse(text) == utc_ms(utc)


def test_milliseconds_count() -> None:
    assert moment.parse("2026-01-01T00:00:00.123Z") == 1_767_225_600_123
    assert moment.parse("2026-01-01T00:00:00.123999Z") == 1_767_225_600_123


@pytest.mark.parametrize("text", ["2026-10-25T02:00", "2026-10-25T02:30", "2026-10-25 02:59:59.999"])
def test_an_hour_that_happens_twice_is_refused_with_both_its_meanings(zone: Zone, text: str) -> None:
    zone("Europe/Berlin")
    with pytest.raises(ValueError, match=r"happens twice.*\+02:00 or 2026-10-25T02:\S+\+01:00"):
        moment.parse(text)


@pytest.mark.parametrize("text", ["2026-03-29T02:00", "2026-03-29T02:30", "2026-03-29 02:59:59.999"])
def test_an_hour_that_never_happens_is_refused_with_what_may_be_meant(zone: Zone, text: str) -> None:
    zone("Europe/Berlin")
    with pytest.raises(ValueError, match=r"never.*say 2026-03-29T01:\S+\+01:00 or 2026-03-29T03:\S+\+02:00"):
        moment.parse(text)


@pytest.mark.parametrize(
    ("text", "utc"),
    [
        ("2026-10-25T01:59:59", "2026-10-24 23:59:59"),
        ("2026-10-25T03:00", "2026-10-25 02:00:00"),
        ("2026-10-25T02:30+02:00", "2026-10-25 00:30:00"),
        ("2026-10-25T02:30+01:00", "2026-10-25 01:30:00"),
        ("2026-03-29T01:59:59", "2026-03-29 00:59:59"),
        ("2026-03-29T03:00", "2026-03-29 01:00:00"),
    ],
)
def test_the_hours_around_a_change_of_the_clocks_are_plain(zone: Zone, text: str, utc: str) -> None:
    zone("Europe/Berlin")
    assert moment.parse(text) == utc_ms(utc)


def test_no_hour_is_doubtful_where_the_clocks_never_change(zone: Zone) -> None:
    zone("UTC")
    assert moment.parse("2026-10-25T02:30") == utc_ms("2026-10-25 02:30:00")


@pytest.mark.parametrize(
    ("text", "ago_ms"),
    [
        ("-250ms", 250),
        ("-90s", 90_000),
        ("-5m", 300_000),
        ("-1.5h", 5_400_000),
        ("-2d", 172_800_000),
        ("-0s", 0),
    ],
)
def test_so_long_ago_counts_from_now(text: str, ago_ms: int) -> None:
    before = time.time_ns() // 1_000_000
    found = moment.parse(text)
    assert before - ago_ms <= found <= time.time_ns() // 1_000_000 - ago_ms


def test_so_long_ago_is_the_same_moment_for_all_workers(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(moment.NOW_VARIABLE, "1767225600000")
    assert moment.parse("-5m") == 1_767_225_300_000


def test_unix_milliseconds_are_taken_as_a_number_and_as_text() -> None:
    assert moment.parse(1_767_225_600_000) == moment.parse("1767225600000") == 1_767_225_600_000


@pytest.mark.parametrize(
    "text",
    [
        "-1000000d",
        "-" + "9" * 50 + "d",
        "-" + "9" * 400 + "d",
        "1969-12-31T23:59:59.999Z",
        "0001-01-01",
        "0001-01-01T00:00+14:00",
        "9" * 23,
        "253402300800000",
        "9" * 5000,
        -1,
        2**63,
    ],
)
def test_what_is_far_out_of_range_is_refused(text: str | int) -> None:
    """Kafka takes times below zero for words: -1 would be the end of the log."""
    with pytest.raises(ValueError, match="a time from 1970 to 9999 is wanted"):
        moment.parse(text)


@pytest.mark.parametrize(
    "text", ["", "now", "yesterday", "5m", "-5", "-5 m", " -5m", "--5m", "-5M", "-m", "14:00", "2026-02-30"]
)
def test_what_is_no_time_is_refused_with_examples(text: str) -> None:
    with pytest.raises(ValueError, match="a time like 2026-11-21T14:00:00"):
        moment.parse(text)


def test_a_moment_is_shown_in_local_time_with_its_zone(zone: Zone) -> None:
    zone("Europe/Berlin")
    assert moment.text(1_767_225_600_000) == "2026-01-01T01:00:00+01:00"
    assert moment.text(1_767_225_600_123) == "2026-01-01T01:00:00.123+01:00"
    assert moment.parse(moment.text(1_767_225_600_123)) == 1_767_225_600_123
