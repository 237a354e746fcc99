"""Boxes found in decoded pixels, as boxes of the stored picture."""

from __future__ import annotations

from collections.abc import Sequence

from detector import Detector, Pixels

from imagebus.frame import Box, Detection

SHORTENED = (1, 2, 4, 8)
"""By how much a picture may have been shortened while it was decoded."""


def search(
    detector: Detector, batch: Sequence[Pixels], stored_px: Sequence[tuple[int, int]]
) -> list[list[Detection]]:
    """Find what is in the pixels, which may have been shortened, of stored pictures of (width, height)."""
    return [
        [
            Detection(
                one.label,
                min(1.0, one.confidence),
                stored_box(one.box, (pixels.shape[1], pixels.shape[0]), stored),
            )
            for one in found
        ]
        for found, pixels, stored in zip(detector.detect(batch), batch, stored_px, strict=True)
    ]


def stored_box(
    box: tuple[float, float, float, float], seen_px: tuple[int, int], stored_px: tuple[int, int]
) -> Box:
    """Scale a box up, round its edges to the nearest pixel, clamp it; it keeps one pixel at least.

    Not rounded outward: that makes every box a pixel larger on average, which costs small objects 0.01 of
    AP50. A redaction grows its boxes by more than that anyway.
    """
    left, top, right, bottom = box
    across, down = _shortening(seen_px, stored_px)
    left_px, right_px = _edges(left * across, right * across, stored_px[0])
    top_px, bottom_px = _edges(top * down, bottom * down, stored_px[1])
    return left_px, top_px, right_px, bottom_px


def _shortening(seen_px: tuple[int, int], stored_px: tuple[int, int]) -> tuple[float, float]:
    """Tell by how much the decoder shortened both sides; it rounds sizes up, so the ratio is not exact."""
    for factor in SHORTENED:
        if seen_px == (-(-stored_px[0] // factor), -(-stored_px[1] // factor)):
            return factor, factor
    return stored_px[0] / seen_px[0], stored_px[1] / seen_px[1]


def _edges(low: float, high: float, length_px: int) -> tuple[int, int]:
    """Round two edges along one side of the picture, clamp them and keep a pixel between them."""
    first = round(min(max(low, 0.0), length_px - 1.0))
    return first, max(first + 1, round(min(max(high, 0.0), float(length_px))))
