from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.launch.attempt import carry_out, conclude, to_run
from repro.launch.planning.planfile import read_plan, write_plan
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare
from repro.schema.errors import ConfigError
from repro.schema.trial import Plan, TrialRecord
from tests_support import DETERMINISTIC_CLAIM, STUDY, SUM

INLINE = {"kind": "inline", "retries": 1}


def ran(words: list[str], store: RecordStore, settings: dict = INLINE) -> tuple[Plan, list[TrialRecord]]:
    plan = prepare(words, load_index()).plan
    seen: list[TrialRecord] = []
    carry_out(plan, store, settings, seen.append)
    return plan, seen


def judged(plan: Plan, store: RecordStore, current: str | None = None):
    attempt = next(attempt for attempt in plan.attempts if attempt.requested)
    return conclude(attempt, plan, store, {}, "1e3", current or attempt.sealed.digest).attempt


def test_a_noisy_claim_from_words_to_verdict(write_claims, tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "r")
    plan, seen = ran(["toy/mean", "scale=cpu"], store)
    attempt = judged(plan, store)
    assert len(seen) == 12
    assert attempt.verdict is not None
    assert attempt.verdict.outcome == "match"
    assert attempt.verdict.controls["without_effect"].failed is True
    assert (attempt.execution, attempt.validity, attempt.exploratory) == ("completed", "current", False)
    assert attempt.compute_ratio == pytest.approx(6 * 10.0 / 1e3)
    assert attempt.id == f"toy/mean@replicate@cpu-{attempt.sealed.digest[:8]}-1"


def test_an_exact_claim_runs_two_seeds_in_two_processes(write_claims, tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "r")
    plan, seen = ran(["toy/exact"], store)
    attempt = judged(plan, store)
    main = [record for record in seen if record.key in attempt.arms["main"]]
    assert {record.config["seed"] for record in main} == {0, 1}
    assert len({record.process for record in main}) == 2
    assert attempt.verdict is not None
    assert attempt.verdict.outcome == "match"


def test_a_result_that_depends_on_the_seed_is_not_deterministic(write_claims, tmp_path: Path) -> None:
    write_claims(
        extra={
            "recipes/toys/sum.py": SUM.replace("config.left + config.right", "config.left + config.right + config.seed")
        }
    )
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/exact"], store)
    verdict = judged(plan, store).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "not_deterministic")


def test_a_control_that_does_not_fail_undoes_the_match(write_claims, tmp_path: Path) -> None:
    write_claims(extra={"claim/toy/exact.yaml": DETERMINISTIC_CLAIM.replace("right: 3", "right: 2")})
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/exact"], store)
    verdict = judged(plan, store).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "control_did_not_fail")


def test_a_scale_that_is_not_decisive_never_decides(write_claims, tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/mean", "scale=smoke"], store)
    verdict = judged(plan, store).verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "not_decisive_scale")
    assert verdict.parts["value"].estimate.value is not None


@pytest.mark.parametrize("settings", [INLINE, {"kind": "processes", "jobs": 2, "retries": 0}])
def test_finished_trials_are_not_run_again(write_claims, tmp_path: Path, settings: dict) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", f"spread: 0.05, journal: {tmp_path / 'journal'}"))
    store = RecordStore(tmp_path / "r")
    plan, seen = ran(["toy/mean", "scale=smoke"], store, settings)
    assert len(seen) == 6
    assert to_run(plan, store) == []
    _, again = ran(["toy/mean", "scale=smoke"], store, settings)
    assert again == []
    assert len((tmp_path / "journal").read_text().splitlines()) == 6


def test_executors_give_the_same_verdict(write_claims, tmp_path: Path) -> None:
    write_claims()
    verdicts = []
    for name, settings in {"a": INLINE, "b": {"kind": "processes", "jobs": 2}}.items():
        store = RecordStore(tmp_path / name)
        plan, _ = ran(["toy/mean", "scale=cpu"], store, settings)
        verdicts.append(judged(plan, store).verdict)
    assert verdicts[0] == verdicts[1]


def test_an_unknown_executor_is_named(write_claims, tmp_path: Path) -> None:
    write_claims()
    with pytest.raises(ConfigError, match="Did you mean 'inline'"):
        ran(["toy/mean", "scale=smoke"], RecordStore(tmp_path / "r"), {"kind": "inlin"})


def test_a_failed_trial_is_retried_and_then_left_out_of_the_verdict(write_claims, tmp_path: Path) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", f"spread: 0.05, crash: {tmp_path / 'crashed'}"))
    store = RecordStore(tmp_path / "r")
    plan, seen = ran(["toy/mean", "scale=smoke"], store)
    assert [record.status for record in seen].count("failed") == 1
    assert judged(plan, store).execution == "completed"


def test_a_trial_that_keeps_failing_fails_the_attempt_without_a_verdict(write_claims, tmp_path: Path) -> None:
    write_claims(study=STUDY.replace("spread: 0.05", "crash: always"))
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/mean", "scale=smoke"], store)
    attempt = judged(plan, store)
    assert (attempt.execution, attempt.verdict) == ("failed", None)
    assert "the machine gave up" in attempt.message


def test_records_older_than_the_seal_make_the_verdict_post_hoc(write_claims, tmp_path: Path) -> None:
    root = write_claims()
    store = RecordStore(tmp_path / "r")
    ran(["toy/mean", "scale=smoke"], store)
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.5"))
    plan, seen = ran(["toy/mean", "scale=smoke"], store)
    assert seen == []
    assert judged(plan, store).validity == "post_hoc"


def test_a_sealed_sister_claim_is_served_by_the_same_records(write_claims, tmp_path: Path) -> None:
    from tests_support import CLAIM

    write_claims(extra={"claim/toy/other.yaml": CLAIM.format(name="toy/other", printed="1.1")})
    store = RecordStore(tmp_path / "r")
    ran(["toy/mean", "scale=smoke"], store)
    plan, seen = ran(["toy/other", "scale=smoke"], store)
    assert seen == []
    assert judged(plan, store).validity == "current"


def test_a_changed_claim_makes_the_attempt_stale(write_claims, tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/mean", "scale=smoke"], store)
    assert judged(plan, store, current="another").validity == "stale"


def test_an_override_makes_the_attempt_exploratory(write_claims, tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/mean", "scale=smoke", "study.params.effect=1.05"], store)
    attempt = judged(plan, store)
    assert attempt.exploratory
    assert attempt.overrides == ("study.params.effect=1.05",)


def test_an_estimator_that_refuses_gives_its_reason(write_claims, tmp_path: Path) -> None:
    write_claims(claim=None, study=STUDY.replace("replicates: 3", "replicates: 1"))
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/mean", "scale=smoke"], store)
    verdict = judged(plan, store).verdict
    assert verdict is not None
    assert verdict.outcome == "inconclusive"


def test_a_plan_read_back_gives_the_same_verdict(write_claims, tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "r")
    plan, _ = ran(["toy/mean", "scale=cpu"], store)
    write_plan(plan, tmp_path / "plan.json")
    assert judged(read_plan(tmp_path / "plan.json"), store).verdict == judged(plan, store).verdict
