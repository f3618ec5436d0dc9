from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from experiments.language_models.infilling_probe import (
    BYTES,
    MASK,
    Config,
    accuracy,
    corrupt,
    cost,
    fill,
    loss_of,
    run,
    shape_of,
    train,
)
from repro.lab.transformer import Transformer
from repro.schema.context import Context

TINY = Config(n_layer=1, d_model=16, n_head=2, window=8, steps=3, batch=4, probes=32)


def model_of(objective: str) -> Transformer:
    torch.manual_seed(0)
    return Transformer(shape_of(replace(TINY, objective=objective))).eval()


def some_bytes(*shape: int) -> torch.Tensor:
    return torch.randint(BYTES, shape, generator=torch.Generator().manual_seed(1))


def test_the_objectives_share_everything_but_the_direction() -> None:
    masked, causal = model_of("masked"), model_of("left_to_right")
    assert masked.shape == replace(causal.shape, causal=False)
    for mine, theirs in zip(masked.parameters(), causal.parameters(), strict=True):
        assert torch.equal(mine, theirs)
    with pytest.raises(ValueError, match="masked or left_to_right"):
        shape_of(replace(TINY, objective="permuted"))


def test_of_the_chosen_positions_most_are_masked_some_random_and_some_unchanged() -> None:
    tokens = some_bytes(400, 500)
    corrupted, chosen = corrupt(tokens, 0.15, torch.Generator().manual_seed(2))
    assert torch.equal(corrupted[~chosen], tokens[~chosen])
    assert chosen.float().mean().item() == pytest.approx(0.15, abs=0.003)
    of_chosen = corrupted[chosen]
    assert (of_chosen == MASK).float().mean().item() == pytest.approx(0.8, abs=0.01)
    # a random byte is the old one once in 256 times
    assert (of_chosen == tokens[chosen]).float().mean().item() == pytest.approx(0.1 + 0.1 / 256, abs=0.01)


def test_the_masked_loss_is_the_cross_entropy_of_the_chosen_bytes_alone() -> None:
    model, tokens = model_of("masked"), some_bytes(3, 8)
    chosen = torch.arange(24).reshape(3, 8) % 5 == 0
    each = F.cross_entropy(model(tokens).mT, tokens, reduction="none")
    assert loss_of(model, tokens, chosen, tokens).item() == pytest.approx(each[chosen].mean().item(), rel=1e-5)
    assert loss_of(model, tokens, None, tokens).item() == pytest.approx(each.mean().item(), rel=1e-5)


@pytest.mark.parametrize("objective", ["masked", "left_to_right"])
def test_no_model_sees_the_byte_it_is_asked_for(objective: str) -> None:
    model, tokens = model_of(objective), some_bytes(64, 8)
    other = tokens.clone()
    other[:, 4] = (other[:, 4] + 1) % BYTES
    assert torch.equal(fill(model, tokens, 4), fill(model, other, 4))


def test_only_the_masked_model_sees_what_comes_after_the_gap() -> None:
    tokens = some_bytes(64, 8)
    other = tokens.clone()
    other[:, 5:] = (other[:, 5:] + 100) % BYTES
    causal, masked = model_of("left_to_right"), model_of("masked")
    with torch.no_grad():  # untrained, the embedding of [MASK] would drown what attention brings
        for model in (causal, masked):
            model.layers[0].attention.output.weight.mul_(50)
    assert torch.equal(fill(causal, tokens, 4), fill(causal, other, 4))
    assert not torch.equal(fill(masked, tokens, 4), fill(masked, other, 4))


def test_the_left_to_right_answer_is_that_of_its_logits() -> None:
    model, tokens = model_of("left_to_right"), some_bytes(16, 8)
    assert torch.equal(fill(model, tokens, 4), model(tokens)[:, 3, :BYTES].argmax(-1))


def test_accuracy_counts_right_answers() -> None:
    model, tokens = model_of("left_to_right"), some_bytes(20, 8)
    answered = fill(model, tokens, 7)
    tokens[:15, 7], tokens[15:, 7] = answered[:15], (answered[15:] + 1) % BYTES
    assert accuracy(model, tokens, 7) == pytest.approx(0.75)


@pytest.mark.slow
def test_text_after_the_gap_lets_the_masked_model_win_where_only_it_tells() -> None:
    """Four random bytes, then four copies of another: what the first copy is, the bytes before it do not tell."""
    rng = torch.Generator().manual_seed(3)
    noise, copied = torch.randint(4, (1024, 4), generator=rng), torch.randint(4, (1024, 1), generator=rng)
    windows = torch.cat([noise, copied.expand(-1, 4)], dim=1)
    config = replace(TINY, d_model=32, steps=300, batch=32, lr=3e-3)
    right = {}
    for objective in ("masked", "left_to_right"):
        text = torch.cat([windows.flatten(), windows[0, :1]]).byte()
        model = train(replace(config, objective=objective), text, Context()).eval()
        with torch.no_grad():
            right[objective] = accuracy(model, windows, 4)
    assert right["masked"] > 0.9
    assert right["left_to_right"] < 0.5


@pytest.mark.parametrize("objective", ["masked", "left_to_right"])
def test_it_runs_at_its_smallest_and_again_alike(objective: str) -> None:
    config = replace(TINY, objective=objective)
    row = run(config, Context())
    assert row == run(config, Context())
    assert 0 <= row["accuracy"] <= 1
    assert 0 <= row["accuracy_right_edge"] <= 1
    assert row["flops"] == cost(config) > 0
