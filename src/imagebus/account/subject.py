"""What is to be accounted for: the commits of a group, and the ranges of the log that they speak of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches

from imagebus import commit
from imagebus.bus import Bus
from imagebus.commit import Commit
from imagebus.connection import Position
from imagebus.errors import ConfigurationError
from imagebus.moment import Range
from imagebus.text import printable
from imagebus.topics import meta_of

SHOWN = 8


@dataclass(slots=True)
class Part:
    """One partition: what the group committed, and what the log still holds of it.

    ``first`` and ``end`` bound what can be walked: what lies below the commit and is still in the log;
    ``is_counted`` says whether the commit is one of ours, and carries counts.
    """

    partition: int
    offset: int
    commit: Commit
    low: int
    high: int
    first: int
    end: int
    is_counted: bool

    @property
    def lag(self) -> int:
        """Return how many offsets the group has before it; a bounded run goes no further than its end."""
        end = self.high if self.commit.end is None else min(self.commit.end, self.high)
        return max(0, end - self.offset)


@dataclass(slots=True)
class Subject:
    """A group, the topic that it reads, and the partitions of it that the group has committed."""

    input: str
    group: str
    log: str
    span: Range
    parts: dict[int, Part]
    outputs: list[str] = field(default_factory=list)
    uncommitted: list[int] = field(default_factory=list)

    @property
    def is_whole(self) -> bool:
        """Whether all of the log is asked for, so that the counts of the commits can be compared."""
        return self.span == (None, None)


def subject(bus: Bus, topic: str, group: str, also: Sequence[str], span: Range) -> Subject:
    """Return what the group has committed of a topic, or of that topic's META where it reads this.

    Raises:
        ConfigurationError: there is no such topic or group, or the group does not read the topic.
    """
    there = bus.topics()
    group = group or _only_reader(bus, topic)
    positions = bus.positions(group)
    if topic not in positions and meta_of(topic) in positions and meta_of(topic) in there:
        topic = meta_of(topic)  # a filter that needs no pixels
    if topic not in there:
        raise ConfigurationError(f"there is no topic {topic}{_nearest(topic, there)}", "INPUT")
    if not positions:
        groups = [known for known in bus.groups() if known != group]
        near = _nearest(group, groups) or _some(groups)
        raise ConfigurationError(f"{printable(group)} has committed nothing{near}", "--group")
    if topic not in positions:
        read = ", ".join(sorted(positions))
        raise ConfigurationError(
            f"group {printable(group)} has committed nothing of {topic}; it reads {read}", "INPUT"
        )
    parts = _parts(bus, topic, positions[topic], span)
    outputs = sorted({*(part.commit.topic for part in parts.values() if part.commit.topic), *also})
    uncommitted = [partition for partition in range(there[topic]) if partition not in parts]
    return Subject(topic, group, bus.log_id(topic), span, parts, outputs, uncommitted)


def _only_reader(bus: Bus, topic: str) -> str:
    """Return the group that reads a topic, or its META.

    Raises:
        ConfigurationError: there are several, which are named, or none.
    """
    wanted = {topic, meta_of(topic)}
    groups = sorted(group for group in bus.groups() if wanted & bus.positions(group).keys())
    if len(groups) == 1:
        return groups[0]
    told = f"{len(groups)} groups read {topic}: {', '.join(groups)}" if groups else f"no group reads {topic}"
    raise ConfigurationError(printable(told), "--group")


def _parts(bus: Bus, topic: str, positions: dict[int, Position], span: Range) -> dict[int, Part]:
    begin_ms, _ = span
    parts = {}
    with bus.log(topic) as log:
        edges = log.edges()
        since = {} if begin_ms is None else log.since(begin_ms)
    for partition, position in sorted(positions.items()):
        low, high = edges.get(partition, (0, 0))
        carried = commit.carried(position)
        of = carried or Commit(position.offset)
        first = max(of.begin, low, since.get(partition, 0))
        end = max(first, min(position.offset, high))
        is_counted = carried is not None
        parts[partition] = Part(partition, position.offset, of, low, high, first, end, is_counted)
    return parts


def _some(known: Sequence[str]) -> str:
    more = f" and {len(known) - SHOWN} more" if len(known) > SHOWN else ""
    return f"; there is {printable(', '.join(known[:SHOWN]))}{more}" if known else ""


def _nearest(name: str, known: Sequence[str] | dict[str, int]) -> str:
    found = get_close_matches(name, list(known), n=3, cutoff=0.4)
    return f"; there is {printable(', '.join(found))}" if found else ""
