"""What stands beside a verdict, in words."""

import pytest
from review_book import part_verdict

from repro.review.facts.extras import beside, bias_bar, extra_lines, other_figures
from repro.review.wording.labels import part_label, pretty, telling
from repro.schema.verdict import Estimate


@pytest.mark.parametrize(
    ("extras", "lines"),
    [
        ({}, ()),
        ({"rival_distance.other": None, "superiority": None}, ()),
        (
            {"prediction_low": 0.4, "prediction_high": 0.6, "prediction_covers": 1.0},
            ("the original, measured once more, would land in 0.4 to 0.6 (95 % prediction interval); the published value does",),
        ),
        (
            {"prediction_low": 0.4, "prediction_high": 0.6, "prediction_covers": 0.0},
            ("the original, measured once more, would land in 0.4 to 0.6 (95 % prediction interval); the published value does not",),
        ),
        ({"prediction_low": 0.4}, ()),
        (
            {"rival_distance.kaplan_law": -0.3374, "rival_excluded.kaplan_law": 1.0, "rival_distance.b": 0.1},
            ("rival kaplan law: 0.337 away, outside the interval", "rival b: 0.1 away"),
        ),
        ({"rival_distance.b": 0.1, "rival_excluded.b": 0.0}, ("rival b: 0.1 away, inside the interval",)),
        ({"sign_flip_p": 0.03125}, ("exact sign-flip p = 0.031",)),
        (
            {"superiority": 0.834, "superiority_low": 0.6049},
            ("P(A > B) = 0.83, at least 0.6 with 95 % confidence: of 100 pairs of runs the claimed winner wins 83, ties counted half",),
        ),
        ({"superiority": 1.0}, ("P(A > B) = 1: of 100 pairs of runs the claimed winner wins 100, ties counted half",)),
        (
            {"trend_tau": 0.8, "trend_p": 0.0081, "trend_reversals": 1.0},
            (
                "Kendall's τ = 0.8, one-sided p = 0.0081 (1: every pair of levels is in the claimed order)",
                "1 step from one level to the next goes the other way",
            ),
        ),
        (
            {"trend_steps": 2.0, "superiority": 0.9},
            ("P(last level beats first) = 0.9: of 100 pairs of runs the last level wins 90, ties counted half",),
        ),
        ({"intercept_bias_percent": -3.21}, ("its optima lie 3.2 % below those of the fitted law",)),
        ({"trend_reversals": 0.0}, ("no step goes the other way",)),
        ({"trend_reversals": 2.0}, ("2 steps from one level to the next go the other way",)),
        (
            {"left_out": 2.0, "bic_sum": -61.3, "bic_power": -40.0, "quadratic_share": 0.934, "linear_share": 0.06},
            (
                "2 points below the sealed floor are left out",
                "a + b·x + c·x² fits better than a pure power: its BIC is lower by 21.3",
                "in a + b·x + c·x² the square makes 93 % of the cost at the largest x, the linear term 6 %",
            ),
        ),
        (
            {"left_out": 1.0, "bic_sum": -3.0, "bic_power": -4.5},
            (
                "1 point below the sealed floor is left out",
                "a pure power fits better than a + b·x + c·x²: its BIC is lower by 1.5",
            ),
        ),
        ({"left_out": 0.0, "bic_sum": None, "bic_power": None}, ()),
        (
            {"bias_bar": -0.0213, "quartic_shift": 0.004},
            (
                "bias bar ± 0.0213: how far the method misses by itself, without any noise; the interval does not contain it",
                "a quartic in place of the parabola would move the value by +0.004",
            ),
        ),
    ],
)  # fmt: skip
def test_every_figure_that_has_words_is_said(extras: dict[str, float | None], lines: tuple[str, ...]) -> None:
    assert extra_lines(extras) == lines


@pytest.mark.parametrize(
    ("equivalent", "said"), [(1.0, "they converge alike"), (-1.0, "they do not converge alike"), (0.0, "undecided")]
)
def test_a_reference_is_told_with_what_it_allows(equivalent: float, said: str) -> None:
    extras = {
        "rcp_mean": 4.312,
        "rcp_sd": 0.21,
        "rcp_n": 18.0,
        "rcp_min_epochs": 4.1,
        "rcp_max_speedup": 1.0517,
        "rcp_p": 0.3,
    }
    assert extra_lines({**extras, "rcp_equivalent": equivalent}) == (
        "the reference converges after 4.312 epochs (or samples), the Olympic mean of 18 runs, standard deviation 0.21",
        "a mean below 4.1 would be too fast, more than 1.052 times as fast as the reference",
        "pooled one-sided t test against the reference: p = 0.3",
        f"a two-sided test with the same margin: {said}",
    )


def test_figures_of_judge_and_estimator_stand_together_and_the_rest_is_listed() -> None:
    estimate = Estimate(0.5, 0.01, 3.0, 5, extras={"bias_bar": 0.02, "seed_sd": 0.004, "superiority": 0.9})
    part = part_verdict(0.49, "match", 0.5, 0.02, extras={"superiority": 0.8})
    part = type(part)(**{**vars(part), "estimate": estimate})
    assert beside(part) == (
        "P(A > B) = 0.8: of 100 pairs of runs the claimed winner wins 80, ties counted half",
        "bias bar ± 0.02: how far the method misses by itself, without any noise; the interval does not contain it",
    )
    assert other_figures(part) == {"seed sd": 0.004}
    assert bias_bar(part) == 0.02
    assert bias_bar(part_verdict(0.49, "match", 0.5)) == 0.0


@pytest.mark.parametrize(
    ("name", "shown"), [("ppv_at_1_in_100", "ppv at 1 in 100"), ("6.8B", "6.8B"), ("_", "_"), ("a__b", "a b")]
)
def test_names_of_parts_are_words(name: str, shown: str) -> None:
    assert pretty(name) == shown
    assert part_label(None, name) == shown


@pytest.mark.parametrize(
    ("names", "longest", "shown"),
    [
        (["alpha", "beta"], 12, ["alpha", "beta"]),
        (["tokens at 1 flop of it", "tokens at 10 flop of it"], 12, ["… at 1 …", "… at 10 …"]),
        (["one very long name and no other"], 8, ["one very long name and no other"]),
        (["a b c d e f g", "a b c d e f g h"], 8, ["… f g", "… f g h"]),
        (
            ["nothing in common here", "all words are different"],
            8,
            ["nothing in common here", "all words are different"],
        ),
        (["same words here", "same words here"], 8, ["… words here", "… words here"]),
    ],
)
def test_of_long_names_the_words_that_tell_them_apart_are_kept(
    names: list[str], longest: int, shown: list[str]
) -> None:
    assert telling(names, longest) == shown
