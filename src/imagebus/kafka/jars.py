"""The jars of the broker, each pinned by version, size and digest in jars.txt (made by pin.py)."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

from imagebus.folders import data_folder

VERSION = "4.3.1"
LIST = Path(__file__).with_name("jars.txt")


@dataclass(frozen=True)
class Jar:
    """One file: its Maven coordinate ``group:artifact:version``, its size and its SHA-256 in hex."""

    coordinate: str
    size: int
    sha256: str

    @property
    def filename(self) -> str:
        """Name the file as Maven names it."""
        _, artifact, version = self.coordinate.split(":")
        return f"{artifact}-{version}.jar"

    def is_whole(self, path: Path) -> bool:
        """Say whether the file at ``path`` has this jar's very bytes."""
        if not path.is_file() or path.stat().st_size != self.size:
            return False
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest() == self.sha256


def pinned() -> list[Jar]:
    """Read the pinned list."""
    rows = (line.split() for line in LIST.read_text("ascii").splitlines() if not line.startswith("#"))
    return [Jar(coordinate, int(size), sha256) for coordinate, size, sha256 in rows]


def folder() -> Path:
    """Name the folder of the installed jars; another list is another folder, so none is ever mixed."""
    return data_folder() / "kafka" / "lib" / f"{VERSION}-{hashlib.sha256(LIST.read_bytes()).hexdigest()[:8]}"


def installed() -> bool:
    """Say whether the jars are all in place: the folder is put there in one step, after every check."""
    return all((folder() / jar.filename).is_file() for jar in pinned())
