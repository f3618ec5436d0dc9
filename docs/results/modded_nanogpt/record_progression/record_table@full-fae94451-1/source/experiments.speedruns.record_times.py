"""The NanoGPT speed records: how long it takes to reach 3.28 nats per token.

Source: Keller Jordan et al., modded-nanogpt, README of July 2026, table "World record history".
Serves the claims `modded_nanogpt/record_progression` and `modded_nanogpt/current_record`.

Hardware and time: any CPU, milliseconds. Deviations: none. A record is faster than the one before it by definition, so that the
times fall says nothing; how fast they fall can be read off them.
"""

import csv
from dataclasses import dataclass
from datetime import date
from itertools import pairwise

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Which table of records."""

    section: str = "World record history"
    """The 124M-parameter task. The control reads another section's times: `Speedrun track 2: GPT-2 Medium`."""
    against_latest_timing: bool = True
    """A record that was timed again is what the next must beat. Rules changed after record 21, and made the same program slower;
    the control compares with its first time."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return what the table says of its records.

    `first_minutes`, `latest_seconds`: the first and the last time; `speedup`: their ratio; `slower_than_prior`: records that are not
    faster than the one before; `records`: how many; `days`: from the first to the last.
    """
    path = context.data("modded_nanogpt_records")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        rows = [row for row in csv.DictReader(stream) if row.get("section") == config.section]
    if len(rows) < 2:
        raise ValueError(
            f"{path.name} must have at least two records in the section {config.section!r}, got {len(rows)}."
        )
    minutes = {"minutes": 1.0, "hours": 60.0, "seconds": 1 / 60}
    timings: dict[int, list[float]] = {}  # by record, as it was timed and timed again
    for row in rows:
        if row["unit"] not in minutes or not float(row["time"]) > 0:
            raise ValueError(
                f"Record {row['record']} must have a positive time in minutes or hours, got {row['time']} {row['unit']}."
            )
        timings.setdefault(int(row["record"]), []).append(float(row["time"]) * minutes[row["unit"]])
    ordered = [timings[record] for record in sorted(timings)]
    to_beat = -1 if config.against_latest_timing else 0
    days = [date.fromisoformat(row["date"]) for row in rows]
    return {
        "first_minutes": ordered[0][0],
        "latest_seconds": 60 * ordered[-1][-1],
        "speedup": ordered[0][0] / ordered[-1][-1],
        "slower_than_prior": float(sum(later[0] >= earlier[to_beat] for earlier, later in pairwise(ordered))),
        "records": float(len(ordered)),
        "days": float((max(days) - min(days)).days),
    }


if __name__ == "__main__":
    import sys
    from pathlib import Path

    print(run(Config(), Context(files={"modded_nanogpt_records": Path(sys.argv[1])})))
