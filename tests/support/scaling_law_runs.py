"""Training runs for the tests of scaling laws: drawn from a known law, or the published table where it is."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import pytest

from experiments.scaling_laws.parametric_fit import Config, run
from repro.schema.context import Context
from repro.schema.trial import Machine, TrialRecord
from repro.stats.scaling_laws.huber import Runs
from repro.stats.scaling_laws.law import Array, ParametricLaw
from repro.stats.scaling_laws.records import published_runs

EPOCH = ParametricLaw(E=1.8172, A=482.01, B=2085.43, alpha=0.3478, beta=0.3658)
"""Besiroglu et al. 2024."""

TEX = ParametricLaw(E=1.6933737, A=406.40102, B=410.72283, alpha=0.33917084, beta=0.2849083)
"""Hoffmann et al. 2022, TeX source, as Besiroglu et al. quote it."""

TABLE = "scaling/epoch_chinchilla_svg_extracted.csv"


def table() -> Path:
    """Return the published table, or skip."""
    path = Path(os.environ.get("REPRO_DATA", "")) / TABLE
    if not path.is_file():
        pytest.skip(f"REPRO_DATA has no {TABLE}")
    return path


def drawn_runs(law: ParametricLaw = EPOCH, n: int = 240, noise: float = 0.0, seed: int = 0) -> dict[str, Array]:
    """Return runs as Figure 4 has them: N from 6e7 to 1.6e10, D/N from 1 to 300, log-normal noise on L."""
    rng = np.random.default_rng(seed)
    params = np.exp(rng.uniform(np.log(6e7), np.log(1.6e10), n))
    tokens = params * np.exp(rng.uniform(np.log(1), np.log(300), n))
    return {"params": params, "tokens": tokens, "loss": law.loss(params, tokens) * np.exp(rng.normal(0, noise, n))}


def in_logs(runs: Mapping[str, Array]) -> Runs:
    """Return the runs as the fits take them."""
    return Runs(*(np.log(runs[name]) for name in ("params", "tokens", "loss")))


def records_of(rows: Sequence[Mapping[str, float]], config: Mapping[str, object] | None = None) -> list[TrialRecord]:
    """Return two replicates, from two processes, of a trial with these rows."""
    return [record(rows, {**(config or {}), "seed": seed}, seed) for seed in (0, 1)]


def drawn_records(**how: object) -> list[TrialRecord]:
    """Return `drawn_runs(**how)` as records."""
    runs = drawn_runs(**how)  # type: ignore[arg-type]
    return records_of([dict(zip(runs, row, strict=True)) for row in np.array(list(runs.values())).T.tolist()])


def published_records(**params: object) -> list[TrialRecord]:
    """Return the records of the recipe on the published table, or skip."""
    return records_of(run(Config(**params), Context(files={"epoch_chinchilla_points": table()})), params)


def record(
    rows: Sequence[Mapping[str, float]], config: Mapping[str, object], replicate: int = 0, status: str = "finished"
) -> TrialRecord:
    """Return one trial record."""
    machine = Machine("f", "cpu", 2, 1.0, "cpu", "Linux", "3.11", None, 1)
    return TrialRecord(
        key=f"{replicate:040d}",
        study="scaling_laws/test",
        recipe="experiments.scaling_laws.parametric_fit",
        config=config,
        replicate=replicate,
        sources="",
        device="cpu",
        precision="float32",
        measures="value",
        label="",
        status=status,  # type: ignore[arg-type]
        rows=tuple(rows),
        curves={},
        data={},
        seals=(),
        started="2025-01-01T00:00:00Z",
        seconds=0.0,
        machine=machine,
        process=str(replicate),
    )


def published_runs_in_logs() -> Runs:
    """Return the 240 published runs as the fits take them, or skip."""
    return published_runs(published_records())[0]
