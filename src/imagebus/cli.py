"""The ``imagebus`` command: each of its sub-commands is a module with a ``main(argv)``."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib import import_module
from typing import NoReturn

from imagebus import program
from imagebus.errors import ConfigurationError
from imagebus.version import VERSION

COMMANDS = {
    "account": ("imagebus.account.command", "prove that every record a group has read has one outcome"),
    "kafka": ("imagebus.kafka.command", "the broker of this machine: start, stop, status"),
    "topics": ("imagebus.commands.topics", "what is on the bus: topics, rates, ages, who waits for what"),
    "show": ("imagebus.commands.show", "the frames of a topic, a line each, or their pictures"),
    "dlq": ("imagebus.commands.dlq", "dead letters: list, show, send again"),
}


def main() -> NoReturn:
    """Run the command line."""
    program.run(lambda: dispatch(sys.argv[1:]))


def dispatch(argv: Sequence[str]) -> int:
    """Run the sub-command that the first word names and return its exit status.

    Raises:
        ConfigurationError: there is no such sub-command.
    """
    name, rest = (argv[0], argv[1:]) if argv else ("--help", [])
    if name in ("-h", "--help"):
        lines = [f"  {command:<10} {about}" for command, (_, about) in COMMANDS.items()]
        print("usage: imagebus COMMAND ...", "", *lines, "", "`imagebus COMMAND --help` says more.", sep="\n")
        return 0
    if name == "--version":
        print(f"imagebus {VERSION}")
        return 0
    if name not in COMMANDS:
        raise ConfigurationError(f"no such command: {name!r}; there is {', '.join(COMMANDS)}")
    status: int = import_module(COMMANDS[name][0]).main(rest)
    return status
