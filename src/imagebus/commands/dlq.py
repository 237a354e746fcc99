"""``imagebus dlq``: dead letters, what filters could not process."""

from __future__ import annotations

from collections.abc import Sequence

from imagebus.commands import dlq_list, dlq_replay, dlq_show
from imagebus.errors import ConfigurationError

HELP = """\
usage: imagebus dlq list|show|replay TOPIC [options]

  list     count the dead letters of a topic by reason, stage and group
  show     print a line for each, or save their pictures and bytes
  replay   send those of one group to the topic they came from, for that group alone

TOPIC is the topic that was read, or its TOPIC.DLQ. `imagebus dlq list --help` lists the options.
"""
ACTIONS = {"list": dlq_list.main, "show": dlq_show.main, "replay": dlq_replay.main}


def main(argv: Sequence[str]) -> int:
    """Run one of the actions."""
    action, rest = (argv[0], argv[1:]) if argv else ("", [])
    if action in ("-h", "--help"):
        print(HELP, end="")
        return 0
    if action not in ACTIONS:
        raise ConfigurationError(f"dlq needs one of {', '.join(ACTIONS)}, not {action!r}")
    return ACTIONS[action](rest)
