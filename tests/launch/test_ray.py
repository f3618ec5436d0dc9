"""Tasks on a real Ray cluster of two node processes on this machine."""

import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.launch.attempt import carry_out, conclude, to_run
from repro.launch.executors import check, execute, ray_cluster
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare
from repro.schema.errors import ConfigError, PlanError
from repro.schema.study import Resources
from repro.schema.trial import Plan
from tests_support import RECIPE, STUDY

RAY = {"kind": "ray", "address": "auto", "look_every_s": 0.05, "retries": 0, "restarts": 2}

TELLING = (
    RECIPE.replace("import random", "import os\nimport random")
    .replace("{config.seed}\\n", "{config.seed} {os.getppid()}\\n")
    .replace("not Path(config.crash).exists()", "config.seed == 2 and not Path(config.crash).exists()")
    .replace('raise RuntimeError("the machine gave up")', "os.kill(os.getpid(), 9)")
)
"""Writes down the process that started its own, which is its node's, and kills its own where told to."""


@pytest.fixture(scope="module")
def two_nodes() -> Iterator[str]:
    """Start two nodes of one and of two CPUs, and yield the address of their cluster."""
    ray = pytest.importorskip("ray", reason="Ray is the extra `ray`: pip install 'repro-tracker[ray]'")
    from ray.cluster_utils import Cluster

    # Short: the paths of its sockets may have 107 characters.
    place = tempfile.mkdtemp(prefix="ray")
    (Path(place) / "ray").mkdir()
    changed = pytest.MonkeyPatch()
    changed.setenv("RAY_TMPDIR", place)
    changed.setenv("RAY_USAGE_STATS_ENABLED", "0")
    node = {"object_store_memory": 80 * 2**20, "include_dashboard": False}
    cluster = Cluster()
    try:
        cluster.add_node(num_cpus=1, resources={"first": 1}, **node)
        cluster.add_node(num_cpus=2, resources={"second": 2}, **node)
        cluster.wait_for_nodes()
        yield cluster.address
    finally:
        ray.shutdown()
        cluster.shutdown()
        changed.undo()
        shutil.rmtree(place, ignore_errors=True)


def sealed(words: list[str]) -> Plan:
    return prepare(words, load_index()).plan


def outcome(plan: Plan, store: RecordStore) -> tuple[str, object]:
    (planned,) = [attempt for attempt in plan.attempts if attempt.requested]
    attempt = conclude(planned, plan, store, {}, None, planned.sealed.digest).attempt
    return attempt.execution, attempt.verdict


@pytest.mark.slow
def test_trials_land_on_both_nodes_and_give_the_verdict_of_one_process(write_claims, two_nodes, tmp_path: Path) -> None:
    journal = tmp_path / "journal"
    write_claims(study=STUDY.replace("spread: 0.05", f"spread: 0.05, seconds: 1, journal: {journal}"), recipe=TELLING)
    plan = sealed(["toy/mean", "scale=smoke"])
    there, here = RecordStore(tmp_path / "there"), RecordStore(tmp_path / "here")
    seen = []
    carry_out(plan, there, {**RAY, "address": two_nodes}, seen.append)
    assert sorted(record.key for record in seen) == sorted(spec.key for spec in plan.trials)
    assert to_run(plan, there) == []
    begun = [line.split() for line in journal.read_text().splitlines()]
    assert len(begun) == 6
    assert len({node for *_, node in begun}) == 2, "one node ran all trials"
    carry_out(plan, here, {"kind": "inline"})
    assert outcome(plan, there) == outcome(plan, here)


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_no_finished_trial_is_repeated(write_claims, two_nodes, tmp_path) -> None:
    study = STUDY.replace(
        "spread: 0.05", f"spread: 0.05, crash: {tmp_path / 'killed'}, journal: {tmp_path / 'journal'}"
    )
    write_claims(study=study, recipe=TELLING)
    plan, store = sealed(["toy/mean", "scale=smoke"]), RecordStore(tmp_path / "r")
    records = list(execute(plan.trials, plan, store, {**RAY, "address": two_nodes, "jobs": 1, "per_job": 6}))
    assert [record.status for record in records] == ["finished"] * 6
    assert (tmp_path / "killed").exists()
    assert len({record.process for record in records}) == 2
    begun = [line.rpartition(" ")[0] for line in (tmp_path / "journal").read_text().splitlines()]
    assert len(begun) == 7, "only the trial during which the process was killed runs again"
    assert len(set(begun)) == 6


@pytest.mark.slow
def test_two_seeds_that_check_each_other_run_in_two_processes(write_claims, two_nodes, tmp_path: Path) -> None:
    write_claims()
    plan, store = sealed(["toy/exact"]), RecordStore(tmp_path / "r")
    carry_out(plan, store, {**RAY, "address": two_nodes})
    execution, verdict = outcome(plan, store)
    assert execution == "completed"
    assert verdict.outcome == "match"


@pytest.mark.slow
def test_timings_have_one_node_for_themselves(write_claims, two_nodes, tmp_path: Path, monkeypatch) -> None:
    study = STUDY.replace("spread: 0.05", f"spread: 0.05, journal: {tmp_path / 'journal'}") + "measures: time\n"
    write_claims(study=study, recipe=TELLING)
    asked = []
    options_of = ray_cluster._options
    monkeypatch.setattr(ray_cluster, "_options", lambda *given: asked.append(options := options_of(*given)) or options)
    plan, store = sealed(["toy/mean", "scale=smoke"]), RecordStore(tmp_path / "r")
    records = list(execute(plan.trials, plan, store, {**RAY, "address": two_nodes}))
    assert [record.status for record in records] == ["finished"] * 6
    assert len({record.process for record in records}) == 1
    assert [options["num_cpus"] for options in asked] == [2.0], "the larger node, and all of it"


@pytest.mark.slow
def test_what_no_node_has_is_refused_and_not_waited_for(write_claims, two_nodes, tmp_path: Path) -> None:
    write_claims()
    plan, store = sealed(["toy/mean", "scale=smoke"]), RecordStore(tmp_path / "r")
    asked = {spec.key: Resources(gpus=4) for spec in plan.trials}
    with pytest.raises(PlanError, match="asks for, 1 CPU and 4 GPU; the nodes have"):
        list(execute(plan.trials, plan, store, {**RAY, "address": two_nodes}, asked))


@pytest.mark.slow
def test_a_task_that_cannot_run_its_trials_gives_failed_ones(write_claims, two_nodes, tmp_path: Path) -> None:
    root = write_claims()
    plan, store = sealed(["toy/mean", "scale=smoke"]), RecordStore(tmp_path / "r")
    recipe = root / "recipes/toys/draws.py"
    recipe.write_text(recipe.read_text() + "\n# changed after it was planned\n")
    records = list(execute(plan.trials[:1], plan, store, {**RAY, "address": two_nodes}))
    assert [record.status for record in records] == ["failed"]
    assert "differ from those that were planned" in records[0].error


@pytest.mark.slow
def test_where_there_is_no_cluster_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    ray = pytest.importorskip("ray", reason="Ray is the extra `ray`")

    def refuse(**_: object) -> None:
        raise ConnectionError("Could not find any running Ray instance.")

    monkeypatch.setattr(ray, "init", refuse)
    monkeypatch.setattr(ray, "is_initialized", lambda: False)
    with pytest.raises(ConfigError, match="ray start --head.*executor.address=local"), ray_cluster._connected(RAY):
        pass


def test_without_ray_the_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ConfigError, match="pip install 'repro-tracker\\[ray\\]'"):
        check(RAY)
