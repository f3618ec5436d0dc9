"""Runs trials and writes a record of each: standard library, the recipe, and what the recipe imports.

On a machine without MLflow, Hydra or network:

    python -m repro.launch.worker plan.json --out records/
"""

import argparse
import contextlib
import importlib
import json
import math
import signal
import sys
import threading
import time
import traceback
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal

from repro.catalog.recipe import recipe_fields, source_digest
from repro.catalog.roots import config_roots
from repro.launch.planfile import read_plan
from repro.launch.provenance import fingerprint, machine, packages, process_name
from repro.launch.records import RecordStore
from repro.schema.confidential import without_secrets
from repro.schema.context import Context
from repro.schema.dataset import require
from repro.schema.errors import PlanError, ReproError, TrialFailed
from repro.schema.jsonform import to_json
from repro.schema.trial import Plan, TrialRecord, TrialSpec

PROGRESS_EVERY_S = 0.5


def check_spec(spec: TrialSpec) -> None:
    """Refuse a trial whose recipe is none, or is not the one that was planned. Nothing of it is run or imported.

    Raises:
        PlanError: with what differs and what to do.
    """
    config_roots()  # puts the directories of REPRO_CLAIMS on sys.path, in whatever process this is
    try:
        fields = recipe_fields(spec.recipe)
    except ReproError as error:
        raise PlanError(f"The plan names a recipe that cannot run here: {error}") from error
    here = source_digest(spec.recipe)
    if here != spec.sources:
        raise PlanError(
            f"The sources of recipe '{spec.recipe}' differ from those that were planned (digest {spec.sources[:12]} planned, "
            f"{here[:12]} here). Check out the planned commit on this machine, or make a new plan."
        )
    if spec.device == "cuda" and not _cuda_is_here():
        raise PlanError(
            f"Study '{spec.study}' asks for a CUDA device at this scale, and torch finds none on this machine. Choose another "
            f"scale, or write the plan to a file and run it where a GPU is: repro plan CLAIM scale=gpu --out plan.json."
        )
    unknown = set(spec.config) - set(fields)
    if unknown:
        raise PlanError(f"Trial {spec.key[:8]} sets {sorted(unknown)}, which {spec.recipe}.Config does not have.")


def _cuda_is_here() -> bool:
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def run_trial(spec: TrialSpec, seals: Sequence[str], store: RecordStore) -> TrialRecord:
    """Run one trial, store its record and return it.

    A non-finite measurement makes the trial `diverged`, a datum. An exception, absent data or the time limit makes it
    `failed`, which is none: the record is kept apart and the trial runs again next time.

    Raises:
        PlanError: if the recipe is not the planned one.
        StoreError: if the record cannot be written.
    """
    check_spec(spec)
    curves: dict[str, list[tuple[int, float | None]]] = {}
    progress = _ProgressFile(store.directory / "running" / f"{spec.key}.json", spec.label)
    threads = _torch_threads()
    started, clock = datetime.now(UTC), time.perf_counter()
    rows: list[dict[str, float | None]] = []
    status: Literal["finished", "diverged", "failed"]
    error: str | None = None
    progress.report(0.0)
    try:
        with _time_limit(spec.time_limit_s):
            recipe = importlib.import_module(spec.recipe)
            context = Context(
                device=spec.device,
                precision=spec.precision,
                files={data.id: require(data) for data in spec.data},
                on_curve=lambda name, step, value: curves.setdefault(name, []).append((int(step), _finite(value))),
                on_progress=progress.report,
            )
            config = recipe.Config(
                **{k: tuple(v) if isinstance(v, list | tuple) else v for k, v in spec.config.items()}
            )
            measured = recipe.run(config, context)
        rows = [{str(k): _finite(float(v)) for k, v in row.items()} for row in _as_rows(measured)]
        status = "diverged" if any(value is None for row in rows for value in row.values()) else "finished"
    except FloatingPointError as reason:
        status, error = "diverged", without_secrets(str(reason))
    except Exception as reason:
        status, error = "failed", without_secrets(_explain(reason))
    finally:
        progress.close()
    record = TrialRecord(
        key=spec.key,
        study=spec.study,
        recipe=spec.recipe,
        config=to_json(spec.config),
        replicate=spec.replicate,
        sources=spec.sources,
        device=spec.device,
        precision=spec.precision,
        measures=spec.measures,
        label=spec.label,
        status=status,
        rows=tuple(rows),
        curves={name: tuple(points) for name, points in curves.items()},
        data={data.id: data.sha256 for data in spec.data},
        seals=tuple(seals),
        started=started.isoformat(timespec="milliseconds"),
        seconds=time.perf_counter() - clock,
        machine=machine(spec.device),
        process=process_name(),
        packages=packages(),
        error=error,
    ).with_digest()
    store.write(record)
    _torch_threads(threads)
    return record


def _torch_threads(restore: int | None = None) -> int | None:
    """Return torch's thread count where torch is loaded; set it back where a recipe changed it for itself."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if restore is not None and torch.get_num_threads() != restore:
        torch.set_num_threads(restore)
    return int(torch.get_num_threads())


def _as_rows(measured: Any) -> list[Mapping[str, Any]]:
    rows = [measured] if isinstance(measured, Mapping) else list(measured)
    if not rows or not all(isinstance(row, Mapping) and row for row in rows):
        raise TypeError("run() must return a dict of measurements, or a list of such dicts, and at least one")
    return rows


def _finite(value: float) -> float | None:
    value = float(value)
    return value if math.isfinite(value) else None


def _explain(error: Exception) -> str:
    """Return the error with the last line of the recipe that raised it; no path of the machine."""
    if isinstance(error, ReproError):
        return str(error)
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1] if frames else None
    place = f" (in {Path(last.filename).name}, line {last.lineno}: {last.line})" if last else ""
    return f"{type(error).__name__}: {error}{place}"


@contextlib.contextmanager
def _time_limit(seconds: float | None) -> Iterator[None]:
    """Raise TimeoutError in the main thread once `seconds` have passed; elsewhere there is no limit to set."""
    if not seconds or threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(*_: object) -> None:
        raise TimeoutError(f"the trial ran longer than its limit of {seconds:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


class _ProgressFile:
    """Tells whoever watches the record directory how far a running trial is."""

    def __init__(self, path: Path, label: str) -> None:
        self.path, self.label, self.last = path, label, -math.inf

    def report(self, done: float) -> None:
        now = time.monotonic()
        if now - self.last < PROGRESS_EVERY_S:
            return
        self.last = now
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps({"label": self.label, "done": min(max(done, 0.0), 1.0), "at": time.time()}))

    def close(self) -> None:
        self.path.unlink(missing_ok=True)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the trials of a plan file that have no record yet; return the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m repro.launch.worker",
        description="Run the trials of a plan and write one record each. Needs neither MLflow nor Hydra nor a network.",
        epilog="Afterwards, where the plan was made: repro collect RECORDS --plan PLAN",
    )
    parser.add_argument("plan", type=Path, help="a plan file, made by `repro plan ... --out plan.json`")
    parser.add_argument("--out", type=Path, required=True, help="directory of the records; run again to resume")
    parser.add_argument("--only", action="append", default=[], metavar="KEY", help="run only this trial (repeatable)")
    parser.add_argument("--looks", type=int, metavar="N", help="run only the seeds of the first N looks")
    given = parser.parse_args(arguments)
    try:
        return _run_plan(given.plan, given.out, given.only, given.looks)
    except ReproError as error:
        print(f"error: {error}", file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        print("\nStopped. Finished trials are kept; run the same command again to resume.", file=sys.stderr)
        return 130


def _run_plan(file: Path, out: Path, only: Sequence[str], looks: int | None) -> int:
    plan = read_plan(file)
    store = RecordStore(out)
    wanted = set(only) or {spec.key for spec in plan.trials}
    if looks is not None:
        wanted &= _keys_of_looks(plan, looks)
    trials = [spec for spec in plan.trials if spec.key in wanted]
    for spec in trials:
        check_spec(spec)
    failed = 0
    for number, spec in enumerate(trials, start=1):
        name = f"[{number}/{len(trials)}] {spec.study} {spec.label}"
        if store.ran_here(spec, fingerprint(spec.device)):
            print(f"{name}: already done", flush=True)
            continue
        record = run_trial(spec, plan.seals, store)
        failed += record.status == "failed"
        print(
            f"{name}: {record.status} in {record.seconds:.1f} s{'. ' + record.error if record.error else ''}",
            flush=True,
        )
    if failed:
        raise TrialFailed(
            f"{failed} of {len(trials)} trials failed; their errors are in {out / 'failed'}. Run again to retry them."
        )
    return 0


def _keys_of_looks(plan: Plan, looks: int) -> set[str]:
    """Return the trials that the first so many looks of the requested attempts read."""
    specs, keys = {spec.key: spec for spec in plan.trials}, set()
    for attempt in plan.attempts:
        if attempt.requested:
            sealed = attempt.sealed
            seeds = sealed.replicates[: max(looks, 1) * (len(sealed.replicates) // sealed.looks)]
            first = seeds if looks < sealed.looks else sealed.replicates
            keys |= {key for arm in attempt.arms.values() for key in arm if specs[key].replicate in first}
    return keys


if __name__ == "__main__":
    sys.exit(main())
