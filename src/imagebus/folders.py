"""Where imagebus keeps what it fetches, makes and remembers on this machine."""

import os
from pathlib import Path

VARIABLE = "IMAGEBUS_DATA"


def data_folder() -> Path:
    """Name the folder of all data: $IMAGEBUS_DATA, else .imagebus of the checkout, else of the user.

    Absolute. Nothing is made here; who writes makes what is below: kafka models samples logs certificate run.
    """
    chosen = os.environ.get(VARIABLE, "")
    if chosen:
        return Path(chosen).expanduser().absolute()
    root = checkout()
    return root / ".imagebus" if root else Path.home() / ".local" / "share" / "imagebus"


def checkout() -> Path | None:
    """Find the root of the source tree this code runs from; None when it was installed away from one."""
    root = Path(__file__).resolve().parents[2]
    return root if (root / "src" / "imagebus").is_dir() and (root / "pyproject.toml").is_file() else None
