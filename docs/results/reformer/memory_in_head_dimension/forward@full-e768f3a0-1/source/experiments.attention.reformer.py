"""Reformer's attention by locality-sensitive hashing. A mechanism, no recipe: others of this folder import it.

Paper: Kitaev et al., "Reformer: The Efficient Transformer", arXiv 2001.04451, section 2. Queries are keys, up to their length;
tokens are hashed by angle, sorted by bucket, cut into chunks, and attend within their own bucket in their own chunk and the one
before. Several rounds of hashing are combined by their shares of the softmax.

What makes it fast in plain torch: all rounds of all sequences are sorted at once by one integer key; as the sort is stable, order
within a bucket is order in time, so causality and the token itself are a fixed pattern of the window and only the bucket has to
be compared; the window onto the chunk before is a view, not a copy; and the log-sum-exp comes from the largest probability.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from repro.lab.transformer import TransformerShape

SELF = -1e5
"""Logit of a token with itself: it counts only where there is nothing else (section 2, causal masking)."""

ONE_FACTOR = 128
"""With more buckets than this, a bucket is a pair of two smaller hashes, or hashing itself would cost O(n²) (n · 2n/chunk)."""


def hash_rotations(
    hashes: int, d: int, buckets: int, generator: torch.Generator | None = None, device: torch.device | None = None
) -> Tensor:
    """Draw the random rotations R of all rounds, normal entries.

    Returns:
        `[1, hashes, d, buckets/2]`; beyond 128 buckets `[2, hashes, d, √buckets/2]`, whose two hashes make a pair (the
        number of buckets is then rounded up to the square of an even number).

    Raises:
        ValueError: if there are not at least one round and an even number of buckets.
    """
    if hashes < 1 or buckets < 2 or buckets % 2:
        raise ValueError(f"hashing needs at least one round and an even number of buckets; got {hashes} and {buckets}")
    factors = 1 if buckets <= ONE_FACTOR else 2
    half = buckets // 2 if factors == 1 else math.ceil(math.sqrt(buckets) / 2)
    device = generator.device if generator is not None else device
    return torch.randn(factors, hashes, d, half, generator=generator, device=device)


def hash_buckets(qk: Tensor, rotations: Tensor) -> Tensor:
    """Return h(x) = argmax([xR; −xR]) (section 2, after Andoni et al., 2015), `[B, H, hashes, n]`, of qk `[B, H, n, d]`.

    The largest of xR and −xR is the largest |xR|, with its sign. Two factors `[2, …]` make one number of two digits.
    """
    factors, hashes, d, half = rotations.shape
    B, H, n, _ = qk.shape
    xR = qk.reshape(-1, d) @ rotations.permute(2, 0, 1, 3).reshape(d, -1)
    xR = xR.view(B, H, n, factors, hashes, half)
    largest = xR.abs().argmax(dim=-1, keepdim=True)
    digits = (largest + half * (xR.gather(-1, largest) < 0)).squeeze(-1)  # [B, H, n, factors, hashes]
    bucket = digits[..., 0, :] if factors == 1 else digits[..., 0, :] * (2 * half) + digits[..., 1, :]
    return bucket.transpose(2, 3).contiguous()


def lsh_attention(qk: Tensor, v: Tensor, rotations: Tensor, *, chunk: int, causal: bool) -> Tensor:
    """Attend within buckets and chunks, equations 4 to 7; all rounds at once.

    Args:
        qk: shared queries and keys `[B, H, n, d]`; as keys they are scaled to length 1.
        v: values `[B, H, n, d]`.
        rotations: of `hash_rotations`, the same for all heads and sequences.
        chunk: tokens in a chunk of the sorted sequence, m; the paper's is 2n / buckets, twice the average bucket.
        causal: whether a token attends only to those before it.

    Returns:
        `[B, H, n, d]`. A pair that meets in several rounds counts in each (the paper's appendix divides by their number).

    Raises:
        ValueError: if n is no multiple of `chunk`.
    """
    B, H, n, d = qk.shape
    if n % chunk:
        raise ValueError(f"the length must be a multiple of the chunk, and {n} is none of {chunk}")
    rounds = rotations.shape[1]
    lines = B * H * rounds
    with torch.no_grad():
        line = torch.arange(lines, device=qk.device)[:, None]
        bucket = hash_buckets(qk, rotations).view(lines, n)
        # One key sorts all lines: those of a line stay together, and within a bucket the order stays that in time.
        key, order = (bucket + line * (bucket.max() + 1)).flatten().sort(stable=True)
        position = torch.arange(lines * n, device=qk.device)
        undo = torch.empty_like(order).index_copy_(0, order, position)
        source = (order.view(lines, n) % n + line // rounds * n).flatten()  # rows of qk and v
        mask = window_mask(key.int().view(-1, chunk), causal, qk.dtype)

    q = (qk * d**-0.5).reshape(-1, d).index_select(0, source).view(-1, chunk, d)
    k = windows(F.normalize(qk, dim=-1), source, chunk)
    logits = torch.baddbmm(mask, q, k.transpose(1, 2))  # [lines · n/chunk, chunk, 2 · chunk]
    p = logits.softmax(dim=-1)
    wide = torch.promote_types(p.dtype, torch.float32)
    z = logits.amax(dim=-1).to(wide) - p.amax(dim=-1).to(wide).log()  # log-sum-exp, since p = exp(logit − z)
    o = torch.bmm(p, windows(v, source, chunk)).view(-1, d)

    o = o.index_select(0, undo).view(B, H, rounds, n, d)
    share = z.flatten().index_select(0, undo).view(B, H, rounds, n).softmax(dim=2).to(o.dtype)
    return torch.einsum("bhrnd,bhrn->bhnd", o, share)  # equation 7: Σ exp(z_r − z) o_r


def windows(x: Tensor, source: Tensor, chunk: int) -> Tensor:
    """Return x `[B, H, n, d]` in the order of `source`, each chunk behind the one before it: `[chunks, 2 · chunk, d]`, a view."""
    d = x.shape[-1]
    ordered = F.pad(x.reshape(-1, d).index_select(0, source), (0, 0, chunk, 0))  # zeros before the first
    return ordered.as_strided((len(source) // chunk, 2 * chunk, d), (chunk * d, d, 1))


def window_mask(key: Tensor, causal: bool, dtype: torch.dtype) -> Tensor:
    """Return what is added to the logits, `[chunks, chunk, 2 · chunk]`: 0, `SELF`, or −∞ outside the own bucket.

    Args:
        key: line and bucket of the sorted tokens in one number, `[chunks, chunk]`.
        causal: whether what comes later is masked too.
        dtype: of the logits.
    """
    chunk = key.shape[1]
    i = torch.arange(chunk, device=key.device)[:, None]
    j = torch.arange(-chunk, chunk, device=key.device)
    pattern = torch.zeros(chunk, 2 * chunk, device=key.device, dtype=dtype).masked_fill(i == j, SELF)
    if causal:
        pattern = pattern.masked_fill(j > i, -math.inf)
    behind = torch.cat([F.pad(key[:-1], (0, 0, 1, 0), value=-1), key], dim=1)
    return torch.where(key[:, :, None] == behind[:, None, :], pattern, -math.inf)


def shared_qk_attention(qk: Tensor, v: Tensor, *, causal: bool) -> Tensor:
    """What hashing approximates: every token attends to all others, keys and self as in `lsh_attention`. `[B, H, n, d]`."""
    n = qk.shape[-2]
    mask = torch.zeros(n, n, device=qk.device, dtype=qk.dtype).fill_diagonal_(SELF)
    if causal:
        mask = mask.masked_fill(torch.ones_like(mask, dtype=torch.bool).triu(1), -math.inf)
    return F.scaled_dot_product_attention(qk, F.normalize(qk, dim=-1), v, attn_mask=mask)


class LSHAttention(nn.Module):
    """Multi-head attention with shared queries and keys, by hashing or in full; for `repro.lab.transformer.Transformer`.

    `hashes` may be changed between calls, as in Table 2; with 0 all pairs attend. Rotations are drawn anew in each call, from
    torch's global generator.
    """

    def __init__(self, shape: TransformerShape, *, hashes: int, chunk: int, buckets: int = 0) -> None:
        """Take the sizes of `shape`.

        Args:
            shape: of the model.
            hashes: rounds of hashing; 0 is full attention.
            chunk: tokens in a chunk.
            buckets: their number; 0 stands for 2n / chunk, the paper's.
        """
        super().__init__()
        inner = shape.n_head * shape.head_width
        self.n_head, self.causal = shape.n_head, shape.causal
        self.hashes, self.chunk, self.buckets = hashes, chunk, buckets
        self.query_value = nn.Linear(shape.d_model, 2 * inner, bias=False)
        self.output = nn.Linear(inner, shape.d_model, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Mix `x` `[B, n, d_model]` into the same shape."""
        qk, v = self.query_value(x).unflatten(-1, (2, self.n_head, -1)).permute(2, 0, 3, 1, 4)  # [B, H, n, d]
        if self.hashes:
            buckets = self.buckets or max(2, 2 * x.shape[1] // self.chunk)
            rotations = hash_rotations(self.hashes, qk.shape[-1], buckets, device=x.device).to(qk.dtype)
            mixed = lsh_attention(qk, v, rotations, chunk=self.chunk, causal=self.causal)
        else:
            mixed = shared_qk_attention(qk, v, causal=self.causal)
        return self.output(mixed.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]
