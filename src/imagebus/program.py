"""How a program of imagebus starts and ends: errors become one line and an exit status."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from io import TextIOWrapper
from pathlib import Path
from typing import NoReturn

from imagebus.errors import ImagebusError
from imagebus.text import printable


def run(main: Callable[[], int | None]) -> NoReturn:
    """Run ``main`` and exit: with its status, or an imagebus error's own after one line that says why."""
    name = Path(sys.argv[0]).name
    if isinstance(sys.stdout, TextIOWrapper):  # a name that the terminal cannot show must end nothing
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        sys.exit(main() or 0)
    except ImagebusError as error:
        print(f"{name}: {printable(str(error))}", file=sys.stderr, flush=True)
        sys.exit(error.exit_code)
    except KeyboardInterrupt:
        sys.exit(130)
    except BrokenPipeError:  # whoever read our output, such as head, has gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # so that nobody fails anew at the last flush
        sys.exit(141)
