"""Passwords in addresses, kept out of what is shown."""

from __future__ import annotations

import pytest

from imagebus.mask import mask


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("rtsp://admin:pa'ss@10.0.0.5/x", "rtsp://***@10.0.0.5/x"),
        ('rtsp://admin:pa"ss@10.0.0.5/x', "rtsp://***@10.0.0.5/x"),
        ("rtsp://admin:'pass'@10.0.0.5/x", "rtsp://***@10.0.0.5/x"),
        ("rtsp://admin:pa ss@10.0.0.5/x", "rtsp://***@10.0.0.5/x"),
        ("RTSP://admin: p@ ss/'w@10.0.0.5/x", "RTSP://***@10.0.0.5/x"),
        ("rtsp://admin:pa ss@", "rtsp://***@"),
        ("http://camera/x?pwd=pa'ss&fps=5", "http://camera/x?pwd=***&fps=5"),
        ("rtsp://camera/password=pa'ss", "rtsp://camera/password=***"),
    ],
)
def test_a_password_may_hold_quotes_and_blanks(text: str, shown: str) -> None:
    assert mask(text) == shown


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        (
            "cannot open 'rtsp://bob:pa'ss@camera/x': gone",
            "cannot open 'rtsp://***@camera/x': gone",
        ),
        ("rtsp://bob:pw@one/x, rtsp://bob:pw@two/x", "rtsp://***@one/x, rtsp://***@two/x"),
        ("'http://one/x' went on to 'http://two/y', see bob@two", None),
        ("rtsp://one/x: [rtsp @ 0x55d0] no answer", None),
        ("rtsp://one/x\nwrite to bob@two", None),
        ("write to bob@two, not to http://one/x", None),
        ("http://one/x?fps=5, 'http://two/y?fps=5'", None),
        ("open('http://one/x?pwd=secret'): refused", "open('http://one/x?pwd=***'): refused"),
    ],
)
def test_what_stands_around_an_address_is_left(text: str, shown: str | None) -> None:
    assert mask(text) == (text if shown is None else shown)
