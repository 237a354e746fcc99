"""Video: the one module that knows PyAV, and FFmpeg through it."""

from __future__ import annotations

import os
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import av
import av.error
from av.bitstream import BitStreamFilterContext
from av.stream import Disposition
from av.video.reformatter import VideoReformatter
from picture import UPRIGHT, display_matrix, to_bgr, turned
from wire import Request

from imagebus import jpeg
from imagebus.errors import FrameError, ImagebusError

MAY_BE_TURNED = ("mov", "matroska")
"""Containers that say apart from the picture how it is to be turned."""
SEGMENTED = {"hls", "dash"}
DEFAULT_STEP_S = 1 / 25
MAX_DAMAGED_IN_A_ROW = 250
NO_PICTURE_S = 30.0
HUFFMAN_TABLES, SCAN = b"\xff\xc4", b"\xff\xda"
DAMAGED = "a packet cannot be decoded"
REFUSED = f"the decoder refuses a packet; pictures may have at most {jpeg.MAX_PIXELS} pixels"
WORDS: tuple[tuple[type[BaseException], str], ...] = (
    (av.error.HTTPUnauthorizedError, "401: it wants a user name and password, or others than these"),
    (av.error.HTTPForbiddenError, "403: it forbids this"),
    (av.error.HTTPNotFoundError, "404: it has nothing at this path"),
    (av.error.HTTPError, "the server answers with an error"),
    (av.error.ConnectionRefusedError, "nothing listens there"),
    (av.error.ExitError, "no answer in time"),
    (av.error.TimeoutError, "no answer in time"),
    (av.error.EOFError, "it ended"),
    (av.error.InvalidDataError, "no video that can be read"),
    (av.error.ProtocolNotFoundError, "an address of a kind that FFmpeg does not know"),
)


class SourceError(ImagebusError):
    """A source cannot be opened or read (any further); the message never holds its address."""


@dataclass(frozen=True, slots=True)
class Shot:
    """One picture of a source, not yet a JPEG, so that whoever does not want it pays nothing for it."""

    time_s: float | None
    step_s: float
    content: Any
    video: Video

    def jpeg(self, quality: int) -> bytes:
        """Return the picture as a clean JPEG; one that came as a JPEG keeps its own quality.

        Raises:
            FrameError: a JPEG is damaged, or the picture is beyond the limits.
        """
        return self.video.to_jpeg(self.content, quality)


class Video:
    """One opened camera, stream or file.

    Attributes:
        recorded: whether it has an end and is to be played at its own speed.
        paced: whether its pictures come faster than they were taken.
        damaged: packets that could not be decoded, and
        damage: why the last of them could not.

    Raises:
        SourceError: it cannot be opened, or holds no video.
    """

    def __init__(self, request: Request) -> None:
        self.damaged = 0
        self.damage = ""
        self._reformatter = VideoReformatter()
        self._rotation, self._matrix = None, UPRIGHT
        self._container = self._open(request)
        streams = [s for s in self._container.streams.video if not s.disposition & Disposition.attached_pic]
        if not streams or streams[0].codec_context is None:
            self.close()
            raise SourceError("it holds no video that can be read")
        self._stream = streams[0]
        self._decoder = self._stream.codec_context
        self._prepare_decoder()
        name = self._container.format.name
        self._passes_on = self._decoder.name == "mjpeg" and not name.startswith(MAY_BE_TURNED)
        self.recorded = request.live is False or (request.live is None and bool(self._container.duration))
        self.paced = self.recorded or name in SEGMENTED
        rate = self._stream.average_rate
        self._step_s = 1 / float(rate) if rate else DEFAULT_STEP_S

    def _open(self, request: Request) -> Any:
        try:
            return av.open(
                os.fsdecode(request.url),
                format=request.format or None,
                options={**request.options, "max_pixels": str(jpeg.MAX_PIXELS)},
                metadata_errors="ignore",
                timeout=(request.open_s, request.read_s),
            )
        except (av.error.FFmpegError, OSError, ValueError) as error:
            raise SourceError(_words(error)) from None  # the error's own text holds the address

    def _prepare_decoder(self) -> None:
        width, height = self._decoder.width, self._decoder.height
        if width * height > jpeg.MAX_PIXELS:
            self.close()
            raise SourceError(_too_large(width, height))
        self._decoder.options = {"max_pixels": str(jpeg.MAX_PIXELS)}
        self._decoder.thread_count = 1  # the cheapest, and no frames are held back

    @property
    def description(self) -> str:
        """Return coding, size and rate for a person."""
        size = f" {self._decoder.width}x{self._decoder.height}" if self._decoder.width else ""
        rate = f", {float(self._stream.average_rate):.4g} frames/s" if self._stream.average_rate else ""
        return f"{self._decoder.codec.name}{size}{rate}"

    def shots(self) -> Iterator[Shot | None]:
        """Yield every picture, and none where something came that is no picture yet.

        Raises:
            SourceError: reading broke off. The plain end of a source just ends.
        """
        last_picture, damaged_in_a_row = time.monotonic(), 0
        for packet in self._packets():
            before = self.damaged
            for shot in self._pictures(packet):
                yield shot  # takes as long as the reader likes, which is no fault of the source
                last_picture, damaged_in_a_row = time.monotonic(), 0
            damaged_in_a_row += self.damaged - before
            if damaged_in_a_row > MAX_DAMAGED_IN_A_ROW:
                raise SourceError(f"{damaged_in_a_row} packets in a row cannot be decoded")
            if time.monotonic() - last_picture > NO_PICTURE_S:
                raise SourceError(f"no picture for {NO_PICTURE_S:.0f} s")
            yield None

    def _packets(self) -> Iterator[Any]:
        try:
            yield from self._container.demux(self._stream)
        except (av.error.FFmpegError, OSError) as error:
            raise SourceError(_words(error)) from None

    def _pictures(self, packet: Any) -> Iterator[Shot]:
        if self._passes_on:
            if packet.size:
                yield Shot(_time_s(packet), self._step_s, packet, self)
            return
        try:
            frames = packet.decode()
        except av.error.FFmpegError as error:
            self.damaged += 1
            self.damage = REFUSED if isinstance(error, av.error.ArgumentError) else DAMAGED
            return
        for frame in frames:
            yield Shot(_time_s(frame), self._step_s, frame, self)

    def to_jpeg(self, content: Any, quality: int) -> bytes:
        """Return a packet of a JPEG stream, or a decoded frame, as a clean JPEG."""
        if self._passes_on:
            return self._passed_on(content)
        if content.width * content.height > jpeg.MAX_PIXELS:
            raise FrameError(_too_large(content.width, content.height), "picture")
        try:
            pixels = turned(to_bgr(content, self._reformatter), self._turn_of(content))
        except (av.error.FFmpegError, ValueError) as error:
            raise FrameError(
                f"{content.format.name} pixels cannot be converted: {error}", "picture"
            ) from error
        return jpeg.encode(pixels, quality)

    def _turn_of(self, frame: Any) -> Any:
        """Look the display matrix up where it can have changed."""
        if frame.rotation != self._rotation:
            self._rotation, self._matrix = frame.rotation, display_matrix(frame)
        return self._matrix

    def _passed_on(self, packet: Any) -> bytes:
        data = bytes(packet)
        if data.startswith(b"\xff\xd8") and HUFFMAN_TABLES not in data[: data.find(SCAN)]:
            data = self._with_tables(packet)
        picture = jpeg.upright(data)
        jpeg.decode(picture, 1, 1)  # at an eighth of its size, which still reads every bit
        return picture

    def _with_tables(self, packet: Any) -> bytes:
        """Add the standard Huffman tables, which webcams leave out (AVI's Motion JPEG)."""
        try:
            return b"".join(map(bytes, BitStreamFilterContext("mjpeg2jpeg", self._stream).filter(packet)))
        except av.error.FFmpegError as error:
            raise FrameError(f"not an acceptable JPEG: {error.strerror}", "picture") from error

    def close(self) -> None:
        """Close the connection or file."""
        self._container.close()


def _time_s(timed: Any) -> float | None:
    return None if timed.pts is None or timed.time_base is None else float(timed.pts * timed.time_base)


def _too_large(width: int, height: int) -> str:
    return f"its pictures are {width}x{height} pixels, at most {jpeg.MAX_PIXELS} go through"


def _words(error: BaseException) -> str:
    """Say what went wrong without the address, which FFmpeg's own message repeats."""
    for kind, words in WORDS:
        if isinstance(error, kind):
            return words
    return getattr(error, "strerror", None) or type(error).__name__
