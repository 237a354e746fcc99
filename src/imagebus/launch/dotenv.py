"""The file `.env`: NAME=VALUE lines, of which only names that are meant for imagebus take effect."""

from __future__ import annotations

import codecs
import re
from dataclasses import dataclass
from pathlib import Path

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
QUOTED = re.compile(r"\s*([\"'])(.*?)\1\s*(\s#.*)?")
COMMENT = re.compile(r"\s#")
TAKEN = re.compile(
    r"IMAGEBUS_\w+|PIP_\w+|NODE_EXTRA_CA_CERTS|SSL_CERT_FILE|REQUESTS_CA_BUNDLE"
    r"|HTTPS?_PROXY|NO_PROXY|https?_proxy|no_proxy"
)
"""Ours, and what takes an installation through a proxy; LD_PRELOAD or PYTHONPATH would change what runs."""


@dataclass(frozen=True)
class Setting:
    """One line that sets something."""

    name: str
    value: str

    @property
    def taken(self) -> bool:
        """Say whether it may take effect."""
        return TAKEN.fullmatch(self.name) is not None


def read(file: Path) -> list[Setting]:
    """Return what the file sets; nothing where there is none.

    Raises:
        ValueError: it can't be read, or a line is neither a setting nor a comment; the line is not shown.
    """
    if not file.is_file():
        return []
    try:
        content = file.read_bytes().removeprefix(codecs.BOM_UTF8)
    except OSError as error:
        raise ValueError(f"{file} can't be read: {error.strerror}") from error
    found = []
    for number, line in enumerate(content.split(b"\n"), 1):
        try:
            text = line.decode().strip().removeprefix("export ")
            if text and not text.startswith("#"):
                found.append(_setting(text))
        except UnicodeDecodeError:
            raise ValueError(f"{file}, line {number}: it is not UTF-8; save the file as UTF-8") from None
        except ValueError as error:
            raise ValueError(f"{file}, line {number}: {error}") from None
    return found


def _setting(text: str) -> Setting:
    name, equals, value = text.partition("=")
    name = name.strip()
    if "\0" in text:
        raise ValueError("it holds a NUL byte; remove it")
    if not equals or not NAME.fullmatch(name):
        raise ValueError("NAME=VALUE is wanted")
    quoted = QUOTED.fullmatch(value)
    return Setting(name, quoted[2] if quoted else COMMENT.split(value, 1)[0].strip())
