"""How many hyperparameters of a screening system were not published?

Paper: Haibe-Kains et al. 2020, "Transparency and reproducibility in artificial intelligence", Nature 586, E14-E16, Table 1, on the
three networks of McKinney et al. 2020. Serves the claim `haibe_kains/missing_cells`.

The table is formed anew: what an optimiser needs, minus what the text of McKinney et al. gives for each network. An optimiser that was
not named needs what the paper's table asks of one, momentum included.

Hardware and time: any CPU, milliseconds. Deviations: what the text gives is taken from Haibe-Kains et al., not from the supplement itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from repro.schema.context import Context

ALWAYS = ("learning_rate", "schedule", "optimiser", "batch", "epochs")
"""What every network needs."""

NEEDS: Mapping[str, tuple[str, ...]] = {"sgd_with_momentum": ("momentum",), "adam": (), "": ("momentum",)}
"""What an optimiser needs besides; the empty name is one that was not named."""

GIVEN: Mapping[str, Mapping[str, str]] = {
    "lesion": {"optimiser": "sgd_with_momentum", "batch": "4"},
    "breast": {
        "learning_rate": "0.0001",
        "schedule": "given",
        "optimiser": "adam",
        "batch": "unclear",
        "epochs": "120000",
    },
    "case": {"batch": "2"},
}
"""What was published, by network."""


@dataclass(frozen=True)
class Config:
    """What counts as missing."""

    unclear_is_given: bool = False
    """Whether a cell that says something unclear counts as given."""
    adam_needs_momentum: bool = False
    """Whether Adam is asked for the momentum of SGD."""
    seed: int = 0
    """Unused: there is no random draw. It lets two processes repeat the calculation."""


def cells(config: Config, network: str) -> tuple[list[str], list[str]]:
    """Return the names of a network's missing and of its unclear cells."""
    given = GIVEN[network]
    optimiser = given.get("optimiser", "")
    needed = (
        *ALWAYS,
        *NEEDS[optimiser],
        *(("momentum",) if config.adam_needs_momentum and optimiser == "adam" else ()),
    )
    missing = [name for name in needed if name not in given]
    unclear = [name for name in needed if given.get(name) == "unclear" and not config.unclear_is_given]
    return missing, unclear


def run(config: Config, context: Context) -> dict[str, float]:
    """Count cells.

    Returns:
        `<network>_missing`: cells without any value (count); `unclear`: cells whose value cannot be used (count);
        `missing`: the former of all networks (count); `given`: cells with a value that can be used (count).
    """
    found = {network: cells(config, network) for network in GIVEN}
    unclear = sum(len(u) for _, u in found.values())
    row = {f"{network}_missing": len(missing) for network, (missing, _) in found.items()}
    row |= {
        "missing": sum(row.values()),
        "unclear": unclear,
        "given": sum(len(given) for given in GIVEN.values()) - unclear,
    }
    return {column: float(count) for column, count in row.items()}


if __name__ == "__main__":
    print(run(Config(), Context()), {network: cells(Config(), network) for network in GIVEN})
