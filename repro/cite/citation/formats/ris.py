"""RIS, which EndNote, Mendeley and Zotero import: the paper and the verified result, a record each."""

from collections.abc import Iterable, Sequence

from repro.cite.citation.authors import parse_names
from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import wording
from repro.cite.citation.plain import one_line
from repro.cite.citation.works import arxiv_of, doi_of, web_address, work_of
from repro.schema.claim import Paper

_TYPES = {
    "journal": "JOUR",
    "magazine": "MGZN",
    "conference": "CONF",
    "report": "RPRT",
    "preprint": "UNPB",
    "other": "GEN",
}


def ris(citation: Citation) -> str:
    """Return two records."""
    return f"{_record(_paper(citation.paper))}\n{_record(_result(citation))}"


def _paper(paper: Paper) -> list[tuple[str, str]]:
    work = work_of(paper)
    first, _, last = work.pages.partition("–")
    return [
        ("TY", _TYPES[work.type]),
        *_names(paper.authors),
        ("TI", paper.title),
        ("PB" if work.type in ("report", "other") else "T2", work.venue),
        ("VL", work.volume),
        ("SP", first),
        ("EP", last),
        ("PY", str(paper.year)),
        ("DO", doi_of(paper)),
        ("UR", web_address(paper)),
        ("N1", f"arXiv:{arxiv_of(paper)}" if arxiv_of(paper) else ""),
        ("N1", f"Also: {work.also}" if work.also else ""),
    ]


def _result(citation: Citation) -> list[tuple[str, str]]:
    return [
        ("TY", "DATA"),
        *_names((citation.by,)),
        ("TI", citation.title),
        ("PY", citation.finished[:4]),
        ("DA", citation.finished.replace("-", "/")),
        ("PB", citation.software),
        ("AN", citation.evidence),
        ("ID", citation.key),
        ("UR", citation.web_address),
        ("N1", wording.note(citation)),
    ]


def _record(fields: Iterable[tuple[str, str]]) -> str:
    # A field is one line: whatever stands on a line of its own is read as a field.
    lines = [f"{tag}  - {line}" for tag, value in fields if (line := one_line(value))]
    return "\n".join([*lines, "ER  - ", ""])


def _names(authors: Sequence[str]) -> list[tuple[str, str]]:
    return [("AU", name.family if name.group else f"{name.surname}, {name.given}") for name in parse_names(authors)]
