"""One quantity as many papers published it and as it was measured here: the lines of a page that a config lists.

What is listed stands in `conf/comparison/<name>.yaml`; its numbers come from claims, and from the attempts at them.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field

from repro.judge.numbers import fixed, like_interval
from repro.judge.reading import SOURCES, published_text, reading, status
from repro.review.book import Book, Standing, source_of, standings, stands, validity
from repro.review.facts.planning import planned_text
from repro.review.wording.words import not_counting, word
from repro.schema.claim import SCALES, Interval, Part, Quantity, Rule, Target
from repro.schema.errors import ConfigError, RecordError, nearest
from repro.schema.jsonform import from_json
from repro.schema.verdict import Attempt, PartVerdict


@dataclass(frozen=True)
class Entry:
    """One published value, and what was measured of it here."""

    label: str
    """Whose value it is, for people."""
    claim: str = ""
    """The claim that states it; empty for a value that no claim states."""
    part: str = "value"
    target: Target | None = None
    """The value, where no claim states it."""
    protocols: tuple[str, ...] = ()
    """The protocols whose attempts are listed below it."""
    measured: str = ""
    """How a measurement is called, with `{scale}` and `{protocol}`; by default it says both."""
    published: bool = True
    """Whether the published value is a line of its own."""
    planned: tuple[str, ...] = ()
    """Scales that are listed as planned where nothing has run."""
    figure: str = ""
    """A figure that stands beside the estimate of the part, to be listed in its place."""
    figure_se: str = ""
    """The figure that is its standard error; it is drawn with two on either side."""
    note: str = ""


@dataclass(frozen=True)
class Group:
    """Entries under one heading."""

    title: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True)
class Comparison:
    """A page of one quantity."""

    id: str
    title: str
    quantity: Quantity
    lead: str
    """What a reader should know first, a sentence or two."""
    groups: tuple[Group, ...]
    notes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Line:
    """One line of the page: a published value, a measurement, or one that is only planned."""

    label: str
    kind: str
    """`published`, the outcome of an attempt, `figure` for what stands beside one, `uncounted` for what does not count, or
    `planned`."""
    text: str
    """The value as people read it."""
    value: float | None = None
    low: float | None = None
    high: float | None = None
    said: str = ""
    """Beside it: source, verdict, or what it would take."""
    claim: str = ""
    attempt: Attempt | None = None
    note: str = ""


@dataclass(frozen=True)
class Section:
    """The lines of a group."""

    title: str
    lines: tuple[Line, ...] = field(default_factory=tuple)


def parse_comparison(name: str, content: Mapping[str, object], where: str) -> Comparison:
    """Turn the YAML of a comparison into its dataclass.

    Raises:
        ConfigError: for an unknown or missing key, a wrong type, an entry with neither claim nor target or with both, or a scale
            that there is none of.
    """
    try:
        found = from_json(Comparison, {"id": name, **content}, where)
    except (RecordError, ValueError) as error:
        raise ConfigError(f"{where}: {error}") from error
    for entry in (entry for group in found.groups for entry in group.entries):
        if bool(entry.claim) == (entry.target is not None):
            raise ConfigError(
                f"{where}: '{entry.label}' takes its value from a 'claim' or gives a 'target'; one of the two."
            )
        try:
            _named(entry, "protocol", "scale")
        except (KeyError, IndexError, ValueError) as error:
            raise ConfigError(
                f"{where}: 'measured' of '{entry.label}' may hold {{scale}} and {{protocol}} and no other braces: {entry.measured!r}."
            ) from error
        for scale in entry.planned:
            if scale not in SCALES:
                raise ConfigError(f"{where}: '{entry.label}' plans the scale '{scale}'.{nearest(scale, SCALES)}")
    return found


def sections(book: Book, comparison: Comparison) -> tuple[Section, ...]:
    """Return the lines of a comparison, group by group; entries whose claim is not in the catalogue here are left out."""
    return tuple(
        Section(group.title, lines)
        for group in comparison.groups
        if (lines := tuple(line for entry in group.entries for line in _lines(book, entry)))
    )


def comparisons_with(book: Book, claim_id: str) -> tuple[Comparison, ...]:
    """Return the comparisons in which a claim is listed."""
    return tuple(
        comparison
        for comparison in book.comparisons.values()
        if any(entry.claim == claim_id for group in comparison.groups for entry in group.entries)
    )


def _lines(book: Book, entry: Entry) -> list[Line]:
    if entry.target is not None:
        rule = Rule("rounds_to")
        return [_published(entry, Part(entry.target, rule), entry.target.source)] if entry.published else []
    claim = book.claims.get(entry.claim)
    if claim is None or entry.part not in claim.parts:
        return []
    part = claim.parts[entry.part]
    lines = [_published(entry, part, source_of(book, claim.id, entry.part, part.target))] if entry.published else []
    found = [
        standing
        for standing in standings(book, claim.id)
        if standing.protocol in entry.protocols and standing.scale != "smoke"
    ]
    lines += [_measured(book, entry, standing) for standing in sorted(found, key=_smallest_first)]
    ran = {(standing.protocol, standing.scale) for standing in found}
    for name in (name for name in entry.protocols if name in claim.protocols):
        lines += [_planned(book, entry, name, scale) for scale in entry.planned if (name, scale) not in ran]
    return lines


def _smallest_first(standing: Standing) -> tuple[int, str]:
    return (SCALES.index(standing.scale) if standing.scale in SCALES else len(SCALES)), standing.protocol


def _published(entry: Entry, part: Part, source: str) -> Line:
    printed: Interval | None = part.target.interval
    ends = (_number(printed.low), _number(printed.high)) if printed else (None, None)
    said = "" if source in ("verified", "checked") else f"{source}: {SOURCES[source]}"
    return Line(
        entry.label,
        "published",
        published_text(part) + (f" ({printed.low} to {printed.high})" if printed else ""),
        part.target.value,
        *ends,
        said=said,
        claim=entry.claim,
        note=entry.note,
    )


def _measured(book: Book, entry: Entry, standing: Standing) -> Line:
    attempt = standing.attempt
    label = _named(entry, standing.protocol, standing.scale)
    verdict = attempt.verdict.parts.get(entry.part) if attempt.verdict else None
    if verdict is not None and entry.figure:
        return _figure(entry, label, attempt, verdict)
    if verdict is None or verdict.estimate.value is None:
        return Line(
            label, "uncounted", word(status(attempt)), said=reading(attempt), claim=entry.claim, attempt=attempt
        )
    value, low, high = map(_short, like_interval(verdict.estimate.value, verdict.low, verdict.high))
    exact = verdict.low is None or verdict.high is None or verdict.low == verdict.high
    counts = stands(book, attempt)
    why = "" if counts else not_counting(attempt, validity(book, attempt)) or "does not count"
    return Line(
        label,
        verdict.outcome if counts else "uncounted",
        value if exact else f"{value} ({low} to {high})",
        verdict.estimate.value,
        None if exact else verdict.low,
        None if exact else verdict.high,
        said=f"does not count: {why}" if why else reading(attempt),
        claim=entry.claim,
        attempt=attempt,
    )


def _figure(entry: Entry, label: str, attempt: Attempt, verdict: PartVerdict) -> Line:
    """Return a figure beside an estimate; it was not judged itself."""
    extras = {**verdict.estimate.extras, **verdict.extras}
    value, se = extras.get(entry.figure), extras.get(entry.figure_se)
    if value is None:
        return Line(label, "uncounted", "no value", said=reading(attempt), claim=entry.claim, attempt=attempt)
    low, high = (None, None) if se is None else (value - 2 * se, value + 2 * se)
    shown, start, end = map(_short, like_interval(value, low, high))
    text = shown if se is None else f"{shown} ({start} to {end})"
    said = "beside a verdict, not judged itself" + ("" if se is None else "; two standard errors")
    return Line(label, "figure", text, value, low, high, said=said, claim=entry.claim, attempt=attempt, note=entry.note)


def _planned(book: Book, entry: Entry, protocol: str, scale: str) -> Line:
    said = planned_text(book, entry.claim, protocol, scale)
    return Line(_named(entry, protocol, scale), "planned", "planned", said=said, claim=entry.claim)


def _named(entry: Entry, protocol: str, scale: str) -> str:
    return (entry.measured or "here, {protocol} at {scale}").format(protocol=protocol.replace("_", " "), scale=scale)


def _short(text: str) -> str:
    """Return a number with three decimals at most: on one axis with others, more cannot be seen.

    >>> _short("0.83657"), _short("0.5")
    ('0.837', '0.5')
    """
    return fixed(float(text.replace("−", "-")), 3) if re.fullmatch(r"−?\d+\.\d{4,}", text) else text


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None
