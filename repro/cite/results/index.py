"""A results directory as a whole: every published attempt read back, the index of them, and the tables in two pages."""

import json
import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from repro.cite.evidence.bundle import EvidenceError, read_bundle
from repro.cite.results.publish import annotations_file, attempt_in, entries_in, place_of, refusal, result_of, writing
from repro.cite.results.table import END, START, Row, attempts_table, papers_table, with_table
from repro.ledger.published import ATTEMPT_FILE, INDEX_FILE, read_index
from repro.schema.errors import ReproError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.locks import one_writer
from repro.schema.published import PublishedResult, ResultsIndex

PAGE_FILE = "README.md"
_NEW_PAGE = """# Results

Every directory holds the evidence of one attempt; `repro verify DIRECTORY` judges it again from its records.

<!-- results -->
<!-- /results -->
"""


def read_results(root: Path) -> tuple[list[Row], list[str]]:
    """Read every published directory whole.

    Returns:
        One row a directory, by attempt; and a sentence for each that cannot be read or stands in another place than its id says.
    """
    rows: list[Row] = []
    problems: list[str] = []
    for directory in _directories(root):
        try:
            rows.append(_row(root, directory))
        except ReproError as error:
            problems.append(str(error))
    return sorted(rows, key=lambda row: row.result.attempt), problems


def _row(root: Path, directory: Path) -> Row:
    bundle, place = read_bundle(directory), directory.relative_to(root).as_posix()
    attempt = attempt_in(bundle.files, str(directory))
    if place != place_of(attempt):
        raise EvidenceError(
            f"{directory} holds {attempt.id}, whose place is {root / place_of(attempt)}. Move the directory there, or take it away."
        )
    why = refusal(attempt)
    if why is not None:
        raise EvidenceError(f"{directory} must not be published: {why}.")
    return Row(result_of(bundle, attempt, place), attempt, entries_in(annotations_file(directory), attempt.id))


def _directories(root: Path) -> Iterator[Path]:
    for file in sorted(root.rglob(ATTEMPT_FILE)):
        if not any(step.startswith(".") for step in file.relative_to(root).parts):
            yield file.parent


def index_text(results: Sequence[PublishedResult]) -> str:
    """Return the text of `index.json`."""
    index = ResultsIndex(tuple(sorted(results, key=lambda result: (result.attempt, result.evidence))))
    return json.dumps(to_json(index), indent=1, ensure_ascii=False, allow_nan=False) + "\n"


def pages(root: Path, rows: Sequence[Row]) -> dict[Path, str]:
    """Return the pages with a generated table, each as it should be: that of the results directory (new, if it is missing), and
    the README of the project around it, if that has the markers."""
    own = root / PAGE_FILE
    found = {own: with_table(_read(own) or _NEW_PAGE, attempts_table(rows))}
    for above in (root.parent, root.parent.parent):
        readme = above / PAGE_FILE
        text = _read(readme)
        page = with_table(text, "") if text else None
        if text and page is not None:
            found[readme] = with_table(text, _papers(readme, root, rows))
            break
    return {file: page for file, page in found.items() if page is not None}


def _read(file: Path) -> str | None:
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return None


def _papers(readme: Path, root: Path, rows: Sequence[Row]) -> str:
    """Return the table of papers of the claims that live beside a README, and of those published there."""
    from repro.catalog.index import load_index
    from repro.catalog.load import config_files, load_claim, load_papers

    here, published = readme.parent.resolve(), {row.result.claim for row in rows}
    files = config_files("claim")
    claims = [
        load_claim(name)
        for name in load_index().claims
        if name in published or files[name].resolve().is_relative_to(here)
    ]
    notes = root.parent / "papers"
    links = {
        claim.paper: os.path.relpath(notes / f"{claim.paper}.md", readme.parent)
        for claim in claims
        if (notes / f"{claim.paper}.md").is_file()
    }
    return papers_table(claims, load_papers(), rows, links, os.path.relpath(root / PAGE_FILE, readme.parent))


def rewrite(root: Path) -> tuple[list[Path], list[str]]:
    """Write the index and the tables anew from the directories that there are.

    What was listed keeps the digest it was listed with as long as its directory is there: an entry of a directory that was
    damaged or edited since is never made to fit.

    Returns:
        The files that changed, and a sentence for each thing that is wrong; the tables leave it out.

    Raises:
        StoreError: if a file cannot be written.
    """
    with writing(root), one_writer(root / INDEX_FILE):
        rows, problems = read_results(root)
        try:
            listed = {result.place: result for result in read_index(root)}
        except ReproError as error:
            listed = {}
            problems.append(f"{error} It was written anew.")
        sound = [row for row in rows if listed.get(row.result.place, row.result).evidence == row.result.evidence]
        problems += [_changed(root, row, listed[row.result.place]) for row in rows if row not in sound]
        whole = {row.result.place for row in sound}
        kept = [result for place, result in listed.items() if place not in whole and (root / place).is_dir()]
        problems += [
            f"{root / result.place} lacks {ATTEMPT_FILE}. Restore it from version control, or take the directory away."
            for result in kept
            if not (root / result.place / ATTEMPT_FILE).exists()
        ]
        wanted = {root / INDEX_FILE: index_text([*(row.result for row in sound), *kept]), **pages(root, sound)}
        if root / PAGE_FILE not in wanted:
            problems.append(
                f"{root / PAGE_FILE} has no place for the table. Put the lines {START} and {END} where it should stand."
            )
        changed = [file for file, text in wanted.items() if _read(file) != text]
        for file in changed:
            write_atomically(file, wanted[file])
    return changed, problems


def _changed(root: Path, row: Row, listed: PublishedResult) -> str:
    return (
        f"The files in {root / row.result.place} make the evidence {row.result.evidence[:12]}, and {listed.evidence[:12]} was published. "
        f"Restore them from version control. If the attempt is meant to be published anew, take its entry out of {root / INDEX_FILE}."
    )
