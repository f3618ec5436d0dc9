"""What attempts would take that nobody has run."""

import pytest

from repro.catalog.load import load_claim, load_scale, load_study
from repro.launch.planning.layout import lay_out
from repro.launch.planning.planned import planned_costs, write_planned
from repro.schema.planned import read_planned

CLAIM = "chinchilla/isoflop_params_exponent"


def test_a_cost_is_that_of_the_trials_that_would_run() -> None:
    claim = load_claim(CLAIM)
    found = planned_costs([claim])
    study = load_study(claim.protocols["retrain"].study)
    assert set(found) == {f"{CLAIM}@retrain@{scale}" for scale in set(study.scales) - {"smoke", "full"}}
    scale = load_scale("gpu")
    main = {spec.key: spec for spec in lay_out(study, scale, (0,))}
    control = {
        spec.key: spec
        for each in claim.protocols["retrain"].controls.values()
        for spec in lay_out(study, scale, (0,), each.params)
    }
    cost = found[f"{CLAIM}@retrain@gpu"]
    assert cost.runs == len(main)
    assert cost.control_runs == len(set(control) - set(main)) > 0
    assert cost.flops == pytest.approx(sum(spec.cost or 0 for spec in {**control, **main}.values()))
    assert cost.device == "cuda"


def test_what_cannot_be_laid_out_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*given: object) -> None:
        raise ValueError("the ladder has 3 rungs")

    monkeypatch.setattr("repro.launch.planning.planned.lay_out", refuse)
    assert planned_costs([load_claim(CLAIM)]) == {}


def test_they_are_stored_for_the_pages(monkeypatch: pytest.MonkeyPatch) -> None:
    class Index:
        claims = (CLAIM,)

    monkeypatch.setattr("repro.launch.planning.planned.load_index", Index)
    write_planned()
    assert read_planned() == planned_costs([load_claim(CLAIM)])
