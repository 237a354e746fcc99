"""Properties of the Kafka client that the user brings: from a file, and from the environment."""

from __future__ import annotations

import os
from pathlib import Path

from imagebus.errors import ConfigurationError

PREFIX = "IMAGEBUS_KAFKA_"
KINDS = ("SASL_", "SSL_", "SECURITY_")


def from_file(path: Path | None) -> dict[str, str]:
    """Read librdkafka properties: ``key=value`` a line, ``#`` begins a comment line.

    Raises:
        ConfigurationError: the file cannot be read, or a line is no property.
    """
    if path is None:
        return {}
    try:
        lines = path.read_text().splitlines()
    except (OSError, UnicodeDecodeError) as error:
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


def from_environment() -> dict[str, str]:
    """Read ``IMAGEBUS_KAFKA_SASL_PASSWORD`` as ``sasl.password``, and its kin."""
    return {
        name.removeprefix(PREFIX).lower().replace("_", "."): value
        for name, value in os.environ.items()
        if name.startswith(PREFIX) and name.removeprefix(PREFIX).startswith(KINDS)
    }
