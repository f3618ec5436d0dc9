"""Estimate and verdict worked out again from the rows, and held against what a bundle claims."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace

from repro.cite.evidence.dossier import Dossier, as_records_show
from repro.cite.verification.agreement import Agreement, agreement
from repro.cite.verification.findings import VERDICT, Finding, Status
from repro.cite.verification.producer import Producer, same_arithmetic
from repro.cite.verification.rejudge import Installed, NotInstalled, NotJudged, installed_estimator, rejudge
from repro.judge.numbers import significant
from repro.judge.reading import reading
from repro.judge.rule import judge
from repro.schema.verdict import Attempt, Estimate, Verdict

_COURSE = (
    "id", "claim", "protocol", "scale", "execution", "validity", "exploratory", "arms", "started", "finished", "seconds",
    "compute_ratio", "message",
)  # fmt: skip
"""Fields of an attempt, besides its verdict, that follow from seal and records."""

Arms = Mapping[str, Mapping[str, Estimate]]
"""Estimates by arm and part."""


@dataclass(frozen=True)
class Recomputed:
    """What the rows give, and how that compares."""

    attempt: Attempt
    """The attempt from which all texts are to be made again: as recomputed; with the claimed verdict where a difference has
    another explanation than an edit."""
    findings: tuple[Finding, ...]


def recompute(dossier: Dossier, producer: Producer, vouched: bool) -> Recomputed:
    """Judge an attempt again.

    Args:
        dossier: as read from a bundle.
        producer: with which versions it was made.
        vouched: whether something outside the bundle stands for its bytes: then sentences may be worded as another version did.
    """
    claimed = dossier.attempt
    as_claimed = as_records_show(claimed, dossier.claim, dossier.records)
    try:
        installed = installed_estimator(claimed.sealed, len(dossier.records))
    except NotInstalled as error:
        told = f"The estimate cannot be recomputed here: {error} {producer.cure}"
        return Recomputed(as_claimed, (Finding("unknown", told, VERDICT), *_by_the_rule(claimed, producer, vouched)))
    try:
        again = rejudge(claimed, dossier.records, dossier.claim.paper_flops, installed.function)
    except NotJudged as error:
        status: Status = "fails" if installed.is_sealed_one else "unknown"
        told = f"{error} {'' if installed.is_sealed_one else producer.cure}".rstrip()
        return Recomputed(as_claimed, (Finding(status, told, VERDICT), *_by_the_rule(claimed, producer, vouched)))
    found = agreement(claimed.verdict, again.verdict)
    if found.exact:
        verdicts, basis = _same(again, dossier, installed, "byte for byte"), again
    elif found.close:
        excused = vouched or not same_arithmetic(dossier, producer)
        verdicts, basis = [_rounded(found, excused)], replace(again, verdict=claimed.verdict)
    elif found.alike and installed.is_sealed_one and not same_arithmetic(dossier, producer):
        verdicts, basis = [_alike(found)], replace(again, verdict=claimed.verdict)
    elif found.reworded and vouched:
        verdicts = [*_same(again, dossier, installed, "in every number and word that decides"), _reworded(found)]
        basis = replace(again, verdict=claimed.verdict)
    elif installed.is_sealed_one:
        verdicts, basis = [*_differing(claimed, again, found), *_by_the_rule(claimed, producer, vouched)], again
    else:
        told = (
            f"The estimator {claimed.sealed.estimator} that is installed here is another version than the sealed one, and gives "
            f"something else ({', '.join(found.differing[:3])}). That proves no forgery. {producer.cure}"
        )
        verdicts = [Finding("unknown", told, VERDICT), *_by_the_rule(claimed, producer, vouched)]
        basis = replace(again, verdict=claimed.verdict, execution=claimed.execution, message=claimed.message)
    wrong = [name for name in _COURSE if getattr(claimed, name) != getattr(basis, name)]
    if wrong:
        told = f"attempt.json says something else than its seal and records give, in {', '.join(wrong)}."
        verdicts.append(Finding("fails", told, VERDICT))
    else:
        told = "Start, end, run time, share of the paper's compute and validity are those that the records give."
        verdicts.append(Finding("holds", told, VERDICT))
    return Recomputed(basis, tuple(verdicts))


def _same(again: Attempt, dossier: Dossier, installed: Installed, how: str) -> list[Finding]:
    verdict = again.verdict
    if verdict is None:
        return [
            Finding("holds", "It has no verdict: not every trial that was sealed has a record that counts.", VERDICT)
        ]
    rows = sum(len(record.rows) for record in dossier.records)
    by = (
        "" if installed.is_sealed_one else " by another version of the estimator, with the same result to the last byte"
    )
    name = again.sealed.estimator.rpartition(".")[2]
    found = [
        Finding("holds", f"{name} was applied again to all {rows} rows{by}: {_values(verdict)}, {how}.", VERDICT),
        Finding("holds", f"By the sealed rule that is: {verdict.outcome} ({reading(again)}), {how}.", VERDICT),
    ]
    for control, decided in verdict.controls.items():
        how = {True: "failed, as it must", False: "did not fail", None: "stayed undecided"}[decided.failed]
        end = "" if decided.failed else " So the attempt cannot be decided."
        found.append(Finding("holds", f"The control {control} {how}: {decided.detail}{end}", VERDICT))
    return found


def _reworded(found: Agreement) -> Finding:
    told = (
        f"This version words {len(found.differing)} of its sentences otherwise ({', '.join(found.differing[:3])}). They decide "
        f"nothing, and are those that were vouched for."
    )
    return Finding("stated", told, VERDICT)


def _rounded(found: Agreement, excused: bool) -> Finding:
    told = f"Estimate and verdict are equal to {found.digits} digits, not byte for byte: "
    if excused:
        why = "processors and builds of numpy and scipy differ in last digits; everything discrete is equal."
        return Finding("holds", told + why, VERDICT)
    why = "numpy, scipy and processor are the producer's by the records, so the last digits must be equal too."
    return Finding("fails", told + why, VERDICT)


def _alike(found: Agreement) -> Finding:
    paths = ", ".join(found.differing[:4])
    more = f" and {len(found.differing) - 4} more" if len(found.differing) > 4 else ""
    told = (
        f"The rows give the same outcome for every part and control, and every number that decides to three digits. Beyond "
        f"the last digits differ {paths}{more}, which were worked out on another processor, or with another numpy or scipy."
    )
    return Finding("holds", told, VERDICT)


def _differing(claimed: Attempt, again: Attempt, found: Agreement) -> Iterator[Finding]:
    """Say in which values the rows contradict the claimed verdict."""
    if again.verdict is None or claimed.verdict is None:
        told = "gives no verdict" if again.verdict is None else f"gives {again.verdict.outcome}"
        yield Finding("fails", f"What is recorded {told}; the bundle claims another thing.", VERDICT)
        return
    yield from _differing_estimates(estimates_of(claimed.verdict), estimates_of(again.verdict))
    if claimed.verdict.outcome != again.verdict.outcome:
        told = f"The rows give the verdict {again.verdict.outcome}; the bundle claims {claimed.verdict.outcome}."
    else:
        told = f"The verdict differs from what the rows give in {', '.join(found.differing[:6])}."
    yield Finding("fails", told, VERDICT)


def _differing_estimates(claimed: Arms, again: Arms) -> Iterator[Finding]:
    """Name the values that the rows contradict, and count what differs in anything else."""
    values, others = [], set[str]()
    for arm, parts in again.items():
        for part, estimate in parts.items():
            told = claimed.get(arm, {}).get(part)
            found = agreement(told, estimate)
            if found.exact:
                continue
            name = "the estimate" if part == "value" else f"the estimate of {part}"
            name += "" if arm == "main" else f" in the control {arm}"
            if told is None or told.value != estimate.value:
                claims = significant(told.value, 8) if told else "none"
                values.append(f"{name} is {significant(estimate.value, 8)}, claimed is {claims}")
            others |= set(found.differing) - {"value"}
    more = f"; {len(values) - 4} more differ" if len(values) > 4 else ""
    besides = f"; estimates differ in {', '.join(sorted(others))}" if others else ""
    if values or others:
        told_all = "; ".join(values[:4]) or "the estimates have the claimed values"
        yield Finding("fails", f"Recomputed from the rows, {told_all}{more}{besides}.", VERDICT)


def _by_the_rule(claimed: Attempt, producer: Producer, vouched: bool) -> Iterator[Finding]:
    """Hold the claimed verdict against the claimed estimates, whatever estimator gave those."""
    if claimed.verdict is None:
        return
    again = replace(judge(claimed.sealed, estimates_of(claimed.verdict)), look=claimed.verdict.look)
    found = agreement(claimed.verdict, again)
    if found.close or (found.reworded and vouched):
        told = f"By the sealed rule, the estimates that it claims do give {again.outcome}."
        yield Finding("holds", told, VERDICT)
    else:
        told = (
            f"By the sealed rule, the estimates that it claims give something else ({', '.join(found.differing[:4])})."
        )
        yield Finding(producer.blame, told, VERDICT)


def estimates_of(verdict: Verdict) -> Arms:
    """Return the estimates that a verdict rests on, by arm and part."""
    arms = {"main": verdict.parts, **{name: control.parts for name, control in verdict.controls.items()}}
    return {arm: {name: part.estimate for name, part in parts.items()} for arm, parts in arms.items()}


def _values(verdict: Verdict) -> str:
    shown = [
        f"{'' if name == 'value' else f'{name} '}{significant(part.estimate.value, 6)}"
        for name, part in list(verdict.parts.items())[:4]
    ]
    return ", ".join(shown) + (f" and {len(verdict.parts) - 4} more parts" if len(verdict.parts) > 4 else "")
