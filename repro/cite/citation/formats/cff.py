"""A CITATION.cff (1.2.0) of the verified result; its `references` name the paper and the result, ready to be copied."""

from collections.abc import Sequence
from typing import Any

from repro.cite.citation.authors import parse_names
from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import wording
from repro.cite.citation.plain import one_line
from repro.cite.citation.works import arxiv_of, doi_of, web_address, work_of
from repro.schema.claim import Paper

_TYPES = {
    "journal": "article",
    "magazine": "magazine-article",
    "conference": "conference-paper",
    "report": "report",
    "preprint": "article",
    "other": "generic",
}


def cff(citation: Citation) -> str:
    """Return the file as YAML."""
    import yaml

    class Plain(yaml.SafeDumper):
        """Writes what stands twice out twice: people copy one of the two."""

        def ignore_aliases(self, data: Any) -> bool:
            return True

    result = _result(citation)
    content = {
        "cff-version": "1.2.0",
        "message": "Cite the paper and the verified result together: both are under references.",
        "type": "dataset",
        **result,
        "references": [
            _paper(citation.paper),
            {"type": "data", **{k: v for k, v in result.items() if k != "abstract"}},
        ],
    }
    text: str = yaml.dump(content, Dumper=Plain, sort_keys=False, allow_unicode=True, width=100)
    return text


def _result(citation: Citation) -> dict[str, Any]:
    identifiers = [
        ("evidence", citation.evidence),
        ("attempt", citation.attempt),
        ("obtained with", citation.software),
        ("verdict", f"{citation.outcome} ({citation.verdict})"),
        *(() if citation.web_address else (("place of the evidence", citation.address),)),
    ]
    return _filled(
        {
            "title": citation.title,
            "authors": _names((citation.by,)),
            "abstract": wording.note(citation),
            "commit": citation.commit,
            "date-released": citation.finished,
            "url": citation.web_address,
            "identifiers": [
                {"type": "other", "value": value, "description": description} for description, value in identifiers
            ],
        }
    )


def _paper(paper: Paper) -> dict[str, Any]:
    work = work_of(paper)
    name = one_line(work.venue)
    venues: dict[str, dict[str, Any]] = {
        "journal": {"journal": name},
        "magazine": {"journal": name},
        "conference": {"collection-title": name, "conference": {"name": name}},
        "report": {"institution": {"name": name}},
    }
    venue = venues.get(work.type, {"publisher": {"name": name}}) if name else {}
    first, _, last = work.pages.partition("–")
    return _filled(
        {
            "type": _TYPES[work.type],
            "title": one_line(paper.title),
            "authors": _names(paper.authors),
            "year": paper.year,
            **venue,
            "volume": int(work.volume) if work.volume else "",
            "start": first,
            "end": last,
            "doi": doi_of(paper),
            "url": web_address(paper),
            "identifiers": [{"type": "other", "value": f"arXiv:{arxiv_of(paper)}", "description": "arXiv"}]
            if arxiv_of(paper)
            else None,
            "notes": f"Also: {one_line(work.also)}" if work.also else "",
        }
    )


def _names(authors: Sequence[str]) -> list[dict[str, str]]:
    return [
        {"name": name.family}
        if name.group
        else _filled({"given-names": name.given, "name-particle": name.particle, "family-names": name.family})
        for name in parse_names(authors)
    ]


def _filled(fields: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if value}
