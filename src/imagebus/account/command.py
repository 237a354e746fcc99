"""The command line of ``imagebus account``."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic_settings import SettingsConfigDict

from imagebus.account import report
from imagebus.account.search import search
from imagebus.account.subject import Subject, subject
from imagebus.account.verdict import Verdict
from imagebus.account.walk import Walk
from imagebus.bus import Bus
from imagebus.errors import ConfigurationError
from imagebus.options import PREFIX, BusOptions, Field, Positional
from imagebus.start import Moment
from imagebus.topics import Topic

DESCRIPTION = """\
Prove that every record that a group has read has one outcome: an output, a dead letter, or a note that it was
skipped or filtered out. Exit status 0 when all adds up, 1 when not, 2 for a wrong flag.
"""


class AccountOptions(BusOptions):
    """What to account for."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, env_prefix_target="all")

    input: Positional[Topic] = Field(description="topic that the group reads")
    group: str = Field(description="consumer group, as `imagebus topics` names it")
    also: str = Field("", description="other topics that the group once wrote to, comma-separated")
    __annotations__["from"] = "Moment"  # the flag --from; a word that Python keeps for itself
    vars()["from"] = Field(None, description="only records captured from this time on")
    until: Moment = Field(None, description="only records captured before this time")
    as_json: bool = Field(False, validation_alias="json", description="print JSON: one object a line")
    frames: bool = Field(False, description="name every frame, with its outcome")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    options = AccountOptions.parse(argv, "imagebus account", DESCRIPTION)
    begin, until = getattr(options, "from"), options.until
    span = (None if begin is None else int(begin), None if until is None else int(until))
    if None not in span and span[0] >= span[1]:  # type: ignore[operator]
        raise ConfigurationError("--from is not before --until")
    also = [topic for topic in options.also.split(",") if topic]
    bus = Bus(options.kafka, options.kafka_config)
    verdict = account(bus, subject(bus, options.input, options.group, also, span), options)
    if options.as_json:
        report.as_json(verdict)
    else:
        report.as_text(verdict)
    return 0 if verdict.adds_up else 1


def account(bus: Bus, of: Subject, options: AccountOptions) -> Verdict:
    """Find the evidence, walk the input, and judge.

    Raises:
        BusError: the broker does not answer, or refuses.
    """
    evidence, sources = search(bus, of)
    walk = Walk(bus, of, evidence)
    for frame in walk.frames(named=options.frames):
        report.frame(frame, as_json=options.as_json)
    return Verdict(of, walk.tallies, sources)
