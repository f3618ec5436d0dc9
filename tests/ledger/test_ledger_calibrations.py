"""Calibrations kept by seal: in files of the directory, on the attempt's run in MLflow, and never for another seal."""

from dataclasses import replace
from pathlib import Path

import pytest
from ledger_examples import PAPER, attempt, by_key, claim, record, verdict
from mlflow import MlflowClient

from repro.ledger import read
from repro.ledger.calibrations import cached, cached_or_none, calibration_metrics, keep
from repro.ledger.write import record_attempts, record_calibrations
from repro.schema.calibration import Calibration, Scenario
from repro.schema.errors import RecordError, StoreError
from repro.schema.places import calibrations_dir
from repro.schema.verdict import Attempt

RECORDS = [record(i) for i in range(3)]


def calibration(seal: str, match: int = 90) -> Calibration:
    return Calibration(
        seal=seal,
        claim="widgets/exponent",
        protocol="retrain",
        scale="gpu",
        scenarios=(
            Scenario("true", "", {"value": 0.49}, 100, match, 1, 99 - match),
            Scenario("margin", "above", {"value": 0.59}, 100, 5, 3, 92, ("value",)),
            Scenario("margin", "below", {"value": 0.39}, 100, 2, 6, 92, ("value",)),
            Scenario("rival", "R³@k", {"value": 0.73}, 100, 0, 97, 3, ("value",)),
        ),
        method="records",
        noise={"value": 0.02},
        noise_from="an attempt",
        units=3,
        unit="seed",
        seed=0,
    )


def written() -> Attempt:
    made = attempt(claim(), RECORDS, verdict(claim(), {"value": 0.51}))
    record_attempts([(made, PAPER, claim())], by_key(RECORDS), {made.id: "<svg/>"})
    return made


def run_of(client: MlflowClient, made: Attempt):
    return next(
        run
        for experiment in client.search_experiments()
        for run in client.search_runs([experiment.experiment_id])
        if run.data.tags.get("repro.attempt") == made.id
    )


def test_a_calibration_is_kept_and_read_by_its_seal(home: Path) -> None:
    made = calibration("a" * 64)
    file = keep(made)
    assert file == calibrations_dir() / f"{'a' * 64}.json"
    assert cached("a" * 64) == made
    assert cached("b" * 64) is None
    assert [f.name for f in calibrations_dir().iterdir()] == [file.name]


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (lambda text: text[:40], "not readable JSON"),
        (lambda text: text.replace('"draws": 100', '"draws": 99'), "99 draws need as many verdicts"),
        (lambda text: text.replace("a" * 64, "b" * 64), "of the seal bbbbbbbb, not of aaaaaaaa"),
        (lambda text: text.replace('"version": 1', '"version": 99'), "newer version"),
        (lambda text: text.replace('"unit"', '"unti"'), "Did you mean 'unit'"),
    ],
)
def test_a_damaged_file_is_an_error_and_counts_as_none(home: Path, damage, message: str) -> None:
    file = keep(calibration("a" * 64))
    file.write_text(damage(file.read_text()))
    with pytest.raises(RecordError, match=message):
        cached("a" * 64)
    assert cached_or_none("a" * 64) is None


def test_a_place_that_cannot_be_written_is_one_sentence(home: Path) -> None:
    Path(".repro").write_text("a file")
    with pytest.raises(StoreError, match="could not be written"):
        keep(calibration("a" * 64))


def test_a_calibration_reaches_the_run_of_its_attempt(home: Path, client: MlflowClient) -> None:
    made = written()
    assert read.calibrations() == {}
    expected = calibration(made.sealed.digest)
    assert record_calibrations([expected]) == 1
    run = run_of(client, made)
    assert run.data.metrics["sensitivity"] == 0.9
    assert run.data.metrics["specificity_margin"] == 0.03
    assert run.data.metrics["false_match_margin"] == 0.05
    assert run.data.metrics["specificity_rival.R³_k"] == 0.97
    assert run.data.metrics["estimate"] == pytest.approx(0.51)
    assert read.calibrations() == {made.sealed.digest: expected}
    assert read.load_attempt(made.id) == made


def test_one_of_another_seal_is_recorded_nowhere(home: Path, client: MlflowClient) -> None:
    made = written()
    assert record_calibrations([calibration("b" * 64)]) == 0
    assert read.calibrations() == {}
    assert "sensitivity" not in run_of(client, made).data.metrics
    assert record_calibrations([]) == 0


def test_an_attempt_takes_its_calibration_along_when_it_is_written(home: Path, client: MlflowClient) -> None:
    made = attempt(claim(), RECORDS, verdict(claim(), {"value": 0.51}))
    expected = calibration(made.sealed.digest)
    keep(expected)
    written()
    assert read.calibrations() == {made.sealed.digest: expected}
    assert run_of(client, made).data.metrics["sensitivity"] == 0.9


def test_judging_again_elsewhere_keeps_the_calibration(home: Path, client: MlflowClient) -> None:
    made = written()
    expected = calibration(made.sealed.digest)
    record_calibrations([expected])
    changed = replace(made, validity="disputed")
    record_attempts([(changed, PAPER, claim())], by_key(RECORDS), {})
    assert read.load_attempt(made.id).validity == "disputed"
    assert read.calibrations() == {made.sealed.digest: expected}
    assert run_of(client, made).data.metrics["sensitivity"] == 0.9


def test_a_new_calibration_replaces_the_old_one(home: Path, client: MlflowClient) -> None:
    made = written()
    for match in (90, 80, 80):
        record_calibrations([calibration(made.sealed.digest, match)])
    assert read.calibrations()[made.sealed.digest].scenarios[0].match == 80
    assert run_of(client, made).data.metrics["sensitivity"] == 0.8


def test_an_edited_artifact_is_refused(home: Path, client: MlflowClient) -> None:
    made = written()
    record_calibrations([calibration(made.sealed.digest)])
    (file,) = Path().glob("mlruns/**/calibration.json")
    text = file.read_text()
    file.write_text(
        text.replace('"mismatch": 97', '"mismatch": 98').replace('"inconclusive": 3,', '"inconclusive": 2,')
    )
    with pytest.raises(RecordError, match="edited after it was written"):
        read.calibrations()


def test_metrics_take_the_worse_side_of_the_margin() -> None:
    assert calibration_metrics(calibration("a" * 64)) == {
        "sensitivity": 0.9,
        "specificity_margin": 0.03,
        "false_match_margin": 0.05,
        "specificity_rival.R³@k": 0.97,
        "inconclusive_rate.true": 0.09,
        "inconclusive_rate.margin": 0.92,
        "inconclusive_rate.rival": 0.03,
    }
