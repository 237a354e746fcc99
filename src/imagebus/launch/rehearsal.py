"""Read the flags and variables of services before any of them starts: a wrong one is said at once.

``python -m imagebus.launch.rehearsal PROGRAM [FLAGS]`` reads those of one program and ends with 0 or 2.
"""

from __future__ import annotations

import importlib
import inspect
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

from imagebus.errors import ConfigurationError, ImagebusError
from imagebus.launch.options import PREFIX
from imagebus.launch.services import Service
from imagebus.options import Options
from imagebus.program import run


def check(services: Iterable[Service]) -> None:
    """Have each service's program read its options, side by side.

    Raises:
        ConfigurationError: a value is wrong; says which.
        ImagebusError: a program can't even be loaded.
    """
    module = [sys.executable, "-m", "imagebus.launch.rehearsal"]
    outside = {name: value for name, value in os.environ.items() if not name.startswith(PREFIX)}
    readers = [
        subprocess.Popen(
            [*module, *service.command[1:]],
            env={**outside, **service.environment},
            stdin=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
            errors="replace",
        )
        for service in services
    ]
    faults = [(reader.communicate()[1].strip(), reader.returncode) for reader in readers]
    for said, status in faults:
        if status:
            line = said.splitlines()[-1] if said else f"a program ends with exit status {status}"
            if status == ConfigurationError.exit_code:
                raise ConfigurationError(f"{line} (from a variable, or its line in .env)")
            raise ImagebusError(line)


def options_of(program: Path) -> type[Options]:
    """Return the options that a program declares, its own or those of its filter."""
    sys.path.insert(0, str(program.parent))
    module = importlib.import_module(program.stem)
    for _, thing in inspect.getmembers(module, inspect.isclass):
        declared: type = getattr(thing, "Options", thing)
        if thing.__module__ == module.__name__ and issubclass(declared, Options):
            return declared
    raise ImagebusError(f"{program} declares no options")


def main() -> None:
    """Read the options of one program."""
    options_of(Path(sys.argv[1])).parse(sys.argv[2:])


if __name__ == "__main__":
    sys.argv[0] = Path(sys.argv[1]).name  # what is wrong is said in the program's name
    run(main)
