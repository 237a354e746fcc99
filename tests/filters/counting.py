"""A filter for tests that needs no pictures: it notes how many objects of each label a frame has."""

from __future__ import annotations

from collections import Counter
from typing import ClassVar

from imagebus import Field, Filter, FilterOptions, Frame


class Counting(Filter):
    """Count objects by label; with ``--look``, want the picture that is not there."""

    pixels: ClassVar[bool] = False

    class Options(FilterOptions):
        look: bool = Field(False, description="look at the picture")

    options: Options

    def process(self, frame: Frame) -> Frame:
        if self.options.look:
            frame.pixels()
        counts = Counter(detection.label for detection in frame.detections)
        return frame.with_attributes({f"{self.options.name}.count": dict(counts)})


if __name__ == "__main__":
    Counting.main()
