"""The site: every path with what makes its content, for the server that answers one and the writer that writes all."""

import json
import os
import tempfile
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from pathlib import Path

from repro.cite.evidence.bundle import EvidenceError
from repro.cite.results.badge import Badge, endpoint, svg
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
from repro.review.book import Book, by_paper, orphans
from repro.review.facts.badges import claim_badge_of, paper_badge_of
from repro.review.facts.citing import LABELS, citing_attempt
from repro.review.facts.combined import together
from repro.review.facts.evidence import envelope, packed
from repro.review.facts.pairs import pairs_of
from repro.review.facts.subjects import topics
from repro.review.pages import HERE, attempt_page, claim_page, overview_page, trials_csv
from repro.review.paths import Content as Content
from repro.review.paths import Files, Paths
from repro.review.pictures.canvas import NARROW, WIDE
from repro.review.pictures.charts import NAMES, chart_address, charts_of, draw_chart, may_have_charts
from repro.review.pictures.figures import interval_figure
from repro.review.pictures.forest import forest_figure
from repro.review.pictures.picture_files import files_of_attempt, files_of_claim
from repro.review.stories.tutorial import comparison_csv, comparison_figure, comparison_page, tutorial_page
from repro.review.subject_pages import (
    compare_page,
    donations_page,
    next_page,
    paper_page,
    study_page,
    topic_page,
    topics_page,
)
from repro.schema.claim import Claim
from repro.schema.errors import StoreError
from repro.schema.verdict import Attempt


def site(book: Book, live: bool = False, prior: str | None = None) -> Mapping[str, Callable[[], Content]]:
    """Return every path of the site, relative to its root, with the function that makes its content.

    Args:
        book: what the pages show.
        live: whether MLflow answers on the same server, one level above the site.
        prior: what a reader typed as a prior for a claim, if anything.
    """
    now: dict[str, Callable[[], Content]] = {"index.html": partial(overview_page, book, live)}
    for file in sorted((HERE / "static").iterdir()):
        if live or file.name != "live.js":
            now[f"static/{file.name}"] = partial(file.read_text, "utf-8")
    for claim in book.claims.values():
        now |= _badge(claim.id, partial(claim_badge_of, book, claim))
    for paper, _ in by_paper(book):
        now |= _badge(paper.id, partial(paper_badge_of, book, paper.id))
        now[paper_address(paper.id)] = partial(paper_page, book, paper.id, live)
    now |= _of_topics(book, live)
    now[NEXT] = partial(next_page, book, live)
    now[DONATIONS] = partial(donations_page, book, live)
    for name in book.comparisons:
        now[comparison_address(name)] = partial(comparison_page, book, name, live)
        now[comparison_address(name, ".svg")] = partial(comparison_figure, book, name, WIDE)
        now[comparison_address(name, ".narrow.svg")] = partial(comparison_figure, book, name, NARROW)
        now[comparison_address(name, ".csv")] = partial(comparison_csv, book, name)
    for name in book.tutorials:
        now[tutorial_address(name)] = partial(tutorial_page, book, name, live)
    later: dict[str, Callable[[], Files]] = {}
    # An attempt's pages follow those of its claim: a writer of all then reads its records once.
    for claim in book.claims.values():
        later[claim_address(claim.id, "")] = partial(_of_claim, book, claim, live, prior)
        for attempt in book.attempts_by_claim.get(claim.id, ()):
            later[attempt_address(attempt.id, "")] = partial(_of_attempt, book, attempt, live)
        later[f"compare/{safe(claim.id)}"] = partial(_of_pairs, book, claim, live)
    for attempt in orphans(book):
        later[attempt_address(attempt.id, "")] = partial(_of_attempt, book, attempt, live)
    return Paths(now, later)


def _of_claim(book: Book, claim: Claim, live: bool, prior: str | None) -> Files:
    """Return the page of a claim and the files beside it."""
    paths: dict[str, Callable[[], Content]] = {
        claim_address(claim.id): partial(claim_page, book, claim.id, live, prior)
    }
    for number, found in enumerate(combined := together(book, claim), start=1):
        paths[forest_address(claim.id, number)] = partial(forest_figure, claim, found, WIDE)
        paths[forest_address(claim.id, number, ".narrow.svg")] = partial(forest_figure, claim, found, NARROW)
    return {**paths, **files_of_claim(book, claim, combined)}


def _of_pairs(book: Book, claim: Claim, live: bool) -> Files:
    """Return the pages of two attempts at a claim side by side."""
    return {
        compare_address(claim.id, one.id, other.id): partial(compare_page, book, claim.id, one.id, other.id, live)
        for one, other in pairs_of(book, claim.id)
    }


def _of_topics(book: Book, live: bool) -> Mapping[str, Callable[[], Content]]:
    """Return the pages of topics and of their studies."""
    paths: dict[str, Callable[[], Content]] = {TOPICS: partial(topics_page, book, live)}
    for topic, studies in topics(book).items():
        paths[topic_address(topic)] = partial(topic_page, book, topic, live)
        for study in studies:
            paths[study_address(study.id)] = partial(study_page, book, study.id, live)
    return paths


def _of_attempt(book: Book, attempt: Attempt, live: bool) -> Mapping[str, Callable[[], Content]]:
    """Return the page of an attempt and the files beside it."""
    paths: dict[str, Callable[[], Content]] = {
        attempt_address(attempt.id): partial(attempt_page, book, attempt.id, live),
        attempt_address(attempt.id, ".csv"): partial(trials_csv, book, attempt.id),
    }
    if attempt.verdict is not None:
        of = book.claims.get(attempt.claim)
        paths[attempt_address(attempt.id, ".svg")] = partial(interval_figure, of, attempt, WIDE)
        paths[attempt_address(attempt.id, ".narrow.svg")] = partial(interval_figure, of, attempt, NARROW)
    for name in (charts := _charts(book, attempt, live)):
        paths[chart_address(attempt.id, name)] = partial(draw_chart, book, attempt.id, name, WIDE)
        paths[chart_address(attempt.id, name, ".narrow.svg")] = partial(draw_chart, book, attempt.id, name, NARROW)
    return {**paths, **files_of_attempt(book, attempt, charts), **_of_evidence(book, attempt)}


def _charts(book: Book, attempt: Attempt, live: bool) -> Sequence[str]:
    """Return the names of the charts of an attempt.

    Which there are only its records tell. A server would read those of all attempts to answer for one; it takes every name there
    may be, and refuses one that is not there when it is asked for.
    """
    if live:
        return NAMES if may_have_charts(attempt) else ()
    return [chart.name for chart in charts_of(book, attempt)]


def _of_evidence(book: Book, attempt: Attempt) -> Mapping[str, Callable[[], Content]]:
    """Return the files beside the page of a published attempt: its evidence, its signature, and how it is cited."""
    if attempt.id not in book.published:
        return {}
    paths: dict[str, Callable[[], Content]] = {
        attempt_address(attempt.id, ".evidence.zip"): partial(packed, book, attempt.id),
        attempt_address(attempt.id, ".evidence.zip.dsse.json"): partial(envelope, book, attempt.id),
    }
    cited = citing_attempt(book, attempt)
    if cited is not None and not cited.missing:
        for name, (_, suffix) in LABELS.items():
            paths[attempt_address(attempt.id, suffix)] = partial(cited.text, name)
    return paths


def _badge(name: str, make: Callable[[], Badge]) -> Mapping[str, Callable[[], Content]]:
    return {
        badge_address(name): lambda: svg(make()),
        badge_address(name, ".json"): lambda: json.dumps(endpoint(make()), ensure_ascii=False) + "\n",
    }


def write_site(book: Book, out: Path) -> list[Path]:
    """Write the site as static files that work from any place, also opened from disk, and without a network.

    Each file is replaced in one step; files of other names are left alone. Evidence that cannot be read any more is not
    written; the pages say why.

    Returns:
        The files written.

    Raises:
        StoreError: if `out` is a file or cannot be written.
    """
    if out.exists() and not out.is_dir():
        raise StoreError(f"The pages need a directory, and {out} is a file. Name another place, or remove the file.")
    written = []
    for address, make in site(book).items():
        path = out / address
        try:
            content = make()
        except EvidenceError:
            continue
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            _replace(path, content)
        except OSError as error:
            raise StoreError(
                f"The pages cannot be written to {out}: {error.strerror or error} ({path}). "
                f"Name a directory that you may write to and that has space."
            ) from error
        written.append(path)
    return written


def _replace(path: Path, content: Content) -> None:
    handle, temporary = tempfile.mkstemp(dir=path.parent, prefix=".", suffix=".part")
    try:
        with os.fdopen(handle, "wb") as stream:
            stream.write(content.encode() if isinstance(content, str) else content)
        Path(temporary).chmod(0o644)
        os.replace(temporary, path)
    except BaseException:
        Path(temporary).unlink(missing_ok=True)
        raise
