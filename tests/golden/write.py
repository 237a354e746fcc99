"""Write the golden bytes of this version; those of released versions are never written again.

Run it as ``python -m tests.golden.write`` before a release, and commit what it wrote.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from msgspec import structs
from msgspec.msgpack import Ext

from imagebus import Detection, Frame, Hop, Model, codec, jpeg
from imagebus.version import VERSION

FOLDER = Path(__file__).parent
AT_NS = 1_763_700_000_000_000_000
ATTRIBUTES = {
    "types.nothing": None,
    "types.truth": [True, False],
    "types.integers": [0, 127, 128, -1, -32, -33, 2**16, 2**32, 2**63 - 1, 2**64 - 1, -(2**63)],
    "types.floats": [0.1, -0.0, 1e300, float("inf")],
    "types.text": ["", "Tür", "👁\u202e\x00", "x" * 300],
    "types.bytes": [b"", b"\x00\xff" * 200],
    "types.map": {"deep": [[{"er": {"and": ["deeper"]}}]], "": {}, "order": 1, "kept": 2},
    "types.map of numbers": {1: "one", -1: "minus one"},
    "types.extension": Ext(5, b"somebody's own"),
    "types.time": datetime(2026, 11, 21, 14, 0, 0, 123456, tzinfo=UTC),
    "zones.inside": ["hall"],
}
"""One of everything that MessagePack knows."""


def everything() -> Frame:
    """Return a frame of version 1 with every field in it."""
    hop = Hop("door", "producer", "0.1.0", "SOURCE_FRAME", AT_NS, AT_NS + 1)
    detector = Hop(
        "imageaiProcessor",
        "imageaiProcessor",
        "0.1.0",
        "IMAGEAI_FRAME",
        AT_NS + 2,
        AT_NS + 3,
        Model("yolox-nano", "ab" * 32),
        ("person", "каска"),
        0.25,
    )
    return Frame(
        source="Tür",
        epoch="18f3-1",
        sequence=2**53 + 1,
        run="replay-1",
        captured_ns=AT_NS,
        width=16,
        height=8,
        image=jpeg.encode(np.full((8, 16, 3), 128, np.uint8)),
        detections=(
            Detection("person", 0.75, (0, 0, 8, 8), "t-1", False, {"faces.identity": "Ada", "faces.n": 2}),
            Detection("каска", 1.0, (8, 0, 16, 8), None, True),
        ),
        trail=(hop, detector),
        attributes=ATTRIBUTES,
    )


def write(name: str, data: bytes) -> None:
    """Write a file of hexadecimal lines where there is none of that name."""
    path = FOLDER / f"{VERSION}.{name}.hex"
    if path.exists():
        print(f"{path.name} is there: released bytes never change")
        return
    text = data.hex()
    path.write_text("".join(f"{text[at : at + 96]}\n" for at in range(0, len(text), 96)))
    print(f"{path.name}: {len(data)} bytes")


if __name__ == "__main__":
    data, meta = codec.encode_both(everything())
    write("frame", data)
    write("meta", meta)
    write("least", codec.encode(structs.replace(everything(), detections=(), trail=(), attributes={})))
