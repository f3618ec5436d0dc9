"""What an attempt says of its course, worked out from its records alone, so that anyone gets the same."""

import math
from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal

from repro.schema.trial import TrialRecord


@dataclass(frozen=True)
class Facts:
    """When the trials of an attempt ran and what they cost."""

    started: str
    """Start of the first trial, ISO 8601; empty without records."""
    finished: str
    """End of the last trial."""
    seconds: float
    """Sum of the trials' own run times."""
    compute_ratio: float | None
    """FLOPs of the main arm over the paper's, where both are known."""


def facts(records: Collection[TrialRecord], main: Collection[str], paper_flops: str | None) -> Facts:
    """Work out the course of an attempt.

    Args:
        records: those that its look reads.
        main: trial keys of the main arm.
        paper_flops: the paper's own compute as printed.
    """
    ends = [datetime.fromisoformat(record.started) + timedelta(seconds=record.seconds) for record in records]
    spent = [row.get("flops") for record in records if record.key in set(main) for row in record.rows]
    flops = math.fsum(value for value in spent if value)
    return Facts(
        started=min((record.started for record in records), default=""),
        finished=max(ends).isoformat(timespec="milliseconds") if ends else "",
        seconds=math.fsum(record.seconds for record in records),
        compute_ratio=flops / float(Decimal(paper_flops)) if paper_flops and flops else None,
    )
