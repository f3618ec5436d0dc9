"""A paragraph of Markdown (CommonMark). Nothing in it is taken as markup but what is put there here."""

from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import wording
from repro.cite.citation.plain import capitalised, one_line
from repro.cite.citation.works import web_address
from repro.cite.evidence.plain_markdown import code, link, plain


def markdown(citation: Citation) -> str:
    """Return the citation as one paragraph."""
    paper, site = citation.paper, web_address(citation.paper)
    title = f"“{plain(one_line(paper.title))}”"
    linked = f"[{title}](<{site}>)" if site else title
    where = f"{paper.year}; {citation.locator}" if citation.locator else str(paper.year)
    by = wording.whose(citation)
    told = (f"verdict {code(citation.outcome)}", plain(by)) if by else (f"verdict {code(citation.outcome)}",)
    sentences = (
        f"**{plain(capitalised(citation.verdict))}** ({', '.join(told)}).",
        f"{plain(citation.authors)} ({plain(where)}), {linked}:",
        plain(f"“{citation.statement}”"),
        plain(f"{capitalised(wording.measured(citation))}. {capitalised(wording.sources(citation))}."),
        plain(f"{capitalised(citation.kind_terms)}; {wording.scale(citation)}; {wording.guards(citation)}."),
        plain(f"Obtained with {wording.software(citation)}."),
        f"Attempt {code(citation.attempt)}; evidence {code(citation.evidence)}, {link(citation.address)}.",
        *(plain(text) for text in wording.added(citation)),
    )
    return " ".join(sentences) + "\n"
