"""Where run.sh, install.sh and stop.sh begin, on the machine's own Python, with nothing installed.

Checks what the user asks for, makes the Python environment where it is missing, and goes on inside it.
"""

from __future__ import annotations

import importlib
import json
import os
import sys
from pathlib import Path
from types import ModuleType

PARTS = {"run": "imagebus.launch.start", "install": "imagebus.launch.prepare", "stop": "imagebus.launch.stop"}


def main() -> None:
    """Run one of the commands: ``bare.py run|install|stop [options]``."""
    command, argv = sys.argv[1], sys.argv[2:]
    # As "launch", not as "imagebus.launch": importing imagebus takes packages that may not be installed yet.
    sys.path.append(str(Path(__file__).resolve().parents[1]))
    options = importlib.import_module("launch.options")
    environment = importlib.import_module("launch.environment")
    wishes = options.parse(command, argv, environment.ROOT)
    stop_request = importlib.import_module("launch.stop_request")
    if command == "stop" and not environment.STAMP.exists():
        asked = stop_request.leave(wishes.data)
        under_way = "; if run.sh is installing now, it will start nothing" * asked
        print(f"nothing is installed here, so nothing runs{under_way}")
        return
    for line in options.unknown(environment.ROOT):
        print(f"{command}.sh: {line}", file=sys.stderr, flush=True)
    passed_on = {options.ARGUMENTS: json.dumps(argv)}
    if command == "run":
        passed_on[stop_request.BEFORE] = _begin(wishes.data, stop_request)
    if command != "stop":
        _keep_caches_in(wishes.data / "cache")
        importlib.import_module("launch.progress").interruptible()
        try:
            environment.ensure(("requirements.txt", *["requirements-dev.txt"] * wishes.dev))
        except environment.StepError as error:
            sys.exit(f"{command}.sh: {error}")
        except KeyboardInterrupt:
            sys.exit(130)
    # By the environment, which no other user can read: a camera's address may hold a password.
    os.execve(
        environment.PYTHON, [str(environment.PYTHON), "-m", PARTS[command]], {**os.environ, **passed_on}
    )


def _begin(data: Path, stop_request: ModuleType) -> str:
    """Return the newest request to stop, before anything takes long: a newer one ends this start."""
    try:
        stop_request.make_room(data)
        return str(stop_request.newest(data))
    except OSError as error:
        print(f"run.sh: --data: {data} can't be written: {error.strerror}", file=sys.stderr)
        sys.exit(2)


def _keep_caches_in(folder: Path) -> None:
    """Have pip and npm keep what they fetch below the data folder, unless the user named a place."""
    for name, variable in (("pip", "PIP_CACHE_DIR"), ("npm", "npm_config_cache")):
        if not any(known.lower() == variable.lower() for known in os.environ):
            os.environ[variable] = str(folder / name)


if __name__ == "__main__":
    main()
