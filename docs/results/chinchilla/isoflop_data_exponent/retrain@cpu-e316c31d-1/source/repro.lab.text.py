"""Text to train on: documents, a split that keeps each document on one side, and batches of bytes.

Tokens are bytes, so the vocabulary is 256 and no tokenizer has to be trained or fetched.
"""

import hashlib
import lzma
import sysconfig
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import torch

from repro.lab.seeding import generator

VOCABULARY = 256
"""Values of a byte."""

SEPARATOR = "<|endoftext|>"
"""The line that separates documents in a file of many."""

# Tests are fixtures rather than programs, encodings are near-copies of one table, pydoc_data is one generated manual that
# would fill most of whichever side it fell on, and the rest is not the library's own.
_LEFT_OUT = frozenset(
    {"test", "tests", "idle_test", "encodings", "pydoc_data", "site-packages", "dist-packages", "__pycache__"}
)


@dataclass(frozen=True)
class Document:
    """One text with the name that decides its side of the split."""

    name: str
    content: bytes


@dataclass(frozen=True)
class Corpus:
    """Training and validation tokens (`uint8`, one dimension) and the digest of the text they come from."""

    train: torch.Tensor
    validation: torch.Tensor
    digest: str
    """sha256 over the names and contents of all documents, in order."""


def stdlib_documents(root: Path | None = None) -> tuple[Document, ...]:
    """Return the Python files of the running interpreter's own standard library, sorted by path.

    Tests, character tables (`encodings`), the generated manual (`pydoc_data`), installed packages and the build's own
    `_sysconfigdata` are left out. The text is that of the Python version that runs: report `Corpus.digest` with every result.
    """
    root = root or Path(sysconfig.get_paths()["stdlib"])
    documents = []
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        parts = path.relative_to(root).parts
        if _LEFT_OUT.isdisjoint(parts[:-1]) and not parts[-1].startswith("_sysconfigdata"):
            documents.append(Document("/".join(parts), path.read_bytes()))
    return tuple(documents)


def separated_documents(path: Path) -> tuple[Document, ...]:
    """Return the documents of a text file (`.xz` or plain) that are separated by a line `<|endoftext|>`."""
    raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    pieces = raw.split(f"\n{SEPARATOR}\n".encode())
    return tuple(Document(hashlib.sha256(piece).hexdigest(), piece) for piece in pieces if piece.strip())


def split(documents: Sequence[Document], validation_share: float) -> Corpus:
    """Split whole documents: about `validation_share` of them go to validation, chosen by a hash of their names.

    A document's side depends on its name alone, so adding another document moves none.

    Raises:
        ValueError: if a side would be empty.
    """
    held_out = [document for document in documents if _in_unit_interval(document.name) < validation_share]
    kept = [document for document in documents if _in_unit_interval(document.name) >= validation_share]
    if not held_out or not kept:
        raise ValueError(
            f"{len(documents)} documents with a validation share of {validation_share} leave {len(kept)} for training "
            f"and {len(held_out)} for validation; both need at least one."
        )
    digest = hashlib.sha256()
    for document in documents:
        digest.update(f"{document.name}\n{len(document.content)}\n".encode() + document.content)
    return Corpus(_tokens(kept), _tokens(held_out), digest.hexdigest())


@cache
def corpus(path: Path | None = None, validation_share: float = 0.05) -> Corpus:
    """Return the corpus of the file `path`, or of the standard library where it is None; kept for the next trial."""
    return split(separated_documents(path) if path else stdlib_documents(), validation_share)


def training_batches(
    tokens: torch.Tensor, *, batch: int, context: int, seed: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield inputs and targets, both `[batch, context]` (int64), without end.

    The text is cut into windows that overlap by the one token that is input here and target there. Every window comes
    once in an epoch, in an order drawn from `seed` and the epoch, so within an epoch no target repeats and none is
    skipped but the last (T − 1) mod context ones, which fill no window. A batch may span two epochs.

    Args:
        tokens: `[T]`, on the device that the batches shall be on.
        batch: windows in a batch.
        context: tokens in a window, S.
        seed: of the order.

    Raises:
        ValueError: if the text is shorter than one window.
    """
    windows = (len(tokens) - 1) // context
    if windows < 1:
        raise ValueError(f"a text of {len(tokens)} tokens holds no window of {context} tokens and their successors")
    within = torch.arange(context + 1, device=tokens.device)
    waiting = torch.empty(0, dtype=torch.int64)
    epoch = 0
    while True:
        while len(waiting) < batch:
            order = torch.randperm(windows, generator=generator("order", seed, epoch))
            waiting, epoch = torch.cat([waiting, order]), epoch + 1
        starts, waiting = waiting[:batch].to(tokens.device) * context, waiting[batch:]
        window = tokens[starts[:, None] + within].long()
        yield window[:, :-1], window[:, 1:]


def validation_batches(
    tokens: torch.Tensor, *, batch: int, context: int, limit: int
) -> Iterator[tuple[torch.Tensor, torch.Tensor]]:
    """Yield about `limit` targets (or all there are), in batches shaped as above, each once and always the same ones.

    They come in windows spread evenly over the text, so that a small limit still sees every part of it.
    """
    windows = (len(tokens) - 1) // context
    chosen = min(windows, max(1, limit // context))
    within = torch.arange(context + 1, device=tokens.device)
    for first in range(0, chosen, batch):
        numbers = torch.arange(first, min(first + batch, chosen), device=tokens.device)
        starts = numbers * windows // chosen * context
        window = tokens[starts[:, None] + within].long()
        yield window[:, :-1], window[:, 1:]


def _in_unit_interval(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64


def _tokens(documents: Sequence[Document]) -> torch.Tensor:
    joined = bytearray(b"\n".join(document.content for document in documents))
    return torch.frombuffer(joined, dtype=torch.uint8)
