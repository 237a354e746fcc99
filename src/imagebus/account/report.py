"""Prints an account, for people and as JSON."""

from __future__ import annotations

import json
from typing import Any

from imagebus.account.subject import Part
from imagebus.account.verdict import Verdict
from imagebus.account.walk import Named, Tally
from imagebus.commit import DEAD, EXPIRED, FILTERED, OUTCOMES, OUTPUT
from imagebus.log import say
from imagebus.text import printable

ALWAYS = (OUTPUT, FILTERED, DEAD, EXPIRED)


def frame(named: Named, *, as_json: bool) -> None:
    """Print the line of one frame."""
    if as_json:
        print(
            json.dumps(
                {
                    "partition": named.partition,
                    "offset": named.offset,
                    "outcome": named.outcome,
                    "source": named.source or None,
                    "epoch": named.epoch or None,
                    "sequence": named.sequence if named.source else None,
                }
            )
        )
        return
    name = f"{named.source} {named.epoch} #{named.sequence}" if named.source else "(no frame)"
    print(f"{named.outcome:<20} {named.partition}@{named.offset}  {printable(name)}")


def as_text(verdict: Verdict) -> None:
    """Print the account for people."""
    of = verdict.subject
    wrote = ", ".join(of.outputs) or "nothing known"
    say(printable(f"{of.input}, group {of.group}, writes {wrote}"))
    counts = verdict.counts
    kinds = [kind for kind in OUTCOMES if kind in ALWAYS or counts[kind]]
    kinds += sorted(kind for kind in counts if kind not in OUTCOMES)
    head = ["partition", "offsets", *kinds, "gaps", "no longer there", "without evidence", "repeats", "lag"]
    rows = [_row(verdict, part, verdict.tallies[part.partition], kinds) for part in of.parts.values()]
    total = [sum(column) for column in zip(*rows, strict=True)][1:]
    lines = [head, *[[str(cell) for cell in row] for row in rows], ["all", *map(str, total)]]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        say(printable("  ".join(cell.rjust(width) for cell, width in zip(line, widths, strict=True))))
    if of.is_whole:
        sums = " + ".join(f"{counts[kind]} {kind}" for kind in kinds)
        say(printable(f"{total[0]} offsets in = {sums} + {total[1 + len(kinds)]} gaps"))
    _say_proof(verdict)


def _row(verdict: Verdict, part: Part, tally: Tally, kinds: list[str]) -> list[int]:
    """Return one line: of all of the log what was counted, of a span what was found."""
    whole = verdict.subject.is_whole
    found = part.commit.counts if whole else tally.outcomes
    return [
        part.partition,
        part.offset - part.commit.begin if whole else tally.walked,
        *(found.get(kind, 0) for kind in kinds),
        part.commit.gaps if whole else tally.gaps,
        verdict.gone(part),
        len(tally.without),
        tally.repeats,
        part.lag,
    ]


def _say_proof(verdict: Verdict) -> None:
    tallies = verdict.tallies.values()
    walked, without = sum(tally.walked for tally in tallies), sum(len(tally.without) for tally in tallies)
    say(f"{walked - without} of {walked} records that are still in the log have their evidence")
    if beyond := sum(tally.beyond for tally in tallies):
        say(f"{beyond} records after the commit are done already, and not committed yet")
    for line in verdict.remarks:
        say(printable(f"note: {line}"))
    for line in verdict.faults:
        say(printable(f"FAULT: {line}"))
    say("it adds up" if verdict.adds_up else "it does NOT add up")


def as_json(verdict: Verdict) -> None:
    """Print the account as one JSON object on one line."""
    of = verdict.subject
    partitions = [_partition(verdict, part, verdict.tallies[part.partition]) for part in of.parts.values()]
    print(
        json.dumps(
            {
                "input": of.input,
                "group": of.group,
                "outputs": of.outputs,
                "adds_up": verdict.adds_up,
                "offsets": sum(part.offset - part.commit.begin for part in of.parts.values()),
                "counts": dict(verdict.counts),
                "repeats": sum(tally.repeats for tally in verdict.tallies.values()),
                "lag": sum(part.lag for part in of.parts.values()),
                "partitions": partitions,
                "notes": verdict.remarks,
                "faults": verdict.faults,
            }
        )
    )


def _partition(verdict: Verdict, part: Part, tally: Tally) -> dict[str, Any]:
    return {
        "partition": part.partition,
        "from": part.commit.begin,
        "offset": part.offset,
        "low": part.low,
        "high": part.high,
        "counts": part.commit.counts,
        "gaps": part.commit.gaps,
        "evidence": dict(tally.outcomes),
        "walked": tally.walked,
        "gone": verdict.gone(part),
        "without_evidence": len(tally.without),
        "evidence_not_kept": verdict.unkept[part.partition],
        "several_outcomes": tally.several,
        "repeats": tally.repeats,
        "beyond_commit": tally.beyond,
    }
