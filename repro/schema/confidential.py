"""Texts that must not travel: passwords, access tokens, and the names of people's home directories.

What is written down of commands and errors passes `without_secrets` first, because records are digested and cannot be altered
later. Evidence looks once more (`secrets_in`) before it leaves. Both know usual shapes; neither can know every secret.
"""

import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

_NAMED = r"(?:pass(?:word|wd|phrase)?|secret|token|api[_-]?key|(?:access|secret|private|auth)[_-]key|credentials?)"
_ASSIGNED = re.compile(rf"(?i)(?<![a-z])({_NAMED}[\"']?\s*[=:]\s*[\"']?)([^\s\"',;&]+)")
_IN_ADDRESS = re.compile(r"\b([a-zA-Z][a-zA-Z0-9+.-]*://)([^\s/@:\"']*:[^\s/@\"']+|[^\s/@:\"']{16,})@")
_HEADER = re.compile(r"(?i)\b((?:bearer|basic)\s+)([A-Za-z0-9._~+/=-]{16,})")
_SHAPED = re.compile(
    r"\b(?:gh[opsu]_[A-Za-z0-9]{30,}|github_pat_\w{30,}|glpat-[\w-]{20,}|hf_[A-Za-z0-9]{30,}|sk-[\w-]{20,}|xox[abprs]-[\w-]{10,}"
    r"|AKIA[0-9A-Z]{16}|AIza[\w-]{35}|pypi-[\w-]{50,}|eyJ[\w-]{10,}\.eyJ[\w-]{10,}\.[\w-]{10,})"
)
_PRIVATE_KEY = re.compile(r"-----BEGIN [A-Z ]*PRIVATE KEY-----")
_HOMES = re.compile(r"(?:/home/|/Users/|[A-Za-z]:\\Users\\)[^\s/\\:\"'<>|]+|(?<![\w.~/-])/root(?=/)")
_TELLING = re.compile(r"(?i)pass(word|wd|phrase)|secret|token|api_?key|credential|private_?key")
_NUMBER = re.compile(r"[-+]?[\d.]+(?:[eE][-+]?\d+)?")
"""A setting such as `flops_per_token=6.0` is no password."""
_SHORTEST = 8
"""Shortest value of a telling environment variable that is looked for: a shorter one stands in ordinary text."""

HIDDEN = "***"


def without_secrets(text: str, environment: Mapping[str, str] = os.environ) -> str:
    """Return a text without credentials, and with `~` for home directories.

    >>> without_secrets("git clone https://ada:pw1234@host/x token=abc", {})
    'git clone https://***@host/x token=***'

    Args:
        text: a command line or an error.
        environment: values of its variables that are called password, token, key or the like are hidden wherever they stand.
    """
    for name, value in environment.items():
        if len(value) >= _SHORTEST and _TELLING.search(name):
            text = text.replace(value, HIDDEN)
    text = _IN_ADDRESS.sub(rf"\1{HIDDEN}@", text)
    text = _HEADER.sub(rf"\1{HIDDEN}", text)
    text = _SHAPED.sub(HIDDEN, text)
    text = _ASSIGNED.sub(_hide_value, text)
    home = str(Path.home())
    if len(home) > 1:
        text = re.sub(rf"{re.escape(home)}(?![\w.-])", "~", text)
    return _HOMES.sub("~", text)


def _hide_value(found: re.Match[str]) -> str:
    name, value = found.groups()
    prose = not set(name) & set("=\"'") and len(value) < _SHORTEST  # "loss per token: nan"
    return found[0] if prose or _NUMBER.fullmatch(value) else f"{name}{HIDDEN}"


def secrets_in(text: str) -> Iterator[tuple[int, str]]:
    """Yield line number and kind of what looks like a credential; never the credential.

    A value that is called token, password or the like counts from twelve characters with letters and digits on, so that prose
    and settings are not taken for one.
    """
    shapes = (
        (_IN_ADDRESS, "an address with a password"),
        (_HEADER, "an authorization header"),
        (_SHAPED, "an access token"),
        (_PRIVATE_KEY, "a private key"),
    )
    for number, line in enumerate(text.split("\n"), start=1):
        for pattern, kind in shapes:
            if any(HIDDEN not in found[0] for found in pattern.finditer(line)):
                yield number, kind
        if any(_looks_random(found[2]) for found in _ASSIGNED.finditer(line)):
            yield number, "a value that is called password, token or key"


def _looks_random(value: str) -> bool:
    return (
        len(value) >= 12 and bool(re.search(r"[A-Za-z]", value)) and bool(re.search(r"\d", value)) and "." not in value
    )


def homes_in(text: str) -> bool:
    """Say whether a text names a home directory."""
    return _HOMES.search(text) is not None
