"""Runs on two texts of one name are not pooled."""

import pytest

from repro.schema.errors import EstimateError
from repro.stats.one_text import require_one_text
from scaling_law_runs import record


def test_runs_on_one_text_pass() -> None:
    rows = [{"loss": 2.0, "text_id": 7.0}]
    require_one_text([record(rows, {"source": "stdlib", "run": run}, run) for run in range(3)])
    require_one_text([record([{"loss": 2.0}], {"source": "stdlib"}, 0)])


def test_two_sources_are_two_texts() -> None:
    require_one_text(
        [record([{"text_id": float(i)}], {"source": source}, 0) for i, source in enumerate(("stdlib", "code"))]
    )


def test_two_texts_of_one_name_are_refused() -> None:
    made = [record([{"text_id": float(i)}], {"source": "stdlib"}, i) for i in range(2)]
    with pytest.raises(EstimateError, match="2 different texts named 'stdlib'"):
        require_one_text(made)
