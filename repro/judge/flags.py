"""What a flag of an estimate or verdict means, in words, on pages, in citations and in evidence alike."""

from collections.abc import Mapping

FLAGS: Mapping[str, str] = {
    "target_spread_unknown": "near the printed value: how far the paper's own runs spread is unknown",
    "borrowed_spread": "the paper ran once; our own spread stands in for its",
    "skew_guard": "the interval is widened, because a few runs cannot show whether their noise is skewed; more runs narrow it",
    "heavy_tailed": "a few runs lie far from the rest, which bends a mean and its interval; look at the trials, then "
    "run more seeds, or seal a new attempt on logs if the quantity is positive",
    "multimodal": "the runs fall into separate groups, and their mean describes neither; look for what sets the groups "
    "apart in the trials, and test each by itself",
    "interpolated": "no reference ran at this batch size; its mean is interpolated between the neighbouring ones",
    "no_spread": "all runs gave the same value, so their noise cannot be estimated",
    "ranked": "signed ranks decide instead of values, because a run diverged, has no finite value, or the claim is one of order alone",
    "no_control": "the protocol has no control, so it could not have failed",
    "systematic_error": "a known bias (the choice of window, or the parabola itself), not the number of runs, limits this estimate",
    "not_deterministic": "runs that must agree did not",
    "too_few_budgets": "too few budgets for a line with an interval",
    "too_few_sizes": "too few model sizes on the frontier for a line with an interval",
    "few_points": "some budgets have fewer sizes near their optimum than a parabola should rest on",
    "uncertified_optimum": "the search did not prove that this is the best fit; another start may end lower",
    "repeated_data": "some runs saw their text more than four times, beyond which repeated text teaches less than new text",
    "unequal_arms": "one arm scatters more than the other, so that their differences may be skewed",
}
"""Flags of an estimate or verdict that need a sentence."""


def flag_text(flag: str) -> str:
    """Return a flag of an estimate or verdict in words."""
    return FLAGS.get(flag, flag.replace("_", " "))
