"""Every benchmark runs and says what it should; none of its figures is judged here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.report import percentile, ratio
from bench.soak import growth
from bench.summary import page
from tests.programs import ROOT

ALONE = ("idle", "breakdown", "soak")
"""What has no other side."""
Bench = Callable[[str], dict[str, Any]]
runs = [pytest.mark.kafka, pytest.mark.slow, pytest.mark.timeout(600)]


@pytest.fixture
def bench(tmp_path: Path, assets: Path) -> Bench:
    """Run a benchmark and return its JSON: ``bench("idle --seconds 1")``."""

    def run(line: str) -> dict[str, Any]:
        name, *arguments = line.split()
        once = () if name in ALONE else ("--rounds", 1)
        command = ["-m", f"bench.{name}", *once, "--results", tmp_path, *arguments]
        done = subprocess.run(
            [sys.executable, *map(str, command)],
            cwd=ROOT,
            env={**os.environ, "IMAGEBUS_ASSETS": str(assets)},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        report: dict[str, Any] = json.loads((tmp_path / f"{name}.json").read_text())
        assert all(target["what"] in done.stdout for target in report["targets"])
        assert report["rows"][0][0] in done.stdout
        assert f"## {name}" in page(tmp_path)
        return report

    return run


def column(report: dict[str, Any], name: str) -> list[str]:
    """Return a column of the table, top to bottom; of two that are named alike, the first."""
    place = report["columns"].index(name)
    return [row[place] for row in report["rows"]]


@pytest.mark.parametrize(
    "name", ["hop", "chain", "throughput", "detector", "cameras", "idle", "breakdown", "soak"]
)
def test_a_benchmark_says_how_it_is_used(name: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", f"bench.{name}", "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ("--rounds" in done.stdout) is (name not in ALONE)
    assert f"`{name}.py`" in (ROOT / "bench" / "README.md").read_text()


class TestFigures:
    """The arithmetic."""

    def test_one_in_a_hundred_is_slower_than_the_99th_percentile(self) -> None:
        assert percentile(range(1, 201), 0.99) == 198

    def test_a_ratio_is_taken_pair_by_pair(self) -> None:
        # Both sides of the second pair ran while the machine was busy.
        assert ratio([10, 1, 12], [20, 2, 20]) == 0.5

    def test_memory_that_grows_a_megabyte_a_minute_grows_sixty_an_hour(self) -> None:
        warm_up = [(float(at), 500.0) for at in range(0, 60, 5)]
        slope, error = growth([*warm_up, *((float(at), 100 + at / 60) for at in range(60, 600, 5))], 60.0)
        assert slope == pytest.approx(60)
        assert error == pytest.approx(0, abs=1e-6)


class TestRuns:
    pytestmark = runs

    def test_a_hop_is_measured_on_both_sides(self, bench: Bench) -> None:
        report = bench("hop --sizes 480p --hops 1 3 --steady 5 --burst 20")
        assert column(report, "side") == ["bare", "imagebus"] * 2
        assert all(len(one["latencies_ms"]) == 5 and one["fps"] > 0 for one in report["raw"])

    def test_the_chain_is_measured_on_both_sides(self, bench: Bench) -> None:
        report = bench("chain --size 480p --steady 5 --burst 20")
        assert column(report, "side") == ["bare", "bare, half colour", "imagebus"]
        assert len(report["targets"]) == 1

    def test_throughput_stands_beside_the_client_and_kafkas_own_tools(self, bench: Bench) -> None:
        report = bench("throughput --count 50")
        assert column(report, "side") == ["confluent-kafka", "imagebus.bus", "Kafka's Java tools"] * 2
        assert all(one["mb_s"] > 0 for one in report["raw"])

    def test_detection_stands_beside_the_bare_model_loop(self, bench: Bench) -> None:
        report = bench("detector --count 20")
        assert all(one["fps"] > 0 for one in report["raw"])

    def test_processor_time_is_measured_with_few_and_with_many_cameras(self, bench: Bench) -> None:
        report = bench("cameras --size 480p --few 2 --many 8 --fps 20 --seconds 2")
        assert column(report, "cameras") == ["2", "8"]

    def test_idle_services_are_measured(self, bench: Bench) -> None:
        assert len(bench("idle --seconds 2")["targets"]) == 3

    def test_the_parts_of_a_frames_time_are_less_than_all_of_it(self, bench: Bench) -> None:
        report = bench("breakdown --count 80")
        assert column(report, "part")[-1] == "all"
        for one in report["raw"]:
            parts = [value for part, value in one.items() if part not in ("filter", "all")]
            assert len(parts) == 6
            assert 0 < sum(parts) <= one["all"] * 1.01

    def test_memory_is_sampled_while_cameras_run(self, bench: Bench) -> None:
        report = bench("soak --minutes 0.3 --every 1 --fps 2")
        assert len(report["rows"]) == 2 + 4 + 1
        assert report["targets"] == [], "so short a run shows the warm-up only"
