"""What the library expects of a connection to the bus; ``bus`` keeps it on Kafka, ``testing`` in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Protocol

from imagebus.record import Outgoing, Record

Acknowledged = Callable[[Exception | None], None]
"""Called once a record is safe on the broker (None), or never will be (FrameError or BusError; a
TopicGoneError where it may be sent again once the topic is there)."""


@dataclass(frozen=True, slots=True)
class Position:
    """Where a group stands in a partition: the next offset to read, and a word carried with it."""

    offset: int
    metadata: str = ""


@dataclass(frozen=True, slots=True)
class Assigned:
    """A partition that was given to this reader: where it begins, and what the log still holds.

    ``position`` is the group's committed one, or where ``--start`` led; ``low`` the oldest offset kept.
    """

    partition: int
    position: Position
    low: int


class Offsets(Protocol):
    """Looks offsets of one topic up."""

    @property
    def id(self) -> str:
        """Return the id of the log: a topic deleted and made again has another. Empty where unknown."""

    def edges(self, partition: int) -> tuple[int, int]:
        """Return the oldest offset kept and the one that the next record gets."""

    def at(self, partition: int, timestamp_ms: int) -> int:
        """Return the first offset captured at that time or later; the end where there is none."""


Start = Callable[[Offsets, int], Position]
"""Where to begin in a partition without a commit: given the log's offsets and the partition."""


class Listener(Protocol):
    """What a reader is told of the partitions that come and go."""

    def assigned(self, partitions: Iterable[Assigned]) -> None:
        """Begin with these partitions."""

    def revoked(self, partitions: Iterable[int]) -> Mapping[int, Position]:
        """Finish or abandon these partitions and return what to commit."""

    def lost(self, partitions: Iterable[int]) -> None:
        """Forget these partitions: somebody else has them."""

    def passed(self, partition: int, offset: int) -> None:
        """Note that there is no further record before this offset; told to bounded runs only."""


class Publishing(Protocol):
    """Sends records and tells of each whether it is safe."""

    def send(self, record: Outgoing, acknowledged: Acknowledged) -> None:
        """Hand a record over; ``acknowledged`` is called from a later ``poll`` or ``flush``."""

    def poll(self, timeout_s: float = 0.0) -> None:
        """Serve acknowledgements, waiting for the first at most that long."""

    def flush(self, timeout_s: float) -> int:
        """Wait until all is acknowledged or the time is over; return how many records are not."""

    @property
    def pending(self) -> int:
        """Return how many records wait for their acknowledgement to be served."""


class Reading(Protocol):
    """A member of a group."""

    def read(self, limit: int, timeout_s: float) -> list[Record]:
        """Return at most that many records, waiting for the first at most that long."""

    def listen(self) -> list[Record]:
        """Hear what becomes of the group, without reading on; return the records that come all the same."""

    def commit(self, positions: Mapping[int, Position]) -> None:
        """Commit without waiting; a failure is told and the next commit covers it."""

    def commit_and_wait(self, positions: Mapping[int, Position]) -> None:
        """Commit and wait for the broker's word."""

    def positions(self) -> dict[int, Position | None]:
        """Return what the group has committed of every partition of the topic, ours or not."""

    def ends(self) -> dict[int, int]:
        """Return of each partition of ours the offset that the next record gets, as far as is known here."""

    def close(self) -> None:
        """Leave the group."""


class Connection(Protocol):
    """A bus."""

    @property
    def away(self) -> bool:
        """Return whether the broker is known not to answer now."""

    def topics(self) -> dict[str, int]:
        """Return every topic but Kafka's own, with its number of partitions."""

    def ensure_topic(self, topic: str, settings: Mapping[str, str] = ..., partitions: int = -1) -> None:
        """Make the topic where it is missing; without a number, with the broker's own of partitions."""

    def publisher(self) -> Publishing:
        """Return a new publisher."""

    def subscriber(
        self, topic: str, group: str, start: Start, listener: Listener, *, bounded: bool = False
    ) -> Reading:
        """Return a new member of the group; ``bounded`` when its listener wants to hear of ends."""
