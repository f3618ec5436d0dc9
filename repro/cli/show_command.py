"""`repro show`."""

from typing import TYPE_CHECKING, Annotated, Any

import typer

from repro.cli.complete import complete_claims

if TYPE_CHECKING:
    from repro.review.book import Book
    from repro.schema.claim import Claim


def show(
    claim: Annotated[str, typer.Argument(help="A claim, as `repro list` names it.", autocompletion=complete_claims)],
    prior: Annotated[
        str | None, typer.Option(help="How probable you held the claim before: 0.25, or 25 %.", metavar="P")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.show/1).")] = False,
) -> None:
    """Show one claim: target, protocols, missing details, and how far to trust its verdicts.

    Also the controls of each protocol, the last verdicts from the ledger, the error rates of each calibrated
    protocol, and what the attempts make of a prior.

    \b
    Examples:
      repro show chinchilla/isoflop_params_exponent
      repro show chinchilla/isoflop_params_exponent --prior 0.25
    """
    from repro.catalog.index import load_index
    from repro.catalog.load import load, load_claim
    from repro.ledger.fast import latest_verdicts
    from repro.review.odds import read_prior

    chosen = None if prior is None else read_prior(prior)
    (name,) = load_index().expand(claim)[:1]
    found = load_claim(name)
    paper = load("paper", found.paper)
    last = [verdict for verdict in latest_verdicts() if verdict.claim == name]
    book = _book(found, bool(last))
    if as_json:
        from repro.cli.json_output import print_json

        print_json("show", claim=found, paper=paper, verdicts=last, **_trust_json(book, found, chosen))
        return
    from rich.console import Console

    from repro.cli.render import claim_view
    from repro.cli.trust_view import trust_view

    indicative = {attempt.id for attempt in book.attempts if attempt.sealed.indicative}
    trust = trust_view(book, found, chosen) if found.protocols else None
    Console().print(claim_view(found, paper, last, indicative, trust))


def _book(claim: "Claim", tried: bool) -> "Book":
    """Return the book of one claim: its attempts, and their calibrations."""
    from repro.catalog.load import load_study
    from repro.ledger.read import calibrations, load_attempts, load_trials
    from repro.review.book import Book
    from repro.review.load import current_seals

    return Book(
        claims={claim.id: claim},
        papers={},
        studies={protocol.study: load_study(protocol.study) for protocol in claim.protocols.values()},
        attempts=tuple(load_attempts(claim.id)) if tried else (),
        trials=load_trials,
        current_seals=current_seals(),
        calibrations=calibrations(claim.id) if tried else {},
    )


def _trust_json(book: "Book", claim: "Claim", prior: float | None) -> dict[str, Any]:
    from repro.review import odds
    from repro.review.trust import trust_in

    trust = [
        {
            "protocol": each.protocol,
            "scale": each.scale,
            "attempt": each.attempt.id if each.attempt else None,
            "indicative": each.attempt.sealed.indicative if each.attempt else None,
            "look": each.attempt.verdict.look if each.attempt and each.attempt.verdict else None,
            "looks": each.attempt.sealed.looks if each.attempt else None,
            "calibration": each.calibration,
        }
        for each in trust_in(book, claim)
    ]
    items = odds.evidence(book, claim)
    priors = odds.PRIORS if prior is None else (prior,)
    return {"trust": trust, "posterior": [found for p in priors for found in odds.posteriors(items, p).values()]}
