"""A language whose entropy rate is known exactly, so that a fitted irreducible loss E has a true value.

With probability λ the next token is the one that the last two call for, by a fixed random table; otherwise it is drawn
afresh from a Zipf–Mandelbrot law u(r) ∝ (r + q)^−s. There are V² pairs, each a small fact that a model has to keep, and pairs
are as unequally frequent as words are: a model of N weights keeps the most frequent ones, and D tokens show them. So loss
falls about as a power law of either, as in the quantization model of Michaud et al. (arXiv 2303.13506), down to

    H = Σ_c τ(c)·h(c),

where τ(c) is the probability that token c is called for and h(c) = −Σ_x p(x) ln p(x) with p(x) = (1−λ)·u(x) + λ·[x = c].

A sample is a pure function of position and seed: any stretch of an endless text can be had by itself, and it has no seams.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from repro.lab.seeding import derived_seed

LARGEST = 4096
"""Largest vocabulary: the pairs of a larger one fill the memory."""
_HALF = 2**32
"""Probabilities are counts out of 2³², so that a sample is integer arithmetic and the same on every machine."""
_BLOCK = 2**22
"""Tokens made at a time."""
_CHAINS = 512
"""Stretches of a block made side by side."""
_FORGET = 1024
"""Tokens after which the start is forgotten: two fresh draws in a row suffice, and that none occurs has probability below 1e-30."""


@dataclass(frozen=True)
class Language:
    """One language; two of equal settings are the same."""

    vocabulary: int
    """Tokens there are, V."""
    called: float = 0.7
    """Probability λ that the next token is the one called for."""
    exponent: float = 1.5
    """Zipf's exponent s."""
    shift: float = 2.0
    """Mandelbrot's shift q; the larger, the flatter the head."""

    def counts(self) -> NDArray[np.int64]:
        """Return how many of the 2³² equally likely draws give each token, `[V]`, at least one."""
        weights = (np.arange(1, self.vocabulary + 1) + self.shift) ** -self.exponent
        counts: NDArray[np.int64] = np.maximum(1, np.floor(weights / weights.sum() * _HALF)).astype(np.int64)
        counts[0] += _HALF - counts.sum()
        return counts

    @property
    def threshold(self) -> int:
        """How many of the 2³² equally likely draws give the token called for."""
        return round(self.called * _HALF)

    @cache  # noqa: B019  a language is a few numbers
    def table(self) -> NDArray[np.int32]:
        """Return the token that each pair calls for, `[V, V]` by the last token but one and the last; drawn from u."""
        raw = np.random.PCG64(derived_seed("language", self.vocabulary)).random_raw(self.vocabulary**2)
        return _tokens(raw, self.counts()).reshape(self.vocabulary, self.vocabulary)


def entropy_rate(vocabulary: int) -> float:
    """Return the entropy rate of the language of that many tokens, in nats a token: the lowest loss that any model can have."""
    return language_entropy_rate(Language(vocabulary))


@cache
def language_entropy_rate(language: Language) -> float:
    """Return H of the header, in nats a token, from the stationary distribution over pairs.

    That is the limit of passing pairs on from token to token; the last step moves no more than 1e-13 of all probability.
    Milliseconds for 256 tokens, a second for 1,024, a minute for 4,096.
    """
    v = language.vocabulary
    fresh = language.counts() / _HALF * (1 - language.threshold / _HALF)
    called = language.threshold / _HALF
    table = language.table().astype(np.int64)
    successor = (np.arange(v)[None, :] * v + table).ravel()  # the pair (b, c) that (a, b) leads to
    pairs = np.full((v, v), 1 / v**2)
    for _ in range(10_000):
        following = pairs.sum(0)[:, None] * fresh + called * np.bincount(
            successor, weights=pairs.ravel(), minlength=v * v
        ).reshape(v, v)
        change = np.abs(following - pairs).sum()
        pairs = following
        if change < 1e-13:
            break
    tau = np.bincount(table.ravel(), weights=pairs.ravel(), minlength=v)
    return float(tau @ _entropies(fresh, called))


def _entropies(fresh: NDArray[np.float64], called: float) -> NDArray[np.float64]:
    """Return h(c) for every token c that may be called for."""

    def surprise(p: NDArray[np.float64]) -> NDArray[np.float64]:
        logs: NDArray[np.float64] = np.log(p, out=np.zeros_like(p), where=p > 0)
        return -p * logs

    every: NDArray[np.float64] = surprise(fresh)
    entropies: NDArray[np.float64] = every.sum() - every + surprise(fresh + called)
    return entropies


def sample(language: Language, first: int, count: int, seed: int, kind: DTypeLike = np.int32) -> NDArray[Any]:
    """Return the tokens `first` to `first + count` of the endless text of `seed`, in the number format `kind`.

    All randomness is in independent draws, one for each position: a coin and a fresh token. A stretch is made by
    starting _FORGET tokens early, by which time every start has led to the same text.
    """
    text = np.empty(count, kind)
    for start in range(0, count, _BLOCK):
        length = min(_BLOCK, count - start)
        text[start : start + length] = _block(language, first + start, length, seed)
    return text


def _block(language: Language, first: int, count: int, seed: int) -> NDArray[np.int32]:
    length = -(-count // _CHAINS)
    # Position p is draw p + _FORGET of the generator, so that the first stretch can start early as well.
    raw = np.random.PCG64(seed).advance(first).random_raw(_FORGET + _CHAINS * length)
    fresh = _tokens(raw, language.counts())
    called = (raw >> np.uint64(32)) < language.threshold
    stretches = np.arange(_CHAINS) * length
    by_step = stretches + np.arange(_FORGET + length)[:, None]
    fresh, called = fresh[by_step], called[by_step]
    table, v = language.table().ravel(), language.vocabulary
    made = np.empty((length, _CHAINS), np.int32)
    before, last = np.zeros(_CHAINS, np.int32), np.zeros(_CHAINS, np.int32)
    for step in range(_FORGET + length):
        before, last = last, np.where(called[step], table[before * v + last], fresh[step])
        if step >= _FORGET:
            made[step - _FORGET] = last
    return made.T.ravel()[:count]


def _tokens(raw: NDArray[np.uint64], counts: NDArray[np.int64]) -> NDArray[np.int32]:
    """Map the low halves of draws to tokens, each with its count out of 2³²."""
    low = (raw & np.uint64(_HALF - 1)).astype(np.int64)
    return np.searchsorted(counts.cumsum(), low, side="right").astype(np.int32)
