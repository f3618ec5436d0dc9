"""Figures that stand beside a verdict and decide nothing, in words."""

from collections.abc import Callable, Iterator, Mapping

from repro.judge.numbers import fixed, significant
from repro.review.wording.labels import pretty
from repro.schema.verdict import PartVerdict

Extras = Mapping[str, float | None]


def beside(part: PartVerdict) -> tuple[str, ...]:
    """Return what is reported beside the verdict on a part, by the judge and by the estimator, in sentences."""
    return extra_lines({**part.estimate.extras, **part.extras})


def extra_lines(extras: Extras) -> tuple[str, ...]:
    """Return the figures that have words of their own, in sentences."""
    given = {name: value for name, value in extras.items() if value is not None}
    return tuple(line for write in _WRITERS for line in write(given))


def other_figures(part: PartVerdict) -> Mapping[str, float | None]:
    """Return by its name every figure of the estimator that `beside` has no words for."""
    return {pretty(name): value for name, value in part.estimate.extras.items() if name not in _WORDED}


def bias_bar(part: PartVerdict) -> float:
    """Return the half-width of the known bias of the method, in the units of the value; 0 where none is reported."""
    return abs(part.extras.get("bias_bar") or part.estimate.extras.get("bias_bar") or 0.0)


_Given = Mapping[str, float]


def _prediction(extras: _Given) -> Iterator[str]:
    if "prediction_low" in extras and "prediction_high" in extras:
        ends = f"{significant(extras['prediction_low'])} to {significant(extras['prediction_high'])}"
        covers = {1.0: "; the published value does", 0.0: "; the published value does not"}
        said = covers.get(extras.get("prediction_covers", -1.0), "")
        yield f"the original, measured once more, would land in {ends} (95 % prediction interval){said}"


def _rivals(extras: _Given) -> Iterator[str]:
    for name, value in extras.items():
        kind, _, rival = name.partition(".")
        if kind == "rival_distance":
            said = {1.0: ", outside the interval", 0.0: ", inside the interval"}
            where = said.get(extras.get(f"rival_excluded.{rival}", -1.0), "")
            yield f"rival {pretty(rival)}: {significant(abs(value), 3)} away{where}"


def _ordering(extras: _Given) -> Iterator[str]:
    if "superiority" in extras:
        share, low = extras["superiority"], extras.get("superiority_low")
        at_least = "" if low is None else f", at least {significant(low, 2)} with 95 % confidence"
        trend = any(name.startswith("trend_") for name in extras)
        what, winner = ("last level beats first", "last level") if trend else ("A > B", "claimed winner")
        pairs = f"of 100 pairs of runs the {winner} wins {_hundreds(share)}, ties counted half"
        yield f"P({what}) = {significant(share, 2)}{at_least}: {pairs}"
    if "sign_flip_p" in extras:
        yield f"exact sign-flip p = {significant(extras['sign_flip_p'], 2)}"


def _trend(extras: _Given) -> Iterator[str]:
    if "trend_tau" in extras:
        p = f", one-sided p = {significant(extras['trend_p'], 2)}" if "trend_p" in extras else ""
        yield f"Kendall's τ = {significant(extras['trend_tau'], 3)}{p} (1: every pair of levels is in the claimed order)"
    if "trend_reversals" in extras:
        steps = int(extras["trend_reversals"])
        yield (
            "no step goes the other way"
            if not steps
            else (
                f"{steps} step{'' if steps == 1 else 's'} from one level to the next "
                f"{'goes' if steps == 1 else 'go'} the other way"
            )
        )


def _reference(extras: _Given) -> Iterator[str]:
    if "rcp_mean" in extras:
        n = f", the Olympic mean of {int(extras['rcp_n'])} runs" if "rcp_n" in extras else ""
        sd = f", standard deviation {significant(extras['rcp_sd'], 3)}" if "rcp_sd" in extras else ""
        yield f"the reference converges after {significant(extras['rcp_mean'])} epochs (or samples){n}{sd}"
    if "rcp_min_epochs" in extras:
        speedup = extras.get("rcp_max_speedup")
        times = "" if speedup is None else f", more than {significant(speedup)} times as fast as the reference"
        yield f"a mean below {significant(extras['rcp_min_epochs'])} would be too fast{times}"
    if "rcp_p" in extras:
        yield f"pooled one-sided t test against the reference: p = {significant(extras['rcp_p'], 2)}"
    if "rcp_equivalent" in extras:
        said = {1.0: "they converge alike", -1.0: "they do not converge alike"}
        yield f"a two-sided test with the same margin: {said.get(extras['rcp_equivalent'], 'undecided')}"


def _bias(extras: _Given) -> Iterator[str]:
    if "bias_bar" in extras:
        bar = significant(abs(extras["bias_bar"]), 3)
        yield f"bias bar ± {bar}: how far the method misses by itself, without any noise; the interval does not contain it"
    if "intercept_bias_percent" in extras:
        percent = extras["intercept_bias_percent"]
        yield f"its optima lie {significant(abs(percent), 2)} % {'above' if percent > 0 else 'below'} those of the fitted law"
    if "quartic_shift" in extras:
        shift = extras["quartic_shift"]
        sign = "+" if shift > 0 else ""
        yield f"a quartic in place of the parabola would move the value by {sign}{significant(shift, 3)}"


def _cost(extras: _Given) -> Iterator[str]:
    if extras.get("left_out"):
        count = int(extras["left_out"])
        yield f"{count} point{'' if count == 1 else 's'} below the sealed floor {'is' if count == 1 else 'are'} left out"
    if "bic_sum" in extras and "bic_power" in extras:
        gain = extras["bic_power"] - extras["bic_sum"]
        better, worse = ("a + b·x + c·x²", "a pure power") if gain > 0 else ("a pure power", "a + b·x + c·x²")
        yield f"{better} fits better than {worse}: its BIC is lower by {significant(abs(gain), 3)}"
    if "quadratic_share" in extras and "linear_share" in extras:
        square, linear = (fixed(100 * extras[name], 0) for name in ("quadratic_share", "linear_share"))
        yield f"in a + b·x + c·x² the square makes {square} % of the cost at the largest x, the linear term {linear} %"


_WRITERS: tuple[Callable[[_Given], Iterator[str]], ...] = (
    *(_prediction, _rivals, _ordering, _trend, _reference, _bias, _cost),
)
_WORDED = (
    *("superiority", "superiority_low", "trend_tau", "trend_p", "trend_reversals", "rcp_mean", "rcp_sd", "rcp_n"),
    *(
        "rcp_min_epochs",
        "rcp_max_speedup",
        "rcp_p",
        "rcp_equivalent",
        "bias_bar",
        "intercept_bias_percent",
        "quartic_shift",
    ),
    *("left_out", "bic_sum", "bic_power", "quadratic_share", "linear_share"),
)


def _hundreds(share: float) -> str:
    return fixed(100 * share, 0)
