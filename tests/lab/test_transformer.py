"""The exchangeable Transformer: against torch's own layers, literals of its tables, and what it refuses."""

import math
from dataclasses import replace

import pytest
import torch
from torch import nn

from repro.lab.transformer import (
    Layer,
    MultiHeadAttention,
    Transformer,
    TransformerShape,
    inverse_square_root,
    sinusoidal_positions,
)

SHAPE = TransformerShape(n_layer=2, d_model=12, n_head=3, d_ff=20, context=7, vocabulary=11, causal=False)


def of_torch(layer: Layer, shape: TransformerShape) -> nn.TransformerEncoderLayer:
    """torch's encoder layer with the same weights and no attention biases."""
    theirs = nn.TransformerEncoderLayer(
        shape.d_model, shape.n_head, shape.d_ff, dropout=0.0, batch_first=True, norm_first=shape.norm == "pre"
    )
    names = {
        "self_attn.in_proj_weight": layer.attention.query_key_value.weight,
        "self_attn.out_proj.weight": layer.attention.output.weight,
        "linear1.weight": layer.up.weight,
        "linear1.bias": layer.up.bias,
        "linear2.weight": layer.down.weight,
        "linear2.bias": layer.down.bias,
    }
    with torch.no_grad():
        for name, parameter in theirs.named_parameters():
            if name in names:
                parameter.copy_(names[name])
            elif name.startswith("self_attn"):
                parameter.zero_()
    return theirs.eval()


@pytest.mark.parametrize("norm", ["post", "pre"])
@pytest.mark.parametrize("causal", [False, True])
def test_a_layer_is_torchs(norm: str, causal: bool) -> None:
    torch.manual_seed(0)
    shape = replace(SHAPE, norm=norm, causal=causal)
    layer = Layer(shape, MultiHeadAttention(shape))
    x = torch.randn(2, 7, 12)
    mask = nn.Transformer.generate_square_subsequent_mask(7) if causal else None
    torch.testing.assert_close(layer(x), of_torch(layer, shape)(x, src_mask=mask), rtol=0, atol=1e-5)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_a_causal_model_sees_nothing_ahead_and_another_one_does(norm: str) -> None:
    torch.manual_seed(0)
    tokens = torch.randint(11, (1, 7))
    changed = tokens.clone()
    changed[0, 5] = (tokens[0, 5] + 1) % 11
    for causal in (True, False):
        model = Transformer(replace(SHAPE, causal=causal, norm=norm))
        moved = (model(tokens) - model(changed)).abs().amax(-1)[0]
        assert bool((moved[:5] == 0).all()) is causal
        assert bool((moved[5:] > 0).all())


def test_sinusoids_on_literals() -> None:
    table = sinusoidal_positions(8, 4)
    assert table.shape == (8, 4)
    assert table[0].tolist() == [0.0, 1.0, 0.0, 1.0]
    expected = [math.sin(3), math.cos(3), math.sin(0.03), math.cos(0.03)]
    torch.testing.assert_close(table[3], torch.tensor(expected), rtol=0, atol=1e-6)
    assert sinusoidal_positions(8, 5).shape == (8, 5)


@pytest.mark.parametrize(
    ("positions", "extra"), [("sinusoidal", 0), ("none", 0), ("learned", SHAPE.context * SHAPE.d_model)]
)
def test_only_learned_positions_are_weights(positions: str, extra: int) -> None:
    d, ff = SHAPE.d_model, SHAPE.d_ff
    layer = 4 * d * d + 2 * d * ff + ff + d + 4 * d
    model = Transformer(replace(SHAPE, positions=positions))
    assert sum(p.numel() for p in model.parameters()) == 11 * d + 2 * layer + extra


def test_without_positions_the_order_of_tokens_does_not_matter() -> None:
    torch.manual_seed(0)
    tokens, order = torch.arange(7)[None], torch.tensor([3, 1, 6, 0, 5, 2, 4])
    model = Transformer(replace(SHAPE, positions="none"))
    torch.testing.assert_close(model(tokens)[:, order], model(tokens[:, order]), rtol=0, atol=1e-5)
    model = Transformer(SHAPE)
    assert (model(tokens)[:, order] - model(tokens[:, order])).abs().max() > 0.01


def test_dropout_acts_in_training_alone() -> None:
    torch.manual_seed(0)
    model, tokens = Transformer(replace(SHAPE, dropout=0.5)), torch.arange(7)[None]
    assert not torch.equal(model(tokens), model(tokens))
    model.eval()
    assert torch.equal(model(tokens), model(tokens))


def test_another_attention_takes_the_place_of_the_papers() -> None:
    model = Transformer(SHAPE, attention=nn.Identity)
    assert [type(layer.attention) for layer in model.layers] == [nn.Identity, nn.Identity]
    assert model(torch.arange(7)[None]).shape == (1, 7, 11)


def test_heads_may_be_wider_than_their_share() -> None:
    assert MultiHeadAttention(replace(SHAPE, d_head=8)).output.weight.shape == (12, 24)


@pytest.mark.parametrize(
    ("step", "warmup", "rate"), [(0, 4, 0.25), (3, 4, 1.0), (15, 4, 0.5), (0, 0, 1.0), (3, 0, 0.5), (99, 100, 1.0)]
)
def test_the_schedule_on_literals(step: int, warmup: int, rate: float) -> None:
    assert inverse_square_root(step, warmup, 1.0) == pytest.approx(rate)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"n_layer": 0}, "at least 1"),
        ({"n_head": 5}, "multiple of n_head"),
        ({"norm": "mid"}, "post or pre"),
        ({"positions": "rotary"}, "sinusoidal, learned or none"),
        ({"dropout": 1.0}, "dropout"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(change: dict, word: str) -> None:
    with pytest.raises(ValueError, match=word):
        replace(SHAPE, **change)


def test_a_sequence_longer_than_the_context_is_refused() -> None:
    with pytest.raises(ValueError, match="8 tokens does not fit a context of 7"):
        Transformer(SHAPE)(torch.zeros(1, 8, dtype=torch.int64))
