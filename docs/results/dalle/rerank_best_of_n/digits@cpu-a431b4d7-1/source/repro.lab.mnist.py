"""MNIST (LeCun et al. 1998, "Gradient-based learning applied to document recognition"): the idx files as tensors.

A study that trains on it lists the four data sets of `DATA`.
"""

import gzip
import lzma
import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import torch

from repro.schema.errors import DataError

DATA = ("mnist_train_images", "mnist_train_labels", "mnist_test_images", "mnist_test_labels")
"""Ids of the four data sets."""

SIDE = 28
"""Pixels of a side."""
CLASSES = 10

XZ, GZIP = b"\xfd7zXZ\x00", b"\x1f\x8b"
"""First bytes of a compressed file."""
UNSIGNED_BYTES = 0x08
"""The idx code of the only element type that MNIST uses."""


@dataclass(frozen=True)
class Digits:
    """Images of handwritten digits with their labels, in the order of the files."""

    images: torch.Tensor
    """`[N, 28, 28]` uint8: 0 is background, 255 ink."""
    labels: torch.Tensor
    """`[N]` int64, 0 to 9."""


def load_mnist(data: Callable[[str], Path]) -> tuple[Digits, Digits]:
    """Return the training and the test images; trials of one process share the tensors, which are not to be written to.

    Args:
        data: the file of a data set by its id (`Context.data`).

    Raises:
        DataError: if the study does not list a file, or a file is not what it should be.
    """
    try:
        paths = [data(name) for name in DATA]
    except KeyError as error:
        raise DataError(f"MNIST needs 'data: [{', '.join(DATA)}]' in the study; {error.args[0]}.") from error
    return _digits(*paths[:2]), _digits(*paths[2:])


@lru_cache(maxsize=2)
def _digits(images_file: Path, labels_file: Path) -> Digits:
    images, labels = read_idx(images_file), read_idx(labels_file)
    if images.shape[1:] != (SIDE, SIDE) or labels.shape != images.shape[:1]:
        raise DataError(
            f"MNIST is images [N, {SIDE}, {SIDE}] and labels [N]; {images_file} holds {list(images.shape)} and "
            f"{labels_file} {list(labels.shape)}. Fetch both files again."
        )
    if len(labels) and int(labels.max()) >= CLASSES:
        raise DataError(f"Labels of MNIST are 0 to 9; {labels_file} holds {int(labels.max())}. Fetch the file again.")
    return Digits(images, labels.long())


def read_idx(path: Path) -> torch.Tensor:
    """Return the array of an idx file of unsigned bytes, whether plain or compressed by gzip or xz.

    The format: two zero bytes, the element type, the number of dimensions, each dimension as four big-endian bytes, the elements.

    Raises:
        DataError: if the file cannot be read, is of another type, or has more or fewer bytes than its dimensions say.
    """
    try:
        content = path.read_bytes()
        if content.startswith(XZ):
            content = lzma.decompress(content)
        elif content.startswith(GZIP):
            content = gzip.decompress(content)
    except (OSError, EOFError, lzma.LZMAError) as error:
        raise DataError(f"{path} cannot be read as an idx file ({error}). Fetch the file again.") from error
    if len(content) < 4 or content[:3] != bytes((0, 0, UNSIGNED_BYTES)):
        raise DataError(
            f"An idx file of unsigned bytes begins with the bytes 00 00 08; {path} begins with {content[:3].hex(' ') or 'nothing'}. "
            f"Fetch the file again."
        )
    start = 4 + 4 * content[3]
    shape = tuple(int.from_bytes(content[at : at + 4], "big") for at in range(4, start, 4))
    if len(content) < start or len(content) - start != math.prod(shape):
        raise DataError(
            f"{path} says that it holds an array {list(shape)}, {math.prod(shape)} bytes; it holds {max(len(content) - start, 0)}. "
            f"The transfer was cut short or altered; fetch the file again."
        )
    return torch.frombuffer(bytearray(content[start:]), dtype=torch.uint8).reshape(shape)
