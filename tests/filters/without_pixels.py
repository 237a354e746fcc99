"""A filter for tests that needs no pictures: it passes every frame on."""

from __future__ import annotations

from typing import ClassVar

from imagebus import Filter, FilterOptions, Frame


class WithoutPixels(Filter):
    """Pass every frame on."""

    pixels: ClassVar[bool] = False
    Options = FilterOptions

    def process(self, frame: Frame) -> Frame:
        return frame


if __name__ == "__main__":
    WithoutPixels.main()
