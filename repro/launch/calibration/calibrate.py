"""Calibrates protocols named by people, keeping what was computed by seal."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from functools import cache
from pkgutil import iter_modules

import numpy as np

import repro.judge
from repro.catalog.index import Index
from repro.catalog.recipe import source_digest
from repro.judge.calibrate import Template, calibrate, outcome_of, scenarios_of
from repro.judge.scenarios import is_exact
from repro.launch.calibration.templates import template_from_spread, template_of
from repro.launch.planning.stored import stored_attempts
from repro.ledger.calibrations import cached_or_none, keep
from repro.schema.calibration import Calibration
from repro.schema.canonical import digest_of
from repro.schema.errors import ConfigError, PlanError, ReproError, nearest
from repro.schema.trial import Plan, PlannedAttempt

SIZES = (400, 200, 100, 40)
"""Draws a scenario that are chosen from, by how long they take."""

SECONDS = 10.0
"""How long a calibration may take before fewer draws are made; the fewest are made however long they take."""


@dataclass(frozen=True)
class Wanted:
    """A protocol at a scale that was asked for."""

    claim: str
    protocol: str
    scale: str
    attempt: tuple[PlannedAttempt, Plan] | None
    """The latest one of this directory."""
    pilots: tuple[tuple[PlannedAttempt, Plan], ...]
    """The latest at each other scale."""

    @property
    def name(self) -> str:
        """`claim@protocol@scale`."""
        return f"{self.claim}@{self.protocol}@{self.scale}"

    def template(self) -> Template:
        """Return what to calibrate from.

        Raises:
            PlanError: if nothing shows how the data scatter.
        """
        if self.attempt is not None:
            found = template_of(*self.attempt)
        else:
            found = template_from_spread(self.claim, self.protocol, self.scale, self.pilots)
        return replace(found, sources=_sources(found.simulator))


def find(words: Sequence[str], index: Index) -> tuple[list[Wanted], list[ReproError]]:
    """Return the protocols that words name, `CLAIM[@PROTOCOL[@SCALE]]` with globs in each.

    Without a scale those that may decide are meant. Of one claim everything it could be run as is returned, so that what is
    missing can be said; a glob over claims takes what has an attempt. Beside it stand the errors of claims whose plans cannot
    be read.

    Raises:
        ConfigError: if a claim, protocol or scale does not exist.
        PlanError: if nothing that was named has an attempt or could have one.
    """
    found: dict[str, Wanted] = {}
    unreadable: list[ReproError] = []
    for word in words:
        pattern, _, rest = word.partition("@")
        protocol, _, scale = rest.partition("@")
        names = index.expand(pattern)
        known: set[str] = set()
        for name in names:
            several = len(names) > 1
            known |= {f"{p}@{s}" for p, entry in index.claims[name].protocols.items() for s in entry.scales}
            try:
                of_claim = _of_claim(name, index, protocol or "*", scale)
            except ReproError as error:
                unreadable.append(error)
                continue
            for wanted in of_claim:
                if wanted.attempt is not None or not several:
                    found.setdefault(wanted.name, wanted)
        if rest and not any(fnmatchcase(k, f"{protocol or '*'}@{scale or '*'}") for k in known):
            raise ConfigError(f"{pattern} has no protocol and scale '{rest}'.{nearest(rest, known)}")
    if not found and not unreadable:
        raise PlanError(
            f"No attempt of {', '.join(words)} that may decide was launched from this directory. Launch one: repro run {words[0]}"
        )
    return list(found.values()), unreadable


def _of_claim(name: str, index: Index, protocol: str, scale: str) -> list[Wanted]:
    latest: dict[tuple[str, str], tuple[PlannedAttempt, Plan]] = {}
    for planned, plan in sorted(stored_attempts(name), key=lambda pair: (pair[1].created, pair[0].counter)):
        if not planned.overrides:
            latest[planned.protocol, planned.scale] = planned, plan
    wanted = []
    for own, entry in index.claims[name].protocols.items():
        for at in entry.scales:
            if fnmatchcase(own, protocol) and (fnmatchcase(at, scale) if scale else at in entry.decisive):
                pilots = tuple(pair for (p, s), pair in latest.items() if p == own and s != at)
                wanted.append(Wanted(name, own, at, latest.get((own, at)), pilots))
    # Of several scales none of which was asked for, those that were run; the first where none was.
    run = [item for item in wanted if item.attempt is not None]
    return wanted if scale else run or wanted[:1]


def calibration_of(
    template: Template, draws: int | None, again: bool = False, on_draw: Callable[[int, int], None] | None = None
) -> tuple[Calibration, bool]:
    """Return the calibration of a seal, and whether it was there already.

    It is computed where there is none that can be read, where the code that judges or simulates has changed since, where
    another number of draws is asked for, and where it is asked for again. What is computed is kept.

    Args:
        template: what to calibrate from.
        draws: simulated attempts a scenario; None for as many as `SECONDS` allow.
        again: compute it in any case.
        on_draw: called after each draw with their number so far and in all.

    Raises:
        EstimateError: if there is no noise to simulate.
        StoreError: if it cannot be kept.
    """
    there = None if again else cached_or_none(template.sealed.digest)
    if there is not None and there.sources == template.sources:
        same = draws is None or there.method == "exact" or all(s.draws == draws for s in there.scenarios)
        if same and there.noise_from == template.noise_from:
            return there, True
    scenarios = len(scenarios_of(template))
    number = draws if draws is not None else draws_within(template, SECONDS)
    total, done = number * scenarios, 0

    def count() -> None:
        nonlocal done
        done += 1
        if on_draw is not None:
            on_draw(done, total)

    found = calibrate(template, draws=number, on_draw=count)
    keep(found)
    return found, False


def draws_within(template: Template, seconds: float) -> int:
    """Return how many draws a scenario fit into so many seconds, from `SIZES`; the fewest if none does."""
    each = seconds_a_draw(template)
    return next((size for size in SIZES if size * each <= seconds), SIZES[-1])


def seconds_a_draw(template: Template) -> float:
    """Return how long one draw of every scenario takes; nothing to speak of where nothing is random."""
    if all(is_exact(template.recorded[name]) for name in template.sealed.parts if name in template.recorded):
        return 0.0
    truth = scenarios_of(template)
    taken = []
    for draw in range(3):
        start = time.perf_counter()
        outcome_of(template, truth[0], np.random.default_rng(draw))
        taken.append(time.perf_counter() - start)
        if taken[-1] > 1:
            break
    return min(taken) * len(truth)


@cache
def _sources(simulator: str) -> str:
    judges = [f"repro.judge.{module.name}" for module in iter_modules(repro.judge.__path__)]
    modules = [*judges, simulator.rpartition(".")[0] or "repro.stats.simulators.estimates"]
    return digest_of({module: source_digest(module) for module in sorted(modules)})
