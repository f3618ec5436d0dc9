"""Which attempt a citation of a claim is about, and what has to be named with it."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from repro.cite.citation.lacking import Evidence as Evidence
from repro.cite.citation.lacking import missing as missing
from repro.cite.citation.lacking import origin_proven
from repro.cite.citation.works import is_web_address
from repro.schema.annotation import Annotation, SourceCheck
from repro.schema.claim import SCALES, Claim, Paper
from repro.schema.errors import ReproError, nearest
from repro.schema.published import PublishedResult
from repro.schema.verdict import Attempt, Validity

_LARGEST_FIRST = ("full", "paper", "gpu", "cpu", "smoke")
_TOLD_APART = ("match", "mismatch", "inconclusive")


class NotCitable(ReproError):
    """Nothing that was asked for can be cited; the message says what is missing, a line each."""

    exit_code = 1


@dataclass(frozen=True)
class Known:
    """Everything that decides what may be said of a claim, read beforehand."""

    claim: Claim
    paper: Paper
    attempts: tuple[Attempt, ...]
    validity: Mapping[str, Validity] = field(default_factory=dict)
    """Today's, by attempt; an attempt that is not named here has that of its records."""
    annotations: Mapping[str, tuple[Annotation, ...]] = field(default_factory=dict)
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    checks: Mapping[str, SourceCheck] = field(default_factory=dict)
    """Who compared the published value of a part with the paper."""
    stale: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    """What has changed since, by attempt."""

    def validity_of(self, attempt: Attempt) -> Validity:
        """Return the validity of an attempt today."""
        return self.validity.get(attempt.id, attempt.validity)

    def missing_of(self, attempt: Attempt) -> tuple[str, ...]:
        """Return what an attempt lacks to be cited."""
        return missing(
            attempt,
            validity=self.validity_of(attempt),
            annotations=self.annotations.get(attempt.id, ()),
            evidence=self.evidence.get(attempt.id),
            stale=self.stale.get(attempt.id, ()),
        )


def published_address(result: PublishedResult, claim_page: str) -> str:
    """Return where a published result can be found.

    On the site that `REPRO_SITE` names, else by its place in the repository that publishes it. No host is made up.

    Args:
        result: as the index lists it.
        claim_page: address of the claim's page from the root of the site.
    """
    site = os.environ.get("REPRO_SITE", "").strip().rstrip("/")
    return f"{site}/{claim_page}" if site else f"docs/results/{result.place}"


def checked_address(address: str) -> str:
    """Return an address that somebody gave, if every format can carry it.

    Raises:
        ReproError: if it is none of the web, or holds what would break out of an entry.
    """
    if not is_web_address(address):
        raise ReproError(
            f"--address must be a web address, such as https://example.org/evidence.zip, not {address!r:.200}. Write other characters "
            f"than ASCII with per cent signs."
        )
    return address


@dataclass(frozen=True)
class Chosen:
    """The attempt to cite, and the attempts that must be named with it."""

    attempt: Attempt
    contrary: tuple[Attempt, ...]
    """At a decisive scale, and come out otherwise: the latest first."""


def choose(
    known: Known, *, attempt: str | None = None, protocol: str | None = None, scale: str | None = None
) -> Chosen:
    """Return the attempt to cite: the last to decide at the largest scale, among those that may be cited.

    Where several protocols decided at that scale and disagree, nothing is chosen: a protocol must be named.

    Raises:
        NotCitable: if none may be cited, with what is missing; or if the protocols disagree.
        ReproError: if there is no such attempt, protocol or scale.
    """
    asked = _asked(known, attempt, protocol, scale)
    citable = [each for each in asked if not known.missing_of(each)]
    if not citable:
        words = [f"{key}={value}" for key, value in (("protocol", protocol), ("scale", scale)) if value]
        raise NotCitable(_what_is_missing(known, asked, " ".join(words)))
    largest = min(citable, key=_size)
    level = sorted((each for each in citable if _size(each) == _size(largest)), key=_time, reverse=True)
    latest = {each.protocol: each for each in reversed(level)}
    if len({_outcome(each) for each in latest.values()}) > 1:
        listed = "\n".join(
            f"- {_outcome(each)}: repro cite {known.claim.id} --protocol {name}"
            for name, each in sorted(latest.items())
        )
        raise NotCitable(
            f"The protocols of {known.claim.id} disagree at scale {largest.scale}. Name the one to cite; its citation mentions "
            f"the other:\n{listed}"
        )
    return Chosen(level[0], contrary(known, level[0]))


def contrary(known: Known, cited: Attempt) -> tuple[Attempt, ...]:
    """Return the attempts at the same claim that a citation must not hide, the latest first.

    Those that ran to their end as sealed, at a scale that decides for them, and came out otherwise. One that has become stale or
    disputed is among them: changing a margin must not hide what came out under the old one. Withdrawn and tampered ones are not,
    nor are imported ones whose origin nothing proves: anybody could have made those up.
    """
    found = [
        each
        for each in known.attempts
        if each.id != cited.id
        and each.execution == "completed"
        and not each.exploratory
        and origin_proven(each)
        and each.scale in each.sealed.decisive
        and known.validity_of(each) not in ("invalidated", "tampered")
        and _outcome(each) in _TOLD_APART
        and _outcome(each) != _outcome(cited)
    ]
    return tuple(sorted(found, key=_time, reverse=True))


def _asked(known: Known, attempt: str | None, protocol: str | None, scale: str | None) -> list[Attempt]:
    if attempt is not None and attempt not in {each.id for each in known.attempts}:
        raise ReproError(
            f"There is no attempt '{attempt}' at {known.claim.id}.{nearest(attempt, [a.id for a in known.attempts])}"
        )
    if protocol is not None and protocol not in {*known.claim.protocols, *(a.protocol for a in known.attempts)}:
        raise ReproError(f"{known.claim.id} has no protocol '{protocol}'.{nearest(protocol, known.claim.protocols)}")
    if scale is not None and scale not in SCALES:
        raise ReproError(f"There is no scale '{scale}'.{nearest(scale, SCALES)}")
    return [
        each
        for each in known.attempts
        if (attempt is None or each.id == attempt)
        and (protocol is None or each.protocol == protocol)
        and (scale is None or each.scale == scale)
    ]


def _what_is_missing(known: Known, asked: Sequence[Attempt], words: str) -> str:
    """Return what would have to be there, for the attempt that lacks least. `words` is what was asked for, as `repro run` takes it."""
    claim = known.claim
    if not asked:
        if claim.blocked is not None:
            return (
                f"{claim.id} cannot be cited: it is blocked since {claim.blocked.since}.\n- Missing: {claim.blocked.missing}\n"
                f"- What would unblock it: {claim.blocked.unblock}"
            )
        if known.attempts:
            tried = "\n".join(f"- {each.id}" for each in sorted(known.attempts, key=_time, reverse=True)[:5])
            return f"{claim.id} has no attempt at {words}. Run one: repro run {claim.id} {words}\nThere is:\n{tried}"
        scales = sorted(
            {scale for each in claim.protocols.values() for scale in each.decisive}, key=_LARGEST_FIRST.index
        )
        where = f" scale={scales[-1]}" if scales else ""
        return f"{claim.id} cannot be cited: it was never run.\n- Run it: repro run {claim.id}{where}"
    nearest_one = min(sorted(asked, key=_time, reverse=True), key=lambda each: len(known.missing_of(each)))
    lines = "".join(f"\n- {sentence}" for sentence in known.missing_of(nearest_one))
    rest = len(asked) - 1
    others = ""
    if rest:
        plural = "attempts lack" if rest > 1 else "attempt lacks"
        others = f"\n{rest} other {plural} as much or more; repro cite {claim.id} --attempt ID says what."
    return f"{nearest_one.id} cannot be cited yet. What is missing:{lines}{others}"


def _outcome(attempt: Attempt) -> str:
    return attempt.verdict.outcome if attempt.verdict else ""


def _size(attempt: Attempt) -> int:
    return _LARGEST_FIRST.index(attempt.scale) if attempt.scale in _LARGEST_FIRST else len(_LARGEST_FIRST)


def _time(attempt: Attempt) -> tuple[str, int, str]:
    return attempt.started, attempt.counter, attempt.id
