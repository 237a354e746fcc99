"""Records whose map is not that of a frame."""

from __future__ import annotations

import random
import struct
from typing import Any

import msgpack

from tests.hostile.frames import (
    HEIGHT,
    OPTIONAL,
    OUTPUT,
    REQUIRED,
    UNDECODABLE,
    WIDTH,
    Made,
    Make,
    good,
    hop,
    packed,
    person,
)


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
    changes: dict[str, dict[str, Any]] = {
        "frame": {key: 1},
        "detection": {"detections": [person(**{key: 1})]},
        "hop": {"trail": [hop(**{key: 1})]},
    }
    return f"unknown {key!r} in {where}", msgpack.packb(good(**changes[where])), UNDECODABLE


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


STRUCTURE: list[Make] = [
    missing,
    absent,
    unknown,
    wrong_type,
    bytes_for_text,
    text_for_bytes,
    trailing,
    huge_count,
    huge_count_within,
    huge_map,
    extension_within,
    duplicate,
    not_utf8,
    deep,
    nested,
    no_map,
    noise,
    shuffled,
    wide,
    keys_as_bytes,
]
