"""What a paper published and how a claim of it is decided."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

Kind = Literal["reproduction", "replication", "reanalysis", "recomputation", "conceptual_replication"]
Source = Literal["verified", "secondary", "unverified", "derived"]
Basis = Literal["paper", "official_code", "author_reply", "sweep", "guess"]
RuleKind = Literal[
    "equivalence", "at_least", "at_most", "ordering", "trend", "exact", "rounds_to", "reference_convergence"
]
Expectation = Literal["mismatch", "differs"]

SCALES = ("smoke", "cpu", "gpu", "paper", "full")
"""Every scale there is, smallest compute first; `full` needs no compute to speak of."""

FULFILLED: Mapping[str, str] = {
    "reproduction": "reproduced",
    "replication": "replicated",
    "reanalysis": "reanalysed",
    "recomputation": "recomputed",
    "conceptual_replication": "conceptually replicated",
}
"""How a match reads to people, by kind."""

TERMS: Mapping[str, tuple[str, str]] = {
    "reproduction": ("reproduced (different team, same setup)", "reproducibility"),
    "replication": ("replicated (different team, different setup)", "replicability"),
    "reanalysis": ("reproduced (different team, same setup)", "reproducibility"),
    "recomputation": ("outside ACM's terms: no artefact is run", "internal consistency"),
    "conceptual_replication": ("outside ACM's terms: another system", "generalizability"),
}
"""The ACM v1.1 badge term and the NASEM (2019) term of each kind."""


@dataclass(frozen=True)
class Paper:
    """A publication, described once and named by its claims."""

    id: str
    title: str
    authors: tuple[str, ...]
    year: int
    venue: str = ""
    arxiv: str | None = None
    doi: str | None = None
    url: str | None = None
    note: str = ""


@dataclass(frozen=True)
class Interval:
    """An interval a paper printed beside its value; low may exceed high or exclude the value, as papers do.

    `of` says what it is an interval of: only `sampling` intervals give the target a variance of its own.
    """

    low: str
    high: str
    level: float
    of: Literal["sampling", "subsample", "unknown"] = "unknown"


@dataclass(frozen=True)
class Target:
    """A published value, kept as it was printed."""

    printed: str
    approximate: bool = False
    interval: Interval | None = None
    sd: str | None = None
    n: int | None = None
    source: Source = "unverified"
    locator: str = ""

    def __post_init__(self) -> None:
        try:
            Decimal(self.printed)
        except InvalidOperation:
            raise ValueError(f"printed must be a number as the paper prints it, not {self.printed!r}") from None

    @property
    def value(self) -> float:
        """The printed value θ₀ as a float."""
        return float(Decimal(self.printed))

    @property
    def half_width(self) -> float:
        """Half a unit of the last printed digit, h; 0 for an approximate value."""
        exponent = Decimal(self.printed).as_tuple().exponent
        if self.approximate or not isinstance(exponent, int):
            return 0.0
        return float(Decimal(1).scaleb(exponent) / 2)


@dataclass(frozen=True)
class Margin:
    """How far from the target still counts as the same: exactly one of the three is given."""

    absolute: float | None = None
    relative: float | None = None
    factor: float | None = None

    def __post_init__(self) -> None:
        given = {k: v for k, v in vars(self).items() if v is not None}
        if len(given) != 1:
            raise ValueError(f"margin needs exactly one of absolute, relative or factor, not {sorted(given) or 'none'}")
        ((name, size),) = given.items()
        if size < 0 or (name == "factor" and size < 1):
            raise ValueError(f"margin.{name} must be {'at least 1' if name == 'factor' else 'at least 0'}, not {size}")


@dataclass(frozen=True)
class Rule:
    """How a match is decided; the margin carries the sentence that justifies it."""

    kind: RuleKind
    margin: Margin | None = None
    because: str = ""
    rivals: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.margin is not None and not self.because.strip():
            raise ValueError("margin has no reason: add 'because', one sentence that justifies it")
        if self.kind == "equivalence" and self.margin is None:
            raise ValueError("an equivalence rule needs a margin")


@dataclass(frozen=True)
class Part:
    """One target with the rule that decides it; a claim with a single target has one part, named `value`."""

    target: Target
    rule: Rule


@dataclass(frozen=True)
class Quantity:
    """What is measured: its symbol, unit and definition."""

    symbol: str
    unit: str = "1"
    definition: str = ""


@dataclass(frozen=True)
class MissingDetail:
    """Something the paper left open: what, what we chose, on what basis."""

    item: str
    chosen: str
    basis: Basis
    paper_text: str | None = None
    effect: str | None = None


@dataclass(frozen=True)
class EstimatorSpec:
    """The function that turns records into a value, by its dotted name, and its keyword arguments."""

    target: str
    arguments: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Control:
    """A variant of the study, or of the estimator, that must fail."""

    expect: Expectation
    params: Mapping[str, Any] = field(default_factory=dict)
    estimator: Mapping[str, Any] = field(default_factory=dict)
    because: str = ""


@dataclass(frozen=True)
class Protocol:
    """One way to test a claim."""

    kind: Kind
    study: str
    estimator: EstimatorSpec
    decisive: tuple[str, ...]
    controls: Mapping[str, Control] = field(default_factory=dict)
    same_recipe: bool = False
    """Whether the paper's own recipe runs, so that at paper scale our spread stands in for an unpublished one."""
    looks: int = 1
    max_replicates: int | None = None
    exclusions: tuple[str, ...] = ()
    deviations: tuple[str, ...] = ()


@dataclass(frozen=True)
class Blocked:
    """Why a claim cannot be tested at present, and what would unblock it."""

    missing: str
    since: str
    unblock: str


@dataclass(frozen=True)
class Claim:
    """One checkable quantitative statement of a paper."""

    id: str
    paper: str
    statement: str
    locator: str
    quantity: Quantity
    parts: Mapping[str, Part]
    protocols: Mapping[str, Protocol] = field(default_factory=dict)
    missing_details: tuple[MissingDetail, ...] = ()
    blocked: Blocked | None = None
    paper_flops: str | None = None
    """Training compute of the paper's own experiment, as printed, for the ratio of scales."""
    note: str = ""
