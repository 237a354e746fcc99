"""JPEG on the bus: bounded before any pixel is decoded, and without a word about who took it."""

from __future__ import annotations

from typing import Any

import numpy as np
import simplejpeg

from imagebus.errors import FrameError
from imagebus.jpeg_markers import MAX_BYTES, MAX_PIXELS, Header, clean, cleaned, read_header

__all__ = [
    "MAX_BYTES",
    "MAX_PIXELS",
    "Header",
    "clean",
    "decode",
    "encode",
    "read_header",
    "upright",
]

Array = np.ndarray[Any, np.dtype[np.uint8]]

INKS_AT_ONCE = 64
"""Rows of CMYK that are mixed at a time: all at once would take six times the picture's memory."""


def upright(data: bytes, quality: int = 90) -> bytes:
    """Return a clean JPEG as every reader shows it: turned by its Exif mark, and in RGB if it was CMYK.

    Only a picture that needs one of these is decoded and encoded again.

    Raises:
        FrameError: as ``read_header``, or the picture cannot be decoded whole.
    """
    header, kept = cleaned(data)
    if header.orientation == 1 and header.components != 4:
        return kept
    return encode(_turn(decode(kept), header.orientation), quality, whole_colour=header.whole_colour)


def decode(data: bytes, min_width_px: int = 0, min_height_px: int = 0) -> Array:
    """Decode to (height, width, 3) uint8, BGR, a new array.

    With least sizes given, the picture may come out at 1/2, 1/4 or 1/8 of its size, as long as both
    sides stay at least that long.

    Raises:
        FrameError: as ``read_header``, or the picture's data is damaged or incomplete.
    """
    header = read_header(data)
    if header.components == 4:
        return _decode_inks(data, header.inks_inverted)
    try:
        pixels: Array = simplejpeg.decode_jpeg(data, "BGR", **_halved(header, min_width_px, min_height_px))
    except ValueError as error:
        raise FrameError(f"the JPEG cannot be decoded: {error}", "picture") from error
    return pixels


def _halved(header: Header, min_width_px: int, min_height_px: int) -> dict[str, int]:
    """Tell the decoder how small it may go, by halving only: its other ratios cost more than the whole."""
    for factor in (8, 4, 2) if min_width_px or min_height_px else ():
        width, height = -(-header.width // factor), -(-header.height // factor)
        if width >= min_width_px and height >= min_height_px:
            return {"min_width": width, "min_height": height}
    return {}


def encode(pixels: Array, quality: int = 85, *, whole_colour: bool = False) -> bytes:
    """Encode (height, width, 3) uint8 BGR pixels; colour at half resolution (4:2:0) unless asked whole."""
    data: bytes = simplejpeg.encode_jpeg(
        np.ascontiguousarray(pixels), quality, "BGR", "444" if whole_colour else "420"
    )
    return data


def _turn(pixels: Array, orientation: int) -> Array:
    """Apply an Exif orientation: 2, 4, 5 and 7 mirror, 3, 5, 6, 7 and 8 turn."""
    if orientation >= 5:
        pixels = pixels.transpose(1, 0, 2)
    if orientation in (3, 4, 7, 8):
        pixels = pixels[::-1]
    if orientation in (2, 3, 6, 7):
        pixels = pixels[:, ::-1]
    return pixels


def _decode_inks(data: bytes, inverted: bool) -> Array:
    """Decode CMYK or YCCK to BGR, as without a colour profile: each colour is its ink times black."""
    try:
        inks = simplejpeg.decode_jpeg(data, "CMYK")
    except ValueError as error:
        raise FrameError(f"the JPEG cannot be decoded: {error}", "picture") from error
    pixels: Array = np.empty((*inks.shape[:2], 3), np.uint8)
    for top in range(0, len(inks), INKS_AT_ONCE):
        rows = inks[top : top + INKS_AT_ONCE]
        light = rows if inverted else 255 - rows
        colours = light[:, :, 2::-1].astype(np.uint16) * light[:, :, 3:]
        pixels[top : top + INKS_AT_ONCE] = (colours + 127) // 255
    return pixels
