"""What is on record of a claim's attempts beside their verdicts, as people read it in a terminal."""

from typing import Any

from rich.console import Group, RenderableType
from rich.text import Text

from repro.ledger.kept import kept_provenance
from repro.review.book import Book, attempts_of, is_theirs, problems_of, stands
from repro.review.facts import added, citing, odds
from repro.review.facts.ran_on import took
from repro.schema.claim import Claim
from repro.schema.plain_text import plain
from repro.schema.verdict import Attempt


def record_view(book: Book, claim: Claim) -> RenderableType | None:
    """Return what people added to the attempts at a claim, what has changed since, who checked its values, what is published,
    and whether it can be cited; None where there is nothing of this to say."""
    lines = [Text(f"damaged: {plain(problem)}", style="yellow") for problem in problems_of(book, claim.id)]
    for attempt in attempts_of(book, claim.id):
        lines += _about(book, attempt)
    lines += [_citing(each) for each in citing.citing(book, claim)]
    return Group(*lines) if lines else None


def checks_text(book: Book, claim: Claim) -> dict[str, str]:
    """Return who compared each published value with the paper, by part."""
    return {name: added.checked_text(check) for name, check in book.source_checks.get(claim.id, {}).items()}


def record_json(book: Book, claim: Claim) -> dict[str, Any]:
    """Return the same for programs."""
    mine = [attempt.id for attempt in attempts_of(book, claim.id)]
    return {
        "annotations": {name: book.annotations[name] for name in mine if name in book.annotations},
        "stale": {name: book.stale[name] for name in mine if name in book.stale},
        "published": [book.published[name] for name in mine if name in book.published],
        "source_checks": book.source_checks.get(claim.id, {}),
        "citable": [{"attempt": each.attempt.id, "missing": each.missing} for each in citing.citing(book, claim)],
        "problems": problems_of(book, claim.id),
    }


def _about(book: Book, attempt: Attempt) -> list[Text]:
    name = odds.short_name(attempt.id)
    lines = [
        Text(
            f"{name}: {entry.label} by {plain(entry.who)}, {entry.when}: {plain(entry.why)}{_ending(entry)}",
            style="yellow",
        )
        for entry in added.entries(book.annotations.get(attempt.id, ()))
    ]
    if not attempt.exploratory:
        lines += [
            Text(f"{name} is stale: {plain(reason)}", style="yellow") for reason in book.stale.get(attempt.id, ())
        ]
    if is_theirs(attempt):
        lines.append(
            Text(f"{name}: {plain(added.origin_text(attempt))}", style="" if stands(book, attempt) else "yellow")
        )
    if how := took(kept_provenance(attempt.id)):
        lines.append(Text(f"{name}: {'; '.join(how)}", style="dim"))
    result = book.published.get(attempt.id)
    if result is not None:
        lines.append(Text(f"{name}: evidence sha256:{result.evidence}, in docs/results/{result.place}", style="dim"))
    return lines


def _ending(entry: added.Entry) -> str:
    told = [entry.settles, "settled" if entry.settled else "", "broken chain" if entry.broken else ""]
    shown = "; ".join(filter(None, told))
    return f" ({shown})" if shown else ""


def _citing(each: citing.Citing) -> Text:
    if not each.missing:
        return Text(f"Cite it: repro cite {each.known.claim.id}", style="bold")
    more = f" ({len(each.missing) - 1} more is missing)" if len(each.missing) > 1 else ""
    return Text(f"Not citable yet. {plain(each.missing[0])}{more}")
