"""A camera on the bus: numbered, stamped, in order, and never in the way of the camera itself."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import msgpack
import pytest
from hypothesis import given
from hypothesis import strategies as st

from imagebus.bus import Bus
from imagebus.camera import CameraPublisher
from imagebus.capture_clock import STEP_NS, CaptureClock
from imagebus.errors import BusError, ConfigurationError, FrameError
from imagebus.frame import Frame
from tests.broker import PICTURE, fresh, make_topic, picture, read_all, topics
from tests.programs import wait_for

if TYPE_CHECKING:
    from tests.conftest import Broker

SECOND_NS = 10**9


class Clocks:
    """A wall clock that can be set, and a monotonic one that can't."""

    def __init__(self) -> None:
        self.monotonic_ns = 5_000 * SECOND_NS
        self.wall_ns = time.time_ns()

    def pass_ns(self, ns: int) -> None:
        self.monotonic_ns += ns
        self.wall_ns += ns

    def clock(self) -> CaptureClock:
        return CaptureClock(lambda: self.wall_ns, lambda: self.monotonic_ns)


def test_frames_are_numbered_from_0_and_stamped_with_the_wall_clock() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    began_ns = clocks.wall_ns
    stamps = []
    for _ in range(3):
        stamps.append(clock.stamp(clocks.monotonic_ns))
        clocks.pass_ns(40_000_000)
    assert [sequence for _, sequence, _ in stamps] == [0, 1, 2]
    assert [at_ns - began_ns for *_, at_ns in stamps] == [0, 40_000_000, 80_000_000]
    assert len({epoch for epoch, *_ in stamps}) == 1


@pytest.mark.parametrize("step_s", [-7200, -2, 2, 7200])
def test_a_wall_clock_that_is_set_begins_a_new_epoch_with_the_new_time(step_s: int) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    first, sequence, _ = clock.stamp(clocks.monotonic_ns)
    clocks.pass_ns(SECOND_NS)
    clocks.wall_ns += step_s * SECOND_NS
    second, again, at_ns = clock.stamp(clocks.monotonic_ns)
    assert (sequence, again) == (0, 0)
    assert first != second
    assert at_ns == clocks.wall_ns


@given(
    st.lists(
        st.tuples(st.integers(0, 10**8), st.integers(-(10**8), 10**8), st.integers(0, 10**9)), max_size=60
    )
)
def test_time_never_goes_back_within_an_epoch_and_no_identity_comes_twice(
    moves: list[tuple[int, int, int]],
) -> None:
    clocks = Clocks()
    clock = clocks.clock()
    last: dict[str, tuple[int, int]] = {}
    for passed, drift, ago in moves:
        clocks.pass_ns(passed)
        clocks.wall_ns += drift
        epoch, sequence, at_ns = clock.stamp(clocks.monotonic_ns - ago)
        before, before_ns = last.get(epoch, (-1, 0))
        assert sequence == before + 1
        assert at_ns >= before_ns
        last[epoch] = (sequence, at_ns)


def test_a_drift_below_the_step_keeps_the_epoch() -> None:
    clocks = Clocks()
    clock = clocks.clock()
    first, *_ = clock.stamp(clocks.monotonic_ns)
    clocks.wall_ns += STEP_NS - 1
    assert clock.stamp(clocks.monotonic_ns)[0] == first


@pytest.mark.kafka
def test_a_camera_publishes_every_picture_in_order_clean_and_keyed(kafka: str) -> None:
    topic, clocks = fresh("camera"), Clocks()
    camera = CameraPublisher(Bus(kafka), topic, "Tür/1", kind="test", live=False, clock=clocks.clock())
    decorated = PICTURE[:2] + b"\xff\xe1\x00\x0asecret!!" + PICTURE[2:]
    for number in range(50):
        if number == 30:
            wait_for(lambda: camera.published == 30, "the first thirty")
            clocks.wall_ns -= 90 * SECOND_NS
        clocks.pass_ns(10_000_000)
        camera.publish(decorated, clocks.monotonic_ns)
    with pytest.raises(FrameError):
        camera.publish(b"no picture")
    assert camera.close() == 0

    records = sorted(read_all(kafka, topic), key=lambda record: record.offset)
    frames = [msgpack.unpackb(record.value or b"") for record in records]
    assert len({record.partition for record in records}) == 1
    assert [frame["sequence"] for frame in frames] == [*range(30), *range(20)]
    assert len({frame["epoch"] for frame in frames}) == 2
    for record, frame in zip(records, frames, strict=True):
        assert record.key == "Tür/1".encode()
        assert record.timestamp_ms == frame["captured_ns"] // 1_000_000
        assert record.header("content-type") == "application/vnd.imagebus.frame+msgpack;v=1"
        assert frame["image"] == PICTURE
        [hop] = frame["trail"]
        assert (hop["stage"], hop["kind"], hop["topic"]) == ("Tür/1", "test", topic)
    assert len({record.header("traceparent") for record in records}) == 50


@pytest.mark.kafka
def test_a_live_camera_is_never_held_up_and_keeps_its_newest_while_the_broker_is_away(
    new_broker: Callable[[], Broker],
) -> None:
    broker = new_broker()
    sent: list[Frame] = []
    topic = make_topic(broker.address, fresh("live"))
    camera = CameraPublisher(Bus(broker.address), topic, "c", queue_pictures=10, on_sent=sent.append)
    for shade in range(5):
        camera.publish(picture(shade=shade))
    wait_for(lambda: camera.published == 5, "five frames")
    broker.kill()
    for shade in range(5, 105):
        camera.publish(picture(shade=shade))
        time.sleep(0.005)
    assert camera.dropped >= 80

    broker.start()
    assert camera.close(30) == 0
    assert camera.published + camera.dropped == 105
    frames = [msgpack.unpackb(record.value or b"") for record in read_all(broker.address, topic)]
    assert sorted(frame["sequence"] for frame in frames) == list(range(camera.published))
    assert frames[-1]["image"] == picture(shade=104)
    assert len(sent) == camera.published


@pytest.mark.kafka
def test_a_file_waits_for_the_broker_and_loses_nothing(new_broker: Callable[[], Broker]) -> None:
    broker = new_broker()
    topic = make_topic(broker.address, fresh("file"))
    camera = CameraPublisher(Bus(broker.address), topic, "c", live=False, queue_pictures=4)
    broker.kill()
    pictures = itertools.count()

    def publish_for(seconds: float) -> None:
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            camera.publish(PICTURE)
            next(pictures)

    import threading

    thread = threading.Thread(target=publish_for, args=(3,))
    thread.start()
    time.sleep(1.5)
    broker.start()
    thread.join(60)
    assert camera.close(30) == 0
    assert camera.dropped == 0
    assert camera.published == next(pictures) == len(read_all(broker.address, topic))


@pytest.mark.kafka
def test_closing_while_the_broker_is_away_ends_in_time_and_tells_what_is_left(
    new_broker: Callable[[], Broker],
) -> None:
    broker = new_broker()
    topic = make_topic(broker.address, fresh("live"))
    camera = CameraPublisher(Bus(broker.address), topic, "c")
    camera.publish(PICTURE)
    wait_for(lambda: camera.published == 1, "a frame")
    broker.kill()
    for _ in range(12):
        camera.publish(PICTURE)
    began = time.monotonic()
    assert camera.close(1.0) == 12
    assert time.monotonic() - began < 10


@pytest.mark.kafka
def test_a_refused_frame_is_counted_and_the_camera_goes_on(kafka: str) -> None:
    topic = make_topic(kafka, fresh("small"), max__message__bytes=8_000)
    noise = PICTURE[:-2] + bytes(9_000) + b"\xff\xd9"
    camera = CameraPublisher(Bus(kafka), topic, "c", live=False)
    for one in (PICTURE, noise, PICTURE):
        camera.publish(one)
    assert camera.close(20) == 0
    assert (camera.published, camera.refused) == (2, 1)


@pytest.mark.kafka
def test_a_camera_makes_its_topic_and_refuses_an_illegal_one(kafka: str) -> None:
    topic = fresh("made")
    camera = CameraPublisher(Bus(kafka), topic, "c")
    camera.publish(PICTURE)
    assert camera.close(20) == 0
    assert topic in topics(kafka)
    illegal = CameraPublisher(Bus(kafka), "../../x", "c")
    with pytest.raises((ConfigurationError, BusError)):
        illegal.close(5)


@pytest.mark.kafka
def test_a_property_that_no_producer_can_have_is_told_when_the_camera_publishes(
    kafka: str, tmp_path: Path
) -> None:
    properties = tmp_path / "bad.properties"
    properties.write_text("max.in.flight.requests.per.connection=100\n")
    camera = CameraPublisher(Bus(kafka, properties), fresh("never"), "c")
    with pytest.raises(ConfigurationError, match=r"max\.in\.flight"):
        camera.close(5)
