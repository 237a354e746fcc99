"""Fields just inside and just outside their bounds."""

from __future__ import annotations

import random
from typing import Any

import msgpack

from tests.hostile.frames import HEIGHT, OUTPUT, PICTURE, UNDECODABLE, WIDTH, Made, Make, good, hop, person


def limit(field: str, right: list[Any], wrong: list[Any]) -> Make:
    """Return a mutation that sets a field of the frame to a value just inside or just outside its bounds."""

    def made(chance: random.Random) -> Made:
        value, outcome = chance.choice([(v, OUTPUT) for v in right] + [(v, UNDECODABLE) for v in wrong])
        return f"{field} = {value!r:.40}", msgpack.packb(good(**{field: value})), outcome

    return made


def in_detection(field: str, right: list[Any], wrong: list[Any]) -> Make:
    inner = limit("detections", *([[person(**{field: v})] for v in values] for values in (right, wrong)))
    return lambda chance: inner(chance)


def in_hop(field: str, right: list[Any], wrong: list[Any]) -> Make:
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
    [0, 0, 161, 120],
    [0, 0, 160, 121],
    [-1, 0, 5, 5],
    [0, -9, 5, 5],
    [5, 5, 5, 9],
    [5, 5, 9, 5],
    [9, 9, 5, 5],
    [0, 0, 2**31, 5],
    [0, 0, 2**64 - 1, 5],
    [0, 0, 5],
    [0, 0, 5, 5, 5],
    [0.0, 0.0, 5.0, 5.0],
    [],
    "0055",
    None,
    [float("nan")] * 4,
    [0, 0, "5", 5],
    [160, 120, 161, 121],
]


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
            ({"name": "m", "digest": "0" * 64}, OUTPUT),
            ({"name": "m", "digest": ""}, OUTPUT),
            ({"name": "", "digest": ""}, UNDECODABLE),
            ({"name": "m"}, UNDECODABLE),
            ("m", UNDECODABLE),
            ({"name": "m", "digest": "0" * 257}, UNDECODABLE),
            ({"name": "m", "digest": "", "x": 1}, UNDECODABLE),
        ]
    )
    return f"model {model!r:.40}", msgpack.packb(good(trail=[hop(model=model)])), outcome


LIMITS: list[Make] = [
    limit("source", NAMES, NO_NAMES),
    limit("epoch", NAMES, NO_NAMES),
    limit("run", NAMES, NO_NAMES),
    limit("sequence", [*COUNTS, 2**63 - 1], NO_COUNTS),
    limit("captured_ns", [1, 10**18], NO_COUNTS),
    limit("width", [], [0, -1, 65_536, 2**32, 160.0, True]),
    limit("height", [], [0, -1, 65_536, None, "120"]),
    limit("v", [1], [0, 2, -1, 1.0, "1", True]),
    in_detection("label", NAMES, NO_NAMES),
    in_detection("track", NAMES, NO_NAMES[:-1]),
    in_detection("confidence", SHARES, NO_SHARES),
    in_detection("box", BOXES, NO_BOXES),
    in_detection("box", [], NO_BOXES),
    in_detection("redacted", [True, False], [0, 1, "yes", None]),
    in_detection("attributes", [{}, {"a.b": [1]}], [[], 1, None]),
    in_hop("stage", [n for n in NAMES if n], NO_NAMES),
    in_hop("kind", ["", "x" * 256], ["x" * 257, 5]),
    in_hop("topic", ["", "x" * 256], ["x" * 257, None]),
    in_hop("received_ns", [*COUNTS, 2**63 - 1], NO_COUNTS),
    in_hop("searched", [[], ["person"], ["x"] * 500], [[""], [5], "person", {}]),
    in_hop("threshold", SHARES, NO_SHARES[:-1]),
    in_model,
    attributes,
    many,
    beside,
    other_size,
]
