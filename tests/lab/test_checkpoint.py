"""Checkpoints: a resumed run is the uninterrupted one to the last bit; damaged and foreign ones never get into a run."""

import json
import os
import pickle
import random
import signal
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from repro.lab import checkpoint_files
from repro.lab.checkpoint import Checkpoint
from repro.lab.seeding import seed_all
from repro.schema.context import Context
from repro.schema.errors import RecordError

KEY = "ab" * 20


class Stopped(Exception):
    """The process ends here."""


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of checkpoints as the worker names it."""
    directory = tmp_path / "checkpoints" / KEY
    directory.mkdir(parents=True)
    monkeypatch.setenv("REPRO_CHECKPOINTS", str(directory))
    before = signal.getsignal(signal.SIGTERM)
    yield directory
    signal.signal(signal.SIGTERM, before)


def train(steps: int = 8, *, stop_after: int | None = None, every: float = 0.0) -> tuple[list, list, list[float]]:
    """Train a network with dropout, a schedule, a generator for the data, and noise from NumPy and Python."""
    curve: list[tuple[str, int, float]] = []
    context = Context(on_curve=lambda name, step, value: curve.append((name, step, value)))
    seed_all("checkpoint", 1)
    model = nn.Sequential(nn.Linear(6, 16), nn.GELU(), nn.Dropout(0.3), nn.Linear(16, 1))
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.02)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    draw, average, best = torch.Generator().manual_seed(3), [torch.zeros(16)], {"loss": 1e9, "at": 0}
    checkpoint = Checkpoint(
        context,
        minutes=every,
        model=model,
        optimizer=optimizer,
        schedule=schedule,
        draw=draw,
        average=average,
        best=best,
    )
    for step in range(checkpoint.resume(), steps):
        if step == stop_after:
            raise Stopped
        x = torch.randn(5, 6, generator=draw) + float(np.random.randn()) + random.random()
        loss = model(x).square().mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        average[0].lerp_(model[0].bias.detach(), 0.1)
        if loss.item() < best["loss"]:
            best.update(loss=loss.item(), at=step)
        checkpoint.log(step, loss=loss.item())
        checkpoint.save_if_due(step + 1)
    weights = [weight.detach().clone() for weight in model.parameters()] + average
    return weights, curve, [best["loss"], best["at"], torch.rand(1).item(), random.random(), float(np.random.rand())]


def same(one: tuple[list, list, list[float]], other: tuple[list, list, list[float]]) -> bool:
    return all(torch.equal(a, b) for a, b in zip(one[0], other[0], strict=True)) and one[1:] == other[1:]


def whole(monkeypatch: pytest.MonkeyPatch) -> tuple[list, list, list[float]]:
    with monkeypatch.context() as alone:
        alone.delenv("REPRO_CHECKPOINTS")
        return train()


@pytest.mark.parametrize("stops", [(1,), (5,), (2, 3, 7)])
def test_a_resumed_run_is_the_uninterrupted_one_bit_for_bit(
    place: Path, monkeypatch: pytest.MonkeyPatch, stops: tuple[int, ...]
) -> None:
    for stop in stops:
        with pytest.raises(Stopped):
            train(stop_after=stop)
    assert same(train(), whole(monkeypatch))


def test_random_states_matter_for_that(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        train(stop_after=4)
    monkeypatch.setattr("repro.lab.checkpoint._restore_random_states", lambda states: None)
    assert not same(train(), whole(monkeypatch))


def test_alone_nothing_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("REPRO_CHECKPOINTS", raising=False)
    before = signal.getsignal(signal.SIGTERM)
    train()
    assert list(tmp_path.iterdir()) == []
    assert signal.getsignal(signal.SIGTERM) is before


def test_the_last_two_are_kept_and_nothing_unfinished(place: Path) -> None:
    (place / ".step_000000000003").mkdir()  # of a process that was killed while it wrote
    train()
    assert sorted(path.name for path in place.iterdir()) == ["step_000000000007", "step_000000000008"]


def test_nothing_is_due_before_its_time(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    train(every=60.0)
    assert list(place.iterdir()) == []
    monkeypatch.setenv("REPRO_CHECKPOINT_MINUTES", "0")
    train(every=60.0)
    assert len(list(place.iterdir())) == 2


def test_the_last_steps_before_the_workers_time_is_over_are_kept(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [1000.0]

    def tick() -> float:
        now[0] += 1.0
        return now[0]

    monkeypatch.setenv("REPRO_CHECKPOINT_UNTIL", "1010")  # a step takes a second: after eight of them 1.x are left
    monkeypatch.setattr("repro.lab.checkpoint.time.monotonic", tick)
    train(steps=8, every=1000.0)
    assert sorted(path.name for path in place.iterdir())[-1] == "step_000000000008"


@pytest.mark.parametrize("damage", ["cut", "changed", "gone", "manifest"])
def test_a_damaged_checkpoint_is_set_aside_and_the_one_before_is_used(
    place: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    with pytest.raises(Stopped):
        train(stop_after=5)
    file = place / "step_000000000005" / ("manifest.json" if damage == "manifest" else "whole.pt")
    content = file.read_bytes()
    if damage == "gone":
        file.unlink()
    else:
        file.write_bytes(
            content[: len(content) // 2] + (b"\x00" + content[len(content) // 2 + 1 :] if damage == "changed" else b"")
        )
    with pytest.warns(UserWarning, match="damaged and was set aside"):
        resumed = train()
    assert same(resumed, whole(monkeypatch))
    assert len(list((place / "damaged").iterdir())) == 1


def test_where_all_are_damaged_the_run_starts_anew(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        train(stop_after=5)
    for file in place.glob("step_*/whole.pt"):
        file.write_bytes(b"")
    with pytest.warns(UserWarning, match="damaged"):
        resumed = train()
    assert same(resumed, whole(monkeypatch))


@pytest.mark.parametrize("field", ["trial", "processes", "format"])
def test_a_checkpoint_of_another_trial_is_refused(place: Path, field: str) -> None:
    with pytest.raises(Stopped):
        train(stop_after=3)
    manifest = place / "step_000000000003" / "manifest.json"
    content = json.loads(manifest.read_text())
    content[field] = "cd" * 20 if field == "trial" else 7
    manifest.write_text(json.dumps(content))
    with pytest.raises(RecordError, match=r"checkpoint of another trial.*starts anew"):
        train()


def test_a_checkpoint_runs_no_code(place: Path) -> None:
    with pytest.raises(Stopped):
        train(stop_after=3)
    bad = place / "step_000000000003" / "whole.pt"
    torch.save({"parts": {}, "curve": print}, bad)
    manifest = bad.parent / "manifest.json"
    content = json.loads(manifest.read_text())
    content["files"]["whole.pt"] = checkpoint_files._digest(bad)
    manifest.write_text(json.dumps(content))
    with pytest.raises(pickle.UnpicklingError):
        train()


@pytest.mark.filterwarnings("ignore:No checkpoint after")
def test_a_full_disk_costs_the_checkpoint_and_not_the_run(place: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(Stopped):
        train(stop_after=3)
    kept = {file: file.read_bytes() for file in place.glob("step_*/*")}

    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("repro.lab.checkpoint._store", full)
    with pytest.warns(UserWarning, match="No checkpoint after step 4, training goes on: .*No space left"):
        resumed = train()
    assert same(resumed, whole(monkeypatch))
    assert {file: file.read_bytes() for file in place.glob("step_*/*")} == kept


def test_the_seconds_of_earlier_starts_are_told(place: Path) -> None:
    with pytest.raises(Stopped):
        train(stop_after=3)
    assert checkpoint_files.seconds_before(place) == 0.0
    manifest = json.loads((place / "step_000000000003" / "manifest.json").read_text())
    with pytest.raises(Stopped):
        train(stop_after=4)
    assert checkpoint_files.seconds_before(place) == manifest["seconds"] > 0
    assert json.loads((place / "step_000000000004" / "manifest.json").read_text())["seconds"] > manifest["seconds"]


def test_sigterm_leads_to_a_last_checkpoint_and_then_means_what_it_meant(place: Path) -> None:
    class Ended(BaseException):
        pass

    def end(*_: object) -> None:
        raise Ended

    signal.signal(signal.SIGTERM, end)
    checkpoint = Checkpoint(Context(), minutes=60.0, best={"loss": 1.0})
    checkpoint.save_if_due(1)
    assert not checkpoint_files.exist(place)
    os.kill(os.getpid(), signal.SIGTERM)
    with pytest.raises(Ended):
        checkpoint.save_if_due(2)
    assert (place / "step_000000000002").is_dir()


def test_a_time_limit_that_is_reached_while_saving_waits_for_the_checkpoint_and_is_heard(place: Path) -> None:
    class Slow(nn.Linear):
        def state_dict(self, *args, **kwargs):
            signal.raise_signal(signal.SIGALRM)
            return super().state_dict(*args, **kwargs)

    def stop(*_: object) -> None:
        raise TimeoutError("the trial ran longer than its limit")

    before = signal.signal(signal.SIGALRM, stop)
    try:
        checkpoint = Checkpoint(Context(), model=Slow(2, 2))
        checkpoint.resume()
        with pytest.raises(TimeoutError, match="longer than its limit"):
            checkpoint.save(5)
        assert signal.getsignal(signal.SIGALRM) is stop
    finally:
        signal.signal(signal.SIGALRM, before)
    assert checkpoint_files.newest(place, trial=KEY, processes=1).step == 5
