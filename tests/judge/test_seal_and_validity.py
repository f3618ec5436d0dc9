import pytest
from sealed_claims import make_part

from repro.judge.seal import seal
from repro.judge.validity import validity
from repro.schema.claim import Claim, Control, EstimatorSpec, Interval, Protocol, Quantity
from repro.schema.errors import ConfigError
from repro.schema.study import ScaleDelta, Study

ARMS = {"main": ("k1", "k2"), "untuned": ("k3",)}


def make_claim(part=None) -> Claim:
    protocol = Protocol(
        kind="replication",
        study="topic/study",
        estimator=EstimatorSpec("repro.stats.summary.mean_over_seeds", {"column": "loss", "noise": "symmetric"}),
        decisive=("gpu",),
        controls={"untuned": Control("differs", params={"warmup": 0}, estimator={"column": "untuned_loss"})},
        looks=2,
        exclusions=("none",),
    )
    part = part or make_part(absolute=0.1)
    return Claim("paper/claim", "paper", "It holds.", "Table 1", Quantity("a"), {"value": part}, {"retrain": protocol})


def make_seal(claim=None, protocol="retrain", scale="gpu", **changed):
    given = {
        "arms": ARMS,
        "replicates": (0, 1),
        "max_replicates": 2,
        "estimator_sources": "e" * 64,
        "resampling_unit": "seed",
    }
    scales = {"gpu": ScaleDelta(), "smoke": ScaleDelta()}
    study = Study("topic/study", "experiments.topic.study", scales, deterministic=True)
    return seal(claim or make_claim(), protocol, scale, study, **(given | changed))


def test_the_seal_holds_everything_that_decides():
    sealed = make_seal()
    assert (sealed.claim, sealed.protocol, sealed.scale, sealed.kind) == (
        "paper/claim",
        "retrain",
        "gpu",
        "replication",
    )
    assert sealed.arguments == {"column": "loss", "noise": "symmetric"}
    assert sealed.controls["untuned"].arguments == {"column": "untuned_loss", "noise": "symmetric"}
    assert sealed.controls["untuned"].trials == ("k3",)
    assert (sealed.trials, sealed.replicates, sealed.looks) == (("k1", "k2"), (0, 1), 2)
    assert sealed.deterministic
    assert sealed.alpha == 0.05


@pytest.mark.parametrize(
    "changed",
    [
        {"arms": {**ARMS, "main": ("k1", "k9")}},
        {"arms": {**ARMS, "untuned": ("k9",)}},
        {"replicates": (2, 3)},
        {"max_replicates": 3},
        {"estimator_sources": "f" * 64},
        {"resampling_unit": "budget"},
        {"indicative": True},
        {"claim": make_claim(make_part(absolute=0.2))},
        {"claim": make_claim(make_part(printed="0.50", absolute=0.1))},
    ],
)
def test_changing_anything_breaks_the_seal(changed):
    assert make_seal().digest == make_seal().digest
    assert make_seal(**changed).digest != make_seal().digest


@pytest.mark.parametrize(
    ("part", "message"),
    [
        (make_part(printed="0", factor=2.0), "published value whose rounding stays above 0, not 0"),
        (make_part(printed="-3", factor=2.0), "stays above 0, not -3"),
        (make_part("exact", factor=2.0), "rule of kind exact takes margin.absolute or none"),
        (make_part("ordering", relative=0.1), "an ordering decides the sign"),
        (make_part(absolute=0.1, interval=Interval("0.1", "0.2", 95.0)), "level must lie between 0 and 1"),
        (make_part(absolute=0.1, n=0), "target.n, the number of the paper's own runs, must be at least 1"),
    ],
)
def test_what_the_rule_cannot_decide_is_not_sealed(part, message):
    with pytest.raises(ConfigError, match=f"paper/claim, part 'value'.*{message}"):
        make_seal(make_claim(part))


def test_looks_are_sealed_only_where_one_could_decide():
    assert make_seal().looks == 2
    assert make_seal(scale="smoke").looks == 1


def test_an_indicative_seal_says_so_for_ever():
    assert make_seal().indicative is False
    assert make_seal(indicative=True).indicative is True


def test_unknown_protocols_and_empty_arms_are_refused():
    with pytest.raises(ConfigError, match="no protocol 'retrian'. Did you mean 'retrain'"):
        make_seal(protocol="retrian")
    with pytest.raises(ConfigError, match="arm 'untuned' has no trials"):
        make_seal(arms={"main": ("k1",), "untuned": ()})


@pytest.mark.parametrize(
    ("changed", "expected"),
    [
        ({}, "current"),
        ({"current_seal": "other"}, "stale"),
        ({"current_seal": None}, "stale"),
        ({"record_seals": [("mine",), ("other",)]}, "post_hoc"),
        ({"record_seals": [()], "current_seal": None}, "post_hoc"),
        ({"disputed": True, "record_seals": [()]}, "disputed"),
        ({"invalidated": True, "disputed": True}, "invalidated"),
        ({"edited": True, "invalidated": True}, "tampered"),
    ],
)
def test_validity_says_the_gravest_thing(changed, expected):
    given = {"seal": "mine", "record_seals": [("mine",), ("other", "mine")], "current_seal": "mine"}
    assert validity(**(given | changed)) == expected
