"""What trials need of a machine, with everything filled in that their study leaves out."""

import importlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from repro.catalog.recipe import has_function
from repro.launch.planning.keys import key_of
from repro.launch.provenance.origin import cuda_devices
from repro.launch.running.several_processes import processes_of
from repro.launch.running.trials import config_of
from repro.schema.errors import PlanError
from repro.schema.study import Resources
from repro.schema.trial import TrialSpec


@dataclass(frozen=True)
class Needs:
    """What a machine must have free to run some trials, one after the other or side by side."""

    gpus: int
    cpus: int
    memory_gb: float | None
    """None: nobody said."""
    minutes: float | None
    """For all of them together; None where a trial has no limit."""


def needs_of(trials: Sequence[TrialSpec], asked: Mapping[str, Resources]) -> Needs:
    """Return what the trials need together: room for the greediest of them, and time for all."""
    each = [asked.get(key_of(spec), Resources()).or_else(_by_default(spec)) for spec in trials]
    minutes = [one.minutes for one in each if one.minutes is not None]
    return Needs(
        gpus=max(one.gpus or 0 for one in each),
        cpus=max(one.cpus or 1 for one in each),
        memory_gb=max((one.memory_gb for one in each if one.memory_gb is not None), default=None),
        minutes=sum(minutes) if len(minutes) == len(each) else None,
    )


def _by_default(spec: TrialSpec) -> Resources:
    """One CPU for each process of the trial, and one GPU where it runs on CUDA, for as long as the trial may take."""
    processes = 1
    if has_function(spec.recipe, "processes"):
        recipe = importlib.import_module(spec.recipe)
        processes = processes_of(recipe, spec, config_of(recipe, spec))
    return Resources(
        gpus=processes if spec.device == "cuda" else 0,
        cpus=processes,
        minutes=spec.time_limit_s / 60 if spec.time_limit_s else None,
    )


def require_gpus_here(trials: Iterable[TrialSpec], asked: Mapping[str, Resources]) -> None:
    """Refuse trials that ask for more GPUs than this machine has.

    Raises:
        PlanError: names the study, and says where else it can run.
    """
    greediest = max(trials, key=lambda spec: needs_of([spec], asked).gpus, default=None)
    if greediest is None:
        return
    wanted = needs_of([greediest], asked).gpus
    if wanted and wanted > (here := cuda_devices()):
        cuda = "asks for a CUDA device" if wanted == 1 else f"asks for {wanted} CUDA devices"
        found = "torch finds none" if here == 0 else f"torch finds {here}"
        raise PlanError(
            f"Study '{greediest.study}' {cuda} at this scale, and {found} on this machine. Choose another scale, or run it "
            f"where they are: executor=slurm, executor=ray, or a plan file to take along, executor=detached executor.directory=DIR."
        )
