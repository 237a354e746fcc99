"""Has the filter process frames, and says what came of each record: outputs, none, held back, a fault."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field

import msgspec

from imagebus import codec, trace
from imagebus.commit import FILTERED, OUTPUT
from imagebus.errors import FrameError, ModelError, TooManyFailuresError
from imagebus.filter import Filter, Result
from imagebus.frame import Frame, Hop
from imagebus.log import warn
from imagebus.outgoing import Outgoing, frame_records, origin
from imagebus.record import Record
from imagebus.status import Status

FAILURES_IN_A_ROW = 20
MANY_HELD = 1000
Key = tuple[str, str, int, str]


@dataclass(slots=True)
class Item:
    """A record in work: its frame, when it was taken up, and what the filter made of it so far."""

    record: Record
    frame: Frame
    received_ns: int
    results: list[Frame] = field(default_factory=list)

    @property
    def key(self) -> Key:
        """Return what names the frame and its run."""
        return _key(self.frame)


class Processing:
    """The filter at work.

    Args:
        publish: takes what came of a record, and its outcome.
        bury: takes a record at fault, the reason and the error.
        tell: takes a record's results and the seconds they took.
    """

    def __init__(
        self,
        filter: Filter,
        status: Status,
        publish: Callable[[Record, Sequence[Outgoing], str], None],
        bury: Callable[[Record, str, str], None],
        tell: Callable[[Item, float], None],
    ) -> None:
        self._filter = filter
        self._options = filter.options
        self._status = status
        self._publish = publish
        self._bury = bury
        self._tell = tell
        self._decode = codec.decode if filter.pixels else codec.decode_meta
        kind = type(filter)
        self._batches = kind.process_batch is not Filter.process_batch
        self._alone = kind.process is not Filter.process
        self._minds_sources = kind.sources is not Filter.sources
        self._held: dict[Key, deque[Item]] = {}
        self._sources: dict[int, set[str]] = {}
        self._failures = 0
        self._told_held = False

    def work(self, records: Sequence[Record]) -> None:
        """Have records processed, together where the filter can, and give each what came of it.

        Raises:
            TooManyFailuresError: the filter failed on twenty frames in a row.
            ModelError, MemoryError: no frame is at fault.
        """
        items = [item for record in records if (item := self._taken_up(record))]
        if not items:
            return
        self._gain(items)
        if len(items) > 1 and self._batches:
            try:
                self._process(items)
            except (MemoryError, ModelError):
                raise
            except Exception as error:  # noqa: BLE001  one of them spoils it: which, shows each alone
                self._filter.take_holds()
                warn(f"a batch of {len(items)} failed ({_said(error)}); trying each of its frames alone")
            else:
                return
        for item in items:
            self._work_alone(item)

    def _taken_up(self, record: Record) -> Item | None:
        received_ns = time.time_ns()
        try:
            frame = self._decode(record.value or b"")
            self._refuse_cycle(frame)
        except FrameError as error:
            self._bury(record, error.reason, str(error))
            return None
        return Item(record, frame, received_ns)

    def _refuse_cycle(self, frame: Frame) -> None:
        here = (self._options.name, self._options.topic)
        if any((hop.stage, hop.topic) == here for hop in frame.trail):
            raise FrameError(f"stage {here[0]} has written this frame to {here[1]} before: a cycle", "cycle")

    def _work_alone(self, item: Item) -> None:
        try:
            self._process([item])
        except FrameError as error:
            self._filter.take_holds()
            self._bury(item.record, error.reason, str(error))
        except (MemoryError, ModelError):
            raise
        except Exception as error:  # noqa: BLE001  a filter's fault is the frame's outcome, not our end
            self._filter.take_holds()
            self._failed(item.record, error)

    def _process(self, items: list[Item]) -> None:
        began = time.perf_counter()
        for item, frames in zip(items, self._results(items), strict=True):
            for frame in frames:
                self._owner(frame, item, items).results.append(frame)
        took_s = time.perf_counter() - began
        for _ in items:
            self._status.processing.observe(took_s / len(items))
        self._failures = 0
        self._settle(items, took_s / len(items))

    def _results(self, items: list[Item]) -> list[list[Frame]]:
        frames = [item.frame for item in items]
        for item in items:
            item.results = []
        if self._batches and (len(frames) > 1 or not self._alone):
            results = list(self._filter.process_batch(frames))
            if len(results) != len(frames):
                raise ValueError(f"process_batch gave {len(results)} results for {len(frames)} frames")
        else:
            results = [self._filter.process(frames[0])]
        return [_frames(result) for result in results]

    def _owner(self, frame: Frame, present: Item, items: list[Item]) -> Item:
        """Return the item that a result is of: the present one, or another by its identity."""
        key = _key(frame)
        if key == present.key:
            return present
        if waiting := self._held.get(key):
            return waiting[0]
        return next((item for item in items if item.key == key), present)

    def _settle(self, items: list[Item], took_s: float) -> None:
        """Give every item its outcome that has one now."""
        holds, dropped = self._filter.take_holds()
        kept = {_key(frame) for frame in holds}
        for key in [key for key, waiting in self._held.items() if waiting[0].results]:
            self._finish(self._release(key), took_s)
        for frame in dropped:
            if _key(frame) in self._held:
                self._finish(self._release(_key(frame)), took_s)
        for item in items:
            if item.key in kept and not item.results:
                self._held.setdefault(item.key, deque()).append(item)
            else:
                self._finish(item, took_s)
        self._status.held = sum(map(len, self._held.values()))
        if self._status.held > MANY_HELD and not self._told_held:
            warn(f"{self._options.name} holds back more than {MANY_HELD} frames: none of them is committed")
            self._told_held = True

    def _release(self, key: Key) -> Item:
        waiting = self._held[key]
        item = waiting.popleft()
        if not waiting:
            del self._held[key]
        return item

    def _finish(self, item: Item, took_s: float) -> None:
        """Publish what came of an item; what no reader would take, makes it a dead letter."""
        try:
            outgoing = [sealed for frame in item.results for sealed in self._sealed(frame, item)]
        except FrameError as error:
            self._bury(item.record, error.reason, str(error))
            return
        except Exception as error:  # noqa: BLE001  what the filter returned cannot be encoded
            self._failed(item.record, error)
            return
        self._publish(item.record, outgoing, OUTPUT if outgoing else FILTERED)
        self._status.newest_ms = max(self._status.newest_ms, item.record.timestamp_ms)
        self._status.age.observe(max(0.0, time.time() - item.record.timestamp_ms / 1000))
        self._tell(item, took_s)

    def _sealed(self, frame: Frame, item: Item) -> list[Outgoing]:
        """Complete the hop in the frame's trail and make its records."""
        options = self._options
        kind, version = self._filter.kind(), self._filter.version
        hop = Hop(options.name, kind, version, options.topic, item.received_ns, time.time_ns())
        trail = frame.trail
        if trail and trail[-1].is_open:
            claim, trail = trail[-1], trail[:-1]
            hop = msgspec.structs.replace(
                hop, model=claim.model, searched=claim.searched, threshold=claim.threshold
            )
        run = options.run_name if options.is_bounded else frame.run
        sealed = msgspec.structs.replace(frame, trail=(*trail, hop), run=run)
        parent = trace.proceed(item.record.header(trace.HEADER))
        came_of = origin(item.record, options.group_id)
        return frame_records(sealed, options.topic, parent, came_of, pixels=self._filter.pixels)

    def _failed(self, record: Record, error: Exception) -> None:
        self._failures += 1
        self._bury(record, "error", _said(error))
        if self._failures >= FAILURES_IN_A_ROW:
            raise TooManyFailuresError(
                f"{self._options.name} failed on {self._failures} frames in a row, last with {_said(error)}"
            ) from error

    def _gain(self, items: Iterable[Item]) -> None:
        """Tell the filter of cameras that it sees for the first time."""
        if not self._minds_sources:
            return
        gained = set()
        for item in items:
            known = self._sources.setdefault(item.record.partition, set())
            if item.frame.source not in known:
                known.add(item.frame.source)
                gained.add(item.frame.source)
        if gained:
            self._filter.sources(frozenset(gained), frozenset())

    def lose(self, partitions: Collection[int]) -> None:
        """Forget what is held of partitions that are no longer ours, and tell the filter of their cameras."""
        for key, waiting in list(self._held.items()):
            kept = deque(item for item in waiting if item.record.partition not in partitions)
            if kept:
                self._held[key] = kept
            else:
                del self._held[key]
        self._status.held = sum(map(len, self._held.values()))
        gone = [self._sources.pop(partition) for partition in partitions if partition in self._sources]
        lost = frozenset().union(*gone) - frozenset().union(*self._sources.values())
        if lost:
            self._filter.sources(frozenset(), lost)

    def end(self) -> None:
        """Have the filter return what it held back; what it still keeps, is filtered out."""
        for frame in _frames(self._filter.end()):
            if waiting := self._held.get(_key(frame)):
                waiting[0].results.append(frame)
            else:
                warn(f"end() returned a frame that was not held back: {_key(frame)}")
        left = [item for waiting in self._held.values() for item in waiting]
        self._held.clear()
        self._filter.take_holds()
        self._status.held = 0
        for item in left:
            self._finish(item, 0.0)

    @property
    def held(self) -> int:
        """Return how many records are held back."""
        return self._status.held


def _frames(result: Result) -> list[Frame]:
    if result is None:
        return []
    return [result] if isinstance(result, Frame) else list(result)


def _key(frame: Frame) -> Key:
    return (*frame.identity, frame.run)


def _said(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
