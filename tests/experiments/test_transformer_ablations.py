import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from experiments.transformer import ablations, initial_gradients, training_cost
from experiments.transformer.ablations import Config
from experiments.transformer.ablations_estimators import excess
from repro.lab.corpora import load_tokens
from repro.lab.tokens import Windows
from repro.schema.context import Context
from repro.schema.errors import EstimateError
from trial_records import make_record

TINY = Config(
    n_layer=1, d_model=16, n_head=2, context=8, batch=4, steps=10, unique_tokens=512, eval_tokens=512, peak=0.01
)


def test_a_run_learns_and_repeats_to_the_bit() -> None:
    curve: list[tuple[str, int, float]] = []
    longer = replace(TINY, steps=40)
    first = ablations.run(longer, Context(on_curve=lambda *point: curve.append(point)))
    assert first == ablations.run(longer, Context())
    assert first["loss"] < math.log(256) - 1
    assert first["log_loss"] == math.log(first["loss"])
    assert first["epochs"] == pytest.approx(40 * 4 * 8 / 511)
    assert {name for name, _, _ in curve} == {"train_loss", "lr", "loss"}
    assert first != ablations.run(replace(longer, seed=1), Context())


def test_a_run_is_plain_training_with_adam() -> None:
    """An independent loop, written out, gives the same held-out loss."""
    text = load_tokens("stdlib", 256, Context().data)
    train = ablations.seen_text(text.train, TINY).long()
    model = ablations.initial_model(TINY)
    m = [torch.zeros_like(p) for p in model.parameters()]
    v = [torch.zeros_like(p) for p in model.parameters()]
    order = [start for step in range(10) for start in windows_of_step(step, len(train))]
    for step in range(1, 11):
        batch = torch.stack([train[s : s + 9] for s in order[4 * (step - 1) : 4 * step]])
        loss = F.cross_entropy(model(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        gradients = torch.autograd.grad(loss, list(model.parameters()))
        rate = 0.01 * step**-0.5  # equation 3 with a warm-up of one step
        with torch.no_grad():
            for p, g, first, second in zip(model.parameters(), gradients, m, v, strict=True):
                first.mul_(0.9).add_(0.1 * g)
                second.mul_(0.98).add_(0.02 * g * g)
                p -= rate * (first / (1 - 0.9**step)) / ((second / (1 - 0.98**step)).sqrt() + 1e-9)
    windows = min((len(text.validation) - 1) // 8, 64)
    total = (len(text.validation) - 1) // 8
    held = torch.stack([text.validation[i * total // windows * 8 :][:9].long() for i in range(windows)])
    with torch.no_grad():
        expected = F.cross_entropy(model(held[:, :-1]).flatten(0, 1), held[:, 1:].flatten())
    assert ablations.run(TINY, Context())["loss"] == pytest.approx(expected.item(), rel=1e-4)


def windows_of_step(step: int, length: int) -> list[int]:
    return [int(start) for start in Windows(length, 4, 8, TINY.seed).starts(step)]


def test_positions_of_one_seed_share_all_other_weights() -> None:
    models = {
        kind: ablations.initial_model(replace(TINY, positions=kind)) for kind in ("sinusoidal", "learned", "none")
    }
    plain = dict(models["none"].named_parameters())
    assert set(dict(models["sinusoidal"].named_parameters())) == set(plain)
    learned = dict(models["learned"].named_parameters())
    assert set(learned) - set(plain) == {"learned_positions"}
    for model in models.values():
        for name, weight in model.named_parameters():
            assert name == "learned_positions" or torch.equal(weight, plain[name])
    other = dict(ablations.initial_model(replace(TINY, seed=1)).named_parameters())
    assert not torch.equal(other["embedding.weight"], plain["embedding.weight"])


def test_the_learning_rate_follows_equation_3() -> None:
    paper = replace(TINY, steps=40, warmup_share=0.25, peak=(512 * 10) ** -0.5)
    for step in range(40):
        expected = 512**-0.5 * min((step + 1) ** -0.5, (step + 1) * 10**-1.5)
        assert ablations.rate(paper, step) == pytest.approx(expected)
    cosine = replace(paper, schedule="cosine", warmup_share=0.0)
    assert ablations.rate(cosine, 39) == pytest.approx(0.1 * paper.peak)
    assert ablations.rate(cosine, 0) > 0.99 * paper.peak
    assert ablations.rate(replace(cosine, warmup_share=0.25), 0) == pytest.approx(0.1 * paper.peak)
    with pytest.raises(ValueError, match="schedule"):
        ablations.rate(replace(paper, schedule="linear"), 0)


def test_the_stretch_depends_on_the_seed_and_is_all_that_training_sees() -> None:
    train = torch.arange(1000)
    short = replace(TINY, unique_tokens=100)
    stretch = ablations.seen_text(train, short)
    assert len(stretch) == 100
    assert torch.equal(stretch, torch.arange(int(stretch[0]), int(stretch[0]) + 100))
    assert not torch.equal(stretch, ablations.seen_text(train, replace(short, seed=1)))
    assert torch.equal(ablations.seen_text(train, replace(TINY, unique_tokens=0)), train)
    seen = torch.cat([torch.cat(each).flatten() for each in ablations.batches(stretch, short, ahead=5)])
    assert seen.min() >= stretch[0]
    assert seen.max() <= stretch[-1]
    with pytest.raises(ValueError, match="unique_tokens"):
        ablations.seen_text(train, replace(TINY, unique_tokens=1001))


def test_the_order_does_not_depend_on_how_far_ahead_it_is_drawn() -> None:
    train = torch.arange(513)
    one, five = (torch.stack([x for x, _ in ablations.batches(train, TINY, ahead)]) for ahead in (1, 5))
    assert torch.equal(one, five)


def test_dropout_acts_in_training_alone() -> None:
    plain = ablations.run(replace(TINY, steps=1, peak=0.0), Context())
    dropped = ablations.run(replace(TINY, steps=1, peak=0.0, dropout=0.5), Context())
    assert plain["loss"] == dropped["loss"]
    assert plain["train_loss"] != dropped["train_loss"]


def test_cost_is_six_flops_a_weight_and_token_and_attention() -> None:
    config = Config(n_layer=3, d_model=32, n_head=4, context=16, batch=2, steps=5)
    weights = 3 * 12 * 32 * 32 + 256 * 32
    tokens = 5 * 2 * 16
    softmax_and_pairs = 3 * tokens * 3 * (4 * 16 * 32 + 3 * 16 * 4)
    assert ablations.cost(config) == 6 * weights * tokens + softmax_and_pairs


def test_excess_is_the_arm_minus_each_other_and_its_control_turns_the_sign() -> None:
    losses = {1: (3.0, 3.2, 3.1), 4: (2.0, 2.1, 2.2), 8: (1.0, 1.3, 1.2)}
    records = [
        make_record(i, {"loss": loss}, n_head=h) for h, of_arm in losses.items() for i, loss in enumerate(of_arm)
    ]
    found = excess(records, column="loss", by="n_head", arm=1, over={"heads_4": 4, "heads_8": 8})
    assert found["heads_4"].value == pytest.approx(1.0)
    assert found["heads_8"].value == pytest.approx(5.8 / 3)
    assert found["heads_8"].n == 3
    turned = excess(records, column="loss", by="n_head", arm=8, over={"heads_4": 1})
    assert turned["heads_4"].value == pytest.approx(-5.8 / 3)
    with pytest.raises(EstimateError, match="over"):
        excess(records, column="loss", by="n_head", arm=1, over={})


def test_the_training_cost_is_the_printed_one_and_not_with_one_card() -> None:
    config = training_cost.Config()
    cost = training_cost.run(config, Context())
    assert cost == {"base": pytest.approx(3.3e18, rel=0.01), "big": pytest.approx(2.3e19, rel=0.01)}
    assert cost["big"] / cost["base"] == pytest.approx(7)
    assert training_cost.run(replace(config, accelerators=1), Context())["big"] < 3e18


SMALL = initial_gradients.Config(depths=(2, 8), d_model=16, length=8, batch=2, models=8)


@pytest.mark.parametrize("norm", ["post", "pre"])
def test_gradients_are_those_of_the_paper_s_formulas(norm: str) -> None:
    """Table 1 of Xiong et al. with uniform attention, written out with matrices alone."""
    model = initial_gradients.initial_model(SMALL, 2, norm, torch.Generator().manual_seed(0)).double()
    x = torch.randn(2, 8, 16, dtype=torch.float64)
    targets = torch.randint(256, (2, 8))
    found, scale = initial_gradients.last_gradient(model, x, targets)

    def ln(h: torch.Tensor) -> torch.Tensor:
        centred = h - h.mean(-1, keepdim=True)
        return centred / (centred.square().mean(-1, keepdim=True) + 1e-5).sqrt()

    h = x
    for layer in model.layers:
        value, output = layer.attention.query_key_value.weight[32:], layer.attention.output.weight

        def attend(y: torch.Tensor, value: torch.Tensor = value, output: torch.Tensor = output) -> torch.Tensor:
            return (y.mean(1, keepdim=True) @ value.T @ output.T).expand_as(y)

        def feed(
            y: torch.Tensor, up: torch.Tensor = layer.up.weight, down: torch.Tensor = layer.down.weight
        ) -> torch.Tensor:
            return (y @ up.T).relu() @ down.T

        if norm == "post":
            h = ln(h + attend(h))
            entered = h + feed(h)
            h = ln(entered)
        else:
            h = h + attend(ln(h))
            h = entered = h + feed(ln(h))
    logits = (ln(h) if norm == "pre" else h) @ model.embedding.weight.T
    loss = -logits.log_softmax(-1).gather(-1, targets[..., None]).mean()
    (gradient,) = torch.autograd.grad(loss, model.layers[-1].down.weight)
    assert found == pytest.approx(gradient.norm().item(), rel=1e-9)
    assert scale == pytest.approx(entered.square().mean().item(), rel=1e-9)


def test_depth_shrinks_the_pre_norm_gradient_alone() -> None:
    shallow, deep = initial_gradients.run(replace(SMALL, depths=(4, 32)), Context())
    assert deep["pre"] < 0.6 * shallow["pre"]
    assert 0.6 < deep["post"] / shallow["post"] < 1.6
    # Lemma 2: 3d/2 at every depth, and (1 + L/2)d to (1 + 3L/2)d.
    assert 1 < deep["post_scale"] < 2
    assert 1 + 32 / 2 < deep["pre_scale"] < 1 + 1.5 * 32 * 1.3


@pytest.mark.slow
def test_on_text_read_often_dropout_helps_and_on_new_text_it_costs() -> None:
    """The control of `transformer/dropout_effect`, at a smaller size."""
    often = Config(d_model=32, context=32, steps=300, batch=8, unique_tokens=4096, eval_tokens=16_384)
    loss = {
        (unique, p): ablations.run(replace(often, unique_tokens=unique, dropout=p), Context())["loss"]
        for unique in (4096, 0)
        for p in (0.0, 0.2)
    }
    assert loss[4096, 0.2] < loss[4096, 0.0]
    assert loss[0, 0.2] > loss[0, 0.0]
