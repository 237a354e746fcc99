"""Frames to bytes and back."""

from contextlib import suppress
from typing import Any

import msgpack
import msgspec
import pytest

from imagebus import Detection, FrameError, Hop, Model, codec
from imagebus.record import Record
from imagebus.seen import see
from imagebus.testing import make_frame

CUP = {"label": "cup", "confidence": 0.5, "box": [1, 2, 3, 4]}


def plain_map(**changes: Any) -> dict[str, Any]:
    frame: dict[str, Any] = msgpack.unpackb(
        codec.encode(make_frame(detections=[Detection("cup", 0.5, (1, 2, 3, 4))]))
    )
    return {**frame, **changes}


def test_a_frame_comes_back_as_it_went() -> None:
    hop = Hop("s", "k", "1", "T", 2**62, 2**62 + 1, Model("m", "00"), ("a", "b"), 0.25)
    box = Detection("person", 1.0, (0, 0, 64, 48), "t-1", True, {"k": [1, {"x": b"y"}]})
    frame = msgspec.structs.replace(
        make_frame(detections=[box], source="Tür/../\u202e"),
        trail=(hop,),
        run="replay",
        attributes={"a.b": None},
    )
    assert codec.decode(codec.encode(frame)) == frame


def test_a_plain_msgpack_reader_sees_the_documented_fields() -> None:
    frame = plain_map()
    assert set(frame) == {
        "v", "source", "epoch", "sequence", "run", "captured_ns", "width", "height", "image",
        "detections", "trail", "attributes",
    }  # fmt: skip
    assert frame["detections"] == [{"label": "cup", "confidence": 0.5, "box": [1, 2, 3, 4]}]
    assert frame["image"][:2] == b"\xff\xd8"


@pytest.mark.parametrize(
    "changes",
    [
        {"v": 2}, {"v": "1"}, {"source": ""}, {"source": "é" * 129}, {"source": 5}, {"source": None},
        {"epoch": "x" * 257},
        {"sequence": -1}, {"sequence": 2**63}, {"sequence": 1.0}, {"sequence": True}, {"captured_ns": -5},
        {"width": 0}, {"width": 65536}, {"height": "48"}, {"image": "text"}, {"image": None},
        {"detections": {}}, {"detections": [{}]}, {"trail": [{}]}, {"attributes": []},
        {"attributes": {"a": "x" * 65536}},
        {"unknown": 1},
        {"detections": [CUP | {"confidence": float("nan")}]},
        {"detections": [CUP | {"confidence": 1.01}]},
        {"detections": [CUP | {"box": [3, 2, 3, 4]}]},
        {"detections": [CUP | {"box": [1, 2, 3, 49]}]},
        {"detections": [CUP | {"box": [-1, 2, 3, 4]}]},
        {"detections": [CUP | {"box": [1, 2, 3]}]},
        {"detections": [CUP] * 1001},
        {"detections": [CUP | {"attributes": {"a": "x" * 65536}}]},
    ],
)  # fmt: skip
def test_what_breaks_a_rule_of_the_format_is_undecodable(changes: dict[str, Any]) -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode(msgpack.packb(plain_map(**changes)))
    assert caught.value.reason == "undecodable"


@pytest.mark.parametrize("changes", [{"width": 63}, {"image": b""}, {"image": b"\xff\xd8\xff\xd9"}])
def test_what_breaks_a_rule_of_the_picture_is_told_apart(changes: dict[str, Any]) -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode(msgpack.packb(plain_map(**changes, detections=[])))
    assert caught.value.reason == "picture"


@pytest.mark.parametrize(
    "value", [b"", b"\xc0", b"\x80", b"\x91" * 100_000 + b"\x90", b"\xdf\xff\xff\xff\xff", b"\xc1"]
)
def test_what_is_no_map_of_the_format_is_undecodable(value: bytes) -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode(value)
    assert caught.value.reason == "undecodable"


def test_nothing_may_follow_the_map() -> None:
    with pytest.raises(FrameError):
        codec.decode(codec.encode(make_frame()) + b"\xc0")


def test_a_record_beyond_its_bound_is_not_even_parsed() -> None:
    with pytest.raises(FrameError, match="10485761 bytes"):
        codec.decode(b"\xc1" * (10 * 1024 * 1024 + 1))


def test_metadata_in_a_record_is_removed_on_reading() -> None:
    image = make_frame().image
    tagged = image[:2] + b"\xff\xfe\x00\x08secret" + image[2:]
    assert codec.decode(msgpack.packb(plain_map(image=tagged))).image == image


def test_a_filter_cannot_publish_what_no_reader_would_take() -> None:
    beyond = make_frame(detections=[Detection("cup", 0.5, (0, 0, 65, 48))])
    with pytest.raises(FrameError, match="outside the picture of 64x48"):
        codec.encode(beyond)
    with pytest.raises(FrameError):
        codec.encode(msgspec.structs.replace(make_frame(), attributes={"a": "x" * 70_000}))


def test_meta_is_the_same_map_with_an_empty_picture() -> None:
    frame = make_frame(detections=[Detection("cup", 0.5, (1, 2, 3, 4))], searched=["cup"])
    data, meta = codec.encode_both(frame)
    assert data == codec.encode(frame)
    assert msgpack.unpackb(meta) == {**msgpack.unpackb(data), "image": b""}
    assert codec.decode_meta(meta) == msgspec.structs.replace(frame, image=b"")
    assert len(meta) < 500


def test_meta_of_meta_is_the_same_bytes() -> None:
    _, meta = codec.encode_both(make_frame())
    assert codec.encode_both(codec.decode_meta(meta)) == (meta, meta)


def test_meta_and_frames_are_not_taken_for_each_other() -> None:
    data, meta = codec.encode_both(make_frame())
    with pytest.raises(FrameError, match="with a picture") as caught:
        codec.decode_meta(data)
    assert caught.value.reason == "undecodable"
    with pytest.raises(FrameError) as caught:
        codec.decode(meta)
    assert caught.value.reason == "picture"


@pytest.mark.parametrize(
    "changes", [{"v": 2}, {"unknown": 1}, {"detections": [CUP | {"box": [1, 2, 3, 49]}]}, {"source": ""}]
)
def test_what_breaks_a_rule_of_the_format_is_no_meta(changes: dict[str, Any]) -> None:
    with pytest.raises(FrameError) as caught:
        codec.decode_meta(msgpack.packb(plain_map(**{"image": b"", **changes})))
    assert caught.value.reason == "undecodable"


def test_a_picture_of_no_bytes_has_no_pixels() -> None:
    _, meta = codec.encode_both(make_frame())
    with pytest.raises(FrameError, match="pixels = False"):
        codec.decode_meta(meta).pixels()


def test_attributes_in_a_longer_form_keep_their_value_and_times_their_microseconds() -> None:
    attributes = {"a.float": 0.5, "a.time": msgpack.Timestamp(5, 123_456_789)}
    data = msgpack.packb(plain_map(attributes=attributes), use_single_float=True)
    again = msgpack.unpackb(codec.encode(codec.decode(data)), timestamp=0)
    assert again["attributes"]["a.float"] == 0.5
    time = again["attributes"]["a.time"]
    assert (time.seconds, round(time.nanoseconds, -4)) == (5, 123_460_000)


def test_attributes_of_any_depth_are_a_frame_or_a_frame_error_and_can_be_shown() -> None:
    """msgspec's own bound lies between: no depth lets another error out."""
    frame = codec.encode(make_frame())
    whole = msgpack.unpackb(frame)
    decoded = 0
    for depth in [10, 100, *range(400, 1100, 7), 5000]:
        whole["attributes"] = {}
        data = msgpack.packb(whole)
        nested = b"\x81\xa3a.b" + b"\x91" * depth + b"\xc0"
        data = data.replace(b"\xaaattributes\x80", b"\xaaattributes" + nested)
        assert nested in data
        record = Record("IN", 0, 0, 0, b"k", data)
        with suppress(FrameError):
            codec.decode(data)
            decoded += 1
        assert see(record).plain["offset"] == 0
    assert decoded >= 2
