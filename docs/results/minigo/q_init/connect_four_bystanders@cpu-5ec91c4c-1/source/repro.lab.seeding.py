"""Seeds: one call that fixes every generator, and independent streams by name."""

import hashlib
import random

import numpy as np
import torch


def derived_seed(*parts: int | str) -> int:
    """Return a seed in [0, 2⁶³) that depends on every part, so that neighbouring seeds give unrelated streams."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def seed_all(*parts: int | str) -> None:
    """Seed Python, NumPy and torch (on every device) from `parts`."""
    seed = derived_seed(*parts)
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)


def generator(*parts: int | str) -> torch.Generator:
    """Return a CPU generator of its own, seeded from `parts` and untouched by the global one."""
    return torch.Generator().manual_seed(derived_seed(*parts))
