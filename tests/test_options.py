"""Options: one field is flag, variable, help and check."""

import os
import re
from pathlib import Path

import pytest

from imagebus import ConfigurationError, Field, FilterOptions
from imagebus.bus import Bus
from imagebus.properties import from_file
from imagebus.topics import Topic


class Options(FilterOptions):
    topic: Topic = Field("OUT")
    name: str = Field("stage/ä")
    size: int = Field(3, gt=0, description="how many")


def test_a_flag_goes_before_a_variable_and_that_before_the_default(monkeypatch: pytest.MonkeyPatch) -> None:
    assert Options.parse([]).size == 3
    monkeypatch.setenv("IMAGEBUS_SIZE", "4")
    assert Options.parse([]).size == 4
    assert Options.parse(["--size", "5"]).size == 5


def test_short_flags_of_every_base_class_are_there() -> None:
    options = Options.parse(["-i", "A", "-t", "B", "-n", "c", "-q"])
    assert (options.input, options.topic, options.name, options.quiet) == ("A", "B", "c", True)


@pytest.mark.parametrize(
    ("flags", "fault"),
    [
        (["--size", "0"], r"--size: .*greater than 0, not '0'"),
        (["--topic", "a b"], r"--topic: a topic's name .*, not 'a b'"),
        (["--input", "a/b"], r"--input: a topic's name .*, not 'a/b'"),
        (["--input", ".."], r"--input: a topic's name"),
        (["--input", "OUT"], r"--topic and --input are both OUT"),
        (["--freshness", "-1"], r"--freshness: all, latest or a number of seconds"),
        (["--freshness", "nan"], r"--freshness"),
        (["--start", "yesterday"], r"--start: latest, earliest or a time"),
        (["--input", "x\x1b[31m"], r"not 'x\\x1b"),
        (["--group", "g" * 300], r"--group: a name of 1 to 256 bytes"),
        (["--group", "g\udcff"], r"--group: .*surrogates not allowed"),
        (["--topic", "n\udcff"], r"--topic: a topic's name"),
        (["--name", "n\udcff"], r"--name: .*surrogates not allowed"),
    ],
)
def test_a_wrong_value_is_named_with_its_flag(flags: list[str], fault: str) -> None:
    with pytest.raises(ConfigurationError, match=fault) as caught:
        Options.parse(flags)
    assert "\n" not in str(caught.value)


def test_a_flag_that_must_be_given_is_asked_for() -> None:
    with pytest.raises(ConfigurationError, match="--topic: must be given"):
        FilterOptions.parse(["--name", "x"])


def test_the_words_of_freshness_and_start_are_understood() -> None:
    assert Options.parse(["--freshness", "all"]).freshness == float("inf")
    assert Options.parse(["--freshness", "latest"]).freshness == 0
    assert Options.parse(["--start", "2026-01-01T00:00:00Z"]).start == 1_767_225_600_000


@pytest.mark.parametrize(
    ("flags", "complaint"),
    [
        ("-i A.META", "--input: A.META is kept beside A: name that topic"),
        (
            "-t A.META",
            "--topic: a topic for frames is wanted (META is kept beside A by itself), not 'A.META'",
        ),
        ("-t A.DLQ", "--topic: a topic for frames is wanted, not 'A.DLQ'"),
        ("-t imagebus.outcomes", "--topic: a topic for frames is wanted, not 'imagebus.outcomes'"),
        ("-t imagebus.services", "--topic: a topic for frames is wanted, not 'imagebus.services'"),
    ],
)
def test_a_filter_writes_no_topic_that_has_another_use(flags: str, complaint: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(complaint)):
        Options.parse(flags.split())


def test_the_group_is_made_of_name_input_and_topic_in_characters_that_harm_nobody() -> None:
    assert Options.parse([]).group_id == "imagebus.stage%2F%C3%A4.SOURCE_FRAME.OUT"
    assert Options.parse(["--group", "mine"]).group_id == "mine"


@pytest.mark.parametrize(
    ("text", "fault"),
    [("no equals sign", "line 1: no key=value"), ("no.such.property=1", "No such configuration property")],
)
def test_a_faulty_properties_file_is_a_configuration_error(tmp_path: Path, text: str, fault: str) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text(text)
    with pytest.raises(ConfigurationError, match=fault):
        Bus("localhost:1", file)


def test_a_missing_properties_file_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="--kafka-config: cannot read"):
        Bus("localhost:1", tmp_path / "none")


def test_a_properties_file_without_end_is_refused_at_once(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for path in (Path("/dev/zero"), tmp_path / "pipe", tmp_path):
        with pytest.raises(
            ConfigurationError, match=r"--kafka-config: cannot read .*: it is no regular file"
        ):
            Bus("localhost:1", path)


def test_a_properties_file_may_have_a_mebibyte(tmp_path: Path) -> None:
    file = tmp_path / "kafka.properties"
    file.write_text("client.id=x\n".ljust(1024 * 1024))
    assert from_file(file) == {"client.id": "x"}
    file.write_text("client.id=x\n".ljust(1024 * 1024 + 1))
    with pytest.raises(
        ConfigurationError, match=r"--kafka-config: cannot read .*: it is larger than 1048576"
    ):
        from_file(file)


def test_a_properties_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    (tmp_path / "kafka.properties").write_bytes(b"\xff\xfe=1")
    with pytest.raises(ConfigurationError, match="--kafka-config: cannot read"):
        from_file(tmp_path / "kafka.properties")
