"""Runs trials, one alone or several side by side, and stores a record of each: standard library, and what the recipe imports."""

import importlib
import sys
import time
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, Literal

from repro.catalog.recipe import recipe_fields, source_digest
from repro.catalog.roots import config_roots
from repro.launch.planning.keys import key_of
from repro.launch.provenance.origin import cuda_is_here, machine, packages, process_name
from repro.launch.provenance.watch import Watch
from repro.launch.records.store import RecordStore
from repro.launch.running.interrupts import finishing
from repro.launch.running.limits import time_limit
from repro.launch.running.measured import Rows, explain, finite, rows_of, status_of
from repro.launch.running.memory import OutOfMemory, run_smaller_and_smaller
from repro.launch.running.progress_file import ProgressFile
from repro.launch.running.resuming import Earlier, earlier, forget, resuming
from repro.launch.running.several_processes import processes_of, run_in_processes
from repro.schema.confidential import without_secrets
from repro.schema.context import Context
from repro.schema.dataset import require
from repro.schema.errors import PlanError, ReproError
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord, TrialSpec


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
    if spec.device == "cuda" and not cuda_is_here():
        raise PlanError(
            f"Study '{spec.study}' asks for a CUDA device at this scale, and torch finds none on this machine. Choose another "
            f"scale, or write the plan to a file and run it where a GPU is: repro plan CLAIM scale=gpu --out plan.json."
        )
    unknown = set(spec.config) - set(fields)
    if unknown:
        raise PlanError(f"Trial {key_of(spec)[:8]} sets {sorted(unknown)}, which {spec.recipe}.Config does not have.")


def run_trial(spec: TrialSpec, seals: Sequence[str], store: RecordStore, until: float | None = None) -> TrialRecord:
    """Run one trial, store its record and return it.

    A non-finite measurement makes the trial `diverged`, a datum. An exception, absent data or the time limit makes it
    `failed`, which is none: the record is kept apart and the trial runs again next time.

    Args:
        spec: the trial.
        seals: those that stand; they go into the record.
        store: takes the record.
        until: when the caller's time is over, by `time.monotonic`; None for never.

    Raises:
        PlanError: if the recipe is not the planned one.
        StoreError: if the record cannot be written.
        OutOfTime: if `until` came first; nothing is recorded then.
    """
    check_spec(spec)
    status: Literal["finished", "diverged", "failed"]
    rows: Rows = ()
    error: str | None = None
    with _Course([spec], store) as course:
        try:
            hung = partial(course.record_hung, seals)
            with time_limit(spec.time_limit_s, until, hung), resuming(spec, seals, store.directory, until):
                (rows,) = course.measure()
            # A finished trial may say something too: that it ran at another size than planned.
            status, error = status_of(rows), course.note
        except FloatingPointError as reason:
            status, error = "diverged", without_secrets(str(reason))
        except OutOfMemory as reason:
            status, error = "failed", without_secrets(str(reason))
        except Exception as reason:
            status, error = "failed", without_secrets(explain(reason))
        with finishing():
            record = course.record(0, seals, status, rows, error)
            course.watch.write(record, store.directory)
            store.write(record)
            if status != "failed":
                forget(store.directory, key_of(spec))
    return record


def run_together(
    specs: Sequence[TrialSpec], seals: Sequence[str], store: RecordStore, until: float | None = None
) -> list[TrialRecord]:
    """Run trials of one stack side by side by the recipe's `run_batch`, store a record of each and return them.

    A trial that another launcher runs at this moment is left to it and not among the records; one that another has just
    finished is not run again.

    The records are those of single trials, but that seconds are each trial's share of the stack's, and starts follow one
    another accordingly: together they fill the time that the stack took. A stack that fails says nothing of its trials,
    so each then runs alone.

    Args:
        specs: trials that `repro.launch.running.stacks` put together; one alone runs by itself.
        seals: those that stand.
        store: takes the records.
        until: as for `run_trial`.

    Raises:
        PlanError, StoreError, OutOfTime: as `run_trial`; StoreError also if no lock file can be made.
    """
    with store.reserved(specs) as (mine, done):
        return done + _run_reserved(mine, seals, store, until) if mine else done


def _run_reserved(
    specs: Sequence[TrialSpec], seals: Sequence[str], store: RecordStore, until: float | None
) -> list[TrialRecord]:
    if len(specs) == 1:
        return [run_trial(specs[0], seals, store, until)]
    for spec in specs:
        check_spec(spec)
    limits = [spec.time_limit_s for spec in specs if spec.time_limit_s]
    with _Course(specs, store) as course:
        try:
            limit = sum(limits) if len(limits) == len(specs) else None
            with time_limit(limit, until, partial(course.record_hung, seals)):
                measured = course.measure()
        except Exception as reason:
            fell_apart = without_secrets(explain(reason))
        else:
            with finishing():
                course.end()
                records = [course.record(i, seals, status_of(rows), rows, None) for i, rows in enumerate(measured)]
                for record in records:
                    course.watch.write(record, store.directory)
                    store.write(record)
            return records
    warnings.warn(
        f"{len(specs)} trials of {specs[0].recipe} failed side by side and run one by one: {fell_apart}", stacklevel=2
    )
    return [run_trial(spec, seals, store, until) for spec in specs]


@dataclass
class _Course:
    """One call of a recipe for some trials: their progress files while it lasts, their curves and records."""

    specs: Sequence[TrialSpec]
    store: RecordStore
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    clock: float = field(default_factory=time.perf_counter)
    seconds: float | None = None
    note: str | None = None
    """What a finished trial's record says beside its measurements."""

    def __enter__(self) -> "_Course":
        running = self.store.directory / "running"
        self.progress = [
            ProgressFile(running / f"{key_of(spec)}.json", spec.label, self.store.lock_name(spec))
            for spec in self.specs
        ]
        self.curves: list[dict[str, list[tuple[int, float | None]]]] = [{} for _ in self.specs]
        self.threads = _torch_threads()
        self.watch = Watch(self.specs)
        for file in self.progress:
            file.report(0.0)
        return self

    def __exit__(self, *_: object) -> None:
        for file in self.progress:
            file.close()
        _torch_threads(self.threads)

    def measure(self) -> list[Rows]:
        """Call the recipe; return the rows of each trial."""
        recipe = importlib.import_module(self.specs[0].recipe)
        files = {data.id: require(data) for data in self.specs[0].data}
        contexts = [self._context(i, files) for i in range(len(self.specs))]
        configs = [config_of(recipe, spec) for spec in self.specs]
        with self.watch:
            if len(self.specs) == 1:
                count = processes_of(recipe, self.specs[0], configs[0])
                if count > 1:
                    return [rows_of(run_in_processes(self.specs[0], count, contexts[0]))]
                return [rows_of(self._run_alone(recipe, configs[0], contexts[0]))]
            measured = list(recipe.run_batch(configs, contexts))
        if len(measured) != len(self.specs):
            raise TypeError(f"run_batch() must return one result a trial: {len(self.specs)}, not {len(measured)}")
        return [rows_of(each) for each in measured]

    def _run_alone(self, recipe: Any, config: Any, context: Context) -> Any:
        def from_the_beginning(config: Any) -> Any:
            self.curves[0].clear()
            return recipe.run(config, context)

        measured, self.note = run_smaller_and_smaller(recipe, config, from_the_beginning)
        return measured

    def _context(self, number: int, files: Mapping[str, Path]) -> Context:
        spec, curves = self.specs[number], self.curves[number]
        return Context(
            device=spec.device,
            precision=spec.precision,
            files=files,
            on_curve=lambda name, step, value: curves.setdefault(name, []).append((int(step), finite(value))),
            on_progress=self.progress[number].report,
        )

    def record_hung(self, seals: Sequence[str], wrong: str | None) -> list[str]:
        """Store failed records of trials that hang; called beside them, before the process ends. Return their keys."""
        if wrong is not None:
            together = f" (with {len(self.specs) - 1} others side by side)" if len(self.specs) > 1 else ""
            for number in range(len(self.specs)):
                self.store.write(self.record(number, seals, "failed", (), wrong + together))
        return [key_of(spec) for spec in self.specs]

    def end(self) -> None:
        """Fix how long the call took, before the first record is written."""
        self.seconds = time.perf_counter() - self.clock

    def record(
        self,
        number: int,
        seals: Sequence[str],
        status: Literal["finished", "diverged", "failed"],
        rows: Rows,
        error: str | None,
    ) -> TrialRecord:
        """Return the record of one of the trials."""
        if self.seconds is None:
            self.end()
        assert self.seconds is not None
        spec, share = self.specs[number], self.seconds / len(self.specs)
        # A failed start counts for itself alone: what it resumed counts in the record of the one that finishes.
        before = earlier(self.store.directory, key_of(spec)) if status != "failed" else Earlier()
        return TrialRecord(
            key=key_of(spec),
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
            rows=rows,
            curves={name: tuple(points) for name, points in self.curves[number].items()},
            data={data.id: data.sha256 for data in spec.data},
            seals=before.sealed_before(seals),
            started=(before.started or self.started + timedelta(seconds=number * share)).isoformat(
                timespec="milliseconds"
            ),
            seconds=share + before.seconds,
            machine=machine(spec.device),
            process=process_name(),
            packages=packages(),
            error=error,
        ).with_digest()


def config_of(recipe: Any, spec: TrialSpec) -> Any:
    """Return the recipe's `Config` of a trial."""
    return recipe.Config(**{k: tuple(v) if isinstance(v, list | tuple) else v for k, v in spec.config.items()})


def _torch_threads(restore: int | None = None) -> int | None:
    """Return torch's thread count where torch is loaded; set it back where a recipe changed it for itself."""
    torch = sys.modules.get("torch")
    if torch is None:
        return None
    if restore is not None and torch.get_num_threads() != restore:
        torch.set_num_threads(restore)
    return int(torch.get_num_threads())
