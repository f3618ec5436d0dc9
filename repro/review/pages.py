"""Pages from a book: the same HTML whether it is served or written to disk, with relative links only."""

import json
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from repro.judge import numbers, reading
from repro.ledger.kept import kept_provenance
from repro.review import book as questions
from repro.review import overview
from repro.review.addresses import (
    DONATIONS,
    NEXT,
    TOPICS,
    attempt_address,
    badge_address,
    claim_address,
    compare_address,
    comparison_address,
    forest_address,
    paper_address,
    safe,
    study_address,
    topic_address,
    tutorial_address,
)
from repro.review.book import Book
from repro.review.facts import added, citing, combined, donations, extras, odds, rates, side_by_side, spent, trust
from repro.review.facts.comparison import comparisons_with
from repro.review.facts.evidence import evidence_of, file_name, verify_command
from repro.review.facts.history import history
from repro.review.facts.ledger_links import ledger_links
from repro.review.facts.pairs import pairs_with
from repro.review.facts.ran_on import digests, machines, took
from repro.review.facts.subjects import data_read, topic_of
from repro.review.pictures import all_attempts, figures, forest
from repro.review.pictures.charts import chart_address, charts_of, charts_on_claim
from repro.review.pictures.csv_text import csv_text
from repro.review.stories.markdown import title_of as tutorial_title
from repro.review.wording import markup, words
from repro.review.wording.labels import part_label, pretty
from repro.review.wording.papers import citation, paper_links
from repro.review.wording.readable import readable
from repro.schema.blockage import blockage_of
from repro.schema.claim import SCALES, TERMS, Claim, Protocol
from repro.schema.errors import ReproError, StoreError, nearest
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

HERE = Path(__file__).parent
TRIALS_ON_CLAIM_PAGE = 12
"""Trials listed for each attempt on the page of its claim; the attempt's own page lists all."""


def overview_page(book: Book, live: bool = False) -> str:
    """Return the page of all claims by paper. `live` adds a link to MLflow on the same server."""
    return render("overview.html", "index.html", live, book=book)


def claim_page(book: Book, claim_id: str, live: bool = False, prior: str | None = None) -> str:
    """Return the page of one claim with every attempt at it.

    Args:
        book: what the pages show.
        claim_id: which claim.
        live: whether a server answers: the page then asks for the reader's prior.
        prior: what the reader typed as a prior, if anything; what is no probability is refused on the page.

    Raises:
        StoreError: if there is no such claim.
    """
    if claim_id not in book.claims:
        raise StoreError(f"There is no claim '{claim_id}'.{nearest(claim_id, book.claims)}")
    chosen, refused = None, ""
    if prior is not None:
        try:
            chosen = odds.read_prior(prior)
        except odds.PriorError as error:
            refused = str(error)
    things = {"book": book, "claim": book.claims[claim_id], "prior": chosen, "refused": refused}
    things["attempt_page"] = False
    return render("claim.html", claim_address(claim_id), live, **things)


def attempt_page(book: Book, attempt_id: str, live: bool = False) -> str:
    """Return the page of one attempt with all its trials and its provenance.

    Raises:
        StoreError: if there is no such attempt.
    """
    attempt = book.attempt(attempt_id)
    if attempt is None:
        raise StoreError(f"There is no attempt '{attempt_id}'.{nearest(attempt_id, (a.id for a in book.attempts))}")
    claim = book.claims.get(attempt.claim)
    things = {"book": book, "claim": claim, "attempt": attempt, "attempt_page": True}
    return render("attempt.html", attempt_address(attempt_id), live, **things)


def error_page(address: str, message: str, live: bool = False) -> str:
    """Return a page that says what is wrong with the one at `address`."""
    return render("error.html", address, live, message=message)


def trials_csv(book: Book, attempt_id: str) -> str:
    """Return every row of every trial of an attempt with all digits: one line a row, settings and measurements as columns.

    Where the records cannot be read, the one line says why: a damaged record must not stop the other pages.
    """
    attempt = book.attempt(attempt_id)
    try:
        trials = book.trials(attempt_id)
    except ReproError as error:
        return csv_text([{"error": str(error)}])
    lines: list[dict[str, Any]] = []
    for trial in trials:
        head = {
            "arm": questions.arm_of(attempt, trial.key) if attempt else "",
            "trial": trial.key,
            "label": trial.label,
            "replicate": trial.replicate,
            "status": trial.status,
            "seconds": trial.seconds,
            "error": trial.error or "",
            **{f"config.{name}": value for name, value in trial.config.items()},
        }
        lines += [{**head, "row": index, **row} for index, row in enumerate(trial.rows or ({},))]
    return csv_text(lines)


def render(template: str, address: str, live: bool, **things: Any) -> str:
    """Return a template filled in; its links are relative to its address."""
    root = "../" * address.count("/")
    return readable(_environment().get_template(template).render(root=root, live=live, **things))


def macro(template: str, name: str, *arguments: Any) -> Markup:
    """Return what a macro of a template makes of its arguments."""
    made = getattr(_environment().get_template(template).module, name)(*arguments)
    assert isinstance(made, Markup)
    return made


@cache
def _environment() -> Environment:
    """Return the templates with escaping on, and the words and questions that they use."""
    environment = Environment(
        loader=FileSystemLoader(HERE / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters.update(
        number=markup.number,
        when=numbers.when,
        duration=numbers.duration,
        json=_json,
        first_line=_first_line,
        anchor=_anchor,
        soft=markup.soft,
        command=markup.command,
        bytes=words.size,
        day=words.day,
        pretty=pretty,
        need_word=words.NEED.__getitem__,
    )
    environment.globals.update(
        q=questions,
        w=words,
        r=reading,
        figures=figures,
        forest=forest,
        combined=combined,
        extras=extras,
        rates=rates,
        odds=odds,
        overview=overview,
        trust=trust,
        added=added,
        citing=citing,
        beside=side_by_side,
        citable_in=citing.citable,
        site_address=citing.site_address,
        evidence_of=evidence_of,
        evidence_name=file_name,
        verify_command=verify_command,
        badge_address=badge_address,
        label=part_label,
        ends=markup.ends,
        span=markup.span,
        forest_address=forest_address,
        chart_address=chart_address,
        charts_of=charts_of,
        charts_on_claim=charts_on_claim,
        comparison_address=comparison_address,
        comparisons_with=comparisons_with,
        tutorial_address=tutorial_address,
        tutorial_title=tutorial_title,
        figures_of=_figures_of,
        all_attempts=all_attempts,
        history_of=history,
        spent=spent,
        how_it_ran=lambda attempt: took(kept_provenance(attempt.id)),
        ledger_links=ledger_links,
        TERMS=TERMS,
        blockage_of=blockage_of,
        donations=donations,
        DONATIONS=DONATIONS,
        NEXT=NEXT,
        TOPICS=TOPICS,
        paper_address=paper_address,
        topic_address=topic_address,
        study_address=study_address,
        compare_address=compare_address,
        pairs_with=pairs_with,
        topic_of=topic_of,
        data_read=data_read,
        claim_address=claim_address,
        attempt_address=attempt_address,
        paper_links=paper_links,
        citation=citation,
        measured=markup.measured,
        trials_of=trials_of,
        measurements=_measurements,
        machines=machines,
        digests=digests,
        scales_of=_scales_of,
        rerun=rerun,
        trials_on_claim_page=TRIALS_ON_CLAIM_PAGE,
    )
    return environment


def rerun(claim_id: str, claim: Claim | None, protocol: str, scale: str) -> str:
    """Return the command that runs a protocol again."""
    several = claim is not None and len(claim.protocols) > 1
    return f"repro run {claim_id} scale={scale}" + (f" protocol={protocol}" if several else "")


def _figures_of(attempt: Attempt) -> list[tuple[str, str, float | None]]:
    """Return part, name and value of every figure of the estimator that stands nowhere else."""
    parts = attempt.verdict.parts if attempt.verdict else {}
    return [(name, what, value) for name, part in parts.items() for what, value in extras.other_figures(part).items()]


def _anchor(name: str) -> str:
    """Return an id as the name of a place on a page."""
    return safe(name).replace("/", ".")


def _scales_of(book: Book, protocol: Protocol) -> list[str]:
    """Return the scales at which a protocol can run: those of its study, or those that decide if it has no study."""
    study = book.studies.get(protocol.study)
    known = set(study.scales) if study else set(protocol.decisive)
    return [scale for scale in SCALES if scale in known]


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True, default=str)


def _first_line(text: str) -> str:
    return text.strip().split("\n")[0]


def trials_of(book: Book, attempt: Attempt) -> tuple[Sequence[TrialRecord], str]:
    """Return the records of an attempt, what went wrong first; or none and the reason why they cannot be read."""
    order = {"failed": 0, "diverged": 1}
    try:
        return sorted(book.trials(attempt.id), key=lambda trial: order.get(trial.status, 2)), ""
    except ReproError as error:
        return (), str(error)


def _measurements(trials: Sequence[TrialRecord]) -> list[str]:
    """Return the columns that trials of one row measured; trials of many rows are left to the CSV file."""
    return list(dict.fromkeys(name for trial in trials if len(trial.rows) == 1 for name in trial.rows[0]))[:6]
