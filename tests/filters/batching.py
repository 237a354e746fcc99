"""A filter for tests: notes with whom a frame was in a batch, looks ahead, and tells of its cameras."""

from __future__ import annotations

import sys
from collections import deque
from collections.abc import Sequence

from imagebus import Field, Filter, FilterOptions, Frame


class Batching(Filter):
    """Pass frames on, so many frames later, with the cameras of their batch in ``test.batch``."""

    class Options(FilterOptions):
        ahead: int = Field(0, description="frames to hold back, of each camera")

    options: Options

    def start(self) -> None:
        self._waiting: dict[str, deque[Frame]] = {}

    def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        print("gained", *sorted(gained), "lost", *sorted(lost), file=sys.stderr, flush=True)
        for source in lost:
            self._waiting.pop(source, None)

    def process_batch(self, frames: Sequence[Frame]) -> list[Frame | None]:
        together = [frame.source for frame in frames]
        if any(frame.attributes.get("test.do") == "fail" for frame in frames):
            raise ValueError("asked to fail")
        return [self._next(frame.with_attributes({"test.batch": together})) for frame in frames]

    def _next(self, frame: Frame) -> Frame | None:
        waiting = self._waiting.setdefault(frame.source, deque())
        waiting.append(frame)
        self.hold(frame)
        return waiting.popleft() if len(waiting) > self.options.ahead else None


if __name__ == "__main__":
    Batching.main()
