r"""BibTeX: the paper and the verified result, an entry each, in ASCII where LaTeX has a command for a character.

Escaping is pylatexenc's. Braces are written as commands: BibTeX counts braces, even those behind a backslash.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from functools import cache
from typing import Any

from repro.cite.citation.authors import parse_names
from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import wording
from repro.cite.citation.plain import one_line
from repro.cite.citation.works import Work, arxiv_of, doi_of, paper_key, web_address, work_of
from repro.schema.claim import Paper

_COMMANDS = {
    "{": r"\textbraceleft{}", "}": r"\textbraceright{}", "%": r"\%", "&": r"\&", "$": r"\$", "#": r"\#", "_": r"\_",
    "<": r"\textless{}", ">": r"\textgreater{}", "|": r"\textbar{}", "“": "``", "”": "''", "‘": "`", "’": "'", "–": "--", "—": "---",
}  # fmt: skip
_RAISED = dict(zip("⁻⁰¹²³⁴⁵⁶⁷⁸⁹", "-0123456789", strict=True))
_LOWERED = dict(zip("₋₀₁₂₃₄₅₆₇₈₉", "-0123456789", strict=True))
_TYPES = {
    "journal": "article",
    "magazine": "article",
    "conference": "inproceedings",
    "report": "techreport",
    "preprint": "misc",
    "other": "misc",
}


def bibtex(citation: Citation) -> str:
    """Return two entries: the paper, and the verified result."""
    return f"{_paper(citation.paper)}\n{_result(citation)}"


def _paper(paper: Paper) -> str:
    work = work_of(paper)
    fields = {
        "author": _authors(paper.authors),
        "title": _title(paper.title),
        **_venue(work),
        "year": str(paper.year),
        # LaTeX reads these verbatim.
        "eprint": arxiv_of(paper),
        "archiveprefix": "arXiv" if arxiv_of(paper) else "",
        "doi": doi_of(paper),
        "url": web_address(paper),
        "note": latex(f"Also: {work.also}") if work.also else "",
    }
    return _entry(_TYPES[work.type], paper_key(paper), fields)


def _venue(work: Work) -> dict[str, str]:
    name = latex(work.venue)
    if work.type in ("journal", "magazine"):
        return {"journal": name, "volume": work.volume, "pages": work.pages.replace("–", "--")}
    field = {"conference": "booktitle", "report": "institution"}.get(work.type, "howpublished")
    return {field: name}


def _result(citation: Citation) -> str:
    fields = {
        "author": _authors((citation.by,)),
        "title": _title(citation.title),
        "year": citation.finished[:4],
        "howpublished": latex(citation.software),
        "url": citation.web_address,
        "note": latex(wording.note(citation)),
    }
    return _entry("misc", citation.key, fields)


def _entry(sort: str, key: str, fields: dict[str, str]) -> str:
    lines = "".join(f"  {name} = {{{value}}},\n" for name, value in fields.items() if value)
    return f"@{sort}{{{key},\n{lines}}}\n"


def _title(title: str) -> str:
    # The inner braces keep bibliography styles from changing its capitals.
    return f"{{{latex(title)}}}"


def _authors(authors: Sequence[str]) -> str:
    names = []
    for name in parse_names(authors):
        # An " and " inside a name would end it, and a comma would turn it round.
        names.append(f"{{{latex(name.family)}}}" if name.group else f"{latex(name.surname)}, {latex(name.given)}")
    return " and ".join(names)


def latex(text: str) -> str:
    r"""Return text as LaTeX shows it.

    >>> latex("Łukasz & 50 %"), latex("3.2×10⁻⁹"), latex("{a}")
    ('{\\L}ukasz \\& 50 \\%', '3.2{\\texttimes}10\\textsuperscript{-9}', '\\textbraceleft{}a\\textbraceright{}')
    """
    encoded: str = _encoder().unicode_to_latex(one_line(text))
    return encoded


@cache
def _encoder() -> Any:
    from pylatexenc.latexencode import (
        RULE_DICT,
        RULE_REGEX,
        UnicodeToLatexConversionRule,
        UnicodeToLatexEncoder,
    )

    rules = [
        UnicodeToLatexConversionRule(
            RULE_DICT, {ord(c): command for c, command in _COMMANDS.items()}, replacement_latex_protection="none"
        ),
        UnicodeToLatexConversionRule(
            RULE_REGEX,
            [_moved("textsuperscript", _RAISED), _moved("textsubscript", _LOWERED)],
            replacement_latex_protection="none",
        ),
        "defaults",
    ]
    # A character without a command stays as it is: XeLaTeX, LuaLaTeX and biber read UTF-8.
    return UnicodeToLatexEncoder(
        conversion_rules=rules,
        replacement_latex_protection="braces-all",
        unknown_char_policy="keep",
        unknown_char_warning=False,
    )


def _moved(command: str, digits: Mapping[str, str]) -> tuple[re.Pattern[str], Callable[[re.Match[str]], str]]:
    """Return the rule that puts a run of raised or lowered digits into one command."""
    pattern = re.compile("[" + "".join(digits) + "]+")
    return pattern, lambda found: f"\\{command}{{{''.join(digits[c] for c in found[0])}}}"
