"""What to run next: open claims by what a GPU-hour would decide. Nothing is laid out and nothing is guessed but the speed."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repro.review.book import Book, attempts_of, stands, state_of
from repro.schema.claim import Claim
from repro.schema.planned import PlannedCost
from repro.schema.verdict import Attempt

PEAK_FLOPS = 989e12
"""FLOP/s of one NVIDIA H100 SXM, dense bfloat16, from its data sheet."""
UTILISATION = 0.05
"""Share of the peak that is taken to be reached: small models reach little of it. An assumption, and named as one."""
ASSUMED_SPEED = "one H100 at 5 % of its peak of 989 TFLOP/s"


@dataclass(frozen=True)
class Step:
    """A claim that is open, and a run at a scale that may decide it."""

    claim: Claim
    protocol: str
    scale: str
    study: str
    cost: PlannedCost | None
    """None where it was not worked out; runs without compute to speak of have none either."""
    chance: float | None
    """Probability of a match or a mismatch if the claim is true, as simulated for this protocol and scale; None if unknown."""

    @property
    def free(self) -> bool:
        """Whether it needs no GPU: its scale takes seconds, or it runs on a CPU."""
        return self.scale == "full" or (self.cost is not None and self.cost.device == "cpu")


@dataclass(frozen=True)
class Run:
    """The trials of one study at one scale, and the open claims that read them."""

    study: str
    scale: str
    steps: tuple[Step, ...]

    @property
    def free(self) -> bool:
        """Whether it needs no GPU."""
        return self.steps[0].free

    @property
    def largest(self) -> PlannedCost | None:
        """The cost of the claim that needs most, with its controls; claims share the trials of the main arm."""
        costs = [step.cost for step in self.steps if step.cost is not None]
        return max(costs, key=lambda cost: (cost.flops or 0.0, cost.runs + cost.control_runs), default=None)

    @property
    def gpu_hours(self) -> float | None:
        """Planned FLOPs at the assumed speed; None where they are not known."""
        if self.free:
            return 0.0
        cost = self.largest
        return None if cost is None or cost.flops is None else cost.flops / (PEAK_FLOPS * UTILISATION) / 3600

    @property
    def hours_per_claim(self) -> float | None:
        """GPU-hours for each open claim that reads the trials."""
        return None if self.gpu_hours is None else self.gpu_hours / len(self.steps)

    @property
    def decided(self) -> float | None:
        """How many claims it is expected to decide, if all are true; None unless the chance of each is known."""
        chances = [step.chance for step in self.steps if step.chance is not None]
        return math.fsum(chances) if len(chances) == len(self.steps) else None

    @property
    def per_gpu_hour(self) -> float | None:
        """Claims that a GPU-hour is expected to decide."""
        if self.decided is None or not self.gpu_hours:
            return None
        return self.decided / self.gpu_hours


@dataclass(frozen=True)
class Stuck:
    """An open claim that was run at every scale that may decide it."""

    claim: Claim
    attempts: tuple[Attempt, ...]


def steps_of(book: Book, claim: Claim, known: Mapping[str, float]) -> tuple[Step, ...]:
    """Return the runs that may decide a claim and that no attempt which counts has made.

    Args:
        book: what the pages show.
        claim: an open one.
        known: what `chances` returns.
    """
    ran = {(a.protocol, a.scale) for a in attempts_of(book, claim.id) if stands(book, a)}
    found = []
    for name, protocol in claim.protocols.items():
        study = book.studies.get(protocol.study)
        for scale in protocol.decisive:
            if (name, scale) in ran or (study is not None and scale not in study.scales):
                continue
            place = f"{claim.id}@{name}@{scale}"
            found.append(Step(claim, name, scale, protocol.study, book.planned.get(place), known.get(place)))
    return tuple(found)


def open_claims(book: Book) -> tuple[Claim, ...]:
    """Return the claims that nothing has decided and nothing blocks, in order of their ids."""
    return tuple(
        book.claims[name]
        for name in sorted(book.claims)
        if state_of(book, book.claims[name]) in ("inconclusive", "not_run")
    )


def next_runs(book: Book) -> tuple[Run, ...]:
    """Return the runs that may decide open claims, most decided per GPU-hour first.

    Each claim stands at its cheapest run. What needs no GPU comes first, then runs whose chance to decide is known by claims per
    GPU-hour, then the others by GPU-hours per claim, and at the end those of unknown cost.
    """
    groups: dict[tuple[str, str], list[Step]] = {}
    known = chances(book)
    for claim in open_claims(book):
        steps = sorted(steps_of(book, claim, known), key=_cost)
        if steps:
            groups.setdefault((steps[0].study, steps[0].scale), []).append(steps[0])
    runs = [Run(study, scale, tuple(steps)) for (study, scale), steps in groups.items()]
    return tuple(sorted(runs, key=_rank))


def stuck(book: Book) -> tuple[Stuck, ...]:
    """Return the open claims for which no run is left, with the attempts at the scales that may decide."""
    found = []
    for claim in open_claims(book):
        if not steps_of(book, claim, {}):
            decisive = {(name, scale) for name, protocol in claim.protocols.items() for scale in protocol.decisive}
            attempts = [a for a in attempts_of(book, claim.id) if (a.protocol, a.scale) in decisive and stands(book, a)]
            found.append(Stuck(claim, tuple(attempts)))
    return tuple(found)


def chances(book: Book) -> Mapping[str, float]:
    """Return how probable a decision is if the claim is true, by `claim@protocol@scale`, as far as it was simulated.

    Of several seals the least hopeful counts: the next one is none of them.
    """
    found: dict[str, float] = {}
    for calibration in book.calibrations.values():
        place = f"{calibration.claim}@{calibration.protocol}@{calibration.scale}"
        for scenario in calibration.scenarios:
            if scenario.truth == "true" and scenario.draws:
                chance = (scenario.match + scenario.mismatch) / scenario.draws
                found[place] = min(chance, found.get(place, 1.0))
    return found


def _cost(step: Step) -> tuple[bool, bool, float, str]:
    flops = step.cost.flops if step.cost else None
    return not step.free, flops is None, flops or 0.0, step.scale


def _rank(run: Run) -> tuple[int, float, str, str]:
    if run.free:
        return 0, -len(run.steps), run.study, run.scale
    if run.per_gpu_hour is not None:
        return 1, -run.per_gpu_hour, run.study, run.scale
    if run.hours_per_claim is not None:
        return 2, run.hours_per_claim, run.study, run.scale
    return 3, 0.0, run.study, run.scale


def kinds(runs: Sequence[Run]) -> list[tuple[str, list[Run]]]:
    """Return runs by how they are ranked: `free`, `known`, `unknown` chance, and `cost` not known; none that is empty."""
    names = ("free", "known", "unknown", "cost")
    groups = [(name, [run for run in runs if _rank(run)[0] == place]) for place, name in enumerate(names)]
    return [(name, found) for name, found in groups if found]
