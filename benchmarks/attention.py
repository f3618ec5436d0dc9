"""Linear-time attention on the processor: each of ours against other ways to write the same function in plain torch.

Linformer, Performer (all tokens, and causal), Reformer's hashing and FLASH's mixed chunk attention, forward, and forward with
backward, one thread, float32, in seconds of the processor. All ways to write one mechanism take turns, and each must
give the same numbers as ours. The ratio is the time of ours over that of the fastest of all, ours included: 1 says that none is
faster. Beside them softmax attention as written against the fused kernel.

Run: python -m benchmarks attention
"""

import statistics
import time
from collections.abc import Callable, Mapping

import torch
import torch.nn.functional as F
from torch import Tensor

from experiments.attention.flash import mixed_chunk_attention
from experiments.attention.linformer import fused_linformer_attention, linformer_attention
from experiments.attention.performer import causal_performer_attention, performer_attention
from experiments.attention.reformer import SELF, hash_buckets, hash_rotations, lsh_attention
from experiments.attention.softmax import fused_attention, softmax_attention
from repro.lab.allocator import keep_freed_memory

N, HEADS, D = 4096, 2, 64
PROJECTED, FEATURES, CHUNK, ROUNDS_OF_HASHING = 256, 128, 64, 2
"""Linformer's k, Performer's m, Reformer's and FLASH's chunk, Reformer's hashes."""
S, E = 32, 128
"""Widths of FLASH's queries and values."""
ROUNDS, ROUND_S = 5, 0.03
"""Turns, and seconds of each timing at least."""
AIM = 1.3
"""Ratio that the project asks of itself."""

Attention = Callable[..., Tensor]


def linformer_einsum(q: Tensor, k: Tensor, v: Tensor, E: Tensor, F: Tensor) -> Tensor:
    """Every product as an einsum."""
    pairs = torch.einsum("bhnd,bhkd->bhnk", q, torch.einsum("kn,bhnd->bhkd", E, k)) * q.shape[-1] ** -0.5
    return torch.einsum("bhnk,bhkd->bhnd", pairs.softmax(-1), torch.einsum("kn,bhnd->bhkd", F, v))


def linformer_wide(q: Tensor, k: Tensor, v: Tensor, E: Tensor, F: Tensor) -> Tensor:
    """Heads side by side, so that each projection is one wide product."""
    B, H, n, d = q.shape
    k, v = (
        (P @ x.permute(2, 0, 1, 3).reshape(n, -1)).view(-1, B, H, d).permute(1, 2, 0, 3) for P, x in ((E, k), (F, v))
    )
    return fused_attention(q, k, v)


def positive(x: Tensor, omega: Tensor, over: tuple[int, ...]) -> Tensor:
    """exp(ω·x − ‖x‖²/2), divided by the largest over some dimensions, which cancels."""
    x = x * x.shape[-1] ** -0.25
    log = x @ omega.mT - x.square().sum(-1, keepdim=True) / 2
    return torch.exp(log - log.detach().amax(over, keepdim=True))


def performer_plain(q: Tensor, k: Tensor, v: Tensor, omega: Tensor) -> Tensor:
    """Feature maps of queries and keys, numerator and denominator apart."""
    phi_q, phi_k = positive(q, omega, (-1,)), positive(k, omega, (-2, -1))
    return phi_q @ (phi_k.mT @ v) / (phi_q @ phi_k.sum(-2).unsqueeze(-1))


def performer_ones(q: Tensor, k: Tensor, v: Tensor, omega: Tensor) -> Tensor:
    """The denominator as one more column of the values."""
    phi_q, phi_k = positive(q, omega, (-1,)), positive(k, omega, (-2, -1))
    mixed = phi_q @ (phi_k.mT @ torch.cat([v, torch.ones_like(v[..., :1])], -1))
    return mixed[..., :-1] / mixed[..., -1:]


def performer_einsum(q: Tensor, k: Tensor, v: Tensor, omega: Tensor) -> Tensor:
    """The same with einsums."""
    phi_q, phi_k = positive(q, omega, (-1,)), positive(k, omega, (-2, -1))
    mixed = torch.einsum("bhnm,bhmd->bhnd", phi_q, torch.einsum("bhnm,bhnd->bhmd", phi_k, v))
    return mixed / torch.einsum("bhnm,bhm->bhn", phi_q, phi_k.sum(-2)).unsqueeze(-1)


def performer_running(q: Tensor, k: Tensor, v: Tensor, omega: Tensor, chunk: int = 256) -> Tensor:
    """Causal, chunk after chunk with a running sum in place of a cumulative one."""
    values = torch.cat([v, torch.ones_like(v[..., :1])], -1)
    phi_q, phi_k = positive(q, omega, (-1,)), positive(k, omega, (-2, -1))
    state, outputs = 0, []
    for a, b, c in zip(*(x.split(chunk, -2) for x in (phi_q, phi_k, values)), strict=True):
        outputs.append((a @ b.mT).tril() @ c + (a @ state if outputs else 0))
        state = state + b.mT @ c
    mixed = torch.cat(outputs, -2)
    return mixed[..., :-1] / mixed[..., -1:]


def lsh_gathered(qk: Tensor, v: Tensor, rotations: Tensor) -> Tensor:
    """Causal hashing with gathers for each line, chunks joined with those before by `cat`, and a log-sum-exp."""
    B, H, n, d = qk.shape
    rounds = rotations.shape[1]
    bucket = hash_buckets(qk, rotations)
    order = (bucket * n + torch.arange(n)).argsort(-1)
    at = order.unflatten(-1, (-1, CHUNK))  # [B, H, rounds, n/chunk, chunk]
    own = bucket.gather(-1, order).unflatten(-1, (-1, CHUNK))

    def sorted_by_bucket(x: Tensor) -> Tensor:
        x = x[:, :, None].expand(B, H, rounds, n, d)
        return x.gather(3, order[..., None].expand(B, H, rounds, n, d)).unflatten(3, (-1, CHUNK))

    def with_before(x: Tensor, fill: float) -> Tensor:
        first = torch.full_like(x[:, :, :, :1], fill)
        return torch.cat([torch.cat([first, x[:, :, :, :-1]], 3), x], 4)

    logits = sorted_by_bucket(qk) @ with_before(sorted_by_bucket(F.normalize(qk, dim=-1)), 0).mT * d**-0.5
    there, then = with_before(own, -1)[..., None, :], with_before(at, -1)[..., None, :]
    logits = torch.where(then == at[..., None], SELF, logits)
    logits = logits.masked_fill((there != own[..., None]) | (then > at[..., None]), -torch.inf)
    z = logits.logsumexp(-1, keepdim=True)
    o = (torch.exp(logits - z) @ with_before(sorted_by_bucket(v), 0)).flatten(3, 4)
    undo = order.argsort(-1)[..., None]
    o, z = o.gather(3, undo.expand_as(o)), z.flatten(3, 4).gather(3, undo)
    return (o * z.softmax(2)).sum(2)


def lsh_by_round(qk: Tensor, v: Tensor, rotations: Tensor) -> Tensor:
    """Causal hashing in the fused kernel, which gives no log-sum-exp: round by round with a second product for it."""
    B, H, n, d = qk.shape
    k, outputs, shares = F.normalize(qk, dim=-1), [], []
    for bucket in hash_buckets(qk, rotations).unbind(2):
        order = (bucket * n + torch.arange(n)).argsort(-1)
        q_, k_, v_ = (x.gather(2, order[..., None].expand(B, H, n, d)).unflatten(2, (-1, CHUNK)) for x in (qk, k, v))
        at, own = (x.unflatten(2, (-1, CHUNK)) for x in (order, bucket.gather(-1, order)))
        k_, v_ = (torch.cat([F.pad(x[:, :, :-1], (0, 0, 0, 0, 1, 0)), x], 3) for x in (k_, v_))
        then, there = (torch.cat([F.pad(x[:, :, :-1], (0, 0, 1, 0), value=-1), x], 3)[..., None, :] for x in (at, own))
        mask = torch.zeros((*at.shape, 2 * CHUNK)).masked_fill(then == at[..., None], SELF)
        mask = mask.masked_fill((there != own[..., None]) | (then > at[..., None]), -torch.inf)
        o = F.scaled_dot_product_attention(q_.flatten(0, 2), k_.flatten(0, 2), v_.flatten(0, 2), mask.flatten(0, 2))
        z = (q_ @ k_.mT * d**-0.5 + mask).logsumexp(-1, keepdim=True)
        undo = order.argsort(-1)[..., None]
        outputs.append(o.view(B, H, n, d).gather(2, undo.expand(B, H, n, d)))
        shares.append(z.flatten(2, 3).gather(2, undo))
    return (torch.stack(outputs) * torch.stack(shares).softmax(0)).sum(0)


def flash_einsum(q: Tensor, k: Tensor, q_far: Tensor, k_far: Tensor, v: Tensor, b: Tensor) -> Tensor:
    """Causal mixed chunk attention, every product an einsum and the mask applied to the pairs."""
    T = v.shape[1]
    q, k, q_far, k_far, v = (x.unflatten(1, (-1, CHUNK)) for x in (q, k, q_far, k_far, v))
    pairs = F.relu(torch.einsum("bgcs,bgks->bgck", q, k) / CHUNK + b).square().tril()
    sums = torch.einsum("bgcs,bgce->bgse", k_far, v) / T
    before = sums.cumsum(1) - sums
    near, far = torch.einsum("bgck,bgke->bgce", pairs, v), torch.einsum("bgcs,bgse->bgce", q_far, before)
    return (near + far).flatten(1, 2)


def flash_cumulative(q: Tensor, k: Tensor, q_far: Tensor, k_far: Tensor, v: Tensor, b: Tensor) -> Tensor:
    """Products as in ours, the sums over earlier chunks by `cumsum`."""
    q, k, q_far, k_far, v = (x.unflatten(1, (-1, CHUNK)) for x in (q, k, q_far, k_far, v))
    sums = k_far.mT @ v / (v.shape[1] * CHUNK)
    pairs = torch.relu(q @ k.mT / CHUNK + b).square().tril()
    return (pairs @ v + q_far @ (sums.cumsum(1) - sums)).flatten(1, 2)


def flash_triangle(q: Tensor, k: Tensor, q_far: Tensor, k_far: Tensor, v: Tensor, b: Tensor) -> Tensor:
    """The sums over earlier chunks as a product with a triangle of ones, n²/C² operations a weight."""
    T = v.shape[1]
    q, k, q_far, k_far, v = (x.unflatten(1, (-1, CHUNK)) for x in (q, k, q_far, k_far, v))
    pairs = (torch.relu(q @ k.mT / CHUNK + b).square()).tril()
    sums = k_far.mT @ v / T
    before = torch.ones(len(sums[0]), len(sums[0])).tril(-1) @ sums.flatten(2)
    return (pairs @ v + q_far @ before.view_as(sums)).flatten(1, 2)


def flash_running(q: Tensor, k: Tensor, q_far: Tensor, k_far: Tensor, v: Tensor, b: Tensor) -> Tensor:
    """Chunk after chunk with a running sum."""
    T, outputs, state = v.shape[1], [], 0
    for a, c, a_far, c_far, w in zip(*(x.split(CHUNK, 1) for x in (q, k, q_far, k_far, v)), strict=True):
        near = torch.relu(a @ c.mT / CHUNK + b).square().tril() @ w
        outputs.append(near + a_far @ state if outputs else near)
        state = state + c_far.mT @ w / T
    return torch.cat(outputs, 1)


def mechanisms() -> dict[str, tuple[Mapping[str, Attention], tuple[Tensor, ...]]]:
    """Return for each mechanism the ways to write it, ours first, and their inputs."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(1, HEADS, N, D) for _ in range(3))
    projections = tuple(torch.randn(PROJECTED, N) * PROJECTED**-0.5 for _ in range(2))
    omega, rotations = torch.randn(FEATURES, D), hash_rotations(ROUNDS_OF_HASHING, D, 2 * N // CHUNK)
    roles = tuple(torch.randn(1, N, S) for _ in range(4))
    bias, ahead = torch.randn(CHUNK, CHUNK), torch.full((CHUNK, CHUNK), -torch.inf).triu(1)
    chunks = {f"chunks of {c}": lambda *x, c=c: causal_performer_attention(*x, chunk=c) for c in (32, 128, 256)}
    return {
        f"Linformer, k = {PROJECTED}": (
            {"ours": linformer_attention, "ours, fused": fused_linformer_attention, "einsum": linformer_einsum,
             "wide products, fused": linformer_wide},
            (q, k, v, *projections),
        ),
        f"Performer, m = {FEATURES}": (
            {"ours": performer_attention, "plain": performer_plain, "column of ones": performer_ones,
             "einsum": performer_einsum},
            (q, k, v, omega),
        ),
        f"Performer, causal, m = {FEATURES}": (
            {"ours": causal_performer_attention, **chunks, "running sum": performer_running},
            (q, k, v, omega),
        ),
        f"Reformer, {ROUNDS_OF_HASHING} hashes, chunks of {CHUNK}": (
            {"ours": lambda qk, v: lsh_attention(qk, v, rotations, chunk=CHUNK, causal=True),
             "gathers": lambda qk, v: lsh_gathered(qk, v, rotations),
             "fused, by round": lambda qk, v: lsh_by_round(qk, v, rotations)},
            (q, v),
        ),
        f"FLASH, chunks of {CHUNK}": (
            {"ours": lambda *x: mixed_chunk_attention(*x[:-1], x[-1] + ahead, causal=True), "einsum": flash_einsum,
             "cumulative sum": flash_cumulative, "triangle of ones": flash_triangle, "running sum": flash_running},
            (*roles, torch.randn(1, N, E), bias),
        ),
    }  # fmt: skip


def call_of(attention: Attention, inputs: tuple[Tensor, ...], backward: bool) -> Callable[[], object]:
    """Return the call that is timed."""
    if not backward:
        return torch.no_grad()(lambda: attention(*inputs))
    leaves = tuple(each.clone().requires_grad_() for each in inputs)
    ones = torch.ones_like(attention(*inputs))
    return lambda: torch.autograd.grad(attention(*leaves), leaves, ones)


def seconds(call: Callable[[], object]) -> float:
    """Return seconds of the processor a call."""
    began, calls = time.process_time(), 0
    while time.process_time() - began < ROUND_S:
        call()
        calls += 1
    return (time.process_time() - began) / calls


def medians(ways: Mapping[str, Attention], inputs: tuple[Tensor, ...], backward: bool) -> dict[str, float]:
    """Return the median time of each way over several turns."""
    calls = {name: call_of(way, inputs, backward) for name, way in ways.items()}
    turns = [{name: seconds(call) for name, call in calls.items()} for _ in range(ROUNDS + 1)][1:]
    return {name: statistics.median(turn[name] for turn in turns) for name in ways}


def main() -> None:
    """Print the ratios."""
    keep_freed_memory()
    torch.set_num_threads(1)
    for name, (ways, inputs) in mechanisms().items():
        expected = next(iter(ways.values()))(*inputs)
        for way in ways.values():
            torch.testing.assert_close(way(*inputs), expected, rtol=1e-3, atol=1e-3)
        for passes, backward in (("forward", False), ("forward and backward", True)):
            times = medians(ways, inputs, backward)
            ours = min(value for way, value in times.items() if way.startswith("ours"))
            others = ", ".join(f"{way} {value * 1e3:.1f} ms" for way, value in times.items())
            print(f"{name}, n = {N}, {passes}: {ours / min(times.values()):.2f} times the best (aim {AIM}); {others}")
    q, k, v = (torch.randn(1, HEADS, N, D) for _ in range(3))
    for passes, backward in (("forward", False), ("forward and backward", True)):
        times = medians({"as written": softmax_attention, "fused": fused_attention}, (q, k, v), backward)
        text = ", ".join(f"{way} {value * 1e3:.1f} ms" for way, value in times.items())
        print(
            f"softmax attention, n = {N}, {passes}: {times['as written'] / times['fused']:.2f} times the fused; {text}"
        )


if __name__ == "__main__":
    main()
