"""Where everything stands below the root of the site."""

import re


def claim_address(claim_id: str) -> str:
    """Return where the page of a claim stands, from the root of the site."""
    return f"claim/{safe(claim_id)}.html"


def attempt_address(attempt_id: str, suffix: str = ".html") -> str:
    """Return where the page of an attempt stands, or a file beside it (`.svg`, `.csv`, `.bib`, `.evidence.zip`)."""
    return f"attempt/{safe(attempt_id)}{suffix}"


def forest_address(claim_id: str, number: int, suffix: str = ".svg") -> str:
    """Return where the plot of the attempts at one part of a claim stands."""
    return f"claim/{safe(claim_id)}.together-{number}{suffix}"


def comparison_address(name: str, suffix: str = ".html") -> str:
    """Return where the page of a comparison stands, or its picture."""
    return f"comparison/{safe(name)}{suffix}"


def tutorial_address(name: str) -> str:
    """Return where a tutorial stands."""
    return f"tutorial/{safe(name)}.html"


def badge_address(name: str, suffix: str = ".svg") -> str:
    """Return where the badge of a claim or paper stands, by its id."""
    return f"badge/{safe(name)}{suffix}"


def safe(name: str) -> str:
    """Return an id as a path below the site: its slashes stay, nothing can climb out or mean something in a URL."""

    def hidden(match: re.Match[str]) -> str:
        return f"~{ord(match[0]):x}~"

    return "/".join(re.sub(r"[^A-Za-z0-9_.@+=-]|^\.", hidden, segment) or "~" for segment in name.split("/"))
