"""A filter as a service: its options, its runner, its signals, and what others see of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from imagebus import workers
from imagebus.bus import Bus
from imagebus.errors import ConfigurationError
from imagebus.observed import filter_observed
from imagebus.runner import Runner
from imagebus.stopping import obey_signals

if TYPE_CHECKING:
    from imagebus.filter import Filter


def run(filter: type[Filter], argv: Sequence[str] | None = None) -> int:
    """Run a filter until SIGTERM or SIGINT, or until the end of its bounded run; return the exit status.

    Raises:
        ImagebusError: it cannot run.
    """
    options = filter.Options.parse(argv, description=filter.__doc__)
    if options.is_bounded and "topic" not in options.model_fields_set:
        raise ConfigurationError(
            f"give a run of what was captured a topic of its own: in {options.topic} live filters would take "
            "its frames for live ones",
            "--topic",
        )
    worker, port = workers.number(), workers.port_of(options, workers.number())
    options = options.model_copy(update={"metrics_port": port})
    service, bus = filter(options), Bus(options.kafka, options.kafka_config)
    if options.workers > 1 and worker is None:  # only now: what is wrong with the options is said once
        workers.become_parent(options.workers, bounded=options.is_bounded)
    runner = Runner(service, bus)
    obey_signals(runner.stop)
    if worker is not None:
        workers.attend(runner.stop)
    with filter_observed(service, runner.status, bus, worker or 0):
        runner.run()
    return 0
