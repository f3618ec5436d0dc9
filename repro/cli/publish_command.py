"""`repro publish`."""

import sys
from typing import TYPE_CHECKING, Annotated, Any

import typer

from repro.cli.complete import complete_attempts

if TYPE_CHECKING:
    from pathlib import Path

    from repro.cite.results.publish import Published

_NONE = " There is none yet: launch one with `repro run`."


def publish(
    attempts: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="ATTEMPT",
            help="Attempts, claims (all their attempts), or globs over attempts in quotes.",
            autocompletion=complete_attempts,
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON (schema repro.publish/1).")] = False,
) -> None:
    """Put evidence into the repository, for everyone to check.

    Each attempt is verified first, then its evidence is written as a directory of plain files below docs/results (or the first
    directory in REPRO_RESULTS): a match, a mismatch and an inconclusive verdict alike. Nothing that was published is ever
    overwritten. Error rates of the protocol, where `repro calibrate` has measured them, lie beside it. Then index.json, the table in the README of the results, and the table between <!-- results --> and
    <!-- /results --> in the project's README are written anew; without attempts, only that is done.

    \b
    Examples:
      repro publish chinchilla/tokens_per_parameter
      repro publish '*@full-*'
      repro publish                    # index and tables again, after a directory came or went
    """
    from repro.cite.evidence.plain_markdown import one_line
    from repro.cite.results.index import rewrite
    from repro.cite.results.publish import results_root

    root = results_root()
    done, refused = _publish(attempts or [], root, quiet=as_json)
    changed, problems = rewrite(root)
    if as_json:
        from repro.cli.json_output import print_json

        print_json(
            "publish",
            published=done,
            refused=[{"attempt": name, "why": why} for name, why in refused.items()],
            changed=[str(file) for file in changed],
            problems=problems,
        )
    else:
        for file in changed:
            print(f"wrote {file}")
        new = sum(item["new"] for item in done)
        same = f", {len(done) - new} were there already" if len(done) > new else ""
        print(
            f"{new} published in {root}{same}." if attempts else f"{root} {'brought' if changed else 'was'} up to date."
        )
    for message in [*refused.values(), *problems]:
        print(f"error: {one_line(message)}", file=sys.stderr)
    homes = [item["attempt"] for item in done if item["names_home_directories"]]
    if homes and not as_json:
        print(
            f"note: a home directory is named in the evidence of {', '.join(homes[:3])}{', ...' if len(homes) > 3 else ''}, in the "
            f"error of a trial or in a config. Look at it before you make it public.",
            file=sys.stderr,
        )
    if refused or problems:
        raise typer.Exit(2)


def _publish(patterns: list[str], root: "Path", quiet: bool) -> tuple[list[dict[str, Any]], dict[str, str]]:
    """Publish every attempt that the patterns name; one that is refused does not keep the others back."""
    if not patterns:
        return [], {}
    from repro.cite.results.publish import add_entries, already_published, put_calibration
    from repro.ledger.annotations import annotations_of
    from repro.ledger.read import calibration_of
    from repro.schema.errors import ReproError

    done: list[dict[str, Any]] = []
    refused: dict[str, str] = {}
    for name in _expand(patterns):
        try:
            there = already_published(name)
            homes: list[str] = []
            if there is None:
                there, homes = _put(name, root)
            else:
                add_entries(there.directory, there.result.attempt, annotations_of(name))
            rates = put_calibration(there.directory, calibration_of(name))
        except ReproError as error:
            refused[name] = f"{name} is not published: {error}"
            continue
        item = {"attempt": name, "evidence": there.result.evidence, "place": str(there.directory), "new": there.new}
        done.append({**item, "names_home_directories": homes})
        if not quiet:
            word = "published" if there.new else "is there already"
            word += ", now with the error rates of its protocol" if rates else ""
            print(f"{name} {word} (evidence {there.result.evidence[:12]})", flush=True)
    return done, refused


def _put(name: str, root: "Path") -> "tuple[Published, list[str]]":
    """Verify the evidence of an attempt and publish it; return also which of its files name a home directory.

    Raises:
        ReproError: if it may not be published, or does not hold.
    """
    from repro.cite.evidence.bundle import EvidenceError
    from repro.cite.evidence.content import evidence_of, homes_named
    from repro.cite.results.publish import publish as put
    from repro.cite.results.publish import refusal
    from repro.cite.verification.verify import verify
    from repro.ledger.annotations import annotations_of
    from repro.ledger.read import load_attempt

    why = refusal(load_attempt(name))
    if why is not None:
        raise EvidenceError(f"{why.rstrip('.')}.")
    bundle = evidence_of(name)
    report = verify(bundle)
    if not report.ok:
        failed = [finding.sentence for finding in report.findings if finding.status in ("fails", "unknown")]
        raise EvidenceError(f"its evidence does not hold. {' '.join(failed[:3]) or report.conclusion}")
    return put(bundle, root, annotations_of(name)), homes_named(bundle)


def _expand(patterns: list[str]) -> list[str]:
    """Return the attempts that names and globs mean, each once; a claim's name stands for all its attempts.

    Raises:
        StoreError: if one means none (names the nearest).
    """
    from difflib import get_close_matches
    from fnmatch import fnmatchcase

    from repro.ledger.fast import known_names
    from repro.schema.errors import StoreError

    known = known_names()
    found: list[str] = []
    for pattern in patterns:
        named = [name for name in known if pattern in (name, name.partition("@")[0])]
        named = named or [name for name in known if fnmatchcase(name, pattern)]
        if not named:
            close = get_close_matches(pattern, known, n=1)
            hint = f" Did you mean '{close[0]}'?" if close else " `repro show CLAIM` names the attempts of a claim."
            raise StoreError(f"No attempt is called or matches '{pattern}'.{hint if known else _NONE}")
        found += named
    return list(dict.fromkeys(found))
