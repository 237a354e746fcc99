"""A filter for tests: each frame says in its ``test.do`` how it ends; also in batches, and held back."""

from __future__ import annotations

import time
from collections.abc import Sequence

from imagebus import Field, Filter, FilterOptions, Frame

HELD = 4


class EveryOutcome(Filter):
    """Pass frames on, filter them out, fail, or hold them back for a while, as they ask for."""

    class Options(FilterOptions):
        delay_ms: float = Field(0.0, description="time that each frame takes")

    options: Options

    def start(self) -> None:
        self._waiting: list[Frame] = []

    def process(self, frame: Frame) -> Frame | Sequence[Frame] | None:
        time.sleep(self.options.delay_ms / 1000)
        match frame.attributes.get("test.do", "pass"):
            case "pass":
                return frame
            case "drop":
                return None
            case "double":
                return [frame, frame]
            case "fail":
                raise ValueError("asked to fail")
            case "swell":
                return frame.with_attributes({"test.ballast": b"x" * 60_000})
            case "hold":
                self.hold(frame)
                self._waiting.append(frame)
                return self._release() if len(self._waiting) >= HELD else None
            case "release":
                return [*self._release(), frame]
        raise AssertionError(frame.attributes)

    def process_batch(self, frames: Sequence[Frame]) -> Sequence[Frame | Sequence[Frame] | None]:
        before = list(self._waiting)
        try:
            return [self.process(frame) for frame in frames]
        except Exception:
            self._waiting = before  # each is tried again alone
            raise

    def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        self._waiting = [frame for frame in self._waiting if frame.source not in lost]

    def end(self) -> Sequence[Frame]:
        return self._release()

    def _release(self) -> list[Frame]:
        """Return all that is held back but the last, which is filtered out."""
        waiting, self._waiting = self._waiting, []
        for frame in waiting[-1:]:
            self.drop(frame)
        return waiting[:-1]


if __name__ == "__main__":
    EveryOutcome.main()
