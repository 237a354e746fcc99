"""A filter for tests that looks ten frames ahead: each is published when the tenth after it has come."""

from __future__ import annotations

import time

from imagebus import Field, Filter, FilterOptions, Frame

AHEAD = 10


class Ahead(Filter):
    """Hold ten frames of each camera back, and note on each how many had come since."""

    class Options(FilterOptions):
        delay_ms: float = Field(0.0, description="time that each frame takes")

    options: Options

    def start(self) -> None:
        self._waiting: dict[str, list[Frame]] = {}

    def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        for source in lost:
            self._waiting.pop(source, None)

    def process(self, frame: Frame) -> Frame | None:
        time.sleep(self.options.delay_ms / 1000)
        waiting = self._waiting.setdefault(frame.source, [])
        waiting.append(frame)
        self.hold(frame)
        return self._published(waiting) if len(waiting) > AHEAD else None

    def end(self) -> list[Frame]:
        return [self._published(waiting) for waiting in self._waiting.values() for _ in range(len(waiting))]

    def _published(self, waiting: list[Frame]) -> Frame:
        frame = waiting.pop(0)
        return frame.with_attributes({"test.ahead": len(waiting)})


if __name__ == "__main__":
    Ahead.main()
