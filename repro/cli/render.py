"""Claims, plans and verdicts as people read them in a terminal."""

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from rich.console import Group, RenderableType
from rich.markup import escape
from rich.panel import Panel
from rich.table import Column, Table
from rich.text import Text

from repro.judge import reading
from repro.judge.numbers import duration, like_interval, significant
from repro.ledger.fast import LatestVerdict
from repro.review.facts.extras import beside
from repro.review.wording import words
from repro.review.wording.labels import part_label
from repro.schema.blockage import Blockage, blockage_of
from repro.schema.claim import TERMS, Claim, Paper, Part
from repro.schema.plain_text import plain
from repro.schema.verdict import Attempt, PartVerdict, Verdict

STYLES = {"match": "green", "mismatch": "red", "inconclusive": "yellow", "blocked": "dim", "failed": "bold red"}


def outcome_text(name: str) -> Text:
    """Return sign and word of an outcome or execution; the colour only repeats them."""
    return Text(f"{words.symbol(name)} {words.word(name)}", style=STYLES.get(name, ""))


def claim_view(
    claim: Claim,
    paper: Paper,
    last: Sequence[LatestVerdict],
    marks: Mapping[str, Collection[str]] = {},
    trust: RenderableType | None = None,
    *,
    record: RenderableType | None = None,
    checks: Mapping[str, str] = {},
) -> RenderableType:
    """Return everything `repro show` says of a claim.

    Args:
        claim: which claim.
        paper: where it was published.
        last: the latest verdicts on it.
        marks: what stands beside an attempt wherever it is listed, by its id.
        trust: how far to trust the verdicts.
        record: what people added, what has changed, and whether it can be cited.
        checks: who compared a published value with the paper, by part.
    """
    where = f"{', '.join(paper.authors[:2])}{' et al.' if len(paper.authors) > 2 else ''} ({paper.year}), {paper.title}"
    parts: list[RenderableType] = [
        Text(claim.statement, style="bold"),
        Text(f"{where}\n{claim.locator}", style="dim"),
        _targets(claim, checks),
    ]
    if blockage := blockage_of(claim):
        parts.append(Text("\n".join(_blockage_lines(blockage))))
    for name, protocol in claim.protocols.items():
        acm, nasem = TERMS[protocol.kind]
        controls = [
            f"  control {control} {words.EXPECTATIONS[c.expect]}{f': {c.because}' if c.because else ''}"
            for control, c in protocol.controls.items()
        ]
        lines = [
            f"Protocol {name}: {protocol.kind.replace('_', ' ')} (ACM: {acm}; NASEM: {nasem})",
            f"  study {protocol.study}, estimator {protocol.estimator.target}, decisive at {', '.join(protocol.decisive)}",
            *controls,
            *(f"  deviates: {deviation}" for deviation in protocol.deviations),
        ]
        parts.append(Text("\n".join(lines)))
    if claim.missing_details:
        table = Table(
            "left open by the paper",
            "chosen here",
            "on the basis of",
            box=None,
            header_style="dim",
            title_justify="left",
        )
        for detail in claim.missing_details:
            table.add_row(escape(detail.item), escape(detail.chosen), words.BASES[detail.basis])
        parts.append(table)
    if last:
        table = Table("protocol", "scale", "verdict", "when", box=None, header_style="dim")
        for verdict in last:
            reason = f" ({reading.REASONS.get(verdict.reason, verdict.reason)})" if verdict.reason else ""
            told = ", ".join(marks.get(verdict.attempt, ()))
            mark = f" ({told})" if told else ""
            table.add_row(
                verdict.protocol,
                verdict.scale,
                outcome_text(verdict.outcome or verdict.execution) + reason + mark,
                verdict.started[:16],
            )
        parts.append(table)
        if any("indicative" in marks.get(verdict.attempt, ()) for verdict in last):
            parts.append(Text(f"indicative: {words.INDICATIVE}", style="yellow"))
    elif not claim.blocked:
        parts.append(Text(f"Not run yet. Run it: repro run {claim.id}", style="dim"))
    parts += [part for part in (record, trust) if part is not None]
    spaced = [piece for part in parts for piece in (part, Text(""))][:-1]
    return Panel(Group(*spaced), title=claim.id, title_align="left", padding=(1, 2))


def _blockage_lines(blockage: Blockage) -> list[str]:
    lines = [
        f"Blocked since {blockage.since}.",
        f"Missing: {blockage.missing}",
        f"To unblock: {blockage.unblock}",
    ]
    for need in blockage.needs:
        hours = f" ({need.device_hours:,g} hours of one {need.device}, {need.source}" if need.device_hours else ""
        money = f", about ${need.dollars:,.0f}" if need.dollars else ""
        lines.append(f"  needs {words.NEED[need.kind]}: {need.what}{f'{hours}{money})' if hours else ''}")
    asked = [f"  asked {each.who} on {each.when}: {each.answer}" for each in blockage.asked]
    lines += asked or ["Asked: nobody so far."]
    if blockage.stand_ins:
        lines.append(f"Stands in for it, smaller and without pretending to be it: {', '.join(blockage.stand_ins)}")
    return lines


def _targets(claim: Claim, checks: Mapping[str, str]) -> Group:
    table = Table(Column("part", overflow="fold"), "published", "a match is", "source", box=None, header_style="dim")
    for name, part in claim.parts.items():
        shown = reading.published_text(part)
        if part.target.interval:
            shown += f", {reading.interval_text(part.target.interval)}"
        table.add_row(
            escape(part_label(claim, name)),
            escape(shown),
            _match_phrase(part),
            "checked" if name in checks else part.target.source,
        )
    reasons = dict.fromkeys(part.rule.because for part in claim.parts.values() if part.rule.because)
    told = [
        Text(f"{part_label(claim, name)}: {plain(said)}" if len(claim.parts) > 1 else plain(said), style="dim")
        for name, said in checks.items()
    ]
    return Group(table, *told, *(Text(f"Why this margin: {reason}", style="dim") for reason in reasons))


def _match_phrase(part: Part) -> str:
    """Return what counts as a match, beside the published value."""
    margin = reading.margin_text(part.rule.margin)
    allowance = f", margin {margin}" if margin else ""
    return {
        "equivalence": f"within {margin}",
        "at_least": f"at least this{allowance}",
        "at_most": f"at most this{allowance}",
        "ordering": f"the ordering holds{allowance}",
        "trend": f"it moves the claimed way{allowance}",
        "reference_convergence": f"no faster than the reference{allowance}",
        "exact": f"equal{allowance}",
        "rounds_to": f"rounds to this{allowance}",
    }[part.rule.kind]


def result_panel(claim: Claim, attempt: Attempt) -> Panel:
    """Return the result of one attempt: published, measured, margin, verdict, reason, what to do next."""
    if attempt.verdict is None:
        return Panel(Text(attempt.message), title=attempt.id, title_align="left", border_style="red")
    verdict = attempt.verdict
    table = Table(
        Column(overflow="fold"),
        "published",
        "measured",
        "interval",
        "margin",
        "deviation",
        "verdict",
        box=None,
        header_style="dim",
    )
    for name, part in verdict.parts.items():
        table.add_row(escape(part_label(claim, name)), *_part_cells(claim, name, part), outcome_text(part.outcome))
    headline = outcome_text(verdict.outcome)
    headline.append(f"  {reading.reading(attempt)}")
    lines: list[RenderableType] = [
        Text(claim.statement),
        Text(""),
        table,
        Text(""),
        headline,
        Text(verdict.detail, style="dim"),
    ]
    for name, control in verdict.controls.items():
        sign, said = words.control_status(control)
        lines.append(Text(f"{sign} control {name} {said}. {control.detail}", style="dim"))
    lines += [Text(line, style="dim") for line in _beside(verdict)]
    for deviation in claim.protocols[attempt.protocol].deviations if attempt.protocol in claim.protocols else ():
        lines.append(Text(f"deviates: {deviation}", style="dim"))
    unsure = sorted({part.target.source for part in claim.parts.values()} - {"verified"})
    lines += [Text(f"target {source}: {reading.SOURCES[source]}", style="dim") for source in unsure]
    if words.look(attempt):
        lines.append(Text(f"{words.look(attempt)}"))
    if attempt.sealed.indicative:
        lines.append(Text(f"indicative: {words.INDICATIVE}", style="yellow"))
    if attempt.exploratory:
        lines.append(Text(f"exploratory: {words.EXPLORATORY}", style="yellow"))
    if attempt.validity != "current":
        lines.append(Text(f"{attempt.validity}: {reading.VALIDITY[attempt.validity]}", style="yellow"))
    lines += [Text(""), Text(next_step(claim, attempt))]
    title = f"{attempt.claim} · {attempt.protocol} · {attempt.scale} · {duration(attempt.seconds)}"
    return Panel(
        Group(*lines), title=title, title_align="left", border_style=STYLES.get(verdict.outcome, ""), padding=(1, 2)
    )


def _beside(verdict: Verdict) -> list[str]:
    """Return what a reader must know besides: flags of all parts, and the figures beside the verdict on a single one."""
    flags = dict.fromkeys(flag for part in verdict.parts.values() for flag in part.flags)
    single = list(verdict.parts.values()) if len(verdict.parts) == 1 else []
    return [*(words.flag_text(flag) for flag in flags), *(line for part in single for line in beside(part))]


def _part_cells(claim: Claim, name: str, part: PartVerdict) -> tuple[str, str, str, str, str]:
    digits = words.digits_beside(claim.parts[name].target) if name in claim.parts else 4
    value, low, high = like_interval(part.estimate.value, part.low, part.high, digits)
    interval = "exact" if part.se == 0 else (f"{low} to {high}" if part.low is not None else "none")
    published = reading.published_text(claim.parts[name]) if name in claim.parts else significant(part.target)
    margin = reading.margin_text(claim.parts[name].rule.margin) if name in claim.parts else ""
    deviation = significant(part.deviation, 3) + (" in logs" if part.scale == "log" and part.deviation else "")
    if not margin and name in claim.parts:
        margin = "as printed" if claim.parts[name].rule.kind == "rounds_to" else "none"
    return published, value, interval, margin, deviation


def next_step(claim: Claim, attempt: Attempt) -> str:
    """Return what a person would do after this result."""
    if attempt.verdict is not None and attempt.verdict.reason == "not_decisive_scale":
        protocol = claim.protocols.get(attempt.protocol)
        scales = " or ".join(protocol.decisive) if protocol else "a decisive scale"
        return f"Next: this scale never decides; run it at {scales}: repro run {claim.id} scale={scales.split(' ')[0]}"
    if attempt.verdict is not None and attempt.verdict.reason in ("underpowered", "too_few"):
        return _more_seeds(claim, attempt)
    return f"Next: the whole story, with trials and provenance: repro serve, or repro show {claim.id}"


def _more_seeds(claim: Claim, attempt: Attempt) -> str:
    """Return the command for as many seeds as it takes: by what this attempt saw, and for the next plan not to be refused."""
    from repro.judge.forecast import forecast
    from repro.launch.planning.pilots import pilots_of

    sealed, looks = attempt.sealed, attempt.sealed.looks
    parts = attempt.verdict.parts.values() if attempt.verdict else ()
    outlook = forecast(sealed, pilots_of(attempt))
    if sealed.deterministic or outlook.undecidable:
        return f"Next: more seeds would not decide it{f': {outlook.undecidable}' if outlook.undecidable else ''}."
    wanted = max([outlook.units_80 or 0, *(part.n_needed or 0 for part in parts)])
    wanted = looks * -(-wanted // looks)
    how = f"replicates={wanted}" if wanted > len(sealed.replicates) else "--new-seeds"
    which = f" protocol={attempt.protocol}" if len(claim.protocols) > 1 else ""
    return f"Next: more seeds are a new attempt: repro run {claim.id}{which} scale={attempt.scale} {how}"


def summary(attempts: Sequence[Attempt]) -> RenderableType:
    """Return the verdicts of several attempts, grouped by outcome, with the counts and never one percentage."""
    groups: dict[str, list[Attempt]] = {name: [] for name in ("match", "mismatch", "inconclusive", "failed")}
    for attempt in attempts:
        groups.setdefault(reading.status(attempt), []).append(attempt)
    protocols = Counter((attempt.claim, attempt.scale) for attempt in attempts)
    shown: list[RenderableType] = []
    for name, group in groups.items():
        if not group:
            continue
        table = Table(Column(no_wrap=True), Column(no_wrap=True), Column(overflow="fold"), box=None, show_header=False)
        for attempt in group:
            which = f" ({attempt.protocol})" if protocols[attempt.claim, attempt.scale] > 1 else ""
            table.add_row(attempt.claim, attempt.scale, f"{_measured(attempt)}; {reading.reading(attempt)}{which}")
        heading = outcome_text(name)
        heading.append(f" ({len(group)})")
        shown += [heading, table, Text("")]
    counts = ", ".join(f"{len(group)} {name}" for name, group in groups.items() if group or name != "failed")
    return Group(*shown, Text(counts, style="bold"))


def _measured(attempt: Attempt) -> str:
    """Return what was measured in a few words: the value beside the published one, or how many parts match."""
    if attempt.verdict is None:
        return attempt.message or "no verdict"
    parts = attempt.verdict.parts
    if len(parts) > 1:
        return f"{sum(part.outcome == 'match' for part in parts.values())} of {len(parts)} parts match"
    ((name, part),) = parts.items()
    value = "no estimate" if part.estimate.value is None else significant(part.estimate.value)
    exploratory = ", exploratory" if attempt.exploratory else ""
    sealed = attempt.sealed.parts[name]
    return f"{value} ({reading.origin(sealed.target)} {reading.published_text(sealed)}{exploratory})"
