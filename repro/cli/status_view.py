"""Which attempts have become stale."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from fnmatch import fnmatchcase
from typing import Any

from rich.text import Text

from repro.judge.staleness import read_stale
from repro.schema.errors import StoreError
from repro.schema.places import stale_file
from repro.schema.plain_text import plain
from repro.schema.verdict import Attempt


def stale_line(pattern: str) -> str:
    """Return how many attempts were stale when that was last worked out, in one sentence; empty if it never was."""
    file = stale_file()
    try:
        found = [name for name in read_stale(file.read_text(encoding="utf-8"), str(file)) if _is_of(name, pattern)]
        when = datetime.fromtimestamp(file.stat().st_mtime).isoformat(" ", timespec="minutes")
    except (OSError, UnicodeDecodeError, StoreError):
        return ""  # the next `repro status --stale` writes it again
    if not found:
        return f"None was stale at {when}. Look again: repro status --stale"
    count = "1 attempt was" if len(found) == 1 else f"{len(found)} attempts were"
    return f"{count} stale at {when}. Which, why, and how to run them again: repro status --stale"


def _is_of(attempt: str, pattern: str) -> bool:
    return fnmatchcase(attempt.partition("@")[0], pattern)


def stale_rows(pattern: str) -> tuple[list[dict[str, Any]], int]:
    """Return one row a stale attempt, and how many attempts were looked at."""
    from repro.launch.staleness import find_stale, readable_attempts, run_again, write_stale

    attempts = {attempt.id: attempt for attempt in readable_attempts() if fnmatchcase(attempt.claim, pattern)}
    found = write_stale() if pattern == "*" else find_stale(attempts.values())
    since = {
        _place(attempt): name
        for name, attempt in attempts.items()
        if name not in found and attempt.execution == "completed" and not attempt.exploratory
    }
    rows = [
        {
            "attempt": name,
            "claim": attempts[name].claim,
            "seal": attempts[name].sealed.digest,
            "seal_now": stale.seal_now,
            "reasons": stale.reasons,
            "run_since": since.get(_place(attempts[name])),
            "command": None if _place(attempts[name]) in since else run_again(attempts[name]) or None,
            "imported": bool(attempts[name].provenance.get("origin")),
        }
        for name, stale in found.items()
        if name in attempts
    ]
    return rows, len(attempts)


def _place(attempt: Attempt) -> tuple[str, str, str]:
    return attempt.claim, attempt.protocol, attempt.scale


def stale_view(rows: Sequence[Mapping[str, Any]], known: int, pattern: str) -> Text:
    """Return the stale attempts with reasons, then the commands that run them again, each once."""
    if not known:
        which = "No attempt" if pattern == "*" else f"No attempt of {plain(pattern)}"
        return Text(f"{which} is in the ledger or published. Start with: repro demo")
    count = "1 attempt" if known == 1 else f"{known} attempts"
    if not rows:
        return Text(f"None of {count} is stale: each would be sealed today as it was.")
    text = Text(f"{len(rows)} of {count} {'is' if len(rows) == 1 else 'are'} stale\n")
    for row in rows:
        text.append(f"\n{plain(row['attempt'])}", style="bold")
        text.append("  (theirs)" if row["imported"] else "", style="dim")
        for reason in row["reasons"]:
            text.append(f"\n  {plain(reason)}")
        if row["run_since"]:
            text.append(f"\n  Run again since: {plain(row['run_since'])}", style="dim")
    commands = list(dict.fromkeys(row["command"] for row in rows if row["command"]))
    if commands:
        text.append("\n\nRun them again:" if len(commands) > 1 else "\n\nRun it again:")
        for command in commands:
            text.append(f"\n  {plain(command)}", style="cyan")
    return text
