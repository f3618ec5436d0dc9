"""Made-up attempts to cite, from hand and from the catalogue."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from repro.cite.citation.citable import Evidence, Known
from repro.cite.citation.facts import Citation, cite
from repro.schema.annotation import Annotation, continued
from repro.schema.claim import (
    Claim,
    Control,
    EstimatorSpec,
    Margin,
    Paper,
    Part,
    Protocol,
    Quantity,
    Rule,
    Target,
)
from repro.schema.verdict import Attempt, ControlVerdict, Estimate, PartVerdict, Sealed, SealedControl, Verdict

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DIGEST = "ab" * 32
SITE = "https://results.example.org/claim/widgets/exponent.html"
PAPER = Paper(
    "widgets",
    "Scaling Laws of Widgets",
    ("Ada Example", "Łukasz Žídek", "Teven Le Scao", "George van den Driessche"),
    2023,
    "arXiv",
    "2301.00001",
)
HOSTILE = 'a{b} }c{ $x_1$ 50 % of #1 & co \\input{/etc/passwd} ~^ "q" @misc{k, title={t}}\nER  - \r\n\tTY  - JOUR\x00\x1b[31m\u202eevil β≤模 ⁻⁹'
"""A title that closes groups, opens entries, starts comments and records, and colours terminals."""


def make_part(printed: str = "0.49", kind: str = "equivalence", source: str = "verified") -> Part:
    margin = Margin(absolute=0.12) if kind == "equivalence" else None
    return Part(Target(printed, source=source, locator="Table 2"), Rule(kind, margin, "Made up." if margin else ""))


def make_claim(parts: Mapping[str, Part] | None = None, **changed: Any) -> Claim:
    protocol = Protocol(
        "replication",
        "widgets/isoflop",
        EstimatorSpec("repro.stats.summary.mean_over_seeds"),
        ("gpu", "paper"),
        {"untuned": Control("differs", {"warmup": 3000})},
    )
    fields: dict[str, Any] = {
        "id": "widgets/exponent",
        "paper": "widgets",
        "statement": "The best size of a widget grows with the square root of its budget.",
        "locator": "Table 2, second row",
        "quantity": Quantity("a", "1", "d ln N / d ln C"),
        "parts": parts or {"value": make_part()},
        "protocols": {"retrain": protocol},
    }
    return Claim(**(fields | changed))


def part_verdict(part: Part, outcome: str, value: float | None, half: float = 0.0, n: int = 5) -> PartVerdict:
    exact = half == 0.0
    return PartVerdict(
        outcome,
        reason="underpowered" if outcome == "inconclusive" else None,
        detail="",
        estimate=Estimate(value, half / 2, None if exact else n - 1, n, "budget", deterministic=exact),
        target=part.target.value,
        half_width=0.005,
        margin=0.12,
        deviation=None if value is None else value - part.target.value,
        se=half / 2,
        dof=None if exact else n - 1,
        alpha=0.05,
        low=None if value is None or exact else value - half,
        high=None if value is None or exact else value + half,
    )


def make_attempt(
    claim: Claim | None = None,
    outcome: str = "match",
    measured: Mapping[str, tuple[str, float | None]] | None = None,
    half: float = 0.032,
    **changed: Any,
) -> Attempt:
    """Return a judged attempt that may be cited once its evidence is published.

    Args:
        claim: that it is an attempt at.
        outcome: of the attempt, and of each part that `measured` does not name.
        measured: outcome and value by part.
        half: half the interval's width.
        changed: fields of the attempt, and of its seal (`kind`, `decisive`, `controls`, `deterministic`, `indicative`).
    """
    claim = claim or make_claim()
    name = changed.pop("protocol", next(iter(claim.protocols)))
    protocol = claim.protocols[name]
    scale, counter = changed.pop("scale", "gpu"), changed.pop("counter", 1)
    sealed_fields: dict[str, Any] = {
        "claim": claim.id,
        "protocol": name,
        "scale": scale,
        "kind": protocol.kind,
        "parts": claim.parts,
        "estimator": protocol.estimator.target,
        "arguments": {},
        "estimator_sources": "e" * 64,
        "resampling_unit": "budget",
        "study": protocol.study,
        "trials": ("t1",),
        "replicates": (0, 1),
        "max_replicates": 2,
        "controls": {control: SealedControl(c.expect, {}, ("t9",)) for control, c in protocol.controls.items()},
        "decisive": protocol.decisive,
    }
    for field in ("kind", "decisive", "controls", "deterministic", "indicative", "arguments"):
        if field in changed:
            sealed_fields[field] = changed.pop(field)
    sealed = Sealed(**sealed_fields)
    default = {"match": 0.513, "mismatch": 0.72}.get(outcome, 0.6)
    found = {
        part: part_verdict(target, *(measured or {}).get(part, (outcome, default)), half=half)
        for part, target in claim.parts.items()
    }
    held = {control: ControlVerdict(c.expect, True, "", found) for control, c in sealed.controls.items()}
    reason = "underpowered" if outcome == "inconclusive" else None
    fields: dict[str, Any] = {
        "execution": "completed",
        "validity": "current",
        "exploratory": False,
        "arms": {"main": ("t1",)},
        "verdict": Verdict(outcome, reason, "", found, held),
        "provenance": {"commit": COMMIT, "dirty": False, "packages": {"repro-tracker": "0.1.0"}},
        "started": f"2026-05-1{counter}T09:03:11+00:00",
        "finished": f"2026-05-1{counter}T09:43:11+00:00",
        "compute_ratio": 0.008,
    }
    identity = changed.pop("id", f"{claim.id}@{name}@{scale}-{sealed.digest[:8]}-{counter}")
    return Attempt(identity, claim.id, name, scale, counter, sealed, **(fields | changed))


def make_known(*attempts: Attempt, claim: Claim | None = None, **changed: Any) -> Known:
    """Return what is known of a claim, with the evidence of every attempt published."""
    fields: dict[str, Any] = {
        "evidence": {attempt.id: Evidence(DIGEST, SITE) for attempt in attempts},
    }
    return Known(claim or make_claim(), PAPER, attempts, **(fields | changed))


def cited(attempt: Attempt | None = None, claim: Claim | None = None, paper: Paper = PAPER, **changed: Any) -> Citation:
    claim = claim or make_claim()
    given: dict[str, Any] = {"evidence_digest": DIGEST, "address": SITE}
    return cite(attempt or make_attempt(claim), claim, paper, **(given | changed))


def hostile() -> Citation:
    """Return the citation of an attempt whose every text tries to break out of its field."""
    claim = make_claim({HOSTILE: make_part()}, statement=HOSTILE, locator=HOSTILE, quantity=Quantity(HOSTILE))
    paper = Paper(
        "p", HOSTILE, (HOSTILE, "Normal Name"), 2021, HOSTILE, HOSTILE, HOSTILE, "javascript:alert(1)", HOSTILE
    )
    attempt = make_attempt(claim, "mismatch", controls={HOSTILE: SealedControl("mismatch", {}, ("t9",))})
    attempt = replace(
        attempt,
        provenance={"commit": HOSTILE, "packages": {"repro-tracker": HOSTILE}, "origin": {"signed_by": HOSTILE}},
    )
    note = Annotation(attempt.id, "author_reply", HOSTILE, HOSTILE, HOSTILE)
    return cited(attempt, claim, paper, annotations=(note,), contrary=[(replace(attempt, id=HOSTILE), "stale")])


def chain(*entries: Annotation) -> tuple[Annotation, ...]:
    """Return entries as a chain."""
    found: tuple[Annotation, ...] = ()
    for entry in entries:
        found = (*found, continued(found, entry))
    return found
