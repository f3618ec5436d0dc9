"""Every claim composes; every recipe runs at its smallest; every gpu-scale plan is laid out in full."""

from pathlib import Path

import pytest
import yaml

from repro.catalog.compose import compose
from repro.catalog.index import load_index
from repro.catalog.load import load_dataset, load_study
from repro.launch.attempt import carry_out, conclude
from repro.launch.records.store import RecordStore
from repro.launch.session import prepare
from repro.schema.dataset import find
from repro.schema.verdict import Verdict

ROOT = Path(__file__).parent.parent
CLAIMS = sorted(
    p.relative_to(ROOT / "conf/claim").with_suffix("").as_posix() for p in (ROOT / "conf/claim").rglob("*.yaml")
)
STUDIES = sorted(
    p.relative_to(ROOT / "conf/study").with_suffix("").as_posix() for p in (ROOT / "conf/study").rglob("*.yaml")
)


def raw(claim: str) -> dict:
    return yaml.safe_load((ROOT / f"conf/claim/{claim}.yaml").read_text())


RUNNABLE = [claim for claim in CLAIMS if "blocked" not in raw(claim)]


def test_no_claim_has_a_problem() -> None:
    index = load_index()
    assert index.problems == ()
    assert sorted(index.claims) == CLAIMS


@pytest.mark.parametrize("claim", RUNNABLE)
def test_a_claim_composes_at_every_scale_of_its_studies(claim: str) -> None:
    index = load_index()
    for name, protocol in index.claims[claim].protocols.items():
        for scale in protocol.scales:
            (request,) = compose([claim, f"protocol={name}", f"scale={scale}"], index)
            assert request.study.id == protocol.study
            assert request.overrides == ()


@pytest.mark.parametrize("claim", CLAIMS)
def test_a_claim_says_where_it_stands_and_what_was_left_open(claim: str) -> None:
    content = raw(claim)
    assert content["statement"].strip().endswith(".")
    assert content["locator"].strip()
    for detail in content.get("missing_details", []):
        assert detail["item"].strip()
        assert detail["chosen"].strip()


def smallest(study_id: str) -> str:
    """The smallest scale of a study: a few are too large for anything but a GPU; what they run, others run small."""
    scales = load_study(study_id).scales
    return next(scale for scale in ("smoke", "full", "gpu") if scale in scales)


PROTOCOLS = [f"{claim}@{protocol}" for claim in RUNNABLE for protocol in raw(claim)["protocols"]]


def study_of(protocol: str) -> str:
    claim, _, name = protocol.partition("@")
    return raw(claim)["protocols"][name]["study"]


def needs_compute(protocol: str) -> bool:
    return smallest(study_of(protocol)) == "smoke"


def run_smallest(protocol: str, home: Path) -> Verdict:
    """Run a protocol, named as `claim@protocol`, at its smallest scale; return the verdict."""
    for name in load_study(study_of(protocol)).data:
        if find(load_dataset(name)) is None:
            pytest.skip(f"{load_dataset(name).file} is not in REPRO_DATA or the cache; {load_dataset(name).url} has it")
    claim, _, name = protocol.partition("@")
    plan = prepare([claim, f"protocol={name}", f"scale={smallest(study_of(protocol))}"], load_index()).plan
    store = RecordStore(home / "records")
    carry_out(plan, store, {"kind": "inline"})
    attempt = next(attempt for attempt in plan.attempts if attempt.requested)
    concluded = conclude(attempt, plan, store, {}, None, attempt.sealed.digest).attempt
    assert concluded.verdict is not None, concluded.message
    return concluded.verdict


UNDECIDED = {
    "epoch_trends/gpu_performance@priced_gpus",
    "epoch_trends/gpu_price_performance@dollars_of_2021",
    "mlperf/larger_batch_slower@reference_runs",
    "modded_nanogpt/run_spread@records_of_those_months",
    "modded_nanogpt/run_spread@records_since",
    "porian/attention_flops_counted@parabola",
    "porian/line_fit_quality@published_procedure",
    "porian/step1_kaplan_counting@parabola",
    "porian/step2_last_layer_counted@parabola",
    "porian/step3_warmup_scaled@parabola",
    "porian/step4_cosine_decay@parabola",
    "porian/steps_in_order@published_procedure",
    "porian/tuned_kaplan_counting@parabola",
}
"""Protocols whose data are honestly too few to decide."""

MINUTES = {
    "connect4/ply_counts",
    "chinchilla/fit_procedure_invariance",
    "misfitting/checkpoint_selection",
    "misfitting/loss_function_matters_less",
}
"""Claims whose protocols at full scale take more than a few seconds: 4,500 starts of a fit, or thousands of checkpoints."""


@pytest.mark.parametrize(
    "protocol",
    [
        pytest.param(protocol, marks=pytest.mark.slow if protocol.partition("@")[0] in MINUTES else ())
        for protocol in PROTOCOLS
        if smallest(study_of(protocol)) == "full"
    ],
)
def test_a_protocol_that_needs_no_compute_is_decided_and_its_controls_fail(protocol: str, tmp_path: Path) -> None:
    verdict = run_smallest(protocol, tmp_path)
    assert verdict.controls
    for control, result in verdict.controls.items():
        assert result.failed is True, f"control {control} did not fail: {result.detail}"
    undecided = protocol in UNDECIDED
    assert (verdict.outcome == "inconclusive") == undecided, verdict.detail
    assert not undecided or verdict.reason == "underpowered"


@pytest.mark.slow
@pytest.mark.parametrize("protocol", [protocol for protocol in PROTOCOLS if needs_compute(protocol)])
def test_a_protocol_that_needs_compute_runs_at_its_smallest_and_never_decides_there(
    protocol: str, tmp_path: Path
) -> None:
    verdict = run_smallest(protocol, tmp_path)
    assert (verdict.outcome, verdict.reason) == ("inconclusive", "not_decisive_scale")


def test_what_only_a_gpu_can_run_is_run_small_by_another_study() -> None:
    large = {load_study(study_of(p)).recipe for p in PROTOCOLS if smallest(study_of(p)) == "gpu"}
    assert large <= {load_study(study_of(p)).recipe for p in PROTOCOLS if needs_compute(p)}


@pytest.mark.parametrize("study", STUDIES)
def test_every_scale_of_a_study_lays_out_its_trials(study: str) -> None:
    from repro.catalog.load import load_scale
    from repro.launch.planning.layout import lay_out
    from repro.launch.planning.plan import replicate_numbers

    loaded = load_study(study)
    for scale in loaded.scales:
        specs = lay_out(loaded, load_scale(scale), replicate_numbers(loaded, scale, 1))
        assert specs
        assert {spec.device for spec in specs} == {"cuda" if scale in ("gpu", "paper") else "cpu"}
