"""What trials ask of a machine, how it reaches the executors, and those that run nothing or not here."""

from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pytest

from repro.catalog.compose import compose
from repro.catalog.index import load_index
from repro.catalog.load import config_files, load_study
from repro.cli.complete import complete_words
from repro.launch.attempt import carry_out, conclude
from repro.launch.executors import EXECUTORS, execute
from repro.launch.executors.jobs import bundles, records_of
from repro.launch.executors.needs import Needs, needs_of
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare, resources_asked
from repro.schema.errors import ConfigError, PlanError
from repro.schema.study import Resources
from repro.schema.trial import TrialSpec
from tests_support import RECIPE, STUDY

ASKING = STUDY.replace("  cpu: {}", "  cpu: {resources: {gpus: 3, minutes: 2}}") + "resources: {gpus: 1, cpus: 4}\n"


def test_every_executor_has_its_settings_and_completes() -> None:
    assert set(config_files("executor")) == set(EXECUTORS)
    assert complete_words("executor=") == [f"executor={name}" for name in EXECUTORS]


def test_a_scale_asks_for_what_its_study_asks_but_for_what_it_changes(write_claims) -> None:
    write_claims(study=ASKING)
    study = load_study("toys/draws")
    assert study.resources_at("smoke") == Resources(gpus=1, cpus=4)
    assert study.resources_at("cpu") == Resources(gpus=3, cpus=4, minutes=2.0)
    assert study.resources_at("paper") == Resources(gpus=1, cpus=4)


@pytest.mark.parametrize(
    ("resources", "said"),
    [
        ("{gpu: 1}", "unknown key 'gpu'. Did you mean 'gpus'"),
        ("{cpus: 0}", "cpus must be at least 1, not 0"),
        ("{gpus: 1.5}", "gpus must be an integer"),
        ("{minutes: 0}", "minutes must be above 0"),
        ("{memory_gb: lots}", "memory_gb must be a number"),
    ],
)
def test_resources_that_make_no_sense_name_their_file(write_claims, resources: str, said: str) -> None:
    write_claims(study=STUDY + f"resources: {resources}\n")
    with pytest.raises(ConfigError, match=said) as error:
        load_study("toys/draws")
    assert "draws.yaml" in str(error.value)


def test_resources_change_no_seal_and_no_trial(write_claims) -> None:
    write_claims()
    bare = prepare(["toy/mean", "scale=cpu"], load_index(), store=False).plan
    write_claims(study=ASKING)
    asking = prepare(["toy/mean", "scale=cpu"], load_index(), store=False).plan
    assert asking.seals == bare.seals
    assert asking.trials == bare.trials
    assert asking.attempts[0].id == bare.attempts[0].id


def test_only_what_is_sealed_makes_an_attempt_exploratory(write_claims) -> None:
    write_claims(recipe=RECIPE.replace("    seed: int = 0", "    resources: int = 0\n    seed: int = 0"))
    free = ["executor.jobs=3", "+study.resources.gpus=2", "+study.scales.cpu.resources.gpus=2"]
    sealed = ["study.replicates=9", "+study.scales.cpu.replicates=9", "+study.params.resources=1"]
    (request,) = compose(["toy/mean", "scale=cpu", "executor=processes", *free, *sealed], load_index())
    assert request.overrides == tuple(sealed)
    assert request.study.resources_at("cpu").gpus == 2
    assert request.executor["jobs"] == 3


def test_what_the_command_line_asks_reaches_the_trials(write_claims) -> None:
    write_claims(study=ASKING)
    words = ["toy/mean", "scale=smoke,cpu", "study.resources.cpus=7"]
    prepared = prepare(words, load_index(), store=False)
    asked = resources_asked(prepared)
    by_scale = {
        attempt.scale: {asked[key] for keys in attempt.arms.values() for key in keys}
        for attempt in prepared.plan.attempts
        if attempt.requested
    }
    assert by_scale["cpu"] >= {Resources(gpus=3, cpus=7, minutes=2.0)}
    assert set(asked) == {spec.key for spec in prepared.plan.trials}


def test_where_trials_run_is_not_published(write_claims) -> None:
    write_claims()
    words = ["toy/mean", "scale=smoke", "executor=slurm", "executor.account=secret", "executor.jobs=3"]
    attempt = prepare(words, load_index(), store=False).plan.attempts[0]
    assert attempt.config["executor"] == {"kind": "slurm", "jobs": 3, "retries": 1}


def spec(number: int = 0, **changes: object) -> TrialSpec:
    fields = {"device": "cpu", "time_limit_s": 90.0, **changes}
    return TrialSpec(
        "toys/draws", "recipes.toys.draws", {"seed": number}, number, "0" * 64, precision="float32", **fields
    )


def test_needs_follow_from_the_trial_where_nobody_says(write_claims) -> None:
    write_claims(recipe=RECIPE + "\n\ndef processes(config: Config) -> int:\n    return 1 + config.seed\n")
    first, third = spec(), spec(2)
    assert needs_of([first], {}) == Needs(gpus=0, cpus=1, memory_gb=None, minutes=1.5)
    assert needs_of([third], {}).cpus == 3
    assert needs_of([spec(2, device="cuda")], {}).gpus == 3
    asked = {third.key: Resources(gpus=1, memory_gb=8.0, minutes=20.0)}
    assert needs_of([first, third], asked) == Needs(gpus=1, cpus=3, memory_gb=8.0, minutes=21.5)
    assert needs_of([first, spec(3, time_limit_s=None)], {}).minutes is None


def test_jobs_share_trials_out_and_keep_apart_what_must_be(write_claims) -> None:
    write_claims()
    plain = [spec(number) for number in range(5)]
    own, timed = spec(7, own_process=True), [spec(number, measures="time") for number in (8, 9)]
    found = bundles([*plain, own, *timed], {}, at_once=4, per_job=2)
    assert [len(bundle.trials) for bundle in found] == [2, 2, 1, 1, 2]
    assert found[3].trials == (own,)
    assert [bundle.alone for bundle in found] == [False] * 4 + [True]
    assert found[4].trials == tuple(timed)
    assert bundles([], {}, 1, 1) == []


@dataclass
class FakeJob:
    """A job whose end a test decides."""

    ended: bool = False
    cancelled: bool = False

    def over(self) -> bool:
        return self.ended

    def last_words(self) -> str:
        return "the node went away"

    def cancel(self) -> None:
        self.cancelled = True


def test_a_job_without_records_gives_failed_trials_and_whoever_stops_takes_the_others_back(write_claims) -> None:
    write_claims()
    trials, store = [spec(number) for number in range(3)], RecordStore(Path("r"))
    started = [FakeJob(ended=True), FakeJob(), FakeJob()]
    opened: list[FakeJob] = []

    def starting(job: FakeJob) -> FakeJob:
        opened.append(job)
        return job

    starts = [(bundle, partial(starting, job)) for bundle, job in zip(bundles(trials, {}, 3, 1), started, strict=True)]
    records = records_of(starts, ("seal",), store, look_every_s=0.01, at_once=2)
    lost = next(records)
    assert (lost.status, lost.error, lost.seals) == ("failed", "the node went away", ("seal",))
    assert store.failures(lost.key)[0] == lost
    assert opened == started[:2], "two at a time"
    records.close()
    assert started[1].cancelled
    assert not started[0].cancelled


@pytest.mark.parametrize("kind", ["inline", "processes"])
def test_gpus_that_are_not_here_are_refused_before_anything_runs(write_claims, kind: str, monkeypatch) -> None:
    write_claims(study=ASKING)
    monkeypatch.setattr("repro.launch.executors.needs.cuda_devices", lambda: 2)
    prepared = prepare(["toy/mean", "scale=cpu"], load_index(), store=False)
    store = RecordStore(Path("r"))
    with pytest.raises(PlanError, match=r"asks for 3 CUDA devices at this scale, and torch finds 2.*executor=detached"):
        carry_out(prepared.plan, store, {"kind": kind}, asked=resources_asked(prepared))
    assert not list(Path("r").glob("*.json"))


def test_a_process_that_dies_leaves_a_failed_trial_with_its_last_words(write_claims) -> None:
    write_claims()
    plan = prepare(["toy/exact"], load_index()).plan
    apart = [spec for spec in plan.trials if spec.own_process]
    root = Path("claims/recipes/toys/sum.py")
    root.write_text(root.read_text() + "\nimport os\n")
    store = RecordStore(Path("r"))
    records = list(execute(apart, plan, store, {"kind": "inline"}))
    assert [record.status for record in records] == ["failed"] * len(apart)
    assert "ended with code 2 before the trial did: error: The sources of recipe" in records[0].error
    (planned,) = [attempt for attempt in plan.attempts if attempt.requested]
    concluded = conclude(planned, plan, store, {}, None, planned.sealed.digest).attempt
    assert concluded.execution == "failed"
    assert "The sources of recipe" in concluded.message


@pytest.mark.parametrize("words", [["executor=inline,processes"], ["executor=processes", "executor.jobs=1,2"]])
def test_one_launch_has_one_executor_with_one_set_of_settings(write_claims, words: list[str]) -> None:
    write_claims()
    with pytest.raises(ConfigError, match="One launch has one executor, not executor"):
        prepare(["toy/mean", "scale=smoke", *words], load_index())


def test_detached_needs_a_directory_before_it_seals(write_claims, repro) -> None:
    write_claims()
    code, _, errors = repro("run", "toy/mean", "scale=smoke", "executor=detached")
    assert code == 2
    assert "executor.directory=DIR" in errors
    assert not Path(".repro/plans").exists()


def test_detached_writes_plan_and_data_and_is_brought_home(write_claims, repro) -> None:
    import hashlib

    from repro.launch.worker import main as work

    text = "one\n"
    digest = hashlib.sha256(text.encode()).hexdigest()
    write_claims(
        study=STUDY + "data: [toy]\n",
        extra={"data/toy.yaml": f"file: toy.txt\nurl: file://{Path.cwd()}/toy.txt\nsha256: {digest}\nlicence: CC0\n"},
    )
    Path("toy.txt").write_text(text)
    code, out, errors = repro("run", "toy/mean", "scale=smoke", "executor=detached", "executor.directory=along")
    assert (code, errors.strip()) == (0, "")
    assert "Nothing ran here, and nothing is judged yet." in out
    assert "  REPRO_DATA=data/ python -m repro.launch.worker plan.json --out records/\n" in out
    assert "  repro collect along/records --plan along/plan.json\n" in out
    assert Path("along/data/toy.txt").read_text() == text
    assert not list(Path(".repro/records").glob("*.json"))
    assert work(["along/plan.json", "--out", "along/records"]) == 0
    code, out, _ = repro("collect", "along/records", "--plan", "along/plan.json")
    assert code == 0
    assert "toy/mean" in out


def test_detached_says_the_same_as_json(write_claims, repro) -> None:
    import json

    write_claims()
    code, out, _ = repro("run", "toy/mean", "scale=smoke", "executor=detached", "executor.directory=a b", "--json")
    said = json.loads(out)
    assert code == 0
    assert (said["attempts"], said["plan"], said["data"]) == ([], "a b/plan.json", None)
    assert said["back"] == "repro collect 'a b/records' --plan 'a b/plan.json'"
    assert not Path("a b/data").exists()
