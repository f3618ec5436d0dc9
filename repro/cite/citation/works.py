"""What sort of work a paper is, read off its venue as the catalogue keeps it. Nothing is added that is not there."""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

from repro.cite.citation.authors import parse_name
from repro.schema.claim import Paper

WorkType = Literal["journal", "magazine", "conference", "preprint", "report", "other"]

_PAGES = re.compile(r"(?P<name>.+?) (?P<volume>\d+), (?P<pages>\d+\s*[-–—]\s*\d+)")
_CONFERENCE = re.compile(
    r"(Advances in|Proceedings of|.*\b(Conference|Symposium|Workshop)\b"
    r"|(\S+ )?(NeurIPS|ICML|ICLR|COLM|AISTATS|UAI|COLT|CVPR|ICCV|ECCV|ACL|NAACL|NAACL-HLT|EMNLP|EACL|AAAI|IJCAI|KDD|MLSys)\b)"
)
_JOURNAL = re.compile(
    r"(Transactions|Journal|Annals|Proceedings of the National|.*\b(Transactions|Journal|Letters|Review)\b)"
)
_MAGAZINE = re.compile(r".*\b(Spectrum|Magazine|Communications)\b")
_REPORT = re.compile(r"(?P<name>.+) technical report", re.IGNORECASE)
# "mastering": two papers of one first author and year begin with it.
_SMALL_WORDS = ("a", "an", "the", "on", "of", "in", "to", "for", "and", "towards", "mastering")


@dataclass(frozen=True)
class Work:
    """How a paper is published."""

    type: WorkType
    venue: str = ""
    """Journal, proceedings, institution or site; empty where there is only a preprint."""
    volume: str = ""
    pages: str = ""
    also: str = ""
    """Where a preprint appeared later, where the catalogue cites the year of the preprint."""


def work_of(paper: Paper) -> Work:
    """Return how a paper is published.

    A venue that carries another year than the paper (`ICLR 2025` of a preprint of 2024) is where the preprint appeared later: the
    entry is then the preprint's, so that year and entry fit.
    """
    venue, _, later = (piece.strip() for piece in paper.venue.partition(";"))
    years = re.findall(r"\b(?:19|20)\d\d\b", venue)
    if paper.arxiv and (venue in ("", "arXiv") or (years and str(paper.year) not in years)):
        return Work("preprint", also=later if venue in ("", "arXiv") else venue)
    if found := _PAGES.fullmatch(venue):
        pages = re.sub(r"\s*[-–—]\s*", "–", found["pages"])
        return Work("journal", found["name"], found["volume"], pages, later)
    if found := _REPORT.fullmatch(venue):
        return Work("report", found["name"], also=later)
    if _JOURNAL.match(venue):
        return Work("journal", venue, also=later)
    if _CONFERENCE.match(venue):
        return Work("conference", venue, also=later)
    return Work("magazine" if _MAGAZINE.match(venue) else "other", venue, also=later)


def paper_key(paper: Paper) -> str:
    """Return the key of a paper as bibliographies commonly write it: first author, year, first word of the title.

    >>> paper_key(Paper("p", "On the Origin of Widgets", ("Łukasz Kaiser",), 2017))
    'kaiser2017origin'
    """
    author = _plain(parse_name(paper.authors[0]).family) if paper.authors else ""
    words = [_plain(word) for word in paper.title.split()]
    telling = next((word for word in words if word and word not in _SMALL_WORDS), "")
    return f"{author or _plain(paper.id)}{paper.year}{telling}"


def arxiv_of(paper: Paper) -> str:
    """Return the arXiv number; empty for none, or for what is none."""
    number = paper.arxiv or ""
    return number if re.fullmatch(r"(\d{4}\.\d{4,5}|[a-z-]+(\.[A-Z]{2})?/\d{7})(v\d+)?", number, re.ASCII) else ""


def doi_of(paper: Paper) -> str:
    """Return the DOI; empty for none, or for what is none."""
    doi = paper.doi or ""
    return doi if re.fullmatch(r"10\.\d{4,9}/[A-Za-z0-9:/_;.()\[\]-]+", doi, re.ASCII) else ""


def web_address(paper: Paper) -> str:
    """Return where the paper can be read: its address if that is one of the web, else its arXiv page; empty if neither is known."""
    if is_web_address(paper.url or ""):
        return paper.url or ""
    return f"https://arxiv.org/abs/{arxiv_of(paper)}" if arxiv_of(paper) else ""


def is_web_address(address: str) -> bool:
    """Return whether this is an address of the web that every format can carry as it is."""
    return bool(re.fullmatch(r"https?://[!-~]+", address)) and not set(address) & set('{}\\\\<>"`^|')


def _plain(text: str) -> str:
    """Return letters and digits in lower-case ASCII."""
    folded = unicodedata.normalize("NFKD", text.translate(str.maketrans("łŁøØđĐıßæÆ", "lLoOdDisaA")))
    return re.sub(r"[^a-z0-9]", "", folded.lower().split("-")[0].split("—")[0])
