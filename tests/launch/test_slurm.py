"""Jobs by submitit: its local executor runs them for real, and its own double of SLURM shows what would reach sbatch."""

import os
import signal
import subprocess
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro.catalog.index import load_index
from repro.launch.attempt import carry_out, conclude, to_run
from repro.launch.executors import check, execute, jobs
from repro.launch.executors.slurm import START_MINUTES
from repro.launch.provenance.origin import hardware
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare, resources_asked
from repro.schema.errors import ConfigError
from repro.schema.trial import Plan, TrialRecord
from tests_support import STUDY

submitit = pytest.importorskip("submitit", reason="submitit is the extra `slurm`")

LOCAL = {"kind": "slurm", "cluster": "local", "jobs": 2, "look_every_s": 0.05, "retries": 0, "per_job": 2}


def sealed(words: list[str]) -> Plan:
    return prepare(words, load_index()).plan


def outcome(plan: Plan, store: RecordStore) -> tuple[str, object]:
    (planned,) = [attempt for attempt in plan.attempts if attempt.requested]
    attempt = conclude(planned, plan, store, {}, None, planned.sealed.digest).attempt
    return attempt.execution, attempt.verdict


@pytest.mark.slow
def test_jobs_give_the_verdict_of_one_process(write_claims, tmp_path: Path) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", f"spread: 0.05, journal: {tmp_path / 'journal'}"))
    plan = sealed(["toy/mean", "scale=smoke"])
    jobs, here = RecordStore(tmp_path / "jobs"), RecordStore(tmp_path / "here")
    seen = []
    carry_out(plan, jobs, LOCAL, seen.append)
    assert sorted(record.key for record in seen) == sorted(spec.key for spec in plan.trials)
    assert len({record.process for record in seen}) == 3, "two stacks a job"
    assert len((tmp_path / "journal").read_text().splitlines()) == 6
    assert to_run(plan, jobs) == []
    carry_out(plan, here, {"kind": "inline"})
    assert outcome(plan, jobs) == outcome(plan, here)


@pytest.mark.slow
def test_a_job_that_is_preempted_goes_on_and_repeats_no_finished_trial(write_claims, tmp_path: Path) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", f"spread: 0.05, seconds: 1, journal: {tmp_path / 'journal'}"))
    plan = sealed(["toy/mean", "scale=smoke"])
    store = RecordStore(tmp_path / "r")
    preempted: list[int] = []

    def preempt(*_: object) -> None:
        if not preempted:
            preempted.append(_worker_of(store))
            os.kill(preempted[0], signal.SIGTERM)  # as SLURM warns of it; submitit waits for the next
            os.kill(preempted[0], signal.SIGUSR2)

    records = []
    for record in execute(plan.trials, plan, store, {**LOCAL, "jobs": 1, "per_job": 6}):
        records.append(record)
        preempt()
    assert [record.status for record in records] == ["finished"] * 6
    assert len({record.process for record in records}) == 2, "the job was not started again"
    begun = (tmp_path / "journal").read_text().splitlines()
    assert len(begun) <= 7, "more was run again than the trial that was under way"
    assert len(set(begun)) == 6


def _worker_of(store: RecordStore) -> int:
    """Return the process that runs the worker of the one job: the child of the process whose number the job has."""
    (log,) = (store.directory / "jobs").glob("*/*_submitted.pkl")
    listing = subprocess.run(["ps", "-o", "pid=", "--ppid", log.name.split("_")[0]], capture_output=True, text=True)
    return int(listing.stdout.split()[0])


@pytest.mark.slow
def test_a_job_that_dies_gives_failed_trials_with_its_last_words(write_claims, tmp_path: Path) -> None:
    root = write_claims()
    plan = sealed(["toy/mean", "scale=smoke"])
    recipe = root / "recipes/toys/draws.py"
    recipe.write_text(recipe.read_text() + "\n# changed after it was planned\n")
    store = RecordStore(tmp_path / "r")
    records = list(execute(plan.trials[:2], plan, store, {**LOCAL, "per_job": 6}))
    assert [record.status for record in records] == ["failed"] * 2
    assert "differ from those that were planned" in records[0].error
    assert "job " in records[0].error
    assert len(store.failures(records[0].key)) == 1


SHAPES = """
recipe: recipes.toys.draws
params: {effect: 1.0, spread: 0.05}
replicates: 6
resources: {memory_gb: 3, minutes: 7}
scales:
  smoke: {replicates: 3}
  cpu: {resources: {gpus: 2, cpus: 5, memory_gb: 40.5}}
"""

SLURM = {"kind": "slurm", "cluster": "slurm", "jobs": 4, "per_job": 2}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch):
    """Yield submitit's double of SLURM; its jobs run whenever the launcher waits."""
    from submitit.core import submission
    from submitit.slurm.test_slurm import mocked_slurm

    handlers = {each: signal.getsignal(each) for each in (signal.SIGTERM, signal.SIGCONT, signal.SIGUSR2)}
    ran: set[str] = set()

    def play(_: float) -> None:
        for pickle in sorted(Path().glob("r/jobs/*/*_submitted.pkl")):
            if pickle.parent.name not in ran:
                ran.add(pickle.parent.name)
                with mock.job_context(pickle.parent.name):
                    submission.process_job(pickle.parent.resolve())

    monkeypatch.setattr(jobs, "time", SimpleNamespace(sleep=play))
    monkeypatch.setenv("SUBMITIT_FOLDER", "")
    hardware()  # asks the system once, by commands that the double does not know
    with mocked_slurm() as mock:
        yield mock
    for each, handler in handlers.items():
        signal.signal(each, handler)


def placed(words: list[str], settings: dict) -> tuple[list[TrialRecord], list[str]]:
    """Launch words, and return the records and what sbatch was told, in the order of the jobs."""
    prepared = prepare([*words], load_index(), store=False)
    store = RecordStore(Path("r"))
    check(settings)
    records = list(execute(prepared.plan.trials, prepared.plan, store, settings, resources_asked(prepared)))
    scripts = sorted(Path("r/jobs").glob("*/*.sh"))
    return records, [line for file in scripts for line in file.read_text().splitlines() if line.startswith("#SBATCH")]


def test_what_the_study_asks_for_reaches_sbatch(write_claims, cluster) -> None:
    write_claims(study=SHAPES)
    settings = {**SLURM, "partition": "big", "account": "us", "qos": "low", "extra": {"constraint": "a100"}}
    records, told = placed(["toy/mean", "scale=cpu"], settings)
    assert [record.status for record in records] == ["finished"] * 12
    for line in (
        "--gpus-per-node=2",
        "--cpus-per-task=5",
        "--mem=41472MB",
        f"--time={2 * 7 + START_MINUTES}",
        "--array=0-5%4",
        "--nodes=1",
        "--partition=big",
        "--account=us",
        "--qos=low",
        "--constraint=a100",
        "--signal=USR2@90",
    ):
        assert f"#SBATCH {line}" in told
    assert not any("exclusive" in line for line in told)


def test_a_scale_that_says_nothing_takes_what_the_study_says(write_claims, cluster) -> None:
    write_claims(study=SHAPES)
    _, told = placed(["toy/mean", "scale=smoke"], SLURM)
    assert "#SBATCH --mem=3GB" in told
    assert "#SBATCH --cpus-per-task=1" in told
    assert not any("gpus" in line for line in told)


def test_all_timings_are_one_job_alone_on_its_node(write_claims, cluster) -> None:
    write_claims(study=STUDY + "measures: time\n")
    records, told = placed(["toy/mean", "scale=smoke"], {**SLURM, "per_job": 1})
    assert len({record.machine.fingerprint for record in records}) == 1
    assert "#SBATCH --exclusive" in told
    assert "#SBATCH --no-requeue" in told
    assert not any("--array" in line for line in told)


def test_timings_of_a_second_machine_are_refused(write_claims, cluster) -> None:
    write_claims(study=STUDY + "measures: time\n")
    prepared = prepare(["toy/mean", "scale=smoke"], load_index(), store=False)
    plan, store = prepared.plan, RecordStore(Path("r"))
    list(execute(plan.trials[:2], plan, store, {"kind": "inline"}))
    rest = to_run(plan, store, anywhere=True)
    records = list(execute(rest, plan, store, SLURM))
    assert {record.status for record in records} == {"failed"}
    assert "whose timings cannot be compared" in records[0].error
    assert not list(Path("r/jobs").glob("*/*.sh"))


def test_a_timing_of_a_node_is_not_missing_at_home(write_claims, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims(study=STUDY + "measures: time\n")
    plan = prepare(["toy/mean", "scale=smoke"], load_index(), store=False).plan
    store = RecordStore(Path("r"))
    list(execute(plan.trials, plan, store, {"kind": "inline"}))
    monkeypatch.setattr("repro.launch.attempt.fingerprint", lambda device: "another")
    assert to_run(plan, store, anywhere=True) == []
    assert len(to_run(plan, store)) == len(plan.trials)


def test_a_job_that_slurm_refuses_is_explained(write_claims, cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()

    def refuse(args: list[str]) -> str:
        raise subprocess.CalledProcessError(1, "sbatch", stderr="invalid partition specified: bgi")

    monkeypatch.setattr(cluster, "sbatch", refuse)
    with pytest.raises(ConfigError, match="SLURM did not take the job.*executor.partition"):
        placed(["toy/mean", "scale=smoke"], SLURM)


def test_without_slurm_s_commands_nothing_is_sealed(write_claims, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims()
    monkeypatch.setattr("shutil.which", lambda name: None)
    with pytest.raises(ConfigError, match="finds no 'srun' here.*executor.cluster=local"):
        prepare(["toy/mean", "scale=smoke", "executor=slurm"], load_index())
    assert not Path(".repro/plans").exists()


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"cluster": "slrum"}, "Did you mean 'slurm'"),
        ({"jobs": 0}, "executor.jobs must be a whole number, at least 1, not 0"),
        ({"requeues": 1.5}, "executor.requeues must be a whole number, at least 0, not 1.5"),
        ({"extra": 3}, "executor.extra must be a mapping"),
        ({"look_every_s": 0}, "executor.look_every_s must be a number of seconds"),
    ],
)
def test_settings_that_make_no_sense_are_refused(wrong: dict, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        check({**LOCAL, **wrong})
