"""JPEG on the bus: bounded before any pixel is decoded, and without a word about who took it.

The markers are those of ITU-T T.81, annex B; the turn marks those of Exif 2.3, tag 0x0112.
"""

from __future__ import annotations

import re
import struct
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np
import simplejpeg

from imagebus.errors import FrameError

Array = np.ndarray[Any, np.dtype[np.uint8]]

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_SCANS = 100
"""A progressive picture has about ten scans; each costs a pass over the whole picture."""

MAX_MARKERS = 2000
"""Outside picture data; a picture has some tens of them, and ten millions fit into a record."""

INKS_AT_ONCE = 64
"""Rows of CMYK that are mixed at a time: all at once would take six times the picture's memory."""

SOI, EOI, SOS, DNL, DHP, EXP, COM, APP0, APP1, APP14 = (
    0xD8,
    0xD9,
    0xDA,
    0xDC,
    0xDE,
    0xDF,
    0xFE,
    0xE0,
    0xE1,
    0xEE,
)
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
HUFFMAN_HEADERS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
RESTARTS = range(0xD0, 0xD8)
TEM = 0x01
PLAIN_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
# One ff only: a marker may have any number of them before it, but to look for a run takes quadratic time.
MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
SCAN_END = re.compile(rb"\xff([^\x00\xff\xd0-\xd7])", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Header:
    """What a JPEG says of itself: size in pixels, components (1, 3 or 4) and how it must be turned."""

    width: int
    height: int
    components: int
    whole_colour: bool
    """Whether colour is stored at full resolution (4:4:4)."""
    orientation: int
    """Exif: 1 is upright, 2..8 must be mirrored or turned first."""
    inks_inverted: bool
    """Whether an Adobe marker is there: CMYK values then count light, not ink."""


def read_header(data: bytes) -> Header:
    """Read the header without decoding a pixel.

    Raises:
        FrameError: no JPEG, of a kind that not every reader knows, or beyond 40 megapixels.
    """
    return _walk(data, header_only=True)[0]


def clean(data: bytes) -> bytes:
    """Return the JPEG without metadata: no APPn but JFIF and Adobe, no comment, nothing after its end.

    The picture's own data is not touched; a JPEG that is clean already comes back as the same object.

    Raises:
        FrameError: as ``read_header``; also a picture with no end, or one that must be turned first
            (``upright`` does that).
    """
    header, kept = _walk(data, header_only=False)
    if header.orientation != 1:
        refuse(f"its Exif orientation is {header.orientation}: turn the pixels before publishing")
    return data if len(kept) == len(data) and kept == data else kept


def upright(data: bytes, quality: int = 90) -> bytes:
    """Return a clean JPEG as every reader shows it: turned by its Exif mark, and in RGB if it was CMYK.

    Only a picture that needs one of these is decoded and encoded again.

    Raises:
        FrameError: as ``read_header``, or the picture cannot be decoded whole.
    """
    header, kept = _walk(data, header_only=False)
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


def refuse(what: str) -> NoReturn:
    """Raise the error of a picture that is no acceptable JPEG."""
    raise FrameError(f"not an acceptable JPEG: {what}", "picture")


def _walk(data: bytes, *, header_only: bool) -> tuple[Header, bytes]:
    """Walk all segments; return the header and the bytes that may stay."""
    if len(data) > MAX_BYTES:
        refuse(f"{len(data)} bytes, at most {MAX_BYTES} go through")
    if data[:2] != b"\xff\xd8":
        refuse(f"it begins with {data[:4].hex(' ') or 'nothing'}, not with ff d8")
    shape: tuple[int, int, int, bool] | None = None
    orientation, inverted, scans, at = 1, False, 0, 2
    parts = [b"\xff\xd8"]
    for _ in range(MAX_MARKERS):
        found = MARKER.search(data, at)
        if found is None:
            refuse("it ends before its end marker (ff d9)" if shape else "it ends before its header")
        marker, at = found[1][0], found.end()
        if marker == EOI:
            break
        if marker in RESTARTS or marker == TEM:
            continue
        if marker in (SOI, DNL, DHP, EXP):
            refuse(f"it holds a marker ff {marker:02x}, which cameras' pictures do not have")
        body, at = _segment(data, at)
        if marker in FRAME_HEADERS:
            if shape is not None:
                refuse("it has two headers")
            shape = _frame_header(marker, body)
        elif marker == APP1:
            orientation = _orientation(body) or orientation
        elif marker == APP14 and body[:5] == b"Adobe":
            inverted = True
        if header_only and marker == SOS:
            break
        if (keep := _kept(marker, body)) is not None:
            parts.append(b"\xff" + bytes([marker]) + struct.pack(">H", len(keep) + 2) + keep)
        if marker == SOS:
            scans += 1
            if shape is None or scans > MAX_SCANS:
                refuse("picture data before its header" if shape is None else f"more than {MAX_SCANS} scans")
            end = SCAN_END.search(data, at)
            if end is None:
                refuse("it ends before its end marker (ff d9)")
            parts.append(data[at : end.start()])
            at = end.start()
    else:
        refuse(f"more than {MAX_MARKERS} markers")
    if shape is None or (not scans and not header_only):
        refuse("it has no picture data")
    width, height, components, whole = shape
    parts.append(b"\xff\xd9")
    return Header(width, height, components, whole, orientation, inverted), b"".join(parts)


def _segment(data: bytes, at: int) -> tuple[bytes, int]:
    """Return the segment's body, without its length, and where the next one begins."""
    if at + 2 > len(data):
        refuse("it ends inside its header")
    length = int.from_bytes(data[at : at + 2], "big")
    if length < 2 or at + length > len(data):
        refuse(f"a segment claims {length} bytes where {len(data) - at} are left")
    return data[at + 2 : at + length], at + length


def _frame_header(marker: int, body: bytes) -> tuple[int, int, int, bool]:
    """Check a frame header (T.81, B.2.2); return width, height, components, whole colour."""
    if marker not in HUFFMAN_HEADERS:
        refuse(f"coding ff {marker:02x} (arithmetic, lossless or hierarchical) is not widely readable")
    if len(body) < 6 or len(body) != 6 + 3 * body[5]:
        refuse("its header is cut short")
    precision, height, width, components = struct.unpack(">BHHB", body[:6])
    if precision != 8 or components not in (1, 3, 4):
        refuse(f"{components} components of {precision} bits; 1, 3 or 4 of 8 go through")
    if not width or not height or width * height > MAX_PIXELS:
        refuse(f"it claims {width}x{height} pixels, at most {MAX_PIXELS} go through")
    factors = body[7::3]
    return width, height, components, components > 1 and len(set(factors)) == 1


def _kept(marker: int, body: bytes) -> bytes | None:
    """Return what stays of a segment: tables and headers whole, JFIF and Adobe in their plain form."""
    if marker == APP0 and body[:5] == b"JFIF\0":
        return PLAIN_JFIF if len(body) < 14 else body[:12] + b"\0\0"
    if marker == APP14 and body[:5] == b"Adobe" and len(body) >= 12:
        return body[:12]
    if APP0 <= marker <= 0xEF or marker == COM or 0xF0 <= marker <= 0xFD:
        return None
    return body


def _orientation(body: bytes) -> int | None:
    """Return the turn mark of an Exif segment, or none where it has no valid one."""
    if body[:6] != b"Exif\0\0" or body[6:8] not in (b"II", b"MM"):
        return None
    tiff, order = body[6:], "<" if body[6:8] == b"II" else ">"
    if len(tiff) < 8:
        return None
    at = struct.unpack(order + "I", tiff[4:8])[0]
    entries = struct.unpack(order + "H", tiff[at : at + 2])[0] if at + 2 <= len(tiff) else 0
    for entry in range(at + 2, min(at + 2 + 12 * entries, len(tiff) - 11), 12):
        tag, kind, count, value = struct.unpack(order + "HHIH", tiff[entry : entry + 10])
        if (tag, kind, count) == (0x0112, 3, 1) and 1 <= value <= 8:
            return int(value)
    return None


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
