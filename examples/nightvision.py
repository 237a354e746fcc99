"""Brighten dark pictures: an example of a filter, complete."""

import numpy as np

from imagebus import Field, Filter, FilterOptions, Frame


class Nightvision(Filter):
    """Stretch the light of dark pictures; bright ones pass as they are."""

    class Options(FilterOptions):
        """The options of this filter."""

        topic: str = Field("NIGHT_FRAME", description="topic to write frames to")
        name: str = Field("nightvision", description="name of this stage in the trail of its frames")
        darkness: float = Field(60, gt=0, le=255, description="mean light, 0 to 255, below which to brighten")

    options: Options

    def process(self, frame: Frame) -> Frame:
        """Return the frame, brightened where it is dark."""
        pixels = frame.pixels()
        mean = float(pixels.mean())
        if mean >= self.options.darkness:
            return frame
        gain = self.options.darkness / max(mean, 1.0)
        bright = np.clip(pixels * gain, 0, 255).astype(np.uint8)
        return frame.with_image(bright).with_attributes({"nightvision.gain": round(gain, 2)})


if __name__ == "__main__":
    Nightvision.main()
