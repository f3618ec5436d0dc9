"""One part a benchmark, or a benchmark and batch size, of the reference convergence points."""

from collections.abc import Callable, Mapping, Sequence

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator
from repro.stats.reference_convergence import reference_convergence
from repro.stats.trend import monotone_trend

__all__ = ["against_older_reference", "slower_with_batch"]

REQUIRED: Mapping[str, int] = {
    "bert": 10,
    "flux1": 10,
    "gpt3": 3,
    "resnet": 5,
    "rnnt": 10,
    "stable_diffusion": 10,
    "unet3d": 40,
}
"""N, the runs that a submission needs: rcp_checker.py of mlcommons/logging (e6ba2a9); of FLUX.1, CONTRIBUTING.md of
mlcommons/training_policies (pull request 562)."""


@estimator(unit="run", simulator="repro.stats.simulators.convergence.benchmarks")
def slower_with_batch(records: Sequence[TrialRecord], *, direction: str = "increasing") -> dict[str, Estimate]:
    """Return for each benchmark how the epochs to converge move with the batch size; runs are independent.

    Args:
        records: two replicates of one trial a benchmark.
        direction: `increasing`: a larger batch takes longer.
    """
    return _by(
        lambda record: str(record.config["benchmark"]),
        records,
        lambda same: monotone_trend(same, x="batch_size", y="epochs", runs="rows", direction=direction),  # type: ignore[arg-type]
    )


@estimator(unit="run", simulator="repro.stats.simulators.convergence.replaced_points")
def against_older_reference(
    records: Sequence[TrialRecord], *, deviation: str = "kept", pruned: bool = False
) -> dict[str, Estimate]:
    """Return for each replaced point how fast the newer runs converge against the older reference.

    Args:
        records: two replicates of one trial a replaced point.
        deviation: `kept` or `all`, see `repro.stats.reference_convergence`.
        pruned: whether slow points of the older reference are left out first.
    """

    def held_against(same: Sequence[TrialRecord]) -> Estimate:
        config = same[0].config
        benchmark = str(config["benchmark"])
        return reference_convergence(
            same,
            batch_size=float(config["batch_size"]),
            runs=REQUIRED[benchmark],
            dropped=4 if benchmark == "unet3d" else 1,
            deviation=deviation,  # type: ignore[arg-type]
            pruned=pruned,
        )

    return _by(_point_name, records, held_against)


def _point_name(record: TrialRecord) -> str:
    """Such as `bert_448_2_1_0`."""
    version = str(record.config["newer"]).removeprefix("training_").replace(".", "_")
    return f"{record.config['benchmark']}_{record.config['batch_size']}_{version}"


def _by(
    name: Callable[[TrialRecord], str],
    records: Sequence[TrialRecord],
    judged: Callable[[Sequence[TrialRecord]], Estimate],
) -> dict[str, Estimate]:
    groups: dict[str, list[TrialRecord]] = {}
    for record in records:
        groups.setdefault(name(record), []).append(record)
    return {part: judged(same) for part, same in groups.items()}
