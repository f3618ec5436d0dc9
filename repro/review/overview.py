"""What a row of the overview is: a claim, what each protocol measured at each scale, and by what it can be found."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from repro.review.book import Book, Standing, State, decided_parts, standings, stands, state_at, state_of, validity
from repro.review.pictures.sparks import Place, axis, place_of, spark
from repro.schema.claim import Claim, Part
from repro.schema.verdict import PartVerdict

__all__ = ["EXAMPLES", "Line", "Result", "Row", "attributes", "axis", "row_of", "spark"]

MOST_LINES = 4
"""Parts of an attempt that the overview lists; of more it counts what came out of the others."""

EXAMPLES: Sequence[tuple[Place, str]] = (
    (Place(0.2, -0.4, 0.8, (-1, 1), "match"), "match: the whole interval lies inside the margin"),
    (Place(2.2, 1.5, 2.9, (-1, 1), "mismatch"), "mismatch: it lies outside"),
    (Place(-0.8, -1.6, 0.0, (-1, 1), "inconclusive"), "inconclusive: it does neither, or may not decide"),
    (Place(9.0, 8.0, 10.0, (0, 9), "match"), "an arrow: further out; shading to the edge: any value that way matches"),
)
"""Made-up plots with what they mean."""


@dataclass(frozen=True)
class Line:
    """What an attempt measured of one part."""

    name: str
    sealed: Part
    decided: PartVerdict
    place: Place | None
    """None where it has no place on the common axis."""


@dataclass(frozen=True)
class Result:
    """What one protocol came to at one scale."""

    standing: Standing
    counts: bool
    lines: tuple[Line, ...]
    """The parts that are listed, in the order of the claim."""
    others: Mapping[str, int]
    """How many of the parts that are not listed came out how."""
    distance: float | None
    """How far from the published value its farthest part lies, in margins, listed or not; None where no part has a place."""

    @property
    def drawn(self) -> bool:
        """Whether any of the parts that are listed has a place on the common axis."""
        return any(line.place for line in self.lines)


@dataclass(frozen=True)
class Row:
    """One claim on the overview."""

    claim: Claim
    state: State
    topics: tuple[str, ...]
    """First segments of the ids of its studies."""
    kinds: tuple[str, ...]
    """Kinds of its protocols, run or not."""
    scales: Mapping[str, State]
    """Scales at which it was run, with what it amounts to there."""
    validities: tuple[str, ...]
    """Validity of the attempts that are shown."""
    results: tuple[Result, ...]

    @property
    def distance(self) -> float | None:
        """How far from the published value it was measured at most, in margins; None if no such measurement counts."""
        found = (result.distance for result in self.results if result.counts)
        return max((distance for distance in found if distance is not None), default=None)


def row_of(book: Book, claim: Claim) -> Row:
    """Return the row of a claim."""
    shown = standings(book, claim.id)
    return Row(
        claim=claim,
        state=state_of(book, claim),
        topics=_once(protocol.study.split("/")[0] for protocol in claim.protocols.values()),
        kinds=_once(protocol.kind for protocol in claim.protocols.values()),
        scales={scale: state_at(book, claim, scale) for scale in _once(standing.scale for standing in shown)},
        validities=_once(validity(book, standing.attempt) for standing in shown),
        results=tuple(_result(book, claim, standing) for standing in shown),
    )


def attributes(row: Row) -> Markup:
    """Return by what the script of the page finds and sorts a row beside its verdict, as attributes of its element."""
    told = {
        "topic": " ".join(row.topics),
        "kind": " ".join(row.kinds),
        "scale": " ".join(row.scales),
        "at-scale": " ".join(f"{scale}:{state}" for scale, state in row.scales.items()),
        "validity": " ".join(row.validities),
        "distance": "" if row.distance is None else f"{row.distance:.4g}".replace("inf", "Infinity"),
    }
    return Markup("".join(f' data-{name}="{escape(value)}"' for name, value in told.items() if value))


def _result(book: Book, claim: Claim, standing: Standing) -> Result:
    attempt = standing.attempt
    every = [
        Line(name, attempt.sealed.parts[name], part, place_of(attempt.sealed.parts[name], part))
        for name, part in decided_parts(claim, attempt).items()
    ]
    listed = sorted(every, key=_telling)[:MOST_LINES] if len(every) > MOST_LINES + 1 else every
    names = {line.name for line in listed}
    others = Counter(line.decided.outcome for line in every if line.name not in names)
    return Result(
        standing=standing,
        counts=stands(book, attempt),
        lines=tuple(line for line in every if line.name in names),
        others={state: others[state] for state in ("match", "mismatch", "inconclusive") if others[state]},
        distance=max((abs(line.place.value) for line in every if line.place), default=None),
    )


def _telling(line: Line) -> tuple[int, float]:
    """Order parts by how much they say: those that miss, those that are undecided, then the others; the farthest first."""
    order = ("mismatch", "inconclusive", "match").index(line.decided.outcome)
    return order, -abs(line.place.value) if line.place else 0.0


def _once(names: Iterable[str]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(names))
