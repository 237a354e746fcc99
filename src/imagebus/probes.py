"""Whether a service lives, and whether it is at work: what ``/healthz`` and ``/readyz`` answer."""

from __future__ import annotations

import time

from imagebus.status import Life

PATIENCE_S = 120.0
"""A step may take so long: a batch of a slow model, or a broker that does not answer."""


def ill(life: Life, patience_s: float = PATIENCE_S) -> str:
    """Say why the service has to be started again; nothing where it has not to.

    One that has not begun to read yet may load a model or wait for its topic: it is taken for well.
    """
    silent_s = (time.monotonic_ns() - life.stepped_ns) / 1e9
    if life.ready and silent_s > patience_s:
        return f"it has not gone round its loop for {silent_s:.0f} s, at most {patience_s:.0f} s are allowed"
    return ""


def unready(life: Life) -> str:
    """Say why the service does nothing now; nothing where it does."""
    if not life.ready:
        return "it does not read yet"
    return "the broker does not answer" if life.away else ""
