"""imagebus: live video analytics on a message bus that can be rewound.

What a filter needs is here; ``docs/frame.md`` specifies the frame.
"""

from imagebus.errors import BusError, ConfigurationError, FrameError, ImagebusError, ModelError
from imagebus.filter import Filter, FilterOptions
from imagebus.frame import Detection, Frame, Hop, Model
from imagebus.options import Field, Positional

__all__ = [
    "BusError",
    "ConfigurationError",
    "Detection",
    "Field",
    "Filter",
    "FilterOptions",
    "Frame",
    "FrameError",
    "Hop",
    "ImagebusError",
    "Model",
    "ModelError",
    "Positional",
]
