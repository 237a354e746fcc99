"""Moments as people write them: ISO 8601, or so long ago."""

from __future__ import annotations

import os
import re
import time
from datetime import datetime

NOW_VARIABLE = "IMAGEBUS_NOW_MS"
"""Set for workers, so that ``-5m`` means the same to all of them."""
AGO = re.compile(r"-(\d+(?:\.\d+)?)(ms|s|m|h|d)")
UNITS_MS = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}
WANTED = "a time like 2026-11-21T14:00:00+01:00, 2026-11-21T14:00 (local) or -5m (five minutes ago) is wanted"


def now_ms() -> int:
    """Return the present time, Unix ms; of a worker, the time at which its parent began."""
    return int(os.environ.get(NOW_VARIABLE) or time.time_ns() // 1_000_000)


def parse(value: str | int) -> int:
    """Return Unix milliseconds.

    Args:
        value: ISO 8601, local where it names no zone; ``-90s``, ``-5m``, ``-1.5h``, ``-2d`` ago; or Unix ms.

    Raises:
        ValueError: it is no such text, or an hour that a change of the clocks makes doubtful.
    """
    if isinstance(value, int):
        return value
    if ago := AGO.fullmatch(value):
        return now_ms() - int(float(ago[1]) * UNITS_MS[ago[2]])
    try:
        moment = datetime.fromisoformat(value)
        return round((moment if moment.tzinfo else _local(moment)).timestamp() * 1000)
    except (ValueError, OverflowError, OSError) as error:
        raise ValueError(str(error) if "clocks" in str(error) else WANTED) from None


def _local(moment: datetime) -> datetime:
    """Return the moment with the local offset, where there is just one."""
    first, second = (moment.replace(fold=fold).astimezone() for fold in (0, 1))
    if first.utcoffset() != second.utcoffset():
        happens = "twice" if first.timestamp() < second.timestamp() else "never"
        raise ValueError(
            f"{moment.isoformat(' ')} happens {happens} here, for the clocks change: say which is meant, "
            f"{first.isoformat()} or {second.isoformat()}"
        )
    return first
