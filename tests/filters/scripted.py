"""A filter for tests: does to each frame what the frame's own attribute ``test.do`` says."""

from __future__ import annotations

import sys
import time
from collections.abc import Sequence

from imagebus import Field, Filter, FilterOptions, Frame


class Scripted(Filter):
    """Pass frames on, drop them, double them, or fail, as they ask for."""

    class Options(FilterOptions):
        delay_ms: float = Field(0.0, description="time that each frame takes")
        start_s: float = Field(0.0, description="time that the start takes, as with a large model")
        tell: bool = Field(False, description="say on standard error what begins: the start, and each frame")

    options: Options

    def start(self) -> None:
        self._tell("starting")
        time.sleep(self.options.start_s)

    def process(self, frame: Frame) -> Frame | Sequence[Frame] | None:
        self._tell(f"processing {frame.sequence}")
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
        raise AssertionError(frame.attributes)

    def _tell(self, what: str) -> None:
        if self.options.tell:
            print(what, file=sys.stderr, flush=True)


if __name__ == "__main__":
    Scripted.main()
