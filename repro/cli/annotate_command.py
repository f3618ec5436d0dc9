"""`repro annotate`."""

from typing import TYPE_CHECKING, Annotated, get_args

import typer

from repro.cli.complete import complete_attempts
from repro.schema.annotation import Annotation, AnnotationKind, broken_at, settled
from repro.schema.errors import ConfigError, nearest
from repro.schema.plain_text import plain

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.text import Text

KINDS: tuple[AnnotationKind, ...] = get_args(AnnotationKind)

MEANING = {
    "confirmed": "it changes nothing, but is shown wherever the result is",
    "disputed": "the attempt is disputed until that is settled",
    "invalidated": "the attempt is withdrawn, for ever",
    "author_reply": "it changes nothing, but is shown wherever the result is",
}
"""What an entry of each kind does."""


def complete_kinds(incomplete: str) -> list[str]:
    """Complete the kind of an entry."""
    return [kind for kind in KINDS if kind.startswith(incomplete)]


def annotate(
    attempt: Annotated[str, typer.Argument(help="An attempt's id.", autocompletion=complete_attempts)],
    kind: Annotated[
        str | None,
        typer.Argument(
            help=f"{', '.join(KINDS[:-1])} or {KINDS[-1]}; none to list the entries.", autocompletion=complete_kinds
        ),
    ] = None,
    who: Annotated[str, typer.Option("--who", help='"Name <mail or ORCID>" of whoever says it.')] = "",
    why: Annotated[str, typer.Option("--why", help="What was found, and where it can be checked.")] = "",
    settles: Annotated[
        str, typer.Option("--settles", help="First digits of the dispute that a confirmation answers.")
    ] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.annotate/1).")] = False,
) -> None:
    """Add an entry to an attempt, or list its entries.

    Entries are only ever appended: with who, when and why, each naming the one before by its digest, so that a removed or
    edited one shows. Nothing takes an entry back; a later one answers it. See docs/corrections.md.

    \b
    confirmed     changes nothing; with --settles it answers a dispute
    disputed      the attempt is disputed until that is settled
    invalidated   the attempt is withdrawn, for ever
    author_reply  a word of the paper's authors; shown wherever the result is

    \b
    Examples:
      repro annotate 'toy/mean@replicate@cpu-1a2b3c4d-1'
      repro annotate 'toy/mean@replicate@cpu-1a2b3c4d-1' disputed --who "A. Reader <a@example.org>" --why "..."
      repro annotate 'toy/mean@replicate@cpu-1a2b3c4d-1' confirmed --settles 9f3c2a71 --who "..." --why "..."
    """
    from rich.console import Console

    from repro.judge.validity import validity_today
    from repro.launch.staleness import find_stale
    from repro.ledger.annotations import annotate as append
    from repro.ledger.annotations import annotations_of, entry
    from repro.ledger.read import load_attempt

    chain = annotations_of(attempt)
    console = Console()
    new = None
    if kind is not None:
        new = entry(attempt, _kind(kind), who, why, settles)
        if not as_json:
            console.print(chain_text(attempt, chain), soft_wrap=True)
        if not as_json and broken_at(chain) is None:
            console.print(entry_text("new", new, ()), soft_wrap=True)
        with Console(stderr=True).status("Writing …"):
            chain = append(new)
    elif who or why or settles:
        raise ConfigError(f"Say what kind of entry it is: repro annotate ATTEMPT {'|'.join(KINDS)} --who ... --why ...")
    found = load_attempt(attempt)
    today = validity_today(found, chain, bool(find_stale([found])))
    if as_json:
        from repro.cli.json_output import print_json

        print_json("annotate", attempt=attempt, validity=today, broken_at=broken_at(chain), annotations=chain)
        return
    if new is None:
        console.print(chain_text(attempt, chain), soft_wrap=True)
    else:
        last = chain[-1]
        done = f"it settles the dispute {last.settles[:12]}" if last.settles else MEANING[last.kind]
        console.print(f"Written as entry {len(chain)}, {last.digest[:12]}: {done}.", soft_wrap=True, highlight=False)
    console.print(f"The attempt is {today.replace('_', ' ')}.", soft_wrap=True, highlight=False)


def _kind(word: str) -> AnnotationKind:
    for kind in KINDS:
        if word.replace("-", "_") == kind:
            return kind
    raise ConfigError(f"There is no kind of entry '{plain(word)[:40]}'.{nearest(word, KINDS)}")


def chain_text(attempt: str, chain: "Sequence[Annotation]") -> "Text":
    """Return the entries of an attempt for the terminal; control characters and markup in them mean nothing."""
    from rich.text import Text

    lines = Text(f"{attempt}: {len(chain) or 'no'} {'entry' if len(chain) == 1 else 'entries'}", style="bold")
    broken, answered = broken_at(chain), settled(chain)
    for place, entry in enumerate(chain):
        lines.append("\n")
        lines.append_text(entry_text(str(place + 1), entry, answered))
    if broken is not None:
        lines.append(
            f"\nThe chain is broken at entry {broken + 1}: an entry was removed, moved or edited, here or before. The attempt "
            f"counts as tampered.",
            style="bold red",
        )
    return lines


def entry_text(name: str, entry: Annotation, answered: "Sequence[str] | frozenset[str]") -> "Text":
    """Return one entry for the terminal."""
    from rich.text import Text

    style = {"invalidated": "red", "disputed": "yellow", "confirmed": "green"}.get(entry.kind, "cyan")
    text = Text(f"{name:>4}  ", style="")
    text.append(f"{entry.kind.replace('_', ' '):<13}", style=style)
    text.append(f"{plain(entry.when)[:16].replace('T', ' ')}  {plain(entry.who)}")
    text.append(f"  {plain(entry.digest)[:12]}" if entry.digest else "", style="dim")
    text.append("  settled" if entry.digest in answered else "", style="green")
    text.append(f"  settles {plain(entry.settles)[:12]}" if entry.settles else "", style="dim")
    paragraphs = [plain(line) for line in entry.why.splitlines()]
    for line in [line for line in paragraphs if line]:
        text.append(f"\n      {line}", style="")
    return text
