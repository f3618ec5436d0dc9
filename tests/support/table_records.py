"""Records of a deterministic study whose rows are a table."""

from collections.abc import Mapping
from typing import Any

from repro.schema.trial import Machine, TrialRecord


def make_record(replicate: int, *rows: Mapping[str, float], **config: Any) -> TrialRecord:
    """Return one replicate, from a process of its own, with only what an estimator reads."""
    return TrialRecord(
        key=f"{replicate:040x}",
        study="topic/study",
        recipe="experiments.topic.study",
        config={"seed": replicate, **config},
        replicate=replicate,
        sources="",
        device="cpu",
        precision="float32",
        measures="value",
        label="",
        status="finished",
        rows=rows,
        curves={},
        data={},
        seals=(),
        started="2024-01-01T00:00:00Z",
        seconds=1.0,
        machine=Machine("a" * 12, "processor", 2, 8.0, "cpu", "Linux", "3.11", None, 1),
        process=f"p{replicate}",
    )
