"""What the user typed, and how FFmpeg is to open it."""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from pathlib import Path

from imagebus.errors import ConfigurationError
from imagebus.mask import HIDDEN, mask

FIRST_CAMERA = "/dev/video0"
DEVICE = re.compile(r"/dev/video\d+")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
MAY_BE_A_FILE = {"http", "https", "ftp", "sftp"}
HTTP = "http,https,httpproxy,tcp,tls,crypto,data"
RTMP = "rtmp,rtmps,rtmpt,rtmpts,rtmpe,rtmpte,ffrtmphttp,ffrtmpcrypt,http,https,httpproxy,tcp,tls"
PROTOCOLS = {"http": HTTP, "https": HTTP, "rtsp": "tcp,tls", "rtsps": "tcp,tls", "rtp": "rtp,udp"}
"""What FFmpeg may open by scheme: what comes over the wire may be a list of further addresses (SDP, HLS)."""
FILES = "file,crypto,data"
SHORT_ANALYSIS = {"analyzeduration": "500000"}
"""Half a second is enough to know a camera's coding; by default FFmpeg listens for five."""


@dataclass(frozen=True)
class Address:
    """One source of pictures.

    ``live`` is none where only opening tells: an http address may be a camera or a file on a server.
    ``open_s`` and ``read_s`` bound the waiting for a connection and for the next picture.
    """

    url: str
    shown: str
    live: bool | None
    format: str = ""
    options: tuple[tuple[str, str], ...] = ()
    open_s: float = 5.0
    read_s: float = 4.0


def parse(text: str, first_camera: str = FIRST_CAMERA) -> Address:
    """Tell a camera device, an address and a file apart.

    Raises:
        ConfigurationError: there is no such file or device.
    """
    if not text:
        raise ConfigurationError("name a camera: WEBCAM, a file, or an address such as rtsp://host/path")
    if text.lower() == "webcam":
        return _device(first_camera)
    if DEVICE.fullmatch(text):
        return _device(text)
    if text.lower().startswith("lavfi:"):
        return Address(text[6:], text, live=True, format="lavfi")
    scheme = SCHEME.match(text)
    if scheme and scheme[1].lower() == "file":
        return _file(text[scheme.end() :])
    return _stream(text, scheme[1].lower()) if scheme else _file(text)


def _device(path: str) -> Address:
    """Return a local camera by way of Video4Linux."""
    if not Path(path).exists():
        raise ConfigurationError(f"there is no camera at {path}; plug one in, or name a file or an address")
    return Address(path, path, live=True, format="v4l2")


def _check_regular(mode: int, shown: str) -> None:
    """Refuse what opening or reading can wait on for ever."""
    if stat.S_ISDIR(mode):
        raise ConfigurationError(f"{shown} is a folder; name one file in it")
    if not stat.S_ISREG(mode):
        raise ConfigurationError(f"{shown} is no regular file (a pipe, socket or device); name a file")


def _stream(text: str, scheme: str) -> Address:
    """Return something that FFmpeg opens by address."""
    options = SHORT_ANALYSIS | {"protocol_whitelist": _protocols(scheme)}
    if scheme in ("rtsp", "rtsps"):
        options["rtsp_transport"] = "tcp"
    if scheme in MAY_BE_A_FILE:
        # A live playlist (HLS) is read a segment at a time: seconds pass between two reads.
        return Address(text, mask(text), live=None, options=tuple(options.items()), read_s=10.0)
    return Address(text, mask(text), live=True, options=tuple(options.items()))


def _protocols(scheme: str) -> str:
    """Return FFmpeg's protocols for a scheme; another one gets itself, and the connection below it."""
    if scheme.startswith("rtmp"):
        return RTMP
    return PROTOCOLS.get(scheme) or f"{scheme.replace('+', ',')},tcp,tls"


def _file(text: str) -> Address:
    """Return a file, whatever characters its name holds."""
    path = Path(text).expanduser()
    shown = HIDDEN + text[text.rfind("@") :] if "@" in text else text  # maybe a mistyped address
    try:
        _check_regular(path.stat().st_mode, shown)
        with path.open("rb"):
            pass
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(f"{shown} cannot be read: {why}") from error
    # "file:" keeps FFmpeg from reading a colon in the name as a protocol, the option a % as a pattern.
    return Address(
        f"file:{os.path.abspath(path)}",
        text,
        live=False,
        options=(("pattern_type", "none"), ("protocol_whitelist", FILES)),
        open_s=30.0,  # a large file on a slow disk takes its time
        read_s=15.0,
    )
