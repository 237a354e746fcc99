"""JPEG on the bus: what goes through, what is refused, what is left out."""

import io
import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image, ImageOps

from imagebus import jpeg, jpeg_markers
from imagebus.errors import FrameError


def saved(image: Image.Image, **options: object) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=95, **options)
    return buffer.getvalue()


def gradient(width: int = 64, height: int = 48) -> Image.Image:
    across = np.linspace(0, 255, width, dtype=np.uint8)[None, :].repeat(height, 0)
    down = np.linspace(0, 255, height, dtype=np.uint8)[:, None].repeat(width, 1)
    return Image.fromarray(np.stack([across, down, across // 2], 2))


def as_pillow_shows(data: bytes) -> np.ndarray:
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data)))
    return np.asarray(upright.convert("RGB"))[:, :, ::-1].astype(int)


def segment(marker: int, body: bytes) -> bytes:
    return bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body


@pytest.mark.parametrize("orientation", range(1, 9))
def test_a_turned_picture_comes_out_as_it_is_meant_to_be_seen(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = saved(gradient(), exif=exif)
    upright = jpeg.upright(data)
    assert b"Exif" not in upright
    assert np.abs(jpeg.decode(upright).astype(int) - as_pillow_shows(data)).mean() < 2
    assert Image.open(io.BytesIO(upright)).size == ((64, 48) if orientation < 5 else (48, 64))


def test_an_upright_picture_keeps_its_data_to_the_bit() -> None:
    plain = jpeg.clean(saved(gradient()))
    exif = Image.Exif()
    exif[0x0112] = 1
    decorated = saved(gradient(), exif=exif, comment=b"taken by me", icc_profile=b"x" * 200)
    assert jpeg.upright(decorated) == plain
    assert jpeg.clean(plain) is plain


@pytest.mark.parametrize("marker", [*range(0xE0, 0xF0), 0xFE, 0xF0, 0x02, 0xBF, 0xC8, 0xCC])
def test_metadata_of_every_kind_is_left_out(marker: int) -> None:
    plain = jpeg.clean(saved(gradient()))
    secret = segment(marker, b"secret place 48.1N 11.5E")
    assert jpeg.clean(plain[:2] + secret + plain[2:] + b"secret tail") == plain


@pytest.mark.parametrize("marker", [0xC4, 0xDA, 0xDB, 0xDD])
def test_a_table_or_scan_header_that_holds_more_than_it_should_is_refused(marker: int) -> None:
    plain = jpeg.clean(saved(gradient()))
    plain = plain[:2] + segment(0xDD, b"\0\0") + plain[2:]
    at = plain.index(bytes([0xFF, marker]))
    end = at + 2 + int.from_bytes(plain[at + 2 : at + 4], "big")
    longer = segment(marker, plain[at + 4 : end] + b"hidden")
    with pytest.raises(FrameError, match="holds more or less"):
        jpeg.clean(plain[:at] + longer + plain[end:])


def test_a_thumbnail_inside_the_jfif_segment_is_left_out() -> None:
    plain = jpeg.clean(saved(gradient()))
    with_thumbnail = segment(0xE0, b"JFIF\0\x01\x01\0\0\x01\0\x01\x02\x02" + b"secret pixel")
    rest = plain[2 + 2 + 16 :]
    cleaned = jpeg.clean(plain[:2] + with_thumbnail + rest)
    assert b"secret" not in cleaned
    assert np.array_equal(jpeg.decode(cleaned), jpeg.decode(plain))


def test_metadata_between_the_scans_of_a_progressive_picture_is_left_out() -> None:
    plain = jpeg.clean(saved(gradient(), progressive=True))
    second_scan = plain.index(b"\xff\xc4", plain.index(b"\xff\xda"))
    assert jpeg.clean(plain[:second_scan] + segment(0xE5, b"secret") + plain[second_scan:]) == plain


@pytest.mark.parametrize("mode", ["L", "RGB", "CMYK"], ids=["grayscale", "colour", "four inks"])
@pytest.mark.parametrize("progressive", [False, True])
@pytest.mark.parametrize("size", [(1, 1), (17, 33), (641, 361), (15, 200)])
def test_every_kind_of_picture_decodes_as_pillow_shows_it(
    mode: str, progressive: bool, size: tuple[int, int]
) -> None:
    data = saved(gradient(*size).convert(mode), progressive=progressive)
    assert np.abs(jpeg.decode(jpeg.upright(data)).astype(int) - as_pillow_shows(data)).max() <= 8


def test_a_four_ink_picture_is_published_in_three_colours() -> None:
    data = jpeg.upright(saved(gradient().convert("CMYK")))
    assert jpeg.read_header(data).components == 3


def test_a_picture_of_forty_megapixels_is_refused_from_its_header_alone() -> None:
    data = bytearray(saved(gradient()))
    at = data.index(b"\xff\xc0") + 5
    data[at : at + 4] = (8000).to_bytes(2, "big") + (5001).to_bytes(2, "big")
    with pytest.raises(FrameError, match="5001x8000 pixels"):
        jpeg.read_header(bytes(data))


def test_the_decoder_may_halve_but_never_below_the_size_asked_for() -> None:
    data = saved(gradient(1280, 720))
    assert jpeg.decode(data, 416, 234).shape == (360, 640, 3)
    assert jpeg.decode(data, 641, 0).shape == (720, 1280, 3)
    assert jpeg.decode(data, 100, 45).shape == (90, 160, 3)
    assert jpeg.decode(data, 2000, 2000).shape == (720, 1280, 3)


def test_a_picture_cut_short_anywhere_is_refused() -> None:
    data = jpeg.clean(saved(gradient()))
    for length in range(len(data)):
        with pytest.raises(FrameError):
            jpeg.clean(data[:length])


@given(st.data())
def test_damaged_bytes_are_refused_or_stay_a_picture_of_the_size_its_header_tells(
    data: st.DataObject,
) -> None:
    good = bytearray(saved(gradient()))
    for _ in range(data.draw(st.integers(1, 8))):
        good[data.draw(st.integers(0, len(good) - 1))] = data.draw(st.integers(0, 255))
    try:
        cleaned = jpeg.clean(bytes(good))
        header = jpeg.read_header(cleaned)
        assert jpeg.clean(cleaned) == cleaned
        assert jpeg.decode(cleaned).shape == (header.height, header.width, 3)
    except FrameError as error:
        assert error.reason == "picture"  # noqa: PT017  either outcome is right


@pytest.mark.parametrize("coding", [0xC3, 0xC5, 0xC9, 0xCB, 0xCF])
def test_codings_that_few_readers_know_are_refused(coding: int) -> None:
    data = bytearray(saved(gradient()))
    data[data.index(b"\xff\xc0") + 1] = coding
    with pytest.raises(FrameError, match="not widely readable"):
        jpeg.read_header(bytes(data))


def test_too_many_scans_are_refused() -> None:
    data = jpeg.clean(saved(gradient(), progressive=True))
    at = data.rindex(b"\xff\xda")
    with pytest.raises(FrameError, match="more than 100 scans"):
        jpeg.clean(data[:at] + data[at:-2] * 101 + data[-2:])


def test_pixels_that_are_encoded_and_decoded_stay_close() -> None:
    pixels = np.ascontiguousarray(np.asarray(gradient())[:, :, ::-1])
    assert np.abs(jpeg.decode(jpeg.encode(pixels, 95)).astype(int) - pixels).mean() < 2


@given(st.binary(max_size=40), st.integers(0, 5), st.sampled_from([0, jpeg_markers.WINDOW_BYTES - 20]))
def test_a_scan_ends_at_the_first_mark_that_is_no_stuffing_fill_or_restart(
    tail: bytes, at: int, before: int
) -> None:
    data = b"\x00" * before + tail.replace(b"\x01", b"\xff").replace(b"\x02", b"\xff\xd9") + b"\xff"
    end = re.compile(rb"\xff[^\x00\xff\xd0-\xd7]", re.DOTALL).search(data, at)
    assert jpeg_markers._scan_end(data, at) == (end.start() if end else None)
