"""The markers of a JPEG, walked without decoding a pixel: what it says of itself, and what may stay.

The markers are those of ITU-T T.81, annex B; the turn mark is that of Exif 2.3, tag 0x0112.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NoReturn

import numpy as np

from imagebus.errors import FrameError

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
MAX_SAMPLES = 3 * MAX_PIXELS
"""One for each component of a pixel: of four inks, a decoder holds up to twelve bytes a pixel."""

MAX_SCANS = 100
"""A progressive picture has about ten scans; each costs a pass over the whole picture."""

MAX_MARKERS = 2000
"""Outside picture data; a picture has some tens of them, and ten millions fit into a record."""

SOI, EOI, SOS = 0xD8, 0xD9, 0xDA
DNL, DHP, EXP = 0xDC, 0xDE, 0xDF
APP0, APP1, APP14, COM = 0xE0, 0xE1, 0xEE, 0xFE
FRAME_HEADERS = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
HUFFMAN_HEADERS = {0xC0: "baseline", 0xC1: "extended", 0xC2: "progressive"}
SCAN = 0
RESTARTS = range(0xD0, 0xD8)
TEM = 0x01
DHT, DQT, DRI = 0xC4, 0xDB, 0xDD
NEEDED = {SOI, SCAN, EOI, SOS, DHT, DQT, DRI, *HUFFMAN_HEADERS}
"""What a picture is decoded from; everything else goes."""
PLAIN_JFIF = b"JFIF\0\x01\x01\0\0\x01\0\x01\0\0"
# One ff only: a marker may have any number of them before it, but to look for a run takes quadratic time.
MARKER = re.compile(rb"\xff([^\x00\xff])", re.DOTALL)
WINDOW_BYTES = 64 * 1024


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
    reader = _Reader()
    for segment in _segments(data):
        reader.take(segment)
        if segment.marker == SOS:
            break
    return reader.header


def clean(data: bytes) -> bytes:
    """Return the JPEG without metadata: no APPn but JFIF and Adobe, no comment, nothing after its end.

    The picture's own data is not touched; a JPEG that is clean already comes back as the same object.

    Raises:
        FrameError: as ``read_header``; also a picture with no end, or one that must be turned first
            (``upright`` does that).
    """
    header, kept = cleaned(data)
    if header.orientation != 1:
        refuse(f"its Exif orientation is {header.orientation}: turn the pixels before publishing")
    return kept


def refuse(what: str) -> NoReturn:
    """Raise the error of a picture that is no acceptable JPEG."""
    raise FrameError(f"not an acceptable JPEG: {what}", "picture")


@dataclass(frozen=True, slots=True)
class _Segment:
    """A stretch of a JPEG: a marker with its body, or the coded data of a scan (marker 0)."""

    marker: int
    begin: int
    end: int
    body: bytes = b""


def _scan_end(data: bytes, at: int) -> int | None:
    """Return where the coded picture ends: at an ff before what is no stuffing, no fill and no restart.

    It looks at every byte of every frame, so numpy does it, window by window, whatever the bytes are.
    """
    content = np.frombuffer(data, np.uint8)
    for begin in range(at, len(data) - 1, WINDOW_BYTES):
        marks = begin + np.flatnonzero(content[begin : min(begin + WINDOW_BYTES, len(data) - 1)] == 0xFF)
        after = content[marks + 1]
        ends = marks[(after != 0) & (after != 0xFF) & ((after < 0xD0) | (after > 0xD7))]
        if len(ends):
            return int(ends[0])
    return None


def _segments(data: bytes) -> Iterator[_Segment]:
    """Yield all segments from the start marker to the end marker; junk between them is left out."""
    if len(data) > MAX_BYTES:
        refuse(f"{len(data)} bytes, at most {MAX_BYTES} go through")
    if data[:2] != b"\xff\xd8":
        refuse(f"it begins with {data[:4].hex(' ') or 'nothing'}, not with ff d8")
    yield _Segment(SOI, 0, 2)
    at = 2
    for _ in range(MAX_MARKERS):
        found = MARKER.search(data, at)
        if found is None:
            refuse("it ends before its end marker (ff d9)")
        marker, begin, at = found[1][0], found.end() - 2, found.end()
        if marker == EOI:
            yield _Segment(EOI, begin, at)
            return
        if marker in RESTARTS or marker == TEM:
            continue
        if marker in (SOI, DNL, DHP, EXP):
            refuse(f"it holds a marker ff {marker:02x}, which cameras' pictures do not have")
        length = int.from_bytes(data[at : at + 2], "big")
        if length < 2 or at + length > len(data):
            refuse(f"a segment claims {length} bytes where {len(data) - at} are left")
        yield _Segment(marker, begin, at + length, data[at + 2 : at + length])
        at += length
        if marker == SOS:
            end = _scan_end(data, at)
            if end is None:
                refuse("it ends before its end marker (ff d9)")
            yield _Segment(SCAN, at, end)
            at = end
    refuse(f"more than {MAX_MARKERS} markers")


class _Reader:
    """Gathers what the segments of one JPEG say of it."""

    def __init__(self) -> None:
        self._shape: tuple[int, int, int, bool] | None = None
        self._orientation = 1
        self._inverted = False
        self._scans = 0

    def take(self, segment: _Segment) -> None:
        if segment.marker in FRAME_HEADERS:
            if self._shape is not None:
                refuse("it has two headers")
            self._shape = _frame_header(segment.marker, segment.body)
        elif segment.marker == APP1:
            self._orientation = _orientation(segment.body) or self._orientation
        elif segment.marker == APP14 and segment.body[:5] == b"Adobe":
            self._inverted = True
        elif segment.marker == SOS:
            self._scans += 1
            if self._scans > MAX_SCANS:
                refuse(f"more than {MAX_SCANS} scans")

    @property
    def header(self) -> Header:
        if self._shape is None or not self._scans:
            refuse("it has no picture data")
        return Header(*self._shape, self._orientation, self._inverted)


def cleaned(data: bytes) -> tuple[Header, bytes]:
    """Walk all segments; return the header and the bytes that may stay, the same object if all may."""
    reader, kept = _Reader(), _Kept(data)
    for segment in _segments(data):
        reader.take(segment)
        if segment.marker == SOS:
            reader.header  # noqa: B018  refuses data that comes before the frame header
        plain = _plain(segment)
        if plain == segment.body:
            kept.span(segment.begin, segment.end)
        elif plain is not None:
            kept.piece(bytes([0xFF, segment.marker]) + struct.pack(">H", len(plain) + 2) + plain)
    return reader.header, kept.joined()


class _Kept:
    """Joins stretches of the data, copying none where they are all of it."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._pieces: list[bytes] = []
        self._begin = self._end = 0

    def span(self, begin: int, end: int) -> None:
        if begin != self._end:
            self._cut()
            self._begin = begin
        self._end = end

    def piece(self, piece: bytes) -> None:
        self._cut()
        self._begin = self._end = -1
        self._pieces.append(piece)

    def _cut(self) -> None:
        if self._end > self._begin:
            self._pieces.append(self._data[self._begin : self._end])

    def joined(self) -> bytes:
        if not self._pieces and (self._begin, self._end) == (0, len(self._data)):
            return self._data
        self._cut()
        return b"".join(self._pieces)


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
    if width * height * components > MAX_SAMPLES:
        refuse(f"{width}x{height} pixels of {components} inks, at most {MAX_SAMPLES} samples go through")
    factors = body[7::3]
    return width, height, components, components > 1 and len(set(factors)) == 1


def _plain(segment: _Segment) -> bytes | None:
    """Return the body that stays of a segment: tables and headers whole, JFIF and Adobe in plain form."""
    marker, body = segment.marker, segment.body
    if marker == APP0 and body[:5] == b"JFIF\0":
        return PLAIN_JFIF if len(body) < 14 else body[:12] + b"\0\0"
    if marker == APP14 and body[:5] == b"Adobe" and len(body) >= 12:
        return body[:12]
    if marker in (DQT, DHT, DRI, SOS) and not _is_exact(marker, body):
        refuse(f"its segment ff {marker:02x} of {len(body)} bytes holds more or less than such a segment has")
    return body if marker in NEEDED else None


def _is_exact(marker: int, body: bytes) -> bool:
    """Whether a table or scan header holds what it must and not a byte more (T.81, B.2.3 and B.2.4)."""
    if marker == DRI:
        return len(body) == 2
    if marker == SOS:
        return len(body) >= 1 and len(body) == 4 + 2 * body[0]
    at = 0
    while at < len(body):
        if marker == DQT:
            at += 1 + 64 * (1 + (body[at] >> 4))
        else:
            at += 17 + sum(body[at + 1 : at + 17])
    return at == len(body) > 0


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
