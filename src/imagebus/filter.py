"""A filter: one class with one method; the runner gives it everything else."""

from __future__ import annotations

import signal
import sys
from collections.abc import Iterable, Sequence
from math import inf
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn, Self
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, model_validator

from imagebus import program, start
from imagebus.bus import Bus
from imagebus.frame import Frame
from imagebus.options import BusOptions, Field
from imagebus.start import Start
from imagebus.topics import SOURCE, Topic
from imagebus.version import VERSION

Result = Frame | Iterable[Frame] | None


def _name(value: str) -> str:
    if not 1 <= len(value.encode()) <= 256:
        raise ValueError("a name of 1 to 256 bytes is wanted")
    return value


def _freshness(value: str | float) -> float:
    """Return the most seconds that a frame may be old: ``all`` is infinite, ``latest`` 0."""
    try:
        seconds = {"all": inf, "latest": 0.0}.get(str(value)) if isinstance(value, str) else float(value)
        seconds = float(value) if seconds is None else seconds
    except ValueError:
        seconds = -1.0
    if not seconds >= 0:
        raise ValueError("all, latest or a number of seconds is wanted")
    return seconds


Name = Annotated[str, AfterValidator(_name)]
Freshness = Annotated[float, BeforeValidator(_freshness)]


class FilterOptions(BusOptions):
    """The options that every filter has; a filter's own defaults override these fields."""

    shortcuts: ClassVar[dict[str, str]] = {"input": "i", "topic": "t", "name": "n"}

    input: Topic = Field(SOURCE, description="topic to read frames from")
    topic: Topic = Field(description="topic to write frames to; it is made where it is missing")
    name: Name = Field("", description="name of this stage in the trail of its frames", validate_default=True)
    group: str = Field("", description="consumer group; by default made of name, input and topic")
    start: Start = Field(start.LATEST, description="where a new group begins: latest, earliest or a time")
    freshness: Freshness = Field(
        2.0, description="skip frames older than so many seconds, but never a camera's newest; or all, latest"
    )

    @model_validator(mode="after")
    def _no_cycle(self) -> Self:
        if self.input == self.topic:
            raise ValueError(
                f"--topic and --input are both {self.topic}: a filter may not read what it writes"
            )
        return self

    @property
    def group_id(self) -> str:
        """Return the group: every stage that differs in name, input or topic sees every frame."""
        return self.group or f"imagebus.{quote(self.name, safe='')}.{self.input}.{self.topic}"


class Filter:
    """Reads frames of one topic, does one thing to each, writes another topic.

    A filter class has ``Options`` (its defaults and own flags) and ``process``; run it by
    ``if __name__ == "__main__": MyFilter.main()``.
    """

    Options: ClassVar[type[FilterOptions]] = FilterOptions
    version: ClassVar[str] = VERSION

    def __init__(self, options: FilterOptions) -> None:
        self.options = options

    def start(self) -> None:
        """Load models and the like; called once, before the first frame."""

    def process(self, frame: Frame) -> Result:
        """Return the frame to publish, several, or none.

        An exception makes this one frame a dead letter; after twenty in a row the service stops.
        """
        raise NotImplementedError

    def stop(self) -> None:
        """Let go of what ``start`` took; called once, after the last frame."""

    def describe(self, frame: Frame) -> str:
        """Say in a few words what was found; the line printed for each frame holds it."""
        counts: dict[str, int] = {}
        for detection in frame.detections:
            word = f"{detection.label} (redacted)" if detection.redacted else detection.label
            counts[word] = counts.get(word, 0) + 1
        return ", ".join(f"{count} {label}" for label, count in counts.items()) or "nothing"

    @classmethod
    def kind(cls) -> str:
        """Return the program's name, as the trail shows it."""
        module = sys.modules[cls.__module__]
        return Path(module.__file__ or cls.__name__).stem

    @classmethod
    def main(cls, argv: Sequence[str] | None = None) -> NoReturn:
        """Run as a program: options from the command line, until SIGTERM or SIGINT."""
        program.run(lambda: cls._run(argv))

    @classmethod
    def _run(cls, argv: Sequence[str] | None) -> None:
        from imagebus.runner import Runner  # the runner knows filters, not the other way round

        options = cls.Options.parse(argv, description=cls.__doc__)
        runner = Runner(cls(options), Bus(options.kafka, options.kafka_config))
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, lambda *_: runner.stop())
        runner.run()
