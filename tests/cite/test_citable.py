"""What may be cited, what is said where it may not, and which attempt a citation is about."""

from dataclasses import replace

import pytest
from citation_examples import DIGEST, SITE, chain, make_attempt, make_claim, make_known

from repro.cite.citation.citable import (
    Evidence,
    NotCitable,
    checked_address,
    choose,
    contrary,
    missing,
    published_address,
)
from repro.schema.annotation import Annotation
from repro.schema.claim import Blocked, Protocol
from repro.schema.errors import ReproError
from repro.schema.published import PublishedResult
from repro.schema.verdict import Attempt, ControlVerdict

PUBLISHED = Evidence(DIGEST, SITE)


def lacks(attempt: Attempt, validity="current", evidence: Evidence | None = PUBLISHED, **more) -> tuple[str, ...]:
    return missing(attempt, validity=validity, evidence=evidence, **more)


@pytest.mark.parametrize("outcome", ["match", "mismatch"])
def test_a_decided_attempt_of_a_clean_commit_with_published_evidence_lacks_nothing(outcome: str) -> None:
    assert lacks(make_attempt(outcome=outcome)) == ()


def test_an_indicative_attempt_may_be_cited() -> None:
    assert lacks(make_attempt(indicative=True)) == ()


def with_control(failed: bool | None) -> Attempt:
    attempt = make_attempt()
    control = ControlVerdict("differs", failed, "", {})
    return replace(attempt, verdict=replace(attempt.verdict, controls={"untuned": control}))


ATTEMPT = make_attempt()
DISPUTES = chain(Annotation(ATTEMPT.id, "disputed", "B. Li", "2026-06-01", "The clock was wrong."))
RUN = "repro run widgets/exponent protocol=retrain scale=gpu"
LACKING: dict[str, tuple[Attempt, dict, str]] = {
    "planned": (make_attempt(execution="planned", verdict=None), {}, f"It is sealed but has not run, so there is no verdict. Run it to its end: {RUN}"),
    "running": (make_attempt(execution="running", verdict=None), {}, f"It is still running, so there is no verdict. Run it to its end: {RUN}"),
    "failed": (make_attempt(execution="failed", verdict=None), {}, f"It did not run to its end (failed), so there is no verdict. Run it to its end: {RUN}"),
    "inconclusive": (
        make_attempt(outcome="inconclusive"), {},
        "It is inconclusive (too few data to decide); only a match or a mismatch can be cited. See what would decide it: "
        "repro plan widgets/exponent protocol=retrain scale=gpu",
    ),
    "exploratory": (
        make_attempt(exploratory=True, overrides=("params.lr=0.01",)), {},
        f"Sealed settings were changed by hand (params.lr=0.01). Run it as it stands: {RUN}",
    ),
    "post_hoc": (ATTEMPT, {"validity": "post_hoc"}, f"It was sealed after its records were made. Run it with new seeds: {RUN} --new-seeds"),
    "stale": (
        ATTEMPT, {"validity": "stale", "stale": ("the margin was 0.12 and is 0.5",)},
        f"What its seal covers has changed since (the margin was 0.12 and is 0.5). Run it again: {RUN}",
    ),
    "tampered": (ATTEMPT, {"validity": "tampered"}, f"Do not rely on it: the stored bytes are not those that were sealed. Make a new attempt: {RUN}"),
    "disputed": (
        ATTEMPT, {"validity": "disputed", "annotations": DISPUTES},
        f"It is disputed by B. Li: The clock was wrong. Whoever has checked that can settle it: repro annotate {ATTEMPT.id} confirmed "
        f'--settles {DISPUTES[0].digest[:8]} --who "NAME <MAIL>" --why "WHAT WAS FOUND"',
    ),
    "invalidated": (
        ATTEMPT, {"validity": "invalidated", "annotations": chain(Annotation(ATTEMPT.id, "invalidated", "B. Li", "2026-06-01", "A bug."))},
        f"It was withdrawn by B. Li: A bug. Make a new attempt: {RUN} --new-seeds",
    ),
    "scale": (
        make_attempt(scale="cpu"), {},
        "Scale cpu decides nothing for this protocol (gpu, paper would). Run it there: repro run widgets/exponent protocol=retrain scale=gpu",
    ),
    "no control": (make_attempt(controls={}), {}, "Its protocol has no control, so it could not have failed. Add one to the claim, and run it again."),
    "control": (with_control(False), {}, "Of its controls, which must fail, untuned did not or stayed undecided. See what happened: repro show widgets/exponent"),
    "undecided control": (with_control(None), {}, "Of its controls, which must fail, untuned did not or stayed undecided. See what happened: repro show widgets/exponent"),
    "no commit": (
        make_attempt(provenance={}), {},
        f"It does not say from which commit it ran. To have one, run it from a clean git checkout: {RUN} --new-seeds",
    ),
    "dirty": (
        make_attempt(provenance={"commit": "0123456789", "dirty": True}), {},
        "The checkout had changes that were not committed, so commit 0123456 is not what ran. Commit them, then run it from a clean git "
        f"checkout: {RUN} --new-seeds",
    ),
    "perhaps dirty": (
        make_attempt(provenance={"commit": "0123456789", "dirty": None}), {},
        "Whether the checkout was clean is unknown, so commit 0123456 is not what ran for certain. Run it from a clean git "
        f"checkout: {RUN} --new-seeds",
    ),
    "unpublished": (
        ATTEMPT, {"evidence": None},
        f"Its evidence is not published. Publish it: repro publish {ATTEMPT.id} (or say where it lies with --address URL)",
    ),
    "no address": (
        ATTEMPT, {"evidence": Evidence(DIGEST)},
        f"Its evidence is not published. Publish it: repro publish {ATTEMPT.id} (or say where it lies with --address URL)",
    ),
    "changed": (
        ATTEMPT, {"evidence": Evidence(DIGEST, SITE, "cd" * 32)},
        f"Its published evidence has the digest abababababab, its index says cdcdcdcdcdcd. Look at what differs (repro verify {SITE}), then "
        "restore the files or publish again.",
    ),
    "of unproven origin": (
        make_attempt(provenance={**ATTEMPT.provenance, "origin": {"evidence": DIGEST, "signed_by": None, "checked_against": None}}), {},
        "It was imported from others and its origin is unproven. Import it again with the digest or key that its makers gave: "
        "repro import BUNDLE --digest DIGEST",
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", LACKING)
def test_what_is_missing_is_said_with_what_to_do(case: str) -> None:
    attempt, more, sentence = LACKING[case]
    assert lacks(attempt, **more) == (sentence,)


def test_everything_that_is_missing_is_said_at_once() -> None:
    attempt = make_attempt(outcome="inconclusive", scale="cpu", exploratory=True, provenance={})
    assert len(lacks(attempt, validity="stale", evidence=None)) == 6


def test_an_imported_attempt_of_proven_origin_lacks_nothing() -> None:
    origin = {"evidence": DIGEST, "signed_by": "Ada", "checked_against": "key"}
    assert lacks(make_attempt(provenance={**ATTEMPT.provenance, "origin": origin})) == ()


# Which attempt.


def test_the_last_decision_at_the_largest_scale_is_cited() -> None:
    attempts = [
        make_attempt(scale="gpu", counter=1),
        make_attempt(scale="paper", counter=1),
        make_attempt(scale="paper", counter=3),
        make_attempt(scale="paper", counter=2),
        make_attempt(scale="gpu", counter=5),
    ]
    assert choose(make_known(*attempts)).attempt is attempts[2]
    assert choose(make_known(*attempts), scale="gpu").attempt is attempts[4]
    assert choose(make_known(*attempts), attempt=attempts[3].id).attempt is attempts[3]


def test_what_may_not_be_cited_is_passed_over_where_something_else_may() -> None:
    good, newer = make_attempt(counter=1), make_attempt(counter=2, exploratory=True)
    assert choose(make_known(good, newer)).attempt is good


TWO = make_claim(
    protocols={
        name: Protocol("replication", "widgets/isoflop", p.estimator, ("gpu",), p.controls)
        for name, p in {n: make_claim().protocols["retrain"] for n in ("left", "right")}.items()
    }
)


def test_where_protocols_disagree_a_choice_is_asked_for() -> None:
    left, right = make_attempt(TWO, "match", protocol="left"), make_attempt(TWO, "mismatch", protocol="right")
    known = make_known(left, right, claim=TWO)
    with pytest.raises(NotCitable) as refusal:
        choose(known)
    assert str(refusal.value) == (
        "The protocols of widgets/exponent disagree at scale gpu. Name the one to cite; its citation mentions the other:\n"
        "- match: repro cite widgets/exponent --protocol left\n"
        "- mismatch: repro cite widgets/exponent --protocol right"
    )
    assert refusal.value.exit_code == 1
    chosen = choose(known, protocol="left")
    assert chosen.attempt is left
    assert chosen.contrary == (right,)


def test_a_protocol_speaks_by_its_last_attempt() -> None:
    early = make_attempt(TWO, "mismatch", protocol="left", counter=1)
    late = make_attempt(TWO, "match", protocol="left", counter=2)
    other = make_attempt(TWO, "match", protocol="right", counter=3)
    chosen = choose(make_known(early, late, other, claim=TWO))
    assert chosen.attempt is other
    assert chosen.contrary == (early,)


def imported(checked_against: str | None) -> Attempt:
    origin = {"evidence": "0" * 64, "signed_by": None, "checked_against": checked_against}
    return make_attempt(outcome="mismatch", counter=9, provenance={"origin": origin})


def test_an_import_is_not_for_the_reader_to_publish() -> None:
    (told,) = (sentence for sentence in missing(imported("digest"), validity="current") if "not published" in sentence)
    assert "repro publish" not in told
    assert "--address URL" in told


def test_a_result_that_came_out_otherwise_cannot_be_hidden() -> None:
    cited = make_attempt(outcome="match", counter=1)
    others = {
        "mismatch": (make_attempt(outcome="mismatch", counter=2), "current", True),
        "at another scale": (make_attempt(outcome="mismatch", scale="paper", counter=3), "current", True),
        "inconclusive": (make_attempt(outcome="inconclusive", counter=4), "current", True),
        "under an older margin": (make_attempt(outcome="mismatch", counter=5), "stale", True),
        "disputed": (make_attempt(outcome="mismatch", counter=6), "disputed", True),
        "sealed afterwards": (make_attempt(outcome="mismatch", counter=7), "post_hoc", True),
        "withdrawn": (make_attempt(outcome="mismatch", counter=8), "invalidated", False),
        "not decisive": (make_attempt(outcome="mismatch", scale="cpu"), "current", False),
        "by hand": (make_attempt(outcome="mismatch", counter=9, exploratory=True), "current", False),
        "the same": (make_attempt(outcome="match", counter=9), "current", False),
        "failed": (make_attempt(execution="failed", verdict=None, counter=9), "current", False),
        "a stranger's": (imported(None), "current", False),
        "somebody's": (imported("key"), "current", True),
    }
    for name, (other, validity, named) in others.items():
        known = make_known(cited, other, validity={other.id: validity})
        assert contrary(known, cited) == ((other,) if named else ()), name


def test_the_attempt_that_lacks_least_is_explained() -> None:
    much, little = make_attempt(outcome="inconclusive", provenance={}, counter=2), make_attempt(counter=1)
    with pytest.raises(NotCitable) as refusal:
        choose(make_known(much, little, evidence={}))
    assert str(refusal.value) == (
        f"{little.id} cannot be cited yet. What is missing:\n"
        f"- Its evidence is not published. Publish it: repro publish {little.id} (or say where it lies with --address URL)\n"
        "1 other attempt lacks as much or more; repro cite widgets/exponent --attempt ID says what."
    )


def test_a_claim_that_was_never_run_says_how() -> None:
    with pytest.raises(NotCitable) as refusal:
        choose(make_known())
    assert str(refusal.value) == (
        "widgets/exponent cannot be cited: it was never run.\n- Run it: repro run widgets/exponent scale=gpu"
    )


def test_a_blocked_claim_says_what_is_missing_since_when() -> None:
    claim = make_claim(protocols={}, blocked=Blocked("the screening images", "2020-01-01", "access under licence"))
    with pytest.raises(NotCitable) as refusal:
        choose(make_known(claim=claim))
    assert str(refusal.value) == (
        "widgets/exponent cannot be cited: it is blocked since 2020-01-01.\n- Missing: the screening images\n"
        "- What would unblock it: access under licence"
    )


def test_a_scale_without_attempts_names_what_there_is() -> None:
    attempt = make_attempt()
    with pytest.raises(NotCitable) as refusal:
        choose(make_known(attempt), scale="paper")
    assert str(refusal.value) == (
        f"widgets/exponent has no attempt at scale=paper. Run one: repro run widgets/exponent scale=paper\nThere is:\n- {attempt.id}"
    )


@pytest.mark.parametrize("asked", [{"attempt": "widgets/exponent@retrain@gpu-0-1"}, {"protocol": "retrian"}])
def test_a_wrong_name_gets_the_nearest(asked: dict[str, str]) -> None:
    with pytest.raises(ReproError, match="Did you mean") as refusal:
        choose(make_known(make_attempt()), **asked)
    assert refusal.value.exit_code == 2


# Addresses.


def test_the_address_is_on_the_site_or_in_the_repository(monkeypatch: pytest.MonkeyPatch) -> None:
    result = PublishedResult(
        attempt="w/e@retrain@gpu-1a2b3c4d-1", claim="w/e", paper="w", protocol="retrain", kind="replication", scale="gpu",
        outcome="match", reason=None, validity="current", exploratory=False, indicative=False, started="", compute_ratio=None,
        commit=None, evidence=DIGEST, place="w/e/retrain@gpu-1a2b3c4d-1",
    )  # fmt: skip
    monkeypatch.delenv("REPRO_SITE", raising=False)
    assert published_address(result, "claim/w/e.html") == "docs/results/w/e/retrain@gpu-1a2b3c4d-1"
    monkeypatch.setenv("REPRO_SITE", "https://results.example.org/ml/")
    assert published_address(result, "claim/w/e.html") == "https://results.example.org/ml/claim/w/e.html"


@pytest.mark.parametrize(
    "address",
    ["", "example.org", "ftp://example.org/x", "https://a b", "https://a}{", "https://a\nER  -", "javascript:1"],
)
def test_an_address_that_could_break_out_is_refused(address: str) -> None:
    with pytest.raises(ReproError, match="must be a web address"):
        checked_address(address)


def test_a_web_address_is_taken_as_it_is() -> None:
    assert checked_address("https://example.org/a_b%20c?d=1&e#f") == "https://example.org/a_b%20c?d=1&e#f"
