"""A broker that is away for long: bounded memory, filters that wait, cameras that drop; then all recovers."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from tests.broker import committed, fresh, identities, make_topic, read_all
from tests.delivery.conftest import Run
from tests.delivery.stage import counts, every_frame, fill, group
from tests.programs import REDACTION, ROOT, Program, wait_for

if TYPE_CHECKING:
    from tests.conftest import Broker

pytestmark = pytest.mark.kafka
CAMERAS = Path(__file__).with_name("cameras.py")
GROWTH_MB = 80
"""What may wait in four cameras is 15 MB; in thirty seconds they take 180 MB of pictures."""
KEPT = {"retention__ms": 3_600_000}


def last_word(cameras: Program) -> dict[str, dict[str, Any]]:
    lines = [line for line in cameras.out.split(b"\n")[:-1] if line]
    found: dict[str, dict[str, Any]] = json.loads(lines[-1]) if lines else {}
    return found


def published(cameras: Program) -> int:
    return sum(one["published"] for one in last_word(cameras).values())


def all_of(kafka: str, topic: str) -> set[tuple[str, str, int]]:
    return set(identities(read_all(kafka, topic)))


@pytest.mark.parametrize(
    "away_s", [30, pytest.param(600, marks=[pytest.mark.slow, pytest.mark.timeout(1200)])]
)
def test_four_cameras_and_two_filters_sit_an_outage_out(
    new_broker: Callable[[], Broker],
    run: Run,
    tmp_path: Path,
    record_property: Callable[[str, object], None],
    away_s: int,
) -> None:
    broker = new_broker()
    kafka = broker.address
    source, middle, out = (make_topic(kafka, fresh(name), 4, **KEPT) for name in ("source", "middle", "out"))
    every = ("--freshness", "all", "--start", "earliest", "--quiet")
    first = run("-i", source, "-t", middle, "-n", "f", *every, kafka=kafka)
    second = run("-i", middle, "-t", out, "-n", "r", *every, script=REDACTION, kafka=kafka)
    cameras = Program(
        tmp_path / "cameras", CAMERAS, kafka, source, "cam0,cam1,cam2,cam3", 20, PYTHONPATH=str(ROOT)
    )
    services = {"cameras": cameras, "first": first, "second": second}
    try:
        wait_for(lambda: committed(kafka, f"imagebus.r.{middle}.{out}", middle, 4), "the chain")
        wait_for(lambda: published(cameras) > 100, "frames")
        time.sleep(3)
        before = {name: service.peak_mb for name, service in services.items()}

        broker.kill()
        safe = published(cameras)
        time.sleep(away_s)
        after = {name: service.peak_mb for name, service in services.items()}
        dropped = sum(one["dropped"] for one in last_word(cameras).values())

        broker.start()
        wait_for(lambda: published(cameras) > safe + 200, "the cameras to go on", within_s=60)
        assert cameras.ends(signal.SIGTERM) == 0, cameras.err.decode()
        numbers = last_word(cameras)
        sent = {(name, one["epoch"], n) for name, one in numbers.items() for n in range(one["sent"])}
        for topic in (source, middle, out):
            wait_for(lambda topic=topic: sent <= all_of(kafka, topic), f"all on {topic}", 60, 1)  # type: ignore[misc]
        assert first.ends(signal.SIGTERM) == 0
        assert second.ends(signal.SIGTERM) == 0
    finally:
        if cameras.alive:
            cameras.kill()

    said = f"peak memory before and after {away_s} s away, MB: " + ", ".join(
        f"{name} {before[name]:.0f} {after[name]:.0f}" for name in services
    )
    print(f"{said}; {dropped} pictures dropped, {len(sent)} frames safe")
    record_property("outage", said)
    assert all(after[name] - before[name] < GROWTH_MB for name in services)
    assert dropped > away_s * 4 * 20 * 0.5
    for one in numbers.values():
        assert one["shot"] == one["published"] + one["dropped"]
        assert (one["sent"], one["refused"]) == (one["published"], 0)
    for service in services.values():
        assert service.err.count(b"is away; waiting for it") == 1, service.err.decode()
        assert service.err.count(b"is back") == 1, service.err.decode()
        assert b"Traceback" not in service.err


def test_a_filter_whose_backlog_is_full_is_not_dropped_from_its_group_by_silence(
    kafka: str, run: Run, tmp_path: Path
) -> None:
    """What waits takes it three times as long as the group lets anybody be silent."""
    config = tmp_path / "short.properties"
    config.write_text("session.timeout.ms=2000\nmax.poll.interval.ms=3000\n")
    topic, out = make_topic(kafka, fresh("in")), fresh("out")
    fill(kafka, topic, 0, 1600)
    program = run(*every_frame(topic, out, "--delay-ms", 20, "--kafka-config", config, "--quiet"))

    def done() -> int:
        return sum(position.offset for position in committed(kafka, group(topic, out), topic).values())

    wait_for(lambda: done() >= 450, "nine seconds of work", within_s=90, every_s=0.5)
    assert program.ends(signal.SIGTERM) == 0
    assert program.err.decode() == ""
    found = identities(read_all(kafka, out))
    assert len(found) == len(set(found)), "nothing was repeated"
    assert counts(kafka, topic, out) == {"output": done()}
