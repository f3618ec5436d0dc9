"""What a calibration starts from: an attempt of this directory, or for means over seeds a spread known beforehand."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from repro.catalog.estimators import check_estimator, estimate_arm, estimator_is_sealed_one
from repro.catalog.load import load_claim, load_scale, load_study
from repro.judge.calibrate import Template
from repro.judge.looks import seeds_of_look
from repro.launch.planning.plan import Source, first_shape, plan_attempt
from repro.launch.provenance.origin import fingerprint
from repro.launch.records.store import RecordStore
from repro.schema.canonical import canonical_json
from repro.schema.claim import EstimatorSpec
from repro.schema.errors import PlanError
from repro.schema.places import records_dir
from repro.schema.trial import Machine, Plan, PlannedAttempt, TrialRecord, TrialSpec
from repro.schema.verdict import Estimate, Sealed
from repro.stats.estimator import simulator_of

OF_MEANS = "repro.stats.simulators.means.runs"
"""The simulator that needs a spread and a number of runs, and nothing else of an attempt."""


def template_of(planned: PlannedAttempt, plan: Plan) -> Template:
    """Return what the records of an attempt show: its estimates, its controls, its noise.

    An attempt that decided at an early look has no records of the later ones: they are laid out like those there are.

    Raises:
        PlanError: if a trial has no record, or the estimator is no longer the one that was sealed.
    """
    sealed = planned.sealed
    if not estimator_is_sealed_one(sealed):
        raise PlanError(
            f"Attempt {planned.id} was sealed with another version of {sealed.estimator}, so its error rates cannot be "
            f"measured with this one. Launch a new attempt: repro run {planned.claim} scale={planned.scale}."
        )
    specs = {spec.key: spec for spec in plan.trials}
    store, arms = RecordStore(records_dir()), {}
    for arm, keys in planned.arms.items():
        found = [store.find(specs[key], fingerprint(specs[key].device)) for key in keys]
        arms[arm] = _laid_out([specs[key] for key in keys], [record for record in found if record is not None])
        if not arms[arm]:
            raise PlanError(
                f"Attempt {planned.id} has trials without a record in its arm {arm}, so its noise is not known. Finish it: repro run "
                f"{planned.claim} scale={planned.scale}."
            )
    controls = []
    for look in range(1, sealed.looks + 1):
        seeds = set(seeds_of_look(sealed, look))
        read = {
            name: [r for r in arms[name] if look == sealed.looks or r.replicate in seeds] for name in sealed.controls
        }
        controls.append({name: estimate_arm(sealed, name, records) for name, records in read.items()})
    return replace(
        _with_estimator(sealed, arms["main"]),
        controls=controls,
        recorded=estimate_arm(sealed, "main", arms["main"]),
        noise_from=planned.id,
    )


def template_from_spread(
    claim_id: str, protocol: str, scale: str, pilots: Sequence[tuple[PlannedAttempt, Plan]]
) -> Template:
    """Return what is known of a protocol that has no attempt: the published spread, or that of an attempt at another scale.

    Raises:
        PlanError: if nothing tells how runs scatter, or the estimator needs more than a spread.
    """
    claim = load_claim(claim_id)
    source = Source(claim, protocol, load_study(claim.protocols[protocol].study), load_scale(scale))
    planned, specs = plan_attempt(source, first_shape(source), requested=False)
    sealed = planned.sealed
    launch = f"Launch one: repro run {claim_id} protocol={protocol} scale={scale}"
    no_attempt = f"No attempt of {claim_id}@{protocol}@{scale} was launched from this directory"
    function = check_estimator(claim.protocols[protocol].estimator, source.study.recipe, claim_id)
    if function.simulator != OF_MEANS or len(sealed.parts) != 1:
        raise PlanError(f"{no_attempt}, and how its data scatter is known from an attempt alone. {launch}.")
    ((name, part),) = sealed.parts.items()
    noise_from, spread = "published", None if part.target.sd is None else float(part.target.sd)
    for pilot, plan in pilots:
        if spread is None:
            noise_from, spread = pilot.id, template_of(pilot, plan).recorded[name].spread
    if not spread:
        raise PlanError(
            f"{no_attempt}, the paper prints no spread (target.sd) and no attempt at another scale shows one. {launch}, or at a "
            f"smaller scale, whose spread will do."
        )
    keys = planned.arms["main"]
    runs = _runs([specs[key] for key in keys], str(sealed.arguments["column"]), part.target.value, spread)
    template = _with_estimator(sealed, runs)
    assert template.estimate is not None
    return replace(template, recorded=template.estimate(runs), noise_from=noise_from)


def _with_estimator(sealed: Sealed, records: Sequence[TrialRecord]) -> Template:
    """Return a template with the sealed estimator and its simulator, both with the sealed arguments."""
    function = check_estimator(EstimatorSpec(sealed.estimator, sealed.arguments), records[0].recipe, sealed.claim)
    arguments: Mapping[str, Any] = sealed.arguments
    simulate = simulator_of(function)

    def estimate(read: Sequence[TrialRecord]) -> Mapping[str, Estimate]:
        result = function(read, **arguments)
        return {"value": result} if isinstance(result, Estimate) else result

    return Template(
        sealed=sealed,
        recorded={},
        controls=None,
        noise_from="",
        records=records,
        estimate=estimate,
        simulate=None if simulate is None else partial(simulate, **arguments),
        simulator=function.simulator,
    )


def _laid_out(specs: Sequence[TrialSpec], records: Sequence[TrialRecord]) -> list[TrialRecord]:
    """Return one record a trial; a trial of a later look takes the record of another seed of its cell. Empty if it cannot."""
    there = {record.key: record for record in records}
    cells = {_cell(record.config): record for record in records}
    laid_out = []
    for spec in specs:
        like = there.get(spec.key) or cells.get(_cell(spec.config))
        if like is None:
            return []
        laid_out.append(replace(like, key=spec.key, replicate=spec.replicate, config=spec.config))
    return laid_out


def _cell(config: Mapping[str, Any]) -> str:
    return canonical_json({name: value for name, value in config.items() if name != "seed"})


def _runs(specs: Sequence[TrialSpec], column: str, mean: float, spread: float) -> list[TrialRecord]:
    """Return runs whose values have exactly this mean and standard deviation: a pattern to draw from, no data."""
    steps = np.linspace(-1.0, 1.0, len(specs))
    values = mean + spread * steps / max(float(np.std(steps, ddof=1)), math.ulp(1.0))
    nowhere = Machine("", "", 0, 0.0, "", "", "", None, 0)
    return [
        TrialRecord(
            key=spec.key,
            study=spec.study,
            recipe=spec.recipe,
            config=spec.config,
            replicate=spec.replicate,
            sources=spec.sources,
            device=spec.device,
            precision=spec.precision,
            measures=spec.measures,
            label=spec.label,
            status="finished",
            rows=({column: float(value)},),
            curves={},
            data={},
            seals=(),
            started="",
            seconds=0.0,
            machine=nowhere,
            process="",
        )
        for spec, value in zip(specs, values, strict=True)
    ]
