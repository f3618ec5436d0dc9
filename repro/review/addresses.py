"""Where everything stands below the root of the site."""

import hashlib
import re

NEXT = "next.html"
"""The page of what to run next."""
DONATIONS = "donations.html"
"""The page of what a donation would decide."""
TOPICS = "topics.html"
"""The page of all topics."""
LONGEST = 200
"""Characters of a file's name; file systems take 255 bytes."""

_PLAIN = re.compile(r"[A-Za-z0-9_@+=-][A-Za-z0-9_.@+=-]*(?:/[A-Za-z0-9_@+=-][A-Za-z0-9_.@+=-]*)*")


def claim_address(claim_id: str, suffix: str = ".html") -> str:
    """Return where the page of a claim stands, from the root of the site, or a file beside it."""
    return f"claim/{safe(claim_id)}{suffix}"


def attempt_address(attempt_id: str, suffix: str = ".html") -> str:
    """Return where the page of an attempt stands, or a file beside it (`.svg`, `.csv`, `.bib`, `.evidence.zip`)."""
    return f"attempt/{safe(attempt_id)}{suffix}"


def forest_address(claim_id: str, number: int, suffix: str = ".svg") -> str:
    """Return where the plot of the attempts at one part of a claim stands."""
    return f"claim/{safe(claim_id)}.together-{number}{suffix}"


def comparison_address(name: str, suffix: str = ".html") -> str:
    """Return where the page of a comparison stands, or its picture, or the numbers of that."""
    return f"comparison/{safe(name)}{suffix}"


def tutorial_address(name: str) -> str:
    """Return where a tutorial stands."""
    return f"tutorial/{safe(name)}.html"


def paper_address(name: str) -> str:
    """Return where the page of a paper stands."""
    return f"paper/{safe(name)}.html"


def topic_address(name: str) -> str:
    """Return where the page of a topic stands."""
    return f"topic/{safe(name)}.html"


def study_address(name: str) -> str:
    """Return where the page of a study stands, by its id."""
    return f"study/{safe(name)}.html"


def compare_address(claim_id: str, one: str, other: str) -> str:
    """Return where two attempts at a claim stand side by side.

    >>> compare_address("widgets/exponent", "widgets/exponent@retrain@cpu-0a1b-1", "widgets/exponent@retrain@gpu-2c3d-1")
    'compare/widgets/exponent/retrain@cpu-0a1b-1..retrain@gpu-2c3d-1.html'
    """
    both = "..".join(safe(attempt.removeprefix(f"{claim_id}@")).replace("/", "~2f~") for attempt in (one, other))
    if len(both) > LONGEST:
        both = hashlib.sha256(both.encode()).hexdigest()
    return f"compare/{safe(claim_id)}/{both}.html"


def badge_address(name: str, suffix: str = ".svg") -> str:
    """Return where the badge of a claim or paper stands, by its id."""
    return f"badge/{safe(name)}{suffix}"


def safe(name: str) -> str:
    """Return an id as a path below the site: its slashes stay, nothing can climb out or mean something in a URL."""

    # Nearly all are as they should be, and there may be very many.
    if _PLAIN.fullmatch(name):
        return name

    def hidden(match: re.Match[str]) -> str:
        return f"~{ord(match[0]):x}~"

    return "/".join(re.sub(r"[^A-Za-z0-9_.@+=-]|^\.", hidden, segment) or "~" for segment in name.split("/"))
