"""What can be chosen about the local broker."""

from __future__ import annotations

from pathlib import Path

from pydantic_settings import SettingsConfigDict

from imagebus.folders import data_folder
from imagebus.options import Field, Options


class FolderOptions(Options):
    """Which broker: it is known by its folder; ``--data`` is also the variable ``IMAGEBUS_KAFKA_DATA``."""

    model_config = SettingsConfigDict(
        env_prefix="IMAGEBUS_KAFKA_", env_ignore_empty=True, extra="ignore", frozen=True
    )

    data: Path | None = Field(
        None,
        description="folder of this broker's records, settings and log; by default kafka/broker in what "
        "`run.sh --data` and IMAGEBUS_DATA name",
    )

    @property
    def folder(self) -> Path:
        """The broker's folder, absolute."""
        return self.data.expanduser().absolute() if self.data else data_folder() / "kafka" / "broker"


class StartOptions(FolderOptions):
    """How the broker runs."""

    port: int = Field(9092, ge=0, le=65535, description="port for clients on 127.0.0.1; 0 takes a free one")
    controller_port: int = Field(
        0, ge=0, le=65535, description="port of the broker's own controller; 0 takes a free one"
    )
    heap: str = Field(
        "512m",
        pattern=r"^[1-9][0-9]*[kKmMgG]$",
        description="memory of the Java heap at most, such as 512m, 2g",
    )
    java_options: str = Field(
        "", description="more options for Java, such as --java-options='-Xms1g -Xlog:gc'"
    )
    repository: str = Field("", description="address of a Maven repository to fetch Kafka from (a mirror)")
    foreground: bool = Field(
        False, description="stay with the broker and end with its status, for a supervisor"
    )
