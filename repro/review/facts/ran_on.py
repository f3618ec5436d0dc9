"""What trials ran on and what they read, in words."""

from collections.abc import Mapping, Sequence

from repro.judge import numbers
from repro.schema.trial import TrialRecord


def machines(trials: Sequence[TrialRecord]) -> list[str]:
    """Return each kind of machine that trials ran on, in words."""
    return list(
        dict.fromkeys(
            f"{m.processor}, {m.cores} cores, {numbers.significant(m.memory_gib, 3)} GiB, {m.device}, {m.system}, "
            f"Python {m.python}, torch {m.torch or 'not used'}, threads: {m.threads}"
            for m in (trial.machine for trial in trials)
        )
    )


def digests(trials: Sequence[TrialRecord]) -> Mapping[str, str]:
    """Return the sha256 of every data set that trials read."""
    return {name: sha for trial in trials for name, sha in sorted(trial.data.items())}
