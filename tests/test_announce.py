"""What a service says of itself: bounded, without secrets, under a stable key, and at nobody's expense."""

from __future__ import annotations

import json
import re
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import msgspec
import pytest
from pydantic import SecretStr

from imagebus import Field, Filter, FilterOptions, FrameError, announce
from imagebus.announce import CONTENT_TYPE, Service, decode, encode, shown
from imagebus.announcer import Announcer
from imagebus.bus import Bus
from imagebus.errors import BusError, UnfinishedError
from imagebus.looks import CameraLook, FilterLook, Rates
from imagebus.record import Headers, Record
from imagebus.status import CameraStatus, Status
from imagebus.testing import MemoryBus, MemoryPublisher
from imagebus.topics import SERVICES
from tests.broker import Reader, fresh
from tests.programs import wait_for

PASSWORD = "hunter22"
DOCUMENT = (Path(__file__).parents[1] / "docs" / "services.md").read_text()


class Watchman(Filter):
    """Reads IN, writes OUT."""

    class Options(FilterOptions):
        topic: str = Field("OUT")
        name: str = Field("watchman")
        labels: list[str] = Field(["person"])
        archive: str = Field("")
        password: str = Field("")
        api_key: SecretStr = Field(SecretStr(""))


def look(*flags: str, worker: int = 0, status: Status | None = None) -> FilterLook:
    options = Watchman.Options.parse(flags)
    return FilterLook(Watchman(options), status or Status(), worker)


def a_service(**changes: object) -> Service:
    return msgspec.structs.replace(look()(), **changes)


def said(bus: MemoryBus) -> list[Record]:
    return bus.log.get(SERVICES, [])


def test_the_record_says_what_the_service_is_and_how_it_does() -> None:
    status = Status(ready=True, received=9, published=8, partitions=(0, 2), waiting=1)
    status.finished.update({"output": 4, "dead": 1})
    status.newest_ms = time.time_ns() // 1_000_000 - 3000
    service = decode(encode(look("-i", "IN", "--workers", "3", worker=2, status=status)()))
    assert (service.role, service.kind, service.name) == ("filter", "test_announce", "watchman")
    assert (service.input, service.topic) == ("IN", "OUT")
    assert (service.group, service.run) == ("imagebus.watchman.IN.OUT", "live")
    assert (service.worker, service.workers) == (2, 3)
    assert service.counts == {"output": 4, "dead": 1}
    assert (service.received, service.published, service.waiting) == (9, 8, 1)
    assert service.partitions == [0, 2]
    assert service.ready
    assert service.age_s is not None
    assert 3 <= service.age_s < 60
    assert service.began_ms == status.began_ns // 1_000_000 <= service.at_ms


def test_before_its_first_frame_a_service_has_no_age() -> None:
    service = decode(encode(look()()))
    assert (service.newest_ms, service.age_s, service.metrics, service.counts) == (None, None, None, {})


def test_rates_are_per_second_over_the_last_looks() -> None:
    rates = Rates()
    began = time.monotonic()
    time.sleep(0.2)
    found = rates.of({"output": 100})
    assert 100 / (time.monotonic() - began) <= found["output"] <= 100 / 0.2
    for _ in range(5):
        time.sleep(0.02)
        found = rates.of({"output": 100, "dead": 0})
    assert found == {"output": 0.0, "dead": 0.0}


def test_a_camera_says_what_was_published_dropped_and_refused() -> None:
    options = Watchman.Options.parse([])
    status = CameraStatus(published=5, dropped=4, refused=3, waiting=2)
    camera = CameraLook(options, status, kind="producer", name="door", topic="SOURCE_FRAME")
    service = decode(encode(camera()))
    assert (service.role, service.kind, service.name) == ("camera", "producer", "door")
    assert (service.input, service.group) == (None, None)
    assert service.counts == {"published": 5, "dropped": 4, "refused": 3}


@pytest.mark.parametrize(
    "flags",
    [
        ["--password", PASSWORD],
        ["--api-key", PASSWORD],
        ["--archive", f"mongodb://bob:{PASSWORD}@host/db"],
        ["--archive", f"https://host/path?token={PASSWORD}"],
        ["--labels", f"rtsp://{PASSWORD}@host", "--labels", "person"],
        ["--kafka", f"bob:{PASSWORD}@host:9092"],
        ["--kafka", f"SASL://bob:{PASSWORD}@host:9092,other:9092"],
    ],
)
def test_no_secret_is_among_the_options(flags: list[str]) -> None:
    assert PASSWORD.encode() not in encode(look(*flags)())


def test_the_clients_properties_are_not_among_the_options(tmp_path: Path) -> None:
    properties = tmp_path / "client.properties"
    properties.write_text(f"sasl.password={PASSWORD}\n")
    service = look("--kafka-config", str(properties))()
    assert "kafka-config" not in service.options
    assert PASSWORD.encode() not in encode(service)


def test_options_that_are_no_secret_are_shown_as_they_are() -> None:
    found = shown(Watchman.Options.parse(["--labels", "cup", "--labels", "Tür", "--freshness", "all"]))
    assert found["labels"] == "cup, Tür"
    assert (found["freshness"], found["batch"], found["quiet"]) == ("inf", 1, False)
    assert found["kafka"] == "localhost:9092"
    assert "metrics-port" in found


def test_a_long_option_is_cut_and_a_very_long_one_left_out() -> None:
    assert decode(encode(look("--archive", "ü" * 900)())).options["archive"] == "ü" * announce.MAX_OPTION
    archive = f"mongodb://{PASSWORD * 10_000}@host"
    assert decode(encode(look("--archive", archive)())).options["archive"] == "(80015 characters)"


def test_options_that_are_too_much_together_are_left_out() -> None:
    many = {f"option{number}": "\x00" * announce.MAX_OPTION for number in range(announce.MAX_ENTRIES)}
    service = a_service(options=many)
    assert decode(encode(service)).options == {}


def test_a_name_of_any_text_makes_a_record_and_a_key_of_one_line() -> None:
    name = 'a/b\n"\x1b[31m\u202e ' + "ü" * 100
    service = look("-n", name)()
    assert decode(encode(service)).name == name
    assert service.place.isprintable()
    assert service.place.isascii()
    assert service.place.count("/") == look()().place.count("/")


def changed(**changes: object) -> bytes:
    return json.dumps({**json.loads(encode(a_service())), **changes}).encode()


def without(field: str) -> bytes:
    record = json.loads(encode(a_service()))
    del record[field]
    return json.dumps(record).encode()


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"{}",
        b"null",
        b"[]",
        b"\xff\xfe",
        b"[" * 100_000,
        b'{"a":' * 10_000,
        changed(v=2),
        changed(role="other"),
        changed(name="x" * 257),
        changed(name=1),
        changed(pid=-1),
        changed(pid=2**64),
        changed(counts={"output": -1}),
        changed(counts={"output": 1.5}),
        changed(counts={str(n): 1 for n in range(1000)}),
        changed(counts=[1]),
        changed(rates={"output": -1.0}),
        changed(age_s=-1),
        changed(options={"x": ["list"]}),
        changed(options={"x": {"a": 1}}),
        changed(options={"x": "y" * 5000}),
        changed(partitions=list(range(2000))),
        changed(metrics="x" * 5000),
        changed(unknown="x" * announce.MAX_BYTES),
        changed(age_s=float("nan")),
        without("topic"),
        without("role"),
        without("at_ms"),
    ],
    ids=lambda data: repr(data[:30]),
)
def test_a_hostile_record_is_refused(data: bytes) -> None:
    with pytest.raises(FrameError, match="nothing that a service of version 1 says"):
        decode(data)


def test_fields_that_are_not_known_yet_are_passed_over() -> None:
    assert decode(changed(later={"more": [1, 2]})).name == "watchman"


def test_a_service_is_announced_under_its_key_and_gone_after_a_clean_end() -> None:
    bus = MemoryBus()
    with Announcer(bus, look()):
        wait_for(lambda: said(bus), "its record", every_s=0.01)
    first, *_, last = said(bus)
    assert first.key == last.key == look()().place.encode()
    assert first.header("content-type") == CONTENT_TYPE
    assert decode(first.value or b"").name == "watchman"
    assert last.value is None
    assert abs(last.timestamp_ms - time.time_ns() // 1_000_000) < 60_000


def last_word(error: type[Exception]) -> Record:
    """Return the last record of a service that ended by an error."""
    bus = MemoryBus()

    def fail() -> None:
        with Announcer(bus, look()):
            wait_for(lambda: said(bus), "its record", every_s=0.01)
            raise error

    with pytest.raises(error):
        fail()
    return said(bus)[-1]


def test_a_service_that_ends_by_an_error_leaves_no_tombstone_but_one_told_to_stop_does() -> None:
    assert last_word(ZeroDivisionError).value is not None
    assert last_word(BusError).value is not None
    assert last_word(UnfinishedError).value is None


def test_the_key_is_the_same_after_a_restart_and_another_for_each_service_worker_host_and_run() -> None:
    def key(**changes: object) -> bytes | None:
        bus = MemoryBus()
        service = a_service(**changes)
        with Announcer(bus, lambda: service):
            wait_for(lambda: said(bus), "its record", every_s=0.01)
        return said(bus)[0].key

    differing: list[dict[str, object]] = [
        {},
        {"worker": 1},
        {"host": "other"},
        {"name": "other"},
        {"kind": "other"},
        {"role": "camera"},
        {"group": "imagebus.watchman.IN.OUT.replay-1"},
    ]
    keys = [key(**changes) for changes in differing]
    assert len(set(keys)) == len(differing)
    assert [key(**changes, pid=7, began_ms=1) for changes in differing] == keys


def test_two_services_started_alike_have_two_keys_and_one_that_comes_back_has_its_own() -> None:
    bus = MemoryBus()
    with ExitStack() as second:
        with Announcer(bus, look()):
            wait_for(lambda: len(said(bus)) == 1, "the first", every_s=0.01)
            second.enter_context(Announcer(bus, look()))
            wait_for(lambda: len(said(bus)) == 2, "the second", every_s=0.01)
        assert said(bus)[0].key != said(bus)[1].key
        before = len(said(bus))
        with Announcer(bus, look()):
            wait_for(lambda: len(said(bus)) > before, "the first again", every_s=0.01)
            assert said(bus)[before].key == said(bus)[0].key


class RefusingBus(MemoryBus):
    """A bus that takes no word of services: no right to."""

    def __init__(self, makes_topics: bool) -> None:
        super().__init__()
        self._makes_topics = makes_topics
        self.sent = 0

    def ensure_topic(self, topic: str, *_: object, **__: object) -> None:
        if not self._makes_topics:
            raise BusError(f"topic {topic} does not exist and cannot be made (make it with: ...)")

    def append(
        self, topic: str, key: bytes | None, value: bytes | None, timestamp_ms: int = 0, headers: Headers = ()
    ) -> None:
        self.sent += 1

    def publisher(self) -> RefusingPublisher:
        return RefusingPublisher(self)


class RefusingPublisher(MemoryPublisher):
    def poll(self, timeout_s: float = 0.0) -> None:
        while self._waiting:
            self._waiting.pop()(BusError("publishing on imagebus.services: Topic authorization failed"))


@pytest.mark.parametrize(("makes_topics", "why"), [(False, "cannot be made"), (True, "authorization failed")])
def test_without_the_right_to_write_it_says_so_once_and_the_service_goes_on(
    makes_topics: bool, why: str, capsys: pytest.CaptureFixture[str]
) -> None:
    bus = RefusingBus(makes_topics)
    with Announcer(bus, look()):
        time.sleep(3)
    [line] = capsys.readouterr().err.splitlines()
    assert line.startswith("this service cannot be announced: ")
    assert why in line
    assert bus.sent <= 2


def test_while_the_broker_is_away_nobody_waits_and_nothing_piles_up(
    capsys: pytest.CaptureFixture[str],
) -> None:
    bus = Bus("127.0.0.1:1")
    before = threading.active_count()
    began = time.monotonic()
    with Announcer(bus, look()):
        entered_s = time.monotonic() - began
        time.sleep(3)
        began = time.monotonic()
    assert entered_s < 1
    assert time.monotonic() - began < 2
    wait_for(lambda: threading.active_count() <= before, "its thread ends")
    assert "cannot be announced" not in capsys.readouterr().err


def test_the_topic_is_made_to_keep_the_newest_word_of_each_service(kafka: str) -> None:
    bus = Bus(kafka)
    reader = Reader(kafka, SERVICES)
    name = fresh("watchman")
    with Announcer(bus, look("-n", name)) as _:
        wait_for(lambda: any(name.encode() in (record.key or b"") for record in reader.read()), "its record")
    reader.close()
    settings = bus.settings_of(SERVICES)
    assert {part.strip() for part in settings["cleanup.policy"].split(",")} == {"compact", "delete"}
    assert bus.topics()[SERVICES] == 1


def test_the_example_of_the_page_is_a_record_with_every_field_and_each_is_explained() -> None:
    [example] = re.findall(r"```json\n(.*?)```", DOCUMENT, re.DOTALL)
    fields = set(json.loads(example))
    assert fields == set(Service.__struct_fields__)
    service = decode(example.encode())
    assert json.loads(encode(service)) == json.loads(example)
    rows = re.findall(r"^\| (`[^|]*`) \|", DOCUMENT, re.MULTILINE)
    assert {name for row in rows for name in re.findall(r"`(\w+)`", row)} == fields


def test_the_page_names_the_topic_the_content_type_and_the_key_as_they_are() -> None:
    assert SERVICES in DOCUMENT
    assert f"content-type: {CONTENT_TYPE}`" in DOCUMENT
    [key] = re.findall(r"\*\*Key\*\*: `([^`]*)`", DOCUMENT)
    service = a_service(host="host", kind="kind", name="name", group="group", worker=0)
    assert service.place == key.replace("role", "filter").replace("worker", "0")
