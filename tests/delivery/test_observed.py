"""What others see of a running filter and a running camera: on a real broker, from outside."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.parse import urlsplit
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from imagebus import announce
from imagebus.announce import Service
from imagebus.topics import SERVICES
from tests.broker import Reader, frame_put, fresh, make_topic, plain_frame, put
from tests.conftest import Broker
from tests.delivery.conftest import Run
from tests.programs import ROOT, wait_for

PRODUCER = ROOT / "producer" / "producer.py"
PASSWORD = "hunter22"


class Services:
    """The newest word of each service, as a reader of the compacted topic keeps it."""

    def __init__(self, kafka: str) -> None:
        self._reader = Reader(kafka, SERVICES)

    def all(self) -> dict[bytes | None, Service | None]:
        """Return it by key; None of a service that has said goodbye."""
        return {
            record.key: announce.decode(record.value) if record.value else None
            for record in self._reader.read()
        }

    def of(self, name: str) -> list[Service]:
        """Return those that are there, of a stage or camera of this name."""
        return [service for service in self.all().values() if service and service.name == name]

    def one(self, name: str) -> Service:
        """Wait for the only one of a name, once it reads."""
        wait_for(lambda: [service for service in self.of(name) if service.ready], f"{name} in {SERVICES}")
        [service] = self.of(name)
        return service

    def raw(self) -> bytes:
        """Return every byte that any service has said."""
        return b"".join((record.key or b"") + (record.value or b"") for record in self._reader.read())

    def close(self) -> None:
        self._reader.close()


@pytest.fixture
def services(kafka: str) -> Iterator[Services]:
    reading = Services(kafka)
    yield reading
    reading.close()


def get(url: str) -> tuple[int, str]:
    try:
        with urlopen(url, timeout=10) as response:
            return response.status, response.read().decode()
    except HTTPError as error:
        with error:
            return error.code, error.read().decode()


def beside(url: str, page: str) -> str:
    return url.removesuffix("/metrics") + page


def scrape(url: str) -> dict[str, float]:
    """Return every sample by its name, and by outcome or bucket where it has one."""
    status, text = get(url)
    assert status == 200
    samples = [s for family in text_string_to_metric_families(text) for s in family.samples]
    more = ("outcome", "le")
    return {"|".join([s.name, *(s.labels[key] for key in more if key in s.labels)]): s.value for s in samples}


def frames(count: int, do: str = "pass") -> list[dict[str, object]]:
    now_ns = time.time_ns()
    return [plain_frame(n, captured_ns=now_ns, attributes={"test.do": do}) for n in range(count)]


def test_the_metrics_of_a_filter_are_served_where_it_says_and_count_what_it_does(
    run: Run, kafka: str, services: Services
) -> None:
    topic, out, name = make_topic(kafka, fresh("in")), fresh("out"), fresh("stage")
    put(kafka, topic, [frame_put(f) for f in (*frames(5), *frames(2, "drop"), *frames(1, "fail"))])
    words = ["-i", topic, "-t", out, "-n", name, "--start", "earliest", "--freshness", "all"]
    program = run(*words, "--metrics-port", 0, "-q")
    service = services.one(name)
    assert service.metrics is not None
    program.says(f"metrics are served on {service.metrics}")
    url = service.metrics
    wait_for(lambda: scrape(url)["imagebus_records_total|filtered"] == 2, "all have ended")
    found = scrape(url)
    assert found["imagebus_records_total|output"] == 5
    assert found["imagebus_records_total|dead"] == 1
    assert found["imagebus_records_total|skipped.stale"] == 0
    assert found["imagebus_received_records_total"] == 8
    # five frames, each with its META, a dead letter, and at least one note of what was filtered out
    assert found["imagebus_published_records_total"] >= 12
    assert found["imagebus_processing_seconds_count"] == 7
    assert found["imagebus_frame_age_seconds_bucket|+Inf"] == 7
    assert found["imagebus_newest_frame_age_seconds"] < 300
    assert found["imagebus_partitions"] == 1
    wait_for(lambda: scrape(url)["imagebus_lag_records"] == 0, "nothing lies before it")
    assert get(beside(url, "/healthz")) == (200, "ok\n")
    assert get(beside(url, "/readyz")) == (200, "ok\n")
    wait_for(lambda: services.one(name).counts == {"output": 5, "filtered": 2, "dead": 1}, "its counts")
    service = services.one(name)
    assert (service.kind, service.input, service.topic) == ("scripted", topic, out)
    assert service.pid == program.process.pid
    assert service.options["freshness"] == "inf"


def test_a_filter_says_how_many_records_lie_before_it(run: Run, kafka: str, services: Services) -> None:
    topic, name = make_topic(kafka, fresh("in"), 2), fresh("stage")
    put(kafka, topic, [frame_put(f, n % 2) for n, f in enumerate(frames(40))])
    words = ["-i", topic, "-t", fresh("out"), "-n", name, "--start", "earliest", "--freshness", "all"]
    run(*words, "--metrics-port", 0, "--delay-ms", 1000, "-q")
    wait_for(lambda: any(service.lag for service in services.of(name)), "its lag")
    service = services.one(name)
    assert service.metrics
    assert 10 <= (service.lag or 0) <= 40
    assert 10 <= scrape(service.metrics)["imagebus_lag_records"] <= 40


def test_a_service_that_ends_in_order_says_goodbye_and_comes_back_under_its_key(
    run: Run, kafka: str, services: Services
) -> None:
    topic, name = make_topic(kafka, fresh("in")), fresh("stage")
    keys = []
    for _ in range(2):
        program = run("-i", topic, "-t", fresh("out"), "-n", name, "--group", name)
        assert services.one(name).pid == program.process.pid
        keys += [key for key, service in services.all().items() if service and service.name == name]
        assert program.ends(signal.SIGTERM) == 0
        assert services.of(name) == []
        assert services.all()[keys[-1]] is None
    assert keys[0] == keys[1]


def test_a_service_that_is_killed_leaves_its_last_word_and_no_goodbye(
    run: Run, kafka: str, services: Services
) -> None:
    topic, name = make_topic(kafka, fresh("in")), fresh("stage")
    program = run("-i", topic, "-t", fresh("out"), "-n", name)
    service = services.one(name)
    program.kill()
    time.sleep(announce.EVERY_S + 1)
    [last] = services.of(name)
    assert last.pid == service.pid
    time.sleep(announce.EVERY_S)
    assert services.of(name) == [last]


def test_every_worker_has_its_own_key_number_and_metrics(run: Run, kafka: str, services: Services) -> None:
    topic, name = make_topic(kafka, fresh("in"), 2), fresh("stage")
    program = run("-i", topic, "-t", fresh("out"), "-n", name, "--workers", 2, "--metrics-port", 0)
    wait_for(lambda: len([s for s in services.of(name) if s.ready]) == 2, "two workers")
    found = services.of(name)
    assert sorted(service.worker for service in found) == [0, 1]
    assert {service.workers for service in found} == {2}
    addresses = {service.metrics for service in found}
    assert len(addresses) == 2
    for address in addresses:
        assert address is not None
        assert scrape(address)["imagebus_ready"] == 1
    assert program.ends(signal.SIGTERM) == 0
    assert services.of(name) == []


def test_a_port_that_is_taken_ends_the_program_with_the_name_of_the_flag(
    run: Run, kafka: str, services: Services
) -> None:
    topic, name = make_topic(kafka, fresh("in")), fresh("stage")
    words = ["-i", topic, "-t", fresh("out"), "-n", name]
    run(*words, "--metrics-port", 0)
    port = urlsplit(services.one(name).metrics or "").port
    second = run(*words, "--metrics-port", port)
    assert second.ends() == 2
    assert second.err.startswith(b"scripted.py: --metrics-port: cannot listen on 127.0.0.1:")


def test_no_secret_is_served_or_announced(run: Run, kafka: str, services: Services, tmp_path: Path) -> None:
    topic, name = make_topic(kafka, fresh("in")), fresh("stage")
    properties = tmp_path / "client.properties"
    properties.write_text(f"client.id={PASSWORD}\nsasl.password={PASSWORD}\n")
    words = ["-i", topic, "-t", fresh("out"), "-n", name, "--kafka-config", properties]
    secret = {"IMAGEBUS_KAFKA_SASL_PASSWORD": PASSWORD}
    run(*words, "--metrics-port", 0, **secret)
    camera = fresh("camera")
    address = f"rtsp://bob:{PASSWORD}@127.0.0.1:1/x?token={PASSWORD}"
    run(address, "-n", camera, "-t", topic, "--metrics-port", 0, script=PRODUCER, **secret)
    wait_for(lambda: services.of(camera), "the camera")
    for service in (services.one(name), services.of(camera)[0]):
        assert PASSWORD not in get(service.metrics or "")[1]
    assert PASSWORD.encode() not in services.raw()
    assert services.of(camera)[0].options["address"] == "rtsp://***@127.0.0.1:1/x?token=***"


def test_a_camera_announces_and_serves_what_it_publishes(
    run: Run, kafka: str, services: Services, assets: Path
) -> None:
    topic, camera = fresh("SOURCE"), fresh("camera")
    clip = assets / "videos" / "bottles-on-belt.mp4"
    program = run(clip, "-n", camera, "-t", topic, "-f", 10, "--loop", "--metrics-port", 0, script=PRODUCER)
    service = services.one(camera)
    assert (service.role, service.kind, service.topic) == ("camera", "producer", topic)
    wait_for(lambda: services.one(camera).counts["published"] > 0, "published frames")
    url = service.metrics or ""
    found = scrape(url)
    assert found["imagebus_camera_published_frames_total"] > 0
    assert found["imagebus_camera_published_bytes_total"] > 1000
    assert found["imagebus_camera_dropped_frames_total"] == 0
    assert found["imagebus_newest_frame_age_seconds"] < 60
    assert get(beside(url, "/readyz"))[0] == 200
    assert program.ends(signal.SIGTERM) == 0
    assert services.of(camera) == []


def test_a_service_is_not_ready_while_the_broker_is_away_and_ready_again_once_it_is_back(
    run: Run, new_broker: Callable[[], Broker]
) -> None:
    broker = new_broker()
    topic, name = make_topic(broker.address, fresh("in")), fresh("stage")
    services = Services(broker.address)
    program = run("-i", topic, "-t", fresh("out"), "-n", name, "--metrics-port", 0, kafka=broker.address)
    url = services.one(name).metrics or ""
    services.close()
    assert get(beside(url, "/readyz")) == (200, "ok\n")
    broker.kill()
    wait_for(lambda: get(beside(url, "/readyz"))[0] == 503, "not ready")
    assert get(beside(url, "/readyz"))[1] == "the broker does not answer\n"
    assert get(beside(url, "/healthz"))[0] == 200
    assert scrape(url)["imagebus_broker_away"] == 1
    broker.start()
    wait_for(lambda: get(beside(url, "/readyz"))[0] == 200, "ready again", 60)
    broker.kill()
    wait_for(lambda: get(beside(url, "/readyz"))[0] == 503, "not ready, the second time")
    began = time.monotonic()
    assert program.ends(signal.SIGTERM) == 0
    assert time.monotonic() - began < 20


def test_without_a_broker_a_filter_serves_its_metrics_is_well_and_not_ready(run: Run) -> None:
    program = run("-i", "IN", "-t", "OUT", "-n", "stage", "--metrics-port", 0, kafka="127.0.0.1:1")
    program.says("metrics are served on ")
    url = program.err.decode().partition("metrics are served on ")[2].split()[0]
    assert get(beside(url, "/healthz"))[0] == 200
    assert get(beside(url, "/readyz")) == (503, "it does not read yet\n")
    assert scrape(url)["imagebus_ready"] == 0
    assert program.ends(signal.SIGTERM) == 0


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_filter_that_is_stuck_in_a_frame_is_ill_after_two_minutes(
    run: Run, kafka: str, services: Services
) -> None:
    topic, name = make_topic(kafka, fresh("in")), fresh("stage")
    put(kafka, topic, [frame_put(frame) for frame in frames(1)])
    words = ["-i", topic, "-t", fresh("out"), "-n", name, "--start", "earliest"]
    run(*words, "--metrics-port", 0, "--delay-ms", 3_600_000)
    url = services.one(name).metrics or ""
    wait_for(lambda: get(beside(url, "/healthz"))[0] == 503, "ill", 200)
    assert "has not gone round its loop" in get(beside(url, "/healthz"))[1]
    assert scrape(url)["imagebus_ready"] == 1
