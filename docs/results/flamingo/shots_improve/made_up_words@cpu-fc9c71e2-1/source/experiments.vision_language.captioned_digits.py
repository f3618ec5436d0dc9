"""Scenes of two handwritten digits with a caption: "a seven below a two".

A scene is two by two cells of 8 × 8 pixels, two of them beside or above each other filled. Shared by the recipes beside it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

from repro.lab.seeding import generator

NAMES = ("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine")
RELATIONS = ("above", "below", "left of", "right of")
ALPHABET = "~. abcdefghijklmnopqrstuvwxyz"
"""`~` begins a caption and fills it up; a full stop ends it."""
FILLER = 0
LENGTH = len("~a three right of a three.")

CELLS = {
    "above": ((0, 2), (1, 3)),
    "below": ((2, 0), (3, 1)),
    "left of": ((0, 1), (2, 3)),
    "right of": ((1, 0), (3, 2)),
}
"""Cells of the first and the second digit, two choices for each relation; 0 1 is the upper row, 2 3 the lower."""


@dataclass(frozen=True)
class DigitImages:
    """Images of single digits."""

    pixels: Tensor
    """[N, 64] in [0, 1]."""
    labels: Tensor
    """[N]."""


def load_split(held_out: int, seed: int) -> tuple[DigitImages, DigitImages]:
    """Return training and held-out images of the 1,797 of scikit-learn, split by the seed."""
    from sklearn.datasets import load_digits

    data = load_digits()
    order = torch.randperm(len(data.target), generator=generator("digits split", seed))
    pixels, labels = torch.from_numpy(data.data).float()[order] / 16, torch.from_numpy(data.target).long()[order]
    return DigitImages(pixels[held_out:], labels[held_out:]), DigitImages(pixels[:held_out], labels[:held_out])


def encode(caption: str) -> list[int]:
    """Return `LENGTH` characters as numbers, filled up at the end."""
    return [ALPHABET.index(letter) for letter in f"~{caption}.".ljust(LENGTH, "~")]


def all_captions() -> Tensor:
    """Return every caption [10, 4, 10, LENGTH], by first digit, relation and second digit."""
    rows = [[[encode(f"a {a} {r} a {b}") for b in NAMES] for r in RELATIONS] for a in NAMES]
    return torch.tensor(rows)


def draw_scenes(digits: DigitImages, n: int, draw: torch.Generator) -> tuple[Tensor, Tensor]:
    """Return scenes [n, 1, 4, 64], one image of four cells each, and their captions [n, LENGTH]."""
    which = torch.randint(len(digits.labels), (n, 2), generator=draw)
    relation, choice = torch.randint(4, (n,), generator=draw), torch.randint(2, (n,), generator=draw)
    cells = torch.tensor([CELLS[name] for name in RELATIONS])[relation, choice]  # [n, 2]
    scenes = torch.zeros(n, 4, 64)
    scenes[torch.arange(n)[:, None], cells] = digits.pixels[which]
    first, second = digits.labels[which].unbind(1)
    return scenes[:, None], all_captions()[first, relation, second]
