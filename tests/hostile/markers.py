"""Pictures whose markers are odd or wrong."""

from __future__ import annotations

import random
import struct
from typing import Any

import msgpack

from tests.hostile.frames import OUTPUT, PHOTO, PICTURE, PROGRESSIVE, Made, Make, good, photo


def segments(data: bytes) -> list[tuple[int, int, int]]:
    """Return (marker, begin, end) of every segment before the picture data, the two-byte markers included."""
    found, at = [], 2
    while True:
        marker, length = data[at + 1], int.from_bytes(data[at + 2 : at + 4], "big")
        found.append((marker, at, at + 2 + length))
        at += 2 + length
        if marker == 0xDA:
            return found


def place(marker: int, data: bytes = PHOTO) -> tuple[int, int]:
    return next((begin, end) for found, begin, end in segments(data) if found == marker)


def segment(marker: int, body: bytes) -> bytes:
    return b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body


def framed(what: str, image: bytes, outcome: str) -> Made:
    return what, msgpack.packb(good(image=image)), outcome


def somewhere(chance: random.Random, insertion: bytes) -> bytes:
    """Return the photo with bytes inserted before one of its segments."""
    _, at, _ = chance.choice(segments(PHOTO))
    return PHOTO[:at] + insertion + PHOTO[at:]


def metadata(chance: random.Random) -> Made:
    marker = chance.choice([0xE1, 0xE2, 0xE3, 0xE5, 0xED, 0xEF, 0xFE, 0xF0, 0xF7, 0xFD])
    data = b"secret" + chance.randbytes(chance.choice([0, 10, 60_000]))
    return framed(f"metadata ff {marker:02x}", somewhere(chance, segment(marker, data)), OUTPUT)


def filled(chance: random.Random) -> Made:
    return framed("fill bytes", somewhere(chance, b"\xff" * chance.randint(1, 2000)), OUTPUT)


def junk(chance: random.Random) -> Made:
    return framed("junk between segments", somewhere(chance, bytes(chance.choices(range(255), k=99))), OUTPUT)


def tail(chance: random.Random) -> Made:
    return framed("bytes after the end", PHOTO + chance.randbytes(chance.randint(1, 5000)), OUTPUT)


def forbidden(chance: random.Random) -> Made:
    marker = chance.choice([0xD8, 0xDC, 0xDE, 0xDF])
    return framed(f"marker ff {marker:02x}", somewhere(chance, segment(marker, b"\0\0")), PICTURE)


def coding(chance: random.Random) -> Made:
    begin, _ = place(0xC0)
    marker = chance.choice([0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF])
    return framed(
        f"coding ff {marker:02x}", PHOTO[: begin + 1] + bytes([marker]) + PHOTO[begin + 2 :], PICTURE
    )


def header(chance: random.Random) -> Made:
    begin, _ = place(0xC0)
    at, value = chance.choice(
        [
            (4, b"\x0c"),
            (4, b"\x00"),
            (5, b"\0\0"),
            (7, b"\0\0"),
            (5, b"\xff\xff\xff\xff"),
            (5, b"\xff\xdc\xff\xdc"),
            (5, b"\x18\xa0\x18\xa0"),
            (5, b"\x00\x79"),
            (7, b"\x00\x9f"),
            (9, b"\x02"),
            (9, b"\x05"),
            (9, b"\x00"),
            (11, b"\x00"),
            (11, b"\xff"),
            (12, b"\x07"),
        ]
    )
    at += begin
    return framed(
        f"header {at - begin} = {value.hex()}", PHOTO[:at] + value + PHOTO[at + len(value) :], PICTURE
    )


def without(chance: random.Random) -> Made:
    marker = chance.choice([0xC0, 0xDA, 0xDB])
    image = PHOTO
    for found, begin, end in reversed(segments(PHOTO)):
        if found == marker:
            image = image[:begin] + image[end:]
    return framed(f"without ff {marker:02x}", image, PICTURE)


def length(chance: random.Random) -> Made:
    _, begin, _ = chance.choice(segments(PHOTO))
    claim = chance.choice([0, 1, 65_535])
    image = PHOTO[: begin + 2] + struct.pack(">H", claim) + PHOTO[begin + 4 :]
    return framed(f"a segment claims {claim}", image, PICTURE)


def two_headers(chance: random.Random) -> Made:
    begin, end = place(0xC0)
    return framed("two headers", PHOTO[:end] + PHOTO[begin:end] + PHOTO[end:], PICTURE)


def turned(chance: random.Random) -> Made:
    value, order = chance.randint(1, 8), chance.choice("<>")
    tiff = struct.pack(order + "2sHI", {"<": b"II", ">": b"MM"}[order], 42, 8)
    tiff += struct.pack(order + "HHHIHHI", 1, 0x0112, 3, 1, value, 0, 0)
    image = PHOTO[:2] + segment(0xE1, b"Exif\0\0" + tiff) + PHOTO[2:]
    return framed(f"orientation {value}", image, OUTPUT if value == 1 else PICTURE)


def no_jpeg(chance: random.Random) -> Made:
    start = chance.choice([b"", b"\x89PNG\r\n\x1a\n", b"GIF89a", b"RIFF", b"\0", b"\xff", b"\xd8\xff", b"BM"])
    return framed(f"{start!r}", start + chance.randbytes(chance.randint(0, 300)), PICTURE)


def only_markers(chance: random.Random) -> Made:
    unit = chance.choice([b"\xff", b"\xff\xd0", b"\xff\xfe\0\2", b"\xff\x01", b"\xff\x00"])
    image = (
        PHOTO[:2] + unit * chance.choice([3000, 200_000]) + (PHOTO[2:] if unit[-1:] in b"\xd0\2\1" else b"")
    )
    return framed(f"thousands of {unit.hex()}", image, PICTURE)


def scans(chance: random.Random) -> Made:
    last = PROGRESSIVE.rindex(b"\xff\xda")
    count = chance.choice([101, 3000])
    return framed(
        f"{count} more scans", PROGRESSIVE[:-2] + PROGRESSIVE[last:-2] * count + b"\xff\xd9", PICTURE
    )


def other_kinds(chance: random.Random) -> Made:
    every: list[dict[str, Any]] = [{"progressive": True}, {"optimize": True}, {"subsampling": 0}]
    options = chance.choice([*every, {"subsampling": 1}, {"comment": b"secret"}])
    return framed(f"made with {options}", photo(**options), OUTPUT)


def empty_scan(chance: random.Random) -> Made:
    _, end = place(0xDA)
    return framed("no picture data", PHOTO[:end] + b"\xff\xd9", PICTURE)


MARKERS: list[Make] = [
    metadata,
    filled,
    junk,
    tail,
    forbidden,
    coding,
    header,
    without,
    length,
    two_headers,
    turned,
    no_jpeg,
    only_markers,
    scans,
    other_kinds,
    empty_scan,
    metadata,
    header,
]
