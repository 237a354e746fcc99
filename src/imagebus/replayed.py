"""What was sent again of a topic of dead letters, kept as the positions of a group of its own."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable

import msgspec

from imagebus.bus import Bus
from imagebus.connection import Position
from imagebus.errors import ImagebusError

MOST_BYTES = 4000
"""Of a commit's metadata, Kafka takes 4,096."""
MARKS = "imagebus.dlq."
"""Before the name of a group: the group that keeps what was sent again of its dead letters."""
Run = tuple[int, int]


class Mark(msgspec.Struct, frozen=True):
    """The metadata of a position: every letter of the group in each run [first, last] was sent again.

    ``log`` is the id of the topic of dead letters: made anew, it holds other letters.
    """

    runs: list[Run]
    log: str = ""
    v: int = 1


class Replayed:
    """The letters of one group that were sent again, by partition.

    Args:
        group: the group that the letters are of.
        topic: the topic of dead letters.

    Raises:
        BusError: no answer in time, or no right to see them.
    """

    def __init__(self, bus: Bus, group: str, topic: str) -> None:
        self._bus = bus
        self.topic = topic
        self._marks = MARKS + group
        self._log = bus.log_id(topic)
        self._runs: dict[int, list[Run]] = {}
        for partition, position in bus.positions(self._marks).get(topic, {}).items():
            mark = _read(position)
            if mark is not None and mark.log == self._log:
                self._runs[partition] = mark.runs
        self._letters: dict[int, list[int]] = defaultdict(list)

    def __contains__(self, place: tuple[int, int]) -> bool:
        partition, offset = place
        return any(first <= offset <= last for first, last in self._runs.get(partition, ()))

    def know(self, letters: Iterable[tuple[int, int]]) -> None:
        """Take note of every letter of the group, so that neighbours become one run; others are expired."""
        for partition, offset in sorted(letters):
            self._letters[partition].append(offset)

    def add(self, partition: int, offsets: Iterable[int]) -> None:
        """Keep that these were sent again.

        Raises:
            BusError: no answer in time, or no right to commit.
            ImagebusError: they lie too scattered to be kept.
        """
        done = set(offsets)
        known = self._letters[partition]
        runs = _runs(known, {offset for offset in known if offset in done or (partition, offset) in self})
        mark = _encoder.encode(Mark(runs, self._log)).decode()
        if len(mark) > MOST_BYTES:
            raise ImagebusError(
                f"what was sent again of {self.topic}[{partition}] lies too scattered to be remembered: "
                "send all of the group, without --reason, --from and --until"
            )
        self._bus.set_positions(self._marks, self.topic, {partition: Position(runs[-1][1] + 1, mark)})
        self._runs[partition] = runs


def _runs(known: list[int], sent: set[int]) -> list[Run]:
    """Return the stretches of known letters that were all sent."""
    runs: list[Run] = []
    unbroken = False
    for offset in known:
        if offset in sent:
            runs[-1:] = [(runs[-1][0], offset)] if unbroken else [*runs[-1:], (offset, offset)]
        unbroken = offset in sent
    return runs


def _read(position: Position) -> Mark | None:
    try:
        return _decoder.decode(position.metadata)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(Mark)
