"""Hostile input: what becomes of each damaged, odd or tricky file, by each door it can come through."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from imagebus import jpeg
from tests.producer.cameras import capture, capturing
from tests.producer.mjpeg_server import serving

# As a file: exit status, pictures sent, a word of the one line that says why.
# Served as a part of an HTTP camera's Motion JPEG stream: whether it is sent; else it is left out and told.
OUTCOMES: dict[str, tuple[tuple[int, int, str], bool]] = {
    "broken.png": ((2, 0, "cannot be decoded"), False),
    "damaged-middle-bottle.mp4": ((1, 1181, "6 damaged parts"), False),
    "derive-huffman-codes-overflow.jpg": ((2, 0, "not an acceptable JPEG"), False),
    "empty.jpg": ((2, 0, "no video"), False),
    "error-slices.264": ((0, 6, ""), False),
    "frames-lost-idr.264": ((0, 70, ""), False),
    "invalid-userdata.mp4": ((2, 0, "no picture"), False),
    "junk_jpeg_header.jpg": ((0, 1, ""), True),
    "max_size.jpg": ((2, 0, "65535x65535"), False),
    "missing-sos.jpg": ((2, 0, "no picture data"), False),
    "only-an-init-segment.mp4": ((2, 0, "no picture"), False),
    "plain-text-named.mp4": ((2, 0, "no video"), False),
    "progressive-missing-dc.jpg": ((2, 0, "cannot be decoded"), False),
    "rotated-by-exif.jpg": ((0, 1, ""), True),
    "truncated-car.mp4": ((1, 52, "1 damaged parts"), False),
    "truncated_image.png": ((2, 0, "cannot be decoded"), False),
    "truncated_jpeg.jpg": ((2, 0, "end marker"), False),
}


def test_the_table_has_every_file(assets: Path) -> None:
    assert sorted(path.name for path in (assets / "bad").iterdir()) == sorted(OUTCOMES)


@pytest.mark.parametrize("name", OUTCOMES)
def test_as_a_file(name: str, assets: Path) -> None:
    exit_code, pictures, word = OUTCOMES[name][0]
    seen = capture(assets / "bad" / name)
    assert (seen.end.exit_code, len(seen.pictures)) == (exit_code, pictures)
    assert word in seen.end.reason
    assert bool(word) == bool(seen.end.reason)
    for picture in seen.pictures[:: max(1, pictures // 5)]:
        jpeg.decode(picture.jpeg)


def test_a_file_without_one_good_picture_is_told_of_in_one_line(assets: Path) -> None:
    for name in ("broken.png", "truncated_jpeg.jpg"):
        assert capture(assets / "bad" / name).warnings == []


def test_as_a_part_of_a_motion_jpeg_stream_over_http(assets: Path, tmp_path: Path) -> None:
    """Each bad picture is served between two good ones, whose width says what came between them."""
    names = list(OUTCOMES)
    good = [jpeg.encode(np.full((16, 100 + i, 3), 90, np.uint8)) for i in range(len(names) + 1)]
    bad = [(assets / "bad" / name).read_bytes() for name in names]
    pictures = [picture for pair in zip(good, bad, strict=False) for picture in pair] + good[-1:]
    with serving(pictures, tmp_path) as server, capturing(f"http://{server.address}/camera") as read:
        seen = read(lambda seen: len(seen.pictures) > 3 * len(pictures))
    widths = [jpeg.read_header(picture.jpeg).width for picture in seen.pictures]
    for i, (name, (_, sent)) in enumerate(OUTCOMES.items()):
        at = widths.index(100 + i)
        assert (widths[at + 1] != 101 + i) == sent, name
    assert seen.lost == []
    assert "damaged parts left out" in seen.warnings[0]


@pytest.mark.parametrize("name", ["empty.jpg", "max_size.jpg", "truncated-car.mp4", "truncated_image.png"])
def test_a_stream_that_begins_with_it_still_brings_the_good_pictures(
    name: str, assets: Path, tmp_path: Path
) -> None:
    good = jpeg.encode(np.full((48, 64, 3), 90, np.uint8))
    with (
        serving([(assets / "bad" / name).read_bytes(), good], tmp_path) as server,
        capturing(f"http://{server.address}/camera") as read,
    ):
        seen = read(lambda seen: len(seen.pictures) >= 3)
    assert {picture.jpeg for picture in seen.pictures} == {good}


def test_a_picture_turned_by_exif_stands_upright(assets: Path) -> None:
    [picture] = capture(assets / "bad" / "rotated-by-exif.jpg").pictures
    assert picture.jpeg == jpeg.upright((assets / "bad" / "rotated-by-exif.jpg").read_bytes())
    assert b"Exif" not in picture.jpeg


def test_a_looped_file_that_breaks_off_starts_again(assets: Path) -> None:
    seen = capture(assets / "bad" / "truncated-car.mp4", pictures=110, loop=True)
    assert seen.pictures[52].jpeg == seen.pictures[0].jpeg
