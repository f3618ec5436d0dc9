"""A sentence for the text of a paper, and one for each thing that a reader must know beside it."""

from repro.cite.citation.facts import Citation
from repro.cite.citation.formats import wording


def sentence(citation: Citation) -> str:
    """Return the citation as plain text on one line."""
    where = f"{citation.paper.year}; {citation.locator}" if citation.locator else str(citation.paper.year)
    details = (
        f"verdict {citation.outcome}",
        wording.sources(citation),
        citation.kind_terms,
        wording.scale(citation),
        wording.whose(citation),
        wording.software(citation),
        wording.evidence(citation),
    )
    main = (
        f"The claim of {citation.authors} ({where}) “{citation.statement.rstrip('.')}” was {citation.verdict}: "
        f"{wording.measured(citation)} [{'; '.join(filter(None, details))}]."
    )
    return " ".join((main, *wording.added(citation))) + "\n"
