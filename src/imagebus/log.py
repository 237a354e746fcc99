"""What programs say: results on standard output, everything else on standard error, one line each."""

from __future__ import annotations

import sys

from imagebus.text import printable


def say(line: str) -> None:
    """Print a result; names in it must be printable already."""
    print(line, flush=True)


def warn(line: str) -> None:
    """Print what an operator should know."""
    print(printable(line), file=sys.stderr, flush=True)
