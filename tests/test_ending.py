"""Where a bounded run may end in a partition."""

from __future__ import annotations

import pytest

from imagebus.commit import SKIPPED_OUTSIDE, Commit, read
from imagebus.connection import Assigned
from imagebus.ending import LATE_MS, MOST_SOURCES, Ending
from imagebus.ledger import Ledger

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


def test_an_end_that_is_found_is_committed_though_no_record_is_finished_since() -> None:
    position = Commit(0, end=100, range=(0, UNTIL)).at(0)
    ledger = Ledger(Assigned(0, position, 0))
    ledger.look(0, b"a", UNTIL)
    assert ledger.received(0)
    assert ledger.is_outside(UNTIL)
    ledger.done(0, SKIPPED_OUTSIDE)
    committed = ledger.to_commit()
    assert committed is not None
    assert (committed.offset, read(committed).end) == (1, 100)

    ledger.look(1, b"a", UNTIL + LATE_MS)
    assert not ledger.received(1)
    assert ledger.is_complete
    for ended in (ledger.to_commit(), ledger.final()):
        assert ended is not None
        assert (ended.offset, read(ended).end) == (1, 1)
    assert ledger.to_commit() is None


def test_a_repeated_record_ends_nothing() -> None:
    ledger = Ledger(Assigned(0, Commit(0, end=100, range=(None, UNTIL)).at(0), 0))
    for offset in range(3):
        ledger.look(offset, b"a", UNTIL)
        assert ledger.received(offset)
    ledger.look(1, b"a", UNTIL + LATE_MS)
    assert ledger.end == 100
