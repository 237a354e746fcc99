"""The options of run.sh, install.sh and stop.sh; each is also a variable, in the environment or in `.env`.

Read by argparse and not by `imagebus.options`, since it must answer before anything is installed.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn

from . import dotenv
from .cameras import Camera, named
from .known import complaints

PREFIX = "IMAGEBUS_"
ARGUMENTS = "IMAGEBUS_ARGUMENTS"
METRICS_PORT = "IMAGEBUS_METRICS_PORT"
DESCRIPTION = {
    "run": "Install what is missing, start everything, and print the address of the page.",
    "install": "Install everything that run.sh needs, without starting anything.",
    "stop": "Stop all that run.sh started.",
}
CAMERAS = """\
cameras:
  WEBCAM, a device such as /dev/video1, a video file (played in a loop), or an address (rtsp, rtmp, http ...).
  Without any, two sample videos are shown. A password in an address is seen in the process list while run.sh
  works; it is not if the address stands in .env: IMAGEBUS_CAMERAS=rtsp://user:pass@host/path,clip.mp4

Each option is also a variable, in the environment or in .env: --kafka-port is IMAGEBUS_KAFKA_PORT. What else
.env sets for the services (IMAGEBUS_CONFIDENCE, IMAGEBUS_MODEL ...) reaches them too.
Two run side by side when --port, --kafka-port and --data are not the same.
"""


@dataclass(frozen=True)
class Choice:
    """One option: flag and variable, default, meaning; ``least`` and ``most`` bound a number."""

    name: str
    default: str
    help: str
    least: float = 0
    most: float = sys.float_info.max
    short: str = ""

    @property
    def field(self) -> str:
        """Name it as Python does."""
        return self.name.replace("-", "_")

    @property
    def variable(self) -> str:
        """Name its variable."""
        return PREFIX + self.field.upper()


DATA = Choice("data", "", "folder of all that is fetched and kept; default: .imagebus in the checkout")
RUN = (
    Choice("port", "5000", "port of the page, on localhost", least=1, most=65535),
    Choice("kafka-port", "9092", "port of the Kafka broker, on localhost", least=1, most=65535),
    Choice("source-topic", "SOURCE_FRAME", "topic of the cameras' pictures"),
    Choice("imageai-topic", "IMAGEAI_FRAME", "topic of the pictures with what was found in them"),
    Choice("redaction-topic", "REDACTION_FRAME", "topic of the pictures with people blacked out"),
    Choice("frame", "1", "publish 1 in every so many pictures of a camera", least=1, short="-f"),
    Choice("max-fps", "5", "publish at most so many pictures a second of a camera", least=0.01),
)
NUMBERS: dict[str, type[int] | type[float]] = {"port": int, "kafka-port": int, "frame": int, "max-fps": float}
TOPIC = re.compile(r"[A-Za-z0-9._-]{1,240}")


@dataclass(frozen=True)
class Wishes:
    """What the user wants."""

    data: Path
    cameras: tuple[Camera, ...] = ()
    port: int = 5000
    kafka_port: int = 9092
    source_topic: str = "SOURCE_FRAME"
    imageai_topic: str = "IMAGEAI_FRAME"
    redaction_topic: str = "REDACTION_FRAME"
    frame: int = 1
    max_fps: float = 5.0
    dev: bool = False


class Parser(argparse.ArgumentParser):
    """Says in one line what is wrong, and ends with 2."""

    def error(self, message: str) -> NoReturn:
        """Exit."""
        harmless = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in message)
        self.exit(2, f"{self.prog}: {harmless}\n")


def arguments() -> list[str]:
    """Return what was typed, as it came through bare.py."""
    return list(json.loads(os.environ.pop(ARGUMENTS, "null")) or sys.argv[1:])


def parse(command: str, argv: Sequence[str], root: Path) -> Wishes:
    """Read flags, then variables, then `.env`, then defaults; exit with 2 and one line where one is wrong.

    ``root`` is the checkout; `.env` is read from there into the environment.
    """
    parser = _parser(command)
    given = vars(parser.parse_args(argv))
    try:
        _read_settings(root / ".env")
        data = Path(str(_value(DATA, given) or root / ".imagebus")).expanduser().absolute()
        os.environ[DATA.variable] = str(data)
        if command != "run":
            return Wishes(data, dev=given.get("dev", False))
        found = _values(given)
        addresses = given["cameras"] or _listed(os.environ.get("IMAGEBUS_CAMERAS", ""))
        wishes = Wishes(data, tuple(named(addresses)), **found)
        _check(wishes)
    except (ValueError, RuntimeError) as error:  # RuntimeError: ~name, and there is no such user
        parser.error(str(error))
    return wishes


def _parser(command: str) -> argparse.ArgumentParser:
    parser = Parser(
        f"{command}.sh",
        description=DESCRIPTION[command],
        epilog=CAMERAS if command == "run" else "",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    if command == "run":
        parser.add_argument("cameras", nargs="*", metavar="CAMERA", help="see below")
    if command == "install":
        parser.add_argument("--dev", action="store_true", help="install what the tests need as well")
    for choice in (DATA, *RUN) if command == "run" else (DATA,):
        default = f" (default {choice.default})" if choice.default else ""
        flags = [choice.short] * bool(choice.short) + [f"--{choice.name}"]
        parser.add_argument(*flags, metavar="VALUE", help=choice.help + default)
    return parser


def _values(given: Mapping[str, str | None]) -> dict[str, Any]:
    """Return the value of each option of run.sh; all that are wrong are named in one line."""
    found: dict[str, Any] = {}
    faults = []
    for choice in RUN:
        try:
            found[choice.field] = _value(choice, given)
        except ValueError as error:
            faults.append(str(error))
    if faults:
        raise ValueError("; ".join(faults))
    return found


def _value(choice: Choice, given: Mapping[str, str | None]) -> str | float:
    flag = given[choice.field]
    origin = f"--{choice.name}" if flag is not None else choice.variable
    text = flag if flag is not None else os.environ.get(choice.variable) or choice.default
    kind = NUMBERS.get(choice.name)
    if kind is None:
        return text
    number: float | None
    try:
        number = kind(text)
    except ValueError:
        number = None
    if number is None or not choice.least <= number <= choice.most:
        most = f" to {choice.most:g}" if choice.most < sys.float_info.max else " or more"
        what = "whole number" if kind is int else "number"
        raise ValueError(f"{origin}: a {what} of {choice.least:g}{most} is wanted, not {text!r}")
    return number


def _listed(text: str) -> list[str]:
    """Take a variable apart: addresses with commas between them."""
    return [part.strip() for part in text.split(",") if part.strip()]


def _check(wishes: Wishes) -> None:
    topics = (wishes.source_topic, wishes.imageai_topic, wishes.redaction_topic)
    for topic in topics:
        if not TOPIC.fullmatch(topic) or topic in (".", ".."):
            raise ValueError(f"{topic!r} is no name for a topic: letters, digits, '.', '_', '-' are allowed")
    if len(set(topics)) < len(topics):
        raise ValueError("the three topics must have different names")
    if wishes.port == wishes.kafka_port:
        raise ValueError(f"--port and --kafka-port are both {wishes.port}")
    if (port := os.environ.get(METRICS_PORT, "")) not in ("", "0"):
        raise ValueError(
            f"{METRICS_PORT}={port} would be one port for several services: 0 gives each a free one, told in "
            "the topic imagebus.services"
        )


def unknown(root: Path) -> list[str]:
    """Return a line for each name in `.env` that has no effect; the file was read without a fault."""
    file = root / ".env"
    settings = dotenv.read(file)
    ignored = [f"{one.name} is no setting of imagebus and is ignored" for one in settings if not one.taken]
    return [f"{file}: {line}" for line in [*complaints(one.name for one in settings), *ignored]]


def _read_settings(file: Path) -> None:
    """Bring `.env` into the environment, below what is there; a relative data folder lies in the checkout.

    Raises:
        ValueError: the file can't be understood.
    """
    for one in dotenv.read(file):
        value = one.value
        if one.name == DATA.variable and value:
            value = str(file.parent / Path(value).expanduser())
        if one.taken:
            os.environ.setdefault(one.name, value)
