"""Executor `ray`: tasks on the nodes of a Ray cluster, or of one that is started here for the launch."""

import contextlib
import importlib
import io
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from repro.launch.executors.jobs import Bundle, Job, Work, bundles, records_of, refuse_second_machine, work_of
from repro.launch.executors.settings import mapping, seconds, whole_number
from repro.launch.planning.keys import key_of
from repro.launch.records.store import RecordStore
from repro.schema.errors import ConfigError, PlanError
from repro.schema.study import Resources
from repro.schema.trial import Plan, TrialRecord, TrialSpec

OBJECT_STORE_BYTES = 100 * 2**20
"""Of a cluster that is started here: only exit codes pass through it."""


def check(settings: Mapping[str, Any]) -> None:
    """Refuse settings with which no task could be placed."""
    _ray()
    for name, default, least in (("jobs", 1, 1), ("per_job", 1, 1), ("restarts", 3, 0)):
        whole_number(settings, name, default, least)
    seconds(settings, "look_every_s", 0.5)
    mapping(settings, "resources")


def run(
    trials: Sequence[TrialSpec],
    plan: Plan,
    store: RecordStore,
    settings: Mapping[str, Any],
    asked: Mapping[str, Resources],
) -> Iterator[TrialRecord]:
    """Place trials as tasks, wait for them, and yield their records as they come; see `repro.launch.executors.execute`."""
    refused = refuse_second_machine(trials, plan, store)
    yield from refused
    left = {key_of(spec) for spec in trials} - {record.key for record in refused}
    with _connected(settings):
        nodes = _nodes()
        jobs = whole_number(settings, "jobs", max(1, int(sum(node.get("CPU", 0.0) for node in nodes.values()))))
        trials = [spec for spec in trials if key_of(spec) in left]
        work = work_of(plan, store)
        starts = [
            (lot, _starter(work(lot), _options(lot, settings, nodes), any(spec.own_process for spec in lot.trials)))
            for lot in bundles(trials, asked, jobs, whole_number(settings, "per_job", 1))
        ]
        yield from records_of(starts, plan.seals, store, seconds(settings, "look_every_s", 0.5))


def _ray() -> Any:
    """Return Ray, which is an extra and takes its time to import."""
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise ConfigError(
            "executor=ray needs Ray, which is not installed. Install it: pip install 'repro-tracker[ray]'."
        ) from None


@contextlib.contextmanager
def _connected(settings: Mapping[str, Any]) -> Iterator[None]:
    """Join the cluster at `address`, or start one here; leave alone what this process had joined before."""
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    ray = _ray()
    if ray.is_initialized():
        yield
        return
    address = str(settings.get("address") or "auto")
    own: dict[str, Any] = {"include_dashboard": False, "object_store_memory": OBJECT_STORE_BYTES}
    try:
        ray.init(address=address, log_to_driver=False, logging_level="ERROR", **(own if address == "local" else {}))
    except (ConnectionError, ValueError, RuntimeError) as error:
        raise ConfigError(
            f"executor=ray finds no Ray cluster at address '{address}' ({' '.join(str(error).split())[:200]}). Start one with "
            f"`ray start --head`, name it as executor.address=HOST:PORT, or have one started here: executor.address=local."
        ) from error
    try:
        yield
    finally:
        ray.shutdown()


def _nodes() -> dict[str, Mapping[str, float]]:
    """Return the resources of each node that is up, by its id."""
    ray = _ray()
    return {node["NodeID"]: node["Resources"] for node in ray.nodes() if node["Alive"]}


def _options(lot: Bundle, settings: Mapping[str, Any], nodes: Mapping[str, Mapping[str, float]]) -> dict[str, Any]:
    """Return what a task asks of Ray; a bundle that must be alone gets one node and everything that is on it.

    Raises:
        PlanError: if no node has as much; Ray would wait for ever.
    """
    own = mapping(settings, "resources")
    wanted = {"CPU": float(lot.needs.cpus), "GPU": float(lot.needs.gpus), **{k: float(v) for k, v in own.items()}}
    if lot.needs.memory_gb is not None:
        wanted["memory"] = lot.needs.memory_gb * 2**30
    fitting = {
        node: has for node, has in nodes.items() if all(has.get(name, 0.0) >= amount for name, amount in wanted.items())
    }
    if not fitting:
        names = " and ".join(f"{amount:g} {name}" for name, amount in wanted.items() if amount)
        most = "; ".join(f"{has.get('CPU', 0.0):g} CPU and {has.get('GPU', 0.0):g} GPU" for has in nodes.values())
        raise PlanError(
            f"No node of the Ray cluster has what a trial of study '{lot.trials[0].study}' asks for, {names}; the nodes have {most}. "
            f"Add such a node and run again, or ask for less under 'resources' of the study."
        )
    options: dict[str, Any] = {
        "num_cpus": wanted["CPU"],
        "num_gpus": wanted["GPU"],
        "memory": wanted.get("memory"),
        "resources": own or None,
        "max_retries": whole_number(settings, "restarts", 3, 0),
    }
    if lot.alone:
        node, has = max(fitting.items(), key=lambda item: (item[1].get("GPU", 0.0), item[1].get("CPU", 0.0), item[0]))
        options |= {
            "num_cpus": has.get("CPU", 0.0),
            "num_gpus": has.get("GPU", 0.0),
            "scheduling_strategy": _ray().util.scheduling_strategies.NodeAffinitySchedulingStrategy(node, soft=False),
        }
    return options


def _starter(work: Work, options: Mapping[str, Any], own_process: bool) -> Callable[[], Job]:
    ray = _ray()
    task = ray.remote(_do)
    if own_process:
        # Ray gives tasks to processes that ran others: another environment keeps this one apart, and one call is its last.
        task = ray.remote(max_calls=1, runtime_env={"env_vars": {"REPRO_OWN_PROCESS": "1"}})(_do)
    return lambda: _Task(task.options(**options).remote(work))


def _do(work: Work) -> tuple[int, str]:
    """Run the worker in a process of Ray; return its exit code and what it wrote to stderr."""
    said = io.StringIO()
    with contextlib.redirect_stderr(said):
        code = work()
    return code, said.getvalue()


@dataclass(frozen=True)
class _Task:
    """A task of Ray."""

    reference: Any

    def over(self) -> bool:
        ray = _ray()
        return bool(ray.wait([self.reference], timeout=0)[0])

    def last_words(self) -> str:
        ray = _ray()
        try:
            code, said = ray.get(self.reference)
        except ray.exceptions.RayError as error:
            return f"its Ray task was lost before it ended: {' '.join(str(error).split())[-600:]}"
        return f"its Ray task ended with code {code} before the trial did: {said.strip()[-600:] or 'it said nothing'}"

    def cancel(self) -> None:
        ray = _ray()
        ray.cancel(self.reference, force=True)
