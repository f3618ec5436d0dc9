"""Seeds of the global generators, and deterministic algorithms on request."""

import random
import warnings
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.catalog.recipe import source_digest
from repro.launch.provenance.watch import stored_provenance
from repro.launch.records.store import RecordStore
from repro.launch.running import determinism
from repro.launch.running.trials import run_trial
from repro.schema.trial import TrialSpec

FORGETFUL = '''"""Draws from the global generators and seeds none of them.

Serves: toy/mean
"""

import random
from dataclasses import dataclass

import numpy as np
import torch

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    effect: float = 1.0
    spread: float = 0.1
    seed: int = 0


def run(config: Config, context: Context) -> dict[str, float]:
    return {"python": random.random(), "numpy": float(np.random.rand()), "torch": float(torch.rand(()))}
'''


def spec(replicate: int) -> TrialSpec:
    recipe = "recipes.toys.draws"
    return TrialSpec("toys/draws", recipe, {"seed": replicate}, replicate, source_digest(recipe), "cpu", "float32")


@pytest.fixture
def asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(determinism.VARIABLE, "1")


def test_a_recipe_that_forgets_to_seed_draws_the_same_again_and_another_replicate_something_else(
    write_claims: Callable[..., Path], tmp_path: Path
) -> None:
    write_claims(recipe=FORGETFUL)
    first = run_trial(spec(0), (), RecordStore(tmp_path / "a"))
    random.random(), np.random.rand(), torch.rand(3)
    again = run_trial(spec(0), (), RecordStore(tmp_path / "b"))
    other = run_trial(spec(1), (), RecordStore(tmp_path / "c"))
    assert first.rows == again.rows
    assert all(first.rows[0][name] != other.rows[0][name] for name in ("python", "numpy", "torch"))


def test_what_a_recipe_seeds_itself_is_untouched() -> None:
    def draws() -> list[float]:
        torch.manual_seed(5)
        np.random.seed(5)
        random.seed(5)
        return [float(torch.rand(())), float(np.random.rand()), random.random()]

    before = draws()
    determinism.seed_generators(determinism.seed_of("a" * 40))
    assert draws() == before


def test_seeds_fit_all_generators_and_follow_the_key() -> None:
    seeds = {determinism.seed_of(f"{number:040x}") for number in range(100)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_asking_sets_what_cublas_needs_and_leaves_a_choice_alone() -> None:
    environment: dict[str, str] = {}
    determinism.ask_for_determinism(environment)
    assert determinism.is_asked_for(environment)
    assert environment[determinism.CUBLAS] == ":4096:8"
    chosen = {determinism.CUBLAS: ":16:8"}
    determinism.ask_for_determinism(chosen)
    assert chosen[determinism.CUBLAS] == ":16:8"
    assert not determinism.is_asked_for({determinism.VARIABLE: "0"})


def test_nothing_is_set_or_looked_for_unless_it_was_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(determinism.VARIABLE, raising=False)
    with determinism.arithmetic() as found:
        assert found is None
        assert not torch.are_deterministic_algorithms_enabled()


def test_deterministic_algorithms_hold_inside_and_end_after(asked_for: None) -> None:
    benchmark = torch.backends.cudnn.benchmark
    with determinism.arithmetic() as found:
        assert torch.are_deterministic_algorithms_enabled()
        assert torch.is_deterministic_algorithms_warn_only_enabled()
        assert torch.backends.cudnn.deterministic
        assert determinism.settings()["deterministic_algorithms"] == "true"
    assert found == []
    assert not torch.are_deterministic_algorithms_enabled()
    assert not torch.backends.cudnn.deterministic
    assert torch.backends.cudnn.benchmark == benchmark


def test_what_torch_cannot_do_deterministically_is_listed_once_and_other_warnings_pass(asked_for: None) -> None:
    heard: list[str] = []
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.showwarning = lambda message, *rest, **more: heard.append(str(message))
        with determinism.arithmetic() as found:
            for _ in range(3):
                # Has no deterministic form, on a CPU either.
                torch.zeros(4).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))
            warnings.warn("put_ on something else is slow", stacklevel=1)
            warnings.warn("Deterministic behavior was enabled, but this uses CuBLAS", stacklevel=1)
    assert found == ["put_", "cuBLAS"]
    assert heard == ["put_ on something else is slow"]


def test_a_record_says_what_was_asked_for_and_what_was_not_deterministic(
    write_claims: Callable[..., Path], tmp_path: Path, asked_for: None
) -> None:
    scattering = FORGETFUL.replace(
        "    return {", "    torch.zeros(4).put_(torch.tensor([0, 0]), torch.tensor([1.0, 2.0]))\n    return {"
    )
    write_claims(recipe=scattering)
    store = RecordStore(tmp_path / "records")
    told = stored_provenance(run_trial(spec(0), (), store), store.directory)
    assert told is not None
    assert told.deterministic
    assert told.not_deterministic == ("put_",)
