"""What a plan costs: FLOPs as recipes count them, hours from speeds that were measured or assumed aloud, money."""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from repro.launch.records.store import RecordStore
from repro.schema.canonical import canonical_json
from repro.schema.errors import PlanError
from repro.schema.trial import TrialRecord, TrialSpec


@dataclass(frozen=True)
class Budget:
    """What the user says of hardware and money."""

    price: float | None = None
    """Of one GPU-hour, in whatever currency."""
    max_gpu_hours: float | None = None
    peak_flops: float | None = None
    """Peak FLOP/s of the device, from its data sheet."""
    utilisation: float | None = None
    """Share of the peak that training reaches."""

    def __post_init__(self) -> None:
        if (self.peak_flops is None) != (self.utilisation is None):
            raise PlanError("--peak-flops and --utilisation go together: the assumed speed is their product.")
        for name in ("price", "max_gpu_hours", "peak_flops", "utilisation"):
            value = getattr(self, name)
            if value is not None and not (0 <= value < float("inf")):
                raise PlanError(f"--{name.replace('_', '-')} must be a number of at least 0, not {value}.")
        if self.utilisation is not None and not 0 < self.utilisation <= 1:
            raise PlanError(f"--utilisation is a share between 0 and 1 (0.4 for 40 %), not {self.utilisation:g}.")
        if self.peak_flops == 0:
            raise PlanError("--peak-flops must be more than 0.")


@dataclass(frozen=True)
class Cost:
    """Expected cost of some trials, one after the other on one device."""

    flops: float | None
    """None where a recipe does not say."""
    seconds: float | None
    """None where no speed is known."""
    seconds_from: str
    """In words."""
    flops_per_s: float | None
    """The speed behind it, measured or assumed; None where the same trials ran before, or nothing is known."""
    limit_s: float | None
    """The time limits of all trials: no more can be spent."""
    device: str
    """`cpu` or `cuda`."""
    price: float | None
    """Of one GPU-hour."""

    @property
    def gpu_hours(self) -> float | None:
        """0 on a CPU."""
        return 0.0 if self.device != "cuda" else None if self.seconds is None else self.seconds / 3600

    @property
    def cpu_hours(self) -> float | None:
        """0 on a GPU."""
        return 0.0 if self.device == "cuda" else None if self.seconds is None else self.seconds / 3600

    @property
    def money(self) -> float | None:
        """GPU-hours at the price; None without a price or hours."""
        return None if self.price is None or self.gpu_hours is None else self.gpu_hours * self.price

    def times(self, factor: float) -> "Cost":
        """Return the cost of so many times as many trials."""

        def scaled(value: float | None) -> float | None:
            return None if value is None else value * factor

        return replace(self, flops=scaled(self.flops), seconds=scaled(self.seconds), limit_s=scaled(self.limit_s))


@dataclass(frozen=True)
class Speeds:
    """How fast trials ran in this directory."""

    flops_per_s: Mapping[tuple[str, str], float]
    """By recipe and device, of records that count FLOPs."""
    seconds: Mapping[str, float]
    """Mean run time of a cell, by its name: any seed takes as long."""


def speeds(store: RecordStore) -> Speeds:
    """Return the speeds that the finished records of a store show."""
    return speeds_of(
        Timing(
            _cell(record),
            record.recipe,
            record.device,
            sum(row.get("flops") or 0.0 for row in record.rows),
            record.seconds,
        )
        for record in store.all()
    )


@dataclass(frozen=True)
class Timing:
    """How long one trial took."""

    cell: str
    """As `cell_name` says it."""
    recipe: str
    device: str
    flops: float
    """As counted; 0 where the recipe counts none."""
    seconds: float


def speeds_of(timings: Iterable[Timing]) -> Speeds:
    """Return the speeds that trials show."""
    totals: dict[tuple[str, str], tuple[float, float]] = {}
    times: dict[str, list[float]] = {}
    for timing in timings:
        times.setdefault(timing.cell, []).append(timing.seconds)
        if timing.flops:
            before = totals.get((timing.recipe, timing.device), (0.0, 0.0))
            totals[timing.recipe, timing.device] = (before[0] + timing.flops, before[1] + timing.seconds)
    per_s = {where: flops / seconds for where, (flops, seconds) in totals.items() if seconds}
    return Speeds(per_s, {cell: sum(found) / len(found) for cell, found in times.items()})


def cost_of(trials: Sequence[TrialSpec], known: Speeds, budget: Budget) -> Cost:
    """Return what trials of one device will cost.

    Times come from earlier trials of the same cell, else from the FLOP/s of earlier trials of the same recipe and device, else
    from the speed that the user assumes; else they are unknown.
    """
    costs = [spec.cost for spec in trials if spec.cost is not None]
    flops = sum(costs) if len(costs) == len(trials) else None
    limits = [spec.time_limit_s for spec in trials if spec.time_limit_s is not None]
    device = next((spec.device for spec in trials), "cpu")
    seconds, source, speed = _seconds(trials, flops, known, budget)
    limit = sum(limits) if len(limits) == len(trials) else None
    return Cost(flops, seconds, source, speed, limit, device, budget.price)


def _seconds(
    trials: Sequence[TrialSpec], flops: float | None, known: Speeds, budget: Budget
) -> tuple[float | None, str, float | None]:
    if not trials:
        return 0.0, "nothing to run", None
    cells = [_cell(spec) for spec in trials]
    if all(cell in known.seconds for cell in cells):
        return sum(known.seconds[cell] for cell in cells), "as long as the same trials took before", None
    measured = known.flops_per_s.get((trials[0].recipe, trials[0].device))
    if flops is not None and measured:
        return flops / measured, "at the speed that trials of this recipe had here", measured
    if flops is not None and budget.peak_flops and budget.utilisation:
        assumed = budget.peak_flops * budget.utilisation
        return flops / assumed, "at the speed that was assumed", assumed
    if flops is None:
        return None, "time unknown: the recipe does not say its FLOPs", None
    return None, "time unknown until a trial of this recipe has run here", None


def _cell(trial: TrialSpec | TrialRecord) -> str:
    return cell_name(trial.recipe, trial.device, trial.precision, trial.config)


def cell_name(recipe: str, device: str, precision: str, config: Mapping[str, Any]) -> str:
    """Return the name of a trial's cell: trials that differ in their seed alone are of one."""
    return canonical_json(
        [recipe, device, precision, {name: value for name, value in config.items() if name != "seed"}]
    )


def check_limit(trials: Collection[TrialSpec], cost: Callable[[Sequence[TrialSpec]], Cost], budget: Budget) -> None:
    """Refuse a plan whose GPU-hours exceed, or may exceed, what the user allows.

    Args:
        trials: everything that may still run.
        cost: of trials of one device.
        budget: with the limit.

    Raises:
        PlanError: with the expected hours, or with how to have them known.
    """
    if budget.max_gpu_hours is None:
        return
    hours, unknown = 0.0, 0
    by_recipe: dict[str, list[TrialSpec]] = {}
    for spec in trials:
        if spec.device == "cuda":
            by_recipe.setdefault(spec.recipe, []).append(spec)
    for group in by_recipe.values():
        expected = cost(group)
        if expected.gpu_hours is not None:
            hours += expected.gpu_hours
        elif expected.limit_s is not None and expected.limit_s / 3600 <= budget.max_gpu_hours:
            hours += expected.limit_s / 3600
        else:
            unknown += len(group)
    if unknown:
        raise PlanError(
            f"--max-gpu-hours {budget.max_gpu_hours:g}: how long {unknown} GPU trials take is unknown, and their time limits alone "
            f"allow more. Run one smaller scale on that machine first, or say what to assume: --peak-flops 9.9e14 --utilisation 0.4."
        )
    if hours > budget.max_gpu_hours:
        raise PlanError(
            f"The plan needs about {hours:.3g} GPU-hours, more than --max-gpu-hours {budget.max_gpu_hours:g}. "
            f"Nothing was sealed. Allow more, take fewer seeds (replicates=), or choose a smaller scale."
        )
