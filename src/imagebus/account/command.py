"""The command line of ``imagebus account``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from pydantic import AfterValidator

from imagebus.account import report
from imagebus.account.search import search
from imagebus.account.subject import Subject, subject
from imagebus.account.verdict import Verdict
from imagebus.account.walk import Walk
from imagebus.bus import Bus
from imagebus.captured import CapturedOptions
from imagebus.options import Field, Positional, Text
from imagebus.topics import Topic, legal

DESCRIPTION = """\
Prove that every record that a group has read has one outcome: an output, a dead letter, or a note that it was
skipped or filtered out. Exit status 0 when all adds up, 1 when not, 2 for a wrong flag.
"""


def _listed(text: str) -> list[str]:
    return [topic for topic in text.split(",") if topic]


def _topics(text: str) -> str:
    for topic in _listed(text):
        legal(topic)
    return text


Also = Annotated[str, AfterValidator(_topics)]


class AccountOptions(CapturedOptions):
    """What to account for."""

    input: Positional[Topic] = Field(description="topic that the group reads")
    group: Text = Field("", description="consumer group; where only one reads the topic, that")
    also: Also = Field("", description="other topics that the group once wrote to, comma-separated")
    as_json: bool = Field(False, validation_alias="json", description="print JSON: one object a line")
    frames: bool = Field(False, description="name every frame, with its outcome")


def main(argv: Sequence[str]) -> int:
    """Run the command."""
    options = AccountOptions.parse(argv, "imagebus account", DESCRIPTION)
    bus = Bus(options.kafka, options.kafka_config)
    span = (options.from_ms, options.until_ms)
    verdict = account(bus, subject(bus, options.input, options.group, _listed(options.also), span), options)
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
