"""Records in work, and those among them that a filter holds back to answer later."""

from __future__ import annotations

import time
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field

from imagebus.frame import Frame
from imagebus.record import Record

MOST_LOST = 10_000
Key = tuple[str, str, int, str]


def key_of(frame: Frame) -> Key:
    """Return what names the frame and its run."""
    return (*frame.identity, frame.run)


@dataclass(slots=True, eq=False)
class Item:
    """A record in work: its frame, when it was taken up, and what the filter made of it so far."""

    record: Record
    frame: Frame
    received_ns: int
    results: list[Frame] = field(default_factory=list)
    since_s: float = field(default_factory=time.monotonic)

    @property
    def key(self) -> Key:
        """Return what names the frame and its run."""
        return key_of(self.frame)

    @property
    def is_answered(self) -> bool:
        """Whether the filter returned this very picture; others that it returned go out along with it."""
        return any(key_of(frame) == self.key for frame in self.results)


class Held:
    """What is held back, by picture; a picture that came twice is held twice, and answered twice."""

    def __init__(self) -> None:
        self._items: dict[Key, deque[Item]] = {}
        self._lost: Counter[Key] = Counter()
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def __iter__(self) -> Iterator[Item]:
        return (item for items in self._items.values() for item in items)

    @property
    def longest_s(self) -> float:
        """Return for how long the first is held back, in seconds."""
        first = next(iter(self), None)
        return time.monotonic() - first.since_s if first else 0.0

    def add(self, item: Item) -> None:
        """Hold one back."""
        self._items.setdefault(item.key, deque()).append(item)
        self._count += 1

    def of(self, key: Key) -> list[Item]:
        """Return those of a picture, the first one first."""
        return list(self._items.get(key, ()))

    def take(self, item: Item) -> Item:
        """Take one out."""
        items = self._items[item.key]
        items.remove(item)
        self._count -= 1
        if not items:
            del self._items[item.key]
        return item

    def take_answered(self) -> list[Item]:
        """Take out those that the filter has answered."""
        return [self.take(item) for item in list(self) if item.is_answered]

    def take_dropped(self, key: Key) -> Item | None:
        """Take out the first of a picture that the filter let go of."""
        items = self.of(key)
        return self.take(items[0]) if items else None

    def take_all(self) -> list[Item]:
        """Take out everything."""
        return [self.take(item) for item in list(self)]

    def lose(self, partitions: Collection[int]) -> list[Item]:
        """Take out what was read from these partitions."""
        return [self.take(item) for item in list(self) if item.record.partition in partitions]

    def expect_late(self, key: Key) -> None:
        """Remember a lost picture that the filter, which does not know, may still answer."""
        if len(self._lost) < MOST_LOST:
            self._lost[key] += 1

    def is_late(self, key: Key) -> bool:
        """Whether an answer comes too late, to a picture that was lost; true once for each."""
        if key not in self._lost:
            return False
        self._lost[key] -= 1
        if not self._lost[key]:
            del self._lost[key]
        return True
