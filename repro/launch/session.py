"""One launch from words to the ledger: compose, plan, seal, run, judge, record."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from repro.catalog.as_sealed import claim_of, data_of, sources_of_records
from repro.catalog.compose import Request, compose
from repro.catalog.data import fetch
from repro.catalog.estimators import estimator_is_sealed_one
from repro.catalog.index import Index
from repro.catalog.load import load, load_claim, load_scale, load_study
from repro.judge.forecast import Outlook
from repro.launch.attempt import Concluded, carry_out, conclude, to_run
from repro.launch.executors import check as check_executor
from repro.launch.executors.detached import HandedOver, hand_over
from repro.launch.planning.admission import assess, require_admitted
from repro.launch.planning.cost import Budget, check_limit, cost_of, speeds
from repro.launch.planning.data_needs import listed, require_listed
from repro.launch.planning.plan import Shape, Source, make_plan, place, plan_attempt, readers_of, seeds_of
from repro.launch.planning.planfile import Provenance
from repro.launch.planning.stored import (
    config_of,
    is_stored,
    provenance_of,
    shape_for,
    store_plan,
    stored_at,
    stored_attempts,
)
from repro.launch.provenance.origin import attempt_provenance
from repro.launch.provenance.watch import gather, keep_environment
from repro.launch.records.store import RecordStore
from repro.ledger.content import CLAIM_FILE, PROVENANCE_FILE, SOURCES_FILE, claim_text, provenance_text, sources_text
from repro.ledger.write import record_attempts, record_blocked
from repro.schema.claim import Claim
from repro.schema.errors import ConfigError, DataError, PlanError
from repro.schema.places import records_dir
from repro.schema.study import Resources
from repro.schema.trial import Plan, PlannedAttempt, TrialRecord
from repro.schema.trial_provenance import ProvenanceFile
from repro.schema.verdict import Attempt

Figure = Callable[[Claim, Attempt], str]


@dataclass(frozen=True)
class Wishes:
    """What the user says of a plan besides its words."""

    indicative: bool = False
    """Seal also what can hardly decide, marked so in the seal."""
    pilot: str | None = None
    """Where the spread is taken from: a number, a directory of records, an attempt's id."""
    budget: Budget = field(default_factory=Budget)


@dataclass(frozen=True)
class Prepared:
    """A plan, sealed and stored or only looked at, ready to run."""

    plan: Plan
    requests: tuple[Request, ...]
    outlooks: Mapping[str, Outlook]
    """By attempt id."""
    budget: Budget


def prepare(
    words: Sequence[str],
    index: Index,
    new_seeds: bool = False,
    store: bool = True,
    *,
    wishes: Wishes = Wishes(),
    command: str = "run",
    need_data: bool = False,
) -> Prepared:
    """Compose the words, seal a plan and store it before anything runs.

    Args:
        words: claims or globs, and overrides.
        index: the claims there are.
        new_seeds: make a new attempt with seeds that none has used.
        store: False to look only: then nothing is refused for want of power, and nothing stored.
        wishes: pilot, price and limits.
        command: for the provenance.
        need_data: have all data here before anything is sealed; else the trials that lack some fail and say so. Where the
            executor takes them along, they are needed in any case.

    Raises:
        DataError: if data are needed and cannot be had.
        ConfigError: for words that mean nothing.
        PlanError: if an attempt can hardly decide, the plan costs more than is allowed, or trials lack their data.
    """
    requests = compose(words, index)
    settings = requests[0].executor
    for other in (request.executor for request in requests):
        _require_same(settings, other)
    if store:
        check_executor(settings)
    if len({request.replicates for request in requests}) > 1:
        raise ConfigError("One launch has one replicates=, no sweep over it: the number of seeds is chosen, not tuned.")
    records = RecordStore(records_dir())
    ran = [(record.study, record.replicate) for record in records.all()] if new_seeds else []
    shapes: dict[str, Shape] = {}
    for request in requests:
        where = place(request.claim.id, request.protocol, request.scale.name)
        source = Source(request.claim, request.protocol, request.study, request.scale)
        used = [replicate for study, replicate in ran if study == request.study.id]
        seeds = seeds_of(source, request.replicates)
        begun = _begun(request, source, where, seeds, records) if new_seeds else None
        shapes[where] = begun or shape_for(where, seeds, new_seeds, used)
    plan, outlooks = assess(
        make_plan(requests, readers_of(index.claims), shapes), records, wishes.pilot, wishes.indicative
    )
    if store:
        if wishes.budget.max_gpu_hours is not None:  # every record is read for it
            known = speeds(records)
            check_limit(
                to_run(plan, records, all_looks=True),
                lambda trials: cost_of(trials, known, wishes.budget),
                wishes.budget,
            )
        require_admitted(plan, outlooks)
        require_listed(plan.trials)
        if need_data or is_detached(settings):
            fetch_data(plan)
        store_plan(plan, _new_provenance(plan, ("repro", command, *words)))
    return Prepared(plan, tuple(requests), outlooks, wishes.budget)


def _require_same(settings: Mapping[str, Any], other: Mapping[str, Any]) -> None:
    differing = [name for name in {**settings, **other} if settings.get(name) != other.get(name)]
    if differing:
        name = "kind" if "kind" in differing else differing[0]
        word = "executor" if name == "kind" else f"executor.{name}"
        raise ConfigError(
            f"One launch has one executor, not {word}={settings.get(name)} and {word}={other.get(name)}. Launch them one after the "
            f"other."
        )


def _begun(request: Request, source: Source, where: str, seeds: int, records: RecordStore) -> Shape | None:
    """Return the last attempt on new seeds if it has trials to run: whoever asks for new seeds again resumes it.

    A first attempt is never meant: its seeds may have run for others before it was sealed.
    """
    last = next(reversed(stored_at(where)), None)
    if last is None or last.shape.counter == 1 or len(last.shape.replicates) != seeds:
        return None
    attempt, specs = plan_attempt(source, last.shape, request.last_params, request.overrides, request.config)
    unfinished = to_run(Plan((attempt,), tuple(specs.values()), ""), records)
    return last.shape if unfinished and attempt.id == last.attempt else None


def _new_provenance(plan: Plan, command: tuple[str, ...]) -> Provenance:
    new = [attempt.id for attempt in plan.attempts if attempt.requested and not is_stored(attempt)]
    if not new:
        return {}
    recipes = tuple(sorted({spec.recipe for spec in plan.trials}))
    sealed_in = {**attempt_provenance(command), "environment": keep_environment(recipes, records_dir())}
    return dict.fromkeys(new, sealed_in)


def sealing_provenance(plan: Plan) -> Provenance:
    """Return where each requested attempt of a stored plan was sealed."""
    return {attempt.id: provenance_of(attempt) for attempt in plan.attempts if attempt.requested}


def fetch_data(plan: Plan) -> None:
    """Have every data set of the plan on this machine, downloading where needed.

    Raises:
        DataError: if one cannot be had, the first of them; the others are here then.
    """
    refused: list[DataError] = []
    for data in listed(plan.trials).values():
        try:
            fetch(data)
        except DataError as error:
            refused.append(error)
    if refused:
        raise refused[0]


def launch(
    prepared: Prepared, figure: Figure, on_record: Callable[[TrialRecord], None] | None = None
) -> list[Concluded]:
    """Run a prepared plan to its verdicts and record them in the ledger. Starting it again resumes it.

    Raises:
        ConfigError: if its executor runs nothing; see `detach`.
    """
    try:
        fetch_data(prepared.plan)
    except DataError:
        if len(prepared.requests) == 1:
            raise
        # The other claims still run; the trials that lack the data fail and say what is missing.
    carry_out(
        prepared.plan, RecordStore(records_dir()), prepared.requests[0].executor, on_record, resources_asked(prepared)
    )
    return conclude_plan(prepared.plan, figure)


def resources_asked(prepared: Prepared) -> dict[str, Resources]:
    """Return what the studies say that their trials ask of a machine, by trial key."""
    studies = {(request.study.id, request.scale.name): request.study for request in prepared.requests}
    asked: dict[str, Resources] = {}
    for attempt in prepared.plan.attempts:
        study = studies.get((attempt.sealed.study, attempt.scale)) if attempt.requested else None
        if study is not None:
            asked |= dict.fromkeys(
                (key for keys in attempt.arms.values() for key in keys), study.resources_at(attempt.scale)
            )
    return asked


def is_detached(settings: Mapping[str, Any]) -> bool:
    """Say whether an executor runs nothing, but writes out what is to be taken along."""
    return settings.get("kind") == "detached"


def detach(prepared: Prepared) -> HandedOver:
    """Write a prepared plan and its data to where its executor says; its attempts stay planned until they are collected."""
    return hand_over(prepared.plan, sealing_provenance(prepared.plan), prepared.requests[0].executor)


def conclude_plan(plan: Plan, figure: Figure) -> list[Concluded]:
    """Judge the requested attempts of a plan from the records there are, and write them to the ledger.

    Raises:
        PlanError: if an estimator is no longer the one that was sealed; nothing is judged then.
    """
    concluded = [_conclude_one(planned, plan) for planned in plan.attempts if planned.requested]
    write_to_ledger(concluded, figure)
    return concluded


def _conclude_one(planned: PlannedAttempt, plan: Plan) -> Concluded:
    if not estimator_is_sealed_one(planned.sealed):
        raise PlanError(
            f"Attempt {planned.id} was sealed with another version of {planned.sealed.estimator}; its verdict stands as recorded. "
            f"Check out the commit it was launched from to judge it again, or launch a new attempt."
        )
    paper_flops = load_claim(planned.claim).paper_flops
    store = RecordStore(records_dir())
    sealed = replace(planned, config=config_of(planned))
    return conclude(sealed, plan, store, provenance_of(planned), paper_flops, _seal_now(planned))


def _seal_now(planned: PlannedAttempt) -> str | None:
    """Return the seal that this attempt would get today."""
    claim = load_claim(planned.claim)
    if planned.protocol not in claim.protocols:
        return None
    study = load_study(claim.protocols[planned.protocol].study)
    if planned.scale not in study.scales:
        return None
    source = Source(claim, planned.protocol, study, load_scale(planned.scale))
    shape = Shape(planned.counter, planned.sealed.replicates, planned.sealed.indicative)
    return plan_attempt(source, shape, requested=False)[0].sealed.digest


def write_to_ledger(concluded: Iterable[Concluded], figure: Figure) -> None:
    """Write attempts and their trials to MLflow; writing the same again changes nothing."""
    rows = []
    trials: dict[str, TrialRecord] = {}
    figures: dict[str, str] = {}
    failures: list[TrialRecord] = []
    keep: dict[str, dict[str, str]] = {}
    ran: dict[str, Mapping[str, float]] = {}
    for item in concluded:
        claim = load_claim(item.attempt.claim)
        rows.append((item.attempt, load("paper", claim.paper), claim))
        told = gather(
            [*item.failures, *item.records.values()], records_dir(), item.attempt.provenance.get("environment")
        )
        ran |= {trial.record: trial.figures for trial in told.trials} if told is not None else {}
        keep[item.attempt.id] = _to_keep(item, told)
        trials.update(item.records)
        failures += item.failures
        if item.attempt.verdict is not None:
            figures[item.attempt.id] = figure(claim, item.attempt)
    record_attempts(rows, trials, figures, failures, keep, ran=ran)


def _to_keep(item: Concluded, told: ProvenanceFile | None) -> dict[str, str]:
    """Return what evidence needs and an upgrade would take away: claim, paper and data as they stand, the recipe's sources, and how
    the trials ran."""
    records = [*item.failures, *item.records.values()]
    claim = claim_of(item.attempt)
    files = {CLAIM_FILE: claim_text(load("paper", claim.paper), claim, data_of(records))}
    sources = sources_of_records(records)
    if sources is not None:
        files[SOURCES_FILE] = sources_text(sources)
    if told is not None and item.attempt.execution == "completed":  # kept once, so not before every trial is there
        files[PROVENANCE_FILE] = provenance_text(told)
    return files


def judge_again(claim: str, figure: Figure) -> list[Concluded]:
    """Judge every stored attempt of a claim again from its records.

    Raises:
        PlanError: if there is none, or the estimator is no longer the one that was sealed.
    """
    stored = stored_attempts(claim)
    if not stored:
        raise PlanError(f"No attempt of {claim} was launched from this directory. Launch one: repro run {claim}.")
    concluded = [_conclude_one(planned, plan) for planned, plan in stored]
    write_to_ledger(concluded, figure)
    return concluded


def record_blocked_claims(index: Index) -> None:
    """Have every blocked claim in the ledger, with what is missing."""
    for name, entry in index.claims.items():
        if entry.blocked:
            claim = load_claim(name)
            record_blocked(claim, load("paper", claim.paper))
