"""RESULTS.md from the JSON of all benchmarks: ``python -m bench.summary > bench/RESULTS.md``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from bench.report import RESULTS, markdown

ORDER = ("hop", "chain", "throughput", "detector", "cameras", "idle", "breakdown", "soak")
HEAD = """\
# Figures

Made by `bench/all.sh`; what each benchmark measures, and how, is in [README.md](README.md). Both sides of a
comparison ran in turn on the same warmed broker in the same run, all on one machine: services, broker and
sources share its cores.
"""


def page(folder: Path) -> str:
    """Return the page of all figures found in a folder."""
    found = [json.loads(path.read_text()) for name in ORDER if (path := folder / f"{name}.json").is_file()]
    if not found:
        sys.exit(f"no figures in {folder}: run bench/all.sh")
    targets = [(report["name"], target) for report in found for target in report["targets"]]
    parts = [HEAD, _machine(found), "## Targets\n", _table(targets)]
    parts += [f"## {report['name']}\n\n{markdown(report)}" for report in found]
    return "\n".join([*parts, ""]).replace("\n\n\n", "\n\n")


def _machine(reports: list[dict[str, Any]]) -> str:
    """Return the machine once, and what was another with a later benchmark."""
    first = reports[0]["machine"]
    lines = [f"- {name}: {value}" for name, value in first.items() if name != "load"]
    for report in reports:
        apart = {name: value for name, value in report["machine"].items() if value != first.get(name, value)}
        others = [f"{name} {value}" for name, value in apart.items() if name != "load"]
        lines.append(f"- {', '.join([report['name'], *others])}: load {report['machine']['load']}")
    return "\n".join(["## Machine\n", *lines, ""])


def _table(targets: list[tuple[str, dict[str, Any]]]) -> str:
    lines = ["| benchmark | what | wanted | found | |", "| --- | --- | --- | --- | --- |"]
    for name, one in targets:
        verdict = "met" if one["met"] else "**missed**"
        lines.append(f"| {name} | {one['what']} | {one['wanted']} | {one['found']} | {verdict} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    print(page(Path(sys.argv[1]) if len(sys.argv) > 1 else RESULTS), end="")
