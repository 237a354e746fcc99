"""Black out objects: reads IMAGEAI_FRAME, writes REDACTION_FRAME, publishes nothing that it is unsure of."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from blackout import black_out, black_picture
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from imagebus import Detection, Field, Filter, FilterOptions, Frame, Positional
from imagebus.filter import Name
from imagebus.log import warn
from imagebus.topics import IMAGEAI, REDACTION, Topic


def _labels(value: str | list[str]) -> list[str]:
    """Take ``person,cup`` from a variable as well as a list from the command line."""
    labels = value.split(",") if isinstance(value, str) else value
    labels = [label.strip() for label in labels]
    if not all(labels):
        raise ValueError("an object's name may not be empty")
    return labels


class Redaction(Filter):
    """Black out every detection whose label was asked for.

    A frame on whose way no detector looked for one of the labels is blacked out whole.
    """

    class Options(FilterOptions):
        """The options of the redaction."""

        input: Topic = Field(IMAGEAI, description="topic to read frames from")
        topic: Topic = Field(
            REDACTION, description="topic to write frames to; it is made where it is missing"
        )
        name: Name = Field("redactionProcessor", description="name of this stage in the trail of its frames")
        objects: Positional[Annotated[list[str], NoDecode, BeforeValidator(_labels)]] = Field(
            ["person"], description="objects to black out"
        )

    options: Options

    def start(self) -> None:
        """Forget which warnings were given."""
        self._told: set[str] = set()

    def process(self, frame: Frame) -> Frame:
        """Return the frame with the objects black, or all black where nobody looked for them."""
        wanted = frozenset(self.options.objects)
        if missing := wanted - frame.searched:
            self._warn(missing, frame)
            return _redacted(black_picture(frame), frozenset(d.label for d in frame.detections))
        boxes = [detection.box for detection in frame.detections if detection.label in wanted]
        if not boxes:
            return frame  # the same bytes: nothing is encoded twice
        return _redacted(black_out(frame, boxes), wanted)

    def _warn(self, missing: frozenset[str], frame: Frame) -> None:
        """Say once for each cause why whole pictures go black."""
        why = "; ".join(_reason(label, frame.searched) for label in sorted(missing))
        if why not in self._told and len(self._told) < 1000:
            self._told.add(why)
            warn(f"blacking out whole pictures (first {frame.source} #{frame.sequence}): {why}")


def _reason(label: str, searched: frozenset[str]) -> str:
    if not searched:
        return f"no detector on the way looked for anything, {label!r} included"
    near = get_close_matches(label.lower(), sorted(searched), n=1)
    hint = f"; did you mean {near[0]!r}?" if near else ""
    return f"no detector on the way looked for {label!r}{hint}"


def _redacted(frame: Frame, labels: frozenset[str]) -> Frame:
    """Mark the detections of these labels as redacted; what else was known of them goes."""
    return frame.with_detections(
        Detection(detection.label, detection.confidence, detection.box, redacted=True)
        if detection.label in labels
        else detection
        for detection in frame.detections
    )


if __name__ == "__main__":
    Redaction.main()
