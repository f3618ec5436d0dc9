"""Approach 2 on several texts at once: does the exponent hang on the corpus? (Hoffmann et al. 2022, arXiv 2203.15556, Appendix C.)"""

from collections.abc import Sequence
from dataclasses import replace

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.scaling_laws.counting import Counting
from repro.stats.scaling_laws.finished_runs import diverged, finished, with_epochs
from repro.stats.scaling_laws.isoflop import approach2
from repro.stats.scaling_laws.sweep import read_sweep

__all__ = ["exponents_by_corpus"]


@estimator(unit="budget")
def exponents_by_corpus(
    records: Sequence[TrialRecord],
    *,
    counting: Counting | str,
    code: str = "code",
    turned: bool = False,
    window: float = 0.15,
    min_points: int = 5,
    bootstrap: int = 1000,
    seed: int = 0,
) -> dict[str, Estimate]:
    """Return the exponents of N* and D* on prose and on code: parts `text_params`, `text_data`, `code_params`, `code_data`.

    In the `extras` of each, `code_minus_text`: how much larger the exponent is on code.

    Args:
        records: training runs on two texts, told apart by the field `source` of their configs.
        counting: see `approach2`, as for the rest.
        code: the source that is code; the one other is the text.
        turned: take each budget for its counterpart from the other end, the smallest for the largest: a control.
        window: nats above the lowest loss of a budget within which sizes enter its parabola.
        min_points: sizes that enter in any case.
        bootstrap: draws of the noise bootstrap.
        seed: of the bootstrap.

    Raises:
        EstimateError: unless there are runs on `code` and on exactly one other text, or a sweep is unusable.
    """
    runs = finished(records)
    sources = sorted({str(record.config.get("source")) for record in runs})
    others = [source for source in sources if source != code]
    if code not in sources or len(others) != 1:
        raise EstimateError(f"Two texts are compared, '{code}' and one other; the runs are on {', '.join(sources)}.")
    found: dict[str, Estimate] = {}
    for name, source in (("text", others[0]), ("code", code)):
        own = [record for record in records if record.config.get("source") == source]
        sweep = read_sweep([dict(record.rows[0]) for record in finished(own)], counting=counting)
        if turned and sweep.budget is not None:
            low, high = sweep.budget.min(), sweep.budget.max()
            sweep = replace(sweep, budget=low * high / sweep.budget)
        for quantity, of in (("params", "params"), ("data", "tokens")):
            estimate = approach2(
                sweep, of=of, window=window, min_points=min_points, bootstrap=bootstrap, seed=seed, checks=not turned
            )
            note = f"source {source}; {estimate.note}"
            flagged = replace(estimate, flags=(*estimate.flags, *diverged(own)), note=note)
            found[f"{name}_{quantity}"] = with_epochs(flagged, own)
    return {
        part: replace(
            estimate,
            extras={**estimate.extras, "code_minus_text": _gap(found, part.split("_")[1])},
        )
        for part, estimate in found.items()
    }


def _gap(found: dict[str, Estimate], quantity: str) -> float | None:
    code, text = found[f"code_{quantity}"].value, found[f"text_{quantity}"].value
    return None if code is None or text is None else code - text
