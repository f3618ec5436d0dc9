"""CSL-JSON, which Zotero, pandoc and citation processors read: the paper and the verified result, an item each."""

import json
from collections.abc import Sequence
from typing import Any

from repro.cite.citation.authors import parse_names
from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import wording
from repro.cite.citation.plain import one_line
from repro.cite.citation.works import arxiv_of, doi_of, paper_key, web_address, work_of
from repro.schema.claim import Paper

_TYPES = {
    "journal": "article-journal",
    "magazine": "article-magazine",
    "conference": "paper-conference",
    "report": "report",
    "preprint": "article",
    "other": "document",
}


def csl(citation: Citation) -> str:
    """Return a list of two items as JSON."""
    return json.dumps([_paper(citation.paper), _result(citation)], indent=2, ensure_ascii=False) + "\n"


def _paper(paper: Paper) -> dict[str, Any]:
    work = work_of(paper)
    return _filled(
        {
            "id": paper_key(paper),
            "type": _TYPES[work.type],
            "author": _names(paper.authors),
            "title": one_line(paper.title),
            "publisher" if work.type in ("report", "other") else "container-title": one_line(work.venue),
            "volume": work.volume,
            "page": work.pages.replace("–", "-"),
            "issued": {"date-parts": [[paper.year]]},
            "DOI": doi_of(paper),
            "archive": "arXiv" if arxiv_of(paper) else "",
            "archive_location": arxiv_of(paper),
            "number": f"arXiv:{arxiv_of(paper)}" if work.type == "preprint" and arxiv_of(paper) else "",
            "URL": web_address(paper),
            "note": f"Also: {one_line(work.also)}" if work.also else "",
        }
    )


def _result(citation: Citation) -> dict[str, Any]:
    date = [int(number) for number in citation.finished.split("-")] if citation.finished else []
    return _filled(
        {
            "id": citation.key,
            "type": "dataset",
            "author": _names((citation.by,)),
            "title": citation.title,
            "issued": {"date-parts": [date]} if date else None,
            "number": citation.attempt,
            "publisher": citation.software,
            "archive_location": citation.evidence,
            "URL": citation.web_address,
            "note": wording.note(citation),
        }
    )


def _names(authors: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"literal": name.family}
        if name.group
        else _filled({"family": name.family, "given": name.given, "non-dropping-particle": name.particle})
        for name in parse_names(authors)
    ]


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}
