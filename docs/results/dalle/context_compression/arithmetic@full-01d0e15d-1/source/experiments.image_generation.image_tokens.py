"""By how much do image tokens shorten the sequence that a transformer must model?

Paper: Ramesh et al. 2021 (DALL-E), arXiv 2102.12092, section 2. Serves the claim `dalle/context_compression`.

    ratio = (side · side · channels) / (grid · grid)

Hardware and time: any CPU, milliseconds. Deviations: none.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """Section 2: an image of 256 × 256 RGB pixels becomes 32 × 32 tokens."""

    side: int = 256
    """Pixels of a side."""
    channels: int = 3
    """Values of a pixel; each would be an element of the sequence."""
    grid: int = 32
    """Tokens of a side."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `values` and `tokens` of an image (counts) and their `ratio`."""
    values, tokens = config.side**2 * config.channels, config.grid**2
    return {"values": float(values), "tokens": float(tokens), "ratio": values / tokens}


if __name__ == "__main__":
    print(run(Config(), Context()))
