"""Text to tokens and back: bytes as they are, or byte pairs trained on the text itself (Sennrich et al., arXiv 1508.07909).

A vocabulary of 256 is the bytes. A larger one is trained by the `tokenizers` library, on bytes and with the pieces of GPT-2
(Radford et al., 2019, section 2.2), so that every text has tokens and they give back its very bytes.
"""

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

from repro.lab.text import Document
from repro.schema.errors import DataError

BYTES = 256
"""Vocabulary of plain bytes."""
LARGEST = 2**15
"""Largest vocabulary, so that a token is two bytes."""
TRAINING_BYTES = 2**25
"""Byte pairs are trained on about so much of the training side."""
END = b"\n"
"""Follows every document."""
_BATCH_BYTES = 2**22


def token_type(vocabulary: int) -> DTypeLike:
    """Return the number format of a token: one byte if that suffices, else two."""
    return np.uint8 if vocabulary <= BYTES else np.int16


def train_byte_pairs(documents: Sequence[Document], vocabulary: int) -> str:
    """Return a byte-pair tokenizer of exactly `vocabulary` tokens as JSON: the 256 bytes and the merges.

    It is trained on whole documents in the order of a hash of their names, until there are TRAINING_BYTES of them, and
    equal documents give equal JSON.

    Raises:
        DataError: without the `tokenizers` library, or if the text is not UTF-8 or too small for so many tokens.
    """
    if not BYTES < vocabulary <= LARGEST:
        raise DataError(
            f"A trained vocabulary has {BYTES + 1} to {LARGEST} tokens, {BYTES} being the bytes; got {vocabulary}."
        )
    library = _library()
    tokenizer = library.Tokenizer(library.models.BPE())
    tokenizer.pre_tokenizer = library.pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = library.decoders.ByteLevel()
    trainer = library.trainers.BpeTrainer(
        vocab_size=vocabulary,
        initial_alphabet=sorted(library.pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    tokenizer.train_from_iterator((_decoded(document) for document in _some(documents)), trainer=trainer)
    if tokenizer.get_vocab_size() != vocabulary:
        raise DataError(
            f"{sum(len(document.content) for document in documents)} bytes of text give byte pairs for "
            f"{tokenizer.get_vocab_size()} tokens, not {vocabulary}; ask for a smaller vocabulary or take a larger text."
        )
    return str(tokenizer.to_str())


def encode(documents: Sequence[Document], tokenizer: str = "") -> NDArray[Any]:
    """Return the documents as tokens, one after another and each followed by a line's end, `[T]`.

    Args:
        documents: of UTF-8 text, if there is a tokenizer.
        tokenizer: the JSON of `train_byte_pairs`, or empty for bytes.
    """
    if not tokenizer:
        joined = bytearray()
        for document in documents:
            joined += document.content + END
        return np.frombuffer(joined, np.uint8)
    trained = _library().Tokenizer.from_str(tokenizer)
    pieces = [
        np.array(encoding.ids, np.int16)
        for batch in _batches(documents)
        for encoding in trained.encode_batch_fast(batch, add_special_tokens=False)
    ]
    return np.concatenate(pieces)


def decode(tokens: Sequence[int], tokenizer: str = "") -> str:
    """Return the text of some tokens; bytes that are no UTF-8 become �."""
    if not tokenizer:
        return bytes(tokens).decode(errors="replace")
    return str(_library().Tokenizer.from_str(tokenizer).decode(list(tokens), skip_special_tokens=False))


def _library() -> Any:
    try:
        import tokenizers
    except ModuleNotFoundError as error:
        raise DataError(
            "A vocabulary above 256 is trained by the library 'tokenizers', which is not installed here. Install it, carry the "
            "finished token files along (repro plan ... --data DIR), or take a vocabulary of 256, the bytes."
        ) from error
    return tokenizers


def _decoded(document: Document) -> str:
    try:
        return document.content.decode()
    except UnicodeDecodeError as error:
        raise DataError(
            f"Document {document.name[:60]} is not UTF-8 ({error.reason} at byte {error.start}), which a trained vocabulary "
            f"needs. Convert the text, or take a vocabulary of 256, the bytes."
        ) from error


def _some(documents: Sequence[Document]) -> Iterator[Document]:
    total = 0
    for document in sorted(documents, key=lambda each: hashlib.sha256(each.name.encode()).digest()):
        if total >= TRAINING_BYTES:
            return
        total += len(document.content)
        yield document


def _batches(documents: Sequence[Document]) -> Iterator[list[str]]:
    """Yield the texts in batches, because an encoding takes a hundred times the memory of its text."""
    batch: list[str] = []
    size = 0
    for document in documents:
        batch.append(_decoded(document) + END.decode())
        size += len(document.content)
        if size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch
