"""What docs/filters.md shows runs as it stands there."""

from __future__ import annotations

import re
from types import ModuleType
from typing import Any

import pytest

from imagebus import Detection, Filter
from imagebus.testing import make_frame, run_filter
from tests.programs import ROOT

BATCHES, LOOKS_AHEAD, WITHOUT_PICTURES = re.findall(
    r"```python\n(.*?)```", (ROOT / "docs" / "filters.md").read_text(), re.DOTALL
)


def run_block(code: str) -> dict[str, Any]:
    scope: dict[str, Any] = ModuleType("scope").__dict__
    exec(code, scope)
    return scope


def the_filter(code: str, name: str) -> type[Filter]:
    found: type[Filter] = run_block(code)[name]
    found.__module__ = __name__
    return found


def test_the_filter_that_takes_batches() -> None:
    kind = the_filter(BATCHES, "Brightness")
    frames = run_filter(kind, [make_frame(sequence=n, width=64 + n) for n in range(10)])
    assert [frame.sequence for frame in frames] == list(range(10))
    assert all(abs(frame.attributes["brightness.mean"] - 128) < 2 for frame in frames)


def test_the_test_of_the_filter_that_looks_ahead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(ROOT / "examples"))
    run_block(LOOKS_AHEAD)["test_every_frame_comes_out_in_order"]()


def test_the_filter_that_needs_no_pictures() -> None:
    kind = the_filter(WITHOUT_PICTURES, "Crowd")
    one = Detection("person", 0.9, (0, 0, 8, 8))
    frames = run_filter(kind, [make_frame(sequence=n, detections=[one] * n) for n in range(5)])
    assert [frame.attributes["crowd.people"] for frame in frames] == [3, 4]
