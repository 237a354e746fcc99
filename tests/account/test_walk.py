"""What retention takes while the log is walked is no gap: a log under control."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from imagebus.account.evidence import Evidence
from imagebus.account.subject import Part, Subject
from imagebus.account.walk import Walk
from imagebus.commit import Commit
from imagebus.record import Record


class Log:
    """A log with these offsets, whose oldest is ``low`` by the time it is asked."""

    def __init__(self, offsets: list[int], low: int) -> None:
        self._offsets, self._low = offsets, low

    def __enter__(self) -> Log:
        return self

    def __exit__(self, *_: object) -> None: ...

    def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]:
        return (Record("IN", 0, offset, 0, b"k", b"") for offset in self._offsets)

    def edges(self) -> dict[int, tuple[int, int]]:
        return {0: (self._low, 20)}


@pytest.mark.parametrize(
    ("offsets", "low", "walked", "cut", "gaps"),
    [
        (list(range(20)), 0, 20, 0, 0),
        ([*range(5), *range(10, 20)], 0, 15, 0, 5),
        ([*range(5), *range(10, 20)], 10, 15, 5, 0),
        ([*range(5), *range(11, 20)], 10, 14, 5, 1),
        (list(range(10, 20)), 10, 10, 10, 0),
        ([], 20, 0, 20, 0),
        ([*range(5), *range(6, 20)], 3, 19, 0, 1),
    ],
)
def test_what_retention_takes_during_the_walk_is_no_gap(
    offsets: list[int], low: int, walked: int, cut: int, gaps: int
) -> None:
    part = Part(0, 20, Commit(0), 0, 20, 0, 20, True)
    of = Subject("IN", "g", "", (None, None), {0: part})
    bus: Any = type("Bus", (), {"log": lambda *_: Log(offsets, low)})()
    walk = Walk(bus, of, {0: Evidence(0, 20)})
    assert list(walk.frames(named=False)) == []
    tally = walk.tallies[0]
    assert (tally.walked, tally.cut, tally.gaps) == (walked, cut, gaps)


def test_a_range_ends_for_each_camera_by_its_own_clock() -> None:
    hour, until = 3_600_000, 10_000_000
    stamps = [(b"ahead", until + hour + n) for n in range(3)] + [(b"right", until - 5 + n) for n in range(10)]

    class Times(Log):
        def read(self, ranges: Mapping[int, tuple[int, int]]) -> Iterator[Record]:
            return (Record("IN", 0, n, at, key, b"") for n, (key, at) in enumerate(stamps))

    part = Part(0, 20, Commit(0), 0, 20, 0, 20, True)
    of = Subject("IN", "g", "", (None, until), {0: part})
    bus: Any = type("Bus", (), {"log": lambda *_: Times([], 0)})()
    walk = Walk(bus, of, {0: Evidence(0, 20)})
    assert list(walk.frames(named=False)) == []
    assert walk.tallies[0].walked == 5
