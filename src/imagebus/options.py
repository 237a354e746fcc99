"""Options: each is declared once, as a field, and is a flag, a variable, a line of help and a check."""

from __future__ import annotations

import argparse
import inspect
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any, ClassVar, Self

from pydantic import AfterValidator, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliSettingsSource,
    SettingsConfigDict,
    SettingsError,
)
from pydantic_settings import CliPositionalArg as Positional

from imagebus.codec import MAX_NAME_BYTES
from imagebus.errors import ConfigurationError
from imagebus.moment import AGO
from imagebus.text import printable
from imagebus.version import VERSION

__all__ = ["BusOptions", "Field", "Name", "Options", "Positional", "Text", "legal_name"]

PREFIX = "IMAGEBUS_"
EPILOG = "Each flag is also a variable: --some-flag is {prefix}SOME_FLAG."
METAVARS = {"str": "TEXT", "int": "N", "float": "NUMBER", "Path": "PATH", "{str,int}": "WHEN"}
NO_DEFAULT = re.compile(r" \(default( factory)?: (None|null|.*lambda.*)?\)$")


class Options(BaseSettings):
    """The options of a program; ``--max-fps`` is also the variable ``IMAGEBUS_MAX_FPS``."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_prefix_target="all",  # also of a field that has another name as a flag
        env_ignore_empty=True,
        extra="ignore",
        frozen=True,
    )

    shortcuts: ClassVar[dict[str, str]] = {}
    """Short flags by field name; those of the base classes are added."""

    @classmethod
    def parse(
        cls, argv: Sequence[str] | None = None, prog: str | None = None, description: str | None = None
    ) -> Self:
        """Read flags, then variables, then defaults; ``--help`` prints and exits with 0.

        Raises:
            ConfigurationError: a value does not pass its check.
        """
        parser = argparse.ArgumentParser(
            prog,
            description=inspect.cleandoc(description or ""),
            epilog=EPILOG.format(prefix=cls.model_config["env_prefix"]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
        parser.add_argument("--version", action="version", version=f"imagebus {VERSION}")
        source: CliSettingsSource[argparse.ArgumentParser] = CliSettingsSource(
            cls,
            root_parser=parser,
            cli_shortcuts=cls._all_shortcuts(),
            cli_kebab_case=True,
            cli_implicit_flags="toggle",
            cli_hide_none_type=True,
            cli_avoid_json=True,
        )
        _polish(parser)
        args = _joined(sys.argv[1:] if argv is None else argv)
        try:
            return CliApp.run(cls, cli_args=args, cli_settings_source=source)
        except ValidationError as error:
            raise _first_fault(error) from error
        except SettingsError as error:
            raise ConfigurationError(printable(str(error))) from error

    @classmethod
    def _all_shortcuts(cls) -> dict[str, str]:
        found: dict[str, str] = {}
        for base in reversed(cls.__mro__):
            found.update(vars(base).get("shortcuts", {}))
        return found


def _text(value: str) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:  # the client itself does not survive it
        raise ValueError("text is wanted") from None
    return value


Text = Annotated[str, AfterValidator(_text)]


def legal_name(value: str) -> str:
    """Return the name unchanged.

    Raises:
        ValueError: it is too long for a frame, or empty.
    """
    if not 1 <= len(value.encode()) <= MAX_NAME_BYTES:
        raise ValueError(f"a name of 1 to {MAX_NAME_BYTES} bytes is wanted")
    return value


Name = Annotated[Text, AfterValidator(legal_name)]
"""Of a camera or a stage."""


class BusOptions(Options):
    """The options of everything that talks to the broker."""

    shortcuts: ClassVar[dict[str, str]] = {"quiet": "q"}

    kafka: Text = Field("localhost:9092", description="addresses of the broker, HOST:PORT, comma-separated")
    kafka_config: Path | None = Field(
        None, description="file of librdkafka properties (TLS, SASL ...), one key=value a line"
    )
    quiet: bool = Field(False, description="do not print a line a frame")


def _joined(words: Sequence[str]) -> list[str]:
    """Join ``--start -5m`` to one word: argparse would take the moment for a flag."""
    found: list[str] = []
    for word in words:
        if AGO.fullmatch(word) and found and found[-1].startswith("--") and "=" not in found[-1]:
            found[-1] += f"={word}"
        else:
            found.append(word)
    return found


def _polish(parser: argparse.ArgumentParser) -> None:
    """Have the help speak of texts and numbers, not of types, and of no default that says nothing."""
    for action in parser._actions:
        if isinstance(action.metavar, str):
            action.metavar = METAVARS.get(action.metavar, action.metavar)
        action.help = NO_DEFAULT.sub("", action.help or "")


def _first_fault(error: ValidationError) -> ConfigurationError:
    """Turn pydantic's report into one line that names flag, value and reason."""
    fault: Any = error.errors(include_url=False)[0]
    what = fault["msg"].removeprefix("Value error, ")
    if not fault["loc"]:
        return ConfigurationError(what)
    flag = "--" + str(fault["loc"][0]).replace("_", "-")
    if fault["type"] == "missing":
        return ConfigurationError("must be given", flag)
    return ConfigurationError(f"{what}, not {printable(repr(fault['input']))}", flag)
