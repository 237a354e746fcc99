"""A broker that is killed and comes back: everything goes on by itself."""

from __future__ import annotations

import signal
import time
from collections.abc import Callable
from functools import partial
from itertools import count
from typing import TYPE_CHECKING

import pytest

from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.frame import Frame
from tests.broker import (
    Reader,
    committed,
    frame_put,
    fresh,
    identities,
    make_topic,
    picture,
    plain_frame,
    put,
)
from tests.delivery.conftest import Run
from tests.programs import REDACTION, wait_for

if TYPE_CHECKING:
    from tests.conftest import Broker

pytestmark = pytest.mark.kafka


class Camera:
    """Publishes pictures all the time; notes which of them the broker acknowledged."""

    def __init__(self, kafka: str, topic: str) -> None:
        self.sent: list[Frame] = []
        self.publisher = CameraPublisher(Bus(kafka), topic, "camera", on_sent=self.sent.append)

    def until(self, found: Callable[[], bool], what: str) -> None:
        """Publish until something is so."""
        wait_for(lambda: found() or self.for_s(0.1), what)

    def for_s(self, seconds: float) -> bool:
        pictures = [picture(64, 48, shade) for shade in range(0, 250, 10)]
        end = time.monotonic() + seconds
        for number in count():
            self.publisher.publish(pictures[number % len(pictures)])
            time.sleep(0.01)
            if time.monotonic() > end:
                break
        return False


def reached(camera: Camera, goal: int) -> bool:
    return camera.publisher.published >= goal


def holds(reader: Reader, count: int) -> bool:
    return len(set(identities(reader.read()))) >= count


def test_after_the_broker_was_killed_all_goes_on_and_nothing_acknowledged_is_lost(
    new_broker: Callable[[], Broker], run: Run
) -> None:
    broker = new_broker()
    source, middle, out = (fresh(name) for name in ("source", "middle", "out"))
    for topic in (source, middle):
        make_topic(broker.address, topic, 2)
    all_from_the_first = ("--freshness", "all", "--start", "earliest")
    first = run("-i", source, "-t", middle, "-n", "f", *all_from_the_first, kafka=broker.address)
    second = run("-i", middle, "-t", out, *all_from_the_first, script=REDACTION, kafka=broker.address)
    camera = Camera(broker.address, source)
    camera.until(lambda: b"#20" in second.out, "frames through the chain")

    for _ in range(2):
        broker.kill()
        goal = camera.publisher.published + 100
        camera.for_s(1.0)
        broker.start()
        camera.for_s(1.0)
        camera.until(partial(reached, camera, goal), "the camera to go on")
    assert camera.publisher.close(30) == 0

    assert camera.publisher.published == len(camera.sent)
    wanted = {frame.identity for frame in camera.sent}
    for topic in (source, middle, out):
        reader = Reader(broker.address, topic)
        wait_for(partial(holds, reader, len(wanted)), f"all frames on {topic}")
        assert set(identities(reader.records)) == wanted
        reader.close()
    assert first.ends(signal.SIGTERM) == 0
    assert second.ends(signal.SIGTERM) == 0
    for program in (first, second):
        assert program.err.count(b"is away; waiting for it") == 2, "once an outage"
        assert b"is back" in program.err
        assert b"Traceback" not in program.err
    positions = committed(broker.address, f"imagebus.f.{source}.{middle}", source, 2)
    assert sum(position.offset for position in positions.values()) == len(camera.sent)


def test_programs_may_start_before_their_broker(new_broker: Callable[[], Broker], run: Run) -> None:
    broker = new_broker()
    broker.kill()
    source, out = fresh("source"), fresh("out")
    program = run("-i", source, "-t", out, "-n", "f", "--freshness", "all", kafka=broker.address)
    camera = Camera(broker.address, source)
    program.says("does not answer")
    camera.for_s(0.2)

    broker.start()
    camera.for_s(0.5)
    assert camera.publisher.close(30) == 0
    wait_for(lambda: program.out.count(b"\n") >= len(camera.sent), "all frames", within_s=20)
    assert program.ends(signal.SIGTERM) == 0
    reader = Reader(broker.address, out)
    assert set(identities(reader.read())) == {frame.identity for frame in camera.sent}
    reader.close()


def test_sigterm_ends_a_filter_amid_frames_while_the_broker_is_away(
    new_broker: Callable[[], Broker], run: Run
) -> None:
    broker = new_broker()
    topic, out = make_topic(broker.address, fresh("in")), fresh("out")
    put(broker.address, topic, [frame_put(plain_frame(n)) for n in range(300)])
    arguments = ("-i", topic, "-t", out, "-n", "f", "--freshness", "all", "--start", "earliest")
    program = run(*arguments, "--delay-ms", "20", kafka=broker.address)
    wait_for(lambda: b"#9:" in program.out, "frames")
    broker.kill()
    program.says("is away")
    assert program.ends(signal.SIGTERM, within_s=20) == 0
    assert b"Traceback" not in program.err


def test_sigterm_ends_a_filter_that_waits_for_its_broker(run: Run) -> None:
    program = run("-i", "IN", "-t", "OUT", "-n", "f", kafka="127.0.0.1:1")
    program.says("does not answer")
    assert program.ends(signal.SIGTERM, within_s=15) == 0
    assert len(program.err.splitlines()) == 1
