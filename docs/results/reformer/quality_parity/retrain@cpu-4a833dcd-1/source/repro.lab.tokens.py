"""Batches of a tokenized text: which windows a step trains on, and the windows that are held out."""

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import torch
from torch import Tensor

from repro.lab.seeding import generator


@dataclass(frozen=True)
class Tokens:
    """A text as tokens, split by document."""

    train: Tensor
    """`[T]`, uint8 for bytes and int16 for trained tokens; mapped from a file, so that several processes share it."""
    validation: Tensor
    """`[V]`, alike."""
    vocabulary: int
    bytes_per_token: float
    """Of the held-out text: nats a token divided by this are nats a byte, which compare across tokenizers."""
    digest: str
    """sha256 over the documents and the tokenizer."""
    entropy_rate: float = math.nan
    """Nats a token below which no model can be, where that is known: of the synthetic language alone."""


@dataclass
class Windows:
    """Which windows of a text each step of a run trains on: a pure function of the step, so a run resumes anywhere.

    The text is cut into windows that overlap by the one token that is input here and target there. Every window comes once
    in an epoch, in an order drawn from `seed` and the epoch: no target repeats within an epoch, and none is skipped but the
    last (T − 1) mod context ones, which fill no window. A batch may span two epochs.
    """

    length: int
    """Tokens of the text, T."""
    batch: int
    """Windows in a batch."""
    context: int
    """Tokens in a window, S."""
    seed: int
    """Of the order."""
    _epoch: tuple[int, Tensor] = field(default=(-1, torch.empty(0)), repr=False)

    def __post_init__(self) -> None:
        if self.length <= self.context:
            raise ValueError(
                f"a text of {self.length} tokens holds no window of {self.context} tokens and their successors"
            )

    @property
    def windows(self) -> int:
        """Windows in an epoch."""
        return (self.length - 1) // self.context

    def starts(self, step: int) -> Tensor:
        """Return where the windows of `step`, counted from 0, start: `[batch]` (int64)."""
        first, end = step * self.batch, (step + 1) * self.batch
        parts = [
            self._order(epoch)[max(first - epoch * self.windows, 0) : end - epoch * self.windows]
            for epoch in range(first // self.windows, (end - 1) // self.windows + 1)
        ]
        return torch.cat(parts) * self.context

    def _order(self, epoch: int) -> Tensor:
        if self._epoch[0] != epoch:
            self._epoch = epoch, torch.randperm(self.windows, generator=generator("order", self.seed, epoch))
        return self._epoch[1]


def gather(tokens: Tensor, starts: Tensor, context: int) -> tuple[Tensor, Tensor]:
    """Return inputs and targets, each `[..., context]` (int64), of the windows of `tokens` `[T]` that start at `starts` `[...]`."""
    window = tokens[starts[..., None] + torch.arange(context + 1, device=tokens.device)].long()
    return window[..., :-1], window[..., 1:]


def held_out(tokens: Tensor, *, batch: int, context: int, limit: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield about `limit` targets (or all there are) as inputs and targets `[≤ batch, context]`, always the same ones.

    They come in windows spread evenly over the text, so that a small limit still sees every part of it.
    """
    windows = (len(tokens) - 1) // context
    chosen = min(windows, max(1, limit // context))
    for first in range(0, chosen, batch):
        numbers = torch.arange(first, min(first + batch, chosen), device=tokens.device)
        yield gather(tokens, numbers * windows // chosen * context, context)
