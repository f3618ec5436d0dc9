"""The quick reader of attempts against the careful one: the same object, or none."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ledger_examples import attempt, claim, record, verdict

from repro.ledger.quick import quick_attempt
from repro.schema.canonical import canonical_json
from repro.schema.documents import read_attempt
from repro.schema.errors import RecordError
from repro.schema.jsonform import to_json

CLAIM = claim(("tall", "wide @ 2×"))
ATTEMPT = attempt(CLAIM, [record(0), record(1)], verdict(CLAIM, {"tall": 0.5, "wide @ 2×": None}), config={"lr": 1e-3})
TEXT = canonical_json(to_json(ATTEMPT)) + "\n"


PUBLISHED = sorted((Path(__file__).parents[2] / "docs" / "results").rglob("attempt.json"))


def test_there_are_published_attempts_to_compare_with() -> None:
    assert len(PUBLISHED) > 100


@pytest.mark.parametrize("file", PUBLISHED, ids=lambda file: file.parent.name)
def test_every_published_attempt_is_the_same_object(file: Path) -> None:
    text = file.read_text(encoding="utf-8")
    assert quick_attempt(text) == read_attempt(text, "attempt")


def test_an_attempt_of_the_ledger_is_the_same_object_down_to_its_types() -> None:
    quick, careful = quick_attempt(TEXT), read_attempt(TEXT, "attempt")
    assert quick is not None
    assert quick == careful
    assert repr(quick) == repr(careful)
    assert quick.sealed.digest == careful.sealed.digest


CHANGES: dict[str, Callable[[dict[str, Any]], Any]] = {
    "an unknown key": lambda content: {**content, "more": 1},
    "an unknown key deep inside": lambda content: {**content, "sealed": {**content["sealed"], "more": 1}},
    "a missing key": lambda content: {key: value for key, value in content.items() if key != "arms"},
    "a number as text": lambda content: {**content, "counter": "1"},
    "a whole number with a point": lambda content: {**content, "counter": 1.5},
    "a truth value as a number": lambda content: {**content, "exploratory": 0},
    "an unknown word": lambda content: {**content, "execution": "done"},
    "text in the place of a list": lambda content: {**content, "arms": {"main": "abc"}},
    "another version": lambda content: {**content, "version": 99},
    "another version of the seal": lambda content: {**content, "sealed": {**content["sealed"], "version": 99}},
    "a list": lambda content: [content],
    "two of them": lambda content: content,
}


@pytest.mark.parametrize("change", CHANGES)
def test_what_is_not_plainly_an_attempt_is_left_to_the_careful_reader(change: str) -> None:
    text = json.dumps(CHANGES[change](json.loads(TEXT)))
    text = f"{text}, {text}" if change == "two of them" else text
    assert quick_attempt(text) is None
    with pytest.raises(RecordError):
        read_attempt(text, "attempt")


@pytest.mark.parametrize("number", ["NaN", "Infinity", "1e999", "-1e999"])
@pytest.mark.parametrize("place", ['"seconds": 1', '"config": {"lr": 1'])
def test_a_number_that_is_none_is_left_to_the_careful_reader(number: str, place: str) -> None:
    content = {**json.loads(TEXT), "seconds": 1, "config": {"lr": 1}}
    text = json.dumps(content)
    assert place in text
    text = text.replace(place, f"{place.removesuffix('1')}{number}")
    assert quick_attempt(text) is None
    with pytest.raises(RecordError):
        read_attempt(text, "attempt")


@given(cut=st.integers(0, len(TEXT) - 2))
def test_an_attempt_that_was_cut_short_is_left_to_the_careful_reader(cut: int) -> None:
    assert quick_attempt(TEXT[:cut]) is None


ANYTHING = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**70), 2**70)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)


@given(config=st.dictionaries(st.text(), ANYTHING, max_size=4), message=st.text(), seconds=st.floats(0, 1e300))
def test_what_the_quick_reader_returns_the_careful_one_returns_too(
    config: dict[str, Any], message: str, seconds: float
) -> None:
    content = {**json.loads(TEXT), "config": config, "message": message, "seconds": seconds}
    try:
        text = canonical_json(content)
        careful = read_attempt(text, "attempt")
    except (ValueError, RecordError):
        return
    quick = quick_attempt(text)
    assert quick is None or (quick == careful and repr(quick) == repr(careful))


@given(key=st.sampled_from(sorted(json.loads(TEXT))), value=ANYTHING)
def test_what_the_careful_reader_refuses_the_quick_one_does_not_take(key: str, value: Any) -> None:
    text = json.dumps({**json.loads(TEXT), key: value})
    quick = quick_attempt(text)
    try:
        careful = read_attempt(text, "attempt")
    except RecordError:
        assert quick is None
    else:
        assert quick is None or quick == careful
