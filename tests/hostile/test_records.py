"""Records that no honest writer would send: each has the outcome that is written down here."""

from __future__ import annotations

import io
from pathlib import Path

import msgpack
import numpy as np
import pytest
from PIL import Image

from imagebus.codec import MAX_RECORD_BYTES
from tests.broker import Put, put
from tests.hostile.conftest import Victim
from tests.hostile.frames import OUTPUT, PICTURE, UNDECODABLE, good, packed, person
from tests.hostile.mutations import mutations
from tests.hostile.wire import produce
from tests.programs import wait_for
from tests.seed import seed

MOST_MB = 600

BAD_FILES = {
    "broken.png": PICTURE,
    "damaged-middle-bottle.mp4": PICTURE,
    "derive-huffman-codes-overflow.jpg": PICTURE,
    "empty.jpg": PICTURE,
    "error-slices.264": PICTURE,
    "frames-lost-idr.264": PICTURE,
    "invalid-userdata.mp4": PICTURE,
    "junk_jpeg_header.jpg": OUTPUT,
    "max_size.jpg": PICTURE,
    "missing-sos.jpg": PICTURE,
    "only-an-init-segment.mp4": PICTURE,
    "plain-text-named.mp4": PICTURE,
    "progressive-missing-dc.jpg": PICTURE,
    "rotated-by-exif.jpg": PICTURE,  # its boxes would be ambiguous; cameras turn it before they publish
    "truncated-car.mp4": PICTURE,
    "truncated_image.png": PICTURE,
    "truncated_jpeg.jpg": PICTURE,
}
"""What becomes of each file of the folder ``bad`` as the picture of a frame that is right otherwise."""


def test_a_thousand_mutated_records_have_the_outcome_that_their_making_implies(victim: Victim) -> None:
    records = mutations(seed())
    found = victim.outcomes([one.value for one in records])
    wrong = [
        (n, one.what, one.outcome, f)
        for n, (one, f) in enumerate(zip(records, found, strict=True))
        if one.outcome != f
    ]
    assert wrong == []
    assert victim.outcomes([msgpack.packb(good())]) == [OUTPUT]
    assert not any(b"secret" in (record.value or b"") for record in victim.written.records)
    assert victim.program.peak_mb < MOST_MB


def test_every_bad_file_as_a_picture_has_the_outcome_of_this_table(victim: Victim, assets: Path) -> None:
    files = {path.name: path.read_bytes() for path in sorted((assets / "bad").iterdir())}
    assert set(files) == set(BAD_FILES)
    frames = []
    for data in files.values():
        width, height = as_pillow_says(data)
        box = person(box=[0, 0, min(width, 8), min(height, 8)])
        frames.append(msgpack.packb(good(image=data, width=width, height=height, detections=[box])))
    found = victim.outcomes([*frames, msgpack.packb(good())])
    assert dict(zip(files, found[:-1], strict=True)) == BAD_FILES
    assert found[-1] == OUTPUT
    assert victim.program.peak_mb < MOST_MB


def as_pillow_says(data: bytes) -> tuple[int, int]:
    """Return the true size where there is one, so that a refusal is never for a wrong size."""
    try:
        with Image.open(io.BytesIO(data)) as image:
            return image.size
    except (OSError, Image.DecompressionBombError):
        return 160, 120


def large(width: int, height: int, mode: str = "RGB", **options: object) -> bytes:
    """Return a JPEG of many pixels, made of few: noise is repeated, so that it takes no minute."""
    small = np.random.default_rng(0).integers(0, 256, (60, 80, len(mode)), np.uint8)
    image = Image.fromarray(small[:, :, 0] if mode == "L" else small, mode).resize((width, height))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=60, **options)
    return buffer.getvalue()


def framed(image: bytes, width: int, height: int) -> bytes:
    frame = good(image=image, width=width, height=height, detections=[person(box=[0, 0, 1, 1])])
    return bytes(msgpack.packb(frame))


@pytest.mark.filterwarnings("ignore:'mode' parameter is deprecated:DeprecationWarning")
def test_the_largest_pictures_go_through_and_larger_ones_are_refused_in_bounded_memory(
    victim: Victim,
) -> None:
    table = [
        (framed(large(8000, 5000), 8000, 5000), OUTPUT),
        (framed(large(8000, 5000, progressive=True, subsampling=0), 8000, 5000), OUTPUT),
        (framed(large(8000, 5000, "L"), 8000, 5000), OUTPUT),
        (framed(large(6000, 5000, "CMYK", subsampling=0), 6000, 5000), OUTPUT),
        (framed(large(6000, 5000, "CMYK", subsampling=0, progressive=True), 6000, 5000), OUTPUT),
        (framed(large(6000, 5001, "CMYK", subsampling=0), 6000, 5001), PICTURE),
        (framed(large(8000, 5001), 8000, 5001), PICTURE),
        (framed(large(65_000, 600), 65_000, 600), OUTPUT),
        (framed(large(600, 65_000), 600, 65_000), OUTPUT),
        (framed(large(1, 1), 1, 1), OUTPUT),
        (framed(large(1, 65_000), 1, 65_000), OUTPUT),
        (framed(large(65_000, 1), 65_000, 1), OUTPUT),
        (msgpack.packb(good()), OUTPUT),
    ]
    found = victim.outcomes([value for value, _ in table])
    assert found == [outcome for _, outcome in table]
    print(f"peak {victim.program.peak_mb:.0f} MB")
    assert victim.program.peak_mb < MOST_MB


def test_the_largest_records_go_through_and_larger_ones_are_refused_in_bounded_memory(victim: Victim) -> None:
    head, tail = b"\xff\xd8", good()["image"][2:]
    room = MAX_RECORD_BYTES - len(msgpack.packb(good(image=b"\0" * 70_000))) + 70_000 - len(tail) - 2
    # Sixty-four kilobytes a comment, and what is left in fill bytes.
    comment = b"\xff\xfe\xff\xff" + b"c" * 65_533
    filler = comment * (room // len(comment)) + b"\xff" * (room % len(comment))
    exact = msgpack.packb(good(image=head + filler + tail))
    over = msgpack.packb(good(image=head + filler + b"\xff" + tail))
    empties = packed(
        good(), attributes=b"\x81\xa1a\xdd" + (10_000_000).to_bytes(4, "big") + b"\x80" * 10_000_000
    )
    assert (len(exact), len(over)) == (MAX_RECORD_BYTES, MAX_RECORD_BYTES + 1)
    table = [
        *[(exact, OUTPUT)] * 20, (over, UNDECODABLE), (empties, UNDECODABLE),
        (b"\xc0" * 20_000_000, UNDECODABLE),
        (None, UNDECODABLE), (b"", UNDECODABLE), *[(exact, OUTPUT)] * 5, (msgpack.packb(good()), OUTPUT),
    ]  # fmt: skip
    found = victim.outcomes([value for value, _ in table])
    assert found == [outcome for _, outcome in table]
    assert victim.program.peak_mb < MOST_MB


def test_headers_that_no_client_can_read_do_no_harm(victim: Victim, kafka: str) -> None:
    headers = [(b"\xff\xfe", b"x"), (b"traceparent", victim.trace(0)), (b"", b""), (b"\x1b[2J", b"\xff")]
    produce(kafka, victim.topic, b"key", msgpack.packb(good()), headers)
    produce(kafka, victim.topic, b"\xff\xfe", b"no frame", headers)
    wait_for(lambda: victim.written.read() and victim.letters.read(), "both outcomes")
    assert victim.letters.records[0].value == b"no frame"
    put(kafka, victim.topic, [Put(msgpack.packb(good()))])
    wait_for(lambda: len(victim.written.read()) == 2, "the good frame after it")
    assert victim.program.alive
