"""A frame: one picture of one camera, what was found in it, and the way it came."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, Literal

import msgspec
import numpy as np
from msgspec import Meta, Struct

from imagebus import jpeg
from imagebus.errors import FrameError

LIVE = "live"

Name = Annotated[str, Meta(min_length=1, max_length=256)]
Text = Annotated[str, Meta(max_length=256)]
Count = Annotated[int, Meta(ge=0, le=2**63 - 1)]
Pixels = Annotated[int, Meta(ge=1, le=65535)]
Edge = Annotated[int, Meta(ge=0, le=65535)]
Share = Annotated[float, Meta(ge=0.0, le=1.0)]
Box = tuple[Edge, Edge, Edge, Edge]


class Detection(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One object found in the picture.

    ``box`` is [left, top, right, bottom] in pixels of the frame's stored picture, right and bottom
    exclusive, clamped to the picture. ``confidence`` is 0..1.
    """

    label: Name
    confidence: Share
    box: Box
    track: Name | None = None
    redacted: bool = False
    attributes: dict[str, Any] = {}

    def with_box(self, box: Box) -> Detection:
        """Return this detection with another box, as after the picture was turned or mirrored."""
        return msgspec.structs.replace(self, box=box)


class Model(Struct, frozen=True, forbid_unknown_fields=True):
    """The model that a detector ran: its name and the SHA-256 of its weights file."""

    name: Name
    digest: Text


class Hop(Struct, frozen=True, omit_defaults=True, forbid_unknown_fields=True):
    """One service that the frame passed: who, where to, and when (Unix time in ns).

    A detector adds ``model``, ``searched`` (the labels that it looked for, found or not) and
    ``threshold`` (the least confidence that it reports).
    """

    stage: Text
    kind: Text
    version: Text
    topic: Text
    received_ns: Count
    published_ns: Count
    model: Model | None = None
    searched: tuple[Name, ...] | None = None
    threshold: Share | None = None

    @property
    def is_open(self) -> bool:
        """Whether a filter wrote its findings here and the runner has not yet added the rest."""
        return not self.stage


class Frame(Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One picture on the bus; immutable. ``docs/frame.md`` specifies the bytes.

    ``(source, epoch, sequence)`` names the picture for ever, ``run`` the replay that a result is of.
    ``width`` and ``height`` are those of ``image``, a JPEG; boxes refer to its pixels. Of a frame from META,
    ``image`` is empty.
    """

    source: Name
    epoch: Name
    sequence: Count
    captured_ns: Count
    width: Pixels
    height: Pixels
    image: bytes
    run: Name = LIVE
    detections: Annotated[tuple[Detection, ...], Meta(max_length=1000)] = ()
    trail: Annotated[tuple[Hop, ...], Meta(max_length=32)] = ()
    attributes: dict[str, Any] = {}
    v: Literal[1] = 1

    @property
    def identity(self) -> tuple[str, str, int]:
        """Return (source, epoch, sequence), which names the picture for ever."""
        return (self.source, self.epoch, self.sequence)

    def pixels(self, min_width_px: int = 0, min_height_px: int = 0) -> np.ndarray[Any, np.dtype[np.uint8]]:
        """Decode the picture: (height, width, 3) uint8 in BGR order, a new array at every call.

        With least sizes given, the decoder may halve the picture up to three times while both sides
        stay at least that long, which costs a fraction of the time.

        Raises:
            FrameError: the picture cannot be decoded whole, or did not come along (``Filter.pixels``).
        """
        if not self.image:
            raise FrameError(
                "this frame came from META, without its picture: the filter declares pixels = False",
                "picture",
            )
        return jpeg.decode(self.image, min_width_px, min_height_px)

    def with_image(self, image: bytes | np.ndarray[Any, np.dtype[np.uint8]], quality: int = 85) -> Frame:
        """Return this frame with another picture of the same size.

        Args:
            image: a JPEG, or (height, width, 3) uint8 pixels in BGR order.
            quality: of the JPEG made from pixels, 1..100.

        Raises:
            FrameError: the size differs, so that the boxes would no longer fit.
        """
        if isinstance(image, bytes):
            data = jpeg.clean(image)
        else:
            data = jpeg.encode(image, quality, whole_colour=jpeg.read_header(self.image).whole_colour)
        header = jpeg.read_header(data)
        if (header.width, header.height) != (self.width, self.height):
            raise FrameError(
                f"the new picture is {header.width}x{header.height}, the frame {self.width}x{self.height}: "
                "boxes would no longer fit",
                "picture",
            )
        return msgspec.structs.replace(self, image=data)

    def with_detections(
        self,
        detections: Iterable[Detection],
        *,
        searched: Sequence[str] | None = None,
        model: Model | None = None,
        threshold: float | None = None,
    ) -> Frame:
        """Return this frame with these detections in place of its own.

        A detector also states what it looked for: ``searched`` goes into the trail, and a redaction
        trusts only labels that stand there.
        """
        changed = msgspec.structs.replace(self, detections=tuple(detections))
        if searched is None:
            return changed
        claim = Hop("", "", "", "", 0, 0, model, tuple(searched), threshold)
        return msgspec.structs.replace(changed, trail=(*self.trail, claim))

    def with_attributes(self, attributes: Mapping[str, Any]) -> Frame:
        """Return this frame with these attributes added, each under a namespaced key (``zones.inside``)."""
        return msgspec.structs.replace(self, attributes={**self.attributes, **attributes})

    def searched_for(self, labels: Iterable[str]) -> bool:
        """Return whether detectors on this frame's way looked for every one of the labels."""
        return set(labels) <= self.searched

    @property
    def searched(self) -> frozenset[str]:
        """Return every label that a detector on this frame's way looked for."""
        return frozenset(label for hop in self.trail for label in hop.searched or ())
