"""How often a protocol decides rightly where the truth is known: its error rates, measured by simulation."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

CALIBRATION_VERSION = 1


@dataclass(frozen=True)
class Scenario:
    """Verdicts on simulated data with a known truth."""

    truth: Literal["true", "margin", "rival"]
    """The claim is true, false by just the margin, or false by a rival's value."""
    name: str
    """`above` or `below` for the margin, the rival's name for a rival, empty where the claim is true."""
    values: Mapping[str, float]
    """What was true, by part."""
    draws: int
    match: int
    mismatch: int
    inconclusive: int
    parts: tuple[str, ...] = ()
    """The parts that were false; all others were true."""

    def __post_init__(self) -> None:
        if self.match + self.mismatch + self.inconclusive != self.draws:
            raise ValueError(
                f"{self.draws} draws need as many verdicts, not {self.match + self.mismatch + self.inconclusive}"
            )


@dataclass(frozen=True)
class Calibration:
    """Error rates of one sealed protocol."""

    seal: str
    claim: str
    protocol: str
    scale: str
    scenarios: tuple[Scenario, ...]
    method: Literal["records", "estimates", "exact"]
    """What was simulated: trial records that the sealed estimator read, its estimates alone, or nothing random at all."""
    noise: Mapping[str, float | None]
    """Standard deviation of a single unit that was simulated, by part; None where the records tell it otherwise."""
    noise_from: str
    """Where the noise was taken from: an attempt's id, or `published`."""
    units: int
    """Independent units a simulated attempt has."""
    unit: str
    seed: int
    note: str = ""
    sources: str = ""
    """Digest of the simulator and of the code that judges: with others the rates may be others."""
    version: int = CALIBRATION_VERSION
