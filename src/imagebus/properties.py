"""Properties of the Kafka client that the user brings: from a file, and from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from imagebus.errors import ConfigurationError

PREFIX = "IMAGEBUS_KAFKA_"
KINDS = ("SASL_", "SSL_", "SECURITY_")
MAX_FILE_BYTES = 1024 * 1024


def from_file(path: Path | None) -> dict[str, str]:
    """Read librdkafka properties: ``key=value`` a line, ``#`` begins a comment line.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no property.
    """
    if path is None:
        return {}
    try:
        lines = _content(path).decode().splitlines()
    except (OSError, ValueError) as error:  # ValueError: no UTF-8, or a zero byte in the name
        raise ConfigurationError(f"cannot read {path}: {error}", "--kafka-config") from error
    found = {}
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        key, equals, value = line.partition("=")
        if not equals:
            raise ConfigurationError(f"{path}, line {number}: no key=value", "--kafka-config")
        found[key.strip()] = value.strip()
    return found


def _content(path: Path) -> bytes:
    """Read a regular file, bounded: a device has no end, and opening a pipe may wait for ever."""
    if not path.is_file():
        path.stat()  # says so if there is nothing
        raise OSError("it is no regular file")
    with path.open("rb") as file:
        content = file.read(MAX_FILE_BYTES + 1)
    if len(content) > MAX_FILE_BYTES:
        raise OSError(f"it is larger than {MAX_FILE_BYTES} bytes")
    return content


def from_environment() -> dict[str, str]:
    """Read ``IMAGEBUS_KAFKA_SASL_PASSWORD`` as ``sasl.password``, and its kin."""
    return {
        name.removeprefix(PREFIX).lower().replace("_", "."): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).startswith(KINDS)
    }
