"""W3C trace context: one trace a picture, one span a hop (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import re
import secrets

HEADER = "traceparent"
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def begin() -> str:
    """Return the traceparent of a new trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def proceed(parent: str) -> str:
    """Return the traceparent of the next span of the trace, or of a new trace where there is none."""
    if not _FORM.fullmatch(parent):
        return begin()
    version, trace, _span, flags = parent.split("-")
    return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"
