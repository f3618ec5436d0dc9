import pytest

from repro.schema.errors import EstimateError
from repro.stats.several_columns import means_of_columns, paired_differences_of_columns
from repro.stats.summary import mean_over_seeds, paired_difference
from trial_records import make_record


def records() -> list:
    made = []
    for replicate, (high, low) in enumerate([(0.9, 0.2), (0.8, 0.1), (0.95, 0.3), (0.7, 0.2), (0.85, 0.15)]):
        for arm, shift in (("a", 0.0), ("b", -0.5)):
            row = {"first": high + shift, "second": low - shift * (replicate + 1)}
            made.append(make_record(replicate, row, arm=arm))
    return made


def test_means_are_those_of_each_column() -> None:
    arm = [record for record in records() if record.config["arm"] == "a"]
    found = means_of_columns(arm, columns={"one": "first", "two": "second"}, noise="symmetric")
    assert found == {
        "one": mean_over_seeds(arm, column="first", noise="symmetric"),
        "two": mean_over_seeds(arm, column="second", noise="symmetric"),
    }
    assert found["one"].value == pytest.approx(0.84)


def test_differences_are_those_of_each_column() -> None:
    arguments = {"by": "arm", "better": "a", "worse": "b", "lower_is_better": False}
    found = paired_differences_of_columns(records(), columns={"one": "first", "two": "second"}, **arguments)
    assert found["two"] == paired_difference(records(), column="second", **arguments)
    assert found["one"].value == pytest.approx(0.5)
    assert found["two"].value == pytest.approx(-1.5)


def test_at_least_one_part_is_named() -> None:
    with pytest.raises(EstimateError, match="at least one part"):
        means_of_columns(records(), columns={})
