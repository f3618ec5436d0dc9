"""The GPT against models that others wrote or that are written out by hand: outputs and gradients, every variant."""

import math
from collections.abc import Callable, Mapping
from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

from repro.lab.gpt import GPT, GPTShape, initial_weights, rotary_tables, rotate

L, D, HEAD, S, V = 2, 24, 8, 12, 40
VARIANTS = [
    GPTShape(L, D, HEAD, S, V, tied=tied, positions=positions)
    for tied in (True, False)
    for positions in ("rotary", "learned")
]
Reference = Callable[[GPTShape, Mapping[str, Tensor], Tensor], Tensor]
"""Map a shape, one model's weights and tokens `[B, S]` to logits `[B, S, V]`."""


def name_of(shape: GPTShape) -> str:
    return f"{shape.positions}-{'tied' if shape.tied else 'untied'}"


def double_gpt(shape: GPTShape, models: int = 1) -> GPT:
    """Models in double precision whose gains are not 1, which would hide where they act."""
    torch.manual_seed(0)
    model = GPT(shape, initial_weights(shape, range(models)).double())
    for name, weight in model.weights().items():
        if name.endswith("norm"):
            weight.data.uniform_(0.5, 1.5)
    return model


def by_hand(shape: GPTShape, w: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
    """Heads one by one, positions as complex rotations, softmax by hand, row by row."""

    def rms(x: Tensor, gain: Tensor) -> Tensor:
        return x / (x.pow(2).mean(-1, keepdim=True) + torch.finfo(x.dtype).eps).sqrt() * gain

    def turn(x: Tensor) -> Tensor:
        frequency = torch.tensor([10_000.0 ** (-2 * i / HEAD) for i in range(HEAD // 2)], dtype=torch.float64)
        angle = torch.arange(x.shape[-2])[:, None] * frequency
        return torch.complex(x[..., 0::2], x[..., 1::2]) * torch.polar(torch.ones_like(angle), angle)

    x = w["embedding"][tokens]
    if shape.positions == "learned":
        x = x + w["positions"][: tokens.shape[1]]
    for layer in range(shape.n_layer):
        qkv = rms(x, w[f"{layer}.attention_norm"]) @ w[f"{layer}.query_key_value"]
        q, k, v = qkv.chunk(3, dim=-1)
        mixed = []
        for head in range(shape.d_model // HEAD):
            own = slice(head * HEAD, (head + 1) * HEAD)
            if shape.positions == "rotary":
                scores = (turn(q[..., own]) @ turn(k[..., own]).mH).real
            else:
                scores = q[..., own] @ k[..., own].mT
            rows = []
            for i in range(tokens.shape[1]):
                share = torch.exp(scores[:, i, : i + 1] / math.sqrt(HEAD))
                rows.append(torch.einsum("bs,bsd->bd", share / share.sum(-1, keepdim=True), v[:, : i + 1, own]))
            mixed.append(torch.stack(rows, dim=1))
        x = x + torch.cat(mixed, dim=-1) @ w[f"{layer}.output"]
        inner = rms(x, w[f"{layer}.feed_forward_norm"]) @ w[f"{layer}.up"]
        x = x + (inner * 0.5 * (1 + torch.erf(inner / math.sqrt(2)))) @ w[f"{layer}.down"]
    return rms(x, w["final_norm"]) @ (w["embedding"] if shape.tied else w["head"]).T


class TorchTransformer(nn.Module):
    """Of torch's own parts: its encoder layers, with their norms exchanged, under a causal mask."""

    def __init__(self, shape: GPTShape) -> None:
        super().__init__()
        heads = shape.d_model // shape.d_head
        self.tokens, self.positions = nn.Embedding(V, D), nn.Embedding(S, D)
        self.blocks = nn.ModuleList(
            nn.TransformerEncoderLayer(D, heads, 4 * D, 0.0, "gelu", batch_first=True, norm_first=True, bias=False)
            for _ in range(shape.n_layer)
        )
        for block in self.blocks:
            block.norm1, block.norm2 = nn.RMSNorm(D), nn.RMSNorm(D)
        self.norm, self.head = nn.RMSNorm(D), nn.Linear(D, V, bias=False)

    def forward(self, tokens: Tensor) -> Tensor:
        x = self.tokens(tokens) + self.positions(torch.arange(tokens.shape[1]))
        mask = torch.full((tokens.shape[1],) * 2, -math.inf, dtype=x.dtype).triu(1)
        for block in self.blocks:
            x = block(x, src_mask=mask)
        return self.head(self.norm(x))


def of_torchs_parts(shape: GPTShape, w: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
    weights = {"tokens.weight": w["embedding"], "positions.weight": w["positions"], "norm.weight": w["final_norm"]}
    weights["head.weight"] = w["embedding"] if shape.tied else w["head"]
    for layer in range(shape.n_layer):
        weights |= {
            f"blocks.{layer}.self_attn.in_proj_weight": w[f"{layer}.query_key_value"].T,
            f"blocks.{layer}.self_attn.out_proj.weight": w[f"{layer}.output"].T,
            f"blocks.{layer}.linear1.weight": w[f"{layer}.up"].T,
            f"blocks.{layer}.linear2.weight": w[f"{layer}.down"].T,
            f"blocks.{layer}.norm1.weight": w[f"{layer}.attention_norm"],
            f"blocks.{layer}.norm2.weight": w[f"{layer}.feed_forward_norm"],
        }
    return functional_call(TorchTransformer(shape).double(), weights, (tokens,))


def transformers_gpt2(shape: GPTShape, w: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
    """GPT-2 of the transformers library, its layer norms exchanged for root-mean-square ones and its biases 0."""
    transformers = pytest.importorskip("transformers")
    settings = {"attn_pdrop": 0.0, "embd_pdrop": 0.0, "resid_pdrop": 0.0, "attn_implementation": "eager"}
    sizes = {"n_layer": L, "n_embd": D, "n_head": D // HEAD, "n_positions": S, "vocab_size": V}
    config = transformers.GPT2Config(**sizes, **settings, activation_function="gelu", tie_word_embeddings=False)
    model = transformers.GPT2LMHeadModel(config)
    for block in model.transformer.h:
        block.ln_1, block.ln_2 = nn.RMSNorm(D), nn.RMSNorm(D)
    model.transformer.ln_f = nn.RMSNorm(D)
    weights = {
        name: torch.zeros_like(weight, dtype=torch.float64)
        for name, weight in model.named_parameters()
        if name.endswith("bias")
    }
    weights |= {"transformer.wte.weight": w["embedding"], "transformer.wpe.weight": w["positions"]}
    weights |= {
        "transformer.ln_f.weight": w["final_norm"],
        "lm_head.weight": w["embedding"] if shape.tied else w["head"],
    }
    for layer in range(L):
        weights |= {
            f"transformer.h.{layer}.{theirs}.weight": w[f"{layer}.{ours}"]
            for theirs, ours in {
                "attn.c_attn": "query_key_value",
                "attn.c_proj": "output",
                "mlp.c_fc": "up",
                "mlp.c_proj": "down",
                "ln_1": "attention_norm",
                "ln_2": "feed_forward_norm",
            }.items()
        }
    return functional_call(model.double().eval(), weights, (tokens,)).logits


def transformers_llama(shape: GPTShape, w: Mapping[str, Tensor], tokens: Tensor) -> Tensor:
    """Llama of the transformers library, its gated feed-forward part exchanged for a plain one."""
    transformers = pytest.importorskip("transformers")
    sizes = {"num_hidden_layers": L, "hidden_size": D, "num_attention_heads": D // HEAD, "intermediate_size": 4 * D}
    config = transformers.LlamaConfig(
        **sizes,
        vocab_size=V,
        max_position_embeddings=S,
        rms_norm_eps=torch.finfo(torch.float64).eps,
        attn_implementation="eager",
    )
    model = transformers.LlamaForCausalLM(config)
    for block in model.model.layers:
        block.mlp = nn.Sequential(nn.Linear(D, 4 * D, bias=False), nn.GELU(), nn.Linear(4 * D, D, bias=False))
    # Llama turns the first half of a head against the second, here neighbours turn: the same pairs, ordered otherwise.
    halves = torch.cat([torch.arange(0, HEAD, 2), torch.arange(1, HEAD, 2)])
    ordered = (torch.arange(0, D, HEAD)[:, None] + halves).flatten()
    weights = {"model.embed_tokens.weight": w["embedding"], "model.norm.weight": w["final_norm"]}
    weights["lm_head.weight"] = w["embedding"] if shape.tied else w["head"]
    for layer in range(L):
        q, k, v = w[f"{layer}.query_key_value"].T.chunk(3)
        weights |= {
            f"model.layers.{layer}.{name}.weight": weight
            for name, weight in {
                "self_attn.q_proj": q[ordered],
                "self_attn.k_proj": k[ordered],
                "self_attn.v_proj": v,
                "self_attn.o_proj": w[f"{layer}.output"].T,
                "mlp.0": w[f"{layer}.up"].T,
                "mlp.2": w[f"{layer}.down"].T,
                "input_layernorm": w[f"{layer}.attention_norm"],
                "post_attention_layernorm": w[f"{layer}.feed_forward_norm"],
            }.items()
        }
    return functional_call(model.double().eval(), weights, (tokens,)).logits


REFERENCES: list[tuple[Reference, str, str, float]] = [
    (by_hand, "rotary", "own attention", 1e-12),
    (by_hand, "rotary", "torch's attention", 1e-12),
    (by_hand, "learned", "torch's attention", 1e-12),
    (of_torchs_parts, "learned", "torch's attention", 1e-12),
    (transformers_gpt2, "learned", "torch's attention", 1e-12),
    (transformers_llama, "rotary", "own attention", 1e-6),  # its angles are float32
    (transformers_llama, "rotary", "torch's attention", 1e-6),
]


@pytest.mark.parametrize("tied", [True, False], ids=["tied", "untied"])
@pytest.mark.parametrize(
    ("reference", "positions", "kernel", "tolerance"),
    REFERENCES,
    ids=[f"{reference.__name__}-{positions}-{kernel}" for reference, positions, kernel, _ in REFERENCES],
)
def test_logits_and_gradients_are_those_of_an_independent_model(
    reference: Reference, positions: str, kernel: str, tolerance: float, tied: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kernel == "torch's attention":
        monkeypatch.setattr("repro.lab.gpt.pays", lambda heads: False)
    shape = GPTShape(L, D, HEAD, S, V, tied=tied, positions=positions)
    model = double_gpt(shape)
    tokens, targets = torch.randint(V, (2, 3, S))
    own = model(tokens[None])[0]
    theirs = reference(shape, {name: weight[0] for name, weight in model.weights().items()}, tokens)
    torch.testing.assert_close(own, theirs, rtol=tolerance, atol=tolerance)

    gradient, expected = (
        torch.autograd.grad(F.cross_entropy(logits.flatten(0, 1), targets.flatten()), model.rows)[0]
        for logits in (own, theirs)
    )
    torch.testing.assert_close(gradient, expected, rtol=tolerance, atol=tolerance)
    # The model's own loss is taken in float32.
    (rounded,) = torch.autograd.grad(model(tokens[None], targets[None]).sum(), model.rows)
    torch.testing.assert_close(rounded, expected, rtol=1e-4, atol=1e-6)


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_a_stack_computes_bit_for_bit_what_its_models_do_alone(shape: GPTShape) -> None:
    rows, (tokens, targets) = initial_weights(shape, range(5)), torch.randint(V, (2, 5, 3, S))
    stack = GPT(shape, rows.clone())
    losses = stack(tokens, targets)
    losses.sum().backward()
    for m in range(5):
        alone = GPT(shape, rows[m : m + 1].clone())
        loss = alone(tokens[m : m + 1], targets[m : m + 1])
        loss.sum().backward()
        assert torch.equal(loss[0], losses[m])
        assert torch.equal(alone.rows.grad[0], stack.rows.grad[m])


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_models_of_a_stack_do_not_touch_each_other(shape: GPTShape) -> None:
    model, tokens = double_gpt(shape, models=3), torch.randint(V, (3, 2, S))
    (gradient,) = torch.autograd.grad(model(tokens, tokens)[1], model.rows)
    assert torch.count_nonzero(gradient[[0, 2]]) == 0
    assert torch.count_nonzero(gradient[1]) > 0.9 * shape.parameters - V * D  # tokens that do not occur have none


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_no_position_sees_what_comes_after_it_and_each_sees_itself(shape: GPTShape) -> None:
    model, tokens = double_gpt(shape), torch.randint(V, (1, 1, S))
    changed = tokens.clone()
    changed[..., 6:] = (changed[..., 6:] + 1) % V
    before, after = model(tokens)[0, 0], model(changed)[0, 0]
    assert torch.equal(before[:6], after[:6])
    assert ((before[6:] - after[6:]).abs().amax(-1) > 1e-3).all()


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_a_shorter_text_has_the_logits_of_the_longer_one(shape: GPTShape) -> None:
    model, tokens = double_gpt(shape), torch.randint(V, (1, 2, S))
    torch.testing.assert_close(model(tokens[..., :5]), model(tokens)[:, :, :5])


def test_loss_is_the_mean_negative_log_probability_of_the_targets() -> None:
    model, (tokens, targets) = double_gpt(VARIANTS[0], models=2), torch.randint(V, (2, 2, 3, 7))
    log_p = model(tokens).log_softmax(-1)
    for m, loss in enumerate(model(tokens, targets).tolist()):
        picked = [log_p[m, b, s, targets[m, b, s]].item() for b in range(3) for s in range(7)]
        assert loss == pytest.approx(-sum(picked) / 21, rel=1e-6)  # the loss itself is taken in float32


def test_rotation_keeps_lengths_and_products_depend_on_the_distance_alone() -> None:
    cos, sin = rotary_tables(16, 8)
    q, k = torch.randn(2, 8)
    turned_q, turned_k = rotate(q.expand(16, 8), cos, sin), rotate(k.expand(16, 8), cos, sin)
    torch.testing.assert_close(turned_q.norm(dim=-1), q.norm().expand(16))
    products = turned_q @ turned_k.T
    for distance in (-5, 0, 3):
        along = products.diagonal(distance)
        torch.testing.assert_close(along, along[0].expand_as(along), rtol=1e-4, atol=1e-5)


def test_the_rotation_that_a_compiler_fuses_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    x, (cos, sin) = torch.randn(3, 16, 8), rotary_tables(16, 8)
    plain = rotate(x, cos, sin)
    monkeypatch.setattr(torch.compiler, "is_compiling", lambda: True)
    torch.testing.assert_close(rotate(x, cos, sin), plain, rtol=1e-6, atol=1e-6)


def test_half_precision_is_turned_by_full_precision_tables() -> None:
    x, (cos, sin) = torch.randn(16, 8).bfloat16(), rotary_tables(16, 8)
    turned = rotate(x, cos, sin)
    assert turned.dtype == torch.bfloat16
    assert torch.equal(turned, rotate(x.float(), cos, sin).bfloat16())


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_bfloat16_products_move_the_loss_little(shape: GPTShape) -> None:
    model, tokens = GPT(shape, initial_weights(shape, [0])), torch.randint(V, (1, 8, S))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        half = model(tokens, tokens)
    assert half.dtype == torch.float32
    assert half.item() == pytest.approx(model(tokens, tokens).item(), rel=0.01)
    assert half.item() != model(tokens, tokens).item()


@pytest.mark.parametrize(
    ("shape", "total", "embedding"),
    [
        (GPTShape(2, 8, 8, 64, 256), 3_624, 2_048),  # 256·8 + 12·2·64 + 5·8
        (GPTShape(3, 32, 16, 8, 100), 40_288, 3_200),  # 3,200 + 36,864 + 7·32
        (GPTShape(3, 32, 16, 8, 100, tied=False), 43_488, 6_400),
        (GPTShape(3, 32, 16, 8, 100, tied=False, positions="learned"), 43_744, 6_656),
    ],
)
def test_counts_are_those_of_the_tensors(shape: GPTShape, total: int, embedding: int) -> None:
    model = GPT(shape, initial_weights(shape, [0]))
    assert model.rows.shape == (1, shape.parameters) == (1, total)
    assert shape.embedding_parameters == embedding
    assert shape.non_embedding_parameters == total - embedding
    in_blocks = [w.numel() for name, w in model.weights().items() if w.ndim == 3 and name[0].isdigit()]
    assert sum(in_blocks) == shape.block_matrix_parameters


def test_weights_lie_in_the_row_without_gap_or_overlap() -> None:
    for shape in VARIANTS:
        model = GPT(shape, torch.arange(shape.parameters, dtype=torch.float32)[None])
        ends = torch.cat([w.flatten() for w in model.weights().values()])
        assert torch.equal(ends, model.rows[0])


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_initial_weights_have_their_spread_and_hang_on_their_own_seed(shape: GPTShape) -> None:
    wide = GPTShape(L, 96, HEAD, 64, 200, tied=shape.tied, positions=shape.positions)
    rows = initial_weights(wide, [3, 4])
    assert torch.equal(rows[1], initial_weights(wide, [4])[0])
    assert not torch.equal(rows[0], rows[1])
    for name, weight in GPT(wide, rows).weights().items():
        if name.endswith("norm"):
            assert (weight == 1).all()
            continue
        expected = {"output": (96 * 4) ** -0.5, "down": (4 * 96 * 4) ** -0.5}.get(name.split(".")[-1], 96**-0.5)
        assert weight.std().item() == pytest.approx(expected, rel=0.03)
        assert weight.mean().item() == pytest.approx(0, abs=0.03 * expected)


@pytest.mark.parametrize("tied", [True, False])
def test_the_first_loss_is_near_that_of_a_uniform_guess(tied: bool) -> None:
    shape = GPTShape(2, 64, 16, 32, 256, tied=tied)
    tokens = torch.randint(256, (2, 16, 32))
    with torch.no_grad():
        losses = GPT(shape, initial_weights(shape, [0, 1]))(tokens, tokens.roll(1))
    # Logits start with unit variance, which costs half a nat.
    assert losses.tolist() == pytest.approx([math.log(256) + 0.5] * 2, abs=0.25)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"d_model": 20}, "multiple of d_head"),
        ({"d_model": 9, "d_head": 3}, "d_head even"),
        ({"n_layer": 0}, "at least 1"),
        ({"vocabulary": -1}, "at least 1"),
        ({"positions": "rotery"}, "rotary or learned, not 'rotery'"),
    ],
)
def test_a_shape_that_cannot_be_is_refused(change: dict[str, object], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        replace(VARIANTS[0], **change)


@pytest.mark.parametrize("shape", VARIANTS, ids=name_of)
def test_what_does_not_fit_the_shape_is_refused(shape: GPTShape) -> None:
    with pytest.raises(ValueError, match=f"has {shape.parameters} weights a model"):
        GPT(shape, torch.zeros(1, shape.parameters - 1))
    with pytest.raises(ValueError, match="13 tokens does not fit a context of 12"):
        GPT(shape, initial_weights(shape, [0]))(torch.zeros(1, 1, S + 1, dtype=torch.int64))


@pytest.mark.slow
@pytest.mark.parametrize("shape", VARIANTS[:2], ids=name_of)
def test_compiled_it_computes_the_same(shape: GPTShape) -> None:
    model, tokens = GPT(shape, initial_weights(shape, range(2))), torch.randint(V, (2, 2, S))
    (plain,) = torch.autograd.grad(model(tokens, tokens).sum(), model.rows)
    model.compile_parts()
    (compiled,) = torch.autograd.grad(model(tokens, tokens).sum(), model.rows)
    torch.testing.assert_close(compiled, plain, rtol=1e-4, atol=1e-6)
