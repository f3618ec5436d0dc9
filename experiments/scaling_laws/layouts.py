"""Which training runs a study consists of: functions from a study's config to the fields of each of its runs.

No source of a trial: a run's fields are in its own config, so that another layout leaves the results of equal runs valid.
"""

from dataclasses import replace
from typing import Any

from experiments.scaling_laws.training_run import Config, schedule_of, shape_of

EMPTY_LAYOUT: dict[str, Any] = {
    "budgets": (),
    "widths": (),
    "depths": (),
    "first_size": (),
    "sizes": 0,
    "smaller": 0,
    "sources": (),
    "runs": (),
    "overrun": 1.0,
    "untuned_batch": 0.0,
    "untuned_lr": 0.0,
    "rates": (),
    "step_counts": (),
    "tokens_per_parameter": 0.0,
    "max_budgets": 0,
    "max_runs": 0,
}
"""The fields of a layout are emptied in every run, so that changing the layout leaves the keys of equal runs equal."""


def isoflop(config: Config) -> list[dict[str, Any]]:
    """Lay out IsoFLOP profiles: for each budget, `sizes` rungs of the ladder of shapes, and `smaller` below them.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    require_budgets(config)
    budgets = list(zip(config.budgets, config.first_size, config.runs, strict=True))[: config.max_budgets or None]
    return [
        {**size_of(config, rung), "source": source, "budget": budget, "run": run}
        for source in config.sources or (config.source,)
        for budget, first, runs in budgets
        for rung in range(max(0, first - config.smaller), first + config.sizes)
        for run in range(min(runs, config.max_runs or runs))
    ]


SCOUT_SEED = 1000
"""Seed of scout runs: no sealed trial has it."""


def scout(config: Config) -> list[dict[str, Any]]:
    """Lay out the runs that centre a study's grids: at each budget every other rung, from two below its sizes to two above.

    At the smallest budget three of those sizes also train at half and at twice the learning rate.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    require_budgets(config)
    cells = []
    for number, (budget, first) in enumerate(zip(config.budgets, config.first_size, strict=True)):
        if config.max_budgets and number >= config.max_budgets:
            break
        coarse = [rung for rung in range(first - 2, first + config.sizes + 2, 2) if 0 <= rung < len(config.widths)]
        inside = [rung for rung in coarse if first <= rung < first + config.sizes]
        swept = {inside[0], inside[len(inside) // 2], inside[-1]} if number == 0 else set()
        cells += [
            {**size_of(config, rung), "budget": budget, "lr": config.lr * factor, "evaluations": 1, "seed": SCOUT_SEED}
            for rung in coarse
            for factor in ((0.5, 1.0, 2.0) if rung in swept else (1.0,))
        ]
    return cells


def size_of(config: Config, rung: int) -> dict[str, Any]:
    """Return the fields of a run whose model stands on this rung of the ladder."""
    return {**EMPTY_LAYOUT, "n_layer": config.depths[rung], "d_model": config.widths[rung]}


def require_budgets(config: Config) -> None:
    """Raise `ValueError` unless budgets, first sizes, runs and the ladder fit together."""
    if not len(config.budgets) == len(config.first_size) == len(config.runs):
        raise ValueError("budgets, first_size and runs must be equally long")
    if len(config.widths) != len(config.depths):
        raise ValueError("widths and depths must be equally long")
    if max(config.first_size) + config.sizes > len(config.widths):
        raise ValueError(f"the ladder has {len(config.widths)} rungs, too few for first_size {config.first_size}")


def ladder(config: Config) -> list[dict[str, Any]]:
    """Lay out every rung of a ladder of shapes, all on the same `tokens`: `runs` of each.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    if not len(config.widths) == len(config.depths) == len(config.runs):
        raise ValueError("widths, depths and runs must be equally long")
    return [
        {**size_of(config, rung), "run": run}
        for rung, runs in enumerate(config.runs)
        for run in range(min(runs, config.max_runs or runs))
    ]


def ablation(config: Config) -> list[dict[str, Any]]:
    """Lay out four settings, each one step from the last, on the sizes and budgets of `isoflop` (Porian et al., Figure 1).

    Before tuning, all sizes share one batch and one learning rate. The first two settings, a warm-up of `warmup_tokens` and
    one of N tokens, have a constant rate: one run of each size, with its losses on the way, is read at all its budgets. It goes on
    to the budget after its last, or beyond the largest, as Kaplan's counting gives a small model more tokens. The third decays
    to the end of every budget, and the fourth has the config's own rules for batch and rate and no decay.

    Raises:
        ValueError: if the layout's tuples do not fit together.
    """
    require_budgets(config)
    at_budgets = isoflop(replace(config, runs=(1,) * len(config.budgets)))
    beyond = dict(zip(config.budgets, (*config.budgets[1:], config.overrun * config.budgets[-1]), strict=True))
    largest: dict[tuple[int, int], dict[str, Any]] = {}
    for cell in at_budgets:
        largest[cell["n_layer"], cell["d_model"]] = {**cell, "budget": beyond[cell["budget"]]}
    once = {"evaluations": 1, "first_evaluation": 0.0}
    one_setting = {"batch_tokens": config.untuned_batch, "batch_exponent": 0.0, "min_steps": 1}
    one_setting |= {"lr": config.untuned_lr, "lr_exponent": 0.0, "beta2": 0.95}
    scaled = {"warmup_tokens": 0.0, "warmup_share": 1.0}
    settings = (
        (largest.values(), {**one_setting, "decay": False}),
        (largest.values(), {**one_setting, **scaled, "decay": False}),
        (at_budgets, {**one_setting, **scaled, **once, "decay": True}),
        (at_budgets, {**scaled, **once, "decay": False}),
    )
    return [{**cell, **setting} for cells, setting in settings for cell in cells]


def sweep(config: Config) -> list[dict[str, Any]]:
    """Lay out a search for learning rate and batch: every one of `rates` with every one of `step_counts`.

    Every size trains at every budget; the first `sizes` also on `tokens_per_parameter`, at a constant rate after a warm-up of N
    tokens, as Porian et al. sweep. Numbers of steps that leave the same batch count once.
    """
    constant = {"decay": False, "warmup_share": 1.0}
    cells = []
    for rung in range(len(config.widths)):
        size = size_of(config, rung)
        extents: list[dict[str, Any]] = [{"budget": budget} for budget in config.budgets]
        if rung < config.sizes:
            params = shape_of(replace(config, **size)).parameters
            extents.append({"tokens": config.tokens_per_parameter * params, **constant})
        for extent in extents:
            batches = set()
            for steps in config.step_counts:
                cell = {**size, **extent, "min_steps": steps}
                batch = schedule_of(replace(config, **cell)).batch
                if batch not in batches:
                    batches.add(batch)
                    cells += [{**cell, "lr": rate} for rate in config.rates]
    return cells
