"""From a decoder's frame to upright pixels in true colours."""

from __future__ import annotations

import struct
from typing import Any, Final

import numpy as np

Array = np.ndarray[Any, np.dtype[np.uint8]]
Matrix = tuple[int, int, int, int]
"""(a, b, c, d) of a display matrix, as signs: x' = a x + c y, y' = b x + d y."""
UPRIGHT: Final = (1, 0, 0, 1)

LIMITED: Final = 1
FULL: Final = 2
"""AVColorRange of libavutil/pixfmt.h."""
BT709: Final = 1
BT601: Final = 5
SWSCALE_MATRIX: Final = {1: BT709, 4: 4, 5: BT601, 6: BT601, 7: 7, 9: 9, 10: 9}
"""From AVColorSpace (ITU-T H.273, table 4) to the constants of libswscale."""
HD_LINES: Final = 720


def colour_matrix(colorspace: int, height: int) -> int:
    """Return the matrix that the frame names, else what players assume: bt601, from 720 lines on bt709."""
    return SWSCALE_MATRIX.get(colorspace, BT709 if height >= HD_LINES else BT601)


def colour_range(color_range: int, pixel_format: str) -> int:
    """Return the range that the frame names, else limited for YUV and full for grey and JPEG's formats."""
    if color_range in (LIMITED, FULL):
        return color_range
    return FULL if pixel_format.startswith(("yuvj", "gray", "ya")) else LIMITED


def to_bgr(frame: Any, reformatter: Any) -> Array:
    """Convert an ``av.VideoFrame`` to (height, width, 3) uint8 BGR, not yet turned.

    Transparency is dropped; more than 8 bits are rounded to 8.
    """
    format_name: str = frame.format.name
    source = (
        {}
        if frame.format.is_rgb
        else {
            "src_colorspace": colour_matrix(frame.colorspace, frame.height),
            "src_color_range": colour_range(frame.color_range, format_name),
        }
    )
    converted = reformatter.reformat(frame, format="bgr24", dst_color_range=FULL, threads=1, **source)
    pixels: Array = converted.to_ndarray()
    return pixels


def display_matrix(frame: Any) -> Matrix:
    """Return the frame's display matrix.

    Not to be asked of every frame: asking ties the frame into a reference cycle, and memory grows.
    """
    for data in frame.side_data:
        if data.type.name == "DISPLAYMATRIX":
            a, b, _, c, d = struct.unpack_from("<5i", bytes(data))
            return _sign(a), _sign(b), _sign(c), _sign(d)
    return UPRIGHT


def turned(pixels: Array, matrix: Matrix) -> Array:
    """Turn and mirror by quarter turns; any other matrix leaves the picture as it is."""
    a, b, c, d = matrix
    if (abs(a), abs(b), abs(c), abs(d)) == (0, 1, 1, 0):
        pixels = pixels.transpose(1, 0, 2)
        a, d = c, b
    elif (abs(a), abs(b), abs(c), abs(d)) != (1, 0, 0, 1):
        return pixels
    pixels = pixels[:, ::-1] if a < 0 else pixels
    return pixels[::-1] if d < 0 else pixels


def _sign(value: int) -> int:
    """Round a 16.16 fixed-point entry to -1, 0 or 1."""
    return round(max(-1.0, min(1.0, value / 65536)))
