"""What the printed Elo ratings of AlphaGo Zero and Master say about games between them.

Paper: Silver et al. 2017 (AlphaGo Zero), DOI 10.1038/nature24270, section 4 and Figure 6. Serves the claims `alphago_zero/elo_recomputed`
and `alphago_zero/elo_of_200_points`.

    P(a beats b) = 1 / (1 + 10^((e_b − e_a) / 400)),  the usual scale of Elo ratings

Hardware and time: any CPU, microseconds. Deviations: none; only printed figures enter.
"""

from dataclasses import dataclass

from repro.schema.context import Context


@dataclass(frozen=True)
class Config:
    """What the paper prints."""

    zero: int = 5185
    """Elo rating of AlphaGo Zero with 40 blocks."""
    master: int = 4858
    """Of AlphaGo Master."""
    gap: int = 200
    """The gap that the paper translates into a probability."""
    base: float = 10.0
    """Of the power: 10 on the usual scale."""
    points: float = 400.0
    """Rating points that make a factor of `base` in the odds."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def probability(difference: float, base: float, points: float) -> float:
    """Return the probability that the player rated higher by `difference` wins."""
    return 1.0 / (1.0 + base ** (-difference / points))


def run(config: Config, context: Context) -> dict[str, float]:
    """Return `difference` of the two ratings (points), `match_wins` expected in 100 games at it, and `gap_wins` at the gap (%)."""
    difference = config.zero - config.master
    return {
        "difference": float(difference),
        "match_wins": 100 * probability(difference, config.base, config.points),
        "gap_wins": 100 * probability(config.gap, config.base, config.points),
    }


if __name__ == "__main__":
    print(run(Config(), Context()))
