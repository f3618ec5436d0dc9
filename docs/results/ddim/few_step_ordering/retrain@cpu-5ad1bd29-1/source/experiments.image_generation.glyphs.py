"""Pictures of characters, made on the spot: scenes of one or more glyphs, and a network that names them.

They stand in, on a large device, for photographs that cannot be had everywhere. Every cell of 32×32 pixels holds one of 62 characters in
one of six typefaces (DejaVu and STIX, which come with matplotlib), moved by up to 4 pixels, at half to full brightness. Shared by
several recipes.
"""

import string
from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from matplotlib import get_data_path
from matplotlib.ft2font import FT2Font
from torch import Tensor, nn
from torch.nn import functional as F

from repro.lab.seeding import derived_seed, generator

CHARACTERS = string.ascii_letters + string.digits
FONTS = ("DejaVuSans", "DejaVuSans-Bold", "DejaVuSansMono", "DejaVuSerif", "DejaVuSerif-Bold", "STIXGeneral")
CELL, INK, FEATURES = 32, 24, 32
"""Side of a cell and of the square that a glyph fits in, in pixels; features of the classifier."""


@cache
def bitmaps() -> Tensor:
    """Return every character in every typeface, centred, [62, 6, 24, 24] in [0, 1]."""
    found = torch.zeros(len(CHARACTERS), len(FONTS), INK, INK)
    for j, name in enumerate(FONTS):
        font = FT2Font(str(Path(get_data_path()) / "fonts/ttf" / f"{name}.ttf"))
        font.set_size(18, 72)
        for i, character in enumerate(CHARACTERS):
            font.set_text(character, 0.0)
            font.draw_glyphs_to_bitmap()
            ink = torch.tensor(np.array(font.get_image()), dtype=torch.float32)[:INK, :INK] / 255
            top, left = (INK - ink.shape[0]) // 2, (INK - ink.shape[1]) // 2
            found[i, j, top : top + ink.shape[0], left : left + ink.shape[1]] = ink
    return found


def scenes(n: int, cells: int, seed: int) -> tuple[Tensor, Tensor]:
    """Return n scenes of `cells` × `cells` glyphs, [n, 1, 32 cells, 32 cells] in [−1, 1], and their characters [n, cells²]."""
    draw = generator("glyph scenes", n, cells, seed)
    many = n * cells * cells
    characters = torch.randint(len(CHARACTERS), (many,), generator=draw)
    ink = bitmaps()[characters, torch.randint(len(FONTS), (many,), generator=draw)]
    ink = ink * (0.5 + 0.5 * torch.rand(many, 1, 1, generator=draw))
    down, right = torch.randint(CELL - INK + 1, (2, many), generator=draw)
    picture = torch.zeros(many, CELL, CELL)
    rows = down[:, None] + torch.arange(INK)
    columns = right[:, None] + torch.arange(INK)
    picture[torch.arange(many)[:, None, None], rows[:, :, None], columns[:, None, :]] = ink
    grid = picture.view(n, cells, cells, CELL, CELL).transpose(2, 3)
    return 2 * grid.reshape(n, 1, cells * CELL, cells * CELL) - 1, characters.view(n, -1)


class Namer(nn.Module):
    """Names the glyph of every cell; `features` are the mean over cells of the 32 units before the names."""

    def __init__(self) -> None:
        super().__init__()
        sizes = (1, 32, 64, 128)
        self.convolutions = nn.ModuleList(nn.Conv2d(a, b, 3, 2, 1) for a, b in pairwise(sizes))
        self.features_of_cell = nn.Conv2d(128, FEATURES, 4, 4)
        self.names = nn.Conv2d(FEATURES, len(CHARACTERS), 1)

    def cells(self, x: Tensor) -> Tensor:
        """[B, 1, 32 c, 32 c] to [B, 32, c, c]."""
        for convolution in self.convolutions:
            x = F.relu(convolution(x))
        return F.relu(self.features_of_cell(x))

    def features(self, x: Tensor) -> Tensor:
        """[B, 1, 32 c, 32 c] to [B, 32]."""
        return self.cells(x).mean((2, 3))

    def forward(self, x: Tensor) -> Tensor:
        """Logits [B, 62, c²]."""
        return self.names(self.cells(x)).flatten(2)


def train_namer(x: Tensor, characters: Tensor, *, steps: int, batch: int, seed: int) -> tuple[Namer, float]:
    """Train on all but the last twentieth of scenes x [N, 1, H, H]; return the network and the share it names right of the rest."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(derived_seed("glyph namer", seed))
        net = Namer().to(x.device)
    kept, draw = len(x) - max(1, len(x) // 20), generator("glyph namer order", seed)
    optimizer = torch.optim.Adam(net.parameters(), lr=2e-3, fused=True)
    for step in range(steps):
        optimizer.param_groups[0]["lr"] = 2e-3 * (1 - step / steps)
        at = torch.randint(kept, (batch,), generator=draw).to(x.device)
        loss = F.cross_entropy(net(x[at]), characters[at])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    with torch.no_grad():
        right = (net(x[kept:]).argmax(1) == characters[kept:]).double().mean().item()
    return net.requires_grad_(False), right
