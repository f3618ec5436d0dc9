"""What checking evidence found: one sentence a finding, and the conclusion that they allow."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal

Status = Literal["holds", "fails", "unknown", "stated"]
Vouched = Literal["digest", "key"]

CONTAINER = "The container"
SEAL = "The seal"
TRIALS = "The trials"
VERDICT = "The verdict"
TEXTS = "What is made from them"
ORIGIN = "Where it comes from"
WORD = "Only the producer's word"
GROUPS = (CONTAINER, SEAL, TRIALS, VERDICT, TEXTS, ORIGIN, WORD)
"""Headings of the findings, in the order in which they are read."""

LONGEST = 900
"""Characters of the longest sentence."""


@dataclass(frozen=True)
class Finding:
    """One thing that was looked at."""

    status: Status
    """`unknown`: it could not be checked here. `stated`: nobody but the producer can know."""
    sentence: str
    group: str = ""


@dataclass(frozen=True)
class Report:
    """All findings on one bundle."""

    digest: str
    """sha256 of the bundle; empty where it could not be read."""
    attempt: str
    """Id of the attempt as the bundle gives it; empty where it could not be read."""
    claims: str
    """The verdict that the bundle claims, as it reads to people."""
    findings: tuple[Finding, ...]
    conclusion: str
    exit_code: int
    """0: everything that can be checked holds. 1: something does not. 2: it must be refused, for something could not be checked."""

    @property
    def ok(self) -> bool:
        """Whether everything that can be checked holds."""
        return self.exit_code == 0


def plain(text: str) -> str:
    """Return a text that a stranger wrote so that a terminal can show it: one line, no control characters, not endless."""
    line = " ".join(text.split())
    shown = "".join(character if character.isprintable() else "\N{REPLACEMENT CHARACTER}" for character in line)
    return shown if len(shown) <= LONGEST else f"{shown[:LONGEST]}…"


def conclude(digest: str, attempt: str, claims: str, findings: Sequence[Finding], vouched: Sequence[Vouched]) -> Report:
    """Put the findings in order and say what they amount to.

    Args:
        digest: of the bundle.
        attempt: its id.
        claims: the verdict that it claims.
        findings: all of them.
        vouched: what outside the bundle stands for its bytes: a digest or a key that the reader brought, and that fits.
    """
    named = digest, plain(attempt), plain(claims)
    shown = [replace(finding, sentence=plain(finding.sentence)) for finding in findings]
    ordered = sorted(shown, key=lambda finding: GROUPS.index(finding.group) if finding.group in GROUPS else 0)
    failed = sum(finding.status == "fails" for finding in ordered)
    unknown = sum(finding.status == "unknown" for finding in ordered)
    if failed:
        things = "one thing does not hold" if failed == 1 else f"{failed} things do not hold"
        return Report(*named, tuple(ordered), f"This evidence does not hold: {things}.", 1)
    if unknown:
        things = "one thing" if unknown == 1 else f"{unknown} things"
        told = f"Refused: {things} could not be checked by this installation; nothing that could be was found wrong."
        return Report(*named, tuple(ordered), told, 2)
    return Report(*named, tuple(ordered), _origin(vouched), 0)


def unreadable(error: Exception) -> Report:
    """Return the report on something that is no bundle."""
    return Report(
        "", "", "", (Finding("unknown", plain(str(error)), CONTAINER),), "Refused: it cannot be read as evidence.", 2
    )


def _origin(vouched: Sequence[Vouched]) -> str:
    told = {
        "digest": "this is the evidence that was cited, to the last byte",
        "key": "it is signed by the key that you named, and unchanged since",
    }
    if not vouched:
        return (
            "Internally consistent, origin unproven: whoever makes a bundle can make one that agrees with itself. "
            "Compare it with the digest in the citation (--digest), or with the producer's key (--key)."
        )
    return f"It holds, and {' and '.join(told[by] for by in vouched)}."
