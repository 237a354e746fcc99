"""The cameras that a user names: each gets a name of its own, without the secrets of its address."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

DEVICE = re.compile(r"/dev/(video\d+)")
SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
HOST = re.compile(r"[\w.-]+(:\d+)?|\[[0-9a-f:.]+\](:\d+)?", re.IGNORECASE)
MAY_BE_A_FILE = {"http", "https", "ftp", "sftp"}
FIRST_CAMERA = "/dev/video0"


@dataclass(frozen=True)
class Camera:
    """One camera: its name on the bus, the address to open, and whether it begins again at its end."""

    name: str
    address: str
    loop: bool


def named(addresses: Iterable[str]) -> list[Camera]:
    """Name the cameras: after the file, the device or the host; a second of that name gets ``-2``.

    Raises:
        ValueError: there is no such file or device.
    """
    cameras: list[Camera] = []
    taken: set[str] = set()
    for address in addresses:
        name, address, loop = _read(address)
        free = next(n for n in _numbered(name) if n not in taken)
        taken.add(free)
        cameras.append(Camera(free, address, loop))
    return cameras


def _numbered(name: str) -> Iterable[str]:
    yield name
    number = 2
    while True:
        yield f"{name}-{number}"
        number += 1


def _read(text: str) -> tuple[str, str, bool]:
    """Return name, address and whether it may be played in a loop."""
    if text.lower() == "webcam" or DEVICE.fullmatch(text):
        device = FIRST_CAMERA if text.lower() == "webcam" else text
        if not Path(device).exists():
            raise ValueError(f"there is no camera at {device}; plug one in, or name a file or an address")
        return text.lower() if device == FIRST_CAMERA != text else Path(text).name, text, False
    if text.lower().startswith("lavfi:"):
        return "lavfi", text, False
    scheme = SCHEME.match(text)
    if scheme and scheme[1].lower() != "file":
        return _host(text[scheme.end() :]), text, scheme[1].lower() in MAY_BE_A_FILE
    return _file(text[scheme.end() :] if scheme else text)


def _file(text: str) -> tuple[str, str, bool]:
    path = Path(text).expanduser()
    try:
        if path.is_dir():
            raise ValueError(f"{text} is a folder; name one file in it")
        with path.open("rb"):
            pass
    except OSError as error:
        raise ValueError(f"{text} cannot be read: {error.strerror}") from error
    name = os.fsencode(path.stem or path.name).decode(errors="replace")
    return name.encode()[:200].decode(errors="ignore"), str(path.absolute()), True


def _host(rest: str) -> str:
    """Return the host of an address if it is beyond doubt.

    A path may hold a password, and a password may hold ``/``, ``@`` and ``?``: in doubt it is a "camera".
    """
    behind_the_last_at = re.split(r"[/?#]", rest.rpartition("@")[2])[0]
    try:
        as_written = urlsplit(f"//{rest}").netloc.rpartition("@")[2]
    except ValueError:
        as_written = ""
    certain = behind_the_last_at == as_written and HOST.fullmatch(as_written)
    return as_written.lower() if certain else "camera"
