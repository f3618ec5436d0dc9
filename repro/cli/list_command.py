"""`repro list`."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from repro.cli.complete import complete_claims
from repro.schema.claim import SCALES

if TYPE_CHECKING:
    from collections.abc import Sequence

    from repro.catalog.index import ClaimEntry
    from repro.ledger.fast import LatestVerdict


def list_claims(
    pattern: Annotated[
        str, typer.Argument(help="A glob over claim names, in quotes.", autocompletion=complete_claims)
    ] = "*",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.list/1).")] = False,
) -> None:
    """List the claims, where each can run, its last verdict.

    Beside a verdict stands what a reader should know: published, theirs, exploratory, stale (as last worked out by
    `repro pages` or `repro status --stale`), disputed, invalidated.

    \b
    Examples:
      repro list
      repro list 'chinchilla/*'
      repro list --json | jq '.claims[].id'
    """
    from repro.catalog.index import load_index
    from repro.ledger.fast import latest_verdicts

    index = load_index()
    names = index.expand(pattern)
    verdicts: dict[str, dict[str, str]] = {}
    shown: dict[str, list[str]] = {}
    latest = latest_verdicts()
    marks = _marks(latest)
    for verdict in latest:
        outcome = verdict.outcome or verdict.execution
        # Ours come first; theirs answers where we have nothing.
        verdicts.setdefault(verdict.claim, {}).setdefault(f"{verdict.protocol}@{verdict.scale}", outcome)
        where = ", ".join((verdict.scale, *marks.get(verdict.attempt, ())))
        shown.setdefault(verdict.claim, []).append(f"{outcome} ({where})")
    if as_json:
        from repro.cli.json_output import print_json
        from repro.schema.jsonform import to_json

        print_json(
            "list",
            claims=[{**to_json(index.claims[name]), "verdicts": verdicts.get(name, {})} for name in names],
            marks={
                each.attempt: marks[each.attempt] for each in latest if each.attempt in marks and each.claim in names
            },
            problems=index.problems,
        )
    else:
        width = max(len(name) for name in names)
        paper = ""
        for name in names:
            entry = index.claims[name]
            if entry.title != paper:
                paper = entry.title
                print(typer.style(f"\n{paper}", bold=True) if sys.stdout.isatty() else f"\n{paper}")
            scales = "blocked" if entry.blocked else " ".join(_scales(entry))
            last = ", ".join(shown.get(name, ()))
            print(f"  {name:<{width}}  {scales:<17}  {last or ('' if entry.blocked else 'not run')}")
        blocked = sum(index.claims[name].blocked is not None for name in names)
        print(f"\n{len(names)} claims, {blocked} blocked. More of one: repro show CLAIM")
    for problem in index.problems:
        print(f"error: {problem}", file=sys.stderr)
    if index.problems:
        raise typer.Exit(2)


def _marks(verdicts: "Sequence[LatestVerdict]") -> dict[str, tuple[str, ...]]:
    """Return what stands beside each verdict, by its attempt: from tags, indexes and small files, no artifact is read."""
    from repro.ledger.annotations import readable_annotations
    from repro.ledger.published import name_with_digest, published_results
    from repro.review.load import stale_reasons
    from repro.schema.annotation import broken_at, standing

    stale, (added, unreadable) = stale_reasons(), readable_annotations()
    # The id alone does not tell: whoever runs a published attempt again gets the same one.
    published = {
        (name, each.started)
        for each in published_results()
        for name in (each.attempt, name_with_digest(each.attempt, each.evidence))
    }
    found = {}
    for verdict in verdicts:
        entries = added.get(verdict.attempt, ())
        contested = "tampered" if broken_at(entries) is not None else standing(entries)
        told = {
            verdict.validity.replace("_", " "): verdict.validity not in ("", "current", contested),
            contested or "": contested is not None,
            "annotations unreadable": verdict.attempt in unreadable,
            "stale": verdict.attempt in stale and verdict.validity != "stale" and not verdict.exploratory,
            "exploratory": verdict.exploratory,
            "theirs": verdict.theirs,
            "published": verdict.published or (verdict.attempt, verdict.started) in published,
        }
        found[verdict.attempt] = tuple(word for word, holds in told.items() if holds)
    return {attempt: words for attempt, words in found.items() if words}


def _scales(entry: "ClaimEntry") -> list[str]:
    there = {scale for protocol in entry.protocols.values() for scale in protocol.scales}
    return [scale for scale in SCALES if scale in there]
