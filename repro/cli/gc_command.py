"""`repro gc`."""

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from repro.launch.records.unreferenced import Known, Leftover


def gc(
    remove: Annotated[bool, typer.Option("--remove", help="Remove what is listed, after asking.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="With --remove: do not ask.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.gc/1), file by file.")] = False,
) -> None:
    """List what nothing refers to any more, or remove it.

    Looks at this directory's store of plans and records: leftovers of trials that are done or of no plan, plans of no attempt,
    attempts whose plan is gone. What a plan, an attempt of the ledger or a published one refers to stays, so does what is
    younger than ten minutes, and nothing is removed while trials run. See docs/watching.md.

    \b
    Examples:
      repro gc
      repro gc --remove
      repro gc --remove --yes
    """
    import sys
    import time

    from repro.launch.records.removal import remove as remove_all
    from repro.launch.records.removal import require_idle
    from repro.launch.records.unreferenced import leftovers
    from repro.schema.errors import StoreError
    from repro.schema.places import home_dir

    home, now = home_dir(), time.time()
    if remove:
        require_idle(home / "records")
    found, young = leftovers(home, _known, now)
    if found and remove and not yes:
        if as_json or not sys.stdin.isatty():
            raise StoreError(
                "`repro gc --remove` asks before it removes anything, and nobody can answer here. Add --yes."
            )
        _print(found, young, now)
        if not typer.confirm(f"Remove {_counted(len(found))}?"):
            raise typer.Exit(0)
    gone = remove_all(found, home) if remove else 0
    if as_json:
        from repro.cli.json_output import print_json

        print_json(
            "gc",
            found=[
                {"path": str(each.path), "kind": each.kind, "bytes": each.size, "age_s": max(0.0, now - each.changed)}
                for each in found
            ],
            young=young,
            removed=gone,
        )
        return
    if not remove or yes:
        _print(found, young, now)
    if remove and found:
        print(f"Removed {_counted(gone)}.")
    elif found:
        print("Nothing was removed. To remove them: repro gc --remove")


def _known() -> "Known":
    """Return what the ledger and the published results refer to."""
    from repro.launch.records.unreferenced import Known
    from repro.ledger.read import load_attempts

    attempts = load_attempts()
    keys = (key for attempt in attempts for arm in attempt.arms.values() for key in arm)
    return Known(frozenset(attempt.id for attempt in attempts), frozenset(keys))


def _print(found: "Sequence[Leftover]", young: int, now: float) -> None:
    from rich.console import Console

    if found:
        Console().print(_table(found, now))
    else:
        print("There is nothing that nothing refers to.")
    if young:
        print(f"{_counted(young)} younger than ten minutes {'was' if young == 1 else 'were'} left out.")


def _table(found: "Sequence[Leftover]", now: float) -> "Table":
    from rich import box
    from rich.table import Column, Table

    table = Table(
        Column("what"),
        Column("files", justify="right"),
        Column("size", justify="right", no_wrap=True),
        Column("last changed", justify="right", no_wrap=True),
        box=box.SIMPLE_HEAD,
        pad_edge=False,
    )
    for kind in dict.fromkeys(each.kind for each in found):
        group = [each for each in found if each.kind == kind]
        ages = sorted(max(0.0, now - each.changed) for each in group)
        span = " to ".join(dict.fromkeys((_age(ages[0]), _age(ages[-1]))))
        table.add_row(kind, str(len(group)), _size(sum(each.size for each in group)), f"{span} ago")
    table.add_section()
    table.add_row("in all", str(len(found)), _size(sum(each.size for each in found)), "")
    return table


def _age(seconds: float) -> str:
    from repro.judge.numbers import duration

    return duration(seconds) if seconds < 2 * 86400 else f"{seconds / 86400:.0f} days"


def _size(count: int) -> str:
    """Return bytes as people read them.

    >>> _size(900), _size(3 * 2**20)
    ('900 B', '3.0 MiB')
    """
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if size < 1024:
            break
        size, unit = size / 1024, larger
    return f"{count} B" if unit == "B" else f"{size:.1f} {unit}"


def _counted(count: int) -> str:
    return "1 file or directory" if count == 1 else f"{count} files and directories"
