"""What a service shows of itself by HTTP: metrics, health, and a server that nobody can hold up."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from http.client import HTTPConnection
from pathlib import Path

import pytest
from prometheus_client import Metric
from prometheus_client.parser import text_string_to_metric_families

from imagebus import ConfigurationError, probes
from imagebus.commit import OUTCOMES
from imagebus.metrics import CameraMetrics, Exposition, FilterMetrics
from imagebus.pages import MOST_CONNECTIONS, Page, PageServer
from imagebus.status import CameraStatus, Life, Status

LABELS = {"stage": "redaction", "input": "IN", "topic": "OUT"}
PAGE = (Path(__file__).parents[1] / "docs" / "metrics.md").read_text()


def families(text: bytes) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(text.decode())}


def of_filter(status: Status) -> dict[str, Metric]:
    return families(Exposition(FilterMetrics(status, "redaction", LABELS)).text())


def of_camera(status: CameraStatus) -> dict[str, Metric]:
    labels = {"camera": "door", "topic": "SOURCE_FRAME"}
    return families(Exposition(CameraMetrics(status, "producer", labels)).text())


def value(found: dict[str, Metric], name: str, **labels: str) -> float:
    [sample] = [sample for sample in found[name].samples if labels.items() <= sample.labels.items()]
    return sample.value


def documented(*headings: str) -> dict[str, str]:
    """Return the type of each metric in these parts of the page."""
    found: dict[str, str] = {}
    for part in PAGE.split("\n## ")[1:]:
        if part.startswith(headings):
            found |= dict(re.findall(r"^\| `(\w+)` \| (\w+) \|", part, re.MULTILINE))
    return found


def served(found: dict[str, Metric]) -> dict[str, str]:
    return {
        name + ("_total" if family.type == "counter" else ""): family.type for name, family in found.items()
    }


def test_the_page_names_every_metric_of_a_filter_with_its_type_and_no_other() -> None:
    assert served(of_filter(Status())) == documented("Every program", "A filter")


def test_the_page_names_every_metric_of_a_camera_with_its_type_and_no_other() -> None:
    assert served(of_camera(CameraStatus())) == documented("Every program", "A camera")


def test_every_metric_is_named_as_prometheus_wants_it_and_explained() -> None:
    for found in (of_filter(Status()), of_camera(CameraStatus())):
        for name, family in found.items():
            assert re.fullmatch(r"(imagebus|process)_[a-z_]+", name)
            assert family.documentation
            assert not name.endswith(("_ms", "_ns", "_kb", "_mb", "_count", "_sum"))


def test_every_outcome_has_a_counter_also_before_it_happens() -> None:
    status = Status()
    status.finished.update({"output": 3, "skipped.stale": 2})
    found = of_filter(status)
    counts = {s.labels["outcome"]: s.value for s in found["imagebus_records"].samples}
    assert counts == {**dict.fromkeys(OUTCOMES, 0.0), "output": 3.0, "skipped.stale": 2.0}


def test_the_numbers_are_those_of_the_status() -> None:
    status = Status(ready=True, received=7, received_bytes=700, waiting=4, held=2, partitions=(1, 3))
    found = of_filter(status)
    assert value(found, "imagebus_received_records") == 7
    assert value(found, "imagebus_received_bytes") == 700
    assert value(found, "imagebus_waiting_records", **LABELS) == 4
    assert value(found, "imagebus_held_records") == 2
    assert value(found, "imagebus_partitions") == 2
    assert value(found, "imagebus_ready") == 1
    assert value(found, "imagebus_broker_away") == 0
    status.received, status.away = 8, True
    found = families(Exposition(FilterMetrics(status, "redaction", LABELS)).text())
    assert value(found, "imagebus_received_records") == 8
    assert value(found, "imagebus_broker_away") == 1


def test_a_histogram_counts_every_frame_once_and_cumulatively() -> None:
    status = Status()
    for seconds in (0.0005, 0.001, 0.004, 3.0, 1000.0):
        status.processing.observe(seconds)
    samples = of_filter(status)["imagebus_processing_seconds"].samples
    buckets = [(s.labels["le"], s.value) for s in samples if s.name.endswith("_bucket")]
    assert [count for _, count in buckets] == sorted(count for _, count in buckets)
    assert dict(buckets)["0.001"] == 2
    assert dict(buckets)["0.005"] == 3
    assert dict(buckets)["60.0"] == 4
    assert dict(buckets)["+Inf"] == 5
    [total] = [s.value for s in samples if s.name.endswith("_sum")]
    assert total == pytest.approx(1003.0055)


def test_the_age_of_the_newest_frame_has_no_sample_before_the_first_frame() -> None:
    status = CameraStatus()
    assert of_camera(status)["imagebus_newest_frame_age_seconds"].samples == []
    status.newest_ms = time.time_ns() // 1_000_000 - 5000
    found = of_camera(status)
    assert 5 <= value(found, "imagebus_newest_frame_age_seconds") < 60
    assert value(found, "imagebus_newest_frame_timestamp_seconds") == pytest.approx(status.newest_ms / 1000)


def test_a_camera_says_what_was_published_dropped_and_refused() -> None:
    found = of_camera(CameraStatus(published=5, published_bytes=50, dropped=4, refused=3, waiting=2))
    assert value(found, "imagebus_camera_published_frames", camera="door", topic="SOURCE_FRAME") == 5
    assert value(found, "imagebus_camera_published_bytes") == 50
    assert value(found, "imagebus_camera_dropped_frames") == 4
    assert value(found, "imagebus_camera_refused_frames") == 3
    assert value(found, "imagebus_camera_waiting_frames") == 2


def test_any_name_of_a_stage_is_a_label() -> None:
    stage = 'two\nlines, "quotes" and a \\ Tür \U0001f4f7'
    metrics = FilterMetrics(Status(), "kind", {**LABELS, "stage": stage})
    found = families(Exposition(metrics).text())
    assert value(found, "imagebus_ready", stage=stage) == 0


def test_two_services_in_one_process_have_their_own_metrics() -> None:
    first, second = Status(received=1), Status(received=2)
    assert value(of_filter(first), "imagebus_received_records") == 1
    assert value(of_filter(second), "imagebus_received_records") == 2


def test_a_service_is_ill_when_it_no_longer_goes_round_but_not_while_it_starts() -> None:
    life = Life(ready=True)
    assert probes.ill(life) == ""
    life.stepped_ns -= 130 * 10**9
    assert "has not gone round its loop for 130 s" in probes.ill(life)
    life.ready = False
    assert probes.ill(life) == ""


def test_a_service_is_ready_while_it_reads_and_the_broker_answers() -> None:
    life = Life()
    assert probes.unready(life) == "it does not read yet"
    life.ready = True
    assert probes.unready(life) == ""
    life.away = True
    assert probes.unready(life) == "the broker does not answer"


@pytest.fixture
def serve() -> Iterator[Callable[..., PageServer]]:
    with ExitStack() as stack:

        def start(host: str = "127.0.0.1", port: int = 0, deadline_s: float = 5.0) -> PageServer:
            pages = {"/page": lambda: Page(b"hello\n"), "/large": lambda: Page(b"x" * 50_000_000)}
            return stack.enter_context(PageServer(host, port, pages, deadline_s=deadline_s))

        yield start


def ask(server: PageServer, target: str, method: str = "GET") -> tuple[int, bytes]:
    host, _, port = server.address.rpartition(":")
    connection = HTTPConnection(host.strip("[]"), int(port), timeout=10)
    try:
        connection.request(method, target)
        response = connection.getresponse()
        return response.status, response.read()
    finally:
        connection.close()


def say(server: PageServer, words: bytes) -> bytes:
    """Say something to the server and return all that it answers."""
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(words)
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    return answer


def is_cut_off(act: Callable[[], object]) -> bool:
    """Do something again and again, until the connection is no more."""
    for _ in range(10_000):
        try:
            act()
        except ConnectionError:
            return True
    return False


def test_a_page_is_served_whole_and_others_are_not_there(serve: Callable[..., PageServer]) -> None:
    server = serve()
    assert ask(server, "/page") == (200, b"hello\n")
    assert ask(server, "/page?query=1") == (200, b"hello\n")
    assert ask(server, "/page", "HEAD") == (200, b"")
    for path in ("/", "/page/", "/../page", "//page", "/%70age", "/Page"):
        assert ask(server, path)[0] == 404, path
    for method in ("POST", "PUT", "DELETE", "OPTIONS", "TRACE", "get"):
        assert ask(server, "/page", method)[0] == 405, method


@pytest.mark.parametrize(
    "words",
    [
        b"\r\n\r\n",
        b"GET /page\r\n\r\n",
        b"GET\r\n\r\n",
        b"GET /page HTTP/2.0\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\r\n\r\n",
        b"GET /pa\xff\x00ge GET HTTP/1.1\r\n\r\n",
    ],
)
def test_what_is_no_request_is_refused(serve: Callable[..., PageServer], words: bytes) -> None:
    assert say(serve(), words).startswith(b"HTTP/1.1 400 ")


def test_a_request_without_end_is_cut_off(serve: Callable[..., PageServer]) -> None:
    server = serve(deadline_s=60)
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        assert is_cut_off(lambda: connection.sendall(b"GET /page HTTP/1.1\r\nX: " + b"x" * 10_000))
    assert ask(server, "/page")[0] == 200


def test_who_says_nothing_or_reads_nothing_is_let_go_after_the_deadline(
    serve: Callable[..., PageServer],
) -> None:
    server = serve(deadline_s=0.5)
    host, _, port = server.address.rpartition(":")
    with socket.create_connection((host, int(port)), timeout=10) as silent:
        assert silent.recv(1) == b""
    with socket.create_connection((host, int(port)), timeout=10) as deaf:
        deaf.sendall(b"GET /large HTTP/1.1\r\n\r\n")
        time.sleep(2)
        received: list[int] = []
        is_cut_off(lambda: received.append(len(deaf.recv(65536))))
        assert sum(received) < 50_000_000


def test_a_crowd_of_silent_clients_keeps_nobody_out(serve: Callable[..., PageServer]) -> None:
    server = serve(deadline_s=600)
    host, _, port = server.address.rpartition(":")
    before = threading.active_count()
    with ExitStack() as stack:
        for _ in range(3 * MOST_CONNECTIONS):
            silent = stack.enter_context(socket.create_connection((host, int(port)), timeout=10))
            silent.sendall(b"GET /page HTTP/1.1\r\n")
        assert ask(server, "/page") == (200, b"hello\n")
        assert threading.active_count() == before


def test_a_port_that_is_taken_is_named_with_its_flag(serve: Callable[..., PageServer]) -> None:
    port = int(serve().address.rpartition(":")[2])
    with pytest.raises(ConfigurationError, match=rf"--metrics-port: cannot listen on 127.0.0.1:{port}"):
        serve(port=port)


@pytest.mark.parametrize("host", ["203.0.113.7", "no-such-host.invalid", "a" * 300])
def test_an_address_that_is_not_ours_is_named_with_its_flag(
    serve: Callable[..., PageServer], host: str
) -> None:
    with pytest.raises(ConfigurationError, match=r"^--metrics-host: "):
        serve(host=host)


def test_who_listens_everywhere_is_reached_by_the_name_of_the_machine(
    serve: Callable[..., PageServer],
) -> None:
    assert serve(host="0.0.0.0").address.rpartition(":")[0] == socket.gethostname()


def test_a_server_that_ends_lets_its_port_go_at_once(serve: Callable[..., PageServer]) -> None:
    server = serve()
    port = int(server.address.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port)):
        server.close()
    assert ask(serve(port=port), "/page")[0] == 200
