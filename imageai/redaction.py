"""Black out objects: reads IMAGEAI_FRAME, writes REDACTION_FRAME, publishes nothing that it is unsure of."""

from __future__ import annotations

from difflib import get_close_matches
from typing import Annotated

from blackout import black_out, black_picture
from disclosure import is_to_hide, told_less, told_nothing, without_pictures
from pydantic import BeforeValidator
from pydantic_settings import NoDecode

from imagebus import Field, Filter, FilterOptions, Frame, Positional
from imagebus.log import warn
from imagebus.options import Name
from imagebus.topics import IMAGEAI, REDACTION, Topic


def _labels(value: str | list[str]) -> list[str]:
    """Take ``person,cup`` from a variable as well as a list from the command line."""
    labels = value.split(",") if isinstance(value, str) else value or [""]
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
        searched = frame.searched
        if missing := wanted - searched:
            self._warn(missing, frame)
            return told_nothing(black_picture(frame))
        if not any(is_to_hide(detection, wanted, searched) for detection in frame.detections):
            frame.pixels(1, 1)  # at an eighth of its size: what cannot be decoded is not published unseen
            return without_pictures(frame)  # the same bytes: nothing is encoded twice
        hidden = [
            each.box for each in frame.detections if each.redacted or is_to_hide(each, wanted, searched)
        ]
        return without_pictures(told_less(black_out(frame, hidden), wanted))

    def describe(self, frame: Frame) -> str:
        """Say what is black."""
        whole = not frozenset(self.options.objects) <= frame.searched
        return "whole picture black" if whole else super().describe(frame)

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


if __name__ == "__main__":
    Redaction.main()
