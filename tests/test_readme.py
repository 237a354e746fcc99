"""What the README tells a newcomer is true."""

import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from imagebus import Detection, jpeg
from imagebus.cli import COMMANDS
from imagebus.testing import make_frame, run_filter

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
BLOCKS = re.findall(r"```python\n(.*?)```", README, re.DOTALL)
PROGRAMS = sorted(set(re.findall(r"\b((?:producer|imageai|consumer)/\w+\.py)\b", README)))


def help_of(program: str) -> str:
    done = subprocess.run(
        [sys.executable, ROOT / program, "--help"], capture_output=True, text=True, check=True, timeout=60
    )
    return done.stdout


def table_rows() -> list[list[str]]:
    rows = [re.split(r"(?<!\\)\|", line)[1:-1] for line in README.splitlines() if line.startswith("| ")]
    return [[cell.strip() for cell in row] for row in rows]


def test_the_filter_of_the_readme_runs_as_it_stands_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    code, test = BLOCKS
    assert len(code.splitlines()) <= 40
    (tmp_path / "mirror.py").write_text(code)
    monkeypatch.syspath_prepend(str(tmp_path))
    scope = ModuleType("scope").__dict__
    exec(test, scope)
    scope["test_a_picture_keeps_its_size"]()
    pixels = np.zeros((48, 64, 3), np.uint8)
    pixels[:, :16] = 255
    before = make_frame(
        image=jpeg.clean(jpeg.encode(pixels)), detections=[Detection("cup", 0.5, (0, 0, 16, 48))]
    )
    [after] = run_filter(scope["Mirror"], [before])
    assert after.detections[0].box == (48, 0, 64, 48)
    assert after.pixels()[:, 50:].min() > 200


@pytest.mark.parametrize("program", PROGRAMS)
def test_every_flag_that_the_readme_names_is_there_with_its_default(program: str) -> None:
    text = " ".join(help_of(program).split())
    [row] = [row for row in table_rows() if row[0].startswith(f"`{program}")]
    for flag in re.findall(r"--[a-z-]+", row[4]):
        assert f"{flag} " in text, flag
    for topic in re.findall(r"[A-Z]+_FRAME", " ".join(row[1:3])):
        assert f"(default: {topic})" in text


def test_every_shared_flag_is_in_every_program_that_the_readme_lists_for_it() -> None:
    kinds = {"all": PROGRAMS, "filters": ["imageai/imageaiProcessor.py", "imageai/redaction.py"]}
    kinds["producer, filters"] = ["producer/producer.py", *kinds["filters"]]
    rows = [row for row in table_rows() if len(row) == 3 and row[1] in kinds]
    assert len(rows) >= 7
    texts = {program: help_of(program) for program in PROGRAMS}
    for flags, programs, _meaning in rows:
        for program in kinds[programs]:
            for flag in re.findall(r"--[a-z-]+", flags):
                assert re.search(rf"{flag}\b", texts[program]), (program, flag)


def test_every_flag_of_a_filter_is_in_the_readme() -> None:
    flags = set(re.findall(r"(?<!\S)--[a-z][a-z-]+", help_of("imageai/redaction.py")))
    named = set(re.findall(r"--[a-z][a-z-]+", " ".join(row[0] for row in table_rows() if len(row) == 3)))
    assert flags - {"--help", "--version", "--some-flag"} <= named


def test_every_command_is_in_the_readme_and_every_sub_command_is_there() -> None:
    rows = [row[0] for row in table_rows() if row[0].startswith("`imagebus ")]
    assert {row.split()[1].strip("`") for row in rows} == set(COMMANDS)
    for row in rows:
        _, command, *words = row.strip("`").split()
        for word in words[0].split("\\|") if words and "|" in words[0] else ():
            done = subprocess.run(
                [Path(sys.executable).with_name("imagebus"), command, "--help"],
                capture_output=True,
                text=True,
                check=True,
                timeout=60,
            )
            assert word in done.stdout


def test_every_page_of_the_documentation_is_linked() -> None:
    for page in (ROOT / "docs").glob("*.md"):
        assert f"(docs/{page.name})" in README


def test_files_that_the_readme_links_are_there() -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)\)", README):
        assert (ROOT / target).exists(), target
