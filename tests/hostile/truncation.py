"""Pictures and records that end too soon."""

from __future__ import annotations

import random

import msgpack

from tests.hostile.frames import PHOTO, PICTURE, PROGRESSIVE, UNDECODABLE, Made, Make, good
from tests.hostile.markers import framed, place


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


TRUNCATIONS: list[Make] = [
    picture_cut, record_cut, picture_cut_and_ended, record_cut, progressive_cut
]  # fmt: skip
