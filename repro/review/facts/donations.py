"""What a donation would decide: the needs of blocked claims, and what GPU-hours would settle of both blocked and planned ones."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repro.review.book import Book
from repro.review.facts.next_runs import Run, next_runs
from repro.schema.blockage import NEED_KINDS, Blockage, Need, NeedKind, blockage_of
from repro.schema.claim import Claim

BUDGETS = (1.0, 10.0, 100.0, 1_000.0, 10_000.0, 100_000.0, 1_000_000.0)
"""Hours of one device that somebody might give."""


@dataclass(frozen=True)
class Wanted:
    """One thing that is missing and every claim that needs it."""

    need: Need
    claims: tuple[Claim, ...]
    besides: tuple[Need, ...]
    """What the claim that needs least would need besides."""

    @property
    def decides(self) -> bool:
        """Whether it alone would let a claim be run: nothing else is missing, computing apart."""
        return all(need.kind == "compute" for need in self.besides)


@dataclass(frozen=True)
class Budget:
    """What so many hours of a device would pay for."""

    hours: float
    runs: tuple[Run, ...]
    """Planned runs, those first that cost least for each open claim, as long as all together fit."""
    blocked: tuple[Claim, ...]
    """Blocked claims whose whole computing fits by itself, whatever else they lack."""
    alone: tuple[Claim, ...]
    """Those of `blocked` that lack nothing else."""

    @property
    def open_claims(self) -> int:
        """Open claims that the planned runs may decide."""
        return sum(len(run.steps) for run in self.runs)


def blocked_claims(book: Book) -> Mapping[str, Blockage]:
    """Return why each blocked claim is blocked, by the claim's id in order."""
    found = {name: blockage_of(book.claims[name]) for name in sorted(book.claims)}
    return {name: blockage for name, blockage in found.items() if blockage is not None}


def stand_ins(book: Book, blockage: Blockage) -> tuple[Claim, ...]:
    """Return the smaller claims that stand in for a blocked one."""
    return tuple(book.claims[name] for name in blockage.stand_ins if name in book.claims)


def standing_in(book: Book, claim: Claim) -> tuple[Claim, ...]:
    """Return the blocked claims for which this one stands in."""
    return tuple(book.claims[name] for name, blockage in blocked_claims(book).items() if claim.id in blockage.stand_ins)


def wanted(book: Book) -> Mapping[NeedKind, Sequence[Wanted]]:
    """Return what is missing by kind; what would decide a claim alone comes first, then what most claims need."""
    needing: dict[Need, list[str]] = {}
    blockages = blocked_claims(book)
    for name, blockage in blockages.items():
        for need in blockage.needs:
            needing.setdefault(need, []).append(name)
    found: dict[NeedKind, list[Wanted]] = {kind: [] for kind in NEED_KINDS}
    for need, names in needing.items():
        others = [tuple(other for other in blockages[name].needs if other != need) for name in names]
        claims = tuple(book.claims[name] for name in names)
        found[need.kind].append(Wanted(need, claims, min(others, key=_besides_compute)))
    for rows in found.values():
        rows.sort(key=lambda row: (not row.decides, -len(row.claims), row.need.device_hours or 0.0, row.need.what))
    return {kind: rows for kind, rows in found.items() if rows}


def budgets(book: Book) -> tuple[Budget, ...]:
    """Return what each of `BUDGETS` would pay for, leaving out those that pay for no more than the one before."""
    planned = [run for run in next_runs(book) if run.gpu_hours]
    planned.sort(key=lambda run: (run.hours_per_claim, run.study))
    hours = {name: sum(need.device_hours or 0.0 for need in b.needs) for name, b in blocked_claims(book).items()}
    found: list[Budget] = []
    for budget in BUDGETS:
        runs, spent = [], 0.0
        for run in planned:
            if run.gpu_hours is not None and spent + run.gpu_hours <= budget:
                runs.append(run)
                spent += run.gpu_hours
        blocked = tuple(book.claims[name] for name, needed in hours.items() if 0 < needed <= budget)
        alone = tuple(claim for claim in blocked if _lacks_nothing_but_compute(claim))
        if (runs or blocked) and not (
            found and (len(runs), len(blocked)) == (len(found[-1].runs), len(found[-1].blocked))
        ):
            found.append(Budget(budget, tuple(runs), blocked, alone))
    return tuple(found)


def _besides_compute(needs: Sequence[Need]) -> int:
    return sum(need.kind != "compute" for need in needs)


def _lacks_nothing_but_compute(claim: Claim) -> bool:
    blockage = blockage_of(claim)
    return blockage is not None and _besides_compute(blockage.needs) == 0
