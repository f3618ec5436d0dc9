"""Documents to train on, and a split that keeps each of them on one side."""

import hashlib
import lzma
import sysconfig
import zipfile
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path

from repro.schema.errors import DataError

SEPARATOR = "<|endoftext|>"
"""The line that separates documents in a file of many."""

PACKAGES = ("torch", "numpy", "scipy", "pandas", "sympy")
"""Packages whose Python files are `code`, as far as they are installed; whoever can run a recipe has most of them."""

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
    """Documents to train on and documents held out."""

    train: tuple[Document, ...]
    validation: tuple[Document, ...]

    @property
    def digest(self) -> str:
        """sha256 over the names and contents of both sides, in order."""
        digest = hashlib.sha256()
        for side, documents in (("train", self.train), ("validation", self.validation)):
            digest.update(f"{side} {len(documents)}\n".encode())
            for document in documents:
                digest.update(f"{document.name}\n{len(document.content)}\n".encode() + document.content)
        return digest.hexdigest()


def python_documents(root: Path, prefix: str = "") -> tuple[Document, ...]:
    """Return the Python files below `root`, sorted by path, without tests, generated tables and what is not UTF-8."""
    documents = []
    for path in sorted(root.rglob("*.py"), key=lambda path: path.relative_to(root).as_posix()):
        parts = path.relative_to(root).parts
        if _LEFT_OUT.isdisjoint(parts[:-1]) and not parts[-1].startswith("_sysconfigdata"):
            content = path.read_bytes()
            if _is_text(content):
                documents.append(Document(prefix + "/".join(parts), content))
    return tuple(documents)


def stdlib_documents(root: Path | None = None) -> tuple[Document, ...]:
    """Return the Python files of the running interpreter's own standard library.

    The text is that of the Python version that runs: report `Corpus.digest` with every result.
    """
    return python_documents(root or Path(sysconfig.get_paths()["stdlib"]))


def code_documents() -> tuple[Document, ...]:
    """Return the standard library and the Python files of the installed PACKAGES; `Corpus.digest` tells versions apart."""
    documents = list(stdlib_documents())
    for package in PACKAGES:
        spec = find_spec(package)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            documents.extend(python_documents(Path(place), f"{package}/"))
    return tuple(documents)


def separated_documents(path: Path) -> tuple[Document, ...]:
    """Return the documents of a text file (`.xz` or plain) that are separated by a line `<|endoftext|>`."""
    raw = lzma.decompress(path.read_bytes()) if path.suffix == ".xz" else path.read_bytes()
    return _unnamed(raw.split(f"\n{SEPARATOR}\n".encode()))


def wikitext_documents(archive: Path, member: str) -> tuple[Document, ...]:
    """Return the articles of one side of WikiText, the file of the zip `archive` whose name ends in `member`.

    An article starts at a line ` = Title = `; headings below it have more signs of equality.

    Raises:
        DataError: if the archive has no such file.
    """
    with zipfile.ZipFile(archive) as zipped:
        names = [name for name in zipped.namelist() if name.endswith(member)]
        if not names:
            raise DataError(f"{archive.name} holds no file that ends in {member}; it holds {zipped.namelist()[:5]}")
        lines = zipped.read(names[0]).splitlines(keepends=True)
    articles: list[list[bytes]] = [[]]
    for number, line in enumerate(lines):
        heading = line.startswith(b" = ") and line.rstrip().endswith(b" =") and not line.startswith(b" = = ")
        # A heading stands between blank lines; a line of a formula may look like one.
        if (
            heading
            and (number == 0 or not lines[number - 1].strip())
            and not b"".join(lines[number + 1 : number + 2]).strip()
        ):
            articles.append([])
        articles[-1].append(line)
    return _unnamed([b"".join(article) for article in articles])


def parquet_documents(path: Path, column: str = "text", limit: int = 2**62) -> tuple[Document, ...]:
    """Return the texts of one column of a Parquet file, from the start until there are `limit` bytes.

    Raises:
        ModuleNotFoundError: without pyarrow, which MLflow brings.
    """
    parquet = import_module("pyarrow.parquet")
    pieces: list[bytes] = []
    size = 0
    for batch in parquet.ParquetFile(path).iter_batches(columns=[column], batch_size=1024):
        for text in batch.column(0).to_pylist():
            if size >= limit:
                return _unnamed(pieces)
            pieces.append((text or "").encode())
            size += len(pieces[-1])
    return _unnamed(pieces)


def split(documents: Sequence[Document], validation_share: float) -> Corpus:
    """Split whole documents: about `validation_share` of them go to validation, chosen by a hash of their names.

    A document's side depends on its name alone, so adding another document moves none. Of documents with equal content
    the first counts, so that no text is on both sides.

    Raises:
        DataError: if a side would be empty.
    """
    distinct = {document.content: document for document in reversed(documents)}
    ordered = [document for document in documents if distinct[document.content] is document]
    held_out = tuple(document for document in ordered if _in_unit_interval(document.name) < validation_share)
    kept = tuple(document for document in ordered if _in_unit_interval(document.name) >= validation_share)
    if not held_out or not kept:
        raise DataError(
            f"{len(ordered)} documents with a validation share of {validation_share} leave {len(kept)} for training "
            f"and {len(held_out)} for validation; both need at least one. In a file a line {SEPARATOR} separates documents."
        )
    return Corpus(kept, held_out)


def _unnamed(pieces: Iterable[bytes]) -> tuple[Document, ...]:
    """Name documents by the sha256 of their content."""
    return tuple(Document(hashlib.sha256(piece).hexdigest(), piece) for piece in pieces if piece.strip())


def _is_text(content: bytes) -> bool:
    try:
        content.decode()
    except UnicodeDecodeError:
        return False
    return True


def _in_unit_interval(name: str) -> float:
    return int.from_bytes(hashlib.sha256(name.encode()).digest()[:8], "big") / 2**64
