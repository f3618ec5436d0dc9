"""Planning before launch: seeds, looks, pilots, refusals, and what a seal remembers of them."""

import json
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.launch.attempt import carry_out, conclude, to_run
from repro.launch.planning.stored import stored_at
from repro.launch.records.store import RecordStore
from repro.launch.session import Wishes, launch, prepare
from repro.launch.staleness import find_stale
from repro.schema.errors import ConfigError, PlanError
from repro.schema.places import records_dir
from tests_support import CLAIM, RECIPE, STUDY

QUIET = STUDY.replace("spread: 0.05", "spread: 0.01")
WIDE = STUDY.replace("spread: 0.05", "spread: 0.5")
LOOKS = CLAIM.format(name="toy/mean", printed="1.0").replace(
    "    decisive: [cpu]\n", "    decisive: [cpu]\n    looks: 3\n    max_replicates: 12\n"
)


def no_figure(claim, attempt) -> str:
    return "<svg/>"


def planned(*words: str, **wishes):
    new_seeds, store = wishes.pop("new_seeds", False), wishes.pop("store", True)
    prepared = prepare(["toy/mean", *words], load_index(), new_seeds, store, wishes=Wishes(**wishes))
    return prepared, next(attempt for attempt in prepared.plan.attempts if attempt.requested)


def run(*words: str, **wishes):
    (concluded,) = launch(planned(*words, **wishes)[0], no_figure)
    return concluded.attempt


def seeds_run() -> dict[float, set[int]]:
    """Seeds that have a record, by effect: 1.0 is the main arm, 0.0 the control."""
    found: dict[float, set[int]] = {}
    for record in RecordStore(records_dir()).all():
        found.setdefault(record.config["effect"], set()).add(record.config["seed"])
    return found


# Seeds


def test_replicates_are_sealed_and_make_nothing_exploratory(write_claims) -> None:
    write_claims()
    _, attempt = planned("scale=cpu", "replicates=12")
    assert attempt.sealed.replicates == tuple(range(12))
    assert attempt.overrides == ()
    assert attempt.config["replicates"] == 12
    _, exploratory = planned("scale=cpu", "study.replicates=12")
    assert exploratory.overrides == ("study.replicates=12",)


def test_another_number_of_seeds_is_a_new_attempt_on_new_seeds(write_claims) -> None:
    write_claims()
    _, first = planned("scale=cpu")
    _, more = planned("scale=cpu", "replicates=8")
    assert (more.counter, more.sealed.replicates) == (2, tuple(range(6, 14)))
    _, fewer = planned("scale=cpu", "replicates=4", new_seeds=True)
    assert (fewer.counter, fewer.sealed.replicates) == (3, (14, 15, 16, 17))
    assert planned("scale=cpu")[1].id == first.id
    assert planned("scale=cpu", "replicates=8")[1].id == more.id


def test_asking_for_new_seeds_again_resumes_what_was_begun(write_claims) -> None:
    write_claims()
    run("scale=cpu")
    _, begun = planned("scale=cpu", new_seeds=True)
    assert begun.counter == 2
    assert planned("scale=cpu", new_seeds=True)[1].id == begun.id
    assert run("scale=cpu", new_seeds=True).id == begun.id
    assert planned("scale=cpu", new_seeds=True)[1].counter == 3


@pytest.mark.parametrize(
    ("words", "error", "message"),
    [
        (["toy/mean", "replicates=0"], ConfigError, "at least 1, not 0"),
        (["toy/mean", "replicates=many"], ConfigError, "not 'many'"),
        (["toy/mean", "replicates=6,12"], ConfigError, "no sweep over it"),
        (["toy/exact", "replicates=6"], PlanError, "deterministic, more seeds change nothing"),
    ],
)
def test_seeds_that_make_no_sense_are_named(write_claims, words: list[str], error: type, message: str) -> None:
    write_claims()
    with pytest.raises(error, match=message):
        prepare(words, load_index(), store=False)


def test_an_attempt_of_its_own_size_is_not_stale(write_claims) -> None:
    write_claims(study=WIDE)
    ran = [run("scale=cpu"), run("scale=cpu", "replicates=5", pilot="0.5", indicative=True)]
    assert ran[1].sealed.indicative
    assert [attempt.validity for attempt in ran] == ["current", "current"]
    assert [attempt.counter for attempt in ran] == [1, 2]
    assert find_stale(ran) == {}


def test_a_changed_claim_makes_an_attempt_of_its_own_size_stale(write_claims) -> None:
    root = write_claims()
    attempt = run("scale=cpu", "replicates=7")
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.3"))
    (stale,) = find_stale([attempt]).values()
    assert stale.seal_now != attempt.sealed.digest
    assert stale.reasons == ("The margin was ± 0.25, now ± 0.3.",)


def test_pointers_of_an_older_version_are_read(write_claims) -> None:
    write_claims()
    _, attempt = planned("scale=cpu", "replicates=7")
    (file,) = Path(".repro/attempts").glob("*/*/*")
    content = json.loads(file.read_text())
    del content["replicates"], content["indicative"], content["version"]
    file.write_text(json.dumps(content))
    (stored,) = stored_at("toy/mean@replicate@cpu")
    assert (stored.attempt, stored.shape.replicates) == (attempt.id, tuple(range(7)))


# Looks


def test_looking_stops_as_soon_as_a_look_decides(write_claims) -> None:
    write_claims(claim=LOOKS, study=QUIET)
    prepared, attempt = planned("scale=cpu")
    assert (attempt.sealed.looks, attempt.sealed.replicates) == (3, tuple(range(12)))
    (concluded,) = launch(prepared, no_figure)
    verdict = concluded.attempt.verdict
    assert (verdict.outcome, verdict.look) == ("match", 1)
    assert verdict.parts["value"].estimate.n == 4
    assert verdict.parts["value"].alpha == pytest.approx(0.05 / 3)
    assert seeds_run() == {1.0: set(range(4)), 0.0: set(range(4))}
    assert {len(keys) for keys in concluded.attempt.arms.values()} == {4}
    assert to_run(prepared.plan, RecordStore(records_dir())) == []
    assert len(to_run(prepared.plan, RecordStore(records_dir()), all_looks=True)) == 16


def test_an_undecided_look_leads_to_the_next_and_the_last_is_the_last(write_claims) -> None:
    write_claims(claim=LOOKS, study=WIDE)
    attempt = run("scale=cpu")
    assert (attempt.verdict.outcome, attempt.verdict.look) == ("inconclusive", 3)
    assert attempt.verdict.parts["value"].estimate.n == 12
    assert seeds_run()[1.0] == set(range(12))


def test_a_killed_run_goes_on_at_the_right_look(write_claims) -> None:
    write_claims(claim=LOOKS, study=WIDE)
    prepared, attempt = planned("scale=cpu")
    store = RecordStore(records_dir())
    specs = {spec.key: spec for spec in prepared.plan.trials}

    class Killed(Exception):
        pass

    done = []

    def kill(record) -> None:
        done.append(record)
        if len(done) == 11:
            raise Killed

    with pytest.raises(Killed):
        carry_out(prepared.plan, store, {"kind": "inline"}, kill)
    waiting = to_run(prepared.plan, store)
    assert {spec.replicate for spec in waiting} <= {4, 5, 6, 7}
    assert len(waiting) == 5
    half = conclude(attempt, prepared.plan, store, {}, None, attempt.sealed.digest).attempt
    assert (half.execution, half.verdict) == ("failed", None)
    assert half.message.startswith("Look 2 of 3: 5 of 16 trials have no record")
    killed = run("scale=cpu")
    assert len(specs) == 24
    carried = {record.key for record in RecordStore(records_dir()).all()}
    assert carried == set(specs)
    whole = RecordStore(Path("whole"))
    carry_out(prepared.plan, whole, {"kind": "inline"})
    again = conclude(attempt, prepared.plan, whole, {}, None, attempt.sealed.digest).attempt
    assert again.verdict == killed.verdict


def test_a_look_does_not_read_seeds_that_others_had_run(write_claims) -> None:
    write_claims(
        claim=LOOKS, study=QUIET, extra={"claim/toy/other.yaml": CLAIM.format(name="toy/other", printed="1.0")}
    )
    launch(prepare(["toy/other", "scale=cpu", "replicates=12"], load_index()), no_figure)
    assert seeds_run()[1.0] == set(range(12))
    attempt = run("scale=cpu")
    assert (attempt.verdict.look, attempt.verdict.parts["value"].estimate.n, attempt.validity) == (1, 4, "current")


def test_a_further_look_cannot_be_added(write_claims) -> None:
    root = write_claims(claim=LOOKS, study=WIDE)
    first = run("scale=cpu")
    _, more = planned("scale=cpu", "replicates=15", indicative=True)
    assert set(more.sealed.replicates).isdisjoint(first.sealed.replicates)
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("looks: 3", "looks: 4"))
    assert run("scale=cpu", indicative=True).validity == "post_hoc"


def test_a_worker_elsewhere_runs_look_by_look(write_claims, capsys: pytest.CaptureFixture[str]) -> None:
    from repro.launch import worker
    from repro.launch.planning.planfile import write_plan

    write_claims(claim=LOOKS, study=WIDE)
    prepared, attempt = planned("scale=cpu")
    write_plan(prepared.plan, Path("plan.json"))
    for looks, seeds in ((1, 4), (2, 8), (3, 12)):
        assert worker.main(["plan.json", "--out", "there", "--looks", str(looks)]) == 0
        ran = {record.replicate for record in RecordStore(Path("there")).all()}
        assert ran == set(range(seeds))
    done = conclude(attempt, prepared.plan, RecordStore(Path("there")), {}, None, attempt.sealed.digest).attempt
    assert done.verdict.look == 3
    capsys.readouterr()


def test_looks_exist_only_where_they_could_decide(write_claims) -> None:
    write_claims(claim=LOOKS)
    _, attempt = planned("scale=smoke")
    assert (attempt.sealed.looks, len(attempt.sealed.replicates)) == (1, 3)


@pytest.mark.parametrize(
    ("claim", "words", "message"),
    [
        (LOOKS, ["replicates=10"], "10 is no multiple of 3. Use replicates=12"),
        (LOOKS.replace("    looks: 3\n", ""), [], "max_replicates is for several looks"),
    ],
)
def test_looks_that_cannot_be_are_named(write_claims, claim: str, words: list[str], message: str) -> None:
    write_claims(claim=claim)
    with pytest.raises(PlanError, match=message):
        planned("scale=cpu", *words, store=False)


def test_a_failing_trial_is_retried_at_its_look_and_no_further_look_is_begun(write_claims) -> None:
    write_claims(claim=LOOKS, study=STUDY.replace("spread: 0.05", "crash: always"))
    prepared, attempt = planned("scale=cpu")
    store, seen = RecordStore(records_dir()), []
    carry_out(prepared.plan, store, {"kind": "inline", "retries": 1}, seen.append)
    assert len(seen) == 2 * 8
    assert {record.replicate for record in seen} == {0, 1, 2, 3}
    assert conclude(attempt, prepared.plan, store, {}, None, None).attempt.execution == "failed"


# Refusals


def test_a_plan_that_can_hardly_decide_is_not_sealed(write_claims) -> None:
    write_claims(study=WIDE)
    with pytest.raises(PlanError) as refused:
        planned("scale=cpu", pilot="0.5")
    message = str(refused.value)
    prepared, _ = planned("scale=cpu", pilot="0.5", store=False)
    (outlook,) = prepared.outlooks.values()
    assert f"replicates={outlook.units_80}" in message
    assert "toy/mean, replicate at cpu: with 6 seeds" in message
    assert "--indicative" in message
    assert not Path(".repro").exists()
    enough, attempt = planned("scale=cpu", f"replicates={outlook.units_80}", pilot="0.5")
    assert attempt.overrides == ()
    assert attempt.sealed.indicative is False
    assert next(iter(enough.outlooks.values())).power_now >= 0.8


def test_told_to_be_indicative_it_is_sealed_and_says_so(write_claims) -> None:
    write_claims(study=WIDE)
    _, attempt = planned("scale=cpu", pilot="0.5", indicative=True)
    assert attempt.sealed.indicative
    resumed = run("scale=cpu")
    assert resumed.id == attempt.id
    assert resumed.sealed.indicative
    assert resumed.validity == "current"


def test_what_can_decide_is_not_marked_indicative(write_claims) -> None:
    write_claims()
    _, attempt = planned("scale=cpu", pilot="0.05", indicative=True)
    assert attempt.sealed.indicative is False


def test_a_sealed_attempt_is_resumed_whatever_is_known_by_now(write_claims) -> None:
    write_claims(study=WIDE)
    first = run("scale=cpu")
    assert first.verdict.reason == "underpowered"
    prepared, _ = planned("scale=cpu")
    (outlook,) = prepared.outlooks.values()
    assert (outlook.refusal, outlook.power_now < 0.5) == ("", True)
    assert run("scale=cpu").verdict == first.verdict
    with pytest.raises(PlanError, match=f"spread from {first.id}"):
        planned("scale=cpu", new_seeds=True)


def test_an_unknown_spread_and_an_exploratory_override_are_no_ground_for_refusal(write_claims) -> None:
    write_claims(study=WIDE)
    assert planned("scale=cpu")[1].sealed.indicative is False
    assert planned("scale=cpu", "study.params.effect=1.1", pilot="0.5")[1].overrides


def test_a_claim_sealed_with_another_is_not_refused_afterwards(write_claims) -> None:
    other = CLAIM.format(name="toy/other", printed="1.0").replace("replicate:", "again:")
    write_claims(study=WIDE, extra={"claim/toy/other.yaml": other})
    launch(prepare(["toy/other", "scale=cpu"], load_index()), no_figure)
    attempt = run("scale=cpu", pilot="0.5")
    assert (attempt.validity, attempt.sealed.indicative) == ("current", False)


def test_too_few_seeds_are_not_sealed_where_they_would_have_to_decide(write_claims) -> None:
    write_claims()
    with pytest.raises(PlanError, match=r"2 seeds are too few: the rule needs at least 3; plan replicates=3"):
        planned("scale=cpu", "replicates=2")
    assert planned("scale=smoke", "replicates=2")[1].sealed.replicates == (0, 1)


# Pilots


def outlook_of(*words: str, **wishes):
    prepared, _ = planned(*words, store=False, **wishes)
    ((outlook),) = prepared.outlooks.values()
    return outlook


def test_the_spread_comes_from_what_was_named_then_attempts_then_the_paper(write_claims) -> None:
    root = write_claims()
    (part,) = outlook_of("scale=cpu").parts
    assert (part.spread, part.spread_from) == (None, "unknown")
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace('printed: "1.0",', 'printed: "1.0", sd: "0.02",'))
    (part,) = outlook_of("scale=cpu").parts
    assert (part.spread, part.spread_from) == (0.02, "the paper's own runs")
    smoke = run("scale=smoke")
    (part,) = outlook_of("scale=cpu").parts
    assert (part.spread, part.spread_from) == (
        smoke.verdict.parts["value"].estimate.spread,
        f"{smoke.id}, another scale",
    )
    assert "a spread from 3 units is a rough guide" in part.note
    cpu = run("scale=cpu")
    (part,) = outlook_of("scale=cpu", new_seeds=True).parts
    assert part.spread_from == cpu.id
    (part,) = outlook_of("scale=cpu", pilot="0.1").parts
    assert (part.spread, part.spread_from) == (0.1, "--pilot 0.1")
    (part,) = outlook_of("scale=cpu", pilot=smoke.id).parts
    assert part.spread_from == smoke.id


def test_several_attempts_of_a_scale_pool_their_spread(write_claims) -> None:
    write_claims()
    first, second = run("scale=cpu"), run("scale=cpu", new_seeds=True)
    (part,) = outlook_of("scale=cpu", new_seeds=True).parts
    spreads = [attempt.verdict.parts["value"].estimate.spread for attempt in (first, second)]
    assert part.spread == pytest.approx(((spreads[0] ** 2 + spreads[1] ** 2) / 2) ** 0.5)
    assert part.spread_from == f"2 earlier attempts, the last {second.id}"


def test_an_exploratory_attempt_is_no_pilot(write_claims) -> None:
    write_claims()
    run("scale=cpu", "study.params.spread=0.2")
    assert outlook_of("scale=cpu").parts[0].spread is None


def test_a_directory_of_records_is_a_pilot(write_claims) -> None:
    write_claims()
    prepared, attempt = planned("scale=cpu", "replicates=4")
    carry_out(prepared.plan, RecordStore(Path("elsewhere")), {"kind": "inline"})
    (part,) = outlook_of("scale=cpu", "replicates=9", pilot="elsewhere").parts
    assert part.spread_from == "4 seeds in elsewhere"
    assert 0.01 < part.spread < 0.2
    assert attempt.sealed.replicates == (0, 1, 2, 3)


@pytest.mark.parametrize(
    ("pilot", "message"),
    [
        ("-1", "must be a positive number"),
        ("nan", "must be a positive number"),
        ("toy/mean@replicate@cpu-00000000-1", "no number, no directory of records, and no attempt"),
        ("empty", "none of its 0 records"),
    ],
)
def test_a_pilot_that_cannot_serve_is_named(write_claims, pilot: str, message: str) -> None:
    write_claims()
    Path("empty").mkdir()
    with pytest.raises(PlanError, match=message):
        outlook_of("scale=cpu", pilot=pilot)


def test_one_number_is_no_pilot_of_an_estimate_that_is_no_mean(write_claims) -> None:
    write_claims()
    with pytest.raises(PlanError, match="no mean over seeds"):
        prepare(["toy/exact"], load_index(), store=False, wishes=Wishes(pilot="0.1"))


def test_a_pilot_of_another_claim_is_refused(write_claims) -> None:
    write_claims(extra={"claim/toy/other.yaml": CLAIM.format(name="toy/other", printed="1.0")})
    attempt = run("scale=smoke")
    with pytest.raises(PlanError, match="is an attempt of toy/mean"):
        prepare(["toy/other", "scale=cpu"], load_index(), store=False, wishes=Wishes(pilot=attempt.id))


def test_an_edited_or_diverged_pilot_is_named(write_claims) -> None:
    write_claims(recipe=RECIPE.replace('"x": x,', '"x": float("nan"),'))
    prepared, _ = planned("scale=cpu", "replicates=4")
    carry_out(prepared.plan, RecordStore(Path("diverged")), {"kind": "inline"})
    with pytest.raises(PlanError, match="runs diverged"):
        outlook_of("scale=cpu", pilot="diverged")
    file = sorted(Path("diverged").glob("*.json"))[0]
    file.write_text(file.read_text().replace("toys/draws", "toys/other"))
    with pytest.raises(PlanError, match="was edited after it was written"):
        outlook_of("scale=cpu", pilot="diverged")
