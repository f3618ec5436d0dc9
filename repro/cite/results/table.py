"""Published results as Markdown tables: one row an attempt, and one row a paper. Pure, so that a test can tell whether a page is up to date."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from repro.cite.citation.authors import short_authors
from repro.cite.evidence.plain_markdown import plain
from repro.judge.numbers import like_interval, share
from repro.judge.reading import VALIDITY, origin, published_text, reading
from repro.judge.validity import validity_today
from repro.schema.annotation import Annotation
from repro.schema.claim import SCALES, Claim, Kind, Paper
from repro.schema.published import PublishedResult
from repro.schema.verdict import Attempt, Validity

START, END = "<!-- results -->", "<!-- /results -->"
"""Around a generated table in a page."""

SCALE_WORDS: Mapping[str, str] = {
    "full": "full",
    "paper": "the paper's scale",
    "gpu": "reduced scale: one GPU",
    "cpu": "reduced scale: CPU",
    "smoke": "smoke scale: decides nothing",
}
"""How a scale reads in a table; `full` is what needs no compute to speak of: recomputed, reanalysed, or an exact property."""

_NOUNS: Mapping[Kind, tuple[str, str]] = {
    "reproduction": ("reproduction", "reproductions"),
    "replication": ("replication", "replications"),
    "reanalysis": ("reanalysis", "reanalyses"),
    "recomputation": ("recomputation", "recomputations"),
    "conceptual_replication": ("conceptual replication", "conceptual replications"),
}
_COUNTED = (
    "Counted are attempts: of every protocol the latest, at the largest scale it was published at. What is not called reduced "
    "was done in full; *recomputation* checks published numbers against each other, *reanalysis* published data with an analysis "
    "of our own. Open: nothing is published that counts."
)
_REDUCED = {"gpu": "reduced scale (gpu)", "cpu": "reduced scale (cpu)", "smoke": "smoke scale"}


@dataclass(frozen=True)
class Row:
    """A published attempt with what its directory and the entries beside it say."""

    result: PublishedResult
    attempt: Attempt
    annotations: tuple[Annotation, ...] = ()

    @property
    def validity(self) -> Validity:
        """What its records and the entries of people make of it; whether it is stale is no matter of a table in a file."""
        return validity_today(self.attempt, self.annotations, stale=False)


def attempts_table(rows: Sequence[Row]) -> str:
    """Return one row an attempt, by claim, protocol and scale (largest first), with links to their directories.

    Claims and protocols are steps of a place that was checked, so they need no escaping.
    """
    head = ("claim, protocol", "measured", "reads as", "scale", "n", "evidence")
    lines = [_line(head), _line("---" for _ in head)]
    for row in sorted(rows, key=_order):
        result, attempt = row.result, row.attempt
        cells = (
            f"[{result.claim}]({link(result.place)}), {result.protocol}",
            plain(measured(attempt)),
            plain(reads(row)),
            plain(_scale_with_ratio(attempt)),
            plain(units(attempt)),
            f"`{result.evidence[:12]}`",
        )
        lines.append(_line(cells))
    return "\n".join(lines) + "\n"


def measured(attempt: Attempt) -> str:
    """Return what was measured beside what was printed: the value and its interval, or how many parts match."""
    if attempt.verdict is None:
        return "no verdict"
    parts = attempt.verdict.parts
    if len(parts) != 1:
        return f"{sum(part.outcome == 'match' for part in parts.values())} of {len(parts)} parts match"
    ((name, part),) = parts.items()
    value, low, high = like_interval(part.estimate.value, part.low, part.high)
    if part.estimate.value is None:
        shown = "no estimate"
    elif part.se == 0 or part.low is None or part.high is None:
        shown = value
    else:
        shown = f"{value} ({low} to {high})"
    sealed = attempt.sealed.parts[name]
    if published_text(sealed) in ("an order", "a trend"):
        return f"{shown}; {published_text(sealed)} was claimed"
    word = "derived " if origin(sealed.target) == "derived" else ""
    return f"{shown} against {word}{published_text(sealed)}"


def reads(row: Row) -> str:
    """Return how the verdict reads, with the outcome's word and what else is to be said of it today."""
    attempt = row.attempt
    outcome = attempt.verdict.outcome if attempt.verdict else "no verdict"
    text = f"{outcome}: {reading(attempt)}" if attempt.verdict else outcome
    if row.validity != "current":
        text += f"; {row.validity.replace('_', ' ')}: {VALIDITY[row.validity]}"
    return text


def units(attempt: Attempt) -> str:
    """Return n, the number of independent units, as a range where the parts differ."""
    if attempt.verdict is None or not attempt.verdict.parts:
        return ""
    estimates = [part.estimate for part in attempt.verdict.parts.values()]
    if all(estimate.deterministic for estimate in estimates):
        return "exact"
    numbers = sorted({estimate.n for estimate in estimates})
    return str(numbers[0]) if len(numbers) == 1 else f"{numbers[0]} to {numbers[-1]}"


def _scale_with_ratio(attempt: Attempt) -> str:
    words = SCALE_WORDS.get(attempt.scale, attempt.scale)
    if attempt.compute_ratio is None or attempt.scale == "full":
        return words
    return f"{words}, {share(attempt.compute_ratio)} of the paper's compute"


def papers_table(
    claims: Sequence[Claim], papers: Mapping[str, Paper], rows: Sequence[Row], pages: Mapping[str, str], results: str
) -> str:
    """Return one row a paper, and a last one with the sums.

    Of every protocol the latest attempt at its largest published scale is counted, unless it was withdrawn, is contested,
    or was sealed after its records.

    Args:
        claims: those that the table is about.
        papers: bibliography by id.
        rows: published attempts.
        pages: link to the page of a paper, by its id, where there is one.
        results: link to the table of attempts.
    """
    head = ("paper", "claims", "match", "mismatch", "inconclusive", "blocked or open")
    lines = [_line(head), _line(("---", "---:", "---", "---", "---", "---"))]
    shown = largest(rows)
    everything: dict[str, list[str]] = {name: [] for name in sorted({claim.paper for claim in claims})}
    for claim in claims:
        everything[claim.paper].append(claim.id)
    blocked = {claim.id for claim in claims if claim.blocked is not None}
    for name, ids in sorted(everything.items(), key=lambda item: _short(papers, item[0]).casefold()):
        cell = _paper_cell(papers, name, pages.get(name))
        lines.append(
            _line((cell, str(len(ids)), *_counts([row for row in shown if row.result.claim in ids], ids, blocked)))
        )
    every = [name for ids in everything.values() for name in ids]
    known = [row for row in shown if row.result.claim in set(every)]
    decided = Counter(row.result.outcome for row in known)
    sums = [f"{decided[outcome]}" for outcome in ("match", "mismatch", "inconclusive")]
    lines.append(_line((f"**[all attempts]({link(results)})**", f"{len(every)}", *sums, _rest(every, known, blocked))))
    return "\n".join([*lines, "", _COUNTED]) + "\n"


def largest(rows: Sequence[Row]) -> list[Row]:
    """Return of every protocol the latest attempt that counts at the largest scale at which one does."""
    found: dict[tuple[str, str], Row] = {}
    for row in sorted(rows, key=lambda row: (_size(row), row.result.started, row.result.attempt)):
        if row.validity == "current" and not row.result.exploratory:
            found[row.result.claim, row.result.protocol] = row
    return list(found.values())


def _counts(rows: Sequence[Row], ids: Sequence[str], blocked: set[str]) -> list[str]:
    cells = []
    for outcome in ("match", "mismatch", "inconclusive"):
        of_it = [row for row in rows if row.result.outcome == outcome]
        kinds = Counter((row.result.kind, row.result.scale) for row in of_it)
        order = sorted(kinds, key=lambda item: (-SCALES.index(item[1]) if item[1] in SCALES else 0, item[0]))
        cells.append(", ".join(_noun(kind, scale, kinds[kind, scale]) for kind, scale in order))
    return [*cells, _rest(ids, rows, blocked)]


def _noun(kind: Kind, scale: str, count: int) -> str:
    where = f" at {_REDUCED[scale]}" if scale in _REDUCED else ""
    return f"{count}\N{NO-BREAK SPACE}{_NOUNS[kind][count != 1]}{where}"


def _rest(ids: Sequence[str], rows: Sequence[Row], blocked: set[str]) -> str:
    tried = {row.result.claim for row in rows}
    stuck = sum(name in blocked for name in ids)
    idle = sum(name not in blocked and name not in tried for name in ids)
    return ", ".join(
        f"{count}\N{NO-BREAK SPACE}{word}" for count, word in ((stuck, "blocked"), (idle, "open")) if count
    )


def with_table(page: str, table: str) -> str | None:
    """Return a page with the table between its markers, or None if it has no markers."""
    before, start, rest = page.partition(START)
    _, end, after = rest.partition(END)
    return f"{before}{START}\n\n{table}\n{END}{after}" if start and end else None


def link(place: str) -> str:
    """Return a relative link as Markdown takes it."""
    return quote(place, safe="/@.-_~=+#")


def _paper_cell(papers: Mapping[str, Paper], name: str, page: str | None) -> str:
    """Return a paper so short that its row is one line; its title is what a pointer over the link shows."""
    short = plain(_short(papers, name))
    if page is None:
        return f"{short}, {plain(name)}" if name in papers else short
    title = plain(papers[name].title).replace('"', "&quot;") if name in papers else ""
    shown = f'[{short}]({link(page)} "{title}")' if title else f"[{short}]({link(page)})"
    return f"{shown}, {plain(name)}" if name in papers else shown


def _short(papers: Mapping[str, Paper], name: str) -> str:
    paper = papers.get(name)
    return f"{short_authors(paper.authors)} {paper.year}" if paper else name


def _line(cells: Iterable[str]) -> str:
    return "| " + " | ".join(cells) + " |"


def _order(row: Row) -> tuple[str, str, int, str]:
    return row.result.claim, row.result.protocol, -_size(row), row.result.attempt


def _size(row: Row) -> int:
    return SCALES.index(row.result.scale) if row.result.scale in SCALES else -1
