import lzma
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch

from repro.lab import corpora, synthetic
from repro.lab.corpora import carry_tokens, data_sets, load_tokens
from repro.lab.text import Document
from repro.lab.tokenizer import decode
from repro.schema.context import Context
from repro.schema.errors import DataError

pytest.importorskip("tokenizers")

NOTHING = Context().data


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("REPRO_DATA", raising=False)
    monkeypatch.setattr(corpora, "SYNTHETIC_HELD_OUT", 5_000)
    return tmp_path / "cache"


@pytest.fixture
def books(tmp_path: Path) -> Context:
    """A study's files: two sides of a text, as the data sets of `books` are."""
    files = {}
    for side, count in (("train", 60), ("validation", 4)):
        texts = [f"the {side} text {i} of the books — again and again the books" for i in range(count)]
        files[f"books_{side}"] = tmp_path / f"{side}.txt.xz"
        files[f"books_{side}"].write_bytes(lzma.compress("\n<|endoftext|>\n".join(texts).encode()))
    return Context(files=files)


def tokenizer_of(cache: Path) -> str:
    return next((cache / "tokens").glob("*/tokenizer.json")).read_text()


def test_the_standard_library_as_bytes() -> None:
    text = load_tokens("stdlib", 256, NOTHING)
    assert text.train.dtype == torch.uint8
    assert len(text.train) > 5_000_000
    assert 0.02 < len(text.validation) / len(text.train) < 0.1
    assert text.bytes_per_token == 1
    assert b"def loads(" in bytes(text.train.tolist()) + bytes(text.validation.tolist())
    assert np.isnan(text.entropy_rate)


def test_code_is_more_than_the_standard_library(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.lab.text.PACKAGES", ("numpy",))
    corpora._installed_digest.cache_clear()
    code, stdlib = load_tokens("code", 256, NOTHING), load_tokens("stdlib", 256, NOTHING)
    corpora._installed_digest.cache_clear()
    assert len(code.train) > len(stdlib.train) + 1_000_000
    assert code.digest != stdlib.digest


def test_books_keep_their_own_sides(books: Context, own_cache: Path) -> None:
    text = load_tokens("books", 256, books.data)
    assert bytes(text.train.tolist()).count(b"train text") == 60
    assert bytes(text.validation.tolist()).count(b"validation text") == 4
    pairs = load_tokens("books", 270, books.data)
    assert pairs.train.dtype == torch.int16
    assert int(pairs.train.max()) < 270
    assert decode(pairs.validation.tolist(), tokenizer_of(own_cache)) == bytes(text.validation.tolist()).decode()
    assert pairs.bytes_per_token == len(text.validation) / len(pairs.validation) > 1
    assert pairs.digest != text.digest


def test_byte_pairs_are_trained_on_the_training_side_alone(tmp_path: Path, own_cache: Path) -> None:
    files = {name: tmp_path / f"{name}.txt" for name in ("books_train", "books_validation")}
    files["books_train"].write_bytes(b"ab ab ab ab cd cd")
    files["books_validation"].write_bytes(b"qz qz qz qz qz qz qz qz qz qz")
    load_tokens("books", 257, Context(files=files).data)
    assert '"ab"' in tokenizer_of(own_cache)
    assert '"qz"' not in tokenizer_of(own_cache)


def test_other_text_or_vocabulary_has_another_digest_and_a_second_call_reads_the_same(books: Context) -> None:
    first = load_tokens("books", 256, books.data)
    again = load_tokens("books", 256, books.data)
    assert torch.equal(first.train, again.train)
    assert first.digest == again.digest
    other = books.files["books_train"].with_name("other.txt")
    other.write_bytes(b"another text")
    changed = load_tokens("books", 256, Context(files={**books.files, "books_train": other}).data)
    assert bytes(changed.train.tolist()) == b"another text\n"
    assert len({first.digest, changed.digest, load_tokens("books", 265, books.data).digest}) == 3


def test_any_listed_text_file_is_a_source(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("\n<|endoftext|>\n".join(f"document {i}" for i in range(200)))
    text = load_tokens("mine", 256, Context(files={"mine": file}).data)
    assert bytes(text.train.tolist()).count(b"document") + bytes(text.validation.tolist()).count(b"document") == 200
    assert data_sets("mine") == ("mine",)


def test_wikitext_and_fineweb_from_files_of_their_form(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pyarrow, parquet = pytest.importorskip("pyarrow"), pytest.importorskip("pyarrow.parquet")
    wiki, fineweb = tmp_path / "w.zip", tmp_path / "f.parquet"
    with zipfile.ZipFile(wiki, "w") as zipped:
        zipped.writestr("wikitext-103-raw/wiki.train.raw", " \n = A = \n \n training words \n")
        zipped.writestr("wikitext-103-raw/wiki.valid.raw", " \n = B = \n \n held-out words \n")
    parquet.write_table(pyarrow.table({"text": [f"page {i}" for i in range(900)]}), fineweb)
    monkeypatch.setattr(corpora, "FINEWEB_BYTES", 5_000)
    data = Context(files={"wikitext103": wiki, "fineweb_edu": fineweb}).data
    assert b"training words" in bytes(load_tokens("wikitext103", 256, data).train.tolist())
    assert bytes(load_tokens("wikitext103", 256, data).validation.tolist()).startswith(b" = B = \n")
    pages = load_tokens("fineweb_edu", 256, data)
    assert 500 < len(pages.train) < 6_500
    assert 0 < len(pages.validation) < len(pages.train) / 10


def test_the_synthetic_text_is_its_language() -> None:
    text = load_tokens("synthetic:20000", 64, NOTHING)
    assert (len(text.train), len(text.validation), text.train.dtype) == (20_000, 5_000, torch.uint8)
    assert text.entropy_rate == synthetic.entropy_rate(64)
    longer = load_tokens("synthetic:3e4", 64, NOTHING)
    assert torch.equal(longer.train[:20_000], text.train)
    assert torch.equal(longer.validation, text.validation)
    assert not torch.equal(text.train[:5_000], text.validation)
    assert load_tokens("synthetic:2e4", 64, NOTHING).digest == text.digest != longer.digest
    assert load_tokens("synthetic:1000", 300, NOTHING).train.dtype == torch.int16


@pytest.mark.parametrize("source", ["synthetic:many", "synthetic:", "synthetic:-1", "synthetic:nan", "synthetic:inf"])
def test_a_synthetic_text_without_a_length_is_refused(source: str) -> None:
    with pytest.raises(DataError, match=f"'{source}' is no text: write synthetic, or synthetic:1e9"):
        load_tokens(source, 64, NOTHING)


def test_vocabularies_that_cannot_be_are_refused(books: Context) -> None:
    with pytest.raises(DataError, match="'books' has a vocabulary of 256.*got 100"):
        load_tokens("books", 100, books.data)
    with pytest.raises(DataError, match="2 to 4096 tokens; got a vocabulary of 5000"):
        load_tokens("synthetic", 5000, NOTHING)


def test_a_text_that_is_not_there_says_what_to_list() -> None:
    with pytest.raises(DataError, match=r"'books' needs 'data: \[books_train, books_validation\]' in the study"):
        load_tokens("books", 256, NOTHING)
    with pytest.raises(DataError, match="no text 'stdlb'.*Did you mean 'stdlib'"):
        load_tokens("stdlb", 256, NOTHING)


def test_a_text_of_ones_own_that_cannot_be_used_says_why(tmp_path: Path) -> None:
    file = tmp_path / "mine.txt"
    file.write_text("one document alone")
    with pytest.raises(DataError, match="1 documents.*need at least one.*<|endoftext|>"):
        load_tokens("mine", 256, Context(files={"mine": file}).data)
    other = tmp_path / "other.txt"
    other.write_bytes("\n<|endoftext|>\n".join(f"caf\u00e9 {i}" for i in range(200)).encode("latin-1"))
    data = Context(files={"other": other}).data
    assert len(load_tokens("other", 256, data).train) > 1000
    with pytest.raises(DataError, match="is not UTF-8.*vocabulary of 256"):
        load_tokens("other", 260, data)


def test_what_a_study_must_list() -> None:
    assert data_sets("stdlib") == data_sets("code") == data_sets("synthetic") == data_sets("synthetic:1e9") == ()
    assert data_sets("books") == ("books_train", "books_validation")


def test_carried_tokens_need_neither_text_nor_tokenizer(
    books: Context, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    here = load_tokens("books", 270, books.data)
    assert carry_tokens("books", 270, books.data, tmp_path / "bag") is not None
    assert carry_tokens("books", 256, books.data, tmp_path / "bag") is None
    assert carry_tokens("synthetic:1e9", 300, NOTHING, tmp_path / "bag") is None
    monkeypatch.setitem(__import__("sys").modules, "tokenizers", None)
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "elsewhere"))
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "bag"))
    there = load_tokens("books", 270, NOTHING)
    assert torch.equal(there.train, here.train)
    assert torch.equal(there.validation, here.validation)
    assert there.digest == here.digest


def test_the_installed_text_is_carried_because_another_python_has_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def python(version: int) -> Callable[[], tuple[Document, ...]]:
        return lambda: tuple(Document(f"{i}.py", f"version = {version}, {i}".encode()) for i in range(200))

    monkeypatch.setitem(corpora.INSTALLED, "here", python(1))
    here = load_tokens("here", 256, NOTHING)
    carry_tokens("here", 256, NOTHING, tmp_path / "bag")
    monkeypatch.setitem(corpora.INSTALLED, "here", python(2))
    corpora._installed_digest.cache_clear()
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "elsewhere"))
    assert load_tokens("here", 256, NOTHING).digest != here.digest
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "bag"))
    assert load_tokens("here", 256, NOTHING).digest == here.digest
    corpora._installed_digest.cache_clear()
