"""What a source of frames does, on either side: warm up until told, then a steady rate, then a burst."""

from __future__ import annotations

import argparse
import json
import select
import sys
import time
from collections.abc import Callable

WARM_UP_S = 0.05
PAUSE_S = 0.5


def say(**facts: object) -> None:
    """Print a line for the parent."""
    print(json.dumps(facts), flush=True)


def say_rate(began: float, used: float, count: int, size: int) -> None:
    """Say how fast records of one size went, and their processor time.

    Args:
        began, used: ``perf_counter`` and ``process_time`` at the first record.
        count: of records.
        size: bytes of each.
    """
    seconds, cpu_s = time.perf_counter() - began, time.process_time() - used
    say(mb_s=count * size / seconds / 1e6, cpu_ms=cpu_s / count * 1000)


def run_phases(
    options: argparse.Namespace, publish: Callable[[int], None], idle: Callable[[], object] = lambda: None
) -> None:
    """Publish frames numbered from 0; say which numbers belong to which phase.

    Args:
        options: ``steady`` frames at ``fps``, then ``burst`` as fast as they go.
        publish: takes the number; it waits while too many are under way.
        idle: called while there is nothing to publish.
    """
    number = 0
    while not _told():
        publish(number)
        number += 1
        time.sleep(WARM_UP_S)
        idle()
    _pause(idle)
    say(phase="begun")
    first, begin = number, time.monotonic()
    for number in range(first, first + options.steady):
        while (left := begin + (number - first) / options.fps - time.monotonic()) > 0:
            time.sleep(min(left, 0.01))
            idle()
        publish(number)
    _pause(idle)
    say(phase="steady", first=first, count=options.steady)
    first += options.steady
    for number in range(first, first + options.burst):
        publish(number)
    say(phase="burst", first=first, count=options.burst)


def _pause(idle: Callable[[], object]) -> None:
    over = time.monotonic() + PAUSE_S
    while time.monotonic() < over:
        idle()
        time.sleep(0.01)


def _told() -> bool:
    ready, _, _ = select.select([sys.stdin], [], [], 0)
    return bool(ready) and bool(sys.stdin.readline())
