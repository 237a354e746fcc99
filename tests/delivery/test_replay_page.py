"""The commands of docs/replay.md, as they stand there."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
from datetime import datetime
from pathlib import Path

import msgpack
import pytest

from tests.broker import frame_put, fresh, make_topic, plain_frame, put, read_all
from tests.programs import IMAGEAI, ROOT

pytestmark = pytest.mark.kafka
PAGE = (ROOT / "docs" / "replay.md").read_text()
COMMANDS = [line for block in re.findall(r"```sh\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()]
NOON = datetime(2026, 1, 1, 12)


@pytest.mark.slow
@pytest.mark.timeout(180)
def test_the_commands_of_the_page_do_what_it_says(kafka: str, models: Path) -> None:
    """Topics have names of their own here: the broker is shared."""
    names = {name: fresh(name) for name in sorted(set(re.findall(r"\b[A-Z]+_[A-Z]+\b", " ".join(COMMANDS))))}
    source = make_topic(kafka, names["SOURCE_FRAME"], 2, retention__ms=-1)
    recent_ms = time.time_ns() // 1_000_000 - 60_000
    moments = [round(NOON.timestamp() * 1000) + n * 60_000 for n in range(7)]
    frames = [
        plain_frame(n, captured_ns=captured_ms * 1_000_000)
        for n, captured_ms in enumerate([*moments, recent_ms, recent_ms + 1])
    ]
    put(kafka, source, [frame_put(frame, n % 2) for n, frame in enumerate(frames)])

    said = [run(command, names, kafka, models) for command in COMMANDS]
    assert len(said) == 5

    def written(topic: str) -> list[dict[str, object]]:
        return [msgpack.unpackb(record.value or b"") for record in read_all(kafka, names[topic])]

    for topic in ("IMAGEAI_AGAIN", "REDACTION_AGAIN"):
        assert sorted((one["sequence"], one["run"]) for one in written(topic)) == [
            (7, "careful"),
            (8, "careful"),
        ]
    assert sorted((one["sequence"], one["run"]) for one in written("IMAGEAI_NOON")) == [
        (n, "noon") for n in range(5)
    ]
    assert said[3].count("\n") >= 5, "a line a frame"
    assert "7 offsets in = 5 output" in said[4]
    assert "it adds up" in said[4]


def run(command: str, names: dict[str, str], kafka: str, models: Path) -> str:
    for name, own in names.items():
        command = re.sub(rf"\b{name}\b", own, command)
    program, *words = shlex.split(command)
    start = [sys.executable] if program == "python" else [str(Path(sys.executable).with_name(program))]
    # --input is the default one, in a topic of its own
    more = ["--input", names["SOURCE_FRAME"]] if words[0] == str(IMAGEAI.relative_to(ROOT)) else []
    done = subprocess.run(
        [*start, *words, *more],
        cwd=ROOT,
        env={**os.environ, "IMAGEBUS_KAFKA": kafka, "IMAGEBUS_MODEL": str(models / "yolox_nano.onnx")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert done.returncode == 0, (command, done.stdout, done.stderr)
    return done.stdout


def test_the_page_names_each_flag_as_the_programs_do() -> None:
    text = subprocess.run(
        [sys.executable, IMAGEAI, "--help"], capture_output=True, text=True, check=True, timeout=60
    ).stdout
    for flag in set(re.findall(r"`(--[a-z-]+)", PAGE)):
        assert f"{flag} " in text, flag


def test_times_that_the_page_shows_are_times() -> None:
    from imagebus import moment

    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    shown = [text.strip('"') for row in rows for text in re.findall(r"`([^`]+)`", row)]
    assert len(shown) == 11
    assert all(moment.parse(text) for text in shown)
