"""What was written down of a run, read back so that a spoilt file stops nobody."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, ClassVar, TypeVar

from imagebus.kafka.process import Process
from imagebus.launch.services import Service
from imagebus.log import warn

T = TypeVar("T")


class Notes:
    """Reads notes; one that can't be understood is told of, once a program, and taken for none."""

    _told: ClassVar[set[Path]] = set()

    def process(self, file: Path) -> Process | None:
        """Return the process that a note names, alive or not."""
        return self._read(file, lambda kept: Process(_natural(kept, "pid"), _natural(kept, "started")))

    def services(self, file: Path) -> list[Service]:
        """Return the services that were started last."""
        return self._read(file, lambda kept: [_service(fields) for fields in kept.values()]) or []

    def _read(self, file: Path, understood: Callable[[Any], T]) -> T | None:
        try:
            return understood(json.loads(file.read_bytes()))
        except FileNotFoundError:
            return None
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            if file not in self._told:
                self._told.add(file)
                warn(f"{file} can't be understood ({error!r:.200}); taken for none")
            return None


def _natural(kept: Any, key: str) -> int:
    value = kept[key]
    if type(value) is not int or value < 1:  # True is an int, too; process 0 would mean a whole group
        raise TypeError(f"{key} is {value!r:.40}")
    return value


def _service(fields: Any) -> Service:
    service = Service(**fields)
    if type(service.name) is not str or type(service.rank) is not int:
        raise TypeError(f"name is {service.name!r:.40}, rank is {service.rank!r:.40}")
    return service
