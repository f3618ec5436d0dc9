"""A made-up book of claims whose protocols are calibrated, and of verdicts with everything that can stand beside one."""

from dataclasses import replace
from typing import Any

from review_book import HOSTILE, PAPERS, STUDIES, attempt, claim, part, part_verdict, protocol, verdict, within

from repro.review.book import Book
from repro.schema.calibration import Calibration, Scenario
from repro.schema.claim import Claim, Margin, Quantity, Rule
from repro.schema.study import ScaleDelta, Study
from repro.schema.verdict import Attempt

SLOPE = claim(
    "widgets/slope",
    part("0.49", within(0.12, rivals={"gadgets_law": "0.73"})),
    {
        "retrain": protocol("replication", "widgets/isoflop", ("gpu", "paper")),
        "refit": protocol("reanalysis", "widgets/refit", ("full",)),
        "other_system": protocol("conceptual_replication", "widgets/else", ("cpu",)),
    },
)
ORDER = claim(
    "widgets/order",
    part("0", Rule("ordering")),
    {"paired": protocol("replication", "widgets/paired", ("cpu",))},
    statement="The small widget beats the large one at equal cost.",
    quantity=Quantity("d", "nat"),
)
LONG_NAMES = [
    f"part_number_{i}_of_a_table_with_{'very_' * (i % 5)}long_row_names_such_as_tokens_at_{10**i}_flops"
    for i in range(24)
]
TABLE = claim(
    "widgets/table",
    {
        name: part(f"{1.37 + i:.2f}e{3 * (i % 9)}", Rule("equivalence", Margin(factor=1.3), "x"))
        for i, name in enumerate(LONG_NAMES)
    },
    {"refit": protocol("reanalysis", "widgets/refit", ("full",))},
    statement="Twenty-four entries of a table with long names and values from 1.37 to 10²⁴.",
)
FLOPS = claim(
    "widgets/flops",
    part("5.76e23", Rule("equivalence", Margin(factor=1.05), "Five per cent.")),
    {"count": protocol("recomputation", "widgets/count", ("full",))},
    statement="The largest widget took 5.76e23 FLOPs.",
    quantity=Quantity("C", "FLOP"),
)
HOSTILE_SLOPE = replace(
    SLOPE,
    id="hostile/slope",
    paper="hostile",
    parts={"value": part("0.49", within(0.12, rivals={HOSTILE: "0.73"}))},
)


def scenario(truth: str, name: str, match: int, mismatch: int, value: float, draws: int = 400) -> Scenario:
    return Scenario(
        truth, name, {"value": value}, draws, match, mismatch, draws - match - mismatch, ("value",) * (truth != "true")
    )


def calibration(tried: Attempt, *scenarios: Scenario, **changes: Any) -> Calibration:
    fields: dict[str, Any] = {
        "method": "records",
        "noise": {"value": 0.0213},
        "noise_from": tried.id,
        "units": 5,
        "unit": "budget",
        "seed": 0,
    }
    sealed = tried.sealed
    identity = (sealed.digest, tried.claim, tried.protocol, tried.scale)
    return Calibration(*identity, scenarios=scenarios, **{**fields, **changes})


def usual(tried: Attempt, **changes: Any) -> Calibration:
    """97 of 100 true claims match, 4 at one edge do, and a rival is noticed in 388 of 400 draws."""
    return calibration(
        tried,
        scenario("true", "", 372, 2, 0.49),
        scenario("margin", "above", 16, 24, 0.61),
        scenario("margin", "below", 9, 20, 0.37),
        scenario("rival", next(iter(tried.sealed.parts["value"].rule.rivals), "none"), 0, 388, 0.73),
        **changes,
    )


def sealed_as(tried: Attempt, **changes: Any) -> Attempt:
    """Return the attempt with another seal."""
    return replace(tried, sealed=replace(tried.sealed, **changes))


def slope(value: float, half: float, outcome: str = "match", **changes: Any) -> Any:
    return verdict(part_verdict(0.49, outcome, value, half, **changes), outcome)


FIRST = attempt(SLOPE, "retrain", "gpu", slope(0.513, 0.032, extras={
    "prediction_low": 0.431, "prediction_high": 0.595, "prediction_covers": 1.0,
    "rival_distance.gadgets_law": -0.217, "rival_excluded.gadgets_law": 1.0, "bias_bar": 0.021, "quartic_shift": -0.0063,
}, flags=("skew_guard",)), ("s1", "s2"), arms={"main": ("s1", "s2"), "untuned": ("s9",)}, compute_ratio=0.008)  # fmt: skip
AGAIN = sealed_as(
    attempt(SLOPE, "retrain", "gpu", slope(0.471, 0.041), ("s3", "s4"), counter=2, compute_ratio=0.008,
            arms={"main": ("s3", "s4"), "untuned": ("s8",)}),
    replicates=(3, 4, 5), looks=3,
)  # fmt: skip
REFIT = attempt(
    SLOPE, "refit", "full", slope(0.502, 0.011), ("r1",), counter=3, arms={"main": ("r1",), "untuned": ("r2",)}
)
ELSEWHERE = sealed_as(
    attempt(SLOPE, "other_system", "cpu", slope(0.55, 0.03), ("e1",), counter=4, arms={"main": ("e1",)}, compute_ratio=None),
    indicative=True,
)  # fmt: skip
UNDECIDED = attempt(
    SLOPE, "retrain", "paper", verdict(part_verdict(0.49, "inconclusive", 0.6, 0.2, reason="underpowered"), "inconclusive",
                                       reason="underpowered"), ("p1",), counter=5, arms={"main": ("p1",)},
)  # fmt: skip
HOSTILE_TRY = attempt(HOSTILE_SLOPE, "retrain", "gpu", slope(0.5, 0.02), ("h1",), arms={"main": ("h1",)})
ORDERED = sealed_as(
    attempt(ORDER, "paired", "cpu", verdict(part_verdict(0.0, "match", 0.031, 0.02, margin=0.0, flags=("heavy_tailed", "multimodal"),
            extras={"superiority": 0.83, "superiority_low": 0.61, "sign_flip_p": 0.0312}), "match"), ("o1",), compute_ratio=1e-4,
            arms={"main": ("o1",)}),
    indicative=True,
)  # fmt: skip
TABLED = attempt(TABLE, "refit", "full", verdict({
    name: part_verdict(target.target.value, "match" if i % 4 else "mismatch", target.target.value * (1.04 if i % 4 else 1.9),
                       margin=0.262, deviation=0.039, scale="log",
                       **({"low": target.target.value * 1.04, "high": target.target.value * 1.04} if i % 3 else
                          {"low": target.target.value * 0.97, "high": target.target.value * 1.12}))
    for i, (name, target) in enumerate(TABLE.parts.items())
}, "mismatch"), ("t1",), arms={"main": ("t1",)})  # fmt: skip
COUNTED = attempt(FLOPS, "count", "full", verdict(part_verdict(
    5.76e23, "match", 5.803e23, margin=0.0488, low=5.803e23, high=5.803e23, scale="log", deviation=0.0074, se=0.0), "match"),
    ("c1",), arms={"main": ("c1",)})  # fmt: skip
COUNTED_RATES = calibration(
    COUNTED,
    *(scenario(t, n, m, 1 - m, v, 1) for t, n, m, v in (("true", "", 1, 5.76e23), ("margin", "above", 0, 6.1e23))),
    method="exact", units=1, unit="table", noise={"value": None},
)  # fmt: skip


def trust_book() -> Book:
    """Return a book with calibrated, indicative, repeated and unrun protocols."""
    unrun = replace(ORDER, id="widgets/unrun", protocols={"later": ORDER.protocols["paired"]})
    claims: tuple[Claim, ...] = (SLOPE, ORDER, TABLE, FLOPS, HOSTILE_SLOPE, unrun)
    attempts = (FIRST, AGAIN, REFIT, ELSEWHERE, UNDECIDED, HOSTILE_TRY, ORDERED, TABLED, COUNTED)
    rates = [usual(a) for a in (FIRST, AGAIN, ELSEWHERE, HOSTILE_TRY)]
    rates += [
        usual(REFIT, method="estimates", noise_from="published", unit="run", units=240, note="A note on it."),
        COUNTED_RATES,
    ]
    refit = Study("widgets/refit", "experiments.widgets.refit", {"full": ScaleDelta()}, data=("runs",))
    return Book(
        claims={c.id: c for c in claims},
        papers={paper.id: paper for paper in PAPERS},
        studies={study.id: study for study in (*STUDIES, refit)},
        attempts=attempts,
        trials=lambda _: [],
        calibrations={c.seal: c for c in rates},
    )
