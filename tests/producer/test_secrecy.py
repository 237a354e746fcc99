from __future__ import annotations

import pytest
from secrecy import Curtain

from imagebus.mask import mask


@pytest.mark.parametrize(
    ("typed", "shown"),
    [
        ("rtsp://camera.example/path", "rtsp://camera.example/path"),
        ("rtsp://bob:hunter22@camera.example:554/path", "rtsp://***@camera.example:554/path"),
        ("RTSP://bob@camera/", "RTSP://***@camera/"),
        ("http://bob:p@ss/w?rd#1@camera/x", "http://***@camera/x"),
        ("http://camera/mjpg?channel=2&pwd=hunter22", "http://camera/mjpg?channel=2&pwd=***"),
        ("http://camera/x?zz=hunter22&fps=5", "http://camera/x?zz=***&fps=5"),
        (
            "rtsp://camera/user=admin&password=hunter22&channel=1",
            "rtsp://camera/user=admin&password=***&channel=1",
        ),
        (
            "rtsp://camera/user=admin_password=hunter22_channel=1_stream=0.sdp",
            "rtsp://camera/user=admin_password=***_channel=1_stream=0.sdp",
        ),
    ],
)
def test_an_address_is_shown_without_its_secrets(typed: str, shown: str) -> None:
    assert mask(typed) == shown


def test_a_message_that_quotes_the_address_or_a_part_of_it_is_cleared() -> None:
    curtain = Curtain("rtsp://bob:hunter%3222@camera/path?token=t0ps3cret")
    for message in (
        "cannot open 'rtsp://bob:hunter%3222@camera/path?token=t0ps3cret'",
        "password hunter2" + "22 is wrong",
        "GET /path?token=t0ps3cret failed",
        "bad token t0ps3cret",
        "user bob:hunter%3222",
    ):
        hidden = curtain.hide(message)
        assert "hunter" not in hidden or "hunter222" not in hidden
        assert "t0ps3cret" not in hidden
        assert "hunter%3222" not in hidden
