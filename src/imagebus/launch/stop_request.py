"""What stop.sh leaves for a start under way, which may not have started anything yet.

A start looks at it when it begins, and gives up once it is another one: no clock counts, nor who is first.
"""

from __future__ import annotations

import os
import secrets
from pathlib import Path

NAME = "stop-request"
BEFORE = "IMAGEBUS_STOP_BEFORE"
"""The variable that takes from bare.py to the start what was requested when run.sh began."""


def newest(data: Path) -> str:
    """Return the name of the newest request; empty where there is none."""
    try:
        return (data / "run" / NAME).read_bytes().hex()
    except FileNotFoundError:
        return ""


def leave(data: Path) -> bool:
    """Leave a request and return True, unless nothing was ever started from this folder."""
    folder = data / "run"
    if not folder.is_dir():
        return False
    part = folder / f"{NAME}.{os.getpid()}.part"
    part.write_bytes(secrets.token_bytes(16))
    part.replace(folder / NAME)
    return True


def make_room(data: Path) -> None:
    """Make the folder that requests are left in."""
    (data / "run").mkdir(parents=True, exist_ok=True, mode=0o700)
