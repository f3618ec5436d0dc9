"""What came out of the claims on published sweeps, as docs/papers reports it."""

from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.catalog.load import load_claim, load_dataset, load_study
from repro.launch.attempt import carry_out, conclude
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare
from repro.schema.dataset import find

SLOW = pytest.mark.slow
OUTCOMES = [
    ("muennighoff/single_epoch_constants@tied_huber", "match", []),
    ("muennighoff/fit_versions@recomputed", "match", []),
    ("muennighoff/only_parameters_decay@lowest_minimum", "mismatch", ["R_N_only_params", "R2_only_params"]),
    ("muennighoff/four_epochs_half_percent@table", "mismatch", ["value"]),
    ("muennighoff/four_epochs_negligible@table", "match", []),
    pytest.param("muennighoff/repetition_constants@first_start", "match", [], marks=SLOW),
    pytest.param("muennighoff/repetition_constants@lowest_minimum", "mismatch", ["R_D", "R_N"], marks=SLOW),
    ("gadre/extrapolation_errors@five_runs", "match", []),
    ("gadre/errors_by_training_set@five_runs", "match", []),
    ("gadre/parallel_lines@lines", "match", []),
    ("gadre/compute_saved@count", "match", []),
    ("olmo_ladder/ladder_cost@count", "match", []),
    pytest.param("olmo_ladder/c4_loss_13b@sixteen_runs", "match", [], marks=SLOW),
    ("misfitting/published_fits@all_learning_rates", "match", []),
    (
        "misfitting/published_fits@best_learning_rate",
        "mismatch",
        ["a", "b", "e", "alpha", "beta", "huber", "alpha_tied", "huber_tied"],
    ),
    ("misfitting/embedding_counting@range", "match", []),
    ("misfitting/learning_rate_selection@range", "match", []),
    ("misfitting/largest_models@range", "mismatch", ["value"]),
    pytest.param("misfitting/checkpoint_selection@range", "match", [], marks=SLOW),
    pytest.param("misfitting/loss_function_matters_less@ranges", "match", [], marks=SLOW),
    pytest.param("misfitting/fixed_rate_nearer_chinchilla@exponents", "match", [], marks=SLOW),
]


@pytest.mark.parametrize(("name", "outcome", "missed"), OUTCOMES)
def test_a_claim_comes_out_as_reported(name: str, outcome: str, missed: list[str], tmp_path: Path) -> None:
    claim, protocol = name.split("@")
    for data in load_study(load_claim(claim).protocols[protocol].study).data:
        if find(load_dataset(data)) is None:
            pytest.skip(f"{load_dataset(data).file} is not in REPRO_DATA")
    plan = prepare([claim, f"protocol={protocol}", "scale=full"], load_index()).plan
    store = RecordStore(tmp_path / "records")
    carry_out(plan, store, {"kind": "inline"})
    attempt = next(attempt for attempt in plan.attempts if attempt.requested)
    verdict = conclude(attempt, plan, store, {}, None, attempt.sealed.digest).attempt.verdict
    assert verdict is not None
    assert (verdict.outcome, verdict.reason) == (outcome, None)
    assert [part for part, decided in verdict.parts.items() if decided.outcome == "mismatch"] == missed
    assert all(control.failed for control in verdict.controls.values())
