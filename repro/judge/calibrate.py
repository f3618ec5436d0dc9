"""How often a sealed protocol decides rightly where the truth is known: its own estimator and rule on simulated data.

Pure: everything comes in as arguments, chance from a seed. The error rates of the bare rule, whatever the protocol, are in
`repro.judge.error_rates`.
"""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from repro.judge.controls import combined
from repro.judge.looks import judge_look_by_look, seeds_of_look
from repro.judge.rule import judge
from repro.judge.scenarios import Truth, in_logs, is_exact, truths
from repro.schema.calibration import Calibration, Scenario
from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate, Outcome, Sealed, Verdict
from repro.stats.simulators.estimates import draw_estimate

Estimates = Mapping[str, Estimate]
FROM_RECORDS = ("trend", "reference_convergence")
"""Kinds that decide by what stands in the estimate's extras; a drawn value says nothing of that."""

OWN_DRAWS = ("repetition of the draws", "bootstrap batch", "start", "slice of the starting grid")
"""Resampling units that an estimator makes itself, from the same data each time."""

WEAK = 0.5
"""A protocol that says match less often than this if the claim is true more often than not decides nothing."""

WORST_FIRST: tuple[Outcome, ...] = ("match", "inconclusive", "mismatch")
"""Of verdicts on a false claim."""


@dataclass(frozen=True)
class Template:
    """What a calibration starts from: the estimates of an attempt and, for a simulator, its records."""

    sealed: Sealed
    recorded: Estimates
    """Of the main arm."""
    controls: Sequence[Mapping[str, Estimates]] | None
    """Of each control, as recorded, look by look; None without an attempt: they are then taken to fail, as they must."""
    noise_from: str
    """The attempt's id, or `published`."""
    records: Sequence[TrialRecord] = ()
    """Of the main arm."""
    estimate: Callable[[Sequence[TrialRecord]], Estimates] | None = None
    """The sealed estimator with its arguments."""
    simulate: (
        Callable[[Sequence[TrialRecord], Mapping[str, float], np.random.Generator], Sequence[TrialRecord]] | None
    ) = None
    """Its simulator with the same arguments; None where it has none."""
    simulator: str = ""
    """Its dotted name."""
    sources: str = ""
    """Digest of the simulator and of the code that judges."""
    note: str = ""


def scenarios_of(template: Template) -> list[Truth]:
    """Return the scenarios to simulate.

    Raises:
        EstimateError: if a part has no recorded value with an error, so that there is no noise to simulate.
    """
    sealed = template.sealed
    for name in sealed.parts:
        estimate = template.recorded.get(name)
        if estimate is None or estimate.value is None:
            why = f" {estimate.note}" if estimate is not None and estimate.note else ""
            raise EstimateError(f"{sealed.claim}, part '{name}': the attempt has no value to start from.{why}")
        kind = sealed.parts[name].rule.kind
        if kind in FROM_RECORDS and template.simulate is None:
            raise EstimateError(
                f"{sealed.claim}, part '{name}': a rule of kind {kind} decides by figures that records alone give, and "
                f"{sealed.estimator} has no simulator of records."
            )
    return list(truths(sealed, template.recorded))


def calibrate(
    template: Template, *, draws: int, seed: int = 0, on_draw: Callable[[], None] | None = None
) -> Calibration:
    """Simulate attempts under each scenario and count their verdicts.

    Draw i of a scenario depends on the seed, the scenario and i alone, so that a longer calibration begins with a shorter
    one. Where nothing is random one draw tells all; it still goes through the estimator and the rule.

    Args:
        template: what was sealed, and what an attempt showed of its noise.
        draws: simulated attempts a scenario.
        seed: of all chance.
        on_draw: called after each draw.

    Raises:
        EstimateError: if the noise cannot be simulated. A false value that the simulator cannot make is left out, and the
            note says so.
    """
    sealed = template.sealed
    exact = all(is_exact(template.recorded[name]) for name in sealed.parts if name in template.recorded)
    number = 1 if exact else draws
    template = _with_values_alone(template) if exact else template
    found: list[Scenario] = []
    impossible: list[str] = []
    for index, truth in enumerate(scenarios_of(template)):
        counts: Counter[Outcome] = Counter()
        try:
            for draw in range(number):
                counts[outcome_of(template, truth, np.random.default_rng([seed, index, draw]))] += 1
                if on_draw is not None:
                    on_draw()
        except EstimateError as error:
            if truth.truth == "true":
                raise
            impossible.append(f"False by {truth.name} ({', '.join(truth.parts)}) could not be simulated: {error}")
            continue
        found.append(
            Scenario(
                truth=truth.truth,
                name=truth.name,
                values=truth.values,
                draws=number,
                match=counts["match"],
                mismatch=counts["mismatch"],
                inconclusive=counts["inconclusive"],
                parts=truth.parts,
            )
        )
    units = min((template.recorded[name].n for name in sealed.parts), default=0)
    return Calibration(
        seal=sealed.digest,
        claim=sealed.claim,
        protocol=sealed.protocol,
        scale=sealed.scale,
        scenarios=tuple(worst_of_exact(found) if exact else found),
        method="exact" if exact else "records" if template.simulate else "estimates",
        noise={name: template.recorded[name].spread for name in sealed.parts},
        noise_from=template.noise_from,
        units=units,
        unit=sealed.resampling_unit,
        seed=seed,
        note=" ".join(filter(None, (_weakness(found, exact), template.note, _note(template, exact), *impossible))),
        sources=template.sources,
    )


def _with_values_alone(template: Template) -> Template:
    """Return a template of exact values without its simulator if that cannot make the true records, and say why.

    Values can be shifted whatever they are computed from: an interval's end, a count, an R².
    """
    if template.simulate is None:
        return template
    truth = scenarios_of(template)[0]
    try:
        template.simulate(template.records, truth.values, np.random.default_rng(0))
    except EstimateError as error:
        if any(part.rule.kind in FROM_RECORDS for part in template.sealed.parts.values()):
            raise
        return replace(template, simulate=None, note=" ".join(filter(None, (template.note, _sentence(error)))))
    return template


def _sentence(error: EstimateError) -> str:
    said = str(error).strip()
    return f"No records were simulated: {said}{'' if said.endswith('.') else '.'}"


def _weakness(scenarios: Sequence[Scenario], exact: bool) -> str:
    """Return what is to be said of a protocol that seldom finds a true claim to be true; empty of others."""
    true = next(s for s in scenarios if s.truth == "true")
    if true.match / true.draws >= WEAK:
        return ""
    if exact:
        return "This protocol cannot find the claim true."
    return f"This protocol is weak: were the claim true, it would match {true.match} times in {true.draws} only."


def outcome_of(template: Template, truth: Truth, rng: np.random.Generator) -> Outcome:
    """Return the verdict of one simulated attempt, look by look if looks were sealed.

    Simulated records that the estimator refuses decide nothing.

    Raises:
        EstimateError: if the simulator cannot make records of this truth.
    """
    sealed, controls = template.sealed, template.controls
    if template.simulate is None or template.estimate is None:
        main = {
            name: draw_estimate(template.recorded[name], truth.values[name], rng, in_logs(part))
            for name, part in sealed.parts.items()
        }
        return _outcome(template, judge(sealed, {"main": main, **(controls[-1] if controls else {})}))
    estimate, simulated = template.estimate, template.simulate(template.records, truth.values, rng)

    def estimates_at(look: int) -> Mapping[str, Estimates]:
        seeds = set(seeds_of_look(sealed, look))
        read = [record for record in simulated if record.replicate in seeds] if look < sealed.looks else simulated
        try:
            main = estimate(read)
        except EstimateError as error:
            main = {name: Estimate(None, note=str(error)) for name in sealed.parts}
        return {"main": main, **(controls[look - 1] if controls else {})}

    _, verdict = judge_look_by_look(sealed, estimates_at)
    assert verdict is not None  # every look has its estimates
    return _outcome(template, verdict)


def _outcome(template: Template, verdict: Verdict) -> Outcome:
    """Return the outcome; without recorded controls that of the parts, as if every control had failed."""
    if template.controls is None and template.sealed.scale in template.sealed.decisive:
        return combined(verdict.parts)
    return verdict.outcome


def worst_of_exact(scenarios: Sequence[Scenario]) -> list[Scenario]:
    """Reduce the scenarios of single parts to the worst on each side of the margin: the one that is missed, if any is."""
    kept: dict[tuple[str, str], Scenario] = {}
    for scenario in scenarios:
        place = scenario.truth, scenario.name
        if place not in kept or _rank(scenario) < _rank(kept[place]):
            kept[place] = scenario
    return list(kept.values())


def _rank(scenario: Scenario) -> int:
    return next(i for i, outcome in enumerate(WORST_FIRST) if getattr(scenario, outcome))


def _note(template: Template, exact: bool) -> str:
    notes = []
    if template.controls is None:
        notes.append("Controls were taken to fail, as they must.")
    else:
        as_recorded = judge(template.sealed, {"main": template.recorded, **template.controls[-1]}).controls
        notes += [
            f"The control '{name}' {'did not fail' if control.failed is False else 'is undecided'} as recorded: a verdict is then "
            f"inconclusive whatever the main arm shows."
            for name, control in as_recorded.items()
            if control.failed is not True
        ]
    if template.sealed.scale not in template.sealed.decisive:
        notes.append(f"The scale {template.sealed.scale} never decides, so every verdict is inconclusive.")
    if template.simulate is None and template.sealed.looks > 1:
        notes.append("The last look alone was simulated.")
    if exact:
        if template.simulate is None:
            notes.append("The value was shifted, not the records behind it.")
        notes.append(
            "Nothing is sampled, so the rates say what the rule sees of a wrong number, and nothing about other data."
        )
    elif all(template.recorded[name].unit in OWN_DRAWS for name in template.sealed.parts):
        notes.append(
            "Published and measured value come from the same data, so the noise is that of the estimator's own draws alone: the "
            "rates say nothing about other runs."
        )
    return " ".join(notes)


def rate_interval(count: int, draws: int, level: float = 0.95) -> tuple[float, float]:
    """Return the exact binomial interval of a rate (Clopper & Pearson 1934, Biometrika 26, 404–413).

    >>> [round(end, 3) for end in rate_interval(97, 100)]
    [0.915, 0.994]

    Raises:
        ValueError: unless 0 ≤ count ≤ draws and draws ≥ 1.
    """
    from scipy.stats import beta

    if not 0 <= count <= draws or draws < 1:
        raise ValueError(f"a rate needs 0 ≤ count ≤ draws with at least one draw, not {count} of {draws}")
    tail = (1 - level) / 2
    low = float(beta.ppf(tail, count, draws - count + 1)) if count else 0.0
    high = float(beta.ppf(1 - tail, count + 1, draws - count)) if count < draws else 1.0
    return low, high
