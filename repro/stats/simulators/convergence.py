"""Tables of runs to convergence, one cell a part: every cell is drawn by itself, as its part is judged."""

from collections.abc import Callable, Mapping, Sequence
from typing import Literal

import numpy as np

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.stats.simulators.reference import submissions
from repro.stats.simulators.trend import Direction, levels

DROPPED = {"unet3d": 4}
"""Runs dropped at each end, where it is not one."""


def benchmarks(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    direction: Direction = "increasing",
) -> list[TrialRecord]:
    """Return runs whose epochs move with the batch size in the true order, one part a benchmark."""
    return _by(
        lambda record: str(record.config["benchmark"]),
        records,
        truth,
        lambda same, own: levels(same, own, rng, x="batch_size", y="epochs", runs="rows", direction=direction),
    )


def replaced_points(
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    rng: np.random.Generator,
    *,
    deviation: Literal["kept", "all"] = "kept",
    pruned: bool = False,
) -> list[TrialRecord]:
    """Return newer runs that take the true multiple of the older reference's epochs, one part a replaced point.

    A part is called benchmark, batch size and newer version: `bert_448_2_1_0`.
    """

    def drawn(same: Sequence[TrialRecord], own: Mapping[str, float]) -> list[TrialRecord]:
        config = same[0].config
        return submissions(
            same,
            own,
            rng,
            batch_size=float(config["batch_size"]),
            runs=1,
            dropped=DROPPED.get(str(config["benchmark"]), 1),
            deviation=deviation,
            pruned=pruned,
        )

    return _by(_point, records, truth, drawn)


def _point(record: TrialRecord) -> str:
    version = str(record.config["newer"]).removeprefix("training_").replace(".", "_")
    return f"{record.config['benchmark']}_{record.config['batch_size']}_{version}"


def _by(
    name: Callable[[TrialRecord], str],
    records: Sequence[TrialRecord],
    truth: Mapping[str, float],
    drawn: Callable[[Sequence[TrialRecord], Mapping[str, float]], Sequence[TrialRecord]],
) -> list[TrialRecord]:
    """Return the records, those of each part drawn together; in the order in which they came."""
    groups: dict[str, list[int]] = {}
    for i, record in enumerate(records):
        groups.setdefault(name(record), []).append(i)
    missing = sorted(truth.keys() - groups.keys())
    if missing:
        raise EstimateError(f"no runs can be drawn for part '{missing[0]}': no trial is of it.")
    new = list(records)
    for part, places in groups.items():
        if part in truth:
            found = drawn([records[i] for i in places], {"value": truth[part]})
            for i, record in zip(places, found, strict=True):
                new[i] = record
    return new
