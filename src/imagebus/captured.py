"""The options of commands that look at what was captured within a time."""

from __future__ import annotations

from typing import Self

from pydantic import model_validator

from imagebus import moment
from imagebus.options import BusOptions, Field
from imagebus.start import Moment


class CapturedOptions(BusOptions):
    """From when until when."""

    __annotations__["from"] = "Moment"  # the flag --from; a word that Python keeps for itself
    vars()["from"] = Field(None, description="only what was captured from this time on")
    until: Moment = Field(None, description="only what was captured before this time")

    @property
    def from_ms(self) -> int | None:
        """Return where the range begins, Unix ms."""
        found: int | None = getattr(self, "from")
        return found

    @property
    def until_ms(self) -> int | None:
        """Return where it ends, Unix ms."""
        return None if self.until is None else int(self.until)

    @model_validator(mode="after")
    def _is_a_range(self) -> Self:
        begin, end = self.from_ms, self.until_ms
        if begin is not None and end is not None and begin >= end:
            raise ValueError(f"--from: {moment.text(begin)} is not before --until, {moment.text(end)}")
        return self
