"""What the capture process and the producer say to each other: a length, then one msgpack map.

The frames of a hostile video pass here, so nothing is read that is not one of these types.
"""

from __future__ import annotations

import os
import selectors
import struct
import time
from typing import IO, BinaryIO

import msgspec
from msgspec import Struct

LENGTH = struct.Struct(">I")
MAX_BYTES = 16 * 1024 * 1024


class Request(Struct, frozen=True):
    """What to capture. ``url`` is bytes, because names of files need not be text."""

    url: bytes
    live: bool | None
    format: str
    options: dict[str, str]
    open_s: float
    read_s: float
    every: int
    max_fps: float | None
    speed: float
    loop: bool
    quality: int
    parent: int


class Alive(Struct, frozen=True, tag=True):
    """A sign of life, with a promise: the next word comes within so many seconds."""

    within_s: float


class Opened(Struct, frozen=True, tag=True):
    """The source is there; ``recorded`` if it has an end and is played at its own speed."""

    description: str
    recorded: bool


class Picture(Struct, frozen=True, tag=True):
    """One JPEG; ``captured_ns`` is of the monotonic clock, which all processes of a machine share."""

    captured_ns: int
    jpeg: bytes


class Warned(Struct, frozen=True, tag=True):
    """Something a person should know; capture goes on."""

    text: str


class Lost(Struct, frozen=True, tag=True):
    """A live source is not there, or no longer; it is tried again."""

    reason: str


class Ended(Struct, frozen=True, tag=True):
    """A file is over. ``exit_code``: 0 all of it was read, 1 in part, 2 nothing."""

    exit_code: int
    reason: str


Message = Alive | Opened | Picture | Warned | Lost | Ended

_encoder = msgspec.msgpack.Encoder()
_decoder: msgspec.msgpack.Decoder[Message] = msgspec.msgpack.Decoder(Message)


class WireError(Exception):
    """The other side does not speak this language."""


def write(stream: IO[bytes], message: Message | Request) -> None:
    """Write one message and flush."""
    body = _encoder.encode(message)
    stream.write(LENGTH.pack(len(body)) + body)
    stream.flush()


def read_request(stream: BinaryIO) -> Request:
    """Read the one message that a capture process is given."""
    (length,) = LENGTH.unpack(stream.read(LENGTH.size))
    return msgspec.msgpack.decode(stream.read(length), type=Request)


class Reader:
    """Reads messages from a pipe without ever waiting longer than told."""

    def __init__(self, pipe: int) -> None:
        os.set_blocking(pipe, False)
        self._pipe = pipe
        self._selector = selectors.DefaultSelector()
        self._selector.register(pipe, selectors.EVENT_READ)
        self._buffer = bytearray()
        self.closed = False

    def read(self, timeout_s: float) -> Message | None:
        """Return the next message, or none within that time or after the end of the pipe.

        Raises:
            WireError: what came is no message.
        """
        give_up = time.monotonic() + timeout_s
        while True:
            if (message := self._take()) is not None or self.closed:
                return message
            if not self._selector.select(max(0.0, give_up - time.monotonic())):
                return None
            chunk = os.read(self._pipe, 1 << 20)
            self._buffer += chunk
            self.closed = not chunk

    def _take(self) -> Message | None:
        if len(self._buffer) < LENGTH.size:
            return None
        (length,) = LENGTH.unpack_from(self._buffer)
        if length > MAX_BYTES:
            raise WireError(f"a message claims {length} bytes")
        end = LENGTH.size + length
        if len(self._buffer) < end:
            return None
        body = bytes(memoryview(self._buffer)[LENGTH.size : end])
        del self._buffer[:end]
        try:
            return _decoder.decode(body)
        except msgspec.MsgspecError as error:
            raise WireError(str(error)) from error

    def close(self) -> None:
        """Stop watching the pipe; its owner closes it."""
        self._selector.close()
