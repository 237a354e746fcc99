"""Keep passwords in addresses out of everything that is shown."""

from __future__ import annotations

import re

HIDDEN = "***"
_SCHEME = r"[a-z][a-z0-9+.-]*://"
_QUOTE = r"[\"'](?=[^\s\"',;:.)\]}&#])"
"""A quote that ends nothing: more of the same word follows."""
CREDENTIALS = re.compile(
    # Blanks belong to it only where the text begins with an address.
    rf"(\A{_SCHEME})(?:(?!\s{_SCHEME}).)*@(?!\s)|({_SCHEME})\S*@",
    re.IGNORECASE,
)
QUERY = re.compile(rf"([?&;])([^=&;#\s\"']+)=((?:[^&;#\s\"']|{_QUOTE})+)")
IN_PATH = re.compile(
    rf"(?i)((?:pass\w*?|pwd|psw|secret|token|key|auth)=)((?:(?!_[a-z]+=)(?:[^&;/?#\s\"']|{_QUOTE}))+)"
)
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

    Everything before the last ``@`` of an address counts as credentials: real passwords hold ``/`` and ``@``,
    quotes too, and blanks. Where a text begins with an address, an ``@`` in a later word counts as well.
    """
    text = CREDENTIALS.sub(rf"\1\2{HIDDEN}@", text)
    text = QUERY.sub(lambda m: m[0] if m[2].lower() in HARMLESS else f"{m[1]}{m[2]}={HIDDEN}", text)
    return IN_PATH.sub(rf"\1{HIDDEN}", text)
