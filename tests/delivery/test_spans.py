"""Spans, as a collector of OpenTelemetry gets them over OTLP/HTTP."""

from __future__ import annotations

import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import msgpack
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest

from imagebus import spans
from imagebus.record import Record
from imagebus.topics import dead_letters_of, meta_of
from tests.broker import Reader, frame_put, fresh, make_topic, plain_frame, put, read_all
from tests.delivery.conftest import Run
from tests.producer.programs import PROGRAM as PRODUCER
from tests.programs import ROOT, wait_for

pytestmark = pytest.mark.kafka


@dataclass
class Span:
    """One span as it was received, and the service that it is of."""

    service: str
    name: str
    trace: str
    span: str
    parent: str
    start_ns: int
    end_ns: int
    facts: dict[str, Any]
    error: str


@dataclass
class Collector:
    """Takes spans in; may be slow to answer, or refuse them."""

    port: int = 0
    spans: list[Span] = field(default_factory=list)
    delay_s: float = 0.0
    status: int = 200
    requests: int = 0

    @property
    def environment(self) -> dict[str, str]:
        return {
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{self.port}",
            "OTEL_BSP_SCHEDULE_DELAY": "200",
        }

    def take(self, body: bytes) -> None:
        for resource in ExportTraceServiceRequest.FromString(body).resource_spans:
            service = _facts(resource.resource.attributes)["service.name"]
            for scope in resource.scope_spans:
                self.spans += [_span(service, one) for one in scope.spans]

    def of(self, service: str) -> list[Span]:
        return [span for span in self.spans if span.service == service]


def _facts(attributes: Any) -> dict[str, Any]:
    return {one.key: getattr(one.value, one.value.WhichOneof("value")) for one in attributes}


def _span(service: str, one: Any) -> Span:
    return Span(
        service,
        one.name,
        one.trace_id.hex(),
        one.span_id.hex(),
        one.parent_span_id.hex(),
        one.start_time_unix_nano,
        one.end_time_unix_nano,
        _facts(one.attributes),
        one.status.message if one.status.code == one.status.STATUS_CODE_ERROR else "",
    )


@pytest.fixture
def collector() -> Iterator[Collector]:
    """A collector on a port of its own."""
    found = Collector()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["content-length"]))
            found.requests += 1
            time.sleep(found.delay_s)
            assert self.path == "/v1/traces"
            if found.status == 200:
                found.take(body)
            self.send_response(found.status)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def handle_error(self, *_: object) -> None:
            pass  # who asked went away before the answer

    server = Server(("127.0.0.1", 0), Handler)
    found.port = server.server_port
    thread = threading.Thread(target=server.serve_forever, args=(0.05,))
    thread.start()
    yield found
    server.shutdown()
    thread.join()
    server.server_close()


def context(record: Record) -> tuple[str, str]:
    """Return trace id and span id of a record."""
    _, trace, span, _ = record.header("traceparent").split("-")
    return trace, span


def stages(*names: str) -> list[str]:
    return [fresh(name) for name in names]


def test_a_picture_is_one_trace_from_its_camera_through_every_filter(
    kafka: str, run: Run, collector: Collector, assets: Path, outcome: Callable[[str], Reader]
) -> None:
    source, first, second = stages("in", "first", "second")
    picture = min((assets / "demo-images").glob("*.jp*g"), key=lambda path: path.stat().st_size)
    filters = [
        run("-i", i, "-t", t, "-n", n, "--freshness", "all", "--start", "earliest", **collector.environment)
        for i, t, n in ((source, first, "one"), (first, second, "two"))
    ]
    camera = run(picture, "-t", source, "-n", "hall", script=PRODUCER, **collector.environment)
    assert camera.ends() == 0
    written = outcome(second)
    wait_for(lambda: written.read(), "a frame at the end of the chain", within_s=60)
    assert [program.ends(signal.SIGTERM) for program in filters] == [0, 0]

    records = [read_all(kafka, topic)[0] for topic in (source, first, second)]
    spans = [collector.of(service)[0] for service in ("producer", "one", "two")]
    assert len(collector.spans) == 3
    assert [(span.trace, span.span) for span in spans] == [context(record) for record in records]
    assert [span.parent for span in spans] == ["", spans[0].span, spans[1].span]
    assert len({span.trace for span in spans}) == 1
    assert [span.name for span in spans] == [f"send {source}", f"process {source}", f"process {first}"]
    trail = msgpack.unpackb(records[2].value or b"")["trail"]
    assert [span.start_ns for span in spans] == [hop["received_ns"] for hop in trail]
    assert [span.end_ns for span in spans] == [hop["published_ns"] for hop in trail]
    frame = msgpack.unpackb(records[0].value or b"")
    for span, topic in zip(spans, (source, first, second), strict=True):
        assert span.facts["imagebus.source"] == "hall"
        assert span.facts["imagebus.epoch"] == frame["epoch"]
        assert span.facts["imagebus.sequence"] == 0
        assert span.facts["imagebus.topic"] == topic
        assert span.facts["messaging.system"] == "kafka"
        assert span.error == ""
    assert spans[1].facts["messaging.destination.name"] == source
    assert spans[1].facts["messaging.kafka.offset"] == records[0].offset
    assert spans[1].facts["messaging.destination.partition.id"] == str(records[0].partition)
    assert spans[1].facts["messaging.consumer.group.name"] == f"imagebus.one.{source}.{first}"
    assert context(read_all(kafka, meta_of(second))[0]) == context(records[2]), "META is of the same span"


def test_each_output_has_its_span_a_dead_letter_one_with_an_error_and_what_is_filtered_out_none(
    kafka: str, run: Run, collector: Collector
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    asked = ["pass", "double", "drop", "fail"]
    frames = [plain_frame(n, attributes={"test.do": do}) for n, do in enumerate(asked)]
    put(kafka, topic, map(frame_put, frames))
    program = run(
        *("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest"),
        **collector.environment,
    )
    letters = dead_letters_of(topic)
    wait_for(lambda: read_all(kafka, letters), "a dead letter", within_s=60)
    assert program.ends(signal.SIGTERM) == 0

    published = {context(record) for record in read_all(kafka, out)}
    assert len(published) == 3
    good = [span for span in collector.spans if not span.error]
    assert {(span.trace, span.span) for span in good} == published
    assert [span.facts["imagebus.sequence"] for span in good] == [0, 1, 1]
    [bad] = [span for span in collector.spans if span.error]
    assert "asked to fail" in bad.error
    assert bad.facts["error.type"] == "error"
    assert bad.facts["imagebus.topic"] == letters
    assert bad.facts["messaging.kafka.offset"] == 3
    assert 0 < bad.start_ns <= bad.end_ns


@pytest.mark.slow
def test_a_trace_that_a_stranger_does_not_want_sampled_is_not_sent(
    kafka: str, run: Run, collector: Collector
) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    flags = {n: b"01" if n else b"00" for n in range(3)}
    puts = [
        replace(
            frame_put(plain_frame(n)),
            headers=[("traceparent", b"00-" + b"a" * 31 + b"%d" % n + b"-" + b"b" * 16 + b"-" + flags[n])],
        )
        for n in range(3)
    ]
    put(kafka, topic, puts)
    program = run(
        *("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest"),
        **collector.environment,
    )
    wait_for(lambda: len(read_all(kafka, out)) == 3, "three frames", within_s=60)
    assert program.ends(signal.SIGTERM) == 0
    assert sorted(span.trace[-1] for span in collector.spans) == ["1", "2"]
    assert {span.parent for span in collector.spans} == {"b" * 16}


@pytest.mark.parametrize(
    "how", ["slow", *(pytest.param(how, marks=pytest.mark.slow) for how in ("away", "refusing"))]
)
def test_an_endpoint_that_takes_nothing_slows_neither_frames_nor_the_stop(
    kafka: str, run: Run, collector: Collector, how: str
) -> None:
    collector.delay_s = 30.0 if how == "slow" else 0.0
    collector.status = 503 if how == "refusing" else 200
    environment = collector.environment
    if how == "away":
        environment["OTEL_EXPORTER_OTLP_ENDPOINT"] = "http://127.0.0.1:1"
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    put(kafka, topic, [frame_put(plain_frame(n)) for n in range(3000)])
    program = run(
        *("-i", topic, "-t", out, "-n", "f", "-q", "--freshness", "all", "--start", "earliest"),
        **environment,
    )
    wait_for(lambda: len(read_all(kafka, out)) == 3000, "all frames", within_s=90, every_s=0.5)
    wait_for(lambda: how == "away" or collector.requests, "a request")
    assert program.alive
    began = time.monotonic()
    assert program.ends(signal.SIGTERM) == 0
    assert time.monotonic() - began < 15, (
        "leaving the group takes its time, thirty seconds are the endpoint's"
    )
    assert collector.spans == []
    assert b"Traceback" not in program.err
    assert program.err.count(b"spans to http") <= 1


def test_an_endpoint_that_is_away_is_told_of_once(kafka: str, run: Run) -> None:
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    program = run(
        *("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest"),
        OTEL_EXPORTER_OTLP_TRACES_ENDPOINT="http://127.0.0.1:1/v1/traces",
        OTEL_EXPORTER_OTLP_TIMEOUT="1",
        OTEL_BSP_SCHEDULE_DELAY="100",
    )
    for n in range(4):
        put(kafka, topic, [frame_put(plain_frame(n))])
        wait_for(lambda n=n: len(read_all(kafka, out)) > n, "a frame", within_s=60)  # type: ignore[misc]
        program.says("spans to http://127.0.0.1:1/v1/traces cannot be sent; they are dropped, frames go on")
    assert program.ends(signal.SIGTERM) == 0
    assert program.err.count(b"cannot be sent") == 1
    assert b"Transient error" not in program.err


def test_without_the_package_a_service_says_what_to_install_and_goes_on(
    kafka: str, run: Run, tmp_path: Path
) -> None:
    package = tmp_path / "empty" / "opentelemetry"
    package.mkdir(parents=True)
    (package / "__init__.py").write_text("raise ImportError('No module named opentelemetry')")
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    program = run(
        *("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest"),
        OTEL_EXPORTER_OTLP_ENDPOINT="http://127.0.0.1:1",
        PYTHONPATH=str(package.parent),
    )
    put(kafka, topic, [frame_put(plain_frame(0))])
    wait_for(lambda: read_all(kafka, out), "a frame", within_s=60)
    assert program.ends(signal.SIGTERM) == 0
    assert b"OTEL_EXPORTER_OTLP_ENDPOINT is set, but no spans are sent" in program.err
    assert b"install imagebus[tracing]" in program.err


def test_without_an_endpoint_nothing_of_opentelemetry_is_loaded() -> None:
    code = (
        "import sys; from imagebus import service, trace; trace.spans('x'); "
        "sys.exit('opentelemetry' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], timeout=60, check=False).returncode == 0


def test_the_page_names_each_attribute_that_is_sent() -> None:
    page = (ROOT / "docs" / "tracing.md").read_text()
    sent = set(re.findall(r'"((?:imagebus|messaging|error)\.[a-z.]+)"', Path(spans.__file__).read_text()))
    assert len(sent) >= 15
    assert {name for name in sent if f"`{name}`" not in page} == set()
