from __future__ import annotations

import os
from collections.abc import Iterator

import pytest
import wire


@pytest.fixture
def pipe() -> Iterator[tuple[int, wire.Reader]]:
    out, into = os.pipe()
    reader = wire.Reader(out)
    yield into, reader
    reader.close()
    os.close(out)


def test_messages_come_through_whole_however_they_are_cut(pipe: tuple[int, wire.Reader]) -> None:
    into, reader = pipe
    sent: list[wire.Message] = [
        wire.Opened("h264", False),
        wire.Picture(1, b"x" * 5000),
        wire.Ended(1, "ä"),
    ]
    with os.fdopen(into, "wb", buffering=0) as stream:
        for message in sent[:2]:
            wire.write(stream, message)
        assert [reader.read(1.0), reader.read(1.0), reader.read(0.0)] == [*sent[:2], None]
        wire.write(stream, sent[2])
    assert reader.read(1.0) == sent[2]
    assert reader.read(1.0) is None
    assert reader.closed


@pytest.mark.parametrize("garbage", [b"\xff\xff\xff\xff", b"\0\0\0\4ABCD", b"\0\0\0\1\x80"])
def test_what_is_no_message_is_refused(pipe: tuple[int, wire.Reader], garbage: bytes) -> None:
    into, reader = pipe
    os.write(into, garbage)
    os.close(into)
    with pytest.raises(wire.WireError):
        reader.read(1.0)
