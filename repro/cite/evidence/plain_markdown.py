"""Texts of other people inside Markdown: they are shown as they are, and are never markup."""

import re
from collections.abc import Iterable, Sequence

_UNSEEN = re.compile(
    r"[\x00-\x1f\x7f-\x9f\u00ad\u061c\u200b-\u200f\u202a-\u202e\u2060-\u206f\ud800-\uf8ff\ufeff\ufff0-\ufffb]"
)
"""Control characters, marks that draw nothing or turn the direction of writing, and private use."""
_PUNCTUATION = re.compile(r"([\\`*_{}\[\]<>#|~$&!])")
_SIGN_AT_START = re.compile(r"^([-+=])")
_NUMBER_AT_START = re.compile(r"^(\d+)([.)])(?=\s|$)")
_ADDRESS = re.compile(r"https?://[^\s<>\\`|\"{}^]+")


def one_line(text: str) -> str:
    """Return a text on one line, without characters that draw nothing or turn the direction of writing."""
    return _UNSEEN.sub("", " ".join(text.split())).strip()


def plain(text: str) -> str:
    r"""Return a text as Markdown that reads as it stands.

    >>> plain("a *b*\n# c"), plain("- x"), plain("1. x")
    ('a \\*b\\* \\# c', '\\- x', '1\\. x')
    """
    escaped = _PUNCTUATION.sub(r"\\\1", one_line(text))
    return _NUMBER_AT_START.sub(r"\1\\\2", _SIGN_AT_START.sub(r"\\\1", escaped))


def link(address: str) -> str:
    """Return an address of the web as a link, and anything else as it stands."""
    line = one_line(address)
    return f"<{line}>" if _ADDRESS.fullmatch(line) else plain(line)


def code(text: str) -> str:
    """Return a text as inline code; one that holds a backtick is escaped instead."""
    line = one_line(text)
    return f"`{line}`" if line and "`" not in line and "|" not in line else plain(text)


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Return a table; its cells are Markdown already."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)
