"""A made-up book of training runs that follow a known law, with a comparison and a tutorial about them."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from review_book import attempt, claim, part, part_verdict, protocol, record, verdict, within

from repro.review.book import Book
from repro.review.facts.comparison import parse_comparison
from repro.schema.claim import EstimatorSpec, Paper
from repro.schema.planned import PlannedCost
from repro.schema.study import Design, ScaleDelta, Study
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt
from repro.stats.scaling_laws.law import ParametricLaw

LAW = ParametricLaw(E=1.5, A=120.0, B=300.0, alpha=0.4, beta=0.3)
BUDGETS = (1e12, 1e13, 1e14)
SIZES = (0.25, 0.5, 1.0, 2.0, 4.0)

ISOFLOP = EstimatorSpec("repro.stats.scaling_laws.isoflop_exponent", {"counting": "embedding+head", "of": "params"})


def best(budget: float) -> float:
    """Return N* of the law at a budget, with C = 6ND (Hoffmann et al., Equation 4)."""
    G = (LAW.alpha * LAW.A / (LAW.beta * LAW.B)) ** (1 / (LAW.alpha + LAW.beta))
    return G * (budget / 6) ** (LAW.beta / (LAW.alpha + LAW.beta))


def run(budget: float, share: float, **settings: Any) -> TrialRecord:
    """One training run of the law at a budget, with a size that is a share of the best."""
    params = best(budget) * share
    tokens = budget / 6 / params
    loss = float(LAW.loss(params, tokens))  # type: ignore[arg-type]
    steps = 1000
    row = {"budget": budget, "flops": budget, "params": params, "tokens": tokens, "loss": loss, "steps": float(steps)}
    curve = tuple((step, float(LAW.loss(params, tokens * step / steps))) for step in (250, 500, 1000))  # type: ignore[arg-type]
    key = f"{budget:g}-{share:g}-{'-'.join(map(str, settings.values()))}"
    return record(
        key,
        config={"budget": budget, "d_model": int(64 * share), "seed": 0, **settings},
        rows=(row,),
        curves={"loss": curve, "train_loss": curve},
        label=f"budget={budget:g}",
    )


def runs(**settings: Any) -> list[TrialRecord]:
    """The whole grid."""
    return [run(budget, share, **settings) for budget in BUDGETS for share in SIZES]


GROWTH = claim(
    "laws/growth",
    part("0.49", within(0.12, rivals={"other": "0.73"})),
    {
        "retrain": replace(protocol("replication", "laws/isoflop", ("gpu",)), estimator=ISOFLOP),
        "read": replace(protocol("reanalysis", "laws/table", ("full",)), estimator=ISOFLOP),
    },
    paper_flops="5.76e23",
)
STUDIES = (
    Study("laws/isoflop", "experiments.laws.isoflop", {s: ScaleDelta() for s in ("smoke", "cpu", "gpu")}, {}, Design()),
    Study("laws/table", "experiments.laws.table", {"full": ScaleDelta()}, {}, Design()),
)
COMPARISON = {
    "title": "How fast should a widget grow?",
    "quantity": {"symbol": "a", "unit": "1", "definition": "d ln N* / d ln C"},
    "lead": "Two papers disagree.",
    "groups": [
        {
            "title": "First paper",
            "entries": [
                {
                    "label": "profiles",
                    "claim": "laws/growth",
                    "protocols": ["retrain"],
                    "measured": "ours ({scale})",
                    "planned": ["cpu", "gpu"],
                }
            ],
        },
        {
            "title": "Second paper",
            "entries": [
                {"label": "a figure", "target": {"printed": "0.88", "source": "secondary"}, "note": "From a legend."},
                {"label": "gone", "claim": "laws/gone"},
            ],
        },
    ],
    "notes": ["Mind the counting."],
}
TUTORIAL = """# Did it grow?

Printed `{published laws/growth}`, ours `{measured laws/growth retrain cpu}`; on a GPU `{measured laws/growth retrain gpu}`.
It takes `{plan laws/growth retrain gpu}`. See [elsewhere](../papers/x.md) and [the web](https://example.org), `repro pages`, <b>bold</b>.

```{chart}
isoflop laws/growth retrain cpu
isoflop laws/growth retrain gpu
```

```{ran} laws/growth retrain cpu
`{runs laws/growth retrain cpu}` runs, `{figure laws/growth retrain cpu most params}` at most.
```

```{ran} laws/growth retrain gpu
Never shown.
```

```{verdicts} cpu gpu
laws/growth retrain
```

```{comparison}
growth
```
"""


def judged(trials: Sequence[TrialRecord], value: float | None = 0.43, scale: str = "cpu", **changes: Any) -> Attempt:
    """An attempt at the growth claim with these records as its main arm."""
    found = part_verdict(0.49, "inconclusive", value, 0.1, reason="not_decisive_scale")
    made = verdict(found, "inconclusive", reason="not_decisive_scale")
    return attempt(GROWTH, "retrain", scale, made, tuple(trial.key for trial in trials), **changes)


def scaling_book(trials: Sequence[TrialRecord] | None = None, **changes: Any) -> Book:
    """The book with one attempt at scale cpu, a comparison `growth` and a tutorial `growth`."""
    records = list(runs() if trials is None else trials)
    made = judged(records)
    fields: dict[str, Any] = {
        "claims": {GROWTH.id: GROWTH},
        "papers": {"laws": Paper("laws", "Laws of Widgets", ("Ada Example",), 2022)},
        "studies": {study.id: study for study in STUDIES},
        "attempts": (made,),
        "trials": lambda attempt_id: records,
        "planned": {"laws/growth@retrain@gpu": PlannedCost(63, 28, 7.2e16, "cuda")},
        "comparisons": {"growth": parse_comparison("growth", COMPARISON, "growth.yaml")},
        "tutorials": {"growth": TUTORIAL},
    }
    return Book(**{**fields, **changes})
