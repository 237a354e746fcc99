"""Keep passwords in addresses out of everything that is shown."""

from __future__ import annotations

import re

HIDDEN = "***"
CREDENTIALS = re.compile(r"([a-z][a-z0-9+.-]*://)[^\s\"']*@", re.IGNORECASE)
QUERY = re.compile(r"([?&;])([^=&;#\s\"']+)=([^&;#\s\"']+)")
IN_PATH = re.compile(r"(?i)((?:pass\w*?|pwd|psw|secret|token|key|auth)=)((?:(?!_[a-z]+=)[^&;/?#\s\"'])+)")
HARMLESS = {
    *(
        "channel",
        "ch",
        "stream",
        "subtype",
        "profile",
        "camera",
        "cam",
        "fps",
        "framerate",
        "resolution",
    ),
    *("size", "width", "height", "codec", "videocodec", "quality", "compression", "rotation", "transport"),
}
"""Names of query parameters that are shown with their values; what a maker calls his secret, nobody knows."""


def mask(text: str) -> str:
    """Return the text with credentials, unknown query values and passwords in paths replaced by ``***``.

    Everything before the last ``@`` of an address counts as credentials: real passwords hold ``/`` and ``@``.
    """
    text = CREDENTIALS.sub(rf"\1{HIDDEN}@", text)
    text = QUERY.sub(lambda m: m[0] if m[2].lower() in HARMLESS else f"{m[1]}{m[2]}={HIDDEN}", text)
    return IN_PATH.sub(rf"\1{HIDDEN}", text)
