"""What claims are about: papers, topics and studies, and what the book knows of each."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import urlsplit

from repro.judge.numbers import significant
from repro.review.book import STATES, Book, Standing, State, by_paper, standings, state_of
from repro.review.wording.labels import counted, pretty
from repro.schema.claim import SCALES, Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.errors import ReproError
from repro.schema.jsonform import to_json
from repro.schema.planned import PlannedCost
from repro.schema.study import Study


def topic_of(study_id: str) -> str:
    """Return the topic of a study: the first segment of its id.

    >>> topic_of("scaling_laws/isoflop")
    'scaling_laws'
    """
    return study_id.split("/")[0]


def papers_with_claims(book: Book) -> Mapping[str, tuple[Paper, tuple[Claim, ...]]]:
    """Return every paper that has claims, by its id, with its claims."""
    return {paper.id: (paper, claims) for paper, claims in by_paper(book)}


_SPELLED = {
    "bert": "BERT",
    "federated": "Federated learning",
    "flash": "FLASH",
    "gpt2": "GPT-2",
    "gpt3": "GPT-3",
    "gptq": "GPTQ",
    "int8": "int8",
    "isoflop": "IsoFLOP",
    "lsh": "LSH",
    "mlperf": "MLPerf",
    "rag": "RAG",
}


def heading(name: str) -> str:
    """Return the name of a topic or study as a heading.

    >>> heading("scaling_laws"), heading("isoflop_code")
    ('Scaling laws', 'IsoFLOP code')
    """
    first, *rest = pretty(name).split(" ")
    return " ".join([_SPELLED.get(first, first.capitalize()), *rest])


def topics(book: Book) -> Mapping[str, tuple[Study, ...]]:
    """Return the studies of each topic, both in order of their names."""
    found: dict[str, list[Study]] = {}
    for name in sorted(book.studies):
        found.setdefault(topic_of(name), []).append(book.studies[name])
    return {topic: tuple(found[topic]) for topic in sorted(found)}


def claims_reading(book: Book, studies: Sequence[Study]) -> tuple[Claim, ...]:
    """Return the claims of which some protocol runs one of these studies, in order of their ids."""
    wanted = {study.id for study in studies}
    return tuple(
        book.claims[name]
        for name in sorted(book.claims)
        if any(protocol.study in wanted for protocol in book.claims[name].protocols.values())
    )


def studies_read(book: Book, claims: Sequence[Claim]) -> tuple[Study, ...]:
    """Return the studies in the catalogue here that the protocols of these claims run, in order of their ids."""
    named = {protocol.study for claim in claims for protocol in claim.protocols.values()}
    return tuple(book.studies[name] for name in sorted(named & set(book.studies)))


def tally_of(book: Book, claims: Sequence[Claim]) -> Mapping[State, int]:
    """Return how many of these claims there are of each state; every state is a key."""
    states = [state_of(book, claim) for claim in claims]
    return {state: states.count(state) for state in STATES}


def standings_of(book: Book, study: Study) -> tuple[Standing, ...]:
    """Return what the claims that read a study came to with it, in order of the claims."""
    return tuple(
        standing
        for claim in claims_reading(book, (study,))
        for standing in standings(book, claim.id)
        if standing.attempt.sealed.study == study.id
    )


def settings(study: Study, scale: str) -> Mapping[str, object]:
    """Return what a study sets at one of its scales: its own settings with those of the scale in their place."""
    delta = study.scales[scale]
    design = to_json(delta.design or study.design)
    return {
        "params": {**study.params, **delta.params},
        "design": {name: value for name, value in design.items() if value is not None},
        "replicates": delta.replicates or study.replicates,
    }


@dataclass(frozen=True)
class Row:
    """A claim with what it came to at each scale."""

    claim: Claim
    state: State
    cells: Mapping[str, tuple[Standing, ...]]
    """By scale; empty where nothing was run."""
    offered: frozenset[str]
    """Scales at which one of its protocols can run."""


def rows(book: Book, claims: Sequence[Claim], of_study: str | None = None) -> tuple[Row, ...]:
    """Return claims with what they came to at each scale.

    Args:
        of_study: leaves out what came of protocols that read another study.
    """
    made = []
    for claim in claims:
        protocols = {name: p for name, p in claim.protocols.items() if of_study in (None, p.study)}
        cells: dict[str, tuple[Standing, ...]] = {}
        for standing in standings(book, claim.id):
            if of_study is None or standing.protocol in protocols:
                cells[standing.scale] = (*cells.get(standing.scale, ()), standing)
        offered: set[str] = set()
        for protocol in protocols.values():
            study = book.studies.get(protocol.study)
            offered |= set(study.scales if study else protocol.decisive)
        made.append(Row(claim, state_of(book, claim), cells, frozenset(offered)))
    return tuple(made)


def scales_in(found: Sequence[Row]) -> list[str]:
    """Return the scales at which any of these rows ran or decides, smallest first; `smoke` only where it was run."""
    ran = {scale for row in found for scale in row.cells}
    offered = {scale for row in found for scale in row.offered} - {"smoke"}
    return [scale for scale in SCALES if scale in ran | offered]


@dataclass(frozen=True)
class AtScale:
    """A study at one scale, in words."""

    name: str
    note: str
    trials: str
    compute: str


def at_scales(book: Book, study: Study) -> tuple[AtScale, ...]:
    """Return the scales of a study, smallest first, with trials and compute as planned; else as they were sealed.

    Nothing is laid out here: what no attempt and no plan tells is not known.
    """
    read = [
        (claim.id, name)
        for claim in claims_reading(book, (study,))
        for name, protocol in claim.protocols.items()
        if protocol.study == study.id
    ]
    found = []
    for scale in (scale for scale in SCALES if scale in study.scales):
        places = [f"{claim}@{protocol}@{scale}" for claim, protocol in read]
        costs = [book.planned[place] for place in places if place in book.planned]
        sealed = [len(one.attempt.sealed.trials) for one in standings_of(book, study) if one.scale == scale]
        trials, compute = _planned(costs) if costs else (_range(sealed, "trial"), "")
        found.append(AtScale(scale, study.scales[scale].note, trials, compute))
    return tuple(found)


def _planned(costs: Sequence[PlannedCost]) -> tuple[str, str]:
    controls = [cost.control_runs for cost in costs]
    trials = _range([cost.runs for cost in costs], "trial")
    trials += f", {_span(controls)} more of controls" if any(controls) else ""
    flops = [cost.flops for cost in costs if cost.flops is not None]
    if not flops:
        return trials, ""
    low, high = significant(min(flops), 2), significant(max(flops), 2)
    by_claim = "" if low == high else f" to {high} FLOPs, by the claim's controls"
    return trials, f"{low}{by_claim or ' FLOPs'}"


def _range(counts: Sequence[int], unit: str) -> str:
    if not counts:
        return ""
    return counted(counts[0], unit) if len(set(counts)) == 1 else f"{_span(counts)} {unit}s"


def _span(counts: Sequence[int]) -> str:
    return str(counts[0]) if len(set(counts)) == 1 else f"{min(counts)} to {max(counts)}"


@dataclass(frozen=True)
class Read:
    """A data set that a study reads."""

    name: str
    scales: tuple[str, ...]
    registered: DataSet | None
    """None where it is not in the catalogue here."""
    terms: str | None = None
    """Address of the terms that whoever runs it has to accept first."""


def data_read(study: Study) -> tuple[Read, ...]:
    """Return the data sets that a study reads, with the scales at which it does, in order of their names."""
    at: dict[str, list[str]] = {}
    for scale in (scale for scale in SCALES if scale in study.scales):
        for name in study.data_at(scale):
            at.setdefault(name, []).append(scale)
    return tuple(Read(name, tuple(at[name]), *_registered(name)) for name in sorted(at))


def web_address(data: DataSet) -> str:
    """Return where a data set is from, if that is an address of the web; else nothing, so that it becomes no link."""
    return data.url if urlsplit(data.url).scheme in ("http", "https") else ""


@lru_cache(maxsize=1024)
def _registered(name: str) -> tuple[DataSet | None, str | None]:
    # Late: everything else on the pages comes from the book, without a catalogue.
    from repro.catalog.data import terms_of
    from repro.catalog.load import load_dataset

    try:
        data = load_dataset(name)
        return data, terms_of(data)
    except ReproError:
        return None, None
