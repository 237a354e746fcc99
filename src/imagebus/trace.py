"""W3C trace context: one trace a picture, one span a hop (https://www.w3.org/TR/trace-context/)."""

from __future__ import annotations

import os
import re
import secrets
from functools import cache
from typing import TYPE_CHECKING

from imagebus.log import warn

if TYPE_CHECKING:
    from imagebus.frame import Frame
    from imagebus.record import Outgoing, Record

HEADER = "traceparent"
ENDPOINTS = ("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT")
"""Where one of these is set, a span is sent for each hop, as OpenTelemetry knows them."""
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def begin() -> str:
    """Return the traceparent of a new trace."""
    return f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01"


def proceed(parent: str) -> str:
    """Return the traceparent of the next span of the trace, or of a new trace where there is none."""
    if not is_valid(parent):
        return begin()
    version, trace, _span, flags = parent.split("-")
    return f"{version}-{trace}-{secrets.token_hex(8)}-{flags}"


def is_valid(traceparent: str) -> bool:
    """Whether this names a span."""
    return _FORM.fullmatch(traceparent) is not None


class Spans:
    """Takes spans and does nothing with them; ``spans.ExportedSpans`` sends them."""

    def hop(self, frame: Frame, published: Outgoing, came_of: Record | None = None) -> None:
        """Take note of the last hop of a frame, which was published; a camera's came of no record."""

    def fault(self, record: Record, letter: Outgoing, reason: str, error: str, received_ns: int) -> None:
        """Take note that a record became a dead letter."""


@cache
def spans(service: str) -> Spans:
    """Return what takes this process's spans: all else is done in the background and at its exit."""
    found = [name for name in ENDPOINTS if os.environ.get(name)]
    if not found or os.environ.get("OTEL_SDK_DISABLED", "").lower() == "true":
        return Spans()
    try:
        from imagebus.spans import ExportedSpans
    except ImportError as error:
        warn(f"{found[0]} is set, but no spans are sent: {error}; install imagebus[tracing]")
        return Spans()
    try:
        return ExportedSpans(service)
    except (ValueError, OSError) as error:
        warn(f"{found[0]} is set, but no spans are sent: {error}")
        return Spans()
