"""From requests to a plan: trials laid out, and every protocol that reads any of them sealed before they run."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
from typing import Any

from repro.catalog.compose import Request
from repro.catalog.estimators import check_estimator, estimator_digest
from repro.catalog.load import load, load_claim, load_scale, load_study
from repro.judge.seal import seal
from repro.launch.planning.keys import by_key, key_of
from repro.launch.planning.layout import LayOut, lay_out, remembering
from repro.schema.claim import Claim, Protocol
from repro.schema.errors import PlanError
from repro.schema.study import Scale, Study
from repro.schema.trial import Plan, PlannedAttempt, TrialSpec


@dataclass(frozen=True)
class Source:
    """What is needed to plan one attempt, requested or only sealed."""

    claim: Claim
    protocol: str
    study: Study
    scale: Scale


@dataclass(frozen=True)
class Shape:
    """What an attempt's place in the config does not fix: its number, its seeds, and whether it can hardly decide."""

    counter: int
    replicates: tuple[int, ...]
    indicative: bool = False


def make_plan(
    requests: Sequence[Request], readers: Mapping[str, Sequence[tuple[str, str]]], shapes: Mapping[str, Shape]
) -> Plan:
    """Return the plan of the requests.

    Launching a study seals every current protocol that reads it, or reads another study that shares trials with it, at the same
    seeds where its looks allow, so that a record shows by its content which seals stood before it.

    Args:
        requests: what to run.
        readers: by study, the (claim, protocol) pairs that read it.
        shapes: by `claim@protocol@scale`; where nothing is said, the first attempt with the seeds that the config says.
    """
    laid, study_of = remembering(), cache(load_study)
    trials: dict[str, TrialSpec] = {}
    attempts: dict[str, PlannedAttempt] = {}
    chosen: list[tuple[Request, Shape]] = []
    for request in requests:
        source = Source(request.claim, request.protocol, request.study, request.scale)
        shape = shapes.get(place(request.claim.id, request.protocol, request.scale.name))
        shape = shape or first_shape(source, request.replicates)
        attempt, specs = plan_attempt(
            source, shape, request.last_params, request.overrides, request.config, lay_out=laid
        )
        attempts[attempt.id] = attempt
        trials |= specs
        chosen.append((request, shape))
    # Claims of one study would each plan all the others again.
    for study, scale, counter, replicates in dict.fromkeys(
        (request.study.id, request.scale.name, shape.counter, shape.replicates) for request, shape in chosen
    ):
        recipe = study_of(study).recipe
        # Parsed alone first: to check all studies against their recipes takes longer than the rest of a small plan.
        kin = [study_of(name) for name in readers if name != study and load("study", name).recipe == recipe]
        for reading in (study, *_sharing(study_of(study), scale, replicates, kin, trials, laid)):
            for claim_id, protocol in readers.get(reading, ()):
                source = Source(load_claim(claim_id), protocol, study_of(reading), load_scale(scale))
                if scale in source.study.scales:
                    fits = len(replicates) % looks_at(source) == 0
                    shape = Shape(counter, replicates) if fits else first_shape(source)
                    attempt, _ = plan_attempt(source, shape, requested=False, lay_out=laid)
                    attempts.setdefault(attempt.id, attempt)
    return Plan(tuple(attempts.values()), tuple(trials.values()), datetime.now(UTC).isoformat(timespec="seconds"))


def _sharing(
    study: Study,
    scale: str,
    replicates: Sequence[int],
    others: Iterable[Study],
    trials: Mapping[str, TrialSpec],
    lay_out: LayOut,
) -> list[str]:
    """Return the other studies of this recipe that have one of the trials at this scale."""
    where = load_scale(scale)
    return [
        other.id
        for other in others
        if other.recipe == study.recipe and scale in other.scales
        if any(key_of(spec) in trials for spec in lay_out(other, where, replicates, None, None))
    ]


def place(claim: str, protocol: str, scale: str) -> str:
    """Return `claim@protocol@scale`, the name under which attempts are counted and seals are looked up."""
    return f"{claim}@{protocol}@{scale}"


def plan_attempt(
    source: Source,
    shape: Shape,
    last: Mapping[str, Any] | None = None,
    overrides: tuple[str, ...] = (),
    config: Mapping[str, Any] | None = None,
    requested: bool = True,
    lay_out: LayOut = lay_out,
) -> tuple[PlannedAttempt, dict[str, TrialSpec]]:
    """Lay out one attempt and seal it; return it with its trials by key.

    Args:
        source: of which claim, protocol, study and scale.
        shape: its number, its seeds, whether it is indicative.
        last: study parameters typed on the command line.
        overrides: sealed things changed by hand.
        config: as composed.
        requested: False for what is only sealed.
        lay_out: `repro.launch.planning.layout.lay_out`, or something that remembers what it returned.
    """
    claim, study, scale = source.claim, source.study, source.scale
    protocol: Protocol = claim.protocols[source.protocol]
    replicates = shape.replicates
    laid_out = {"main": lay_out(study, scale, replicates, None, last)}
    for name, control in protocol.controls.items():
        laid_out[name] = lay_out(study, scale, replicates, control.params, last)
    arms = {arm: tuple(key_of(spec) for spec in specs) for arm, specs in laid_out.items()}
    estimator = check_estimator(protocol.estimator, study.recipe, claim.id)
    sealed = seal(
        claim,
        source.protocol,
        scale.name,
        study,
        arms=arms,
        replicates=replicates,
        max_replicates=len(replicates),
        estimator_sources=estimator_digest(protocol.estimator),
        resampling_unit=estimator.resampling_unit,
        indicative=shape.indicative,
    )
    attempt = PlannedAttempt(
        claim=claim.id,
        protocol=source.protocol,
        scale=scale.name,
        counter=shape.counter,
        sealed=sealed,
        arms=arms,
        overrides=overrides,
        config=_without_place(config or {}),
        requested=requested,
    )
    return attempt, by_key(spec for specs in laid_out.values() for spec in specs)


def _without_place(config: Mapping[str, Any]) -> dict[str, Any]:
    """Leave out of a config, which is published, where its trials run: accounts, partitions, addresses, directories."""
    executor = config.get("executor")
    if not isinstance(executor, Mapping):
        return dict(config)
    return {**config, "executor": {name: executor[name] for name in ("kind", "jobs", "retries") if name in executor}}


def first_shape(source: Source, replicates: int | None = None) -> Shape:
    """Return the shape of the first attempt of a source: seeds from 0."""
    return Shape(1, tuple(range(seeds_of(source, replicates))))


def seeds_of(source: Source, replicates: int | None = None) -> int:
    """Return how many seeds an attempt has, those of all its looks.

    What the command line asks for, else the protocol's `max_replicates` where it looks several times, else what scale
    or study says; two for a deterministic study.

    Raises:
        PlanError: if looks cannot share them equally, or nothing random is there to repeat.
    """
    protocol, study = source.claim.protocols[source.protocol], source.study
    where, looks = f"{source.claim.id}, protocol '{source.protocol}'", looks_at(source)
    if study.deterministic:
        if replicates is not None or looks > 1:
            given = f"replicates={replicates}" if replicates is not None else f"looks: {looks}"
            raise PlanError(
                f"{where}: study '{study.id}' is deterministic, more seeds change nothing. Leave out {given}."
            )
        return 2
    if protocol.max_replicates is not None and protocol.looks == 1:
        raise PlanError(f"{where}: max_replicates is for several looks. Say how many with `looks`, or leave it out.")
    count = replicates or (protocol.max_replicates if looks > 1 else None)
    count = count or study.scales[source.scale.name].replicates or study.replicates
    if count % looks:
        raise PlanError(
            f"{where}: {looks} looks need equally many seeds each, and {count} is no multiple of {looks}. "
            f"Use replicates={looks * -(-count // looks)}, or change max_replicates."
        )
    return count


def looks_at(source: Source) -> int:
    """Return how many looks the protocol has at this scale: where nothing can be decided, one."""
    protocol = source.claim.protocols[source.protocol]
    return protocol.looks if source.scale.name in protocol.decisive else 1


def replicate_numbers(study: Study, scale: str, counter: int) -> tuple[int, ...]:
    """Return the replicates of attempt number `counter` of a study of its own; two seeds for a deterministic study."""
    count = 2 if study.deterministic else study.scales[scale].replicates or study.replicates
    first = (counter - 1) * count
    return tuple(range(first, first + count))


def readers_of(claims: Mapping[str, Any]) -> dict[str, list[tuple[str, str]]]:
    """Return the (claim, protocol) pairs that read each study, from the index's claims."""
    readers: dict[str, list[tuple[str, str]]] = {}
    for claim_id, entry in claims.items():
        for name, protocol in entry.protocols.items():
            readers.setdefault(protocol.study, []).append((claim_id, name))
    return readers
