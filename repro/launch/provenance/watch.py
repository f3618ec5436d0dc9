"""Watches one call of a recipe: seeds before it, counters around it, and a provenance beside each record after it."""

import contextlib
import json
import math
import os
import sys
import tempfile
import warnings
from collections.abc import Iterable, Sequence
from contextlib import ExitStack
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from repro.launch.planning.keys import key_of
from repro.launch.provenance.energy import Reading, energy_between, nvml_device, read_counters
from repro.launch.provenance.environment import environment
from repro.launch.provenance.peaks import peak_flops
from repro.launch.running import determinism
from repro.schema.confidential import without_secrets
from repro.schema.errors import RecordError
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec
from repro.schema.trial_provenance import (
    Energy,
    Environment,
    ProvenanceFile,
    TrialProvenance,
    provenance_name,
    read_environment,
    read_provenance,
)

PROVENANCE_DIRECTORY = "provenance"
ENVIRONMENTS = "environments"
GIB = 2**30


class Watch:
    """A context around one call of a recipe for some trials. What it says afterwards is of the call that ended last."""

    def __init__(self, specs: Sequence[TrialSpec]) -> None:
        self.specs = specs
        self.seed = determinism.seed_of(key_of(specs[0]))
        self.not_deterministic: list[str] | None = None
        self.settings: dict[str, str] = {}
        self._before: Reading | None = None
        self._after: Reading | None = None
        self._stack = ExitStack()

    def __enter__(self) -> "Watch":
        determinism.seed_generators(self.seed)
        self.not_deterministic = self._stack.enter_context(determinism.arithmetic())
        torch = _cuda_torch()
        if torch is not None:
            torch.cuda.reset_peak_memory_stats()
        self._after, self._before = None, read_counters(self.specs[0].device)
        return self

    def __exit__(self, *_: object) -> None:
        torch = _cuda_torch()
        if torch is not None:
            with contextlib.suppress(RuntimeError):  # a device that ran out of memory may refuse anything
                torch.cuda.synchronize()
        self._after = read_counters(self.specs[0].device)
        self.settings = determinism.settings()
        self._stack.close()

    def provenance(self, record: TrialRecord) -> tuple[TrialProvenance, Environment]:
        """Return how a trial of the call ran, and in what; of a trial that ended before the recipe began, what is known."""
        around = environment((record.recipe,), record.device)
        together = len(self.specs)
        if self._before is not None and self._after is not None:
            energy = energy_between(self._before, self._after, together)
        else:
            energy = Energy(None, None, "the recipe was never called")
        flops = _flops(record)
        achieved = flops / record.seconds if flops is not None and record.seconds > 0 else None
        peak = peak_flops(
            record.machine.device, record.precision, self.settings.get("float32_matmul_precision", "highest")
        )
        torch, found = _cuda_torch(), self.not_deterministic
        finished = datetime.fromisoformat(record.started) + timedelta(seconds=record.seconds)
        told = TrialProvenance(
            key=record.key,
            record=record.digest,
            environment=around.digest,
            started=record.started,
            finished=finished.astimezone(UTC).isoformat(timespec="milliseconds"),
            side_by_side=together,
            threads=record.machine.threads,
            seed=self.seed,
            energy=energy,
            peak_rss_gib=_peak_rss_gib(),
            peak_cuda_gib=torch.cuda.max_memory_allocated() / GIB if torch is not None else None,
            flops=flops,
            flops_per_second=achieved,
            share_of_peak=achieved / peak if achieved is not None and peak else None,
            clock_mhz=_clock() if record.device == "cuda" else None,
            deterministic=determinism.is_asked_for(),
            not_deterministic=None if found is None else tuple(found),
            settings=self.settings,
        )
        return told.with_digest(), around

    def write(self, record: TrialRecord, directory: Path) -> None:
        """Write the provenance of a record, and its environment if it is not there yet, into a directory of records.

        It explains and decides nothing: what cannot be written is left out, and no trial fails for it.
        """
        try:
            told, around = self.provenance(record)
            place = directory / PROVENANCE_DIRECTORY
            write_environment(around, directory)
            _replace(place / provenance_name(record), json.dumps(to_json(told), sort_keys=True, allow_nan=False) + "\n")
        except Exception as reason:
            warnings.warn(
                f"How trial {record.key[:8]} ran could not be kept beside its record: {without_secrets(str(reason))}",
                stacklevel=2,
            )


def write_environment(around: Environment, directory: Path) -> None:
    """Store an environment below a directory of records, under its digest.

    Raises:
        OSError: if it cannot be written.
    """
    file = directory / PROVENANCE_DIRECTORY / ENVIRONMENTS / f"{around.digest}.json"
    if not file.exists():
        _replace(file, json.dumps(to_json(around), indent=1, sort_keys=True, allow_nan=False) + "\n")


def keep_environment(recipes: tuple[str, ...], directory: Path) -> str | None:
    """Store the environment of this process below a directory of records and return its digest; None if it cannot be written."""
    try:
        around = environment(recipes, "cpu")
        write_environment(around, directory)
    except OSError:
        return None
    return around.digest


def stored_provenance(record: TrialRecord, directory: Path) -> TrialProvenance | None:
    """Return the provenance that lies beside a record; None if there is none that belongs to it and can be read."""
    file = directory / PROVENANCE_DIRECTORY / provenance_name(record)
    try:
        found = read_provenance(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError, RecordError):
        return None
    return found if found.record == record.digest else None


def stored_environment(digest: str, directory: Path) -> Environment | None:
    """Return an environment that is stored below a directory of records; None if it is not there, or was changed."""
    file = directory / PROVENANCE_DIRECTORY / ENVIRONMENTS / f"{digest}.json"
    try:
        found = read_environment(file.read_text(encoding="utf-8"), str(file))
    except (OSError, UnicodeDecodeError, RecordError):
        return None
    return found if found.digest == digest else None


def gather(records: Iterable[TrialRecord], directory: Path, sealed_in: str | None = None) -> ProvenanceFile | None:
    """Return the provenance of records with all environments it names; None if nothing of it is stored.

    Args:
        records: of an attempt, in the order in which they are to stand.
        directory: of records.
        sealed_in: digest of the environment in which the attempt was sealed.
    """
    records = list(records)
    found = [told for record in records if (told := stored_provenance(record, directory)) is not None]
    wanted = dict.fromkeys([*([sealed_in] if sealed_in else []), *(told.environment for told in found)])
    environments = {d: around for d in wanted if (around := stored_environment(d, directory)) is not None}
    trials = tuple(told for told in found if told.environment in environments)
    return ProvenanceFile(environments, trials).of(record.digest for record in records) if environments else None


def carry_over(record: TrialRecord, source: Path, target: Path) -> None:
    """Copy the provenance of a record, with its environment, from one directory of records to another, if there is one."""
    told = stored_provenance(record, source)
    around = stored_environment(told.environment, source) if told is not None else None
    if told is not None and around is not None:
        with contextlib.suppress(OSError):
            write_environment(around, target)
            file = target / PROVENANCE_DIRECTORY / provenance_name(record)
            _replace(file, json.dumps(to_json(told), sort_keys=True, allow_nan=False) + "\n")


def _peak_rss_gib() -> float | None:
    try:
        import resource  # not everywhere
    except ImportError:
        return None
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit / GIB


def _replace(file: Path, text: str) -> None:
    """Write a file whole. Unlike a record it does not wait for the disk: after a power cut it may be missing."""
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=file.parent, prefix=".", suffix=".tmp")
    try:
        with os.fdopen(handle, "w", encoding="utf-8") as stream:
            stream.write(text)
        os.replace(temporary, file)
    except OSError:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise


def _flops(record: TrialRecord) -> float | None:
    counted = [value for row in record.rows if (value := row.get("flops")) is not None]
    return math.fsum(counted) if counted else None


def _clock() -> int | None:
    handle, _ = nvml_device()
    if handle is None:
        return None
    nvml, device = handle
    try:
        return int(nvml.nvmlDeviceGetClockInfo(device, nvml.NVML_CLOCK_SM))
    except nvml.NVMLError:
        return None


def _cuda_torch() -> Any:
    """Return torch if it uses a device; asking must not be what starts CUDA."""
    torch = sys.modules.get("torch")
    return torch if torch is not None and torch.cuda.is_initialized() else None
