"""An attempt worked out again from seal and rows, with what is installed and nothing else."""

import sys
from dataclasses import replace
from pathlib import Path

import evidence_forger as forger
import pytest

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.dossier import Dossier, read_dossier
from repro.cite.verification.agreement import agreement
from repro.cite.verification.rejudge import MOST, NotInstalled, NotJudged, arms_at, installed_estimator, rejudge
from repro.cite.verification.verify import verify


@pytest.fixture
def toy(toy_bundle: Bundle) -> Dossier:
    return read_dossier(toy_bundle)


def again(dossier: Dossier):
    return rejudge(
        dossier.attempt,
        dossier.records,
        dossier.claim.paper_flops,
        installed_estimator(dossier.attempt.sealed).function,
    )


@pytest.mark.parametrize("which", ["toy_bundle", "exact_bundle"])
def test_an_attempt_is_what_its_seal_and_rows_give(which: str, request: pytest.FixtureRequest) -> None:
    dossier = read_dossier(request.getfixturevalue(which))
    assert again(dossier) == dossier.attempt


def test_what_an_attempt_says_of_itself_counts_for_nothing(toy: Dossier) -> None:
    lies = replace(toy.attempt, verdict=None, validity="tampered", seconds=1e9, started="", arms={"main": ()}, id="x")
    assert again(replace(toy, attempt=lies)) == toy.attempt


def test_a_trial_without_record_leaves_no_verdict(toy: Dossier) -> None:
    fewer = replace(toy, records=toy.records[:-1])
    found = again(fewer)
    assert (found.verdict, found.execution) == (None, "failed")


def test_a_record_without_the_seal_makes_it_post_hoc(toy: Dossier) -> None:
    late = tuple(replace(record, seals=()) for record in toy.records)
    assert again(replace(toy, records=late)).validity == "post_hoc"


def test_a_look_reads_the_seeds_that_were_sealed_for_it(toy: Dossier) -> None:
    sealed = replace(toy.attempt.sealed, looks=2)
    counting = {record.key: record for record in toy.records if record.status != "failed"}
    first = arms_at(sealed, 1, counting)
    assert first is not None
    assert {counting[key].replicate for key in first["main"]} == {0, 1, 2}
    assert arms_at(sealed, 2, counting) == {
        "main": sealed.trials,
        "without_effect": sealed.controls["without_effect"].trials,
    }
    without = {key: record for key, record in counting.items() if key != first["main"][0]}
    assert arms_at(sealed, 1, without) is None


HOSTILE = [
    "os.system",
    "builtins.eval",
    "builtins.exec",
    "subprocess.check_call",
    "repro.stats.summary.np.save",
    "repro.stats.summary.Path.write_text",
    "repro.stats.estimator.import_module",
    "repro.stats.summary.__builtins__",
    "repro.stats..summary.mean_over_seeds",
    "repro.launch.worker.main",
    "experiments.planted_estimators.estimate",
    "planted.deep.recipe_estimators.estimate",
    "recipes.toys.draws_estimators.estimate",
    "planted",
    "",
    ".",
    "a" * 10_000,
]


@pytest.mark.parametrize("name", HOSTILE, ids=lambda name: name[:40] or "empty")
def test_an_estimator_that_is_not_exported_is_refused_and_nothing_is_imported(
    name: str, toy: Dossier, own_directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Planted where Python would find it: on its path, in the working directory, and named as a recipe's own."""
    witness = own_directory / "ran"
    planted = f"from pathlib import Path\nPath({str(witness)!r}).touch()\n__all__ = ['estimate']\n"
    planted += "def estimate(records): raise SystemExit(9)\nestimate.resampling_unit = 'seed'\n"
    for place in ("planted/__init__.py", "planted/deep/__init__.py", "planted/deep/recipe_estimators.py",
                  "planted/deep/recipe.py", "planted_estimators.py"):  # fmt: skip
        file = own_directory / place
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(planted)
    monkeypatch.syspath_prepend(own_directory)
    monkeypatch.chdir(own_directory)
    module = name.rpartition(".")[0]
    recipe = module.removesuffix("_estimators") or "planted.deep.recipe"
    sealed = replace(toy.attempt.sealed, estimator=name, study="planted/deep")
    records = tuple(replace(record, recipe=recipe) for record in toy.records)
    forged = forger.resealed(replace(toy, records=records), sealed, judged=False)
    with pytest.raises(NotInstalled):
        installed_estimator(sealed)
    report = verify(forger.bundle_of(forged))
    assert report.exit_code in (1, 2)
    assert any(f.status == "unknown" and "cannot be recomputed here" in f.sentence for f in report.findings)
    assert not witness.exists()
    assert not any(loaded.startswith("planted") for loaded in sys.modules)


@pytest.mark.parametrize(
    "arguments",
    [
        {"column": "x", "_target_": "os.system"},
        {"column": {"_target_": "os.system", "_args_": ["touch ran"]}},
        {"column": "${oc.env:HOME}"},
        {"column": "!!python/object/apply:os.system ['touch ran']"},
        {"column": "__class__"},
        {"column": ["x"] * 3},
        {"column": None},
        {"_partial_": True},
        {},
    ],
)
def test_arguments_are_values_and_never_calls(arguments: dict, toy: Dossier, own_directory: Path) -> None:
    sealed = replace(toy.attempt.sealed, arguments=arguments)
    report = verify(forger.bundle_of(forger.resealed(toy, sealed, judged=False)))
    assert report.exit_code in (1, 2)
    assert not (own_directory / "ran").exists()
    assert "HOME" not in " ".join(f.sentence for f in report.findings) or "${oc.env:HOME}" in str(arguments)


def test_a_stranger_cannot_ask_for_endless_work(toy: Dossier) -> None:
    name, arguments = "repro.stats.growth.log_linear_growth", {"y": "x", "bootstrap": MOST + 1}
    with pytest.raises(NotInstalled, match="bootstrap = 1e\\+06; no more than 1000000"):
        installed_estimator(replace(toy.attempt.sealed, estimator=name, arguments=arguments, controls={}))
    enough = replace(toy.attempt.sealed, estimator=name, arguments={"y": "x", "bootstrap": MOST}, controls={})
    assert not installed_estimator(enough).is_sealed_one


def test_rows_that_no_recipe_gave_are_no_traceback(toy: Dossier) -> None:
    def stumbles(records, **arguments):
        return {"value": 1 / 0}

    with pytest.raises(NotJudged, match="stumbles cannot read these rows"):
        rejudge(toy.attempt, toy.records, None, stumbles)


@pytest.mark.parametrize(
    ("claimed", "found", "digits", "differing"),
    [
        ({"a": 1.0}, {"a": 1.0}, None, ()),
        ({"a": 1.0}, {"a": 1.0 + 1e-12}, 11, ()),
        ({"a": 1.0}, {"a": 1.0 + 1e-5}, None, ("a",)),
        ({"a": 0.0, "margin": 0.5}, {"a": 1e-9, "margin": 0.5}, 8, ()),
        ({"a": 0.0, "margin": None}, {"a": 1e-9, "margin": None}, None, ("a",)),
        ({"a": 3}, {"a": 4}, None, ("a",)),
        ({"a": True}, {"a": 1}, None, ("a",)),
        ({"a": 1.0}, {"a": None}, None, ("a",)),
        ({"a": "x"}, {"a": "y"}, None, ("a",)),
        ({"a": [1.0, 2.0]}, {"a": [1.0]}, None, ("a",)),
        ({"a": 1.0}, {}, None, ("a",)),
        ({"a": "x = 0.51324 here"}, {"a": "x = 0.51325 here"}, 17, ()),
        ({"a": "x = 0.5132 here"}, {"a": "x = 0.6132 here"}, None, ("a",)),
        ({"a": "n = 5 of them"}, {"a": "n = 5 of us"}, None, ("a",)),
    ],
)
def test_rounding_is_told_from_an_edit(claimed: dict, found: dict, digits: int | None, differing: tuple) -> None:
    result = agreement(claimed, found)
    assert (result.digits, result.differing) == (digits, differing)
    assert result.close == (not differing)
    assert result.exact == (claimed == found and type(claimed["a"]) is type(found.get("a")))


@pytest.mark.parametrize(
    ("claimed", "found", "alike"),
    [
        ({"parts": {"a": 1.0}}, {"parts": {"a": 1.0005}}, True),
        ({"parts": {"a": 1.0}}, {"parts": {"a": 1.002}}, False),
        ({"parts": {"a": 1e-5, "margin": 0.1}}, {"parts": {"a": 9e-5, "margin": 0.1}}, True),
        ({"parts": {"extras": {"percentile_97.5": 1.0}}}, {"parts": {"extras": {"percentile_97.5": 3.0}}}, True),
        ({"parts": {"extras": {"bic": 1.0}}}, {"parts": {"extras": {"bic": None}}}, False),
        ({"controls": {"c": {"value": 1e8}}}, {"controls": {"c": {"value": 2e8}}}, True),
        ({"controls": {"c": {"failed": True}}}, {"controls": {"c": {"failed": None}}}, False),
        ({"controls": {"c": {"outcome": "match"}}}, {"controls": {"c": {"outcome": "mismatch"}}}, False),
        ({"detail": "it is 4.7×10⁻⁸ off"}, {"detail": "it is 1.2×10⁻⁷ off"}, True),
        ({"detail": "it is 4.7 off"}, {"detail": "it is 4.7 on"}, False),
        ({"reason": "n 3"}, {"reason": "n 4"}, False),
        ({"n": 3}, {"n": 4}, False),
    ],
)
def test_another_processor_is_told_from_an_edit(claimed: dict, found: dict, alike: bool) -> None:
    result = agreement(claimed, found)
    assert not result.close
    assert result.alike == alike
