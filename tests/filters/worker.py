"""A filter for tests: writes into each frame which process had it; the frame says what else to do."""

from __future__ import annotations

import os
import time
from collections.abc import Sequence

from imagebus import Field, Filter, FilterOptions, Frame


class Worker(Filter):
    """Pass frames on with the attribute ``test.pid``, drop them, or fail."""

    class Options(FilterOptions):
        delay_ms: float = Field(0.0, description="time that each frame takes")

    options: Options

    def process_batch(self, frames: Sequence[Frame]) -> list[Frame | None]:
        time.sleep(self.options.delay_ms * len(frames) / 1000)
        return [self._done(frame, len(frames)) for frame in frames]

    def _done(self, frame: Frame, batch: int) -> Frame | None:
        match frame.attributes.get("test.do", "pass"):
            case "drop":
                return None
            case "fail":
                raise ValueError("asked to fail")
        return frame.with_attributes({"test.pid": os.getpid(), "test.batch": batch})


if __name__ == "__main__":
    Worker.main()
