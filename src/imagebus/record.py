"""A record of the bus: as it was read, before anybody believed a byte of it, or as it goes out."""

from __future__ import annotations

from dataclasses import dataclass

Headers = tuple[tuple[str, bytes], ...]


HEADER_BYTES = 100
"""What a header takes beside its name and value, at least."""


def footprint(key: bytes | None, value: bytes | None, headers: Headers) -> int:
    """Return about how many bytes a record takes in memory; whoever writes one may fill any part of it."""
    parts = sum(len(name) + len(content or b"") + HEADER_BYTES for name, content in headers)
    return len(key or b"") + len(value or b"") + parts


@dataclass(frozen=True, slots=True)
class Record:
    """A record and its place: topic, partition, offset; ``timestamp_ms`` is the capture time (Unix)."""

    topic: str
    partition: int
    offset: int
    timestamp_ms: int
    key: bytes | None
    value: bytes | None
    headers: Headers = ()

    @property
    def footprint(self) -> int:
        """Return about how many bytes it takes in memory."""
        return footprint(self.key, self.value, self.headers)

    def header(self, name: str) -> str:
        """Return the last header of that name as text, empty where there is none."""
        for key, value in reversed(self.headers):
            if key == name:
                return (value or b"").decode("utf-8", "replace")
        return ""


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One record to publish."""

    topic: str
    key: bytes | None
    value: bytes | None
    timestamp_ms: int
    headers: Headers

    @property
    def size(self) -> int:
        """Return how many bytes its value has."""
        return len(self.value or b"")

    @property
    def footprint(self) -> int:
        """Return about how many bytes it takes in memory."""
        return footprint(self.key, self.value, self.headers)
