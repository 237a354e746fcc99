"""A right frame to begin with, and the parts that mutations are made of."""

from __future__ import annotations

import io
import random
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
from PIL import Image

from tests.broker import plain_frame

OUTPUT, UNDECODABLE, PICTURE = "output", "undecodable", "picture"
Made = tuple[str, bytes, str]
"""What was done, the record's value, and the outcome."""

Make = Callable[[random.Random], Made]

WIDTH, HEIGHT = 160, 120
REQUIRED = ("source", "epoch", "sequence", "captured_ns", "width", "height", "image")
OPTIONAL = ("v", "run", "detections", "trail", "attributes")


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
