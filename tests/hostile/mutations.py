"""A thousand ways in which a record is odd or wrong, and what must become of each, known by construction."""

from __future__ import annotations

import io
import random
import struct
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import msgpack
import numpy as np
from PIL import Image

from tests.broker import plain_frame

OUTPUT, UNDECODABLE, PICTURE = "output", "undecodable", "picture"
Raw = bytes
Made = tuple[str, bytes, str]
"""What was done, the record's value, and the outcome."""

WIDTH, HEIGHT = 160, 120
REQUIRED = ("source", "epoch", "sequence", "captured_ns", "width", "height", "image")
OPTIONAL = ("v", "run", "detections", "trail", "attributes")


@dataclass(frozen=True)
class Mutation:
    """One record, and what must become of it."""

    what: str
    value: bytes
    outcome: str


def photo(**options: Any) -> bytes:
    """Return a picture with something in every block."""
    down, across = np.mgrid[0:HEIGHT, 0:WIDTH]
    pixels = np.stack([across + down, 2 * across, 3 * down + across], 2).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, **options)
    return buffer.getvalue()


PHOTO = photo()
PROGRESSIVE = photo(progressive=True)


def good(**changes: Any) -> dict[str, Any]:
    """Return a frame in which somebody looked for people and found one: all its pixels are decoded."""
    frame = {"width": WIDTH, "height": HEIGHT, "image": PHOTO, "detections": [person()], "trail": [hop()]}
    return {**plain_frame(7), **frame, **changes}


def person(**changes: Any) -> dict[str, Any]:
    return {"label": "person", "confidence": 0.5, "box": [16, 16, 60, 100], **changes}


def hop(**changes: Any) -> dict[str, Any]:
    times = {"received_ns": 1, "published_ns": 2}
    return {
        "stage": "s",
        "kind": "k",
        "version": "1",
        "topic": "T",
        **times,
        "searched": ["person"],
        **changes,
    }


def packed(frame: dict[str, Any], **raw: bytes) -> bytes:
    """Return a frame as bytes, with some of its fields given as bytes of MessagePack already."""
    fields = [(msgpack.packb(key), raw.get(key) or msgpack.packb(value)) for key, value in frame.items()]
    return bytes([0x80 + len(fields)]) + b"".join(key + value for key, value in fields)


def mutations(seed: int) -> list[Mutation]:
    """Return a thousand records: 250 each of map structure, field limits, JPEG markers and truncation."""
    chance = random.Random(seed)
    found = []
    for family in (STRUCTURE, LIMITS, MARKERS, TRUNCATIONS):
        found += [Mutation(*family[number % len(family)](chance)) for number in range(250)]
    return found


# ---- map structure


def missing(chance: random.Random) -> Made:
    field = chance.choice(REQUIRED)
    frame = good()
    del frame[field]
    return f"without {field}", msgpack.packb(frame), UNDECODABLE


def absent(chance: random.Random) -> Made:
    fields = chance.sample(OPTIONAL, chance.randint(1, len(OPTIONAL)))
    frame = {key: value for key, value in good().items() if key not in fields}
    return f"without {fields}", msgpack.packb(frame), OUTPUT


def unknown(chance: random.Random) -> Made:
    where = chance.choice(["frame", "detection", "hop"])
    key = chance.choice(["", "x", "Source", "images", "__class__", "猫"])
    changes: dict[str, Any] = {
        "frame": {key: 1},
        "detection": {"detections": [person(**{key: 1})]},
        "hop": {"trail": [hop(**{key: 1})]},
    }[where]
    return f"unknown {key!r} in {where}", msgpack.packb(good(**changes)), UNDECODABLE


def wrong_type(chance: random.Random) -> Made:
    field = chance.choice([*REQUIRED, *OPTIONAL])
    wrong: list[Any] = [None, True, 1.5, -1, [1], {1: 2}, msgpack.ExtType(3, b"x"), msgpack.Timestamp(1)]
    value = chance.choice(wrong)
    if field in ("detections", "trail") and value == [1]:
        value = [[1]]
    if field == "attributes" and value == {1: 2}:
        value = "text"
    return f"{field} = {value!r}", msgpack.packb(good(**{field: value})), UNDECODABLE


def bytes_for_text(chance: random.Random) -> Made:
    field = chance.choice(["source", "epoch", "run"])
    return f"{field} as bytes", msgpack.packb(good(**{field: b"bytes"})), UNDECODABLE


def text_for_bytes(chance: random.Random) -> Made:
    return "image as text", msgpack.packb(good(image="text" * chance.randint(1, 99))), UNDECODABLE


def trailing(chance: random.Random) -> Made:
    return "bytes after the map", msgpack.packb(good()) + chance.randbytes(chance.randint(1, 30)), UNDECODABLE


def huge_count(chance: random.Random) -> Made:
    field = chance.choice(["source", "image", "detections", "trail", "attributes", "run"])
    head = {"source": b"\xdb", "run": b"\xdb", "image": b"\xc6", "attributes": b"\xdf"}.get(field, b"\xdd")
    count = chance.choice([0xFFFFFFFF, 0x7FFFFFFF, 0x10000000])
    return f"{field} claims {count}", packed(good(), **{field: head + count.to_bytes(4, "big")}), UNDECODABLE


def huge_count_within(chance: random.Random) -> Made:
    head = chance.choice([b"\xdd", b"\xdf", b"\xc6", b"\xdb", b"\xc9"])
    value = b"\x81\xa1a" + head + chance.choice([b"\xff\xff\xff\xff", b"\x0f\xff\xff\xff"])
    return f"attribute {head.hex()} claims much", packed(good(), attributes=value), UNDECODABLE


def huge_map(chance: random.Random) -> Made:
    head = chance.choice([b"\xdf\xff\xff\xff\xff", b"\xde\xff\xff", b"\x8f"])
    return "the map claims more fields", head + msgpack.packb(good())[1:], UNDECODABLE


def extension_within(chance: random.Random) -> Made:
    value = msgpack.ExtType(chance.randint(0, 127), chance.randbytes(20))
    return "extension in attributes", msgpack.packb(good(attributes={"a.b": value})), OUTPUT


def duplicate(chance: random.Random) -> Made:
    field = chance.choice(["source", "sequence", "width", "detections", "image"])
    value, outcome = (good()[field], OUTPUT) if chance.random() < 0.5 else (None, UNDECODABLE)
    plain = msgpack.packb(good())
    data = bytes([plain[0] + 1]) + plain[1:] + msgpack.packb(field) + msgpack.packb(value)
    return f"{field} twice, then {value!r:.20}", data, outcome


def not_utf8(chance: random.Random) -> Made:
    text = chance.choice([b"\xff", b"\xc3(", b"\xed\xa0\x80", b"\xf8\x88\x80\x80\x80", b"ok\x80"])
    raw = bytes([0xA0 + len(text)]) + text
    if chance.random() < 0.3:
        plain = msgpack.packb(good())
        return f"key {text!r}", bytes([plain[0] + 1]) + plain[1:] + raw + b"\xc0", UNDECODABLE
    field = chance.choice(["source", "epoch", "run"])
    return f"{field} = {text!r}", packed(good(), **{field: raw}), UNDECODABLE


def deep(chance: random.Random) -> Made:
    unit, depth = chance.choice([b"\x91", b"\x81\xa1a"]), chance.choice([5_000, 60_000])
    depth = min(depth, 20_000) if len(unit) > 1 else depth
    return f"{depth} deep", packed(good(), attributes=b"\x81\xa1a" + unit * depth + b"\xc0"), UNDECODABLE


def nested(chance: random.Random) -> Made:
    value: Any = chance.choice([None, 1, "x", b"y", 1.5, True])
    for _ in range(chance.randint(1, 50)):
        value = [value] if chance.random() < 0.5 else {"k": value}
    return "nested attributes", msgpack.packb(good(attributes={"a.b": value})), OUTPUT


def no_map(chance: random.Random) -> Made:
    frame = good()
    others: list[Any] = [
        [],
        list(frame.values()),
        0,
        -5,
        "text",
        b"\0\1",
        None,
        True,
        1.5,
        {},
        msgpack.Timestamp(9),
    ]
    value = chance.choice(others)
    return f"no frame but {value!r:.20}", msgpack.packb(value), UNDECODABLE


def noise(chance: random.Random) -> Made:
    data = chance.choice([b"\xc1", b"\x00", b"{}", b"\x80\x04\x95.", b"\xff\xd8"]) + chance.randbytes(
        chance.randint(0, 500)
    )
    return "noise", data, UNDECODABLE


def shuffled(chance: random.Random) -> Made:
    fields = list(good().items())
    chance.shuffle(fields)
    return "fields in another order", msgpack.packb(dict(fields)), OUTPUT


def wide(chance: random.Random) -> Made:
    plain = msgpack.packb(good())
    width, height = b"\xcf" + struct.pack(">Q", WIDTH), b"\xce" + struct.pack(">I", HEIGHT)
    data = b"\xdf" + struct.pack(">I", plain[0] & 15) + packed(good(), width=width, height=height)[1:]
    return "everything written longer than needed", data, OUTPUT


def keys_as_bytes(chance: random.Random) -> Made:
    some = chance.choice(REQUIRED)
    data = msgpack.packb({key.encode() if key == some else key: value for key, value in good().items()})
    return f"key {some} as bytes", data, UNDECODABLE


STRUCTURE: list[Callable[[random.Random], Made]] = [
    missing, absent, unknown, wrong_type, bytes_for_text, text_for_bytes, trailing, huge_count, huge_count_within,
    huge_map, extension_within, duplicate, not_utf8, deep, nested, no_map, noise, shuffled, wide, keys_as_bytes,
]  # fmt: skip


# ---- field limits


def limit(field: str, right: list[Any], wrong: list[Any]) -> Callable[[random.Random], Made]:
    """Return a mutation that sets a field of the frame to a value just inside or just outside its bounds."""

    def made(chance: random.Random) -> Made:
        value, outcome = chance.choice([(v, OUTPUT) for v in right] + [(v, UNDECODABLE) for v in wrong])
        return f"{field} = {value!r:.40}", msgpack.packb(good(**{field: value})), outcome

    return made


def in_detection(field: str, right: list[Any], wrong: list[Any]) -> Callable[[random.Random], Made]:
    inner = limit("detections", *([[person(**{field: v})] for v in values] for values in (right, wrong)))
    return lambda chance: inner(chance)


def in_hop(field: str, right: list[Any], wrong: list[Any]) -> Callable[[random.Random], Made]:
    inner = limit("trail", *([[hop(**{field: v})] for v in values] for values in (right, wrong)))
    return lambda chance: inner(chance)


NAMES = ["x", "x" * 256, "é" * 128, "猫" * 85 + "x", "\0", "a\nb", "../../x"]
NO_NAMES = ["", "x" * 257, "é" * 129, "猫" * 86, 5, None]
COUNTS = [0, 1, 2**31, 2**32, 2**53 + 1]
NO_COUNTS = [-1, 2**63, 2**64 - 1, 0.0, 1e300, "1", None, False]
SHARES = [0, 1, 0.0, 1.0, 0.5, 5e-324]
NO_SHARES = [-0.01, 1.01, -1, 2, float("nan"), float("inf"), float("-inf"), "0.5", None]
BOXES = [[0, 0, WIDTH, HEIGHT], [0, 0, 1, 1], [159, 119, 160, 120], [3, 5, 7, 11]]
NO_BOXES = [
    [0, 0, 161, 120], [0, 0, 160, 121], [-1, 0, 5, 5], [0, -9, 5, 5], [5, 5, 5, 9], [5, 5, 9, 5], [9, 9, 5, 5],
    [0, 0, 2**31, 5], [0, 0, 2**64 - 1, 5], [0, 0, 5], [0, 0, 5, 5, 5], [0.0, 0.0, 5.0, 5.0], [], "0055", None,
    [float("nan")] * 4, [0, 0, "5", 5], [160, 120, 161, 121],
]  # fmt: skip


def attributes(chance: random.Random) -> Made:
    over = chance.randint(0, 1)
    # 65,536 bytes: one of the map, two of the key, three before the bytes
    filler = b"x" * (65_536 - 6 + over)
    if chance.random() < 0.5:
        return (
            f"attributes {over} over",
            msgpack.packb(good(attributes={"a": filler})),
            (OUTPUT, UNDECODABLE)[over],
        )
    boxes = [person(attributes={"a": filler[: len(filler) // 2]}), person(attributes={"a": filler[6::2]})]
    size = sum(len(msgpack.packb(box["attributes"])) for box in boxes)
    outcome = OUTPUT if size <= 65_536 else UNDECODABLE
    return f"attributes of two, {size} bytes", msgpack.packb(good(detections=boxes)), outcome


def many(chance: random.Random) -> Made:
    field, most, one = chance.choice([("detections", 1000, person()), ("trail", 32, hop())])
    # a filter adds a hop of its own: after 32 there is no room for it
    count = most + chance.choice([-1, 1]) if field == "trail" else most + chance.choice([0, 1])
    return (
        f"{count} {field}",
        msgpack.packb(good(**{field: [one] * count})),
        OUTPUT if count <= most else UNDECODABLE,
    )


def beside(chance: random.Random) -> Made:
    labels = ["x" * 250] * (9000 if chance.random() < 0.5 else 1000)
    outcome = UNDECODABLE if len(labels) == 9000 else OUTPUT
    return (
        f"{len(labels)} labels searched",
        msgpack.packb(good(trail=[hop(searched=["person", *labels])])),
        outcome,
    )


def other_size(chance: random.Random) -> Made:
    field = chance.choice(["width", "height"])
    value = chance.choice([100 + chance.randint(61, 900), 65535])
    return f"{field} = {value}", msgpack.packb(good(**{field: value})), PICTURE


def in_model(chance: random.Random) -> Made:
    model, outcome = chance.choice(
        [
            ({"name": "m", "digest": "0" * 64}, OUTPUT), ({"name": "m", "digest": ""}, OUTPUT),
            ({"name": "", "digest": ""}, UNDECODABLE), ({"name": "m"}, UNDECODABLE), ("m", UNDECODABLE),
            ({"name": "m", "digest": "0" * 257}, UNDECODABLE), ({"name": "m", "digest": "", "x": 1}, UNDECODABLE),
        ]
    )  # fmt: skip
    return f"model {model!r:.40}", msgpack.packb(good(trail=[hop(model=model)])), outcome


LIMITS: list[Callable[[random.Random], Made]] = [
    limit("source", NAMES, NO_NAMES), limit("epoch", NAMES, NO_NAMES), limit("run", NAMES, NO_NAMES),
    limit("sequence", [*COUNTS, 2**63 - 1], NO_COUNTS), limit("captured_ns", [1, 10**18], NO_COUNTS),
    limit("width", [], [0, -1, 65_536, 2**32, 160.0, True]), limit("height", [], [0, -1, 65_536, None, "120"]),
    limit("v", [1], [0, 2, -1, 1.0, "1", True]),
    in_detection("label", NAMES, NO_NAMES), in_detection("track", NAMES, NO_NAMES[:-1]),
    in_detection("confidence", SHARES, NO_SHARES), in_detection("box", BOXES, NO_BOXES), in_detection("box", [], NO_BOXES),
    in_detection("redacted", [True, False], [0, 1, "yes", None]), in_detection("attributes", [{}, {"a.b": [1]}], [[], 1, None]),
    in_hop("stage", [n for n in NAMES if n], NO_NAMES), in_hop("kind", ["", "x" * 256], ["x" * 257, 5]),
    in_hop("topic", ["", "x" * 256], ["x" * 257, None]), in_hop("received_ns", [*COUNTS, 2**63 - 1], NO_COUNTS),
    in_hop("searched", [[], ["person"], ["x"] * 500], [[""], [5], "person", {}]), in_hop("threshold", SHARES, NO_SHARES[:-1]),
    in_model, attributes, many, beside, other_size,
]  # fmt: skip


# ---- JPEG markers


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
            (4, b"\x0c"), (4, b"\x00"), (5, b"\0\0"), (7, b"\0\0"), (5, b"\xff\xff\xff\xff"), (5, b"\xff\xdc\xff\xdc"),
            (5, b"\x18\xa0\x18\xa0"), (5, b"\x00\x79"), (7, b"\x00\x9f"), (9, b"\x02"), (9, b"\x05"), (9, b"\x00"),
            (11, b"\x00"), (11, b"\xff"), (12, b"\x07"),
        ]
    )  # fmt: skip
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
    options = chance.choice(
        [
            {"progressive": True},
            {"optimize": True},
            {"subsampling": 0},
            {"subsampling": 1},
            {"comment": b"secret"},
        ]
    )
    return framed(f"made with {options}", photo(**options), OUTPUT)


def empty_scan(chance: random.Random) -> Made:
    _, end = place(0xDA)
    return framed("no picture data", PHOTO[:end] + b"\xff\xd9", PICTURE)


MARKERS: list[Callable[[random.Random], Made]] = [
    metadata, filled, junk, tail, forbidden, coding, header, without, length, two_headers, turned, no_jpeg,
    only_markers, scans, other_kinds, empty_scan, metadata, header,
]  # fmt: skip


# ---- truncation


def picture_cut(chance: random.Random) -> Made:
    cut = chance.randrange(len(PHOTO))
    return framed(f"picture cut at {cut}", PHOTO[:cut], PICTURE)


def record_cut(chance: random.Random) -> Made:
    value = msgpack.packb(good())
    cut = chance.randrange(len(value))
    return f"record cut at {cut}", value[:cut], UNDECODABLE


def picture_cut_and_ended(chance: random.Random) -> Made:
    _, end = place(0xDA)
    cut = chance.randrange(2, len(PHOTO) - 200)
    image = PHOTO[:cut].rstrip(b"\xff") if cut > end else PHOTO[:cut]
    return framed(f"picture cut at {cut}, but ended", image + b"\xff\xd9", PICTURE)


def progressive_cut(chance: random.Random) -> Made:
    cut = chance.randrange(len(PROGRESSIVE))
    return framed(f"progressive picture cut at {cut}", PROGRESSIVE[:cut], PICTURE)


TRUNCATIONS: list[Callable[[random.Random], Made]] = [
    picture_cut, record_cut, picture_cut_and_ended, record_cut, progressive_cut
]  # fmt: skip
