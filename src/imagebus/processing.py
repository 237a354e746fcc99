"""Has the filter process frames, and says what came of each record: outputs, none, held back, a fault."""

from __future__ import annotations

import sys
import time
import traceback
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Sequence
from pathlib import Path

import msgspec

from imagebus import codec, trace
from imagebus.commit import FILTERED, OUTPUT
from imagebus.errors import FilterError, FrameError, ModelError, TooManyFailuresError
from imagebus.filter import Filter, Result, frame_of
from imagebus.frame import Frame, Hop
from imagebus.held import Held, Item, key_of
from imagebus.log import warn
from imagebus.outgoing import frame_records, origin
from imagebus.record import Outgoing, Record
from imagebus.status import Status

FAILURES_IN_A_ROW = 20
MANY_HELD = 1000
MOST_WORDS = 1000
"""So many characters of a filter's error are told, each time."""
MOST_SOURCES = 100_000
"""So many cameras of a partition are remembered."""


class Processing:
    """The filter at work.

    Args:
        publish: takes what came of a record, and its outcome.
        bury: takes a record at fault, the reason and the error.
        tell: takes a record's results and the seconds they took.
    """

    long_s = 60.0
    """Whoever holds back a frame for longer is told what that means."""

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
        if not (self._batches or self._alone):
            raise FilterError(f"{kind.__name__} has neither process nor process_batch")
        self._minds_sources = kind.sources is not Filter.sources
        self._held = Held()
        self._sources: dict[int, set[str]] = {}
        self._failures = 0
        self._told_held = False
        self._spans = trace.spans(self._options.name)

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
                results, took_s = self._processed(items)
            except (MemoryError, ModelError):
                raise
            except Exception as error:  # noqa: BLE001  one of them spoils it: which, shows each alone
                self._forget_holds()
                warn(f"a batch of {len(items)} failed ({_said(error)}); trying each of its frames alone")
            else:
                self._settle(items, results, took_s)
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
            results, took_s = self._processed([item])
        except FrameError as error:
            self._forget_holds()
            self._bury(item.record, error.reason, str(error))
        except (MemoryError, ModelError):
            raise
        except Exception as error:  # noqa: BLE001  a filter's fault is the frame's outcome, not our end
            self._forget_holds()
            self._failed(item.record, error)
        else:
            self._settle([item], results, took_s)

    def _processed(self, items: list[Item]) -> tuple[list[list[Frame]], float]:
        """Return what the filter made of each, and the seconds it took a frame."""
        frames = [item.frame for item in items]
        began = time.perf_counter()
        try:
            results = self._called(frames)
        except SystemExit as error:  # else a run of what was captured would end half done, and with 0
            raise RuntimeError(f"it called sys.exit({error.code!r})") from error
        took_s = (time.perf_counter() - began) / len(items)
        for _ in items:
            self._status.processing.observe(took_s)
        return results, took_s

    def _called(self, frames: list[Frame]) -> list[list[Frame]]:
        if not self._batches or (len(frames) == 1 and self._alone):
            return [_frames(self._filter.process(frames[0]))]
        results = [_frames(result) for result in self._filter.process_batch(frames)]
        if len(results) != len(frames):
            raise ValueError(f"process_batch gave {len(results)} results for {len(frames)} frames")
        return results

    def _forget_holds(self) -> None:
        """Let what was held during a call that failed not count; what was let go of, is let go of."""
        _, dropped = self._filter.take_holds()
        self._drop(dropped)
        self._status.held = len(self._held)

    def _settle(self, items: list[Item], results: list[list[Frame]], took_s: float) -> None:
        """Give every item its outcome that has one now."""
        holds, dropped = self._filter.take_holds()
        kept = self._hold(items, holds)
        for item, frames in zip(items, results, strict=True):
            for frame in frames:
                self._answer(frame, item, items)
        for item in self._held.take_answered():
            self._finish(item, took_s)
        self._drop(dropped)
        for item in items:
            if item not in kept:
                self._finish(item, took_s)
        if kept:
            self._failures = 0
        self._status.held = len(self._held)
        self._warn_of_holds()

    def _hold(self, items: list[Item], holds: list[Frame]) -> set[Item]:
        """Hold back those items that the filter wants to; return them."""
        wanted = Counter(map(key_of, holds))
        kept = set()
        for item in items:
            if wanted[item.key]:
                wanted[item.key] -= 1
                self._held.add(item)
                kept.add(item)
        return kept

    def _answer(self, frame: Frame, present: Item, items: list[Item]) -> None:
        """Give a result to the item that it is of: by its identity, or else to the present one."""
        key = key_of(frame)
        same = [present] if present.key == key else []
        same += [item for item in self._held.of(key) if item is not present]
        if same:
            item = next((item for item in same if not item.is_answered), same[0])
        elif (other := next((item for item in items if item.key == key), None)) is not None:
            item = other
        elif self._held.is_late(key):
            return
        else:
            item = present
        item.results.append(frame)

    def _drop(self, dropped: list[Frame]) -> None:
        for frame in dropped:
            if item := self._held.take_dropped(key_of(frame)):
                self._finish(item, 0.0)
            else:
                self._held.is_late(key_of(frame))

    def _warn_of_holds(self) -> None:
        if self._told_held:
            return
        name = self._options.name
        if len(self._held) > MANY_HELD:
            warn(f"{name} holds back more than {MANY_HELD} frames: none of them is committed")
            self._told_held = True
        elif self._held.longest_s > self.long_s:
            first = next(iter(self._held)).frame
            warn(
                f"{name} holds back {first.source} #{first.sequence} for more than {self.long_s:.0f} s: "
                "nothing behind it in its partition is committed; in tick() answer it or drop() it"
            )
            self._told_held = True

    def _finish(self, item: Item, took_s: float) -> None:
        """Publish what came of an item; what no reader would take, makes it a dead letter."""
        try:
            sealed = [self._sealed(frame, item) for frame in item.results]
        except FrameError as error:
            self._bury(item.record, error.reason, str(error))
            return
        except Exception as error:  # noqa: BLE001  what the filter returned cannot be encoded
            self._failed(item.record, error)
            return
        self._failures = 0
        outgoing = [record for _, records in sealed for record in records]
        self._publish(item.record, outgoing, OUTPUT if outgoing else FILTERED)
        for frame, records in sealed:
            self._spans.hop(frame, records[0], item.record)
        self._status.newest_ms = max(self._status.newest_ms, item.record.timestamp_ms)
        self._status.age.observe(max(0.0, time.time() - item.record.timestamp_ms / 1000))
        self._tell(item, took_s)

    def _sealed(self, frame: Frame, item: Item) -> tuple[Frame, list[Outgoing]]:
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
        return sealed, frame_records(sealed, options.topic, parent, came_of, pixels=self._filter.pixels)

    def _failed(self, record: Record, error: Exception) -> None:
        self._failures += 1
        self._bury(record, "error", f"{_said(error)}{self._place_of(error)}")
        if self._failures >= FAILURES_IN_A_ROW:
            raise TooManyFailuresError(
                f"{self._options.name} failed on {self._failures} frames in a row, last with {_said(error)}"
            ) from error

    def _place_of(self, error: Exception) -> str:
        """Say where in the filter it happened: its author needs no more of the traceback."""
        frames = traceback.extract_tb(error.__traceback__)
        own = getattr(sys.modules.get(type(self._filter).__module__), "__file__", None)
        last = ([one for one in frames if one.filename == own] or frames)[-1]
        return f" ({Path(last.filename).name}:{last.lineno} in {last.name})"

    def _gain(self, items: Iterable[Item]) -> None:
        """Tell the filter of cameras that it sees for the first time."""
        if not self._minds_sources:
            return
        gained = set()
        for item in items:
            known = self._sources.setdefault(item.record.partition, set())
            if item.frame.source not in known:
                if len(known) < MOST_SOURCES:  # who makes a new name of each frame is told of, not remembered
                    known.add(item.frame.source)
                gained.add(item.frame.source)
        if gained:
            self._tell_sources(frozenset(gained), frozenset())

    def _tell_sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        try:
            self._filter.sources(gained, lost)
        except (Exception, SystemExit) as error:
            raise FilterError(f"sources() of {self._options.name} failed: {_said(error)}") from error

    def lose(self, partitions: Collection[int]) -> None:
        """Forget what is held of partitions that are no longer ours, and tell the filter of their cameras."""
        forgotten = self._held.lose(partitions)
        self._status.held = len(self._held)
        gone = [self._sources.pop(partition) for partition in partitions if partition in self._sources]
        lost = frozenset().union(*gone) - frozenset().union(*self._sources.values())
        for item in forgotten:
            if item.frame.source not in lost:  # nobody tells the filter
                self._held.expect_late(item.key)
        if lost:
            self._tell_sources(frozenset(), lost)

    def tick(self) -> None:
        """Have the filter return, or drop, what it holds back and has waited for long enough."""
        self._answer_held("tick", self._filter.tick)
        _, dropped = self._filter.take_holds()
        for item in self._held.take_answered():
            self._finish(item, 0.0)
        self._drop(dropped)
        self._status.held = len(self._held)
        self._warn_of_holds()

    def end(self) -> None:
        """Have the filter return what it held back; what it still keeps, is filtered out."""
        self._answer_held("end", self._filter.end)
        self._filter.take_holds()
        left = self._held.take_all()
        self._status.held = 0
        for item in left:
            self._finish(item, 0.0)

    def _answer_held(self, name: str, call: Callable[[], Result]) -> None:
        try:
            frames = [frame_of(frame) for frame in _frames(call())]
        except (Exception, SystemExit) as error:
            raise FilterError(f"{name}() of {self._options.name} failed: {_said(error)}") from error
        for frame in frames:
            same = self._held.of(key_of(frame))
            if same:
                next((item for item in same if not item.is_answered), same[0]).results.append(frame)
            elif not self._held.is_late(key_of(frame)):
                warn(f"{name}() returned a frame that is not held back: {key_of(frame)}")

    @property
    def held(self) -> int:
        """Return how many records are held back."""
        return self._status.held


def _frames(result: Result) -> list[Frame]:
    if result is None:
        return []
    frames = [result] if isinstance(result, Frame) else list(result)
    for frame in frames:
        if not isinstance(frame, Frame):
            raise TypeError(f"a frame, several or None is wanted, not {type(frame).__name__}")
    return frames


def _said(error: BaseException) -> str:
    try:
        return f"{type(error).__name__}: {error}"[:MOST_WORDS]
    except Exception as worse:  # noqa: BLE001  a filter's own error may not know what to say
        return f"{type(error).__name__}, which cannot say why ({type(worse).__name__})"
