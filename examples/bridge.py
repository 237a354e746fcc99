"""Fill the gaps of a detector: an example of a filter that looks ahead, complete."""

import time

from imagebus import Detection, Field, Filter, FilterOptions, Frame


class Bridge(Filter):
    """Add an object to a frame that lacks it, where the frames before and after have it at the same place.

    Detectors blink. Between detector and redaction, this blacks out the one frame that was missed.
    """

    class Options(FilterOptions):
        """The options of this filter."""

        input: str = Field("IMAGEAI_FRAME", description="topic to read frames from")
        topic: str = Field("BRIDGED_FRAME", description="topic to write frames to")
        name: str = Field("bridge", description="name of this stage in the trail of its frames")
        overlap: float = Field(0.3, gt=0, le=1, description="share of two boxes that is the same object")
        patience: float = Field(2.0, gt=0, description="seconds to wait for the next frame of a camera")

    options: Options

    def start(self) -> None:
        """Begin without a frame."""
        self.before: dict[str, Frame] = {}
        self.waiting: dict[str, tuple[Frame, float]] = {}

    def process(self, frame: Frame) -> Frame | None:
        """Hold this frame back, and return the one before it: now both its neighbours are known."""
        self.hold(frame)
        held, _ = self.waiting.get(frame.source, (None, 0.0))
        self.waiting[frame.source] = (frame, time.monotonic())
        return self.bridged(held, frame) if held else None

    def tick(self) -> list[Frame]:
        """Return what waits for a camera that is silent."""
        latest = time.monotonic() - self.options.patience
        return self.let_go([source for source, (_, since) in self.waiting.items() if since < latest])

    def end(self) -> list[Frame]:
        """Return all that waits."""
        return self.let_go(list(self.waiting))

    def sources(self, gained: frozenset[str], lost: frozenset[str]) -> None:
        """Forget cameras that another worker has now."""
        for source in lost:
            self.waiting.pop(source, None)
            self.before.pop(source, None)

    def let_go(self, sources: list[str]) -> list[Frame]:
        """Return the last frames of these cameras, as they are."""
        frames = [self.waiting.pop(source)[0] for source in sources]
        self.before |= {frame.source: frame for frame in frames}
        return frames

    def bridged(self, frame: Frame, after: Frame) -> Frame:
        """Return a frame with what both its neighbours have and it lacks."""
        before = self.before.get(frame.source)
        self.before[frame.source] = frame
        if before is None:
            return frame
        missing = [
            there for there in before.detections if self.has(after, there) and not self.has(frame, there)
        ]
        if not missing:
            return frame
        added = frame.with_detections([*frame.detections, *missing])
        return added.with_attributes({"bridge.added": len(missing)})

    def has(self, frame: Frame, one: Detection) -> bool:
        """Whether a frame has the same kind of object at about the same place."""
        same = (other for other in frame.detections if other.label == one.label)
        return any(overlap(one, other) >= self.options.overlap for other in same)


def overlap(one: Detection, other: Detection) -> float:
    """Return the intersection over the union of two boxes."""
    left, top, right, bottom = (
        max(one.box[0], other.box[0]),
        max(one.box[1], other.box[1]),
        min(one.box[2], other.box[2]),
        min(one.box[3], other.box[3]),
    )
    common = max(0, right - left) * max(0, bottom - top)
    areas = ((b[2] - b[0]) * (b[3] - b[1]) for b in (one.box, other.box))
    return common / max(1, sum(areas) - common)


if __name__ == "__main__":
    Bridge.main()
