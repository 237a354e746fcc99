"""Keep the secrets of a camera's address out of what others say of it."""

from __future__ import annotations

import re
from urllib.parse import unquote

from imagebus.mask import CREDENTIALS, HARMLESS, HIDDEN, IN_PATH, QUERY, mask


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
