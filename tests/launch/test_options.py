"""What run.sh is told: flags before variables before .env before defaults; a fault is one line and exit 2."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from imagebus.errors import ConfigurationError
from imagebus.launch.known import KNOWN
from imagebus.launch.options import DATA, RUN, parse, unknown
from imagebus.launch.rehearsal import check, options_of
from imagebus.launch.services import Service

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def own_environment() -> Iterator[None]:
    """Parsing reads .env into the environment; put that back."""
    before = dict(os.environ)
    forget_settings()
    yield
    os.environ.clear()
    os.environ.update(before)


def forget_settings() -> None:
    for name in [name for name in os.environ if name.startswith("IMAGEBUS_")]:
        del os.environ[name]


def test_without_a_word_there_are_defaults(tmp_path: Path) -> None:
    wishes = parse("run", [], tmp_path)
    assert (wishes.port, wishes.kafka_port, wishes.data) == (5000, 9092, tmp_path / ".imagebus")
    assert (wishes.frame, wishes.max_fps, wishes.cameras) == (1, 5, ())
    assert (wishes.source_topic, wishes.redaction_topic) == ("SOURCE_FRAME", "REDACTION_FRAME")


def test_a_flag_wins_over_a_variable_and_that_over_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IMAGEBUS_PORT=1001\nIMAGEBUS_KAFKA_PORT=1002\nIMAGEBUS_FRAME=7\n")
    os.environ |= {"IMAGEBUS_PORT": "2001", "IMAGEBUS_KAFKA_PORT": "2002"}
    wishes = parse("run", ["--port", "3001"], tmp_path)
    assert (wishes.port, wishes.kafka_port, wishes.frame) == (3001, 2002, 7)


def test_the_file_may_have_comments_quotes_and_settings_of_the_services(tmp_path: Path) -> None:
    text = "# ours\n\nexport IMAGEBUS_PORT=\"1001\"\nIMAGEBUS_CONFIDENCE = 0.5\nIMAGEBUS_OBJECTS='a,b'\n"
    (tmp_path / ".env").write_text(text)
    assert parse("run", [], tmp_path).port == 1001
    assert os.environ["IMAGEBUS_CONFIDENCE"] == "0.5"
    assert os.environ["IMAGEBUS_OBJECTS"] == "a,b"


def test_a_relative_data_folder_in_the_file_lies_in_the_checkout(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IMAGEBUS_DATA=here\n")
    assert parse("stop", [], tmp_path).data == tmp_path / "here"
    assert os.environ["IMAGEBUS_DATA"] == str(tmp_path / "here")


def test_cameras_may_stand_in_the_file(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("IMAGEBUS_CAMERAS=rtsp://u:p=,@a/x, rtsp://b/y\n".replace(",@", "@"))
    assert [camera.name for camera in parse("run", [], tmp_path).cameras] == ["a", "b"]


def test_the_example_is_all_comments_and_every_setting_in_it_is_known_and_its_default(tmp_path: Path) -> None:
    lines = (ROOT / ".env.example").read_text().splitlines()
    assert all(not line or line.startswith("#") for line in lines)
    settings = [line[1:] for line in lines if line.startswith("#IMAGEBUS_")]
    settings = [line for line in settings if not line.startswith("IMAGEBUS_CAMERAS")]
    defaults = parse("run", [], tmp_path)
    forget_settings()
    (tmp_path / ".env").write_text("\n".join(settings))
    assert unknown(tmp_path) == []
    assert parse("run", [], tmp_path) == defaults


@pytest.mark.parametrize(
    ("argv", "why"),
    [
        (["nothing.mp4"], "nothing.mp4 cannot be read: No such file or directory"),
        (["--port", "x"], "--port: a whole number of 1 to 65535 is wanted, not 'x'"),
        (["--port", "0"], "--port: a whole number of 1 to 65535 is wanted, not '0'"),
        (["--frame", "0"], "--frame: a whole number of 1 or more is wanted, not '0'"),
        (["--max-fps", "inf"], "--max-fps: a number of 0.01 or more is wanted, not 'inf'"),
        (["--max-fps", "nan"], "--max-fps: a number of 0.01 or more is wanted, not 'nan'"),
        (
            ["--port", "x", "--kafka-port", "0"],
            "--port: a whole number of 1 to 65535 is wanted, not 'x'; --kafka-",
        ),
        (["--port", "9092"], "--port and --kafka-port are both 9092"),
        (["--source-topic", "a/b"], "'a/b' is no name for a topic"),
        (["--imageai-topic", "SOURCE_FRAME"], "the three topics must have different names"),
        (["--kafka", "x:1"], "unrecognized arguments: --kafka"),
        (["\x1b[31m.mp4"], r"\x1b[31m.mp4 cannot be read"),
    ],
)
def test_a_fault_is_one_line_and_2(
    argv: list[str], why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        parse("run", argv, tmp_path)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"run.sh: {why}")
    assert said.count("\n") == 1


def test_a_name_that_nothing_reads_is_told_with_the_one_that_may_be_meant(tmp_path: Path) -> None:
    lines = [
        "IMAGEBUS_CONFIDENSE=0.5",
        "export IMAGEBUS_ZZZ=1",
        "#IMAGEBUS_NO=1",
        "IMAGEBUS_PORT=1",
        "OTHER=2",
    ]
    (tmp_path / ".env").write_text("\n".join([*lines, "IMAGEBUS_KAFKA_SASL_PASSWORD=x"]))
    assert unknown(tmp_path) == [
        f"{tmp_path / '.env'}: IMAGEBUS_CONFIDENSE is read by nothing; IMAGEBUS_CONFIDENCE may be meant",
        f"{tmp_path / '.env'}: IMAGEBUS_ZZZ is read by nothing",
        f"{tmp_path / '.env'}: OTHER is no setting of imagebus and is ignored",
    ]


def test_the_file_sets_only_what_is_ours_and_the_way_through_a_proxy(tmp_path: Path) -> None:
    ignored = ["LD_PRELOAD", "PYTHONPATH", "PATH_OF_MINE"]
    taken = ["https_proxy", "PIP_INDEX_URL_OF_MINE", "IMAGEBUS_OBJECTS"]
    for name in (*ignored, *taken):
        os.environ.pop(name, None)
    (tmp_path / ".env").write_text("".join(f"{name}=/here\n" for name in (*ignored, *taken)))
    parse("run", [], tmp_path)
    assert [name for name in (*ignored, *taken) if os.environ.get(name) == "/here"] == taken
    said = [f"{tmp_path / '.env'}: {name} is no setting of imagebus and is ignored" for name in ignored]
    assert [line for line in unknown(tmp_path) if "ignored" in line] == said


@pytest.mark.parametrize(
    ("line", "value"),
    [
        ("a,b # comment", "a,b"),
        ("a#b", "a#b"),
        ("#a", "#a"),
        (" # comment", ""),
        ('"a # b"', "a # b"),
        ("'a # b'\t# it's a \"comment\"", "a # b"),
        ('"a', '"a'),
    ],
)
def test_a_comment_begins_at_a_blank_and_a_hash_outside_quotes(line: str, value: str, tmp_path: Path) -> None:
    (tmp_path / ".env").write_text(f"IMAGEBUS_OBJECTS={line}\n")
    parse("stop", [], tmp_path)
    assert os.environ["IMAGEBUS_OBJECTS"] == value


def test_a_byte_order_mark_and_the_line_ends_of_windows_do_no_harm(tmp_path: Path) -> None:
    (tmp_path / ".env").write_bytes(b"\xef\xbb\xbfIMAGEBUS_PORT=1001\r\nIMAGEBUS_FRAME=7\r\n")
    wishes = parse("run", [], tmp_path)
    assert (wishes.port, wishes.frame) == (1001, 7)


@pytest.mark.parametrize(
    ("line", "why"), [(b"IMAGEBUS_OBJECTS=\xe4", "it is not UTF-8"), (b"IMAGEBUS_OBJECTS=a\0b", "NUL byte")]
)
def test_bytes_that_are_no_text_are_one_line_with_the_place(
    line: bytes, why: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_bytes(b"IMAGEBUS_PORT=1001\n" + line)
    with pytest.raises(SystemExit) as ended:
        parse("stop", [], tmp_path)
    said = capsys.readouterr().err
    assert ended.value.code == 2
    assert said.startswith(f"stop.sh: {tmp_path / '.env'}, line 2: ")
    assert why in said
    assert said.count("\n") == 1


def test_every_flag_of_every_service_is_a_known_name() -> None:
    found = {"IMAGEBUS_" + choice.variable.removeprefix("IMAGEBUS_") for choice in (DATA, *RUN)}
    found |= {"IMAGEBUS_CAMERAS", "IMAGEBUS_ASSETS"}
    for name in ("producer/producer", "imageai/imageaiProcessor", "imageai/redaction", "consumer/app"):
        fields = options_of(ROOT / f"{name}.py").model_fields
        found |= {f"IMAGEBUS_{field.upper()}" for field in fields}
    assert sorted(found) == KNOWN


def test_a_wrong_setting_of_a_service_is_said_before_it_starts() -> None:
    service = Service("imageaiProcessor", 1, ["", str(ROOT / "imageai" / "imageaiProcessor.py")])
    check([service])
    os.environ["IMAGEBUS_CONFIDENCE"] = "7"
    check([service])  # the service's own environment counts
    wrong = replace(service, environment={"IMAGEBUS_CONFIDENCE": "2"})
    with pytest.raises(ConfigurationError, match=r"^imageaiProcessor\.py: --confidence: .*not '2'"):
        check([wrong])


def test_a_wrong_line_of_the_file_is_named_and_not_shown(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / ".env").write_text("IMAGEBUS_PORT=1\nrtsp://user:geheim@host\n")
    with pytest.raises(SystemExit):
        parse("run", [], tmp_path)
    said = capsys.readouterr().err
    assert f"{tmp_path / '.env'}, line 2" in said
    assert "geheim" not in said


@pytest.mark.parametrize("command", ["run", "install", "stop"])
def test_help_needs_nothing_installed_and_names_every_option(command: str, tmp_path: Path) -> None:
    # a checkout without .venv: as it is right after git clone
    subprocess.run(["cp", "-r", ROOT / f"{command}.sh", ROOT / "src", tmp_path], check=True)
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    shell = [str(tmp_path / f"{command}.sh"), "--help"]
    done = subprocess.run(shell, capture_output=True, text=True, env=environment, timeout=30, check=True)
    assert "--data" in done.stdout
    assert ("--kafka-port" in done.stdout) == (command == "run")
    assert not (tmp_path / ".venv").exists()


def test_the_help_of_the_tests_needs_nothing_installed(tmp_path: Path) -> None:
    subprocess.run(["cp", ROOT / "test.sh", tmp_path], check=True)
    shell = [str(tmp_path / "test.sh"), "--help"]
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(tmp_path)}
    done = subprocess.run(shell, capture_output=True, text=True, env=environment, timeout=30, check=True)
    assert "--all" in done.stdout
    assert [path.name for path in tmp_path.iterdir()] == ["test.sh"]


def test_a_python_that_is_too_old_or_missing_is_said(tmp_path: Path) -> None:
    environment = {"PATH": "/usr/bin:/bin", "PYTHON": "/bin/false"}
    done = subprocess.run(
        [ROOT / "run.sh"], capture_output=True, text=True, env=environment, timeout=30, check=False
    )
    assert done.returncode == 1
    assert "needs Python 3.11 or later" in done.stderr
    assert "/bin/false" in done.stderr
