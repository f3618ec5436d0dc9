"""Final validation losses of the runs behind the NanoGPT speed records.

Source: Keller Jordan et al., modded-nanogpt (github.com/KellerJordan/modded-nanogpt), one log a run under `records/`. The
task: train to at most 3.28 nats per token on FineWeb's validation text, on 8 H100, as fast as possible.
Serves the claims `modded_nanogpt/run_spread`, `printed_p_values`, `printed_p_values_other_logs`, `significance_rule`,
`loss_buffer` and `current_record`.

Hardware and time: any CPU, milliseconds. Deviations: only runs that a contributor chose to publish have logs; what was tried and
dropped is not seen, so a record's mean is the mean of what passed.
"""

import csv
from dataclasses import dataclass
from pathlib import Path

from repro.schema.context import Context

COLUMNS = ("track", "record_dir", "log", "last_step", "total_steps", "val_loss", "train_time_s", "complete")


@dataclass(frozen=True)
class Config:
    """Which runs are kept."""

    track: str = "track_1_short"
    """The 124M-parameter task; `track_2_medium` is another model with another target."""
    complete_only: bool = True
    """Leave out runs whose log ends before the last step (column `complete`; one of 1,126)."""
    drop_copies: bool = True
    """Keep one of logs with the same file name, loss and time: one run stored under two records."""
    other_words: tuple[str, ...] = ("baseline", "prior", "master", "extra", "retime")
    """A folder below a record whose name has one of these holds runs of another version: earlier records run again."""
    seed: int = 0
    """Unused: reading a table draws nothing. It lets two processes repeat the trial."""


def run(config: Config, context: Context) -> list[dict[str, float]]:
    """Return one row a run.

    `record`: date of the record's directory as yyyymmdd, plus 0.1, 0.2, ... for further directories of that day; `folder`: number
    of the folder that holds the log; `own`: 1 unless the folder is named as another version; `steps`: planned;
    `val_loss`: nats per token at the last step; `train_s`: training time on the contributor's machine, seconds.
    """
    path = context.data("modded_nanogpt_runs")
    with path.open(newline="", encoding="utf-8-sig") as stream:
        runs = list(csv.DictReader(stream))
    missing = [name for name in COLUMNS if not runs or name not in runs[0]]
    if missing:
        raise ValueError(
            f"{path.name} must have the columns {', '.join(COLUMNS)} and at least one row; it lacks {missing[0]!r}."
        )

    runs = [run for run in runs if run["track"] == config.track]
    if not runs:
        raise ValueError(f"{path.name} has no run of the track {config.track!r}.")
    records = sorted({run["record_dir"] for run in runs})
    days = [int(name[:10].replace("-", "")) for name in records]
    number = {name: day + days[:i].count(day) / 10 for i, (name, day) in enumerate(zip(records, days, strict=True))}
    folders = {folder: i for i, folder in enumerate(sorted({str(Path(run["log"]).parent) for run in runs}))}

    rows, seen = [], set()
    for run in runs:
        log = Path(run["log"])
        if config.complete_only and run["complete"] != "True":
            continue
        same = (log.name, run["val_loss"], run["train_time_s"])
        if config.drop_copies and same in seen:
            continue
        seen.add(same)
        below = str(log.parent).partition(run["record_dir"])[2].lower()
        rows.append(
            {
                "record": round(number[run["record_dir"]], 1),
                "folder": float(folders[str(log.parent)]),
                "own": float(not any(word in below for word in config.other_words)),
                "steps": float(run["total_steps"]),
                "val_loss": float(run["val_loss"]),
                "train_s": float(run["train_time_s"]),
            }
        )
    return rows


if __name__ == "__main__":
    import sys

    table = run(Config(), Context(files={"modded_nanogpt_runs": Path(sys.argv[1])}))
    print(f"{len(table)} runs of {len({row['record'] for row in table})} records")
