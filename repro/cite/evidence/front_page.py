"""README.md of a bundle: for a person who never heard of this project."""

from collections.abc import Iterator, Mapping
from typing import TypeVar

from repro.cite.evidence.dossier import SOURCE_PREFIX, Dossier
from repro.cite.evidence.file_guide import FILES, what_it_is
from repro.cite.evidence.plain_markdown import code, link, one_line, plain, table
from repro.judge.flags import flag_text
from repro.judge.numbers import duration, like_interval, significant, when
from repro.judge.reading import (
    SOURCES,
    VALIDITY,
    compute,
    interval_text,
    margin_text,
    published_text,
    reading,
    rule_text,
    why,
)
from repro.schema.claim import TERMS, Paper, Target
from repro.schema.verdict import ControlVerdict, PartVerdict, Verdict

T = TypeVar("T")

FEW_PARTS = 3
"""More parts than these share one row where the paper says the same of all."""
MAX_PARTS = 40
"""Rows of the table of parts; the rest stand in verdict.json."""


def front_page(dossier: Dossier) -> str:
    """Return README.md."""
    sections = [
        f"# Evidence: {plain(dossier.attempt.claim)}",
        _opening(dossier),
        "## What the paper says",
        *_claimed(dossier),
        "## What was measured",
        *_measured(dossier),
        "## Controls",
        *_controls(dossier),
        "## How it was done",
        *_done(dossier),
        "## Check it yourself",
        *_checks(dossier),
        "## What is only the producer's word",
        *_words(dossier),
        "## The files",
        _files(dossier),
    ]
    return "\n\n".join(section for section in sections if section) + "\n"


def _opening(dossier: Dossier) -> str:
    attempt = dossier.attempt
    verdict = attempt.verdict
    outcome = f"verdict {code(verdict.outcome)}" if verdict is not None else "no verdict"
    lines = [
        f"**{plain(_capital(reading(attempt)))}** ({outcome}).",
        plain(verdict.detail) if verdict is not None else plain(attempt.message),
    ]
    if attempt.exploratory:
        lines.append("Something that is sealed was changed by hand, so this is exploratory and not to be cited.")
    if attempt.validity in VALIDITY:
        lines.append(
            f"Validity: {plain(attempt.validity.replace('_', ' '))}, that is, {plain(VALIDITY[attempt.validity])}."
        )
    lines.append(
        "This directory holds everything that the verdict rests on. It was written by repro-tracker, which tests published "
        "numbers of machine-learning papers: what counts as a match is fixed first (the seal), then the trials run, then the "
        "rule decides."
    )
    return " ".join(line for line in lines if line)


def _claimed(dossier: Dossier) -> Iterator[str]:
    claim = dossier.claim
    yield f"> {plain(claim.statement)}"
    yield f"{_reference(dossier.paper)} Where: {_sentence(claim.locator)}"
    quantity = claim.quantity
    unit = "" if quantity.unit in ("", "1") else f" in {plain(quantity.unit)}"
    yield f"Quantity: {plain(quantity.symbol)}{unit}{f', {plain(quantity.definition)}' if quantity.definition else ''}."
    parts = dossier.attempt.sealed.parts
    said = {name: _printed(part.target, published_text(part)) for name, part in parts.items()}
    if len(parts) > FEW_PARTS and len(set(said.values())) == 1:
        said = {f"each of the {len(parts)} parts": next(iter(said.values()))}
    rows = [[plain(name), *texts] for name, texts in _first(said).items()]
    yield table(["part", "value as the paper prints it", "how sure that value is"], rows)
    yield _more(len(said), "seal.json")


def _printed(target: Target, published: str) -> tuple[str, str]:
    """Return a published value, and how sure it is."""
    interval = f", {interval_text(target.interval)}" if target.interval is not None else ""
    place = f"; {target.locator}" if target.locator else ""
    word = "printed" if target.source != "derived" else "derived"
    return plain(f"{word} {published}{interval}"), plain(f"{target.source}: {SOURCES[target.source]}{place}")


def _measured(dossier: Dossier) -> Iterator[str]:
    verdict = dossier.attempt.verdict
    if verdict is None:
        yield "Nothing was judged."
        return
    if dossier.figure is not None:
        yield "![The measured value and its interval beside the published one](figure.svg)"
    sealed = dossier.attempt.sealed
    rows = []
    judged = {name: decided for name, decided in _first(verdict.parts).items() if name in sealed.parts}
    for name, decided in judged.items():
        part = sealed.parts[name]
        rows.append(
            [plain(name), *_value(decided), str(decided.estimate.n), plain(rule_text(part)), _outcome(decided)],
        )  # fmt: skip
    level = _level(verdict)
    yield table(["part", "measured", level, "n", "a match is", "came out"], rows)
    yield _more(len(verdict.parts), "verdict.json")
    reasons = dict.fromkeys(
        f"{margin_text(sealed.parts[name].rule.margin)}: {sealed.parts[name].rule.because}"
        for name in judged
        if sealed.parts[name].rule.margin is not None
    )
    if reasons:
        yield "Why this margin: " + " ".join(_sentence(reason) for reason in reasons)
    if verdict.flags:
        yield "To keep in mind:"
        yield "\n".join(f"- {_sentence(_capital(flag_text(flag)))}" for flag in verdict.flags)
    units = sorted({decided.estimate.unit for decided in verdict.parts.values()})
    yield f"n counts independent units ({', '.join(plain(unit) for unit in units)})."


def _controls(dossier: Dossier) -> Iterator[str]:
    verdict = dossier.attempt.verdict
    yield "A control is a variant that must fail. If one does not, the test could not have failed either and proves nothing."
    if verdict is None or not verdict.controls:
        yield "None was judged."
        return
    protocol = dossier.claim.protocols.get(dossier.attempt.protocol)
    rows = []
    for name, control in verdict.controls.items():
        known = protocol.controls.get(name) if protocol is not None else None
        reason = plain(known.because) if known is not None else ""
        rows.append([plain(name), _must(control), _came_out(control), plain(control.detail), reason])
    yield table(["control", "must", "came out", "in detail", "why it must fail"], rows)


def _done(dossier: Dossier) -> Iterator[str]:
    attempt, sealed = dossier.attempt, dossier.attempt.sealed
    acm, nasem = TERMS[sealed.kind]
    decides = "decides" if attempt.scale in sealed.decisive else "does not decide"
    counts = _counts(dossier)
    yield "\n".join(
        [
            f"- Kind: {plain(sealed.kind.replace('_', ' '))} (ACM: {plain(acm)}; NASEM: {plain(nasem)}).",
            f"- Scale: {plain(attempt.scale)}, which {decides}; {plain(compute(attempt))}.",
            f"- Trials: {counts}. They ran from {plain(when(attempt.started))} to {plain(when(attempt.finished))} and took "
            f"{plain(duration(attempt.seconds))} together.",
            f"- Recipe: {code(_recipe(dossier))}. Estimator: {code(sealed.estimator)}.",
            f"- Machines: {'; '.join(plain(item) for item in _machines(dossier)) or 'none'}.",
            f"- Attempt: {code(attempt.id)}.",
            f"- Seal: {code(sealed.digest)}.",
        ]
    )
    if dossier.data:
        yield "Data that the trials read:"
        yield table(
            ["data set", "from", "licence", "sha256"],
            [[plain(d.id), link(d.url), plain(d.licence), code(d.sha256)] for d in dossier.data],
        )
    protocol = dossier.claim.protocols.get(attempt.protocol)
    if protocol is not None and protocol.deviations:
        yield "Where this differs from the paper:"
        yield "\n".join(f"- {plain(text)}" for text in protocol.deviations)
    if dossier.claim.missing_details:
        yield "What the paper leaves open, and what was chosen:"
        yield "\n".join(
            f"- {plain(detail.item)}: {plain(detail.chosen)} (basis: {plain(detail.basis.replace('_', ' '))})."
            for detail in dossier.claim.missing_details
        )


def _checks(dossier: Dossier) -> Iterator[str]:
    version = _version(dossier)
    yield "Every file has the bytes that are listed (any Unix machine):"
    yield "```\nsha256sum -c SHA256SUMS\n```"
    yield (
        f"The verdict follows from the trials (Python; no GPU, no network while it runs; this evidence was made with "
        f"repro-tracker {plain(version) if version else 'of an unknown version'}):"
    )
    yield "```\nrepro verify .\n```"
    yield (
        "Both show only that the files agree with each other: who changes a file can change the lists as well. Compare the "
        "digest that `repro verify` prints with the one you were given elsewhere, in a paper or on a page, and say it: "
        "`repro verify . --digest DIGEST`. It is the sha256 of the zip, and of this directory alike."
    )
    yield "The measurements as a table, every digit as it was recorded (a trial that failed has none):"
    yield "\n".join(
        [
            "```python",
            "import json",
            "",
            "import pandas",
            "",
            'lines = open("trials.jsonl", encoding="utf-8")',
            'facts = ["key", "label", "replicate", "status"]',
            'rows = pandas.json_normalize([json.loads(line) for line in lines], "rows", facts, meta_prefix="trial.")',
            "print(rows)",
            "```",
        ]
    )
    if dossier.attempt.scale:
        yield f"To run it again yourself: {code(f'repro run {dossier.attempt.claim} scale={dossier.attempt.scale}')}."


def _words(dossier: Dossier) -> Iterator[str]:
    provenance = dossier.attempt.provenance
    commit = provenance.get("commit")
    tree = {"True": "with changes that were not committed", "False": "with nothing changed since"}.get(
        str(provenance.get("dirty")), "and it is not known whether files were changed since"
    )
    where = f"at commit {code(str(commit))}, {tree}" if commit else "at a commit that is not known"
    yield "No file can prove these. They are what whoever made this evidence says:"
    yield "\n".join(
        [
            "- that the measurements are what the recipe gave on the machines named; only running it again can show that;",
            "- that the seal was made before the first trial ran (every trial carries the seals that stood when it ran, and "
            "whoever makes up trials can make up that too);",
            f"- that it was launched {where};",
            "- that no other attempt came out differently and was kept back;",
            "- that the paper prints what is quoted above, where the table does not say that it was seen there.",
        ]
    )
    yield "A signature, if there is one beside this bundle, shows who says so and when, not that it is true."


def _files(dossier: Dossier) -> str:
    skip = () if dossier.figure is not None else ("figure.svg",)
    rows = [[code(name), plain(text)] for name, text in FILES.items() if name not in skip]
    rows += [[code(f"{SOURCE_PREFIX}{module}.py"), plain(what_it_is("source/"))] for module in dossier.sources]
    return table(["file", "what it is"], rows)


def _value(decided: PartVerdict) -> tuple[str, str]:
    """Return value and interval with the digits they deserve, and in full."""
    value = decided.estimate.value
    if value is None:
        return f"none: {plain(decided.estimate.note or 'the estimator found no value')}", ""
    short, low, high = like_interval(value, decided.low, decided.high)
    return plain(short), f"{plain(low)} to {plain(high)}" if decided.low is not None else ""


def _level(verdict: Verdict) -> str:
    levels = sorted({100 * (1 - 2 * decided.alpha) for decided in verdict.parts.values()})
    return f"{significant(levels[0])} % interval" if len(levels) == 1 else "interval that decides"


def _outcome(decided: PartVerdict) -> str:
    reason = why(decided)
    return code(decided.outcome) + (f", {plain(reason)}" if reason else "")


def _must(control: ControlVerdict) -> str:
    return {"mismatch": "be a mismatch", "differs": "not match, and differ from the main trials"}[control.expect]


def _came_out(control: ControlVerdict) -> str:
    return {True: "failed, as it must", False: "**did not fail**", None: "undecided"}[control.failed]


def _counts(dossier: Dossier) -> str:
    count = dict.fromkeys(("finished", "diverged", "failed"), 0)
    for record in dossier.records:
        count[record.status] += 1
    told = [f"{count['finished']} finished"]
    told += [f"{count['diverged']} diverged, which counts"] if count["diverged"] else []
    told += [f"{count['failed']} failed by machine or program, which is no datum"] if count["failed"] else []
    return ", ".join(told)


def _machines(dossier: Dossier) -> list[str]:
    return sorted(
        {f"{m.device} ({m.processor}, {m.system}, Python {m.python})" for m in (r.machine for r in dossier.records)}
    )


def _recipe(dossier: Dossier) -> str:
    return dossier.records[0].recipe if dossier.records else dossier.attempt.sealed.study


def _version(dossier: Dossier) -> str | None:
    told = [dossier.attempt.provenance.get("packages"), *(record.packages for record in dossier.records)]
    found = [item["repro-tracker"] for item in told if isinstance(item, Mapping) and item.get("repro-tracker")]
    return str(found[0]) if found else None


def _reference(paper: Paper) -> str:
    people = ", ".join(paper.authors[:3]) + (" and others" if len(paper.authors) > 3 else "")
    places = [
        plain(paper.venue),
        plain(f"arXiv:{paper.arxiv}") if paper.arxiv else "",
        plain(f"doi:{paper.doi}") if paper.doi else "",
        link(paper.url) if paper.url else "",
    ]
    return ", ".join(filter(None, [f"{plain(people)} ({paper.year})", f"*{plain(paper.title)}*", *places])) + "."


def _first(items: Mapping[str, T]) -> dict[str, T]:
    return dict(list(items.items())[:MAX_PARTS])


def _more(count: int, file: str) -> str:
    return f"And {count - MAX_PARTS} more, in {code(file)}." if count > MAX_PARTS else ""


def _sentence(text: str) -> str:
    line = plain(text)
    return line if line.endswith((".", "!", "?")) else f"{line}."


def _capital(text: str) -> str:
    line = one_line(text)
    return line[:1].upper() + line[1:]
