"""What trials ran on, what they took and what they read, in words."""

import math
from collections.abc import Mapping, Sequence

from repro.judge import numbers
from repro.schema.trial import TrialRecord
from repro.schema.trial_provenance import ProvenanceFile, TrialProvenance


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


def took(provenance: ProvenanceFile | None) -> list[str]:
    """Return what trials took and how they ran, a line each: speed, energy, memory, and what was not deterministic."""
    if provenance is None or not provenance.trials:
        return []
    trials = provenance.trials
    hosts = dict.fromkeys(each.host.kind for each in provenance.environments.values())
    return [
        line for line in (_speed(trials), _energy(trials), _memory(trials), _order(trials), ", ".join(hosts)) if line
    ]


def _speed(trials: Sequence[TrialProvenance]) -> str:
    speeds = [trial.flops_per_second for trial in trials if trial.flops_per_second]
    if not speeds:
        return ""
    shares = [trial.share_of_peak for trial in trials if trial.share_of_peak]
    told = f"{_range([speed / 1e9 for speed in speeds])} GFLOP/s achieved"
    return told + (f", {_range([100 * share for share in shares])} % of the data sheet's peak" if shares else "")


def _energy(trials: Sequence[TrialProvenance]) -> str:
    told = []
    for name in ("gpu_joule", "cpu_joule"):
        known = [value for trial in trials if (value := getattr(trial.energy, name)) is not None]
        if known:
            some = "" if len(known) == len(trials) else f" (of {len(known)} of {len(trials)} trials)"
            device = "GPU" if name.startswith("gpu") else "processors"
            told.append(f"{numbers.significant(math.fsum(known) / 3600, 3)} Wh of the {device}{some}")
    return " and ".join(told)


def _memory(trials: Sequence[TrialProvenance]) -> str:
    known = [trial.peak_cuda_gib for trial in trials if trial.peak_cuda_gib is not None]
    return f"at most {numbers.significant(max(known), 3)} GiB of the GPU's memory" if known else ""


def _order(trials: Sequence[TrialProvenance]) -> str:
    if not any(trial.deterministic for trial in trials):
        return ""
    found = dict.fromkeys(name for trial in trials for name in trial.not_deterministic or ())
    return "deterministic algorithms" + (f", but for {', '.join(found)}" if found else "")


def _range(values: Sequence[float]) -> str:
    low, high = (numbers.significant(value, 3) for value in (min(values), max(values)))
    return low if low == high else f"{low} to {high}"
