"""The Python interface: tidy frames of claims, attempts and trials, `run`, and `citation`."""

import warnings
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import pandas as pd

    from repro.review.book import Book
    from repro.schema.verdict import Attempt, Verdict


def claims() -> "pd.DataFrame":
    """Return one row a claim and part: what was published, how it is decided, where it can run, and what came of it.

    Columns: claim, part, paper, statement, locator, printed, target, source, rule, margin, because, protocols, kinds,
    studies, blocked; then of the claim as a whole, from the ledger and the published results together: verdict (`match`,
    `mismatch`, `inconclusive`, `blocked` or `not_run`), reading (the verdict in words), attempt (the one that decides) and
    evidence (digest of its evidence, where it was published or imported). What is not known is missing.

    Warns of every attempt that cannot be read; it counts for nothing.
    """
    import pandas as pd

    from repro.judge.reading import reading
    from repro.review.book import state_of
    from repro.review.facts.badges import deciding
    from repro.review.load import open_book
    from repro.schema.jsonform import to_json

    book = open_book()
    _warn(problem for problems in book.problems.values() for problem in problems)
    rows = []
    for claim in book.claims.values():
        attempt = deciding(book, claim)
        for name, part in claim.parts.items():
            margin = {k: v for k, v in to_json(part.rule.margin or {}).items() if v is not None}
            rows.append(
                {
                    "claim": claim.id,
                    "part": name,
                    "paper": claim.paper,
                    "statement": claim.statement,
                    "locator": claim.locator,
                    "printed": part.target.printed,
                    "target": part.target.value,
                    "source": part.target.source,
                    "rule": part.rule.kind,
                    "margin": next((f"{k} {v}" for k, v in margin.items()), None),
                    "because": part.rule.because,
                    "protocols": tuple(claim.protocols),
                    "kinds": tuple(sorted({p.kind for p in claim.protocols.values()})),
                    "studies": tuple(sorted({p.study for p in claim.protocols.values()})),
                    "blocked": claim.blocked.missing if claim.blocked else None,
                    "verdict": state_of(book, claim),
                    "reading": reading(attempt) if attempt else None,
                    "attempt": attempt.id if attempt else None,
                    "evidence": _evidence(book, attempt) if attempt else None,
                }
            )
    return pd.DataFrame(rows)


def _evidence(book: "Book", attempt: "Attempt") -> str | None:
    """Return the digest of what was published of an attempt, or with which it was imported."""
    if attempt.id in book.published:
        return book.published[attempt.id].evidence
    origin = attempt.provenance.get("origin")
    return str(origin["evidence"]) if isinstance(origin, Mapping) else None


def _warn(problems: Iterable[str]) -> None:
    for problem in dict.fromkeys(problems):
        warnings.warn(problem, stacklevel=3)


def attempts() -> "pd.DataFrame":
    """Return one row an attempt and part, by start, from the ledger and the published results together.

    Columns, by what they say:
        which: attempt, claim, part, paper, protocol, kind, scale, seal.
        verdict of the attempt: execution (`completed`, `failed`, ...; `blocked` for a claim that cannot be tested), outcome,
            reason, validity (as recorded: what people added counts, what has changed since does not; `repro status --stale`
            tells that), exploratory, indicative (sealed although its plan could hardly decide), look (at which of the looks
            that were sealed the verdict came), looks.
        verdict of the part: part_outcome, part_reason, target, margin, estimate, se, low and high (the ends of the interval
            that decides), n, deviation, deviation_scale (`log`: margin and deviation are natural logarithms).
        provenance: started, seconds, compute_ratio (of the paper's compute), commit, dirty, origin (`ledger`, `published`,
            `both`, or `imported` from somebody else), evidence (digest of what was published or imported).

    What an attempt does not have is missing. One that is published with other content than the one of the same id in the
    ledger stands beside it, as `<id>~<digest>`. Warns of published attempts that cannot be read.
    """
    import pandas as pd

    from repro.ledger.published import published_problems
    from repro.ledger.read import attempts as read_attempts
    from repro.ledger.read import load_attempts

    _warn(published_problems())

    frame, by_id = read_attempts(), {attempt.id: attempt for attempt in load_attempts()}
    known = [by_id.get(name) for name in frame["attempt"]]
    indicative = [None if attempt is None else attempt.sealed.indicative for attempt in known]
    look = [None if attempt is None or attempt.verdict is None else attempt.verdict.look for attempt in known]
    looks = [None if attempt is None else attempt.sealed.looks for attempt in known]
    return frame.assign(
        indicative=pd.array(indicative, dtype="boolean"),
        look=pd.array(look, dtype="Int64"),
        looks=pd.array(looks, dtype="Int64"),
    )


def trials(attempt: str) -> "pd.DataFrame":
    """Return one row a measured row of each trial of an attempt, in the ledger or published.

    Args:
        attempt: its id, as in the column `attempt` of `attempts()`.
    """
    from repro.ledger.read import trials as read_trials

    return read_trials(attempt)


def run(
    *claims: str,
    scale: str | None = None,
    executor: str | None = None,
    overrides: tuple[str, ...] = (),
    new_seeds: bool = False,
) -> "Verdict | Mapping[str, Verdict | None] | None":
    """Launch claims and return the verdict, or the verdicts by attempt where there are several.

    Args:
        claims: names or globs.
        scale: where to run; the default is `full` or `cpu`, as for `repro run`.
        executor: `inline`, `processes`, `slurm` or `ray`; what only writes a plan out, `detached`, is for the command line.
        overrides: Hydra overrides; those of sealed things make the attempt exploratory.
        new_seeds: make a new attempt with seeds that none has used.

    Returns:
        None in place of a verdict where a trial failed.
    """
    from repro.catalog.index import load_index
    from repro.launch.session import launch, prepare
    from repro.review.pictures.figures import interval_figure

    chosen = [f"{key}={value}" for key, value in (("scale", scale), ("executor", executor)) if value]
    prepared = prepare([*claims, *chosen, *overrides], load_index(), new_seeds)
    verdicts = {item.attempt.id: item.attempt.verdict for item in launch(prepared, interval_figure)}
    return next(iter(verdicts.values())) if len(verdicts) == 1 else verdicts


def citation(claim: str, format: str = "bibtex") -> str:
    """Return the citation of a paper and its verified result together, as `repro cite` prints it.

    Args:
        claim: name of the claim.
        format: `bibtex`, `cff`, `csl`, `ris`, `markdown` or `sentence`.

    Raises:
        ReproError: if nothing about the claim may be cited (says what is missing), or there is no such claim or format.
    """
    from repro.cite.citation.facts import cite_claim
    from repro.cite.citation.formats import FORMATS
    from repro.cite.citation.known import known_of, with_evidence
    from repro.launch.staleness import stale_attempts
    from repro.ledger.read import load_known
    from repro.review.addresses import claim_address
    from repro.schema.errors import ConfigError, nearest

    if format not in FORMATS:
        raise ConfigError(f"There is no format '{format}'.{nearest(format, FORMATS)}")
    found = load_known(claim)
    known = known_of(claim, claim_address(claim), found, stale_attempts(each.attempt for each in found))
    return FORMATS[format](cite_claim(with_evidence(known, found)))
