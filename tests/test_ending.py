"""Where a bounded run may end in a partition."""

from __future__ import annotations

import pytest

from imagebus.ending import LATE_MS, MOST_SOURCES, Ending

UNTIL = 10_000_000


def reached(ending: Ending, *looks: tuple[bytes, int]) -> list[bool]:
    return [ending.is_reached(key, UNTIL + since) for key, since in looks]


def test_a_run_ends_ten_minutes_after_its_range() -> None:
    assert reached(Ending(UNTIL), (b"a", -1), (b"a", 0), (b"a", LATE_MS - 1), (b"a", LATE_MS)) == [
        False,
        False,
        False,
        True,
    ]


def test_a_late_frame_of_the_range_begins_the_wait_anew() -> None:
    ending = Ending(UNTIL)
    looks = [(b"a", 0), (b"a", LATE_MS - 1), (b"b", -5), (b"a", LATE_MS), (b"a", 2 * LATE_MS - 1)]
    assert not any(reached(ending, *looks))
    assert ending.is_reached(b"a", UNTIL + 2 * LATE_MS)


@pytest.mark.parametrize("ahead_ms", [3_600_000, 10 * 365 * 86_400_000])
def test_a_clock_ahead_says_nothing_of_the_others(ahead_ms: int) -> None:
    ending = Ending(UNTIL)
    assert not any(reached(ending, *[(b"ahead", ahead_ms), (b"right", -1)] * 100))
    assert not any(reached(ending, (b"ahead", ahead_ms), (b"right", 0), (b"ahead", ahead_ms + LATE_MS - 1)))
    assert ending.is_reached(b"ahead", UNTIL + ahead_ms + LATE_MS)


def test_a_range_without_an_end_ends_with_the_log_only() -> None:
    assert not any(Ending(None).is_reached(b"a", moment) for moment in (0, UNTIL, 10 * UNTIL))


def test_only_so_many_cameras_are_remembered() -> None:
    ending = Ending(UNTIL)
    for n in range(3 * MOST_SOURCES):
        assert not ending.is_reached(str(n).encode(), UNTIL)
    assert len(ending._beyond) <= MOST_SOURCES + 1
