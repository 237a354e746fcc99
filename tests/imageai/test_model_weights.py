"""Weights: cached, fetched, fallen back from, and what is said when there are none."""

from __future__ import annotations

import hashlib
import io
import os
import subprocess
import sys
import tarfile
import threading
from collections.abc import Iterator
from dataclasses import replace
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from model_catalogue import CATALOGUE, CatalogueModel, Package
from model_weights import choose, folder, obtain
from package_member import fetch_member

from imagebus.errors import FetchError, ModelError
from imagebus.fetch import Digest
from imagebus.folders import data_folder

PROGRAM = Path(__file__).parents[2] / "imageai" / "model_weights.py"
NOWHERE = "http://127.0.0.1:9"
GOOD, FAIR = b"good weights", b"fair weights"


def digest(content: bytes) -> Digest:
    return Digest(len(content), hashlib.sha256(content).hexdigest())


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def address(tmp_path: Path) -> Iterator[str]:
    """Where a server offers the files good.onnx and fair.onnx."""
    (tmp_path / "www").mkdir()
    (tmp_path / "www" / "good.onnx").write_bytes(GOOD)
    (tmp_path / "www" / "fair.onnx").write_bytes(FAIR)
    handler = partial(Quiet, directory=str(tmp_path / "www"))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        thread = threading.Thread(target=partial(server.serve_forever, poll_interval=0.01))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def empty_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Begin with no weights at all; return the data folder that earlier runs filled."""
    filled = data_folder()
    monkeypatch.setenv("IMAGEBUS_DATA", str(tmp_path / "data"))
    return filled


def catalogue(good: str, fair: str) -> tuple[CatalogueModel, CatalogueModel]:
    return (
        CatalogueModel("good", "Good", "good.onnx", digest(GOOD), "MIT", good),
        CatalogueModel("fair", "Fair", "fair.onnx", digest(FAIR), "MIT", fair),
    )


def test_the_better_model_is_fetched_first(address: str) -> None:
    models = catalogue(f"{address}/good.onnx", f"{address}/fair.onnx")
    assert choose(models).name == "good"
    assert (folder() / "good.onnx").read_bytes() == GOOD
    assert not (folder() / "fair.onnx").exists()


def test_where_the_better_one_cannot_be_reached_the_other_runs_and_it_is_said(address: str) -> None:
    said: list[str] = []
    models = catalogue(f"{NOWHERE}/good.onnx", f"{address}/fair.onnx")
    assert choose(models, said.append).name == "fair"
    assert any(line.startswith(f"Good cannot be fetched: {NOWHERE}/good.onnx:") for line in said)


def test_the_next_start_takes_what_is_here_and_asks_nobody(address: str) -> None:
    choose(catalogue(f"{NOWHERE}/good.onnx", f"{address}/fair.onnx"))
    said: list[str] = []
    models = catalogue(f"{address}/good.onnx", f"{NOWHERE}/fair.onnx")
    assert choose(models, said.append).name == "fair"
    assert said == []


def test_weights_that_are_here_need_no_folder_that_can_be_written_to() -> None:
    folder().mkdir(parents=True)
    (folder() / "good.onnx").write_bytes(GOOD)
    [good, _] = catalogue(f"{NOWHERE}/good.onnx", "")
    obtain(good)
    assert [path.name for path in folder().iterdir()] == ["good.onnx"]


def test_the_better_one_runs_once_it_has_been_brought(address: str) -> None:
    models = catalogue(f"{NOWHERE}/good.onnx", f"{address}/fair.onnx")
    choose(models)
    (folder() / "good.onnx").write_bytes(GOOD)
    assert choose(models).name == "good"


def test_damaged_weights_are_not_used_but_fetched_again(address: str) -> None:
    folder().mkdir(parents=True)
    (folder() / "good.onnx").write_bytes(b"damaged file")
    said: list[str] = []
    models = catalogue(f"{address}/good.onnx", f"{NOWHERE}/fair.onnx")
    assert choose(models, said.append).name == "good"
    assert "is not the published file" in said[0]
    assert (folder() / "good.onnx").read_bytes() == GOOD


def test_a_forged_file_is_refused(address: str) -> None:
    [good, _] = catalogue(f"{address}/fair.onnx", "")
    with pytest.raises(FetchError, match="SHA-256"):
        obtain(replace(good, digest=replace(good.digest, sha256="0" * 64)))
    assert {path.name for path in folder().iterdir()} == {"good.onnx.lock"}


def test_without_any_model_one_error_says_all_there_is_to_know() -> None:
    models = catalogue(f"{NOWHERE}/good.onnx", f"{NOWHERE}/fair.onnx")
    with pytest.raises(ModelError) as raised:
        choose(models)
    text = str(raised.value)
    for part in (
        "Good: ",
        f"{NOWHERE}/good.onnx",
        "Fair: ",
        digest(GOOD).sha256,
        str(folder()),
        "--model FILE",
    ):
        assert part in text
    assert "\n" not in text


def archive(folder: Path, member: bytes | None, *, link: bool = False) -> Package:
    """Write a source archive such as a package index offers; return how it is asked for."""
    folder.mkdir(exist_ok=True)
    path = folder / "carrier-1.0.tar.gz"
    files = {
        "PKG-INFO": b"Metadata-Version: 2.1\nName: carrier\nVersion: 1.0\n",
        "setup.py": b"from setuptools import setup\nsetup(name='carrier', version='1.0')\n",
    }
    if member is not None and not link:
        files["data/some.weights"] = member
    with tarfile.open(path, "w:gz") as tar:
        for name, content in files.items():
            info = tarfile.TarInfo(f"carrier-1.0/{name}")
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
        if link:
            info = tarfile.TarInfo("carrier-1.0/data/some.weights")
            info.type, info.linkname = tarfile.SYMTYPE, "../setup.py"
            tar.addfile(info)
    return Package("carrier", "1.0", digest(path.read_bytes()), "carrier-1.0/data/some.weights")


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that pip takes for its index."""
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "index"))
    return tmp_path / "index"


def left_over(target: Path) -> set[str]:
    return {path.name for path in target.parent.iterdir()} - {f"{target.name}.lock"}


def test_one_file_comes_out_of_a_package(index: Path, tmp_path: Path) -> None:
    package, target = archive(index, FAIR), tmp_path / "models" / "some.weights"
    assert fetch_member(package, target, digest(FAIR), print) == target
    assert target.read_bytes() == FAIR
    assert left_over(target) == {"some.weights"}


def test_what_a_killed_start_left_behind_is_cleared_away(index: Path, tmp_path: Path) -> None:
    package, target = archive(index, FAIR), tmp_path / "models" / "some.weights"
    (target.parent / "some.weights.package-x1" / "scratch").mkdir(parents=True)
    target.with_name("some.weights.part").write_bytes(b"half")
    fetch_member(package, target, digest(FAIR), print)
    assert left_over(target) == {"some.weights"}


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ("archive", "DO NOT MATCH THE HASHES"),
        ("missing", "holds no file carrier-1.0/data/some.weights"),
        ("link", "holds no file carrier-1.0/data/some.weights"),
        ("content", "SHA-256"),
        ("index", "carrier==1.0"),
    ],
)
def test_a_package_that_is_not_as_published_leaves_nothing(
    index: Path, tmp_path: Path, fault: str, why: str
) -> None:
    content = None if fault == "missing" else b"fair wEights" if fault == "content" else FAIR
    package, target = archive(index, content, link=fault == "link"), tmp_path / "models" / "some.weights"
    if fault == "archive":
        package = replace(package, archive=Digest(package.archive.size_bytes, "0" * 64))
    if fault == "index":
        (index / "carrier-1.0.tar.gz").unlink()
    with pytest.raises(FetchError, match=why):
        fetch_member(package, target, digest(FAIR), print)
    assert left_over(target) == set()


def run(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    offline = {"https_proxy": NOWHERE, "http_proxy": NOWHERE, "no_proxy": "", "PIP_NO_INDEX": "1"}
    return subprocess.run(
        [sys.executable, str(PROGRAM), *arguments],
        env={**os.environ, **offline, **environment},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_offline_with_an_empty_cache_it_ends_with_an_error_that_helps() -> None:
    ended = run()
    assert ended.returncode == 1
    last = ended.stderr.splitlines()[-1]
    assert "no model can be had" in last
    for model in CATALOGUE:
        assert model.title in last
    assert f"Bring {CATALOGUE[0].file}" in last


def test_offline_with_the_fallback_in_its_cache_it_is_ready_without_a_word_of_fetching(
    empty_data: Path,
) -> None:
    kept = obtain_as_before(empty_data)
    folder().mkdir(parents=True)
    (folder() / kept.name).symlink_to(kept)
    first, second = run(), run()
    assert (first.returncode, second.returncode) == (0, 0)
    assert first.stdout == second.stdout == "model yolov3-tiny is ready\n"
    assert first.stderr == "converting yolov3-tiny.weights to ONNX\n"
    assert second.stderr == ""


def test_two_first_starts_at_once_are_both_ready(empty_data: Path) -> None:
    kept = obtain_as_before(empty_data)
    folder().mkdir(parents=True)
    (folder() / kept.name).symlink_to(kept)
    programs = [
        subprocess.Popen([sys.executable, PROGRAM], stdout=subprocess.PIPE, text=True) for _ in range(2)
    ]
    said = [program.communicate(timeout=60)[0] for program in programs]
    assert said == ["model yolov3-tiny is ready\n"] * 2


def obtain_as_before(data: Path) -> Path:
    """Return the fallback's weights from the folder that all test runs share, fetched there if need be."""
    ready = subprocess.run(
        [sys.executable, PROGRAM, "yolov3-tiny"], env={**os.environ, "IMAGEBUS_DATA": str(data)}, timeout=600
    )
    assert ready.returncode == 0
    return data / "models" / "yolov3-tiny.weights"
