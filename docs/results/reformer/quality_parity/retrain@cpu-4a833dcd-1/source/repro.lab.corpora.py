"""The texts that recipes train on, by name: `load_tokens(source, vocabulary, data)`. See docs/corpora.md."""

import hashlib
import math
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch

from repro.lab import synthetic, text, token_files, tokenizer
from repro.lab.seeding import derived_seed
from repro.lab.text import Corpus
from repro.lab.tokens import Tokens
from repro.schema.dataset import file_sha256
from repro.schema.errors import DataError, nearest

VALIDATION_SHARE = 0.05
"""Of the documents of a text that has no split of its own."""
FINEWEB_BYTES = 2**30
"""Of the first file of FineWeb-Edu's sample, which has three times as many; enough for a large GPU's half hour."""
FINEWEB_VALIDATION_SHARE = 0.01
SYNTHETIC_TOKENS = 2**25
"""Training tokens of `synthetic`; `synthetic:1e9` has more, and begins with the same."""
SYNTHETIC_HELD_OUT = 2**22

INSTALLED: dict[str, Callable[[], tuple[text.Document, ...]]] = {
    "stdlib": text.stdlib_documents,
    "code": text.code_documents,
}
"""Texts that every machine has: Python files of the interpreter, and of the packages beside it."""

FILES = {"books": ("books_train", "books_validation"), "wikitext103": ("wikitext103",), "fineweb_edu": ("fineweb_edu",)}
"""Texts in files: the data sets that a study which trains on one must list."""


def load_tokens(source: str, vocabulary: int, data: Callable[[str], Path]) -> Tokens:
    """Return the tokens of a text, from the mirror or the cache, or made now.

    Args:
        source: `stdlib`, `code`, `books`, `wikitext103`, `fineweb_edu`, `synthetic`, `synthetic:<training tokens>`, or the id
            of a data set that is a text of documents between lines `<|endoftext|>`.
        vocabulary: 256 for bytes, more for byte pairs trained on the text; of `synthetic`, the language's own.
        data: the file of a data set by its id (`Context.data`).

    Raises:
        DataError: if the text, or what it takes to make its tokens, is not there.
    """
    carried = token_files.carried(_name(source, vocabulary))
    if carried is not None:
        return carried
    key, build = _recipe(source, vocabulary, data)
    return token_files.stored(key, build)


def data_sets(source: str) -> tuple[str, ...]:
    """Return the data sets that a study which trains on the text must list; none for what every machine has or makes."""
    made = source in INSTALLED or source.partition(":")[0] == "synthetic"
    return () if made else FILES.get(source, (source,))


def carry_tokens(source: str, vocabulary: int, data: Callable[[str], Path], mirror: Path) -> Path | None:
    """Put the tokens of a text into the directory `mirror`, if another machine would make others or could make none.

    That is, if they come from installed packages, from Parquet, or from a trained tokenizer. There, with REPRO_DATA naming
    the directory, `load_tokens` of the same source and vocabulary returns just these.

    Returns:
        Where they are, or None if nothing had to be carried.
    """
    same_everywhere = source not in INSTALLED and source != "fineweb_edu" and vocabulary <= tokenizer.BYTES
    if same_everywhere or source.partition(":")[0] == "synthetic":
        return None
    key, build = _recipe(source, vocabulary, data)
    token_files.stored(key, build)
    return token_files.carry(key, _name(source, vocabulary), mirror)


def _name(source: str, vocabulary: int) -> str:
    return f"{source} {vocabulary}"


def _recipe(source: str, vocabulary: int, data: Callable[[str], Path]) -> tuple[str, Callable[[], tuple[Tokens, str]]]:
    """Return the key of a text's tokens, which covers the sources that make them, and how to make them."""
    makers = [_file_digest(Path(file)) for file in (__file__, text.__file__, tokenizer.__file__)]
    if source.partition(":")[0] == "synthetic":
        length = _synthetic_length(source)
        if not 2 <= vocabulary <= synthetic.LARGEST:
            raise DataError(
                f"The synthetic language has 2 to {synthetic.LARGEST} tokens; got a vocabulary of {vocabulary}."
            )
        key = token_files.key_of("synthetic", vocabulary, length, makers, _file_digest(Path(synthetic.__file__)))
        return key, lambda: (_synthetic(vocabulary, length), "")
    if vocabulary < tokenizer.BYTES:
        raise DataError(
            f"Text '{source}' has a vocabulary of 256, its bytes, or more, trained pairs; got {vocabulary}."
        )
    if source in INSTALLED:
        key = token_files.key_of(vocabulary, _installed_digest(source), makers)
        return key, lambda: _tokenized(_installed(source), vocabulary)
    paths = _paths(source, data)
    key = token_files.key_of(vocabulary, source, [_file_digest(path) for path in paths], makers)
    return key, lambda: _tokenized(_from_files(source, paths), vocabulary)


def _paths(source: str, data: Callable[[str], Path]) -> list[Path]:
    names = data_sets(source)
    try:
        return [data(name) for name in names]
    except KeyError as error:
        if source in FILES:
            raise DataError(
                f"Text '{source}' needs 'data: [{', '.join(names)}]' in the study; it is not there."
            ) from error
        raise DataError(
            f"There is no text '{source}', and no data set of that name under 'data' of the study."
            f"{nearest(source, [*INSTALLED, *FILES, 'synthetic'])}"
        ) from error


def _from_files(source: str, paths: list[Path]) -> Corpus:
    if source == "books":
        return Corpus(*map(text.separated_documents, paths))
    if source == "wikitext103":
        return Corpus(*(text.wikitext_documents(paths[0], member) for member in ("wiki.train.raw", "wiki.valid.raw")))
    if source == "fineweb_edu":
        return text.split(text.parquet_documents(paths[0], limit=FINEWEB_BYTES), FINEWEB_VALIDATION_SHARE)
    return text.split(text.separated_documents(paths[0]), VALIDATION_SHARE)


def _tokenized(corpus: Corpus, vocabulary: int) -> tuple[Tokens, str]:
    pairs = tokenizer.train_byte_pairs(corpus.train, vocabulary) if vocabulary > tokenizer.BYTES else ""
    train, validation = (torch.from_numpy(tokenizer.encode(side, pairs)) for side in (corpus.train, corpus.validation))
    held_out_bytes = sum(len(document.content) + len(tokenizer.END) for document in corpus.validation)
    digest = hashlib.sha256((corpus.digest + pairs).encode()).hexdigest()
    return Tokens(train, validation, vocabulary, held_out_bytes / len(validation), digest), pairs


def _synthetic(vocabulary: int, length: int) -> Tokens:
    language = synthetic.Language(vocabulary)
    kind = tokenizer.token_type(vocabulary)
    train = synthetic.sample(language, 0, length, derived_seed("synthetic train"), kind)
    validation = synthetic.sample(language, 0, SYNTHETIC_HELD_OUT, derived_seed("synthetic validation"), kind)
    digest = hashlib.sha256(train.data)
    digest.update(validation.data)
    return Tokens(
        torch.from_numpy(train),
        torch.from_numpy(validation),
        vocabulary,
        bytes_per_token=1.0,  # a made-up token is no text; so its loss is that of a byte
        digest=digest.hexdigest(),
        entropy_rate=synthetic.entropy_rate(vocabulary),
    )


def _synthetic_length(source: str) -> int:
    """Return the training tokens that `synthetic` or `synthetic:1e9` has."""
    _, colon, number = source.partition(":")
    try:
        length = float(number) if colon else SYNTHETIC_TOKENS
    except ValueError:
        length = math.nan
    if not 1 <= length < math.inf:
        raise DataError(
            f"'{source}' is no text: write synthetic, or synthetic:1e9 for a thousand million training tokens."
        )
    return int(length)


def _installed(source: str) -> Corpus:
    return text.split(INSTALLED[source](), VALIDATION_SHARE)


@cache
def _installed_digest(source: str) -> str:
    return _installed(source).digest


@cache
def _file_digest(path: Path) -> str:
    return file_sha256(path)
