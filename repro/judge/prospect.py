"""What one part of a sealed claim can be expected to decide, given what is known of its scatter. Pure."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace

from repro.judge.comparison import Comparison, compare
from repro.judge.part import LEAST_PAIRS, LEAST_UNITS, critical, levels
from repro.schema.claim import Part
from repro.schema.verdict import Estimate, Sealed
from repro.stats.power import LookPower, equivalence_power, look_power, one_sided_power, units_needed

WORTH_RUNNING = 0.5
"""A plan of less power than this more likely than not ends undecided even if the claim is exactly true."""
ENDLESS = 10**9
"""Seeds at which only what no number of seeds can mend is left."""
WITHOUT_POWER = ("trend", "reference_convergence")
"""Rules that do not decide by a t interval; no formula for their power is offered."""


@dataclass(frozen=True)
class Pilot:
    """What is known of the scatter of one part before the launch."""

    estimate: Estimate
    """`spread` where the estimate is a mean of units, else `se` with `dof`; `value` where a value was seen."""
    source: str
    """Where from, in words: an attempt, a pilot, the paper."""
    seeds: int | None = None
    """Seeds that the estimate rests on, where known."""


@dataclass(frozen=True)
class Forecast:
    """The power of one part of a sealed claim."""

    part: str
    units_now: int
    """Seeds that the plan has."""
    power_now: float | None
    """None where it cannot be said; `note` says why."""
    units_80: int | None
    """Seeds that 80 % power needs; None if unknown, or if no number of seeds reaches it."""
    units_95: int | None
    undecidable: str
    """Why no number of seeds decides; empty if some may."""
    spread: float | None
    """Standard deviation of a single unit, or of the whole estimate where it is no mean of units."""
    spread_from: str
    note: str = ""


@dataclass(frozen=True)
class Prospect:
    """One part with its power as a function of the number of seeds."""

    forecast: Forecast
    at: Callable[[int], LookPower] | None
    too_few: str = ""
    """Why the rule would decide nothing at all with so few seeds at each look; empty if it may."""
    least: int = 1
    """Seeds that a look needs before the rule decides at all."""


def prospect_of(name: str, part: Part, pilot: Pilot | None, sealed: Sealed) -> Prospect:
    """Return the forecast of one part, and its power as a function of the seeds where that is known."""
    kind, seeds = part.rule.kind, len(sealed.replicates)
    blank = Forecast(name, seeds, None, None, None, "", None, pilot.source if pilot else "unknown")
    if kind in WITHOUT_POWER:
        return Prospect(replace(blank, note=f"the power of a rule of kind {kind} is not computed"), None)
    printed = part.target.value
    exact = compare(part, Estimate(printed, se=0.0, deterministic=True), sealed)
    if kind == "equivalence" and exact.half_width >= exact.margin:
        why = (
            f"the published {part.target.printed} is rounded to ±{part.target.half_width:g}, and the margin is no wider: "
            f"nothing can be shown to match it"
        )
        return Prospect(replace(blank, power_now=0.0, undecidable=why), None)
    if pilot is None and sealed.resampling_unit == "none" and sealed.deterministic:
        pilot = Pilot(Estimate(None, se=0.0, deterministic=True), "a deterministic study has no spread")
        blank = replace(blank, spread_from=pilot.source)
    exact_units = sealed.deterministic or (pilot is not None and pilot.estimate.deterministic)
    least = LEAST_PAIRS if kind == "ordering" else LEAST_UNITS
    least = 1 if exact_units or sealed.resampling_unit != "seed" else least
    too_few = _too_few(sealed, least)
    if kind in ("exact", "rounds_to"):
        decides = pilot is not None and pilot.estimate.deterministic
        note = "decides for sure" if decides else "this rule uses no interval: what is measured decides"
        return Prospect(replace(blank, power_now=1.0 if decides else None, note=note), None, too_few, least)
    if pilot is None:
        return Prospect(replace(blank, note="no spread is known"), None, too_few, least)
    truth = _assumed_truth(part, pilot, exact.margin)
    if truth is None:
        note = "how far beyond the bound the truth lies decides, and nothing says how far"
        return Prospect(replace(blank, spread=_scatter(pilot.estimate), note=note), None, too_few, least)
    if expected_estimate(pilot, truth, seeds, part) is None:
        return Prospect(replace(blank, note=f"{pilot.source} gave no spread"), None, too_few, least)
    at = _power_by_seeds(part, pilot, truth, sealed)
    shown = replace(blank, spread=_scatter(pilot.estimate), note=_note(pilot, truth, printed, sealed))
    endless = at(ENDLESS * sealed.looks).by[-1]
    if endless < WORTH_RUNNING and _is_mean(pilot.estimate):
        return Prospect(replace(shown, power_now=0.0, undecidable=_too_noisy(part, pilot, truth, sealed)), None)
    wanted = {p: seeds_for(p, lambda n: at(n).by[-1], sealed, least) for p in (0.8, 0.95)}
    return Prospect(
        replace(shown, power_now=at(seeds).by[-1], units_80=wanted[0.8], units_95=wanted[0.95]), at, too_few, least
    )


def expected_estimate(pilot: Pilot, truth: float, seeds: int, part: Part) -> Estimate | None:
    """Return the estimate to be expected from so many seeds if the truth is `truth`; None if its error is unknown.

    A mean of units has sd/√n. Of any other estimate only the error that was seen is known; seeds shrink the part of it that
    the estimator calls noise (`extras['se_noise']`), as 1/√seeds, and leave the rest and ν.
    """
    seen = pilot.estimate
    if seen.deterministic:
        return Estimate(truth, se=0.0, n=seen.n, unit=seen.unit, deterministic=True)
    factor = part.rule.margin is not None and part.rule.margin.factor is not None
    scale = truth / seen.value if factor and seen.value else 1.0
    if seen.spread is not None:
        n = max(1, round(seeds * (seen.n / pilot.seeds if pilot.seeds else 1)))
        lost = seen.n - seen.dof if seen.dof is not None else 1
        spread = abs(seen.spread * scale)
        flags = ("skew_guard",) if "skew_guard" in seen.flags else ()
        # With a single unit there is no degree of freedom and no decision; ν = ½ gives next to none.
        dof = max(n - lost, 0.5)
        return Estimate(truth, se=spread / math.sqrt(n), dof=dof, n=n, unit=seen.unit, spread=spread, flags=flags)
    if seen.se is None or not seen.dof:
        return None
    se = abs(seen.se * scale) * math.sqrt(_error_left(pilot, seeds))
    return Estimate(truth, se=se, dof=seen.dof, n=seen.n, unit=seen.unit)


def _error_left(pilot: Pilot, seeds: int) -> float:
    """Return the variance left with so many seeds, as a share of that of the pilot."""
    noise, se = pilot.estimate.extras.get("se_noise"), pilot.estimate.se
    if noise is None or not se or not pilot.seeds or "systematic_error" in pilot.estimate.flags:
        return 1.0
    share = min(1.0, (noise / se) ** 2)
    return 1 - share + share * pilot.seeds / seeds


def _power_by_seeds(part: Part, pilot: Pilot, truth: float, sealed: Sealed) -> Callable[[int], LookPower]:
    level, two_sided = levels(sealed).match, part.rule.kind == "equivalence"

    def expected(seeds: int) -> tuple[Estimate, Comparison]:
        estimate = expected_estimate(pilot, truth, seeds, part)
        assert estimate is not None
        return estimate, compare(part, estimate, sealed)

    def at(seeds: int) -> LookPower:
        estimate, measured = expected(seeds)
        room = measured.margin - measured.half_width
        deviation = -measured.deviation if part.rule.kind == "at_most" else measured.deviation
        target_se, borrowed = math.sqrt(measured.target_variance), "borrowed_spread" in measured.flags
        if sealed.looks > 1 and _is_mean(pilot.estimate) and seeds < ENDLESS:

            def critical_at(n: int) -> float:
                return critical(level, *_dof_and(expected(round(n * seeds / estimate.n))))

            return look_power(
                looks=sealed.looks,
                units=max(1, estimate.n // sealed.looks),
                sd=measured.estimate_se * math.sqrt(estimate.n),
                critical_at=critical_at,
                room=room,
                deviation=deviation,
                two_sided=two_sided,
                target_se=target_se,
                borrowed=borrowed,
            )
        c = critical(level, measured.dof, estimate)
        known = 0.0 if borrowed else target_se
        if two_sided:
            power = equivalence_power(deviation, measured.se, measured.estimate_dof, c, room, known)
        else:
            power = one_sided_power(deviation + room, measured.se, measured.estimate_dof, c, known)
        return LookPower((power,), (power,))

    return at


def _dof_and(expected: tuple[Estimate, Comparison]) -> tuple[float | None, Estimate]:
    estimate, measured = expected
    return measured.dof, estimate


def _assumed_truth(part: Part, pilot: Pilot, margin: float) -> float | None:
    """Return the value that is taken for true: the published one, unless the rule asks on which side of it the truth lies."""
    kind, printed, seen = part.rule.kind, part.target.value, pilot.estimate.value
    if kind == "equivalence" or (kind in ("at_least", "at_most") and margin > 0):
        return printed
    if kind == "ordering":
        return seen if seen is not None and seen > 0 else (printed if printed > 0 else None)
    beyond = seen is not None and (seen > printed if kind == "at_least" else seen < printed)
    return seen if beyond else None


def _is_mean(estimate: Estimate) -> bool:
    return estimate.spread is not None and not estimate.deterministic


def _scatter(estimate: Estimate) -> float | None:
    return estimate.spread if estimate.spread is not None else estimate.se


def _too_few(sealed: Sealed, least: int) -> str:
    per_look = len(sealed.replicates) // sealed.looks
    if per_look >= least:
        return ""
    at_each = f" at each of {sealed.looks} looks" if sealed.looks > 1 else ""
    seeds = "1 seed is" if per_look == 1 else f"{per_look} seeds are"
    return f"{seeds} too few{at_each}: the rule needs at least {least}"


def _too_noisy(part: Part, pilot: Pilot, truth: float, sealed: Sealed) -> str:
    estimate = expected_estimate(pilot, truth, ENDLESS, part)
    assert estimate is not None
    measured = compare(part, estimate, sealed)
    reach = critical(levels(sealed).match, measured.dof, estimate) * math.sqrt(measured.target_variance)
    left = measured.margin - measured.half_width - reach
    share = f"{100 * left / measured.margin:.2g} % of" if left > 0 and measured.margin > 0 else "nothing of"
    return (
        f"the paper's own spread and rounding leave {share} the margin even after endless seeds: "
        f"no number of seeds reaches {100 * WORTH_RUNNING:.0f} % power"
    )


def _note(pilot: Pilot, truth: float, printed: float, sealed: Sealed) -> str:
    seen, said = pilot.estimate, []
    if truth != printed:
        said.append(f"taking {truth:.4g} for the truth, as seen in {pilot.source}")
    if seen.spread is not None and seen.dof is not None and seen.dof < 4:
        said.append(f"a spread from {seen.n} units is a rough guide")
    if _is_mean(seen) or seen.deterministic:
        return "; ".join(said)
    if sealed.deterministic:
        said.append("more seeds change nothing: the study draws nothing at random")
    elif "systematic_error" in seen.flags:
        said.append("most of its error is systematic: more seeds do not shrink it")
    elif pilot.seeds and seen.extras.get("se_noise") is not None:
        said.append("more seeds shrink only the noise part of its error")
    else:
        said.append("it is no mean of seeds: what more of them would bring is not known beforehand")
    return "; ".join(said)


def seeds_for(wanted: float, power: Callable[[int], float], sealed: Sealed, least: int) -> int | None:
    """Return the fewest seeds with the wanted power: equally many at each look, and at least `least` at the first."""
    if sealed.deterministic:
        return None
    return units_needed(power, (least - 1) * sealed.looks, wanted, sealed.looks)
