"""Text that people wrote, made harmless for a terminal."""

import unicodedata

_UNSEEN = ("Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp")
"""Unicode categories that show nothing, or command the terminal or the direction of writing."""


def plain(text: str) -> str:
    """Return a text on one line, with a space for whatever is not seen.

    >>> plain("red: \\x1b[31mno\\u202e\\n  next")
    'red: [31mno next'
    """
    if text.isprintable():  # thousands of sentences a page: what Python calls printable has none of those categories
        return " ".join(text.split())
    return " ".join("".join(" " if unicodedata.category(c) in _UNSEEN else c for c in text).split())
