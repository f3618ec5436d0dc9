"""Tokens on disk: written once, mapped into memory, checked before use, and carried to another machine.

One directory a text: `train.bin` and `validation.bin` (tokens without a header), `tokenizer.json` where one was trained, and
`tokens.json`, which says what they are and what their sha256 must be. What is carried is compressed.
"""

import hashlib
import json
import lzma
import math
import os
import shutil
import sys
import tempfile
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import torch
from filelock import FileLock

from repro.lab.tokens import Tokens
from repro.schema.dataset import cache_dir, file_sha256, mirror_dir
from repro.schema.errors import DataError

FORMAT = 1
"""Raised when the files' layout changes."""
CARRIED = "carried.json"
"""In a mirror: which directory holds the tokens of which text, so that the text itself is not needed."""
FACTS = "tokens.json"
_TYPES = {"uint8": torch.uint8, "int16": torch.int16}
_PRESET = 2  # of xz: higher ones take three times as long for a tenth less


def stored(key: str, build: Callable[[], tuple[Tokens, str]]) -> Tokens:
    """Return the tokens kept under `key`, and build them if they are nowhere yet or damaged.

    Several processes may ask at once: one builds, the others wait for it.

    Args:
        key: digest of everything that decides the tokens.
        build: makes the tokens and the JSON of their tokenizer, empty for none.
    """
    return _kept(key, lambda directory: _write(directory, *build()))


def save(directory: Path, tokens: Tokens, tokenizer: str = "") -> None:
    """Write the tokens to `directory`: it exists complete or not at all. What stood there is replaced."""
    _replace(directory, lambda building: _write(building, tokens, tokenizer))


def load(directory: Path) -> Tokens:
    """Return the tokens of `directory`, mapped into memory, after their digests have been compared once in this process.

    Raises:
        DataError: if they are absent, of another format, or damaged.
    """
    try:
        facts = json.loads((directory / FACTS).read_text(encoding="utf-8"))
        if facts["format"] != FORMAT:
            raise ValueError(f"format {facts['format']}, where this version reads {FORMAT}")
        for name, sha256 in facts["files"].items():
            path = directory / name
            status = path.stat()
            if _digest(path, status.st_size, status.st_mtime_ns) != sha256:
                raise ValueError(f"{name} is damaged: its sha256 must be {sha256}")
        return Tokens(
            train=_mapped(directory / "train.bin", facts["type"]),
            validation=_mapped(directory / "validation.bin", facts["type"]),
            vocabulary=facts["vocabulary"],
            bytes_per_token=facts["bytes_per_token"],
            digest=facts["digest"],
            entropy_rate=math.nan if facts["entropy_rate"] is None else facts["entropy_rate"],
        )
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise DataError(f"{directory} holds no tokens ({error}). Remove it, and they are made again.") from error


def carry(key: str, name: str, mirror: Path) -> Path:
    """Copy the tokens kept under `key` to the directory `mirror`, compressed, and enter them as those of the text `name`.

    A machine whose REPRO_DATA names `mirror` trains on just these tokens, whatever Python, packages and tokenizer it has.
    """
    source, target = cache_dir() / "tokens" / key, mirror / "tokens" / key
    if not (target / FACTS).is_file():
        target.parent.mkdir(parents=True, exist_ok=True)
        _replace(target, lambda building: _compress(source, building))
    index = target.parent / CARRIED
    known = json.loads(index.read_text(encoding="utf-8")) if index.is_file() else {}
    index.write_text(json.dumps({**known, name: key}, indent=1, sort_keys=True) + "\n", encoding="utf-8")
    return target


def carried(name: str) -> Tokens | None:
    """Return the tokens that the mirror holds for the text `name`, if any, unpacked into the cache.

    Raises:
        DataError: if the mirror names some that are absent or damaged.
    """
    mirror = mirror_dir()
    index = mirror / "tokens" / CARRIED if mirror else None
    if mirror is None or index is None or not index.is_file():
        return None
    key = json.loads(index.read_text(encoding="utf-8")).get(name)
    return _kept(key, lambda directory: _unpack(mirror / "tokens" / key, directory)) if key else None


def key_of(*parts: object) -> str:
    """Return the digest of everything that decides some tokens."""
    return hashlib.sha256(json.dumps([FORMAT, *parts], sort_keys=True).encode()).hexdigest()


def _kept(key: str, fill: Callable[[Path], None]) -> Tokens:
    """Return the tokens of the cache's directory `key`; if they are not there, fill it while others wait."""
    directory = cache_dir() / "tokens" / key
    if (directory / FACTS).is_file():
        try:
            return load(directory)
        except DataError:
            pass  # damaged, or just being replaced: looked at again below
    try:
        directory.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(directory.with_suffix(".lock")):
            try:
                return load(directory)
            except DataError:
                if sys.stderr.isatty():
                    print(
                        f"Making token files, once, in {directory.parent}; a large text takes minutes.", file=sys.stderr
                    )
                _replace(directory, fill)
            return load(directory)
    except OSError as error:
        raise DataError(
            f"Token files cannot be written to {directory.parent} ({error.strerror or error}). Make room there, or name "
            f"another directory in the variable REPRO_CACHE."
        ) from error


def _replace(directory: Path, fill: Callable[[Path], None]) -> None:
    """Let `fill` write a new directory and put it in the place of `directory`, on disk before it is seen."""
    for left_over in directory.parent.glob(f".{directory.name}.*"):  # of a writer that was killed
        shutil.rmtree(left_over, ignore_errors=True)
    building = Path(tempfile.mkdtemp(prefix=f".{directory.name}.", dir=directory.parent))
    building.chmod(0o755)
    try:
        fill(building)
        for path in building.iterdir():
            with path.open("rb") as stream:
                os.fsync(stream.fileno())
        shutil.rmtree(directory, ignore_errors=True)
        building.rename(directory)
    finally:
        shutil.rmtree(building, ignore_errors=True)


def _write(directory: Path, tokens: Tokens, tokenizer: str) -> None:
    tokens.train.numpy().tofile(directory / "train.bin")
    tokens.validation.numpy().tofile(directory / "validation.bin")
    if tokenizer:
        (directory / "tokenizer.json").write_text(tokenizer, encoding="utf-8")
    facts = {
        "format": FORMAT,
        "type": str(tokens.train.dtype).removeprefix("torch."),
        "vocabulary": tokens.vocabulary,
        "bytes_per_token": tokens.bytes_per_token,
        "digest": tokens.digest,
        "entropy_rate": None if math.isnan(tokens.entropy_rate) else tokens.entropy_rate,
        "files": {path.name: file_sha256(path) for path in sorted(directory.iterdir())},
    }
    (directory / FACTS).write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")


def _compress(source: Path, directory: Path) -> None:
    for path in sorted(source.iterdir()):
        if path.suffix == ".bin":
            with path.open("rb") as plain, lzma.open(directory / f"{path.name}.xz", "wb", preset=_PRESET) as packed:
                shutil.copyfileobj(plain, packed, 2**20)
        else:
            shutil.copyfile(path, directory / path.name)


def _unpack(source: Path, directory: Path) -> None:
    try:
        for path in sorted(source.iterdir()):
            if path.suffix == ".xz":
                with lzma.open(path) as packed, (directory / path.stem).open("wb") as plain:
                    shutil.copyfileobj(packed, plain, 2**20)
            else:
                shutil.copyfile(path, directory / path.name)
        load(directory)
    except (OSError, EOFError, lzma.LZMAError, DataError) as error:
        raise DataError(f"The tokens carried in {source} are absent or damaged ({error}). Carry them again.") from error


@lru_cache(maxsize=64)
def _digest(path: Path, size: int, changed: int) -> str:
    return file_sha256(path)


def _mapped(path: Path, type_name: str) -> torch.Tensor:
    kind = _TYPES[type_name]
    # A private mapping: nothing that is done to the tensor reaches the file.
    return torch.from_file(str(path), shared=False, size=path.stat().st_size // kind.itemsize, dtype=kind)
