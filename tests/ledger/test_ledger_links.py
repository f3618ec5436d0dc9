"""Links from the pages into MLflow: they name the very runs that the ledger wrote."""

from pathlib import Path

from ledger_examples import PAPER, attempt, by_key, claim, diverged, failed, record, verdict
from mlflow import MlflowClient

from repro.ledger.write import record_attempts
from repro.review.facts.ledger_links import Links, ledger_links


def test_an_attempt_and_each_of_its_trials_have_their_run(home: Path) -> None:
    records = [record(0), record(1), diverged(), failed()]
    made = attempt(claim(), records, verdict(claim(), {"value": 0.5}))
    record_attempts([(made, PAPER, claim())], by_key(records), {})
    links = ledger_links(made.id)
    client = MlflowClient(f"sqlite:///{home / 'mlflow.db'}")
    for each in records:
        _, _, experiment, _, run = links.trials[each.digest].split("/")
        found = client.get_run(run)
        assert found.data.tags["repro.trial_key"] == each.key
        assert found.info.experiment_id == experiment
    assert len(links.trials) == len(records)
    run = client.get_run(links.attempt.rpartition("/")[2])
    assert run.data.tags["repro.attempt"] == made.id


def test_what_is_not_in_the_ledger_has_no_links(home: Path) -> None:
    assert ledger_links("widgets/exponent@retrain@gpu-00000000-1") == Links()
    made = attempt(claim(), [record(0)], verdict(claim(), {"value": 0.5}))
    record_attempts([(made, PAPER, claim())], by_key([record(0)]), {})
    assert ledger_links("widgets/exponent@retrain@gpu-00000000-1") == Links()
    (home / "mlflow.db").write_bytes(b"not a database")
    assert ledger_links(made.id) == Links()
