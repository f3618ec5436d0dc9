"""What two attempts differ in: everything that was sealed, where it ran and what came out, one line each."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.judge.numbers import duration, like_interval, significant, when
from repro.judge.reading import interval_text, published_text, reading, rule_text, status, why
from repro.review.facts.ran_on import digests, machines
from repro.review.wording.labels import counted
from repro.review.wording.words import EXPECTATIONS, control_status
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt, PartVerdict

Trials = Mapping[str, Sequence[TrialRecord]]
"""Records of attempts by their ids; of those that are not here nothing is said but what the attempts say themselves."""

ABSENT = "—"
"""What stands for a line that only the other attempt has."""


@dataclass(frozen=True)
class Difference:
    """One thing in which two attempts differ, or agree."""

    group: str
    name: str
    one: str
    other: str


@dataclass(frozen=True)
class _Line:
    """One thing about an attempt: what is compared, and how it reads."""

    group: str
    name: str
    raw: Any
    text: str


def differences(one: Attempt, other: Attempt, trials: Trials | None = None) -> Sequence[Difference]:
    """Return what two attempts differ in: seal, rule, parameters, estimator, seeds, provenance, machines and data, verdict,
    estimates, controls."""
    return [_difference(a, b) for a, b in _paired(one, other, trials or {}) if not _same(a, b)]


def agreements(one: Attempt, other: Attempt, trials: Trials | None = None) -> Sequence[Difference]:
    """Return what two attempts have in common, in the same order."""
    return [_difference(a, b) for a, b in _paired(one, other, trials or {}) if _same(a, b)]


def _paired(one: Attempt, other: Attempt, trials: Trials) -> Iterator[tuple[_Line, _Line]]:
    mine = {(line.group, line.name): line for line in _lines(one, other, trials.get(one.id, ()))}
    theirs = {(line.group, line.name): line for line in _lines(other, one, trials.get(other.id, ()))}
    groups = dict.fromkeys(group for group, _ in [*mine, *theirs])
    for group in groups:
        for key in dict.fromkeys(key for key in [*mine, *theirs] if key[0] == group):
            absent = _Line(*key, None, ABSENT)
            yield mine.get(key, absent), theirs.get(key, absent)


def _same(one: _Line, other: _Line) -> bool:
    # A value that is not a number differs from itself; what is written of it does not.
    return bool(
        (one.text == ABSENT) == (other.text == ABSENT) and (one.raw == other.raw or repr(one.raw) == repr(other.raw))
    )


def _difference(one: _Line, other: _Line) -> Difference:
    alike = one.text == other.text and not _same(one, other)
    # Where rounding hides the difference every digit is shown.
    first, second = (repr(one.raw), repr(other.raw)) if alike else (one.text, other.text)
    return Difference(one.group, one.name, first, second)


def _lines(attempt: Attempt, beside: Attempt, trials: Sequence[TrialRecord]) -> Iterator[_Line]:
    """Return all there is to say of an attempt, in the order in which it is read."""
    yield from _of_seal(attempt, beside)
    yield from _of_rule(attempt)
    yield from (_plain("Parameters", name, value) for name, value in _flat(_settings(attempt)))
    yield from (_plain("Estimator arguments", name, value) for name, value in _flat(attempt.sealed.arguments))
    yield _plain("Seeds", "replicates", attempt.sealed.replicates)
    yield from _of_provenance(attempt)
    yield from _of_trials(trials)
    yield from _of_verdict(attempt)
    yield from _of_estimates(attempt)
    yield from _of_controls(attempt)


def _of_seal(attempt: Attempt, beside: Attempt) -> Iterator[_Line]:
    sealed, group = attempt.sealed, "Seal"
    yield _plain(group, "seal", sealed.digest)
    for name in ("protocol", "scale", "kind", "study", "estimator", "estimator_sources", "resampling_unit"):
        yield _plain(group, name.replace("_", " "), getattr(sealed, name))
    common = len(set(sealed.trials) & set(beside.sealed.trials))
    trials = counted(len(sealed.trials), "trial") + f", {common} of them in both"
    yield _Line(group, "trials of the main arm", tuple(sorted(sealed.trials)), trials)
    for name in ("max_replicates", "looks", "alpha", "decisive", "exclusions", "deterministic", "same_recipe"):
        yield _plain(group, name.replace("_", " "), getattr(sealed, name))
    yield _plain(group, "indicative", sealed.indicative)


def _of_rule(attempt: Attempt) -> Iterator[_Line]:
    for name, part in attempt.sealed.parts.items():
        before = "" if name == "value" else f"{name}: "
        target = part.target
        yield _Line("Rule", f"{before}published", target.printed, published_text(part))
        yield _plain("Rule", f"{before}source", target.source)
        if target.interval:
            yield _Line("Rule", f"{before}published interval", target.interval, interval_text(target.interval))
        margin = part.rule.margin
        yield _Line("Rule", f"{before}a match is", (part.rule.kind, margin, target.printed), rule_text(part))
        yield _plain("Rule", f"{before}because", part.rule.because)
        yield _plain("Rule", f"{before}rivals", [f"{rival} {value}" for rival, value in part.rule.rivals.items()])


def _settings(attempt: Attempt) -> Mapping[str, Any]:
    """Return the study's settings as they hold at the attempt's scale; of a configuration without a study, all of it."""
    study = attempt.config.get("study")
    if not isinstance(study, Mapping):
        return {name: value for name, value in attempt.config.items() if name not in ("claim", "protocol")}
    scales = study.get("scales")
    changed = scales.get(attempt.scale) if isinstance(scales, Mapping) else None
    delta = {name: value for name, value in (changed or {}).items() if value is not None and name != "note"}
    params = {**(study.get("params") or {}), **(delta.pop("params", None) or {})}
    rest = {name: value for name, value in study.items() if name not in ("scales", "params", "note")}
    place = attempt.config.get("scale")
    where = {f"scale.{k}": v for k, v in place.items() if k != "description"} if isinstance(place, Mapping) else {}
    return {**params, **rest, **delta, **where}


def _of_provenance(attempt: Attempt) -> Iterator[_Line]:
    group, told = "Provenance", dict(attempt.provenance)
    packages = told.pop("packages", {})
    for name in ("commit", "dirty", "command"):
        if name in told:
            yield _plain(group, name, told.pop(name))
    yield from (_plain(group, name, value) for name, value in _flat(told))
    if isinstance(packages, Mapping):
        yield from (_plain(group, f"package {name}", version) for name, version in sorted(packages.items()))
    yield _plain(group, "overrides", attempt.overrides)
    yield _Line(group, "started", attempt.started, when(attempt.started))
    yield _Line(group, "time of all trials", attempt.seconds, duration(attempt.seconds))
    yield _plain(group, "compute over the paper's", attempt.compute_ratio)


def _of_trials(trials: Sequence[TrialRecord]) -> Iterator[_Line]:
    """Return what the records add; of an attempt whose trials all failed, or cannot be read, nothing."""
    if trials:
        yield _plain("Provenance", "ran on", machines(trials))
        yield _plain("Provenance", "precision", sorted({trial.precision for trial in trials}))
    yield from (_plain("Provenance", f"data {name}", sha) for name, sha in digests(trials).items())


def _of_verdict(attempt: Attempt) -> Iterator[_Line]:
    group, verdict = "Verdict", attempt.verdict
    yield _plain(group, "outcome", status(attempt))
    yield _plain(group, "reads", reading(attempt))
    if verdict is not None:
        yield _Line(group, "reason", verdict.reason, why(verdict) or "none needed")
        yield _plain(group, "detail", verdict.detail)
        yield _plain(group, "flags", verdict.flags)
        yield _plain(group, "decided at look", verdict.look)
    yield _plain(group, "validity when judged", attempt.validity)
    yield _plain(group, "exploratory", attempt.exploratory)


def _of_estimates(attempt: Attempt) -> Iterator[_Line]:
    group = "Estimates"
    for name, part in (attempt.verdict.parts if attempt.verdict else {}).items():
        before = "" if name == "value" else f"{name}: "
        yield _measured(group, f"{before}measured", part)
        yield _Line(
            group,
            f"{before}rests on",
            (part.estimate.n, part.estimate.unit),
            counted(part.estimate.n, part.estimate.unit),
        )
        yield _plain(group, f"{before}standard error", part.estimate.se)
        yield _plain(group, f"{before}degrees of freedom", part.dof)
        yield _plain(group, f"{before}deviation", part.deviation)
        yield _plain(group, f"{before}verdict", part.outcome)


def _of_controls(attempt: Attempt) -> Iterator[_Line]:
    group = "Controls"
    for name, control in (attempt.verdict.controls if attempt.verdict else {}).items():
        yield _Line(group, f"{name}: had to", control.expect, EXPECTATIONS[control.expect])
        yield _Line(group, f"{name}: did", control.failed, " ".join(control_status(control)))
        for part, decided in control.parts.items():
            yield _measured(group, f"{name}: measured" + ("" if part == "value" else f", {part}"), decided)


def _measured(group: str, name: str, part: PartVerdict) -> _Line:
    value, low, high = like_interval(part.estimate.value, part.low, part.high)
    ends = "" if part.low is None or part.high is None or part.low == part.high else f" ({low} to {high})"
    return _Line(group, name, (part.estimate.value, part.low, part.high), f"{value}{ends}")


def _plain(group: str, name: str, value: Any) -> _Line:
    return _Line(group, name, list(value) if isinstance(value, tuple) else value, _text(value))


def _text(value: Any) -> str:
    """Return a value as people read it; ones and noughts of a flag are yes and no."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return significant(value, 6)
    if isinstance(value, (list, tuple)):
        return ", ".join(map(_text, value)) or "none"
    return "none" if value is None or value == "" or value == {} else str(value)


def _flat(settings: Mapping[str, Any], before: str = "") -> Iterator[tuple[str, Any]]:
    """Return settings one by one; those of a setting after its name and a dot."""
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{before}{name}.")
        else:
            yield f"{before}{name}", value
