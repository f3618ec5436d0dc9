"""The seal: everything that decides a verdict, fixed before the first trial runs."""

from collections.abc import Mapping

from repro.judge.comparison import check_parts
from repro.schema.claim import Claim
from repro.schema.errors import ConfigError, nearest
from repro.schema.study import Study
from repro.schema.verdict import Sealed, SealedControl


def seal(
    claim: Claim,
    protocol_name: str,
    scale: str,
    study: Study,
    *,
    arms: Mapping[str, tuple[str, ...]],
    replicates: tuple[int, ...],
    max_replicates: int,
    estimator_sources: str,
    resampling_unit: str,
    indicative: bool = False,
) -> Sealed:
    """Seal one protocol of a claim at one scale.

    Args:
        claim: what was published.
        protocol_name: which of its protocols.
        scale: at which the study will run.
        study: that the protocol reads.
        arms: trial keys of `main` and of each control; the keys cover recipe, config, data, precision and seeds.
        replicates: seeds, those of all looks.
        max_replicates: the most that may ever be added under this seal.
        estimator_sources: digest of the estimator's module and of what it imports from this project.
        resampling_unit: that the estimator names.
        indicative: whether it is sealed although it can hardly decide.

    Raises:
        ConfigError: if the protocol or an arm does not exist, or a part cannot be decided as written.

    Looks are sealed only where a look could decide: elsewhere all seeds are read at once, at the full α.
    """
    if protocol_name not in claim.protocols:
        raise ConfigError(f"{claim.id} has no protocol '{protocol_name}'.{nearest(protocol_name, claim.protocols)}")
    protocol = claim.protocols[protocol_name]
    check_parts(claim.parts, claim.id)
    absent = [arm for arm in ("main", *protocol.controls) if not arms.get(arm)]
    if absent:
        raise ConfigError(f"{claim.id}, protocol '{protocol_name}': the arm '{absent[0]}' has no trials to seal.")
    arguments = protocol.estimator.arguments
    return Sealed(
        claim=claim.id,
        protocol=protocol_name,
        scale=scale,
        kind=protocol.kind,
        parts=claim.parts,
        estimator=protocol.estimator.target,
        arguments=arguments,
        estimator_sources=estimator_sources,
        resampling_unit=resampling_unit,
        study=study.id,
        trials=arms["main"],
        replicates=replicates,
        max_replicates=max_replicates,
        controls={
            name: SealedControl(control.expect, {**arguments, **control.estimator}, arms[name])
            for name, control in protocol.controls.items()
        },
        decisive=protocol.decisive,
        deterministic=study.deterministic,
        same_recipe=protocol.same_recipe,
        looks=protocol.looks if scale in protocol.decisive else 1,
        exclusions=protocol.exclusions,
        indicative=indicative,
    )
