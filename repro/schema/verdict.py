"""The seal, the estimate, the verdict, and the attempt that holds them together."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from repro.schema.canonical import digest_of
from repro.schema.claim import Expectation, Kind, Part
from repro.schema.jsonform import to_json

Outcome = Literal["match", "mismatch", "inconclusive"]
Execution = Literal["planned", "running", "completed", "failed", "blocked"]
Validity = Literal["current", "stale", "post_hoc", "disputed", "invalidated", "tampered"]
Reason = Literal[
    "underpowered",
    "rounding",
    "too_few",
    "heavy_tailed",
    "multimodal",
    "diverged",
    "no_estimate",
    "not_deterministic",
    "not_decisive_scale",
    "control_inconclusive",
    "control_did_not_fail",
]

SEAL_VERSION = 1
ATTEMPT_VERSION = 1


@dataclass(frozen=True)
class SealedControl:
    """A control as it was fixed before the first trial."""

    expect: Expectation
    arguments: Mapping[str, Any]
    """The estimator's keyword arguments in this arm."""
    trials: tuple[str, ...]


@dataclass(frozen=True)
class Sealed:
    """Everything that decides a verdict, fixed before the first trial runs. A verdict is judged from this alone."""

    claim: str
    protocol: str
    scale: str
    kind: Kind
    parts: Mapping[str, Part]
    estimator: str
    arguments: Mapping[str, Any]
    estimator_sources: str
    """Digest of the estimator's module and of what it imports from this project."""
    resampling_unit: str
    study: str
    trials: tuple[str, ...]
    """Keys of the main arm: they cover recipe, config, data, precision and seeds."""
    replicates: tuple[int, ...]
    """Seeds of the replicates."""
    max_replicates: int
    controls: Mapping[str, SealedControl]
    decisive: tuple[str, ...]
    deterministic: bool = False
    same_recipe: bool = False
    looks: int = 1
    exclusions: tuple[str, ...] = ()
    alpha: float = 0.05
    indicative: bool = False
    """Whether it was sealed although the plan could hardly decide; shown for ever."""
    version: int = SEAL_VERSION

    @cached_property
    def digest(self) -> str:
        """The seal: sha256 of the canonical JSON of everything here.

        A field that came later is left out while it has its default, so that older seals keep their digest.
        """
        content = to_json(self)
        if not self.indicative:
            del content["indicative"]
        return digest_of(content)


@dataclass(frozen=True)
class Estimate:
    """Records turned into a value."""

    value: float | None
    """None where the estimator found no value; `note` says why."""
    se: float | None = None
    """Standard error; 0 for a deterministic quantity, None if unknown."""
    dof: float | None = None
    """Degrees of freedom ν of the standard error."""
    n: int = 1
    """Independent units."""
    unit: str = "trial"
    """What an independent unit is: seed, budget, run, ..."""
    units: tuple[float | None, ...] = ()
    """One value a unit; of an ordering the paired differences, or their signed ranks where an arm diverged (`ranked`)."""
    spread: float | None = None
    """Standard deviation of a single run, where the estimate is a mean of runs."""
    log_se: float | None = None
    """Standard error of ln(value), where it is known better than se / value."""
    deterministic: bool = False
    flags: tuple[str, ...] = ()
    """`heavy_tailed`, `multimodal`, `diverged`, and what else a reader must know."""
    extras: Mapping[str, float | None] = field(default_factory=dict)
    """Figures beside the value. They decide nothing, but for rules of kind `trend` and `reference_convergence`, which have no
    t interval of the value and decide by the p-values here."""
    note: str = ""


@dataclass(frozen=True)
class PartVerdict:
    """The decision on one target."""

    outcome: Outcome
    reason: Reason | None
    detail: str
    estimate: Estimate
    target: float
    half_width: float
    """Rounding half-width h on the scale that decides."""
    margin: float | None
    """Δ on the scale that decides: in logs where `scale` is `log`."""
    deviation: float | None
    """D = x − θ₀, or ln x − ln θ₀."""
    se: float | None
    """SE with the target's own variance."""
    dof: float | None
    """Degrees of freedom that decide; None means that the standard error is exact."""
    alpha: float
    low: float | None
    """Ends of the 1 − 2α interval that decides, in the units of the value."""
    high: float | None
    scale: Literal["linear", "log"] = "linear"
    n_needed: int | None = None
    """Units that would reach 80 % power, where underpowered."""
    flags: tuple[str, ...] = ()
    extras: Mapping[str, float | None] = field(default_factory=dict)
    """Prediction interval of the original, sign-flip p, distances to rivals."""


@dataclass(frozen=True)
class ControlVerdict:
    """Whether a control failed, as it must."""

    expect: Expectation
    failed: bool | None
    """True: failed as it must. False: it did not. None: undecided."""
    detail: str
    parts: Mapping[str, PartVerdict]


@dataclass(frozen=True)
class Verdict:
    """The decision of an attempt."""

    outcome: Outcome
    reason: Reason | None
    detail: str
    """One sentence for people."""
    parts: Mapping[str, PartVerdict]
    controls: Mapping[str, ControlVerdict]
    flags: tuple[str, ...] = ()
    look: int = 1
    """Which of the sealed looks at the data gave this verdict."""


@dataclass(frozen=True)
class Attempt:
    """One protocol carried out at one scale."""

    id: str
    claim: str
    protocol: str
    scale: str
    counter: int
    sealed: Sealed
    execution: Execution
    validity: Validity
    exploratory: bool
    arms: Mapping[str, tuple[str, ...]]
    verdict: Verdict | None
    overrides: tuple[str, ...] = ()
    config: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Any] = field(default_factory=dict)
    """Commit, whether the tree was dirty, packages, command; no credentials, no paths."""
    started: str = ""
    finished: str = ""
    seconds: float = 0.0
    """Sum of the trials' own run times."""
    compute_ratio: float | None = None
    """FLOPs of our trials over the paper's, where both are known."""
    message: str = ""
    version: int = ATTEMPT_VERSION
