"""A seal keeps its digest when the schema grows."""

from dataclasses import replace

from repro.schema.canonical import digest_of
from repro.schema.claim import Part, Rule, Target
from repro.schema.jsonform import from_json, to_json
from repro.schema.verdict import Sealed

SEALED = Sealed(
    claim="toy/mean",
    protocol="draws",
    scale="cpu",
    kind="replication",
    parts={"value": Part(Target("1.0", source="verified"), Rule("exact"))},
    estimator="repro.stats.summary.mean_over_seeds",
    arguments={"column": "x"},
    estimator_sources="aa",
    resampling_unit="seed",
    study="toys/draws",
    trials=("t0",),
    replicates=(0,),
    max_replicates=1,
    controls={},
    decisive=("cpu",),
)


def as_sealed_before_there_was_indicative(sealed: Sealed) -> dict:
    content = to_json(sealed)
    del content["indicative"]
    return content


def test_a_seal_made_before_a_field_existed_reads_and_keeps_its_digest() -> None:
    old = as_sealed_before_there_was_indicative(SEALED)
    assert from_json(Sealed, old) == SEALED
    assert SEALED.digest == digest_of(old)


def test_indicative_is_part_of_the_seal() -> None:
    assert replace(SEALED, indicative=True).digest != SEALED.digest
