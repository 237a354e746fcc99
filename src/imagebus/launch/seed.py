"""A second data folder takes over what the first has fetched: no second transfer, no network."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

FETCHED = ("kafka/lib", "models", "samples")


def from_checkout(first: Path, data: Path) -> None:
    """Link (else copy) fetched files from the checkout's own data folder that are missing in another.

    Whoever uses such a file checks its digest, or its whole folder; what was half there is fetched again.
    """
    if data.resolve() == first.resolve():
        return
    for name in FETCHED:
        source, target = first / name, data / name
        if source.is_dir() and not target.exists():
            part = target.with_name(target.name + ".seed")
            shutil.rmtree(part, ignore_errors=True)
            shutil.copytree(source, part, copy_function=_link, ignore=shutil.ignore_patterns(".*", "*.part"))
            part.rename(target)


def _link(source: str, target: str) -> None:
    try:
        os.link(source, target)
    except OSError:  # another file system
        shutil.copyfile(source, target)
