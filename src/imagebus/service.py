"""A filter as a service: its options, its runner, its signals, and what others see of it."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagebus.bus import Bus
from imagebus.runner import Runner

if TYPE_CHECKING:
    from imagebus.filter import Filter


def run(filter: type[Filter], argv: Sequence[str] | None = None) -> None:
    """Run a filter until SIGTERM or SIGINT, or until the end of its bounded run.

    Raises:
        ImagebusError: it cannot run.
    """
    options = filter.Options.parse(argv, description=filter.__doc__)
    runner = Runner(filter(options), Bus(options.kafka, options.kafka_config))
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: runner.stop())
    runner.run()
