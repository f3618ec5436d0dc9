"""Executor `slurm`: jobs by submitit, on a SLURM cluster (`slurm`), in processes here (`local`), or in this one (`debug`)."""

import contextlib
import math
import shutil
import subprocess
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from repro.launch.executors.jobs import Bundle, Job, Work, bundles, records_of, refuse_second_machine, work_of
from repro.launch.executors.needs import Needs, require_gpus_here
from repro.launch.executors.one_process import in_one_other_process
from repro.launch.executors.settings import mapping, seconds, whole_number
from repro.launch.planning.keys import key_of
from repro.launch.records.store import RecordStore
from repro.schema.errors import ConfigError, PlanError, nearest
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec

if TYPE_CHECKING:
    import submitit

CLUSTERS = ("slurm", "local", "debug")

START_MINUTES = 5
"""Added to a job's time for starting Python and loading data."""


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings with which no job could be placed."""
    try:
        import submitit  # noqa: F401
    except ImportError:
        raise ConfigError(
            "executor=slurm needs submitit, which is not installed. Install it: pip install 'repro-tracker[slurm]'."
        ) from None
    cluster = _cluster(settings)
    if cluster not in CLUSTERS:
        raise ConfigError(f"executor.cluster cannot be '{cluster}'.{nearest(cluster, CLUSTERS)}")
    if cluster == "slurm" and shutil.which("srun") is None:
        raise ConfigError(
            "executor=slurm finds no 'srun' here. Launch where SLURM's commands are, as on a login node; to try the same jobs on "
            "this machine: executor.cluster=local."
        )
    for name, default, least in (("jobs", 100, 1), ("per_job", 1, 1), ("requeues", 3, 0)):
        whole_number(settings, name, default, least)
    seconds(settings, "look_every_s", 1.0)
    mapping(settings, "extra")


def run(
    trials: Sequence[TrialSpec],
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    asked: Mapping[str, Resources],
) -> Iterator[TrialRecord]:
    """Place trials as jobs, wait for them, and yield their records as they come; see `repro.launch.executors.execute`."""
    refused = refuse_second_machine(trials, plan, store)
    yield from refused
    left = {key_of(spec) for spec in trials} - {record.key for record in refused}
    trials = [spec for spec in trials if key_of(spec) in left]
    cluster, jobs = _cluster(settings), whole_number(settings, "jobs", 100)
    if cluster != "slurm":
        require_gpus_here(trials, asked)
    lots = bundles(trials, asked, jobs, whole_number(settings, "per_job", 1))
    work = work_of(plan, store)
    every = seconds(settings, "look_every_s", 1.0)
    if cluster == "slurm":
        starts = _as_arrays(lots, work, store, settings)
        yield from records_of(starts, plan.seals, store, every)
        return
    if cluster == "debug":  # all jobs are this process, and some trials must be in another
        yield from in_one_other_process([spec for spec in trials if spec.own_process], plan, store)
        lots = bundles([spec for spec in trials if not spec.own_process], asked, jobs, 1)
    # Here nobody queues: as many at once as were asked for, then those that must be alone.
    for alone, at_once in ((False, jobs), (True, 1)):
        starts = [(lot, _starter(lot, work, store, settings)) for lot in lots if lot.alone == alone]
        yield from records_of(starts, plan.seals, store, every, at_once if cluster == "local" else 1)


def _cluster(settings: Mapping[str, Any]) -> str:
    return str(settings.get("cluster") or "slurm")


def _starter(
    lot: Bundle, work: Callable[[Bundle], Work], store: RecordStore, settings: Mapping[str, Any]
) -> Callable[[], Job]:
    def start() -> Job:
        with _refusal_told():
            return _Submitted(_executor(lot.needs, lot.alone, store, settings).submit(work(lot)))

    return start


def _as_arrays(
    lots: Sequence[Bundle], work: Callable[[Bundle], Work], store: RecordStore, settings: Mapping[str, Any]
) -> list[tuple[Bundle, Callable[[], Job]]]:
    """Submit one job array for all bundles that ask for the same machine; its time is that of the longest."""
    alike: dict[tuple[Any, ...], list[Bundle]] = {}
    for lot in lots:
        alike.setdefault((lot.needs.gpus, lot.needs.cpus, lot.needs.memory_gb, lot.alone), []).append(lot)
    submitted: list[tuple[Bundle, Callable[[], Job]]] = []
    try:
        for (gpus, cpus, memory, alone), array in alike.items():
            minutes = [lot.needs.minutes for lot in array if lot.needs.minutes is not None]
            longest = max(minutes) if len(minutes) == len(array) else None
            with _refusal_told():
                executor = _executor(Needs(gpus, cpus, memory, longest), alone, store, settings)
                with executor.batch():
                    placed = [executor.submit(work(lot)) for lot in array]
            submitted += [(lot, partial(_Submitted, job)) for lot, job in zip(array, placed, strict=True)]
    except BaseException:
        for _, start in submitted:
            start().cancel()
        raise
    return submitted


@contextlib.contextmanager
def _refusal_told() -> Iterator[None]:
    from submitit.core.utils import FailedJobError, FailedSubmissionError

    try:
        yield
    except (FailedJobError, FailedSubmissionError, subprocess.CalledProcessError, OSError) as error:
        raise ConfigError(
            f"SLURM did not take the job: {' '.join(str(error).split())[-600:]}. Look at executor.partition, executor.account, "
            f"executor.qos, executor.extra and the study's resources; nothing ran."
        ) from error


def _executor(needs: Needs, alone: bool, store: RecordStore, settings: Mapping[str, Any]) -> "submitit.AutoExecutor":
    import submitit

    if needs.minutes is None:
        raise PlanError(
            "SLURM wants to know how long a job takes. Say it in the study's config: resources: {minutes: M}."
        )
    requeues = whole_number(settings, "requeues", 3, 0)
    folder = store.directory.resolve() / "jobs" / "%j"
    executor = submitit.AutoExecutor(
        folder, cluster=_cluster(settings), slurm_max_num_timeout=requeues, local_max_num_timeout=requeues
    )
    extra = mapping(settings, "extra")
    if alone:
        extra = {"no-requeue": True, **extra}  # it might go on at another machine
    executor.update_parameters(
        name="repro",
        nodes=1,
        tasks_per_node=1,
        gpus_per_node=needs.gpus or None,
        cpus_per_task=needs.cpus,
        mem_gb=needs.memory_gb,
        timeout_min=math.ceil(needs.minutes) + START_MINUTES,
        slurm_partition=settings.get("partition"),
        slurm_account=settings.get("account"),
        slurm_qos=settings.get("qos"),
        slurm_array_parallelism=whole_number(settings, "jobs", 100),
        slurm_exclusive=True if alone else None,
        slurm_setup=list(settings.get("setup") or ()) or None,
        slurm_additional_parameters=extra or None,
    )
    return executor


@dataclass(frozen=True)
class _Submitted:
    """A job of submitit."""

    job: "submitit.Job[int]"

    def over(self) -> bool:
        return self.job.done()

    def last_words(self) -> str:
        said = (self.job.stderr() or "").strip()[-600:]
        return (
            f"job {self.job.job_id} ended ({self.job.state.lower()}) before the trial did: {said or 'it said nothing'}"
        )

    def cancel(self) -> None:
        self.job.cancel(check=False)
