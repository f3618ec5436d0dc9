import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from repro.lab.tokens import Windows, gather, held_out


@given(length=st.integers(8, 90), context=st.integers(1, 7), batch=st.integers(1, 200), seed=st.integers(0, 3))
def test_an_epoch_neither_repeats_nor_skips_a_token(length: int, context: int, batch: int, seed: int) -> None:
    text = torch.arange(length)
    windows = Windows(length, batch, context, seed)
    epochs = 3
    steps = -(-epochs * windows.windows // batch)
    pairs = [gather(text, windows.starts(step), context) for step in range(steps)]
    assert all(x.shape == y.shape == (batch, context) for x, y in pairs)
    assert all(torch.equal(x + 1, y) for x, y in pairs)
    targets = torch.cat([y for _, y in pairs])
    for epoch in range(epochs):
        own = targets[epoch * windows.windows : (epoch + 1) * windows.windows].flatten()
        assert sorted(own.tolist()) == list(range(1, windows.windows * context + 1))


@given(batch=st.integers(1, 50), seed=st.integers(0, 3), stop=st.integers(0, 20))
def test_a_run_resumes_at_any_step_with_just_what_would_have_come(batch: int, seed: int, stop: int) -> None:
    without_a_break = Windows(401, batch, 4, seed)
    expected = [without_a_break.starts(step).tolist() for step in range(25)]
    resumed = Windows(401, batch, 4, seed)
    assert [resumed.starts(step).tolist() for step in range(stop, 25)] == expected[stop:]
    assert without_a_break.starts(stop).tolist() == expected[stop]


def test_the_order_changes_with_seed_and_epoch_and_with_nothing_else() -> None:
    def epoch(seed: int, number: int, batch: int = 20) -> list[int]:
        windows = Windows(401, batch, 4, seed)
        steps = range(number * 100 // batch, (number + 1) * 100 // batch)
        return torch.cat([windows.starts(step) for step in steps]).tolist()

    assert epoch(0, 0) == epoch(0, 0) == epoch(0, 0, batch=5)
    assert len({tuple(order) for order in (epoch(0, 0), epoch(0, 1), epoch(1, 0), epoch(1, 1))}) == 4


def test_the_windows_of_several_runs_are_gathered_at_once() -> None:
    text = torch.arange(50, dtype=torch.uint8)
    inputs, targets = gather(text, torch.tensor([[0, 8], [4, 12], [40, 0]]), 4)
    assert inputs.shape == (3, 2, 4)
    assert inputs.dtype == targets.dtype == torch.int64
    assert inputs[2, 0].tolist() == [40, 41, 42, 43]
    assert targets[0, 1].tolist() == [9, 10, 11, 12]


def test_a_text_without_a_window_is_refused() -> None:
    with pytest.raises(ValueError, match="4 tokens holds no window of 4"):
        Windows(4, 1, 4, 0)


@pytest.mark.parametrize(("limit", "windows"), [(10_000, 25), (24, 6), (1, 1)])
def test_held_out_windows_are_spread_over_the_text_and_each_target_comes_once(limit: int, windows: int) -> None:
    pairs = list(held_out(torch.arange(103), batch=4, context=4, limit=limit))
    targets = torch.cat([y for _, y in pairs]).flatten().tolist()
    assert len(targets) == len(set(targets)) == 4 * windows
    assert all(torch.equal(x + 1, y) for x, y in pairs)
    if limit == 24:
        assert [y[0] - 1 for _, ys in pairs for y in ys.tolist()] == [0, 16, 32, 48, 64, 80]
