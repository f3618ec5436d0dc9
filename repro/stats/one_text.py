"""Losses compare only on one text, and the standard library, which is one, differs between Python versions."""

from collections.abc import Sequence

from repro.schema.errors import EstimateError
from repro.schema.trial import TrialRecord


def require_one_text(records: Sequence[TrialRecord]) -> None:
    """Check that all finished runs on one `source` and `vocabulary` trained on the same text, by their column `text_id`.

    Raises:
        EstimateError: if they did not. Runs without that column are taken as they are.
    """
    texts: dict[tuple[object, object], dict[float, str]] = {}
    for record in records:
        if record.status == "finished" and record.rows and "text_id" in record.rows[0]:
            named = record.config.get("source"), record.config.get("vocabulary")
            python = record.machine.python
            texts.setdefault(named, {}).setdefault(record.value("text_id"), python)
    for (source, _), found in texts.items():
        if len(found) > 1:
            raise EstimateError(
                f"These runs trained on {len(found)} different texts named '{source}' (made by Python {', '.join(sorted(found.values()))}), "
                f"so that their losses do not compare. Run all of them with one Python version."
            )
