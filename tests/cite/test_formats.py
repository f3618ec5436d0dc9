"""Every format is read back by a parser or validator of that format that others wrote, and every claim of the catalogue is written in all."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import bibtexparser
import citeproc
import jsonschema
import pytest
import rispy
import yaml
from cffconvert import Citation as CffFile
from citation_examples import DIGEST, HOSTILE, PAPER, SITE, cited, hostile, make_attempt, make_claim, make_part
from citeproc.source.json import CiteProcJSON
from markdown_it import MarkdownIt
from pybtex.database import BibliographyData, parse_string
from pylatexenc.latex2text import LatexNodes2Text

from repro.catalog.load import load_claims, load_papers
from repro.cite.citation.authors import parse_names
from repro.cite.citation.citable import Evidence, missing
from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import FORMATS, all_formats, wording
from repro.cite.citation.formats.bibtex import latex
from repro.cite.citation.plain import one_line
from repro.cite.citation.works import paper_key

EXAMPLES = {
    "match at reduced scale": cited(),
    "mismatch": cited(make_attempt(outcome="mismatch", scale="paper", compute_ratio=1.0)),
    "not checked against the paper": cited(claim=make_claim({"value": make_part(source="unverified")})),
    "in the repository": cited(address="docs/results/widgets/exponent/retrain@gpu-1a2b3c4d-1"),
    "of others": cited(make_attempt(provenance={"origin": {"signed_by": "Their & Group"}, "commit": "c" * 40})),
    "journal": cited(paper=replace(PAPER, venue="Nature 596, 583–589", arxiv=None, doi="10.1038/s41586-021-03819-2", url="https://doi.org/10.1038/s41586-021-03819-2")),
    "conference": cited(paper=replace(PAPER, venue="NeurIPS")),
    "report of a group": cited(paper=replace(PAPER, venue="MLCommons technical report", authors=("MLCommons",), arxiv=None)),
    "nobody's": cited(paper=replace(PAPER, authors=("", " "), title="W", venue="", arxiv=None)),
    "hostile": hostile(),
}  # fmt: skip


UNKNOWN_TO_THE_DECODER = {
    r"\textbraceleft{}": "〈",
    r"\textbraceright{}": "〉",
    r"\textbar{}": "|",
    r"\textless{}": "‹",
    r"\textgreater{}": "›",
    r"\sqrt{}": "√",  # the bare sign; it would write √()
    r"\textperiodcentered": "·",  # it knows another dot
}


def shown(text: str) -> str:
    """Return what LaTeX would show, without the spaces that it treats alike."""
    for command, sign in UNKNOWN_TO_THE_DECODER.items():
        text = text.replace(command, sign)
    decoded = LatexNodes2Text(strict_latex_spaces=True).latex_to_text(text)
    return re.sub(r"\s+", " ", decoded.translate(str.maketrans("〈〉‹›", "{}<>"))).strip()


def typed(text: str) -> str:
    """Return text as LaTeX shows it: a straight quote closes, a caret is its accent, digits are raised and lowered."""
    return text.translate(str.maketrans('⁻⁰¹²³⁴⁵⁶⁷⁸⁹₋₀₁₂₃₄₅₆₇₈₉"^−', "-0123456789-0123456789”ˆ-"))


@pytest.fixture(params=EXAMPLES)
def citation(request: pytest.FixtureRequest) -> Citation:
    return EXAMPLES[request.param]


def test_every_text_names_attempt_digest_and_verdict(citation: Citation) -> None:
    for name, text in all_formats(citation).items():
        told = " ".join(text.replace("\\", "").split())
        assert " ".join(citation.attempt.split()) in told, name
        assert citation.evidence in told, name
        assert re.search(rf"\b{citation.outcome}\b", told), name
        assert re.search(r"[^\n]\n$", text), name


# BibTeX: pybtex and bibtexparser.


def entries_of(text: str) -> tuple[BibliographyData, bibtexparser.Library]:
    ours = parse_string(text, "bibtex")
    theirs = bibtexparser.parse_string(text)
    assert theirs.failed_blocks == []
    assert [entry.key for entry in theirs.entries] == list(ours.entries)
    return ours, theirs


def test_bibtex_round_trips_every_field_in_two_parsers(citation: Citation) -> None:
    ours, theirs = entries_of(FORMATS["bibtex"](citation))
    assert list(ours.entries) == [paper_key(citation.paper), citation.key]
    for parsed, other in zip(ours.entries.values(), theirs.entries, strict=True):
        fields = {**parsed.fields, "author": " and ".join(str(person) for person in parsed.persons["author"])}
        kept = {field.key: field.value for field in other.fields}
        assert set(fields) == set(kept)
        for name in set(fields) - {"author"}:
            assert " ".join(fields[name].split()) == " ".join(kept[name].split()), name
    paper, result = ours.entries.values()
    assert shown(paper.fields["title"]) == typed(one_line(citation.paper.title))
    assert shown(result.fields["title"]) == typed(citation.title)
    assert shown(result.fields["note"]) == typed(wording.note(citation))
    assert shown(result.fields["howpublished"]) == typed(citation.software)
    assert result.fields.get("url", "") == citation.web_address
    assert paper.fields["year"] == str(citation.paper.year)


def test_bibtex_keeps_authors_apart() -> None:
    ours, theirs = entries_of(FORMATS["bibtex"](cited()))
    persons = ours.entries["example2023scaling"].persons["author"]
    assert [[shown(" ".join(part)) for part in (p.first_names, p.prelast_names, p.last_names)] for p in persons] == [
        ["Ada", "", "Example"],
        ["Łukasz", "", "Žídek"],
        ["Teven", "", "Le Scao"],
        ["George", "van den", "Driessche"],
    ]
    group = cited(paper=replace(PAPER, authors=("Research and Co, of the and Group",)))
    (person,) = parse_string(FORMATS["bibtex"](group), "bibtex").entries[paper_key(group.paper)].persons["author"]
    assert person.last_names == ["{Research and Co, of the and Group}"]
    assert theirs.entries[0].fields_dict["author"].value.count(" and ") == 3


@pytest.mark.parametrize(
    ("paper", "sort", "fields"),
    [
        (EXAMPLES["journal"].paper, "article", {"journal": "Nature", "volume": "596", "pages": "583--589", "doi": "10.1038/s41586-021-03819-2"}),
        (EXAMPLES["conference"].paper, "inproceedings", {"booktitle": "NeurIPS", "eprint": "2301.00001", "archiveprefix": "arXiv"}),
        (EXAMPLES["report of a group"].paper, "techreport", {"institution": "MLCommons"}),
        (replace(PAPER, venue="ICLR 2025"), "misc", {"eprint": "2301.00001", "note": "Also: ICLR 2025"}),
        (replace(PAPER, venue="GitHub", arxiv=None, url="https://github.com/a/b_c"), "misc", {"howpublished": "GitHub", "url": "https://github.com/a/b_c"}),
    ],
)  # fmt: skip
def test_bibtex_types_say_how_a_paper_is_published_and_add_nothing(
    paper: Any, sort: str, fields: dict[str, str]
) -> None:
    entry = next(iter(parse_string(FORMATS["bibtex"](cited(paper=paper)), "bibtex").entries.values()))
    assert entry.type == sort
    assert fields.items() <= dict(entry.fields).items()
    known = {"title", "year", "eprint", "archiveprefix", "url"}
    assert set(entry.fields) <= known | set(fields)


def test_latex_shows_every_printable_character_of_latin_and_greek() -> None:
    for number in [
        *range(0x21, 0x7F),
        *range(0xA1, 0xAC),
        *range(0xAE, 0x180),
        *range(0x391, 0x3A2),
        *range(0x3B1, 0x3CA),
    ]:
        # `´` and the like stand for themselves; what matters is that nothing gets lost or becomes a command.
        text = latex(f"a{chr(number)}b")
        assert text.count("{") == text.count("}"), text
        parsed = parse_string(f"@misc{{k, title = {{{{{text}}}}}}}", "bibtex").entries["k"].fields["title"]
        assert parsed == f"{{{text}}}"


# CFF: cffconvert.


def test_cff_is_valid_and_names_both(citation: Citation) -> None:
    text = FORMATS["cff"](citation)
    CffFile(text).validate()
    content = yaml.safe_load(text)
    assert content["title"] == citation.title
    assert content["abstract"] == wording.note(citation)
    assert content.get("commit", "") == citation.commit
    assert citation.evidence in [each["value"] for each in content["identifiers"]]
    paper, result = content["references"]
    assert paper["title"] == one_line(citation.paper.title)
    assert paper["year"] == citation.paper.year
    assert result["title"] == citation.title
    assert {each["description"] for each in result["identifiers"]} >= {
        "evidence",
        "attempt",
        "verdict",
        "obtained with",
    }


def test_cff_can_be_turned_into_other_formats() -> None:
    text = CffFile(FORMATS["cff"](cited())).as_bibtex()
    assert "Replicated at reduced scale (0.8 % of the paper's compute)" in text
    assert len(parse_string(text, "bibtex").entries) == 1


# CSL-JSON: a citation processor, its own lists of types and variables, and the part of the data schema that is used.

NAMES = {
    "type": "array",
    "minItems": 1,
    "items": {
        "anyOf": [
            {"required": ["literal"], "properties": {"literal": {"type": "string"}}, "additionalProperties": False},
            {
                "required": ["family"],
                "properties": {name: {"type": "string"} for name in ("family", "given", "non-dropping-particle")},
                "additionalProperties": False,
            },
        ]
    },
}
TEXTS = (
    "title", "container-title", "publisher", "volume", "page", "DOI", "URL", "archive", "archive_location", "number", "note",
)  # fmt: skip
SCHEMA = {
    "type": "array",
    "minItems": 2,
    "maxItems": 2,
    "items": {
        "type": "object",
        "required": ["type", "id", "title"],
        "additionalProperties": False,
        "properties": {
            "id": {"type": "string"},
            "type": {"type": "string"},
            "author": NAMES,
            "issued": {
                "type": "object",
                "required": ["date-parts"],
                "additionalProperties": False,
                "properties": {
                    "date-parts": {
                        "type": "array",
                        "minItems": 1,
                        "maxItems": 1,
                        "items": {"type": "array", "minItems": 1, "maxItems": 3, "items": {"type": "integer"}},
                    }
                },
            },
            **{name: {"type": "string"} for name in TEXTS},
        },
    },
}
"""Stricter than the official csl-data schema, which no package carries: whatever fits here fits there."""


def vocabulary(name: str) -> set[str]:
    """Return the words of one of the official CSL schemas that citeproc carries."""
    file = Path(citeproc.__file__).parent / "data/schema/schemas/styles" / f"csl-{name}.rnc"
    return set(re.findall(r'"([A-Za-z_-]+)"', file.read_text()))


def test_csl_fits_the_schema_and_the_official_vocabulary(citation: Citation) -> None:
    items = json.loads(FORMATS["csl"](citation))
    jsonschema.validate(items, SCHEMA)
    types, variables = vocabulary("types"), vocabulary("variables")
    for item in items:
        assert item["type"] in types
        assert set(item) - {"id", "type"} <= variables
    assert items[0]["title"] == one_line(citation.paper.title)
    assert items[1]["note"] == wording.note(citation)


def test_csl_is_rendered_by_a_citation_processor(citation: Citation) -> None:
    lines = rendered(FORMATS["csl"](citation))
    assert len(lines) == 2
    assert str(citation.paper.year) in lines[0]
    plain = [re.sub(r"\W+", " ", line) for line in lines]
    assert re.sub(r"\W+", " ", citation.verdict.capitalize())[:20] in plain[1]


def rendered(text: str) -> list[str]:
    items = json.loads(text)
    style = citeproc.CitationStylesStyle("harvard-cite-them-right", validate=False)
    source = CiteProcJSON([{**item, "title": item["title"].replace("<", "&lt;")} for item in items])
    bibliography = citeproc.CitationStylesBibliography(style, source, citeproc.formatter.plain)
    for item in items:
        bibliography.register(citeproc.Citation([citeproc.CitationItem(item["id"])]))
    return [str(line) for line in bibliography.bibliography()]


# RIS: rispy.


def test_ris_round_trips_every_field(citation: Citation) -> None:
    paper, result = rispy.loads(FORMATS["ris"](citation))
    assert not {"unknown_tag"} & {*paper, *result}
    assert paper["title"] == one_line(citation.paper.title)
    assert paper["year"] == str(citation.paper.year)
    assert paper["authors"] == [
        f"{n.surname}, {n.given}".removesuffix(", ") for n in parse_names(citation.paper.authors)
    ]
    assert result["title"] == citation.title
    assert result["type_of_reference"] == "DATA"
    assert result["notes"] == [wording.note(citation)]
    assert result["accession_number"] == citation.evidence
    assert result["id"] == citation.key
    assert result.get("urls", [""]) == [citation.web_address]


# Markdown: markdown-it.


def text_of(markdown: str) -> tuple[str, list[str]]:
    """Return what a reader of the rendered paragraph sees, and where its links lead."""
    tokens = MarkdownIt("commonmark").parse(markdown)
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    inline = tokens[1].children or []
    assert {token.type for token in inline} <= {
        "text", "text_special", "strong_open", "strong_close", "code_inline", "link_open", "link_close",
    }  # fmt: skip
    links = [str(token.attrs["href"]) for token in inline if token.type == "link_open"]
    return "".join(token.content for token in inline), links


def test_markdown_is_one_paragraph_in_which_nothing_foreign_is_markup(citation: Citation) -> None:
    text, links = text_of(FORMATS["markdown"](citation))
    assert all(link.startswith("https://") for link in links)
    for said in (
        one_line(citation.paper.title),
        citation.statement,
        citation.locator,
        citation.attempt,
        citation.evidence,
        citation.address,
    ):
        assert said in text, said
    assert wording.measured(citation)[1:] in text


def test_markdown_shows_a_text_that_looks_like_markup_as_it_is() -> None:
    for start in ("# a", "- a", "1. a", "+ a", "> a", "=== a", "*a* _b_ `c` [d](e) <i>f</i> ![g](h) &amp; |"):
        assert start in text_of(FORMATS["markdown"](replace(EXAMPLES["mismatch"], verdict=start, statement=start)))[0]


# The whole catalogue.


def made_up() -> Iterator[Citation]:
    papers = load_papers()
    for claim in load_claims().values():
        for name, protocol in claim.protocols.items():
            outcome = "mismatch" if len(name) % 2 else "match"
            attempt = make_attempt(claim, outcome, protocol=name, scale=protocol.decisive[-1])
            assert missing(attempt, validity="current", evidence=Evidence(DIGEST, SITE)) == ()
            yield cited(attempt, claim, papers[claim.paper])


def test_every_claim_can_be_cited_in_every_format() -> None:
    count = 0
    for citation in made_up():
        texts = all_formats(citation)
        entries = parse_string(texts["bibtex"], "bibtex").entries
        assert shown(entries[citation.key].fields["note"]) == typed(wording.note(citation)), citation.attempt
        assert bibtexparser.parse_string(texts["bibtex"]).failed_blocks == []
        CffFile(texts["cff"]).validate()
        jsonschema.validate(json.loads(texts["csl"]), SCHEMA)
        assert len(rispy.loads(texts["ris"])) == 2
        assert wording.measured(citation)[1:] in text_of(texts["markdown"])[0]
        assert texts["sentence"].count("\n") == 1
        count += 1
    assert count > 100


def test_the_hostile_title_is_hostile() -> None:
    assert {"{", "}", "$", "%", "#", "&", "_", "\\", "\n", "\r", "\x00", "模"} <= set(HOSTILE)
