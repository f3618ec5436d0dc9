"""Attention by hashing against all pairs with a mask, and the recipes that train with it."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from experiments.attention import copy_task, reformer_quality, reformer_table2
from experiments.attention.copy_task_estimators import accuracy_as, gain_per_doubling
from experiments.attention.reformer import (
    LSHAttention,
    hash_buckets,
    hash_rotations,
    lsh_attention,
    shared_qk_attention,
)
from repro.lab.transformer import Transformer, TransformerShape
from repro.schema.context import Context
from repro.schema.errors import EstimateError


def dense_reference(qk, v, rotations, chunk, causal):
    """All pairs of each round in a loop: what is not in the own bucket and in reach of the own chunk is masked."""
    B, H, n, d = qk.shape
    buckets = hash_buckets(qk, rotations)
    out = torch.zeros_like(v)
    for b in range(B):
        for h in range(H):
            scores = qk[b, h] @ (qk[b, h] / qk[b, h].norm(dim=-1, keepdim=True)).T / math.sqrt(d)
            outputs, totals = [], []
            for bucket in buckets[b, h]:
                place = sorted(range(n), key=lambda i: (int(bucket[i]), i))
                chunk_of = torch.empty(n, dtype=torch.long)
                chunk_of[place] = torch.arange(n) // chunk
                behind = chunk_of[:, None] - chunk_of[None, :]
                allowed = (bucket[:, None] == bucket[None, :]) & (behind >= 0) & (behind <= 1)
                if causal:
                    allowed &= torch.arange(n)[:, None] >= torch.arange(n)[None, :]
                masked = scores.masked_fill(torch.eye(n, dtype=torch.bool), -1e5).masked_fill(~allowed, -math.inf)
                outputs.append(masked.softmax(-1) @ v[b, h])
                totals.append(masked.logsumexp(-1))
            share = torch.stack(totals).softmax(0)
            out[b, h] = (torch.stack(outputs) * share[..., None]).sum(0)
    return out


def inputs(n=48, d=8, seed=0, B=2, H=2):
    generator = torch.Generator().manual_seed(seed)
    shape = (B, H, n, d)
    qk, v = (torch.randn(shape, generator=generator, dtype=torch.float64, requires_grad=True) for _ in range(2))
    return qk, v, generator


@pytest.mark.parametrize("causal", [True, False])
@pytest.mark.parametrize(("hashes", "buckets", "chunk"), [(1, 2, 48), (1, 8, 8), (3, 6, 16), (2, 200, 4)])
def test_lsh_attention_and_its_gradient_are_those_of_masked_pairs(causal, hashes, buckets, chunk):
    qk, v, generator = inputs()
    rotations = hash_rotations(hashes, 8, buckets, generator).double()
    output = lsh_attention(qk, v, rotations, chunk=chunk, causal=causal)
    expected = dense_reference(qk, v, rotations, chunk, causal)
    torch.testing.assert_close(output, expected, rtol=0, atol=1e-9)
    weights = torch.randn(output.shape, generator=generator, dtype=torch.float64)
    found = torch.autograd.grad((output * weights).sum(), (qk, v))
    wanted = torch.autograd.grad((expected * weights).sum(), (qk, v))
    for one, other in zip(found, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-9)


def test_one_bucket_in_one_chunk_is_full_attention():
    qk, v, _ = inputs()
    qk = qk.detach().abs()
    alike = torch.zeros(1, 3, 8, 1, dtype=torch.float64)
    alike[..., 0, 0] = 1.0  # all are on the positive side of the first axis
    found = lsh_attention(qk, v, alike, chunk=48, causal=True)
    torch.testing.assert_close(found, shared_qk_attention(qk, v, causal=True), rtol=0, atol=1e-9)


def test_full_attention_is_softmax_over_all_others():
    qk, v, _ = inputs(n=6, B=1, H=1)
    scores = (qk @ F.normalize(qk, dim=-1).mT / math.sqrt(8))[0, 0]
    output = shared_qk_attention(qk, v, causal=True)[0, 0]
    torch.testing.assert_close(output[0], v[0, 0, 0])  # nothing but itself
    torch.testing.assert_close(output[1], v[0, 0, 0])  # one other
    torch.testing.assert_close(output[5], scores[5, :5].softmax(-1) @ v[0, 0, :5])


def test_buckets_are_the_largest_signed_projections():
    qk, _, generator = inputs()
    rotations = hash_rotations(3, 8, 10, generator).double()
    xR = torch.einsum("bhnd,rdk->bhrnk", qk, rotations[0])
    assert torch.equal(hash_buckets(qk, rotations), torch.cat([xR, -xR], dim=-1).argmax(-1))


def test_many_buckets_are_pairs_of_two_hashes():
    rotations = hash_rotations(2, 8, 512, torch.Generator().manual_seed(0))
    assert rotations.shape == (2, 2, 8, 12)  # 24 · 24 ≥ 512
    qk = torch.randn(1, 1, 4096, 8)
    both = hash_buckets(qk, rotations)
    assert torch.equal(both // 24, hash_buckets(qk, rotations[:1]))
    assert torch.equal(both % 24, hash_buckets(qk, rotations[1:]))


def test_vectors_in_one_direction_share_every_bucket_and_opposite_ones_none():
    x = torch.randn(1, 1, 1, 16)
    qk = torch.cat([x, 3 * x, -x], dim=2)
    buckets = hash_buckets(qk, hash_rotations(8, 16, 12))[0, 0]
    assert torch.equal(buckets[:, 0], buckets[:, 1])
    assert (buckets[:, 0] != buckets[:, 2]).all()


def test_bad_sizes_are_refused():
    qk, v, generator = inputs()
    with pytest.raises(ValueError, match="even number of buckets"):
        hash_rotations(1, 8, 5, generator)
    with pytest.raises(ValueError, match="multiple of the chunk"):
        lsh_attention(qk, v, hash_rotations(1, 8, 4, generator).double(), chunk=10, causal=True)


@pytest.mark.parametrize("hashes", [0, 2])
def test_a_model_with_it_sees_nothing_that_comes_later(hashes):
    torch.manual_seed(0)
    shape = TransformerShape(2, 16, 2, 16, context=32, vocabulary=11, causal=True)
    model = Transformer(shape, lambda: LSHAttention(shape, hashes=hashes, chunk=32))
    tokens = torch.randint(0, 11, (2, 32))
    later = tokens.clone()
    later[:, 20:] = torch.randint(0, 11, (2, 12))
    outputs = []
    for of in (tokens, later):
        torch.manual_seed(1)  # the same rotations
        outputs.append(model(of))
    # One chunk: with several, later tokens shift where chunks begin, and so what a token may see of those before it.
    torch.testing.assert_close(outputs[0][:, :20], outputs[1][:, :20])
    assert not torch.allclose(outputs[0][:, 20:], outputs[1][:, 20:])


TINY = copy_task.Config(length=16, symbols=7, chunk=4, d_model=16, heads=2, batch=8, steps=2, tests=32)


@pytest.mark.parametrize("hashes", [0, 2])
def test_copy_task_runs_and_repeats(hashes):
    config = replace(TINY, hashes=hashes)
    first, second = copy_task.run(config, Context()), copy_task.run(config, Context())
    assert first == second
    assert list(first) == list(copy_task.EVALUATED)
    assert all(0 <= value <= 100 for value in first.values())


def test_sequences_repeat_and_targets_are_the_second_copy():
    tokens = copy_task.sequences(TINY, 5, "cpu")
    assert torch.equal(tokens[:, :8], tokens[:, 8:])
    assert (tokens[:, 0] == 0).all()
    assert (tokens[:, 1:8].min(), tokens.max()) == (1, 7)
    _, targets = copy_task.second_copy(copy_task.model_of(TINY), tokens)
    assert torch.equal(targets, tokens[:, 1:8])


@pytest.mark.slow
def test_copying_is_learned_and_the_control_finds_nothing():
    config = replace(TINY, hashes=0, length=32, chunk=8, d_model=32, batch=32, steps=500, lr=2e-2)
    learned, control = (copy_task.run(replace(config, repeated=repeated), Context()) for repeated in (True, False))
    assert learned["accuracy_full"] > 90 > 40 > control["accuracy_full"]
    assert learned["accuracy_1"] < learned["accuracy_full"]


def test_quality_runs_and_hashing_has_the_parameters_of_shared_queries():
    config = reformer_quality.Config(n=16, chunk=4, n_layer=1, d_model=8, batch=2, steps=2, eval_windows=4)
    rows = {
        name: reformer_quality.run(replace(config, attention=name), Context()) for name in reformer_quality.ATTENTIONS
    }
    assert all(abs(row["loss"] - math.log(256)) < 1.5 for row in rows.values())
    assert rows["lsh"]["parameters"] == rows["shared_qk"]["parameters"] == rows["softmax"]["parameters"] - 64
    with pytest.raises(ValueError, match="attention must be one of"):
        reformer_quality.run(replace(config, attention="hash"), Context())


def test_printed_rows_rise_until_full_attention_is_a_level():
    rows = reformer_table2.run(reformer_table2.Config(), Context())
    steps = {name: np.diff([row[name] for row in rows]) for name in rows[0] if name != "rounds"}
    assert all((step > 0).all() for step in steps.values())
    last = reformer_table2.run(reformer_table2.Config(with_full=True), Context())[-1]
    assert [last[name] for name in steps] == [100.0, 0.8, 0.8, 0.8]


class Record:
    """What the estimators read of a trial."""

    def __init__(self, hashes, replicate, accuracies):
        self.config = {"hashes": hashes}
        self.replicate, self.status, self.label, self.key, self.study = replicate, "finished", "", "0" * 8, "s"
        self.rows = (dict(zip(("accuracy_1", "accuracy_2", "accuracy_4", "accuracy_8"), accuracies, strict=True)),)

    def value(self, name):
        return self.rows[0][name]


def test_gain_per_doubling_is_the_mean_slope():
    records = [
        Record(0, 0, (50.0, 60.0, 70.0, 80.0)),
        Record(0, 1, (40.0, 60.0, 80.0, 100.0)),
        Record(4, 0, (1.0, 1.0, 1.0, 1.0)),
    ]
    found = gain_per_doubling(records, trained={"full": 0, "four": 4})
    assert found["full"].value == pytest.approx(15.0)
    assert found["full"].se == pytest.approx(5.0)  # slopes 10 and 20
    assert found["full"].extras["mean_accuracy_1"] == pytest.approx(45.0)
    assert found["four"].se is None
    assert found["four"].extras["reversals"] == 3
    with pytest.raises(EstimateError, match="trained with hashes = 2"):
        accuracy_as(records, trained={"value": 2}, evaluated={"value": "accuracy_1"})
