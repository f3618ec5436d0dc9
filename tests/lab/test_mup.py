"""muP: its factors against the published table, and that outputs move alike at every width, which they do not without it."""

import math
from collections.abc import Callable

import pytest
import torch

import repro.lab.mup as mup
from repro.lab.gpt import GPT, GPTShape, initial_weights
from repro.lab.mup import coordinate_check, decay_scales, logit_scale, lr_scales

BASE = 32
SHAPES = [
    GPTShape(2, 128, 8, 8, 32, tied=tied, positions=positions)
    for tied in (True, False)
    for positions in ("rotary", "learned")
]
WIDTHS = (64, 256)


def name_of(shape: GPTShape) -> str:
    return f"{shape.positions}-{'tied' if shape.tied else 'untied'}"


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_the_factors_are_those_of_the_published_table(shape: GPTShape) -> None:
    """Table 8 at four times the base width: only what is wide on both sides learns at a quarter of the rate."""
    rates = GPT(shape, lr_scales(shape, "mup", BASE)[None]).weights()
    decays = GPT(shape, decay_scales(shape, "mup", BASE)[None]).weights()
    for name in shape.weights():
        matrix = name.split(".")[-1] in ("query_key_value", "output", "up", "down")
        assert rates[name].unique().tolist() == [0.25 if matrix else 1.0]
        gain = name.endswith("norm")
        assert decays[name].unique().tolist() == [4.0 if matrix else 0.0 if gain else 1.0]
        if not gain:  # a step shrinks a weight by lr · decay: by the same share at every width
            assert (rates[name] * decays[name]).unique().tolist() == [1.0]
    assert logit_scale(shape, "mup", BASE) == 0.25


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_only_what_is_wide_on_one_side_starts_at_the_base_widths_size(shape: GPTShape) -> None:
    standard = GPT(shape, initial_weights(shape, [0])).weights()
    own = GPT(shape, initial_weights(shape, [0], "mup", BASE)).weights()
    for name in shape.weights():
        factor = math.sqrt(128 / BASE) if name in ("embedding", "positions", "head") else 1.0
        torch.testing.assert_close(own[name], factor * standard[name])


@pytest.mark.parametrize("shape", SHAPES, ids=name_of)
def test_at_the_base_width_both_parametrizations_are_one(shape: GPTShape) -> None:
    width = shape.d_model
    assert torch.equal(initial_weights(shape, [0, 1], "mup", width), initial_weights(shape, [0, 1]))
    assert torch.equal(lr_scales(shape, "mup", width), lr_scales(shape))
    assert torch.equal(decay_scales(shape, "mup", width), decay_scales(shape))
    assert logit_scale(shape, "mup", width) == logit_scale(shape) == 1.0
    assert (lr_scales(shape) == 1).all()
    assert decay_scales(shape).sum() == sum(math.prod(size) for size in shape.weights().values() if len(size) > 1)


def test_the_factor_multiplies_the_logits() -> None:
    shape, tokens = SHAPES[0], torch.randint(32, (1, 2, 8))
    rows = initial_weights(shape, [0])
    torch.testing.assert_close(GPT(shape, rows, 0.25)(tokens), 0.25 * GPT(shape, rows)(tokens))


@pytest.mark.parametrize(
    "shape", [SHAPES[0], *(pytest.param(shape, marks=pytest.mark.slow) for shape in SHAPES[1:])], ids=name_of
)
def test_under_mup_outputs_move_alike_at_every_width_and_else_they_do_not(shape: GPTShape) -> None:
    standard = coordinate_check(shape, WIDTHS, seeds=(0, 1))
    own = coordinate_check(shape, WIDTHS, "mup", BASE, seeds=(0, 1))
    assert min(standard.values()) > 0.25
    # Logits approach 0 from below: what the random start gives them shrinks as 1/√d, until what is learned outweighs it.
    assert all(-0.3 < exponent < 0.1 for exponent in own.values())


@pytest.mark.parametrize(
    ("left_out", "grows"), [("lr_scales", "attention"), ("lr_scales", "feed_forward"), ("logit_scale", "logits")]
)
def test_the_check_notices_a_factor_that_is_left_out(
    left_out: str, grows: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    standard = getattr(mup, left_out)
    monkeypatch.setattr(mup, left_out, lambda shape, *_: standard(shape))
    assert coordinate_check(SHAPES[0], WIDTHS, "mup", BASE, seeds=(0,))[grows] > 0.25


@pytest.mark.parametrize(
    "ask", [lambda shape, *others: initial_weights(shape, [0], *others), lr_scales, decay_scales, logit_scale]
)
@pytest.mark.parametrize(
    ("parametrization", "base_width", "message"),
    [("mup", 0, "needs a base_width"), ("standard", 32, "standard has none"), ("ntk", 0, "must be standard or mup")],
)
def test_what_does_not_go_together_is_refused(
    ask: Callable[..., object], parametrization: str, base_width: int, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        ask(SHAPES[0], parametrization, base_width)


def test_a_check_of_one_width_is_refused() -> None:
    with pytest.raises(ValueError, match=r"two widths or more; got \[64, 64\]"):
        coordinate_check(SHAPES[0], (64, 64))
