"""What the attempts would take that nobody has run: laid out as `repro plan` would, without sealing anything."""

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from repro.catalog.index import load_index
from repro.catalog.load import load_claim, load_scale, load_study
from repro.launch.planning.layout import lay_out
from repro.launch.planning.plan import Source, first_shape
from repro.schema.canonical import canonical_json
from repro.schema.claim import Claim
from repro.schema.errors import ReproError
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.places import planned_file
from repro.schema.planned import PlannedCost, planned_json
from repro.schema.trial import TrialSpec

ALWAYS = ("smoke", "full")
"""Scales that take seconds: nothing to plan."""


def planned_costs(claims: Collection[Claim]) -> dict[str, PlannedCost]:
    """Return what every protocol of these claims takes at every scale that is worth planning, by `claim@protocol@scale`.

    What cannot be laid out here (a scale that needs another version of something) is left out.
    """
    laid_out: dict[tuple[str, str, str], Mapping[str, TrialSpec]] = {}

    def arm(source: Source, control: Mapping[str, Any] | None, seeds: Sequence[int]) -> Mapping[str, TrialSpec]:
        key = (source.study.id, source.scale.name, canonical_json([to_json(control or {}), list(seeds)]))
        if key not in laid_out:
            laid_out[key] = {spec.key: spec for spec in lay_out(source.study, source.scale, seeds, control)}
        return laid_out[key]

    found = {}
    for claim in claims:
        for name, protocol in claim.protocols.items():
            study = load_study(protocol.study)
            for scale in set(study.scales) - set(ALWAYS):
                source = Source(claim, name, study, load_scale(scale))
                try:
                    seeds = first_shape(source).replicates
                    main = arm(source, None, seeds)
                    controls: dict[str, TrialSpec] = {}
                    for control in protocol.controls.values():
                        controls |= arm(source, control.params, seeds)
                except (ReproError, ImportError, ValueError):
                    continue
                everything = {**controls, **main}
                costs = [spec.cost for spec in everything.values()]
                known = [cost for cost in costs if cost is not None]
                found[f"{claim.id}@{name}@{scale}"] = PlannedCost(
                    runs=len(main),
                    control_runs=len(everything) - len(main),
                    flops=sum(known) if len(known) == len(costs) else None,
                    device=source.scale.device,
                )
    return dict(sorted(found.items()))


def write_planned() -> None:
    """Work out what every claim that can be read would take, and store it for the pages."""
    claims = [load_claim(name) for name in load_index().claims]
    write_atomically(planned_file(), json.dumps(planned_json(planned_costs(claims)), indent=1) + "\n")
