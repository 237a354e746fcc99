"""Text in columns for a terminal: printable, bounded, aligned by what a character takes on the screen."""

from __future__ import annotations

import time
from datetime import datetime
from unicodedata import combining, east_asian_width

from imagebus.text import printable

CUT = "…"


def width_of(text: str) -> int:
    """Return how many columns a printable text takes."""
    if text.isascii():
        return len(text)
    return sum(0 if combining(char) else 1 + (east_asian_width(char) in "WF") for char in text)


def cut(text: str, width: int) -> str:
    """Return the text made printable, in at most so many columns."""
    text = printable(text[: 4 * width])
    if width_of(text) <= width:
        return text
    while width_of(text) > width - 1:
        text = text[:-1]
    return text + CUT


def left(text: str, width: int) -> str:
    """Return the text in exactly so many columns, cut or filled up behind."""
    text = cut(text, width)
    return text + " " * (width - width_of(text))


def span(seconds: float) -> str:
    """Return a duration in at most nine characters."""
    ahead, seconds = (" ahead" if seconds <= -1 else ""), abs(seconds)
    for limit, unit_s, unit in ((10, 1, "s"), (120, 1, "s"), (7200, 60, "m"), (172_800, 3600, "h")):
        if seconds < limit:
            return f"{seconds / unit_s:.1f} {unit}" if limit == 10 else f"{seconds / unit_s:.0f}{unit}{ahead}"
    return f"{min(seconds / 86_400, 9999):.0f}d{ahead}"


def size(count: int) -> str:
    """Return a number of bytes in at most eight characters."""
    if count < 10_000:
        return f"{count} B"
    return f"{count / 1000:.0f} KB" if count < 10_000_000 else f"{count / 1e6:.0f} MB"


def clock(timestamp_ms: int) -> str:
    """Return a Unix time in ms as local time with milliseconds; as a number where no calendar has it."""
    try:
        moment = datetime.fromtimestamp(timestamp_ms / 1000)
    except (ValueError, OverflowError, OSError):
        return f"{timestamp_ms} ms"
    return moment.isoformat(" ", "milliseconds")


def age_s(timestamp_ms: int) -> float:
    """Return how many seconds ago a Unix time in ms was."""
    return time.time() - timestamp_ms / 1000
