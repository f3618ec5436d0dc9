"""What stands beside a verdict in the list."""

import pytest

from repro.cli.list_command import _marks
from repro.ledger.fast import LatestVerdict
from repro.schema.published import PublishedResult

ID = "toy/mean@replicate@cpu-0123abcd-1"
PUBLISHED = PublishedResult(
    attempt=ID, claim="toy/mean", paper="toy", protocol="replicate", kind="replication", scale="cpu", outcome="match",
    reason=None, validity="current", exploratory=False, indicative=False, started="2026-01-01T10:00:00+00:00",
    compute_ratio=None, commit="0" * 40, evidence="e" * 64, place="toy/mean/replicate@cpu-0123abcd-1",
)  # fmt: skip


@pytest.mark.parametrize(
    ("attempt", "started", "marks"),
    [
        (ID, PUBLISHED.started, ("published",)),
        (ID, "2026-02-02T10:00:00+00:00", ()),
        (f"{ID}~eeeeeeee", PUBLISHED.started, ("published",)),
    ],
    ids=["itself", "run again, of the same id", "beside one of the same id"],
)
def test_only_the_published_attempt_is_marked_so(
    monkeypatch: pytest.MonkeyPatch, attempt: str, started: str, marks: tuple[str, ...]
) -> None:
    monkeypatch.setattr("repro.ledger.published.published_results", lambda: (PUBLISHED,))
    monkeypatch.setattr("repro.ledger.annotations.readable_annotations", lambda: ({}, {}))
    verdict = LatestVerdict("toy/mean", "replicate", "cpu", "match", None, "current", "completed", started, attempt)
    found = _marks([verdict]).get(attempt, ())
    assert tuple(mark for mark in found if mark != "theirs") == marks
