"""Find objects: reads SOURCE_FRAME, writes IMAGEAI_FRAME, the same picture with its detections beside it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

from box_mapping import search
from model_choice import legal, open_detector
from opencv_pixels import draw_boxes
from pydantic import AfterValidator

from imagebus import Detection, Field, Filter, FilterOptions, Frame
from imagebus.log import warn
from imagebus.options import Name
from imagebus.text import printable
from imagebus.topics import IMAGEAI, SOURCE, Topic

Choice = Annotated[str, AfterValidator(legal)]


class ImageaiProcessor(Filter):
    """Find the 80 kinds of objects of COCO in every frame."""

    class Options(FilterOptions):
        """The options of the detection."""

        input: Topic = Field(SOURCE, description="topic to read frames from")
        topic: Topic = Field(IMAGEAI, description="topic to write frames to; it is made where it is missing")
        name: Name = Field("imageaiProcessor", description="name of this stage in the trail of its frames")
        confidence: float = Field(0.25, gt=0, le=1, description="report objects at least this sure, 0 to 1")
        draw: bool = Field(False, description="draw boxes and labels into the picture")
        model: Choice = Field("auto", description="auto, yolox-nano, yolov3-tiny or a YOLOX export FILE.onnx")

    options: Options

    def start(self) -> None:
        """Load the model."""
        self._detector = open_detector(self.options.model, self.options.confidence)
        model = self._detector.model
        warn(f"{self.options.name} runs model {model.name} (SHA-256 {model.digest[:12]}...)")

    def process_batch(self, frames: Sequence[Frame]) -> list[Frame]:
        """Add what is found after the detections that each frame has already."""
        sizes = [(frame.width, frame.height) for frame in frames]
        pixels = [
            frame.pixels(*self._detector.useful_size(*size))
            for frame, size in zip(frames, sizes, strict=True)
        ]
        found = search(self._detector, pixels, sizes)
        searched = [self._with(finds, frame) for finds, frame in zip(found, frames, strict=True)]
        return [_drawn(frame) for frame in searched] if self.options.draw else searched

    def _with(self, finds: list[Detection], frame: Frame) -> Frame:
        return frame.with_detections(
            (*frame.detections, *finds),
            searched=self._detector.labels,
            model=self._detector.model,
            threshold=self._detector.threshold,
        )


def _drawn(frame: Frame) -> Frame:
    """Return the frame with all its boxes burnt in, for readers that only take pictures."""
    pixels = frame.pixels()
    captions = [(f"{printable(one.label)} {one.confidence:.2f}", one.box) for one in frame.detections]
    draw_boxes(pixels, captions)
    return frame.with_image(pixels)


if __name__ == "__main__":
    ImageaiProcessor.main()
