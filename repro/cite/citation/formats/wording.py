"""The sentences that all formats share, as plain text."""

from collections import Counter

from repro.cite.citation.cited_part import CitedPart
from repro.cite.citation.facts import PROGRAM, Citation
from repro.cite.citation.plain import capitalised

SHOWN_PARTS = 3
"""Parts of each other outcome than a match that are named; more are counted."""


def measured(citation: Citation) -> str:
    """Return what was measured beside what was published, what counts as a match, and n."""
    parts = citation.parts
    if len(parts) == 1:
        (part,) = parts
        found = f"{part.origin} {_published(citation, part)}, measured {_value(part)}"
        return f"{found}; counts as a match: {part.criterion}; {citation.sample}"
    told = [f"{sum(part.outcome == 'match' for part in parts)} of {len(parts)} values match"]
    for outcome, word in (("mismatch", "mismatch"), ("inconclusive", "undecided")):
        others = [part for part in parts if part.outcome == outcome]
        named = [
            f"“{part.name}” ({part.origin} {part.published}, measured {_value(part)})" for part in others[:SHOWN_PARTS]
        ]
        more = [f"{len(others) - len(named)} more"] if len(others) > len(named) else []
        told += [f"{word}: {', '.join(named + more)}"] if others else []
    tolerances = list(dict.fromkeys(part.tolerance for part in parts))
    criterion = " or ".join(tolerances) if len(tolerances) <= SHOWN_PARTS else "as sealed for each value"
    return "; ".join((*told, f"counts as a match: {criterion}", citation.sample))


def sources(citation: Citation) -> str:
    """Return whether the published values themselves were seen in the paper."""
    counts = Counter((part.origin, part.source) for part in citation.parts)
    several = len(counts) > 1
    return "; ".join(
        f"{f'{number} ' if several else ''}{origin} value{'s' if number > 1 else ''}: {source}"
        for (origin, source), number in counts.items()
    )


def scale(citation: Citation) -> str:
    """Return the scale, with the ratio of compute unless the verdict says it."""
    said = "of the paper's compute" in citation.verdict or "compute unknown" in citation.verdict
    return f"scale {citation.scale}" if said else citation.compute


def verdict(citation: Citation) -> str:
    """Return the verdict's word with how it reads."""
    return f"verdict {citation.outcome}: {citation.verdict}"


def whose(citation: Citation) -> str:
    """Return whose result it is; empty where only the program is known."""
    return "" if citation.by == PROGRAM else f"result of {citation.by}"


def software(citation: Citation) -> str:
    """Return program, version and commit, the commit as short as it is told in a text."""
    return citation.software.replace(citation.commit, citation.commit[:12]) if citation.commit else citation.software


def guards(citation: Citation) -> str:
    """Return what makes the verdict one that could have come out otherwise."""
    controls = ", ".join(citation.controls)
    return f"sealed before it ran (seal {citation.seal[:8]}); controls that failed, as they must: {controls}"


def evidence(citation: Citation) -> str:
    """Return attempt, digest of the evidence, and where it is."""
    return f"attempt {citation.attempt}; evidence {citation.evidence}; {citation.address}"


def indicative(citation: Citation) -> str:
    """Return what `indicative` means, for a result that is; else nothing."""
    if not citation.indicative:
        return ""
    return "Indicative: it was sealed although its plan could hardly decide, so take it as a hint."


def added(citation: Citation) -> tuple[str, ...]:
    """Return what has been added since, and which attempts came out otherwise: a sentence each."""
    found = [_ended(text) for text in (indicative(citation), *citation.annotations) if text]
    if citation.contrary:
        found.append(f"See also, having come out otherwise: {_ended('; '.join(citation.contrary))}")
    return tuple(found)


def note(citation: Citation) -> str:
    """Return everything about the verified result in one paragraph."""
    sentences = (
        verdict(citation),
        f"claim {citation.claim}: {citation.statement}",
        measured(citation),
        sources(citation),
        f"{citation.kind_terms}; {scale(citation)}",
        guards(citation),
        whose(citation),
        f"obtained with {citation.software}",
        evidence(citation),
    )
    return " ".join([*(_ended(capitalised(each)) for each in sentences if each), *added(citation)])


def _published(citation: Citation, part: CitedPart) -> str:
    if part.published in ("an order", "a trend") or not citation.symbol:
        return part.published
    worded = part.published.startswith(("about ", "at least ", "at most "))
    return f"{citation.symbol} {part.published}" if worded else f"{citation.symbol} = {part.published}"


def _value(part: CitedPart) -> str:
    return part.measured + (f" ({part.interval})" if part.interval else "")


def _ended(sentence: str) -> str:
    return sentence if sentence.endswith((".", "!", "?", ".”")) else f"{sentence}."
