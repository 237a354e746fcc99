"""Find objects: reads SOURCE_FRAME, writes IMAGEAI_FRAME, the same picture with its detections beside it."""

from __future__ import annotations

from typing import Annotated

from box_mapping import search
from model_choice import legal, open_detector
from opencv_pixels import draw_boxes
from pydantic import AfterValidator

from imagebus import Field, Filter, FilterOptions, Frame
from imagebus.filter import Name
from imagebus.log import warn
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

    def process(self, frame: Frame) -> Frame:
        """Add what is found after the detections that the frame has already."""
        detector = self._detector
        pixels = frame.pixels(*detector.useful_size(frame.width, frame.height))
        found = search(detector, pixels, (frame.width, frame.height))
        searched = frame.with_detections(
            (*frame.detections, *found),
            searched=detector.labels,
            model=detector.model,
            threshold=detector.threshold,
        )
        return _drawn(searched) if self.options.draw else searched


def _drawn(frame: Frame) -> Frame:
    """Return the frame with all its boxes burnt in, for readers that only take pictures."""
    pixels = frame.pixels()
    captions = [(f"{printable(one.label)} {one.confidence:.2f}", one.box) for one in frame.detections]
    draw_boxes(pixels, captions)
    return frame.with_image(pixels)


if __name__ == "__main__":
    ImageaiProcessor.main()
