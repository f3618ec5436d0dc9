"""How a paper is named, and where it can be read."""

from urllib.parse import quote, urlsplit

from repro.schema.claim import Paper


def citation(paper: Paper) -> str:
    """Return authors, year and venue of a paper on one line; three authors are named, more are "et al."."""
    names = ", ".join(paper.authors) if len(paper.authors) <= 3 else f"{paper.authors[0]} et al."
    return ", ".join(part for part in (names, str(paper.year) if paper.year else "", paper.venue) if part)


def paper_links(paper: Paper) -> list[tuple[str, str]]:
    """Return the name and address of each place a paper can be read at; only web addresses become links."""
    links = []
    if paper.arxiv:
        links.append((f"arXiv:{paper.arxiv}", f"https://arxiv.org/abs/{quote(paper.arxiv)}"))
    if paper.doi:
        links.append((f"doi:{paper.doi}", f"https://doi.org/{quote(paper.doi)}"))
    known = any(paper.url and name and name in paper.url for name in (paper.arxiv, paper.doi))
    if paper.url and not known and urlsplit(paper.url).scheme in ("http", "https"):
        links.append((urlsplit(paper.url).netloc, paper.url))
    return links
