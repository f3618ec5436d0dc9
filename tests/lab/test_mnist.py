import gzip
import lzma
import struct
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from repro.lab.mnist import DATA, load_mnist, read_idx
from repro.schema.context import Context
from repro.schema.errors import DataError


def idx(values: bytes, *shape: int) -> bytes:
    return struct.pack(f">HBB{len(shape)}I", 0, 8, len(shape), *shape) + values


@pytest.mark.parametrize("compress", [bytes, gzip.compress, lzma.compress])
def test_an_array_is_read_from_every_packing(tmp_path: Path, compress: Callable[[bytes], bytes]) -> None:
    file = tmp_path / "array"
    file.write_bytes(compress(idx(bytes([0, 1, 2, 253, 254, 255]), 3, 1, 2)))
    assert read_idx(file).tolist() == [[[0, 1]], [[2, 253]], [[254, 255]]]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "begins with nothing"),
        (b"\x89PNG 123", "begins with 89 50 4e"),
        (struct.pack(">HBBI", 0, 0x0D, 1, 1) + b"1234", "begins with 00 00 0d"),
        (idx(b"12345", 3, 2), r"\[3, 2\], 6 bytes; it holds 5"),
        (idx(b"1234567", 3, 2), "it holds 7"),
        (idx(b"", 3, 2)[:6], "it holds 0"),
        (gzip.compress(b"123456789", mtime=0)[:-4], "cannot be read as an idx file"),
        (lzma.compress(b"123456789")[:-9], "cannot be read as an idx file"),
    ],
    ids=["empty", "a picture", "floats", "too short", "too long", "half a header", "cut gzip", "cut xz"],
)
def test_a_damaged_file_is_refused(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "array"
    file.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_idx(file)


def test_an_absent_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="cannot be read"):
        read_idx(tmp_path / "nowhere")


def files(place: Path, n: int = 3, labels: bytes = b"\x00\x09\x05", side: int = 28) -> dict[str, Path]:
    contents = [idx(bytes(i % 256 for i in range(n * side * 28)), n, side, 28), idx(labels, len(labels))] * 2
    paths = {name: place / name for name in DATA}
    for path, content in zip(paths.values(), contents, strict=True):
        path.write_bytes(lzma.compress(content))
    return paths


def test_images_and_labels(tmp_path: Path) -> None:
    train, test = load_mnist(Context(files=files(tmp_path)).data)
    assert train.images.shape == (3, 28, 28)
    assert train.images.dtype == torch.uint8
    assert train.images[0, 9, 4] == (9 * 28 + 4) % 256
    assert test.labels.tolist() == [0, 9, 5]
    assert test.labels.dtype == torch.int64


def test_files_that_do_not_belong_together_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"images \[N, 28, 28\] and labels \[N\]"):
        load_mnist(Context(files=files(tmp_path, labels=b"\x01\x02")).data)
    with pytest.raises(DataError, match=r"holds \[3, 27, 28\]"):
        load_mnist(Context(files=files(tmp_path, side=27)).data)
    with pytest.raises(DataError, match="holds 10"):
        load_mnist(Context(files=files(tmp_path, labels=b"\x01\x02\x0a")).data)


def test_a_study_without_the_files_is_told_which(tmp_path: Path) -> None:
    few = {name: path for name, path in files(tmp_path).items() if name != "mnist_test_labels"}
    with pytest.raises(DataError, match="mnist_train_images, .*'mnist_test_labels' is not listed"):
        load_mnist(Context(files=few).data)
