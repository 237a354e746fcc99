"""Redaction: what was asked for is black to the last pixel, and every doubt is black too."""

import io
import sys
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from imagebus import Detection, Frame, jpeg
from imagebus.testing import make_frame, run_filter

sys.path.append(str(Path(__file__).parents[2] / "imageai"))
from blackout import black_out, grown
from redaction import Redaction

SEARCHED = ["person", "cup", "car"]


def colourful(width: int, height: int, seed: int = 0, subsampling: int = 2) -> bytes:
    """Return a JPEG of hard, saturated blocks: the worst neighbours that a black box can have."""
    blocks = np.random.default_rng(seed).integers(0, 2, (height // 4 + 1, width // 4 + 1, 3), np.uint8) * 255
    pixels = blocks.repeat(4, 0).repeat(4, 1)[:height, :width]
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "JPEG", quality=90, subsampling=subsampling)
    return jpeg.clean(buffer.getvalue())


def frame_of(
    *detections: Detection, searched: list[str] | None = SEARCHED, size: tuple[int, int] = (160, 120)
) -> Frame:
    return make_frame(image=colourful(*size), detections=detections, searched=searched)


def person(*box: int, **more: object) -> Detection:
    return Detection("person", 0.9, box, **more)  # type: ignore[arg-type]


def as_viewers_decode(image: bytes) -> list[np.ndarray]:
    """Return the picture by two decoders: smooth colour upsampling as everybody has it, and plain."""
    return [np.asarray(Image.open(io.BytesIO(image)).convert("RGB")), jpeg.decode(image)]


@settings(max_examples=60)
@given(st.data())
def test_every_pixel_of_a_box_is_black_whatever_stands_beside_it(data: st.DataObject) -> None:
    width, height = data.draw(st.integers(1, 90)), data.draw(st.integers(1, 90))
    image = colourful(width, height, data.draw(st.integers(0, 5)), data.draw(st.sampled_from([0, 1, 2])))
    left, top = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    box = (left, top, data.draw(st.integers(left + 1, width)), data.draw(st.integers(top + 1, height)))
    redacted = black_out(make_frame(image=image), [box])
    for pixels in as_viewers_decode(redacted.image):
        assert pixels[box[1] : box[3], box[0] : box[2]].max() <= 8


@pytest.mark.parametrize("box", [(16, 16, 32, 32), (15, 17, 32, 48), (0, 0, 160, 16), (144, 104, 160, 120)])
def test_boxes_that_end_on_a_block_are_black_to_their_edge(box: tuple[int, int, int, int]) -> None:
    redacted = black_out(frame_of(), [box])
    for pixels in as_viewers_decode(redacted.image):
        assert pixels[box[1] : box[3], box[0] : box[2]].max() <= 8


def test_what_lies_outside_the_grown_boxes_stays_as_it_was(assets: Path) -> None:
    image = jpeg.clean(next(iter(sorted((assets / "coco_val/images").glob("*.jpg")))).read_bytes())
    before = make_frame(image=image)
    box = (before.width // 3, before.height // 3, before.width // 2, before.height // 2)
    after = black_out(before, [box])
    outside = np.ones((before.height, before.width), bool)
    left, top, right, bottom = grown(box)
    outside[top:bottom, left:right] = False
    difference = np.abs(before.pixels().astype(int) - after.pixels().astype(int))
    assert difference[outside].mean() <= 3


def test_the_same_bytes_pass_when_nothing_matches() -> None:
    before = frame_of(Detection("car", 0.9, (1, 2, 30, 40)))
    [after] = run_filter(Redaction, [before])
    assert after.image == before.image
    assert after.detections == before.detections


def test_every_detection_of_the_label_goes_black_and_is_marked_the_others_stay() -> None:
    car = Detection("car", 0.8, (100, 80, 150, 110), attributes={"plate": "M-X 1"})
    before = frame_of(person(5, 5, 40, 60), car, person(60, 5, 90, 60))
    [after] = run_filter(Redaction, [before])
    assert [d.redacted for d in after.detections] == [True, False, True]
    assert after.detections[1] == car
    pixels = after.pixels()
    assert pixels[5:60, 5:40].max() <= 8
    assert pixels[5:60, 60:90].max() <= 8
    assert pixels[80:110, 112:150].max() > 100


def test_what_was_known_of_a_redacted_object_goes() -> None:
    [after] = run_filter(
        Redaction, [frame_of(person(5, 5, 40, 60, track="t-9", attributes={"faces.identity": "Ann"}))]
    )
    assert after.detections == (Detection("person", 0.9, (5, 5, 40, 60), redacted=True),)


@pytest.mark.parametrize("searched", [None, [], ["cup"]])
def test_a_frame_in_which_nobody_looked_is_black_all_over(
    searched: list[str] | None, capsys: pytest.CaptureFixture[str]
) -> None:
    before = frame_of(Detection("cup", 0.9, (5, 5, 40, 60), attributes={"a": 1}), searched=searched)
    [after] = run_filter(Redaction, [before])
    assert after.pixels().max() == 0
    assert (after.width, after.height) == (before.width, before.height)
    assert after.detections == (Detection("cup", 0.9, (5, 5, 40, 60), redacted=True),)
    assert "no detector on the way looked for" in capsys.readouterr().err


def test_a_misspelt_object_is_black_all_over_and_the_nearest_label_is_named(
    capsys: pytest.CaptureFixture[str],
) -> None:
    [after] = run_filter(Redaction, [frame_of()], "Persn", "cup")
    assert after.pixels().max() == 0
    assert "looked for 'Persn'; did you mean 'person'?" in capsys.readouterr().err


def test_the_warning_comes_once_not_with_every_frame(capsys: pytest.CaptureFixture[str]) -> None:
    run_filter(Redaction, [make_frame(sequence=n) for n in range(5)])
    assert capsys.readouterr().err.count("blacking out whole pictures") == 1


def test_one_of_several_objects_that_nobody_looked_for_blackens_all() -> None:
    [after] = run_filter(Redaction, [frame_of(searched=["person"])], "person", "cup")
    assert after.pixels().max() == 0


def test_cups_are_redacted_after_people_and_both_stay_black() -> None:
    before = frame_of(person(5, 5, 40, 60), Detection("cup", 0.7, (100, 80, 150, 110)))
    [people] = run_filter(Redaction, [before])
    [both] = run_filter(Redaction, [people], "cup", "-i", "REDACTION_FRAME", "-t", "CUPS", "-n", "cups")
    pixels = both.pixels()
    assert pixels[5:60, 5:40].max() <= 8
    assert pixels[80:110, 100:150].max() <= 8
    assert [d.redacted for d in both.detections] == [True, True]


def test_a_picture_that_cannot_be_decoded_publishes_nothing() -> None:
    before = frame_of(person(5, 5, 40, 60))
    at = before.image.index(b"\xff\xda") + 14
    damaged = make_frame(
        image=before.image[:at] + b"\0" + before.image[-40:], detections=before.detections, searched=SEARCHED
    )
    assert run_filter(Redaction, [damaged]) == []


def test_metadata_of_the_original_does_not_come_out(assets: Path) -> None:
    tagged = (assets / "bad/rotated-by-exif.jpg").read_bytes()
    upright = jpeg.upright(tagged)
    with_comment = upright[:2] + b"\xff\xfe\x00\x10camera at home" + upright[2:]
    frame = make_frame(image=upright, searched=SEARCHED)
    dirty = frame.with_image(with_comment)
    [after] = run_filter(Redaction, [dirty])
    assert b"camera at home" not in after.image


LIKE_PERSON = [
    *("person\ufe0f", "per\u034fson", "person\u3164", "person\u2800", "person\u17b4", "pe\u0301rson"),
    *("p\u0435rson", "\u03c1erson", "per son", "per-son"),
]
"""With what is not seen, in other alphabets, with other things than letters in between."""


def test_a_label_of_other_letters_that_a_detector_looked_for_is_what_it_is() -> None:
    frame = make_frame(detections=[Detection("Tür", 0.9, (5, 5, 40, 40))], searched=["person", "Tür"])
    [after] = run_filter(Redaction, [frame])
    assert after.image == frame.image
    assert not after.detections[0].redacted


@pytest.mark.parametrize(
    "label", ["Person", "PERSON", " person", "ｐｅｒｓｏｎ", "per\u200bson", "person\0", *LIKE_PERSON]
)
def test_a_label_counts_however_it_is_written(label: str) -> None:
    [after] = run_filter(Redaction, [frame_of(Detection(label, 0.9, (5, 5, 40, 60)))])
    assert after.pixels()[5:60, 5:40].max() <= 8
    assert after.detections[0].redacted


def test_a_detection_that_says_it_is_redacted_already_is_not_believed() -> None:
    [after] = run_filter(Redaction, [frame_of(person(5, 5, 40, 60, redacted=True))])
    assert after.pixels()[5:60, 5:40].max() <= 8


def test_what_touches_a_redacted_object_loses_what_was_known_of_it() -> None:
    face = Detection("face", 0.9, (10, 10, 20, 20), track="f-1", attributes={"name": "Ann"})
    car = Detection("car", 0.9, (100, 80, 150, 110), attributes={"colour": "red"})
    [after] = run_filter(Redaction, [frame_of(person(5, 5, 40, 60), face, car)])
    assert after.detections[1:] == (Detection("face", 0.9, (10, 10, 20, 20)), car)


@pytest.mark.parametrize("found", [(), (person(5, 5, 40, 60),)], ids=["nothing found", "a person found"])
def test_binary_attributes_never_come_out_of_a_redaction(found: tuple[Detection, ...]) -> None:
    car = Detection("car", 0.9, (100, 80, 150, 110), attributes={"crop": colourful(8, 8), "colour": "red"})
    attributes = {"x.thumbnail": {"jpeg": [colourful(8, 8)]}, "zones.inside": ["door"]}
    [after] = run_filter(Redaction, [frame_of(*found, car).with_attributes(attributes)])
    assert after.attributes == {"zones.inside": ["door"]}
    assert after.detections[-1].attributes == {"colour": "red"}


def test_a_black_picture_tells_nothing_of_what_was_known() -> None:
    before = frame_of(person(5, 5, 40, 60), searched=None).with_attributes({"faces.identity": "Ann"})
    [after] = run_filter(Redaction, [before])
    assert after.attributes == {}


def test_a_picture_without_people_that_cannot_be_decoded_is_not_published() -> None:
    image = frame_of().image
    at = image.index(b"\xff\xda") + 14
    empty_scan = image[:at] + b"\xff\xd9"
    bytes_after_the_last_block = image[:-2] + b"hidden" * 50 + b"\xff\xd9"
    for hidden in (empty_scan, bytes_after_the_last_block):
        assert run_filter(Redaction, [make_frame(image=hidden, searched=SEARCHED)]) == []


@settings(max_examples=30)
@given(st.integers(0, 40), st.integers(0, 30), st.integers(1, 40), st.integers(1, 40), st.integers(0, 3))
def test_black_stays_black_however_often_others_encode_it_again(
    left: int, top: int, width: int, height: int, seed: int
) -> None:
    box = (left, top, left + width, top + height)
    frame = black_out(make_frame(image=colourful(96, 80, seed)), [box])
    for _ in range(5):
        frame = frame.with_image(frame.pixels())
        for pixels in as_viewers_decode(frame.image):
            assert pixels[box[1] : box[3], box[0] : box[2]].max() <= 8


def test_objects_may_come_from_a_variable(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("IMAGEBUS_OBJECTS", "cup, car")
    assert Redaction.Options.parse([]).objects == ["cup", "car"]
    assert Redaction.Options.parse(["dog"]).objects == ["dog"]
