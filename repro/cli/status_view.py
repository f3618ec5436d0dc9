"""How far launched attempts are."""

from collections.abc import Mapping, Sequence
from fnmatch import fnmatchcase
from typing import Any

from rich.table import Column, Table

from repro.cli.render import outcome_text
from repro.launch.attempt import to_run
from repro.launch.planfile import read_plan
from repro.launch.records import RecordStore
from repro.ledger.fast import LatestVerdict
from repro.schema.errors import PlanError
from repro.schema.places import home_dir, records_dir


def status_rows(pattern: str, verdicts: Sequence[LatestVerdict]) -> tuple[list[dict[str, Any]], list[PlanError]]:
    """Return one row an attempt launched from here, and the errors of plans that cannot be read.

    A row says how many of the attempt's trials are done, running and failed.
    """
    store = RecordStore(records_dir())
    by_attempt: Mapping[str, LatestVerdict] = {verdict.attempt: verdict for verdict in verdicts}
    running = set(store.running())
    rows: dict[str, dict[str, Any]] = {}
    unreadable: list[PlanError] = []
    for file in sorted((home_dir() / "plans").glob("*.json")):
        try:
            plan = read_plan(file)
        except PlanError as error:
            unreadable.append(error)
            continue
        missing = {spec.key for spec in to_run(plan, store, all_looks=True)}
        for attempt in plan.attempts:
            if not attempt.requested or not fnmatchcase(attempt.claim, pattern):
                continue
            keys = {key for arm in attempt.arms.values() for key in arm}
            verdict = by_attempt.get(attempt.id)
            rows[attempt.id] = {
                "attempt": attempt.id,
                "done": len(keys - missing),
                "trials": len(keys),
                "running": len(keys & missing & running),
                "failed": sum(bool(store.failures(key)) for key in keys & missing),
                "verdict": verdict.outcome if verdict else None,
                "execution": verdict.execution if verdict else ("running" if keys & missing & running else "planned"),
            }
    return list(rows.values()), unreadable


def status_table(rows: Sequence[Mapping[str, Any]]) -> Table:
    """Return the status as a table."""
    table = Table(
        Column("attempt", overflow="fold"),
        "trials done",
        "running",
        "failed",
        "verdict",
        title="Launched from this directory",
        title_justify="left",
    )
    for row in rows:
        state = row["verdict"] or row["execution"]
        table.add_row(
            row["attempt"],
            f"{row['done']} of {row['trials']}",
            str(row["running"]),
            str(row["failed"]),
            outcome_text(state),
        )
    return table
