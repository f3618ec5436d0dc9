"""The Python interface: tidy frames of claims, attempts and trials, and `run`."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from repro.schema.verdict import Verdict


def claims() -> "pd.DataFrame":
    """Return one row a claim and part: what was published, how it is decided, where it can run.

    Columns: claim, part, paper, statement, locator, printed, target, source, rule, margin, because, protocols, kinds,
    studies, blocked.
    """
    import pandas as pd

    from repro.catalog.load import load_claims
    from repro.schema.jsonform import to_json

    rows = []
    for claim in load_claims().values():
        for name, part in claim.parts.items():
            margin = {k: v for k, v in to_json(part.rule.margin or {}).items() if v is not None}
            rows.append(
                {
                    "claim": claim.id,
                    "part": name,
                    "paper": claim.paper,
                    "statement": claim.statement,
                    "locator": claim.locator,
                    "printed": part.target.printed,
                    "target": part.target.value,
                    "source": part.target.source,
                    "rule": part.rule.kind,
                    "margin": next((f"{k} {v}" for k, v in margin.items()), None),
                    "because": part.rule.because,
                    "protocols": tuple(claim.protocols),
                    "kinds": tuple(sorted({p.kind for p in claim.protocols.values()})),
                    "studies": tuple(sorted({p.study for p in claim.protocols.values()})),
                    "blocked": claim.blocked.missing if claim.blocked else None,
                }
            )
    return pd.DataFrame(rows)


def attempts() -> "pd.DataFrame":
    """Return one row an attempt and part, from the ledger: verdict, estimate, interval, seal, provenance.

    `indicative` says whether the attempt was sealed although its plan could hardly decide; `look` at which of the `looks`
    that were sealed its verdict came. All three are missing for a blocked claim.
    """
    import pandas as pd

    from repro.ledger.read import attempts as read_attempts
    from repro.ledger.read import load_attempts

    frame, by_id = read_attempts(), {attempt.id: attempt for attempt in load_attempts()}
    known = [by_id.get(name) for name in frame["attempt"]]
    indicative = [None if attempt is None else attempt.sealed.indicative for attempt in known]
    look = [None if attempt is None or attempt.verdict is None else attempt.verdict.look for attempt in known]
    looks = [None if attempt is None else attempt.sealed.looks for attempt in known]
    return frame.assign(
        indicative=pd.array(indicative, dtype="boolean"),
        look=pd.array(look, dtype="Int64"),
        looks=pd.array(looks, dtype="Int64"),
    )


def trials(attempt: str) -> "pd.DataFrame":
    """Return one row a measured row of each trial of an attempt.

    Args:
        attempt: its id, as in the column `attempt` of `attempts()`.
    """
    from repro.ledger.read import trials as read_trials

    return read_trials(attempt)


def run(
    *claims: str,
    scale: str | None = None,
    executor: str | None = None,
    overrides: tuple[str, ...] = (),
    new_seeds: bool = False,
) -> "Verdict | Mapping[str, Verdict | None] | None":
    """Launch claims and return the verdict, or the verdicts by attempt where there are several.

    Args:
        claims: names or globs.
        scale: where to run; the default is `full` or `cpu`, as for `repro run`.
        executor: `inline` or `processes`.
        overrides: Hydra overrides; those of sealed things make the attempt exploratory.
        new_seeds: make a new attempt with seeds that none has used.

    Returns:
        None in place of a verdict where a trial failed.
    """
    from repro.catalog.index import load_index
    from repro.launch.session import launch, prepare
    from repro.review.figures import interval_figure

    chosen = [f"{key}={value}" for key, value in (("scale", scale), ("executor", executor)) if value]
    prepared = prepare([*claims, *chosen, *overrides], load_index(), new_seeds)
    verdicts = {item.attempt.id: item.attempt.verdict for item in launch(prepared, interval_figure)}
    return next(iter(verdicts.values())) if len(verdicts) == 1 else verdicts
