"""`repro source`."""

from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_claims
from repro.schema.errors import ConfigError, nearest
from repro.schema.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from rich.console import Group

    from repro.schema.annotation import SourceCheck
    from repro.schema.claim import Claim


def source(
    claim: Annotated[str, typer.Argument(help="A claim.", autocompletion=complete_claims)],
    part: Annotated[list[str] | None, typer.Option("--part", help="Only this part; may be given again.")] = None,
    verified: Annotated[
        str | None,
        typer.Option("--verified", help='"WHO, WHERE": who compared the values with the paper, and where they stand.'),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.source/1).")] = False,
) -> None:
    """Show where published values come from; record checks.

    A value that was taken from elsewhere is `unverified` or `secondary` until somebody opens the paper and finds it there.
    The check goes on record beside the claim, in checked/<claim>.yaml, with the value that was checked: if that is changed
    later, it is unchecked again. No seal covers it, so no result becomes stale.

    \b
    Examples:
      repro source chinchilla/tokens_14x_gpt3
      repro source chinchilla/tokens_14x_gpt3 --verified "A. Reader <a@example.org>, Table 3 on page 7 of v1"
    """
    from repro.catalog.index import load_index
    from repro.catalog.load import load_claim
    from repro.catalog.source_checks import all_checks, checks_file, record_checks, source_checks

    if any(character in claim for character in "*?["):
        raise ConfigError(
            f"'{claim}' is a glob, and a check is of one claim. `repro list '{claim}'` shows which there are."
        )
    loaded = load_claim(load_index().expand(claim)[0])
    new: tuple[SourceCheck, ...] = ()
    if verified is not None:
        who, where = _who_and_where(verified)
        new = record_checks(loaded.id, part or (), who, where)
    checks, every = source_checks(loaded), all_checks(loaded.id)
    names = [name for name in loaded.parts if not part or name in part]
    if part and len(names) < len(set(part)):
        wrong = next(name for name in part if name not in loaded.parts)
        raise ConfigError(f"{loaded.id} has no part '{wrong}'.{nearest(wrong, loaded.parts)}")
    if as_json:
        from repro.cli.json_output import print_json

        targets = {name: loaded.parts[name].target for name in names}
        rows = {
            name: {"printed": t.printed, "source": t.source, "locator": t.locator, "check": checks.get(name)}
            for name, t in targets.items()
        }
        print_json("source", claim=loaded.id, parts=rows, recorded=new)
        return
    from rich.console import Console

    console = Console()
    console.print(_table(loaded, names, checks, every))
    if new:
        count = "1 check" if len(new) == 1 else f"{len(new)} checks"
        console.print(f"Recorded {count} in {checks_file(loaded.id)}. Commit that file.", soft_wrap=True, markup=False)
    elif any(loaded.parts[name].target.source in ("unverified", "secondary") and name not in checks for name in names):
        console.print(
            f'If you have the paper: repro source {loaded.id} --verified "YOU, WHERE IT STANDS"',
            soft_wrap=True,
            markup=False,
        )


def _who_and_where(text: str) -> tuple[str, str]:
    """Split at the first comma after the name, and after the address in angle brackets if there is one."""
    start = text.find(">") + 1
    comma = text.find(",", start)
    if comma < 0:
        raise ConfigError(
            'Say who and where, with a comma between: --verified "A. Reader <a@example.org>, Table 3 on page 7".'
        )
    return text[:comma], text[comma + 1 :]


def _said(check: "SourceCheck") -> str:
    return f"{plain(check.when)}, {plain(check.who)}: {plain(check.where)}"


def _table(
    claim: "Claim", names: "Sequence[str]", checks: "Mapping[str, SourceCheck]", every: "Sequence[SourceCheck]"
) -> "Group":
    """Return one row a part, and below them who checked what: several parts often have one check."""
    from rich.console import Group
    from rich.table import Column, Table
    from rich.text import Text

    columns = [Column(name, overflow="fold") for name in ("part", "printed", "source", "where it stands", "checked")]
    table = Table(*columns, title_justify="left")
    table.title = f"Published values of {claim.id}"
    notes = list(dict.fromkeys(_said(check) for name, check in checks.items() if name in names))
    for name in names:
        target = claim.parts[name].target
        if name in checks:
            said = Text(f"yes ({notes.index(_said(checks[name])) + 1})", style="green")
        elif target.source in ("verified", "derived"):
            said = Text("nothing to check" if target.source == "derived" else "by the claim's author", style="dim")
        else:
            old = [item for item in every if item.part == name]
            said = Text(f"not any more: {plain(old[-1].printed)} was" if old else "no", style="yellow")
        where = plain(target.locator or claim.locator)
        table.add_row(Text(name), Text(target.printed), Text(target.source), Text(where), said)
    return Group(table, *(Text(f"({number}) {note}") for number, note in enumerate(notes, 1)))
