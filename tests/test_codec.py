"""Frames to bytes and back."""

from typing import Any

import msgpack
import msgspec
import pytest

from imagebus import Detection, FrameError, Hop, Model, codec
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


def test_the_golden_bytes_of_version_1_are_still_read_and_written() -> None:
    golden = bytes.fromhex(GOLDEN)
    frame = codec.decode(golden)
    assert frame.source == "golden"
    assert frame.detections[0].box == (0, 0, 8, 8)
    assert frame.searched == {"person"}
    assert codec.encode(frame) == golden


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


GOLDEN = """
8ca6736f75726365a6676f6c64656ea565706f6368a3652d31a873657175656e636507ab63617074757265645f6e73cf
1879ebce365b4000a5776964746808a668656967687408a5696d616765c50277ffd8ffe000104a464946000101000001
00010000ffdb0043000503040404030504040405050506070c08070707070f0b0b090c110f1212110f111113161c1713
141a1511111821181a1d1d1f1f1f13172224221e241c1e1f1effdb0043010505050706070e08080e1e1411141e1e1e1e
1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1e1effc0
0011080008000803012200021101031101ffc4001f000001050101010101010000000000000000010203040506070809
0a0bffc400b5100002010303020403050504040000017d01020300041105122131410613516107227114328191a10823
42b1c11552d1f02433627282090a161718191a25262728292a3435363738393a434445464748494a535455565758595a
636465666768696a737475767778797a838485868788898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7
b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae1e2e3e4e5e6e7e8e9eaf1f2f3f4f5f6f7f8f9faffc4001f010003
0101010101010101010000000000000102030405060708090a0bffc400b5110002010204040304070504040001027700
0102031104052131061241510761711322328108144291a1b1c109233352f0156272d10a162434e125f11718191a2627
28292a35363738393a434445464748494a535455565758595a636465666768696a737475767778797a82838485868788
898a92939495969798999aa2a3a4a5a6a7a8a9aab2b3b4b5b6b7b8b9bac2c3c4c5c6c7c8c9cad2d3d4d5d6d7d8d9dae2
e3e4e5e6e7e8e9eaf2f3f4f5f6f7f8f9faffda000c03010002110311003f00f73a28a2803fffd9a372756ea46c697665
aa646574656374696f6e739185a56c6162656ca6706572736f6eaa636f6e666964656e6365cb3fe8000000000000a362
6f789400000808a5747261636ba3742d31aa6174747269627574657381a3612e6201a5747261696c9286a57374616765
a363616da46b696e64a870726f6475636572a776657273696f6ea5302e312e30a5746f706963ac534f555243455f4652
414d45ab72656365697665645f6e73cf1879ebce365b4000ac7075626c69736865645f6e73cf1879ebce366a824089a5
7374616765a164a46b696e64a178a776657273696f6ea5302e312e30a5746f706963ad494d41474541495f4652414d45
ab72656365697665645f6e73cf1879ebce3679c480ac7075626c69736865645f6e73cf1879ebce368906c0a56d6f6465
6c82a46e616d65a16da6646967657374d940616261626162616261626162616261626162616261626162616261626162
61626162616261626162616261626162616261626162616261626162616261626162a8736561726368656491a6706572
736f6ea97468726573686f6c64cb3fe0000000000000aa6174747269627574657381ac7a6f6e65732e696e7369646591
a161a17601
"""  # written by version 0.1.0; never change it
