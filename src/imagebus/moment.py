"""Moments as people write them: ISO 8601, or so long ago."""

from __future__ import annotations

import os
import re
import time
from datetime import UTC, datetime, timedelta

from imagebus.errors import ConfigurationError

NOW_VARIABLE = "IMAGEBUS_NOW_MS"
"""Set for workers, so that ``-5m`` means the same to all of them."""
UNIX_MS = re.compile(r"\d{12,}")
"""From 1973 on; shorter numbers may be dates."""
AGO = re.compile(r"-(\d+(?:\.\d+)?)(ms|s|m|h|d)")
Range = tuple[int | None, int | None]
"""From when until when, Unix ms; None where there is no bound."""
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
LAST_MS = 253_402_300_799_999
"""The end of the year 9999."""
WANTED = "a time like 2026-11-21T14:00:00+01:00, 2026-11-21T14:00 (local) or -5m (five minutes ago) is wanted"


def now_ms() -> int:
    """Return the present time, Unix ms; of a worker, the time at which its parent began."""
    told = os.environ.get(NOW_VARIABLE) or str(time.time_ns() // 1_000_000)
    if not (told.isascii() and told.isdecimal()):
        raise ConfigurationError(f"{NOW_VARIABLE} is set for workers: Unix ms are wanted, not {told!r}")
    return int(told)


def parse(value: str | int) -> int:
    """Return Unix milliseconds, never less than 0: brokers take what is below for words such as "latest".

    Args:
        value: ISO 8601, local where it names no zone; ``-90s``, ``-5m``, ``-1.5h``, ``-2d`` ago; or Unix ms.

    Raises:
        ValueError: it is no such text, out of range, or an hour that a change of the clocks makes doubtful.
    """
    try:
        found = _unix_ms(value)
    except OverflowError:
        found = -1
    if not 0 <= found <= LAST_MS:
        raise ValueError("a time from 1970 to 9999 is wanted")
    return found


def within(span: Range, unix_ms: int) -> bool:
    """Whether a moment lies in a range, whose end is not in it."""
    begin, end = span
    return (begin is None or unix_ms >= begin) and (end is None or unix_ms < end)


def text(unix_ms: int) -> str:
    """Return a moment as people read it: ISO 8601 in local time, with its zone."""
    moment = datetime.fromtimestamp(unix_ms / 1000).astimezone()
    return moment.isoformat(timespec="milliseconds" if unix_ms % 1000 else "seconds")


def _unix_ms(value: str | int) -> int:
    if isinstance(value, int) or UNIX_MS.fullmatch(value):
        return int(value) if len(str(value)) < 20 else -1
    if ago := AGO.fullmatch(value):
        return now_ms() - int(float(ago[1]) * UNITS_MS[ago[2]])
    try:
        moment = datetime.fromisoformat(value)
    except ValueError:
        raise ValueError(WANTED) from None
    if moment.tzinfo is None:
        moment = _local(moment)
    return (moment - EPOCH) // timedelta(milliseconds=1)


def _local(moment: datetime) -> datetime:
    """Return the moment with the local offset, where there is just one."""
    try:
        first, second = (moment.replace(fold=fold).astimezone() for fold in (0, 1))
    except (ValueError, OSError):
        raise OverflowError from None
    if first.utcoffset() != second.utcoffset():
        happens = "twice" if first.replace(tzinfo=None) == moment else "never"
        first, second = sorted((first, second))
        raise ValueError(
            f"an unmistakable time is wanted (here {moment.isoformat(' ')} happens {happens}, as the clocks "
            f"change: say {first.isoformat()} or {second.isoformat()})"
        )
    return first
