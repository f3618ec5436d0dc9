"""What the pages show beside claims: comparisons, tutorials, and what planned attempts would take."""

from collections.abc import Mapping
from dataclasses import replace

from repro.review.book import Book
from repro.review.facts.comparison import Comparison, parse_comparison
from repro.schema.errors import ReproError
from repro.schema.places import tutorials_dir
from repro.schema.planned import PlannedCost, read_planned


def with_listed(book: Book) -> Book:
    """Return the book with its comparisons and tutorials; what of them cannot be read is named among its problems."""
    problems = dict(book.problems)
    comparisons = _comparisons(problems)
    tutorials = _tutorials(problems)
    planned = _planned(problems)
    return replace(
        book, comparisons=comparisons, tutorials=tutorials, planned=planned, problems=dict(sorted(problems.items()))
    )


def _comparisons(problems: dict[str, tuple[str, ...]]) -> Mapping[str, Comparison]:
    # Late: a catalogue is needed for a whole book alone.
    from repro.catalog.load import config_files
    from repro.catalog.parse import read_yaml

    found = {}
    for name, file in config_files("comparison").items():
        try:
            found[name] = parse_comparison(name, read_yaml(file), str(file))
        except ReproError as error:
            problems[f"comparison {name}"] = (str(error),)
    return found


def _tutorials(problems: dict[str, tuple[str, ...]]) -> Mapping[str, str]:
    directory = tutorials_dir()
    found = {}
    for file in sorted(directory.glob("*.md")) if directory else ():
        try:
            found[file.stem] = file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            problems[f"tutorial {file.stem}"] = (f"{file} cannot be read ({error}).",)
    return found


def _planned(problems: dict[str, tuple[str, ...]]) -> Mapping[str, PlannedCost]:
    try:
        return read_planned()
    except ReproError as error:
        problems["planned attempts"] = (str(error),)
        return {}
