"""What an attempt cost: FLOPs, wall time, and the hours of its devices, in words."""

import math
from collections.abc import Sequence
from datetime import datetime

from repro.judge.numbers import duration, power_text, significant
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt


def flops_text(attempt: Attempt, trials: Sequence[TrialRecord]) -> str:
    """Return the FLOPs that the trials counted, of the main arm and of all; empty where none of them counts any.

    A record holds one trial; trials that several arms read are counted once.
    """
    counted = {trial.key: _flops(trial) for trial in trials}
    whole = math.fsum(counted.values())
    if not whole or not math.isfinite(whole):
        return ""
    main = math.fsum(counted.get(key, 0.0) for key in set(attempt.arms.get("main", ())))
    without = sum(not flops for flops in counted.values())
    told = f"{power_text(whole, 3)} FLOPs"
    if main != whole:
        told += f", {power_text(main, 3)} of them in the main arm"
    return told + (f"; {without} of {len(counted)} trials did not count theirs" if without else "")


def _flops(trial: TrialRecord) -> float:
    found = [row.get("flops") or 0.0 for row in trial.rows]
    return math.fsum(value for value in found if math.isfinite(value))


def wall_time(attempt: Attempt) -> str:
    """Return how long an attempt took from its start to its end; empty where that is not known."""
    try:
        seconds = (datetime.fromisoformat(attempt.finished) - datetime.fromisoformat(attempt.started)).total_seconds()
    except (TypeError, ValueError):
        return ""
    return duration(seconds) if seconds >= 0 else ""


def device_hours(trials: Sequence[TrialRecord]) -> str:
    """Return what the trials occupied: hours of GPUs, and hours of processor cores (time × threads); empty without trials.

    A record that several attempts read cost this once, however many show it.
    """
    once = {trial.digest or f"{trial.key} {trial.started}": trial for trial in trials}.values()
    gpu = math.fsum(trial.seconds for trial in once if trial.device == "cuda") / 3600
    core = math.fsum(trial.seconds * trial.machine.threads for trial in once if trial.device != "cuda") / 3600
    told = [f"{significant(hours, 3)} {what}" for hours, what in ((gpu, "GPU-hours"), (core, "core-hours")) if hours]
    return " and ".join(told)
