"""A filter: one class with one method; the runner gives it everything else."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable, Sequence
from functools import cached_property
from math import inf
from pathlib import Path
from typing import Annotated, ClassVar, NoReturn, Self
from urllib.parse import quote

from pydantic import AfterValidator, BeforeValidator, field_validator, model_validator

from imagebus import moment, program, start
from imagebus.captured import CapturedOptions
from imagebus.codec import MAX_NAME_BYTES
from imagebus.frame import LIVE, Frame
from imagebus.options import Field, Name, legal_name
from imagebus.start import Moment, Start
from imagebus.topics import META, OUTCOMES, SERVICES, SOURCE, Topic, for_frames, legal
from imagebus.version import VERSION

Result = Frame | Iterable[Frame] | None


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


def _run_name() -> str:
    at = time.strftime("%Y%m%dT%H%M%SZ", time.gmtime(moment.now_ms() / 1000))
    return f"replay-{at}"


Group = Annotated[str, AfterValidator(lambda value: value and legal_name(value))]
Freshness = Annotated[float, BeforeValidator(_freshness)]


class FilterOptions(CapturedOptions):
    """The options that every filter has; a filter's own defaults override these fields."""

    shortcuts: ClassVar[dict[str, str]] = {"input": "i", "topic": "t", "name": "n"}

    input: Topic = Field(SOURCE, description="topic to read frames from")
    topic: Topic = Field(description="topic to write frames to; it is made where it is missing")
    name: Name = Field("", description="name of this stage in the trail of its frames", validate_default=True)
    group: Group = Field("", description="consumer group; by default made of name, input and topic")
    start: Start = Field(start.LATEST, description="where a new group begins: latest, earliest or a time")
    freshness: Freshness = Field(
        2.0, description="skip frames older than so many seconds, but never a camera's newest; or all, latest"
    )

    __annotations__["from"] = "Moment"
    vars()["from"] = Field(None, description="process what was captured from this time on, then exit")
    until: Moment = Field(None, description="process what was captured before this time, then exit")
    run: str = Field("", description="name of such a bounded run; the same name goes on where it ended")
    batch: int = Field(1, ge=1, le=256, description="process up to so many frames at once")
    batch_wait: float = Field(0.0, ge=0, le=10, description="wait up to so many seconds for a full batch")
    workers: int = Field(1, ge=1, le=64, description="processes that share the work")
    partitions: int | None = Field(
        None,
        ge=1,
        le=10_000,
        description="partitions of topics made here; by default the broker's own number",
    )
    metrics_port: int | None = Field(
        None, ge=0, le=65535, description="serve Prometheus metrics here; 0 takes a free port"
    )
    metrics_host: str = Field("127.0.0.1", description="address to serve metrics on")

    # A filter's own defaults may be declared as plain text; what it may hold is the same.
    _topics_are_legal = field_validator("input", "topic", check_fields=False)(legal)
    _topic_is_for_frames = field_validator("topic", check_fields=False)(for_frames)
    _name_is_legal = field_validator("name", check_fields=False)(legal_name)

    @model_validator(mode="after")
    def _no_cycle(self) -> Self:
        if self.input == self.topic:
            raise ValueError(
                f"--topic and --input are both {self.topic}: a filter may not read what it writes"
            )
        return self

    @model_validator(mode="after")
    def _no_companion(self) -> Self:
        if (main := self.input.removesuffix(META)) != self.input:
            raise ValueError(f"--input: {self.input} is kept beside {main or 'a topic'}: name that topic")
        if self.input in (OUTCOMES, SERVICES):
            raise ValueError(f"--input: a topic of frames is wanted, not {self.input!r}")
        return self

    @model_validator(mode="after")
    def _bounds(self) -> Self:
        begin, end, now = self.from_ms, self.until_ms, moment.now_ms()
        if end is not None and end > now:
            raise ValueError(
                f"--until: {moment.text(end)} lies ahead: what will be captured is not in the log yet"
            )
        if begin is not None and begin >= now:
            raise ValueError(f"--from: {moment.text(begin)} lies ahead: nothing is captured since")
        if self.run and not self.is_bounded:
            raise ValueError(f"--run {self.run} names a bounded run: give --from or --until too")
        if len(self.run.encode()) > MAX_NAME_BYTES or self.run == LIVE:
            raise ValueError(f"--run is a name of at most {MAX_NAME_BYTES} bytes other than {LIVE}")
        return self

    @property
    def is_bounded(self) -> bool:
        """Whether a range was asked for, at whose end the program exits."""
        return self.from_ms is not None or self.until is not None

    @property
    def max_age_s(self) -> float:
        """Return how old a frame may be, seconds; a bounded run skips none unless it was told to."""
        told = "freshness" in self.model_fields_set
        return self.freshness if told or not self.is_bounded else inf

    @cached_property
    def run_name(self) -> str:
        """Return the name of this run: ``live``, or that of the bounded run."""
        return (self.run or _run_name()) if self.is_bounded else LIVE

    @property
    def group_id(self) -> str:
        """Return the group: every stage that differs in name, input, topic or run sees every frame."""
        run = f".{quote(self.run_name, safe='')}" if self.is_bounded else ""
        return (self.group or f"imagebus.{quote(self.name, safe='')}.{self.input}.{self.topic}") + run


def frame_of(given: object) -> Frame:
    """Return what was given, refused at once where it is no frame: the fault is of the one in work."""
    if not isinstance(given, Frame):
        raise TypeError(f"a frame is wanted, not {given!r:.100}")
    return given


class Filter:
    """Reads frames of one topic, does one thing to each, writes another topic.

    A filter class has ``Options`` (its defaults and own flags) and ``process``; run it by
    ``if __name__ == "__main__": MyFilter.main()``.
    """

    Options: ClassVar[type[FilterOptions]] = FilterOptions
    version: ClassVar[str] = VERSION
    pixels: ClassVar[bool] = True
    """False: it reads ``<INPUT>.META``, frames without pictures, and writes ``<TOPIC>.META``."""

    def __init__(self, options: FilterOptions) -> None:
        self.options = options
        self._holding: list[Frame] = []
        self._dropped: list[Frame] = []

    def start(self) -> None:
        """Load models and the like; called once, before the first frame."""

    def process(self, frame: Frame) -> Result:
        """Return the frame to publish, several, or none.

        An exception makes this one frame a dead letter; after twenty in a row the service stops.
        """
        raise NotImplementedError

    def process_batch(self, frames: Sequence[Frame]) -> Sequence[Result]:
        """Return one result for each frame; a filter may have this in place of ``process``, or besides.

        The frames are of all cameras. If it raises, each frame is tried again alone, by ``process`` or as a
        batch of one; what it held back in the call that failed, is not held.
        """
        raise NotImplementedError

    def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        """Take note of the cameras that are now this worker's, and of those that are no longer.

        A camera is gained right before its first frame. What was held back of one that is lost is forgotten:
        whoever has it now is given those frames anew.
        """

    def tick(self) -> Result:
        """Return what was held back and should wait no longer, or ``drop`` it.

        Called about once a second while something is held back: the camera that would bring the next frame
        may be gone, and nothing behind a frame that is held is committed.
        """
        return None

    def end(self) -> Result:
        """Return what was held back: a bounded run has come to its end."""
        return None

    def hold(self, frame: Frame) -> None:
        """Hold back the frame given to ``process``: nothing of it is published or committed yet.

        It is done with when this or a later call returns a frame with its identity, or says ``drop``; nothing
        behind it in its partition is committed before. A picture that came twice is held and answered twice.
        """
        self._holding.append(frame_of(frame))

    def drop(self, frame: Frame) -> None:
        """Let go of a frame that was held back, without a result: it was filtered out."""
        self._dropped.append(frame_of(frame))

    def take_holds(self) -> tuple[list[Frame], list[Frame]]:
        """Return what was held and dropped since the last call; for the runner."""
        taken = (self._holding, self._dropped)
        self._holding, self._dropped = [], []
        return taken

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
    def _run(cls, argv: Sequence[str] | None) -> int:
        from imagebus import service  # it knows filters, not the other way round

        return service.run(cls, argv)
