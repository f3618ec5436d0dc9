"""Each way a config can be wrong is one sentence that names file, key and cure."""

import textwrap
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.catalog.load import load_claim, load_study
from repro.schema.blockage import Inquiry, Need, blockage_of
from repro.schema.claim import Margin
from repro.schema.errors import ConfigError
from tests_support import CLAIM, STUDY


def test_a_claim_becomes_the_frozen_words(write_claims) -> None:
    write_claims()
    claim = load_claim("toy/mean")
    assert claim.parts["value"].target.printed == "1.0"
    assert claim.parts["value"].rule.margin == Margin(absolute=0.25)
    assert claim.protocols["replicate"].controls["without_effect"].params == {"effect": 0.0}
    assert claim.protocols["replicate"].estimator.arguments == {"column": "x"}


GOOD = CLAIM.format(name="toy/mean", printed="1.0")


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        ("statement:", "statment:", ["unknown key 'statment'", "Did you mean 'statement'"]),
        ("locator: Section 1", "locator: [1]", ["locator must be text"]),
        ("kind: replication", "kind: replicaton", ["kind must be one of", "replicaton"]),
        ("study: toys/draws", "study: toys/drows", ["study names 'toys/drows'", "Did you mean 'toys/draws'"]),
        (", because: A quarter is what matters here.", "", ["margin has no reason", "because"]),
        ("id: toy/mean", "id: toy/median", ["must be 'toy/mean'", "'toy/median'"]),
        (
            "mean_over_seeds",
            "mean_over_sedes",
            ["mean_over_sedes", "Did you mean 'repro.stats.summary.mean_over_seeds'"],
        ),
        ("repro.stats.summary.mean_over_seeds", "os.system", ["'os.system', which is not an exported estimator"]),
        ("column: x", "colum: x", ["argument 'colum'", "Did you mean 'column'"]),
        (", column: x", "", ["lacks the argument 'column'"]),
        ("column: x", "column: {_target_: os.system}", ["_target_", "refused"]),
        ("A quarter is what matters here.", "'${oc.env:HOME}'", ["interpolation", "rule.because"]),
        ("column: x", "column: .inf", ["estimator.column' is inf", "JSON cannot say"]),
        ('"1.0"', "1.0", ["in quotes", "value.printed"]),
        ("paper: toy", "paper: toi", ["'toi'", "Did you mean 'toy'"]),
        ("effect: 0.0", "efect: 0.0", ["'efect'", "Did you mean 'effect'"]),
        ("decisive: [cpu]", "decisive: [cpuu]", ["'cpuu'", "Did you mean 'cpu'"]),
        ("decisive: [cpu]", "decisive: [gpu]", ["decisive", "scales"]),
        ("id: toy/mean", "id: [", ["not readable YAML"]),
    ],
)
def test_a_wrong_claim_is_one_clear_sentence(write_claims, old: str, new: str, words: list[str]) -> None:
    root = write_claims(claim=GOOD.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        load_claim("toy/mean")
    message = str(caught.value)
    assert str(root / "claim/toy/mean.yaml") in message
    for word in words:
        assert word in message
    assert "\n" not in message


def test_a_protocol_without_controls_is_refused(write_claims) -> None:
    text = GOOD[: GOOD.index("    controls:")]
    write_claims(claim=text)
    with pytest.raises(ConfigError, match="cannot fail proves nothing"):
        load_claim("toy/mean")


def test_target_and_parts_exclude_each_other(write_claims) -> None:
    write_claims(claim=GOOD + "parts: {a: {printed: '1'}}\n")
    with pytest.raises(ConfigError, match="either 'target'"):
        load_claim("toy/mean")


def test_parts_may_have_rules_of_their_own(write_claims) -> None:
    parts = textwrap.dedent("""
        parts:
          a: {printed: "1.0", source: secondary}
          b: {printed: "2", source: verified, rule: {kind: exact}}
    """)
    text = GOOD.replace('target: {printed: "1.0", source: verified}\n', parts.strip() + "\n")
    write_claims(claim=text)
    claim = load_claim("toy/mean")
    assert (claim.parts["a"].rule.kind, claim.parts["b"].rule.kind) == ("equivalence", "exact")


BLOCKED = """blocked:
  missing: the data
  since: "2020-01-01"
  unblock: access to the data
  needs:
    - {kind: data, what: the widgets' sizes}
    - {kind: compute, what: sorting them, device: H200, device_hours: 12, dollars: 36, source: secondary}
  asked: [{who: the authors, when: "2021-03-04", answer: none}]
  stand_ins: [toy/mean]
"""


def test_a_claim_is_blocked_or_has_protocols(write_claims) -> None:
    root = write_claims(
        extra={"claim/toy/closed.yaml": GOOD[: GOOD.index("protocols:")].replace("toy/mean", "toy/closed") + BLOCKED}
    )
    blockage = blockage_of(load_claim("toy/closed"))
    assert blockage is not None
    assert (blockage.unblock, blockage.stand_ins) == ("access to the data", ("toy/mean",))
    assert blockage.asked == (Inquiry("the authors", "2021-03-04", "none"),)
    assert blockage.needs == (
        Need("data", "the widgets' sizes"),
        Need("compute", "sorting them", "H200", 12.0, 36.0, "secondary"),
    )
    (root / "claim/toy/mean.yaml").write_text(GOOD + BLOCKED)
    with pytest.raises(ConfigError, match="one of the two"):
        load_claim("toy/mean")


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ("kind: data", "kind: luck", "blocked.needs\\[0\\].kind must be one of 'data', 'weights'"),
        ("device: H200, ", "", "compute needs 'device' and 'device_hours': sorting them"),
        ("device_hours: 12", "device_hours: 0", "device_hours must be above 0, not 0.0"),
        (
            "{kind: data, what",
            "{kind: data, dollars: 3, what",
            "only compute has 'device', 'device_hours' and 'dollars'",
        ),
        ('"2020-01-01"', '"long ago"', "blocked.since must be a day such as \"2020-01-31\", not 'long ago'"),
        ('"2021-03-04"', '"spring"', "blocked.asked\\[0\\].when must be a day"),
        ("  unblock: access to the data\n", "", "lacks the key 'unblock'"),
    ],
)
def test_what_a_blocked_claim_lacks_is_said_need_by_need(write_claims, old: str, new: str, says: str) -> None:
    assert old in BLOCKED
    write_claims(claim=GOOD[: GOOD.index("protocols:")] + BLOCKED.replace(old, new))
    with pytest.raises(ConfigError, match=says):
        load_claim("toy/mean")


def test_a_blocked_claim_names_at_least_one_need(write_claims) -> None:
    without = BLOCKED[: BLOCKED.index("  needs:")]
    write_claims(claim=GOOD[: GOOD.index("protocols:")] + without)
    with pytest.raises(ConfigError, match=r"blocked.needs is empty. Name each missing thing as \{kind, what\}"):
        load_claim("toy/mean")


def test_what_stands_in_for_a_blocked_claim_is_a_claim(write_claims) -> None:
    closed = GOOD[: GOOD.index("protocols:")].replace("toy/mean", "toy/closed") + BLOCKED
    write_claims(extra={"claim/toy/closed.yaml": closed.replace("[toy/mean]", "[toy/maen]")})
    told = "claim/toy/closed: blocked.stand_ins names the claim 'toy/maen'. Did you mean 'toy/mean'?"
    assert told in load_index().problems


@pytest.mark.parametrize(
    ("old", "new", "word"),
    [
        ("recipes.toys.draws", "recipes.toys.drows", "not a module"),
        ("recipes.toys.draws", "json", "is no recipe"),
        ("effect: 1.0", "efect: 1.0", "no field of"),
        ("cpu: {}", "cpuu: {}", "unknown scale 'cpuu'"),
        ("replicates: 6", "replicates: 0", "at least 1"),
        ("replicates: 6", "design: {grid: {n: [1]}, function: design}", "one of grid, cells or function"),
        ("replicates: 6", "design: {function: lay}", "does not define"),
        ("replicates: 6", "data: [nowhere]", "'nowhere'"),
    ],
)
def test_a_wrong_study_is_one_clear_sentence(write_claims, old: str, new: str, word: str) -> None:
    write_claims(study=STUDY.replace(old, new))
    with pytest.raises(ConfigError, match=word) as caught:
        load_study("toys/draws")
    assert "draws.yaml" in str(caught.value)


def test_an_unknown_claim_names_the_nearest(write_claims) -> None:
    write_claims()
    with pytest.raises(ConfigError, match="Did you mean 'toy/mean'"):
        load_claim("toy/maen")


def test_the_same_id_in_two_roots_is_refused(write_claims, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    root = write_claims()
    other = tmp_path / "other" / "claims"
    (other / "claim/toy").mkdir(parents=True)
    (other / "claim/toy/mean.yaml").write_text(GOOD)
    monkeypatch.setenv("REPRO_CLAIMS", f"{root}:{other}")
    with pytest.raises(ConfigError, match="defined twice"):
        load_claim("toy/mean")


def test_a_directory_that_is_none_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_CLAIMS", "/nowhere/at/all")
    with pytest.raises(ConfigError, match="REPRO_CLAIMS names /nowhere/at/all"):
        load_claim("toy/mean")
