"""``imagebus kafka``: the local broker from the command line."""

from __future__ import annotations

from collections.abc import Sequence

from imagebus.errors import ConfigurationError
from imagebus.kafka.local import LocalBroker
from imagebus.kafka.options import FolderOptions, StartOptions
from imagebus.log import say
from imagebus.text import printable

HELP = """\
usage: imagebus kafka start|stop|status [options]

  start    start a Kafka broker on this machine, wait until it answers, print its address
  stop     stop it and wait until it is gone
  status   say whether it answers (exit status 0, else 1)

`imagebus kafka start --help` lists the options; each is also a variable, such as IMAGEBUS_KAFKA_PORT.
"""


def main(argv: Sequence[str]) -> int:
    """Run one of the actions."""
    action, rest = (argv[0], argv[1:]) if argv else ("", [])
    if action in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if action not in ACTIONS:
        raise ConfigurationError(f"kafka needs one of {', '.join(ACTIONS)}, not {action!r}")
    return ACTIONS[action](rest)


def _start(argv: Sequence[str]) -> int:
    options = StartOptions.parse(
        argv, "imagebus kafka start", "Start the local Kafka broker and wait until it answers."
    )
    broker = LocalBroker(options.folder)
    if options.foreground:
        return broker.run(options)
    say(printable(broker.start(options)))
    return 0


def _stop(argv: Sequence[str]) -> int:
    options = FolderOptions.parse(
        argv, "imagebus kafka stop", "Stop the local Kafka broker and wait until it is gone."
    )
    say(printable(LocalBroker(options.folder).stop()))
    return 0


def _status(argv: Sequence[str]) -> int:
    options = FolderOptions.parse(
        argv, "imagebus kafka status", "Say whether the local Kafka broker answers."
    )
    answers, line = LocalBroker(options.folder).status()
    say(printable(line))
    return 0 if answers else 1


ACTIONS = {"start": _start, "stop": _stop, "status": _status}
