"""`repro lint-citations`."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from repro.cite.linting.cited import Cited
    from repro.cite.linting.lint import KnownResult, Problem
    from repro.ledger.read import Known
    from repro.schema.annotation import Annotation
    from repro.schema.verdict import Validity


def lint_citations(
    files: Annotated[list[Path], typer.Argument(help="The .bib, .tex, .md (or .rst, .qmd, .txt) files of a document.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.lint-citations/1).")] = False,
) -> None:
    """Find citations of results that no longer hold.

    Looks for what repro cite prints: keys such as repro:paper.claim..., attempt ids, sha256:... of evidence, and the verdict
    beside them. Exits 1 if a cited result is unknown, stale, disputed, invalidated, tampered or changed, or was decided
    otherwise since; 0 if all are fine, or none is cited. Name the .bib with the .tex that cites from it.

    \b
    Examples:
      repro lint-citations paper.tex references.bib
      repro lint-citations docs/*.md --json
    """
    from repro.cite.linting.cited import find
    from repro.cite.linting.lint import lint
    from repro.ledger.published import published_problems

    found = find(files)
    problems = lint(found.cited, known_results(found.cited)) if found.cited else ()
    notes = (*found.notes, *(published_problems() if found.cited else ()))
    if as_json:
        from repro.cli.json_output import print_json

        print_json("lint-citations", citations=found.cited, problems=problems, notes=notes)
    else:
        _print(found.cited, problems, notes)
    if problems:
        raise typer.Exit(1)


def known_results(cited: Iterable["Cited"]) -> dict[str, "KnownResult"]:
    """Return every known attempt; of the claims that are cited, with its validity and evidence as of today."""
    from rich.console import Console
    from rich.progress import track

    from repro.cite.citation.facts import citation_key
    from repro.cite.citation.lacking import origin_proven
    from repro.cite.linting.lint import KnownResult, resolve
    from repro.ledger.read import load_known

    known = {each.attempt.id: each for each in load_known()}
    results = {
        name: KnownResult(
            attempt=name,
            claim=each.attempt.claim,
            protocol=each.attempt.protocol,
            scale=each.attempt.scale,
            outcome=each.attempt.verdict.outcome if each.attempt.verdict else None,
            validity=each.attempt.validity,
            started=each.attempt.started,
            evidence=each.evidence,
            exploratory=each.attempt.exploratory,
            counts=origin_proven(each.attempt),
        )
        for name, each in known.items()
    }
    keys = {citation_key(name): name for name in known}
    cited = list(cited)
    claims = {result.claim for each in cited if (result := resolve(each, results, keys))}
    for name, (validity, why) in _validity([each for each in known.values() if each.attempt.claim in claims]).items():
        results[name] = replace(results[name], validity=validity, why=why)
    console = Console(stderr=True)
    compared = sorted({result.attempt for each in cited if each.digest and (result := resolve(each, results, keys))})
    for name in track(compared, "comparing evidence", console=console, transient=True, disable=not console.is_terminal):
        results[name] = _with_evidence(results[name], known[name])
    return results


def _validity(known: Sequence["Known"]) -> dict[str, tuple["Validity", str]]:
    """Return the validity of attempts today, with the reason in words."""
    from repro.judge.validity import validity_today
    from repro.launch.staleness import stale_attempts
    from repro.ledger.annotations import annotations

    if not known:
        return {}
    stale = stale_attempts(each.attempt for each in known)
    entries = annotations()
    found = {}
    for each in known:
        name = each.attempt.id
        validity = validity_today(each.attempt, entries.get(name, ()), name in stale)
        found[name] = validity, _why(validity, entries.get(name, ()), stale.get(name, ()))
    return found


def _why(validity: "Validity", entries: Sequence["Annotation"], reasons: Sequence[str]) -> str:
    if validity == "stale":
        return "; ".join(reason.rstrip(".") for reason in reasons)
    said = [entry for entry in entries if entry.kind == validity]
    return f"{said[-1].who}, {said[-1].when[:10]}: {said[-1].why}".rstrip(".") if said else ""


def _with_evidence(result: "KnownResult", known: "Known") -> "KnownResult":
    """Return a result with the digest of its evidence: of the published files as they lie, else as it would be made now."""
    from repro.cite.evidence.bundle import read_bundle
    from repro.cite.evidence.content import evidence_of
    from repro.ledger.published import directory_of
    from repro.schema.errors import ReproError

    try:
        if known.published is not None:
            evidence = read_bundle(directory_of(known.published)).digest
            if evidence != known.published.evidence and result.validity != "tampered":
                why = "its published files are not those that the index of published results lists"
                return replace(result, evidence=evidence, validity="tampered", why=why)
            return replace(result, evidence=evidence)
        return replace(result, evidence=result.evidence or evidence_of(result.attempt).digest)
    except ReproError as error:
        return replace(result, evidence=None, why=result.why or str(error))


def _print(cited: Sequence["Cited"], problems: Sequence["Problem"], notes: Sequence[str]) -> None:
    from repro.schema.plain_text import plain

    for note in notes:
        print(plain(note), file=sys.stderr)
    if not cited:
        print("No citation of a result was found.")
        return
    wrong = {(problem.file, problem.line, problem.cited) for problem in problems}
    fine = sum((each.file, each.line, each.name) not in wrong for each in cited)
    if not problems:
        print(f"{_count(fine)} of results found, and {'it is' if fine == 1 else 'all are'} fine.")
        return
    for problem in problems:
        # One line a fact, unbroken: ids and commands are there to be copied.
        print(plain(f"{problem.file}:{problem.line}: {problem.kind}: {problem.cited}"))
        print(f"    {plain(problem.found)}")
        print(f"    To do: {plain(problem.todo)}")
    print(f"\n{_count(len(cited))} of results found: {len(cited) - fine} to look at, {fine} fine.")


def _count(number: int) -> str:
    return "1 citation" if number == 1 else f"{number} citations"
