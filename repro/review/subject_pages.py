"""The pages of papers, topics and studies, of two attempts side by side, and of what to run next."""

from collections.abc import Mapping, Sequence

from repro.review.addresses import (
    DONATIONS,
    NEXT,
    TOPICS,
    compare_address,
    paper_address,
    study_address,
    topic_address,
)
from repro.review.book import Book, is_theirs
from repro.review.facts import donations, next_runs, subjects
from repro.review.facts.differences import Difference, agreements, differences
from repro.review.facts.pairs import pairs_of
from repro.review.pages import render, trials_of
from repro.schema.errors import StoreError, nearest
from repro.schema.verdict import Attempt


def paper_page(book: Book, name: str, live: bool = False) -> str:
    """Return the page of a paper with all its claims.

    Raises:
        StoreError: if no claim is of such a paper.
    """
    papers = subjects.papers_with_claims(book)
    if name not in papers:
        raise StoreError(f"There is no paper '{name}' with claims.{nearest(name, papers)}")
    paper, claims = papers[name]
    deviations = {
        sentence: None for claim in claims for each in claim.protocols.values() for sentence in each.deviations
    }
    things = {"paper": paper, "claims": claims, "deviations": list(deviations)}
    return render("paper.html", paper_address(name), live, book=book, s=subjects, **things)


def topics_page(book: Book, live: bool = False) -> str:
    """Return the page of all topics."""
    return render("topics.html", TOPICS, live, book=book, s=subjects, topics=subjects.topics(book))


def topic_page(book: Book, name: str, live: bool = False) -> str:
    """Return the page of a topic: its studies, and the claims that read them.

    Raises:
        StoreError: if no study is of such a topic.
    """
    topics = subjects.topics(book)
    if name not in topics:
        raise StoreError(f"There is no topic '{name}'.{nearest(name, topics)}")
    claims = subjects.claims_reading(book, topics[name])
    things = {"topic": name, "studies": topics[name], "claims": claims}
    return render("topic.html", topic_address(name), live, book=book, s=subjects, **things)


def study_page(book: Book, name: str, live: bool = False) -> str:
    """Return the page of a study: recipe, scales with trials and compute, data sets, and the claims that read it.

    Raises:
        StoreError: if there is no such study.
    """
    if name not in book.studies:
        raise StoreError(f"There is no study '{name}'.{nearest(name, book.studies)}")
    study = book.studies[name]
    claims = subjects.claims_reading(book, (study,))
    return render("study.html", study_address(name), live, book=book, s=subjects, study=study, claims=claims)


def compare_page(book: Book, claim_id: str, one: str, other: str, live: bool = False) -> str:
    """Return the page of two attempts at a claim side by side, what differs first.

    Raises:
        StoreError: if there is no such claim, or the two have no page together.
    """
    if claim_id not in book.claims:
        raise StoreError(f"There is no claim '{claim_id}'.{nearest(claim_id, book.claims)}")
    pairs = {(a.id, b.id): (a, b) for a, b in pairs_of(book, claim_id)}
    if (one, other) not in pairs:
        of = [attempt for pair in pairs for attempt in pair]
        raise StoreError(f"'{one}' and '{other}' have no page together.{nearest(other, of)}")
    first, second = pairs[one, other]
    trials = {attempt.id: trials_of(book, attempt)[0] for attempt in (first, second)}
    return render(
        "compare.html",
        compare_address(claim_id, one, other),
        live,
        book=book,
        claim=book.claims[claim_id],
        one=first,
        other=second,
        names=_names(first, second),
        differing=_grouped(differences(first, second, trials)),
        agreeing=_grouped(agreements(first, second, trials)),
    )


def next_page(book: Book, live: bool = False) -> str:
    """Return the page of open claims by what a GPU-hour would decide."""
    runs = next_runs.next_runs(book)
    things = {"kinds": next_runs.kinds(runs), "stuck": next_runs.stuck(book), "open": next_runs.open_claims(book)}
    return render("next.html", NEXT, live, book=book, speed=next_runs.ASSUMED_SPEED, **things)


def donations_page(book: Book, live: bool = False) -> str:
    """Return the page of what is missing for blocked claims, and what hours of a device would pay for."""
    things = {"blocked": donations.blocked_claims(book), "budgets": donations.budgets(book)}
    things["wanted"] = donations.wanted(book)
    return render("donations.html", DONATIONS, live, book=book, speed=next_runs.ASSUMED_SPEED, **things)


def _names(one: Attempt, other: Attempt) -> tuple[str, str]:
    """Return how two attempts are told apart: by their protocols, else by their scales, else by their order."""
    told = ("Earlier", "Later")
    if one.protocol != other.protocol:
        told = f"{one.protocol} at {one.scale}", f"{other.protocol} at {other.scale}"
    elif one.scale != other.scale:
        told = f"At {one.scale}", f"At {other.scale}"
    first, second = (f"{name}, theirs" if is_theirs(a) else name for name, a in zip(told, (one, other), strict=True))
    return first, second


def _grouped(lines: Sequence[Difference]) -> Mapping[str, Sequence[Difference]]:
    groups: dict[str, list[Difference]] = {}
    for line in lines:
        groups.setdefault(line.group, []).append(line)
    return groups
