"""A filter for tests: each frame says in its ``test.do`` how it ends; also in batches, and held back."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

from imagebus import Frame

sys.path.append(str(Path(__file__).parents[2]))  # where it runs as a program
from tests.filters.scripted import Scripted

HELD = 4


class EveryOutcome(Scripted):
    """Hold frames back for a while, too, as they ask for."""

    def start(self) -> None:
        super().start()
        self._waiting: list[Frame] = []

    def process(self, frame: Frame) -> Frame | Sequence[Frame] | None:
        match frame.attributes.get("test.do"):
            case "hold":
                self.hold(frame)
                self._waiting.append(frame)
                return self._release() if len(self._waiting) >= HELD else None
            case "release":
                return [*self._release(), frame]
        return super().process(frame)

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
