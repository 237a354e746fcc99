"""Long steps: a sign of life at least every few seconds, and a failure that says why and what to do."""

from __future__ import annotations

import sys
import time

import pytest

from imagebus.launch.progress import SILENT_S, Step, StepError, run


def python(code: str) -> list[str]:
    return [sys.executable, "-c", code]


def test_what_a_step_says_is_shown_under_its_name(capfd: pytest.CaptureFixture[str]) -> None:
    run([Step("first", python("print('one')")), Step("second", python("print('two')"))])
    said = capfd.readouterr().err
    assert "first: one" in said
    assert "second: two" in said


def test_a_silent_step_is_spoken_of(capfd: pytest.CaptureFixture[str]) -> None:
    run([Step("long one", python(f"import time; time.sleep({SILENT_S} + 2)"))])
    assert "still busy: long one" in capfd.readouterr().err


def test_a_failed_step_says_what_it_was_and_what_to_do_and_ends_the_others(
    capfd: pytest.CaptureFixture[str],
) -> None:
    began = time.monotonic()
    steps = [
        Step(
            "broken",
            python("print('the reason'); raise SystemExit(3)"),
            shown=lambda _: "",
            advice="Do this.",
        ),
        Step("other", python("import time; time.sleep(60)")),
    ]
    with pytest.raises(StepError, match=r"broken failed \(exit status 3\).* Do this\."):
        run(steps)
    assert "| the reason" in capfd.readouterr().err
    assert time.monotonic() - began < 30


def test_a_step_whose_program_is_missing_says_so() -> None:
    with pytest.raises(StepError, match="/nowhere/program: No such file"):
        run([Step("gone", ["/nowhere/program"])])
