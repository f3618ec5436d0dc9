"""Text from elsewhere made safe to print and to put into a field."""

import unicodedata


def one_line(text: str) -> str:
    """Return text on one line, without control and formatting characters: some of them reorder what a reader sees."""
    spaced = "".join(" " if unicodedata.category(c) in ("Cc", "Zl", "Zp") else c for c in text)
    return " ".join("".join(c for c in spaced if unicodedata.category(c) not in ("Cf", "Cs", "Cn")).split())


def capitalised(text: str) -> str:
    """Return text with a capital at its start."""
    return text[:1].upper() + text[1:]
