"""What a sealed plan can decide, said before anything runs: power, the seeds that 80 and 95 % need, and what never decides.

Power is the probability of a match if the claim is exactly true, by the very rule that will judge: the same critical
values, α shared by the looks, the published value's own variance. Pure: seal and pilot in, forecast out.
"""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from repro.judge.prospect import WORTH_RUNNING, Forecast, Pilot, prospect_of, seeds_for
from repro.schema.verdict import Sealed
from repro.stats.power import LookPower

__all__ = ["Forecast", "Outlook", "Pilot", "forecast"]


@dataclass(frozen=True)
class Outlook:
    """The power of a sealed claim: all its parts must match.

    Its power is the product of its parts' powers: exact if they err independently, never below Bonferroni's bound, and for
    two-sided rules and jointly normal estimates no more than the truth however they are correlated (Šidák 1967).
    """

    parts: tuple[Forecast, ...]
    units_now: int
    power_now: float | None
    """Of the parts whose power is known; None if none is."""
    units_80: int | None
    units_95: int | None
    expected_units: float | None
    """Seeds that will run on average if the claim is exactly true, where there are several looks; an upper bound with parts."""
    refusal: str
    """Why the plan must not be sealed as one that decides; empty if it may."""

    @property
    def undecidable(self) -> str:
        """Why no number of seeds decides, of the first part where that is so."""
        return next((part.undecidable for part in self.parts if part.undecidable), "")


def forecast(sealed: Sealed, pilots: Mapping[str, Pilot]) -> Outlook:
    """Forecast what a sealed plan can decide.

    Args:
        sealed: the plan's seal.
        pilots: by part, what is known of its scatter; a part without one is of unknown power.
    """
    prospects = [prospect_of(name, part, pilots.get(name), sealed) for name, part in sealed.parts.items()]
    known = [prospect.at for prospect in prospects if prospect.at is not None]
    seeds = len(sealed.replicates)
    undecidable = any(prospect.forecast.undecidable for prospect in prospects)

    def power(n: int) -> float:
        return math.prod(at(n).by[-1] for at in known)

    said = [prospect.forecast.power_now for prospect in prospects if prospect.forecast.power_now is not None]
    least = max(prospect.least for prospect in prospects)
    wanted = {} if undecidable or not known else {p: seeds_for(p, power, sealed, least) for p in (0.8, 0.95)}
    found = Outlook(
        parts=tuple(prospect.forecast for prospect in prospects),
        units_now=seeds,
        power_now=math.prod(said) if said else None,
        units_80=wanted.get(0.8),
        units_95=wanted.get(0.95),
        expected_units=_expected(sealed, [at(seeds) for at in known]) if len(known) == len(prospects) else None,
        refusal="",
    )
    too_few = next((prospect.too_few for prospect in prospects if prospect.too_few), "")
    too_few += f"; plan replicates={found.units_80 or least * sealed.looks}" if too_few else ""
    return replace(found, refusal=_refusal(sealed, found, too_few))


def _expected(sealed: Sealed, powers: Sequence[LookPower]) -> float | None:
    """Return the seeds run on average: a look more each time the ones before did not find all parts to match."""
    if sealed.looks == 1 or not powers:
        return None
    if len(powers) == 1:
        decided = powers[0].by
    else:
        together = [max(0.0, 1 - sum(1 - power.at[look] for power in powers)) for look in range(sealed.looks)]
        decided = tuple(max(together[: look + 1]) for look in range(sealed.looks))
    per_look = len(sealed.replicates) / sealed.looks
    return per_look * (1 + sum(1 - share for share in decided[:-1]))


def _refusal(sealed: Sealed, outlook: Outlook, too_few: str) -> str:
    if sealed.scale not in sealed.decisive:
        return ""
    if outlook.undecidable:
        return outlook.undecidable
    if too_few:
        return too_few
    if outlook.power_now is None or outlook.power_now >= WORTH_RUNNING:
        return ""
    sources = ", ".join(dict.fromkeys(part.spread_from for part in outlook.parts if part.power_now is not None))
    cure = (
        f"80 % needs {outlook.units_80} seeds: replicates={outlook.units_80}"
        if outlook.units_80
        else "no number of seeds is known to reach 80 %"
    )
    share = f"{100 * outlook.power_now:.0f} %" if outlook.power_now >= 0.01 else "less than 1 %"
    return (
        f"with {outlook.units_now} seeds it would be found to match {share} of the time if the claim is "
        f"exactly true (spread from {sources}), and would else most likely end undecided; {cure}"
    )
