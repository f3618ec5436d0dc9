import json
import multiprocessing
import threading
import time
from pathlib import Path

import pytest
import torch

from repro.lab import token_files
from repro.lab.token_files import carried, carry, key_of, load, save, stored
from repro.lab.tokens import Tokens
from repro.schema.errors import DataError


def tokens(kind: torch.dtype = torch.uint8) -> Tokens:
    return Tokens(torch.arange(200, dtype=kind), torch.arange(20, dtype=kind), 256, 1.5, "ab" * 32, 1.25)


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("REPRO_DATA", raising=False)
    return tmp_path / "cache" / "tokens"


@pytest.mark.parametrize("kind", [torch.uint8, torch.int16])
def test_what_is_written_is_read_back(own_cache: Path, kind: torch.dtype) -> None:
    own_cache.mkdir(parents=True)
    save(own_cache / "x", tokens(kind), '{"a": 1}')
    read = load(own_cache / "x")
    assert torch.equal(read.train, tokens(kind).train)
    assert torch.equal(read.validation, tokens(kind).validation)
    assert read.train.dtype == kind
    assert (read.vocabulary, read.bytes_per_token, read.digest, read.entropy_rate) == (256, 1.5, "ab" * 32, 1.25)
    assert (own_cache / "x/tokenizer.json").read_text() == '{"a": 1}'


def test_tokens_are_built_once_and_then_mapped(own_cache: Path) -> None:
    built = []

    def build() -> tuple[Tokens, str]:
        built.append(1)
        return tokens(), ""

    key = key_of("some", 1)
    first, second = stored(key, build), stored(key, build)
    assert len(built) == 1
    assert torch.equal(first.train, second.train)
    first.train[0] = 77  # a private mapping: nobody else sees it
    assert stored(key, build).train[0] == 0
    assert (own_cache / key / "train.bin").read_bytes() == bytes(range(200))


def test_keys_differ_where_anything_differs() -> None:
    assert len({key_of(), key_of("a"), key_of("a", 1), key_of("a", "1"), key_of(["a", 1])}) == 5


def test_damaged_tokens_are_built_anew(own_cache: Path) -> None:
    stored("k", lambda: (tokens(), ""))
    (own_cache / "k/train.bin").write_bytes(bytes(200))
    with pytest.raises(DataError, match="train.bin is damaged.*sha256 must be"):
        load(own_cache / "k")
    assert torch.equal(stored("k", lambda: (tokens(), "")).train, tokens().train)


@pytest.mark.parametrize("text", ["", "[]", "{", '{"format": 99}'])
def test_a_directory_that_holds_no_tokens_says_so(own_cache: Path, text: str) -> None:
    stored("k", lambda: (tokens(), ""))
    (own_cache / "k/tokens.json").write_text(text)
    with pytest.raises(DataError, match="holds no tokens.*Remove it"):
        load(own_cache / "k")
    assert len(stored("k", lambda: (tokens(), "")).train) == 200


def test_a_build_that_fails_leaves_nothing_and_one_that_was_killed_is_swept_up(own_cache: Path) -> None:
    def fail() -> tuple[Tokens, str]:
        raise RuntimeError("killed")

    with pytest.raises(RuntimeError):
        stored("k", fail)
    assert [path.name for path in own_cache.iterdir() if path.is_dir()] == []
    (own_cache / ".k.half").mkdir()
    (own_cache / ".k.half/train.bin").write_bytes(b"half")
    stored("k", lambda: (tokens(), ""))
    assert [path.name for path in own_cache.iterdir() if path.is_dir()] == ["k"]


def test_a_cache_that_cannot_be_written_names_the_variable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("in the way")
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "file"))
    with pytest.raises(DataError, match="cannot be written to .*REPRO_CACHE"):
        stored("k", lambda: (tokens(), ""))


def test_of_many_threads_one_builds() -> None:
    built, got = [], []

    def build() -> tuple[Tokens, str]:
        built.append(1)
        time.sleep(0.1)
        return tokens(), ""

    threads = [threading.Thread(target=lambda: got.append(stored("k", build))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(built) == 1
    assert all(torch.equal(each.train, tokens().train) for each in got)


def _ask(mark: str) -> int:
    def build() -> tuple[Tokens, str]:
        with open(mark, "a") as file:
            file.write("built\n")
        time.sleep(0.2)
        return tokens(), ""

    return int(stored("k", build).train.long().sum())


@pytest.mark.slow
def test_of_several_processes_one_builds(tmp_path: Path) -> None:
    with multiprocessing.get_context("spawn").Pool(3) as pool:
        sums = pool.map(_ask, [str(tmp_path / "mark")] * 3)
    assert sums == [int(tokens().train.long().sum())] * 3
    assert (tmp_path / "mark").read_text() == "built\n"


def test_carried_tokens_are_used_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stored("k", lambda: (tokens(torch.int16), '{"a": 1}'))
    carry("k", "books 4096", tmp_path / "bag")
    carry("k", "code 4096", tmp_path / "bag")
    assert carried("books 4096") is None
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "bag"))
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "elsewhere"))
    there = carried("books 4096")
    assert there is not None
    assert torch.equal(there.train, tokens(torch.int16).train)
    assert there.digest == tokens().digest
    assert carried("code 4096") is not None
    assert carried("code 512") is None
    assert (tmp_path / "elsewhere/tokens/k/tokenizer.json").read_text() == '{"a": 1}'


@pytest.mark.parametrize("damage", ["cut", "other", "absent"])
def test_carried_tokens_that_were_damaged_are_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
) -> None:
    stored("k", lambda: (tokens(), ""))
    place = carry("k", "books 4096", tmp_path / "bag")
    packed = place / "train.bin.xz"
    if damage == "cut":
        packed.write_bytes(packed.read_bytes()[:-20])
    elif damage == "other":
        facts = json.loads((place / "tokens.json").read_text())
        facts["files"]["train.bin"] = "0" * 64
        (place / "tokens.json").write_text(json.dumps(facts))
    else:
        packed.unlink()
    monkeypatch.setenv("REPRO_DATA", str(tmp_path / "bag"))
    monkeypatch.setenv("REPRO_CACHE", str(tmp_path / "elsewhere"))
    with pytest.raises(DataError, match="carried in .* are absent or damaged"):
        carried("books 4096")


def test_a_digest_is_compared_once_for_a_file_that_does_not_change(monkeypatch: pytest.MonkeyPatch) -> None:
    stored("k", lambda: (tokens(), ""))
    monkeypatch.setattr(token_files, "file_sha256", lambda path: pytest.fail(f"read {path} again"))
    assert len(stored("k", lambda: pytest.fail("built again")).train) == 200
