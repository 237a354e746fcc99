"""Text from elsewhere steers no terminal and forges no line."""

from __future__ import annotations

import sys
import unicodedata

import pytest

from imagebus.text import printable


@pytest.mark.parametrize("text", ["", "cam0", "Tür 3 / 日本 😀", "<b>&amp;</b>", "../../x", r"C:\new"])
def test_what_a_person_can_read_stays_as_it_is(text: str) -> None:
    assert printable(text) == text


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("\x1b[2J\x1b]0;owned\x07", r"\x1b[2J\x1b]0;owned\x07"),
        ("\x9b31m", r"\x9b31m"),
        ("one\r\ntwo\x85three\u2028four", r"one\r\ntwo\x85three\u2028four"),
        ("\u202egpj.exe\u2066", r"\u202egpj.exe\u2066"),
        ("a\u200bb\ufeff", r"a\u200bb\ufeff"),
        ("\ud800", r"\ud800"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_what_steers_a_terminal_is_shown_as_its_escape(text: str, shown: str) -> None:
    assert printable(text) == shown


def test_no_control_or_format_character_of_unicode_comes_through() -> None:
    shown = printable("".join(map(chr, range(sys.maxunicode + 1))))

    assert {unicodedata.category(char) for char in shown}.isdisjoint({"Cc", "Cf", "Cs", "Zl", "Zp"})
