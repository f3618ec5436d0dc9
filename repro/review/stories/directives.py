"""What fills the places in the lines of a tutorial: each a function of the book, so that no result stands in the text itself.

`{measured CLAIM PROTOCOL SCALE}` in code becomes the estimate with its interval, and likewise all of `INLINE`. Where nothing was
judged a place says that it is planned; `{plan CLAIM PROTOCOL SCALE}` says what that would take. Where an attempt does not count, that
stands beside its number.
"""

import statistics
from collections.abc import Callable, Mapping, Sequence

from markupsafe import Markup

from repro.judge import numbers, reading
from repro.judge.numbers import power_text
from repro.review.addresses import attempt_address, claim_address, comparison_address
from repro.review.book import Standing, stands, validity
from repro.review.facts.planning import cost_text
from repro.review.pictures.sweeps import main_arm
from repro.review.stories.place import DirectiveError, Place
from repro.review.wording import markup, words
from repro.review.wording.labels import pretty
from repro.schema.errors import nearest
from repro.schema.verdict import ControlVerdict, PartVerdict

PLANNED = Markup('<span class="outcome planned"><span class="sign" aria-hidden="true">○</span> planned</span>')
_SUMMARIES: Mapping[str, Callable[[Sequence[float]], float]] = {
    "least": min,
    "most": max,
    "median": statistics.median,
    "sum": sum,
    "mean": statistics.fmean,
}


def planned(place: Place) -> Markup:
    """Return how everything reads that nobody has run yet."""
    return PLANNED


def paper_flops(place: Place, claim: str) -> Markup:
    """Return the compute of the paper's own experiment."""
    printed = place.claim(claim).paper_flops
    return (
        Markup("{} FLOPs").format(power_text(float(printed), 3))
        if printed
        else Markup("an amount that it does not print")
    )


def published(place: Place, claim: str, part: str = "value") -> Markup:
    """Return the value that a paper printed, with its interval."""
    _, of = place.part(claim, part)
    shown = Markup('<span class="printed">{}</span>').format(reading.published_text(of))
    if of.target.interval:
        said = reading.interval_text(of.target.interval).replace("(", "at ", 1).replace(")", "", 1)
        shown += Markup(' <span class="interval">({})</span>').format(said)
    source = of.target.source
    flag = Markup(' <span class="flag" title="{}">{}</span>').format(reading.SOURCES[source], source)
    return shown + (flag if source != "verified" else Markup(""))


def printed(place: Place, claim: str, part: str = "value") -> Markup:
    """Return the value that a paper printed, and nothing else."""
    return Markup('<span class="printed">{}</span>').format(reading.published_text(place.part(claim, part)[1]))


def rule(place: Place, claim: str, part: str = "value") -> Markup:
    """Return what counts as a match."""
    return Markup("{}").format(reading.rule_text(place.part(claim, part)[1]))


def margin(place: Place, claim: str, part: str = "value") -> Markup:
    """Return the margin of a rule."""
    return Markup("{}").format(reading.margin_text(place.part(claim, part)[1].rule.margin))


def rival(place: Place, claim: str, name: str, part: str = "value") -> Markup:
    """Return the value of a rival."""
    rivals = place.part(claim, part)[1].rule.rivals
    if name not in rivals:
        raise DirectiveError(f"The claim '{claim}' has no rival '{name}'.{nearest(name, rivals)}")
    return Markup("{}").format(rivals[name])


def statement(place: Place, claim: str) -> Markup:
    """Return the claim in its words, with a link to its page."""
    found = place.claim(claim)
    return Markup('<a href="{}">{}</a>').format(place.root + claim_address(claim), found.statement)


def link(place: Place, claim: str, *said: str) -> Markup:
    """Return a link to a claim's page; it reads as the words say."""
    place.claim(claim)
    return Markup('<a href="{}">{}</a>').format(place.root + claim_address(claim), " ".join(said) or claim)


def compared(place: Place, name: str) -> Markup:
    """Return a link to the page of a comparison."""
    if name not in place.book.comparisons:
        raise DirectiveError(f"There is no comparison '{name}'.{nearest(name, place.book.comparisons)}")
    return Markup('<a href="{}">{}</a>').format(
        place.root + comparison_address(name), place.book.comparisons[name].title
    )


def measured(place: Place, claim: str, protocol: str, scale: str, part: str = "value") -> Markup:
    """Return the estimate with the interval that decides."""
    name, _ = place.part(claim, part)
    standing = place.standing(claim, protocol, scale)
    found = _part(standing, name)
    if standing is None or found is None:
        return PLANNED
    shown = markup.measured(found, standing.attempt.sealed.parts[name])
    return Markup('<a href="{}">{}</a>{}').format(_address(place, standing), shown, _doubt(place, standing))


def verdict(place: Place, claim: str, protocol: str, scale: str) -> Markup:
    """Return the outcome of an attempt and how it reads."""
    standing = place.standing(claim, protocol, scale)
    if standing is None:
        return PLANNED
    name = reading.status(standing.attempt)
    sign = Markup('<span class="outcome {}"><span class="sign" aria-hidden="true">{}</span> {}</span>').format(
        name if stands(place.book, standing.attempt) else "idle", words.symbol(name), words.word(name)
    )
    return sign + Markup(' <a href="{}">{}</a>{}').format(
        _address(place, standing), reading.reading(standing.attempt), _doubt(place, standing)
    )


def extra(place: Place, claim: str, protocol: str, scale: str, name: str, part: str = "value") -> Markup:
    """Return a figure that the estimator reports beside its value."""
    chosen, _ = place.part(claim, part)
    found = _part(place.standing(claim, protocol, scale), chosen)
    if found is None:
        return PLANNED
    figures = {**found.estimate.extras, **found.extras}
    if name not in figures:
        raise DirectiveError(f"The estimate has no figure '{name}'.{nearest(name, figures)}")
    return markup.number(figures[name], 3)


def control(place: Place, claim: str, protocol: str, scale: str, name: str) -> Markup:
    """Return what a control measured, and whether it failed as it must."""
    standing = place.standing(claim, protocol, scale)
    known = place.claim(claim).protocols[protocol].controls
    if name not in known:
        raise DirectiveError(f"The protocol '{protocol}' of '{claim}' has no control '{name}'.{nearest(name, known)}")
    decided = (
        None if standing is None or standing.attempt.verdict is None else standing.attempt.verdict.controls.get(name)
    )
    if standing is None or decided is None:
        return PLANNED
    sign, did = words.control_status(decided)
    return Markup('{}: <span class="sign" aria-hidden="true">{}</span> {}').format(
        _values(standing, decided), sign, did
    )


def _values(standing: Standing, decided: ControlVerdict) -> Markup:
    sealed = standing.attempt.sealed.parts
    shown = [
        markup.measured(part, sealed[name])
        if part.estimate.value is not None
        else Markup("no value ({})").format(part.estimate.note.split(";")[0] or "the estimator found none")
        for name, part in decided.parts.items()
        if name in sealed
    ]
    return Markup("; ").join(shown)


def runs(place: Place, claim: str, protocol: str, scale: str) -> Markup:
    """Return how many runs the main arm trained."""
    standing = place.standing(claim, protocol, scale)
    if standing is None:
        return PLANNED
    return Markup("{}").format(len(main_arm(standing.attempt, place.trials(standing))))


def figure(place: Place, claim: str, protocol: str, scale: str, how: str, column: str, factor: str = "1") -> Markup:
    """Return the least, most, median, mean or sum of a measurement over the runs of the main arm, times a factor."""
    if how not in _SUMMARIES:
        raise DirectiveError(f"'{how}' is no summary.{nearest(how, _SUMMARIES)}")
    standing = place.standing(claim, protocol, scale)
    if standing is None:
        return PLANNED
    records = main_arm(standing.attempt, place.trials(standing))
    values = [value for each in records for row in each.rows if (value := row.get(column)) is not None]
    if not values:
        known = {name for each in records for row in each.rows for name in row}
        raise DirectiveError(f"No run measured '{column}'.{nearest(column, known)}")
    try:
        value = _SUMMARIES[how](values) * float(factor)
    except ValueError:
        raise DirectiveError(f"'{factor}' is no number to multiply '{column}' with.") from None
    return Markup('<data value="{0}" title="{0}">{1}</data>').format(repr(value), power_text(value, 3))


def setting(place: Place, claim: str, protocol: str, scale: str, name: str) -> Markup:
    """Return the values that a setting has over the runs of the main arm."""
    standing = place.standing(claim, protocol, scale)
    if standing is None:
        return PLANNED
    settings = [each.config for each in main_arm(standing.attempt, place.trials(standing))]
    if not any(name in config for config in settings):
        known = {key for config in settings for key in config}
        raise DirectiveError(f"The runs have no setting '{name}'.{nearest(name, known)}")
    found = list({repr(config.get(name)): config.get(name) for config in settings}.values())
    numbers_of = [value for value in found if isinstance(value, int | float)]
    ordered = sorted(numbers_of) if len(numbers_of) == len(found) else found
    shown = [power_text(value, 3) if isinstance(value, float) else str(value) for value in ordered]
    return Markup("{}").format(", ".join(shown))


def took(place: Place, claim: str, protocol: str, scale: str) -> Markup:
    """Return how long the trials of an attempt ran, one after another."""
    standing = place.standing(claim, protocol, scale)
    return PLANNED if standing is None else Markup("{}").format(numbers.duration(standing.attempt.seconds))


def machine(place: Place, claim: str, protocol: str, scale: str) -> Markup:
    """Return on which processor or device the trials ran."""
    standing = place.standing(claim, protocol, scale)
    if standing is None:
        return PLANNED
    made = {f"{t.machine.processor} ({pretty(t.machine.device)})" for t in place.trials(standing)}
    return Markup("{}").format("; ".join(sorted(made)))


def plan(place: Place, claim: str, protocol: str, scale: str) -> Markup:
    """Return what an attempt takes, whether or not it has run."""
    place.standing(claim, protocol, scale)
    cost = place.book.planned.get(f"{claim}@{protocol}@{scale}")
    if cost is not None:
        return Markup("{}").format(cost_text(cost))
    return Markup('not worked out here: <code class="command">repro plan {} scale={}</code> says it').format(
        claim, scale
    )


def _part(standing: Standing | None, name: str) -> PartVerdict | None:
    if standing is None or standing.attempt.verdict is None:
        return None
    return standing.attempt.verdict.parts.get(name)


def _doubt(place: Place, standing: Standing) -> Markup:
    """Return why an attempt does not count, if it does not, and whether it is indicative."""
    attempt = standing.attempt
    if stands(place.book, attempt):
        return Markup(' <span class="flag">indicative</span>') if attempt.sealed.indicative else Markup("")
    why = words.not_counting(attempt, validity(place.book, attempt)) or "does not count"
    return Markup(' <span class="flag">{}</span>').format(why)


def _address(place: Place, standing: Standing) -> str:
    return place.root + attempt_address(standing.attempt.id)


INLINE: Mapping[str, Callable[..., Markup]] = {
    make.__name__: make
    for make in (
        *(planned, paper_flops, published, printed, rule, margin, rival, statement, link, compared),
        *(measured, verdict, extra, control, runs, figure, setting, took, machine, plan),
    )
}
"""What may stand in a line, by its name."""
