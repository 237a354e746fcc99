"""Text from elsewhere, made harmless where a person reads it."""


def printable(text: str) -> str:
    """Escape what could steer a terminal or forge a line of a log; all other text stays as it is.

    Escaped are control characters (C0 and C1, so escape sequences and newlines), format characters (bidi
    overrides, zero-width ones), line and paragraph separators, lone surrogates, private and unassigned ones.
    For people only: what was escaped can't be told apart from text that had those backslashes itself.
    """
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else _escape(char) for char in text)


def _escape(char: str) -> str:
    return char.encode("unicode_escape", "surrogatepass").decode("ascii")
