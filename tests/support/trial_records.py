"""Trial records with only what an estimator reads; the rest is filler."""

from collections.abc import Mapping
from typing import Any

from repro.schema.trial import Machine, TrialRecord


def make_record(
    replicate: int,
    *rows: Mapping[str, float | None],
    status: str = "finished",
    measures: str = "value",
    machine: str = "a" * 12,
    process: str | None = None,
    **config: Any,
) -> TrialRecord:
    return TrialRecord(
        key=f"{replicate:040x}",
        study="topic/study",
        recipe="experiments.topic.study",
        config={"seed": replicate, **config},
        replicate=replicate,
        sources="",
        device="cpu",
        precision="float32",
        measures=measures,
        label="",
        status=status,
        rows=rows,
        curves={},
        data={},
        seals=(),
        started="2024-01-01T00:00:00Z",
        seconds=1.0,
        machine=Machine(machine, "processor", 2, 8.0, "cpu", "Linux", "3.11", None, 1),
        process=process if process is not None else f"p{replicate}",
    )
