from __future__ import annotations

import json
from pathlib import Path

from coco_labels import COCO_LABELS


def test_the_labels_are_those_of_coco_in_its_order(coco_val: Path) -> None:
    categories = json.loads((coco_val / "instances.json").read_text())["categories"]
    names = [category["name"] for category in sorted(categories, key=lambda c: int(c["id"]))]
    assert len(COCO_LABELS) == 80
    assert list(COCO_LABELS) == names
