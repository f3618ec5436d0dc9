"""Text from elsewhere made safe to print and to put into a field."""

from repro.schema.plain_text import plain as one_line

__all__ = ["capitalised", "one_line"]


def capitalised(text: str) -> str:
    """Return text with a capital at its start."""
    return text[:1].upper() + text[1:]
