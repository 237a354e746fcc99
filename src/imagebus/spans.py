"""Spans for OpenTelemetry: the one module that knows it; loaded only where an OTLP endpoint is set.

The ids of a span are those in the ``traceparent`` of the record that it is about, so that whoever holds a
record finds its span, and the reverse.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
from collections.abc import Sequence

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter, SpanExportResult
from opentelemetry.sdk.trace.id_generator import IdGenerator
from opentelemetry.trace import (
    NonRecordingSpan,
    SpanContext,
    SpanKind,
    Status,
    StatusCode,
    TraceFlags,
    set_span_in_context,
)
from opentelemetry.util.types import AttributeValue

from imagebus import outgoing, trace
from imagebus.frame import Frame
from imagebus.log import warn
from imagebus.mask import mask
from imagebus.record import Outgoing, Record
from imagebus.text import printable
from imagebus.version import VERSION

STOP_S = 1.0
"""So long a service that stops waits for its last spans to be sent."""
MOST_TEXT = 1000
Facts = dict[str, AttributeValue]


class ExportedSpans(trace.Spans):
    """Sends spans in the background, from a bounded queue; what finds no room or no endpoint, is dropped.

    Args:
        service: name of the service where ``OTEL_SERVICE_NAME`` does not give one.
    """

    def __init__(self, service: str) -> None:
        logging.getLogger("opentelemetry").propagate = False  # it would say the same at every attempt
        logging.getLogger("opentelemetry").addHandler(logging.NullHandler())
        attributes = {"service.version": VERSION}
        if not os.environ.get("OTEL_SERVICE_NAME"):
            attributes["service.name"] = printable(service)
        self._ids = GivenIds()
        self._one_at_a_time = threading.Lock()
        self._processor = BatchSpanProcessor(TellingExporter())
        resource = Resource.create(attributes)
        provider = TracerProvider(resource=resource, id_generator=self._ids, shutdown_on_exit=False)
        provider.add_span_processor(self._processor)
        self._tracer = provider.get_tracer("imagebus", VERSION)
        atexit.register(self.close)

    def hop(self, frame: Frame, published: Outgoing, came_of: Record | None = None) -> None:
        """Send the span of a hop: from when its input was received to when its frame was published."""
        hop = frame.trail[-1]
        own: Facts = {
            "imagebus.stage": hop.stage,
            "imagebus.kind": hop.kind,
            "imagebus.topic": published.topic,
            "imagebus.source": frame.source,
            "imagebus.epoch": frame.epoch,
            "imagebus.sequence": frame.sequence,
            "imagebus.run": frame.run,
        }
        ids = _header(published, trace.HEADER)
        self._send(ids, came_of, published, own, (hop.received_ns, hop.published_ns))

    def fault(self, record: Record, letter: Outgoing, reason: str, error: str, received_ns: int) -> None:
        """Send the span of a record that became a dead letter, with an error."""
        own: Facts = {
            "imagebus.stage": _header(letter, outgoing.STAGE),
            "imagebus.topic": letter.topic,
            "error.type": reason,
        }
        ids = trace.proceed(record.header(trace.HEADER))
        status = Status(StatusCode.ERROR, printable(error[:MOST_TEXT]))
        self._send(ids, record, letter, own, (received_ns, time.time_ns()), status)

    def _send(
        self,
        traceparent: str,
        record: Record | None,
        published: Outgoing,
        own: Facts,
        times: tuple[int, int],
        status: Status | None = None,
    ) -> None:
        operation, topic = ("process", record.topic) if record else ("send", published.topic)
        attributes = {**own, **_messaging(operation, topic, record, published)}
        parent = _context(record.header(trace.HEADER)) if record else None
        with self._one_at_a_time:
            self._ids.take(traceparent)
            span = self._tracer.start_span(
                f"{operation} {topic}",
                None if parent is None else set_span_in_context(NonRecordingSpan(parent)),
                SpanKind.CONSUMER if record else SpanKind.PRODUCER,
                attributes,
                start_time=times[0],
            )
        if status:
            span.set_status(status)
        span.end(max(times))

    def close(self) -> None:
        """Send what waits, for a second at most; an endpoint that is slow keeps nobody."""
        closing = threading.Thread(target=self._processor.shutdown, name="last spans", daemon=True)
        closing.start()
        closing.join(STOP_S)


class GivenIds(IdGenerator):
    """Gives a span the ids that its record has."""

    def take(self, traceparent: str) -> None:
        """Set the ids of the next span."""
        _, trace_id, span_id, _ = traceparent.split("-")
        self._trace_id, self._span_id = int(trace_id, 16), int(span_id, 16)

    def generate_trace_id(self) -> int:
        """Return the given one."""
        return self._trace_id

    def generate_span_id(self) -> int:
        """Return the given one."""
        return self._span_id


class TellingExporter(SpanExporter):
    """Sends over HTTP, and says once that it fails and once that it does no longer."""

    def __init__(self) -> None:
        self._exporter = OTLPSpanExporter()
        self._fails = False

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        """Send a batch, or drop it after ``OTEL_EXPORTER_OTLP_TIMEOUT``."""
        result = self._exporter.export(spans)
        fails = result is not SpanExportResult.SUCCESS
        if fails != self._fails:
            self._fails = fails
            say = "cannot be sent; they are dropped, frames go on" if fails else "are sent again"
            where = os.environ.get(trace.ENDPOINTS[0]) or os.environ[trace.ENDPOINTS[1]]
            warn(f"spans to {mask(where)} {say}")
        return result

    def shutdown(self) -> None:
        """End the connection."""
        self._exporter.shutdown()  # type: ignore[no-untyped-call]


def _messaging(operation: str, topic: str, record: Record | None, published: Outgoing) -> Facts:
    """Return what OpenTelemetry's semantic conventions for messaging ask for."""
    facts: Facts = {
        "messaging.system": "kafka",
        "messaging.operation.name": operation,
        "messaging.operation.type": operation,
        "messaging.destination.name": topic,
        "messaging.message.body.size": len((record or published).value or b""),
    }
    if record:
        facts["messaging.destination.partition.id"] = str(record.partition)
        facts["messaging.kafka.offset"] = record.offset
        facts["messaging.consumer.group.name"] = _header(published, outgoing.GROUP)
    return facts


def _context(traceparent: str) -> SpanContext | None:
    if not trace.is_valid(traceparent):
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))


def _header(record: Outgoing, name: str) -> str:
    return dict(record.headers).get(name, b"").decode("utf-8", "replace")
