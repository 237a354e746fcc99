"""Keep passwords of camera addresses out of everything that is shown."""

from __future__ import annotations

import re
from urllib.parse import unquote

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


class Curtain:
    """Hides the secrets of one address in text that others wrote, such as a decoder's last words."""

    def __init__(self, address: str) -> None:
        self._address = address
        found = {m[0] for pattern in (CREDENTIALS, QUERY, IN_PATH) for m in pattern.finditer(address)}
        pieces = {piece for whole in found for piece in _pieces(whole)}
        self._secrets = sorted((p for p in pieces if len(p) > 2), key=len, reverse=True)

    def hide(self, text: str) -> str:
        """Return the text without any of the address's secrets."""
        text = text.replace(self._address, mask(self._address))
        for secret in self._secrets:
            text = text.replace(secret, HIDDEN)
        return mask(text)


def _pieces(found: str) -> set[str]:
    """Return what may stand by itself in a message: user, password, value; as typed and decoded."""
    bare = re.sub(r"^[a-z][a-z0-9+.-]*://", "", found, flags=re.IGNORECASE).removesuffix("@")
    if found == bare:  # a parameter: only its value is secret
        name, _, value = bare.partition("=")
        parts = set() if name.strip("?&;").lower() in HARMLESS else {value}
    else:
        parts = {bare, bare.partition(":")[2]}
    return {form for part in parts for form in (part, unquote(part)) if form}
