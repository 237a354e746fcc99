"""Figures as a table for people and JSON for programs."""

from __future__ import annotations

import argparse
import json
import math
import re
import shlex
import sys
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median
from typing import Any

from bench import machine

RESULTS = Path(__file__).parent / "results"


def parser(description: str | None, rounds: int = 3, *, video: bool = True) -> argparse.ArgumentParser:
    """Return a parser with the options that benchmarks share.

    Args:
        rounds: how many by default; 0 where there is nothing to be taken in turn.
        video: whether pictures are taken from one.
    """
    made = argparse.ArgumentParser(description=description)
    if rounds:
        made.add_argument("--rounds", type=int, default=rounds, help=f"pairs of runs (default {rounds})")
    if video:
        made.add_argument("--video", type=Path, help="take the pictures from this file")
    made.add_argument("--results", type=Path, default=RESULTS, help="folder for the JSON")
    made.add_argument("--markdown", action="store_true", help="print the table as markdown")
    return made


@dataclass
class Target:
    """What a figure ought to be, and what it is."""

    what: str
    wanted: str
    found: str
    met: bool


@dataclass
class Report:
    """One benchmark's figures.

    Attributes:
        name: of the benchmark, and of its JSON.
        note: what was measured, in a sentence or two.
        columns: heads of the table.
        rows: its lines.
        targets: what was wanted of them.
        raw: every single figure, for other programs.
    """

    name: str
    note: str
    columns: Sequence[str]
    rows: list[list[str]] = field(default_factory=list)
    targets: list[Target] = field(default_factory=list)
    raw: list[dict[str, Any]] = field(default_factory=list)
    machine: dict[str, str] = field(default_factory=machine.describe)
    command: str = field(default_factory=lambda: command())

    def row(self, *cells: object) -> None:
        """Add a line."""
        self.rows.append([str(cell) for cell in cells])

    def at_least(self, what: str, found: float, wanted: float) -> None:
        """Hold a figure against the least that it may be."""
        self.targets.append(Target(what, f"at least {wanted:g}", f"{found:.2f}", found >= wanted))

    def at_most(self, what: str, found: float, wanted: float) -> None:
        """Hold a figure against the most that it may be."""
        self.targets.append(Target(what, f"at most {wanted:g}", f"{found:.2f}", found <= wanted))

    def publish(self, options: argparse.Namespace) -> None:
        """Write the JSON and print the table."""
        options.results.mkdir(parents=True, exist_ok=True)
        (options.results / f"{self.name}.json").write_text(json.dumps(asdict(self), indent=1) + "\n")
        print(markdown(asdict(self)) if options.markdown else plain(asdict(self)))


def command() -> str:
    """Return how this program was called, wherever its results go."""
    words = ["python", "-m", f"bench.{Path(sys.argv[0]).stem}", *sys.argv[1:]]
    return re.sub(r" --results \S+", "", shlex.join(words))


def plain(report: dict[str, Any]) -> str:
    """Return the table in columns."""
    lines = [report["columns"], *report["rows"]]
    widths = [max(len(line[place]) for line in lines) for place in range(len(report["columns"]))]
    table = ["  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)) for line in lines]
    return "\n".join([report["note"], "", *table, "", *map(_verdict, report["targets"])])


def markdown(report: dict[str, Any]) -> str:
    """Return the table as markdown."""
    lines = [report["columns"], ["---"] * len(report["columns"]), *report["rows"]]
    table = [f"| {' | '.join(line)} |" for line in lines]
    targets = [f"- {_verdict(target)}" for target in report["targets"]]
    return "\n".join([report["note"], "", f"`{report['command']}`", "", *table, "", *targets])


def _verdict(target: dict[str, Any]) -> str:
    word = "met" if target["met"] else "MISSED"
    return f"{target['what']}: {target['found']} ({target['wanted']}): {word}"


def percentile(values: Iterable[float], share: float) -> float:
    """Return the value below which that share of them lies (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)]


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios, pair by pair."""
    return median(one / other for one, other in zip(ours, theirs, strict=True))


def spread(values: Sequence[float], form: str = ".1f") -> str:
    """Return the median and, in brackets, the least and the most."""
    if len(values) == 1:
        return f"{values[0]:{form}}"
    return f"{median(values):{form}} ({min(values):{form}} to {max(values):{form}})"
