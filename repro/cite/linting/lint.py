"""Whether what a text cites still stands: pure, from what is cited and what is known of each attempt."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Literal

from repro.cite.citation.facts import citation_key
from repro.cite.linting.cited import Cited
from repro.judge.reading import VALIDITY
from repro.schema.claim import SCALES
from repro.schema.errors import nearest
from repro.schema.verdict import Outcome, Validity

ProblemKind = Literal[
    "unknown", "tampered", "invalidated", "disputed", "post_hoc", "stale", "changed", "unchecked", "contradicted"
]
MAX_HINTS = 50
"""Unknown names for which the nearest known one is looked for."""
_DECIDED = ("match", "mismatch")
_NOT_HEARD = ("invalidated", "tampered", "post_hoc")
_BY_COMPUTE = tuple(scale for scale in SCALES if scale != "full")


@dataclass(frozen=True)
class KnownResult:
    """What is known of an attempt today."""

    attempt: str
    claim: str
    protocol: str
    scale: str
    outcome: Outcome | None
    validity: Validity
    """Today's, with what people added and what has changed since."""
    started: str
    evidence: str | None = None
    """sha256 of its evidence (64 hex digits); None if it is not known here."""
    why: str = ""
    """Why it is not current, in words."""
    exploratory: bool = False
    counts: bool = True
    """False for somebody else's that was imported and whose origin nothing proves."""


@dataclass(frozen=True)
class Problem:
    """A citation that no longer holds."""

    file: str
    line: int
    cited: str
    """What is cited, as it stands there."""
    kind: ProblemKind
    found: str
    """What has become of it, a sentence."""
    todo: str
    """What to do about it."""


def lint(cited: Iterable[Cited], known: Mapping[str, KnownResult]) -> tuple[Problem, ...]:
    """Return what is wrong with citations, in their order.

    Args:
        cited: as `repro.cite.linting.cited.find` returns them.
        known: every attempt that is known, by id (`<id>~<8 digits of the evidence>` for a second one of the same id).
    """
    keys = {citation_key(name): name for name in known}
    problems = []
    hints: dict[str, str] = {}
    for each in cited:
        result = resolve(each, known, keys)
        if result is None and each.name not in hints:
            # Comparing spellings takes time, and nobody reads hundreds of them.
            hints[each.name] = _hint(each, known, keys) if len(hints) < MAX_HINTS else ""
        reasons = _unknown(each, hints[each.name]) if result is None else _wrong(each, result, known)
        problems += [Problem(each.file, each.line, each.name, *reason) for reason in reasons]
    return tuple(problems)


def resolve(cited: Cited, known: Mapping[str, KnownResult], keys: Mapping[str, str]) -> KnownResult | None:
    """Return the attempt that is cited; None if it is not known.

    Of several of one id the one whose evidence has the cited digest is meant, whatever it is called here.

    Args:
        cited: one citation.
        known: every attempt by id.
        keys: attempt id by citation key.
    """
    name = cited.attempt or keys.get(cited.key or "")
    if name is None:
        return None
    base, _, digits = name.partition("~")
    digest = cited.digest or digits
    if digest:
        for other, result in known.items():
            if other.partition("~")[0] == base and result.evidence and result.evidence.startswith(digest):
                return result
    return known.get(name)


def _hint(cited: Cited, known: Mapping[str, KnownResult], keys: Mapping[str, str]) -> str:
    found = nearest(cited.name, known if cited.attempt else keys)
    return found if "Did you mean" in found else ""


def _unknown(cited: Cited, hint: str) -> list[tuple[ProblemKind, str, str]]:
    return [
        (
            "unknown",
            f"No attempt of this {'id' if cited.attempt else 'key'} is in the ledger or among the published results.{hint}",
            "Correct it; or, if it is somebody else's result, get their evidence and run repro import BUNDLE; or name the directory "
            "of published results in REPRO_RESULTS.",
        )
    ]


def _wrong(cited: Cited, result: KnownResult, known: Mapping[str, KnownResult]) -> list[tuple[ProblemKind, str, str]]:
    again = f"repro run {result.claim} protocol={result.protocol} scale={result.scale}"
    cite = f"repro cite {result.claim} --attempt '{result.attempt}'"
    found: list[tuple[ProblemKind, str, str]] = []
    because = f": {result.why}" if result.why else ""
    if result.validity == "stale":
        found.append(
            (
                "stale",
                f"What its seal covers has changed since{because}.",
                f"Run it again ({again}), then {_anew(result)}",
            )
        )
    elif result.validity == "invalidated":
        found.append(
            ("invalidated", f"It was withdrawn{because}.", f"Take it out, or cite another attempt: {_anew(result)}")
        )
    elif result.validity == "disputed":
        found.append(
            (
                "disputed",
                f"It is contested{because}.",
                f"Read the dispute (repro show {result.claim}); until it is settled, say that it is disputed or take it out.",
            )
        )
    elif result.validity != "current":
        meaning = VALIDITY.get(result.validity, result.validity)
        found.append(
            (
                result.validity,
                f"Do not rely on it: {meaning}{because}.",
                f"Make a new attempt ({again}), then {_anew(result)}",
            )
        )
    if cited.digest and result.evidence is None:
        found.append(
            (
                "unchecked",
                "Its evidence cannot be made here, so that the cited digest cannot be compared with it.",
                f"Import or publish its evidence, or cite it anew: {cite}",
            )
        )
    elif cited.digest and result.evidence and not result.evidence.startswith(cited.digest):
        found.append(
            (
                "changed",
                f"Its evidence is sha256:{result.evidence[:12]}..., and sha256:{cited.digest[:12]}... is cited.",
                f"See what differs (repro show {result.claim}), then cite it anew: {cite}",
            )
        )
    if cited.outcome and cited.outcome != result.outcome:
        found.append(
            (
                "changed",
                f"Its verdict is {result.outcome or 'not decided'}, and {cited.outcome} is cited.",
                f"Cite it anew: {cite}",
            )
        )
    return found + _contradicted(result, known)


def _contradicted(result: KnownResult, known: Mapping[str, KnownResult]) -> list[tuple[ProblemKind, str, str]]:
    """Return a later attempt of the same protocol and scale, and one at a larger scale, that decided otherwise."""
    otherwise = [
        other
        for other in known.values()
        if other.claim == result.claim
        and other.attempt != result.attempt
        and other.outcome in _DECIDED
        and other.outcome != result.outcome
        and other.validity not in _NOT_HEARD
        and not other.exploratory
        and other.counts
    ]
    newer = [
        other
        for other in otherwise
        if (other.protocol, other.scale) == (result.protocol, result.scale) and other.started > result.started
    ]
    larger = [other for other in otherwise if _compute(other.scale) > _compute(result.scale) >= 0]
    found: list[tuple[ProblemKind, str, str]] = []
    for others, what in (
        (newer, "A newer attempt of the same protocol and scale"),
        (larger, "An attempt at a larger scale"),
    ):
        if others:
            last = max(others, key=lambda other: (_compute(other.scale), other.started, other.attempt))
            state = "" if last.validity == "current" else f" (it is {last.validity} itself)"
            found.append(
                (
                    "contradicted",
                    f"{what} came to {last.outcome}: {last.attempt}{state}.",
                    f"Cite that one, or both: repro cite {last.claim} --attempt '{last.attempt}'",
                )
            )
    return found


def _compute(scale: str) -> int:
    """Return the place of a scale by its compute; -1 for one that needs none, which is larger or smaller than no other."""
    return _BY_COMPUTE.index(scale) if scale in _BY_COMPUTE else -1


def _anew(result: KnownResult) -> str:
    return f"repro cite {result.claim}"
