import lzma
import zipfile
from pathlib import Path

import pytest

from repro.lab.text import (
    Corpus,
    Document,
    code_documents,
    parquet_documents,
    python_documents,
    separated_documents,
    split,
    stdlib_documents,
    wikitext_documents,
)
from repro.schema.errors import DataError


def test_python_files_without_tests_tables_other_packages_and_what_is_no_text(tmp_path: Path) -> None:
    for name in (
        "b.py",
        "a/x.py",
        "a/data.txt",
        "a/tests/t.py",
        "test/t.py",
        "encodings/cp.py",
        "site-packages/p.py",
        "_sysconfigdata_x.py",
        "pydoc_data/topics.py",
    ):
        (tmp_path / name).parent.mkdir(exist_ok=True, parents=True)
        (tmp_path / name).write_text(name)
    (tmp_path / "latin.py").write_bytes("# -*- coding: latin-1 -*- ü".encode("latin-1"))
    assert python_documents(tmp_path) == (Document("a/x.py", b"a/x.py"), Document("b.py", b"b.py"))
    assert [document.name for document in python_documents(tmp_path, "p/")] == ["p/a/x.py", "p/b.py"]


def test_the_running_python_carries_enough_text_and_reads_the_same_twice() -> None:
    documents = stdlib_documents()
    names = [document.name for document in documents]
    assert {"json/decoder.py", "argparse.py"} <= set(names)
    assert names == sorted(names)
    assert sum(len(document.content) for document in documents) > 5_000_000
    assert split(documents, 0.05).digest == split(stdlib_documents(), 0.05).digest


def test_code_is_the_standard_library_and_the_packages_that_are_there(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.lab.text.PACKAGES", ("numpy", "no_such_package"))
    documents = code_documents()
    assert documents[: len(stdlib_documents())] == stdlib_documents()
    names = {document.name for document in documents}
    assert "numpy/__init__.py" in names
    assert not any(name.startswith("no_such_package") for name in names)
    assert len(names) == len(documents)


@pytest.mark.parametrize("compressed", [False, True])
def test_documents_are_cut_at_the_separator(tmp_path: Path, compressed: bool) -> None:
    text = b"one\ntwo\n<|endoftext|>\nthree <|endoftext|> still three\n<|endoftext|>\n\n"
    file = tmp_path / ("t.txt.xz" if compressed else "t.txt")
    file.write_bytes(lzma.compress(text) if compressed else text)
    assert [d.content for d in separated_documents(file)] == [b"one\ntwo", b"three <|endoftext|> still three"]


LINES = ("", "= First article =", "", "Some words .", "", "= = Section = =", "", "a = b = c", "= not a heading =", "")
WIKI = "".join(f" {line} \n" for line in (*LINES, "= Second =", "", "More words ."))


def test_articles_of_wikitext_start_at_headings_of_the_first_level(tmp_path: Path) -> None:
    archive = tmp_path / "wikitext.zip"
    with zipfile.ZipFile(archive, "w") as zipped:
        zipped.writestr("wikitext-103-raw/wiki.train.raw", WIKI)
        zipped.writestr("wikitext-103-raw/wiki.valid.raw", WIKI.replace("First", "Third"))
    first, second = wikitext_documents(archive, "wiki.train.raw")
    assert first.content.startswith(b" = First article = \n")
    assert first.content.endswith(b" = not a heading = \n  \n")
    assert second.content == b" = Second = \n  \n More words . \n"
    assert (first.content + second.content).decode() == WIKI.split("\n", 1)[1]
    assert b"Third" in wikitext_documents(archive, "wiki.valid.raw")[0].content
    with pytest.raises(DataError, match=r"holds no file that ends in wiki.test.raw"):
        wikitext_documents(archive, "wiki.test.raw")


def test_a_column_of_a_parquet_file_up_to_a_limit(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    file = tmp_path / "t.parquet"
    texts = ["one", "zwei ü", "", None, "three", "four"]
    parquet.write_table(pyarrow.table({"id": list(range(6)), "text": texts}), file)
    assert [d.content.decode() for d in parquet_documents(file)] == ["one", "zwei ü", "three", "four"]
    assert [d.content.decode() for d in parquet_documents(file, limit=11)] == ["one", "zwei ü", "three"]


def documents(count: int) -> tuple[Document, ...]:
    return tuple(Document(f"d{i}", f"<text of {i}>".encode()) for i in range(count))


def test_a_document_is_on_one_side_whole_and_stays_there() -> None:
    small, large = split(documents(60), 0.2), split(documents(200), 0.2)
    assert sorted((*small.train, *small.validation), key=lambda d: d.name) == sorted(
        documents(60), key=lambda d: d.name
    )
    assert set(small.train) <= set(large.train)
    assert set(small.validation) <= set(large.validation)
    # Binomial(200, 0.2) has a standard deviation of 5.7.
    assert 20 <= len(large.validation) <= 60


def test_no_text_is_on_both_sides_or_twice_on_one() -> None:
    copies = tuple(Document(f"copy{i}", document.content) for i, document in enumerate(documents(60)))
    assert split(documents(60) + copies, 0.2) == split(documents(60), 0.2)


def test_the_digest_sees_contents_names_order_and_sides() -> None:
    first = documents(50)
    changed = (*first[:-1], Document("d49", b"<other>"))
    renamed = (*first[:-1], Document("d49b", first[-1].content))
    corpora = [Corpus(texts[5:], texts[:5]) for texts in (first, changed, renamed, first[::-1], documents(51))]
    corpora.append(Corpus(first[6:], first[:6]))
    assert len({corpus.digest for corpus in corpora}) == 6
    assert Corpus(first[5:], first[:5]).digest == corpora[0].digest


def test_an_empty_side_is_refused() -> None:
    with pytest.raises(DataError, match="leave 3 for training and 0 for validation"):
        split(documents(3), 0.0)
