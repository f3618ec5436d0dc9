"""Text that a page, a picture or a table may hold."""

import re

# Controls, halves of characters and what Unicode says is no character: neither HTML nor XML may hold them, some readers stop there.
_UNREADABLE = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")


def readable(text: str) -> str:
    """Return a text with the sign for an unreadable character in the place of each that no document may hold.

    >>> readable("a" + chr(0) + chr(27) + "[31m" + chr(0xd800)) == "a\\ufffd\\ufffd[31m\\ufffd"
    True
    """
    return _UNREADABLE.sub("\ufffd", text)
