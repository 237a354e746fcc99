"""Black boxes that stay black: what a JPEG decoder makes of them is black to the last pixel."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from imagebus import Frame, jpeg
from imagebus.frame import Box

MCU_PX = 16
"""A JPEG is coded in blocks of 16x16 (4:2:0); one that is not black all over rings into its black part."""


def black_out(frame: Frame, boxes: Iterable[Box]) -> Frame:
    """Return the frame with these boxes black, each grown to whole blocks of the JPEG.

    Colour is kept at full resolution: decoders smooth half-resolution colour, so that the neighbour's would
    bleed one pixel into the black, and ring further in with every later encoding.

    Raises:
        FrameError: the picture cannot be decoded.
    """
    pixels = frame.pixels()
    for left, top, right, bottom in map(grown, boxes):
        pixels[top:bottom, left:right] = 0
    return frame.with_image(jpeg.encode(pixels, whole_colour=True))


def black_picture(frame: Frame) -> Frame:
    """Return the frame with an all-black picture of its size; the old one is not even decoded."""
    black: np.ndarray[Any, np.dtype[np.uint8]] = np.zeros((frame.height, frame.width, 3), np.uint8)
    return frame.with_image(black)


def grown(box: Box) -> Box:
    """Return the smallest box of whole blocks around a box; it may reach beyond the picture."""
    left, top, right, bottom = box
    return left // MCU_PX * MCU_PX, top // MCU_PX * MCU_PX, _up(right), _up(bottom)


def _up(edge: int) -> int:
    return -(-edge // MCU_PX) * MCU_PX
