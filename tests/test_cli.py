"""The `imagebus` command finds its sub-commands."""

from __future__ import annotations

import pytest

from imagebus.cli import COMMANDS, dispatch
from imagebus.errors import ConfigurationError
from imagebus.version import VERSION


@pytest.mark.parametrize("argv", [[], ["--help"], ["-h"]])
def test_help_names_every_command(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert dispatch(argv) == 0

    shown = capsys.readouterr().out
    assert all(command in shown for command in COMMANDS)


def status(argv: list[str]) -> object:
    """Return the exit status, whether a parser ends the program itself or the command returns."""
    try:
        return dispatch(argv)
    except SystemExit as end:
        return end.code


@pytest.mark.parametrize("argv", [["--version"], ["topics", "--version"]])
def test_the_version_is_told(argv: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert status(argv) == 0
    assert capsys.readouterr().out == f"imagebus {VERSION}\n"


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_has_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert status([command, "--help"]) == 0
    assert f"imagebus {command}" in capsys.readouterr().out


def test_an_unknown_command_is_named() -> None:
    with pytest.raises(ConfigurationError, match="brew"):
        dispatch(["brew"])


def test_kafka_without_an_action_says_which_there_are() -> None:
    with pytest.raises(ConfigurationError, match="start, stop, status"):
        dispatch(["kafka"])
