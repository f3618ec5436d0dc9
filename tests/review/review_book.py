"""A made-up book of claims that has every state, verdict and oddity that a page must show."""

from collections.abc import Mapping
from typing import Any

from repro.review.book import Book
from repro.schema.blockage import Blockage, Inquiry, Need
from repro.schema.claim import (
    Claim,
    Control,
    EstimatorSpec,
    Interval,
    Margin,
    MissingDetail,
    Paper,
    Part,
    Protocol,
    Quantity,
    Rule,
    Target,
)
from repro.schema.study import Design, ScaleDelta, Study
from repro.schema.trial import Machine, TrialRecord
from repro.schema.verdict import Attempt, ControlVerdict, Estimate, PartVerdict, Sealed, SealedControl, Verdict

HOSTILE = "<script>alert('x')</script>\"><img src=x onerror=alert(1)> $x^2$ \x0b{{ 7*7 }}"
MACHINE = Machine("f" * 64, "Example CPU 2.4 GHz", 2, 7.8, "cpu", "Linux 6.1", "3.11.2", "2.13.0+cpu", 1)


def part(printed: str, rule: Rule, **target: Any) -> Part:
    return Part(Target(printed, **{"source": "verified", "locator": "Table 2", **target}), rule)


def within(absolute: float, **rule: Any) -> Rule:
    return Rule("equivalence", Margin(absolute=absolute), "Half the distance to the rival.", **rule)


def protocol(kind: str, study: str, decisive: tuple[str, ...], **changes: Any) -> Protocol:
    spec = EstimatorSpec("repro.stats.summary.mean_over_seeds", {"column": "slope"})
    controls = {"untuned": Control("differs", {"warmup": 3000}, because="A fixed warm-up starves small models.")}
    return Protocol(kind, study, spec, decisive, **{"controls": controls, **changes})


def claim(name: str, parts: Mapping[str, Part] | Part, protocols: Mapping[str, Protocol], **changes: Any) -> Claim:
    fields = {
        "statement": "The widget exponent is close to one half when models are trained to their optimum.",
        "locator": "Table 2, second row",
        "quantity": Quantity("a", "1", "d ln N / d ln C"),
    }
    targets = {"value": parts} if isinstance(parts, Part) else parts
    return Claim(name, name.split("/")[0], **{**fields, **changes}, parts=targets, protocols=protocols)


def part_verdict(target: float, outcome: str, value: float | None, half: float = 0.0, **changes: Any) -> PartVerdict:
    fields: dict[str, Any] = {
        "reason": None,
        "detail": "The interval lies inside the margin.",
        "margin": 0.12,
        "deviation": None if value is None else value - target,
        "se": None if value is None else half / 2,
        "dof": 3.0,
        "alpha": 0.05,
        "low": None if value is None else value - half,
        "high": None if value is None else value + half,
    }
    estimate = Estimate(value, None if value is None else half / 2, 3.0, 5, "budget")
    return PartVerdict(outcome, estimate=estimate, target=target, half_width=0.005, **{**fields, **changes})


def verdict(parts: Mapping[str, PartVerdict] | PartVerdict, outcome: str, **changes: Any) -> Verdict:
    named = {"value": parts} if isinstance(parts, PartVerdict) else parts
    control = ControlVerdict("differs", True, "", {next(iter(named)): part_verdict(0.49, "mismatch", 0.79, 0.05)})
    fields: dict[str, Any] = {
        "reason": None,
        "detail": "One sentence about the decision.",
        "controls": {"untuned": control},
    }
    return Verdict(outcome, parts=named, **{**fields, **changes})


def attempt(
    claim: Claim, name: str, scale: str, judged: Verdict | None, trials: tuple[str, ...] = ("t1",), **changes: Any
) -> Attempt:
    chosen = claim.protocols[name]
    counter = changes.pop("counter", 1)
    sealed = Sealed(
        claim=claim.id,
        protocol=name,
        scale=scale,
        kind=chosen.kind,
        parts=claim.parts,
        estimator=chosen.estimator.target,
        arguments=chosen.estimator.arguments,
        estimator_sources="e" * 64,
        resampling_unit="budget",
        study=chosen.study,
        trials=trials,
        replicates=(0, 1, 2),
        max_replicates=3,
        controls={name: SealedControl(c.expect, {}, ("t9",)) for name, c in chosen.controls.items()},
        decisive=chosen.decisive,
    )
    fields: dict[str, Any] = {
        "execution": "completed",
        "validity": "current",
        "exploratory": False,
        "arms": {"main": trials, "untuned": ("t9",)},
        "provenance": {
            "commit": "0123456789abcdef0123456789abcdef01234567",
            "dirty": False,
            "command": f"repro run {claim.id} scale={scale}",
            "packages": {"numpy": "2.4.1", "torch": "2.13.0+cpu"},
        },
        "started": f"2024-05-1{counter}T09:03:11+00:00",
        "finished": f"2024-05-1{counter}T09:43:11+00:00",
        "seconds": 1432.0,
        "config": {"scale": scale, "params": {"warmup": 300}},
    }
    identity = f"{claim.id}@{name}@{scale}-{sealed.digest[:8]}-{counter}"
    return Attempt(identity, claim.id, name, scale, counter, sealed, verdict=judged, **{**fields, **changes})


def record(key: str, **changes: Any) -> TrialRecord:
    fields: dict[str, Any] = {
        "config": {"n_layer": 4, "lr": 0.001, "seed": 0},
        "replicate": 0,
        "label": "n_layer=4",
        "status": "finished",
        "rows": ({"slope": 0.5132048, "loss": 3.21, "flops": 4.1e13},),
        "data": {"made_up_corpus": "d" * 64},
        "seconds": 61.4,
        "error": None,
        "curves": {},
    }
    return TrialRecord(
        key=key,
        study="widgets/isoflop",
        recipe="experiments.widgets.isoflop",
        sources="s" * 64,
        device="cpu",
        precision="float32",
        measures="value",
        seals=("a" * 64,),
        started="2024-05-11T09:03:11+00:00",
        machine=MACHINE,
        process="p1",
        **{**fields, **changes},
    ).with_digest()


EXPONENT = claim(
    "widgets/exponent",
    part(
        "0.49",
        within(0.12, rivals={"gadgets": "0.73"}),
        interval=Interval("0.462", "0.534", 0.8, "subsample"),
    ),
    {"retrain": protocol("replication", "widgets/isoflop", ("gpu", "paper"), deviations=("Bytes instead of tokens.",))},
    missing_details=(
        MissingDetail(
            "batch size at each model size", "proportional to N^(2/3)", "sweep", "not given", "moves a by 0.01"
        ),
        MissingDetail("random seed", "0, 1, 2", "guess"),
    ),
    paper_flops="5.76e23",
)
RATIOS = claim(
    "widgets/ratios",
    {
        name: part(printed, Rule("rounds_to"), source="secondary")
        for name, printed in {"73M": "1.03", "305M": "1.10", "552M": "1.08", "1.1B": "1.04", "6.8B": "0.99"}.items()
    },
    {"count": protocol("recomputation", "widgets/count", ("full",))},
    statement="Exact widget counts divided by the rule of thumb, for five models.",
    quantity=Quantity("r", "1", "exact / 6ND"),
)
FACTOR = claim(
    "widgets/speed",
    part(
        "20",
        Rule("equivalence", Margin(factor=2.0), "A factor of two is what the paper calls close."),
        approximate=True,
    ),
    {"time": protocol("conceptual_replication", "widgets/time", ("cpu", "gpu"))},
    statement="Sorting widgets is about twenty times as fast.",
    quantity=Quantity("s", "s/s", "old time / new time"),
)
ORDERING = claim(
    "widgets/ordering",
    part("0", Rule("ordering"), source="unverified"),
    {"paired": protocol("replication", "widgets/paired", ("cpu",))},
    statement="The small widget beats the large one at equal cost.",
    quantity=Quantity("d", "nat", "loss of large − loss of small"),
)
BLOCKED = claim(
    "clinic/headline",
    part("5.7", within(1.0)),
    {},
    statement="False positives fall by 5.7 percentage points.",
    quantity=Quantity("Δ", "percentage points"),
    blocked=Blockage(
        "the screening images",
        "2020-01-01",
        "access to the data under licence",
        needs=(
            Need("data", "28,000 mammograms"),
            Need("compute", "training three networks", "V100", 900.0, 2700.0, "unverified"),
        ),
        asked=(Inquiry("the clinic", "2021-05-06", "under licence alone"),),
        stand_ins=("clinic/sensitivity",),
    ),
)
NOT_RUN = claim(
    "clinic/sensitivity",
    part("0.85", Rule("at_least")),
    {"exact": protocol("recomputation", "clinic/bayes", ("full",))},
    statement="Sensitivity is at least 0.85.",
)
STALE = claim(
    "clinic/bayes",
    part("0.85", Rule("exact", Margin(absolute=1e-9), "Floating point.")),
    {"exact": protocol("recomputation", "clinic/bayes", ("full",))},
    statement="The predictive value follows from Bayes' rule.",
)
HOSTILE_CLAIM = claim(
    "hostile/strings",
    {f"part {HOSTILE}": part("1.0", within(0.5, rivals={HOSTILE: "2.0"}))},
    {"pro": protocol("reanalysis", "hostile/study", ("full",), deviations=(HOSTILE,))},
    statement=HOSTILE,
    locator=HOSTILE,
    note=HOSTILE,
    quantity=Quantity(HOSTILE, HOSTILE, HOSTILE),
    missing_details=(MissingDetail(HOSTILE, HOSTILE, "guess", HOSTILE, HOSTILE),),
)
GONE = claim("gone/claim", part("1", within(0.1)), {"p": protocol("reanalysis", "gone/study", ("full",))})

PAPERS = (
    Paper(
        "widgets",
        "Scaling Laws of Widgets",
        ("Ada Example", "Bo Sample", "Cy Test", "Di Else"),
        2023,
        "Journal of Widgets",
        "2301.00001",
    ),
    Paper("clinic", "An Example of Screening", ("Eve Example",), 2020, doi="10.1000/example"),
    Paper("hostile", HOSTILE, (HOSTILE,), 2021, HOSTILE, url="javascript:alert(1)", note=HOSTILE),
)
STUDIES = (
    Study(
        "widgets/isoflop",
        "experiments.widgets.isoflop",
        {"cpu": ScaleDelta(), "gpu": ScaleDelta()},
        {"n_layer": 4},
        Design(grid={"n_layer": (2, 4)}),
        3,
    ),
)


def ratio_verdict() -> Verdict:
    values = {"73M": 1.0312, "305M": 1.0964, "552M": 1.0821, "1.1B": 1.0552, "6.8B": 0.9871}
    parts = {}
    for name, value in values.items():
        target = float(RATIOS.parts[name].target.printed)
        outcome = "match" if abs(value - target) <= 0.005 else "mismatch"
        parts[name] = part_verdict(target, outcome, value, margin=None, se=0.0)
    return verdict(parts, "mismatch", detail="1.1B lies 0.0152 from 1.04, beyond the rounding of 0.005.")


def made_attempts() -> tuple[Attempt, ...]:
    match = verdict(part_verdict(0.49, "match", 0.51320481, 0.0321), "match")
    undecided = verdict(
        part_verdict(0.49, "inconclusive", 0.61, 0.15, reason="not_decisive_scale"),
        "inconclusive",
        reason="not_decisive_scale",
    )
    missed = verdict(part_verdict(0.49, "mismatch", 0.72, 0.06), "mismatch")
    keys = ("t1", "t2", "t3")
    logs = part_verdict(
        20.0, "mismatch", 85.0, margin=0.6931471805599453, low=71.0, high=101.0, scale="log", deviation=1.4469
    )
    paired = part_verdict(
        0.0,
        "inconclusive",
        0.012,
        0.03,
        margin=0.0,
        reason="underpowered",
        n_needed=23,
        flags=("target_spread_unknown",),
    )
    hostile = verdict(
        {
            next(iter(HOSTILE_CLAIM.parts)): part_verdict(
                1.0, "match", 1.1, 0.1, margin=0.5, detail=HOSTILE, flags=(HOSTILE,)
            )
        },
        "match",
        detail=HOSTILE,
        flags=(HOSTILE,),
    )
    exact = part_verdict(0.85, "match", 0.85, margin=1e-9, se=0.0)
    return (
        attempt(EXPONENT, "retrain", "gpu", missed, keys, counter=1, compute_ratio=1.2e-9),
        attempt(EXPONENT, "retrain", "gpu", match, keys, counter=2, compute_ratio=0.008),
        attempt(EXPONENT, "retrain", "gpu", missed, keys, counter=3, exploratory=True, overrides=("params.lr=0.01",)),
        attempt(EXPONENT, "retrain", "cpu", undecided, keys, counter=1, compute_ratio=3e-12),
        attempt(RATIOS, "count", "full", ratio_verdict(), counter=1),
        attempt(FACTOR, "time", "cpu", verdict(logs, "mismatch"), counter=1),
        attempt(ORDERING, "paired", "cpu", verdict(paired, "inconclusive", reason="underpowered"), counter=1),
        attempt(ORDERING, "paired", "cpu", None, counter=2, execution="failed", message="2 of 10 trials failed."),
        attempt(STALE, "exact", "full", verdict(exact, "match"), counter=1),
        attempt(HOSTILE_CLAIM, "pro", "full", hostile, counter=1, message=HOSTILE, overrides=(HOSTILE,), provenance={HOSTILE: HOSTILE}),
        attempt(GONE, "p", "full", verdict(part_verdict(1.0, "match", 1.0, 0.01, margin=0.1), "match"), counter=1),
    )  # fmt: skip


def made_trials(attempt_id: str) -> list[TrialRecord]:
    if attempt_id.startswith("hostile"):
        return [record("t1", label=HOSTILE, status="failed", rows=(), error=HOSTILE, config={HOSTILE: HOSTILE})]
    if attempt_id.startswith("clinic"):
        return []
    return [
        record("t1"),
        record("t2", replicate=1, rows=({"slope": None, "loss": None, "flops": 4.1e13},), status="diverged"),
        record("t3", replicate=2, rows=(), status="failed", error="MemoryError: out of memory\nat step 3", seconds=4.0),
        record("t9", label="warmup=3000", rows=({"slope": 0.79, "loss": 3.9, "flops": 4.1e13},)),
    ]


def made_book() -> Book:
    claims = (EXPONENT, RATIOS, FACTOR, ORDERING, BLOCKED, NOT_RUN, STALE, HOSTILE_CLAIM)
    attempts = made_attempts()
    return Book(
        claims={claim.id: claim for claim in claims},
        papers={paper.id: paper for paper in PAPERS},
        studies={study.id: study for study in STUDIES},
        attempts=attempts,
        trials=made_trials,
        stale={
            attempt.id: ("The margin was ± 1×10⁻⁶, now ± 1×10⁻⁹.",) for attempt in attempts if attempt.claim == STALE.id
        },
    )
