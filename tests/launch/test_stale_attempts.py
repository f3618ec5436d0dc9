"""A change to anything the seal covers makes what depends on it stale, with the reason; nothing else does."""

import hashlib
import json
import shlex
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.index import load_index
from repro.judge.staleness import read_stale
from repro.launch.session import Wishes, launch, prepare
from repro.launch.staleness import find_stale, run_again, stale_attempts, write_stale
from repro.ledger.read import load_attempt, load_attempts
from repro.schema.places import stale_file
from repro.schema.verdict import Attempt
from tests_support import CLAIM, STUDY, forget_recipes

ESTIMATORS = '''"""The largest draw of each seed."""

from collections.abc import Sequence

from repro.schema.trial import TrialRecord
from repro.schema.verdict import Estimate
from repro.stats.estimator import estimator

__all__ = ["largest"]


@estimator(unit="seed")
def largest(records: Sequence[TrialRecord], *, column: str) -> Estimate:
    return Estimate(max(record.value(column) for record in records), se=0.01, dof=5.0, n=len(records))
'''
WITH_DATA = STUDY + "data: [numbers]\n"
OWN_ESTIMATOR = CLAIM.replace("repro.stats.summary.mean_over_seeds", "recipes.toys.draws_estimators.largest")


NUMBERS = "1 2 3\n"
DIGEST = hashlib.sha256(NUMBERS.encode()).hexdigest()
DATA = f"file: numbers.txt\nurl: https://example.org/numbers.txt\nsha256: {DIGEST}\nlicence: CC0\n"


def run(*words: str, **wishes) -> Attempt:
    """Launch, and return the attempt as the ledger has it."""
    (concluded,) = launch(prepare(list(words), load_index(), wishes=Wishes(**wishes)), lambda claim, attempt: "<svg/>")
    return load_attempt(concluded.attempt.id)


def reasons(attempt: Attempt) -> tuple[str, ...]:
    forget_recipes()  # another process would not remember them either
    return stale_attempts([attempt]).get(attempt.id, ())


@pytest.fixture
def edited(write_claims, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str, str], tuple[str, ...]]:
    """Return a function that replaces text in one file of the toy claims and returns why the attempt is stale then."""
    monkeypatch.setenv("REPRO_DATA", str(Path("mirror").absolute()))
    Path("mirror").mkdir()
    Path("mirror/numbers.txt").write_text(NUMBERS)
    extra = {
        "data/numbers.yaml": DATA,
        "recipes/toys/draws_estimators.py": ESTIMATORS,
        "claim/toy/largest.yaml": OWN_ESTIMATOR.format(name="toy/largest", printed="1.0"),
    }
    root = write_claims(study=WITH_DATA, extra=extra)
    made = run("toy/largest", "scale=cpu")
    assert reasons(made) == ()

    def edit(name: str, old: str, new: str) -> tuple[str, ...]:
        file = root / name
        text = file.read_text()
        assert old in text
        file.write_text(text.replace(old, new))
        found = reasons(made)
        file.write_text(text)
        assert reasons(made) == (), "put back as it was, nothing is stale"
        return found

    return edit


CLAIM_FILE, STUDY_FILE, RECIPE_FILE = "claim/toy/largest.yaml", "study/toys/draws.yaml", "recipes/toys/draws.py"


@pytest.mark.parametrize(
    ("file", "old", "new", "expected"),
    [
        (CLAIM_FILE, '"1.0"', '"1.00"', ["The published value was 1.0, now 1.00."]),
        (CLAIM_FILE, "0.25", "0.3", ["The margin was ± 0.25, now ± 0.3."]),
        (CLAIM_FILE, "A quarter", "A fourth", ["The reason given for the margin was reworded."]),
        (CLAIM_FILE, "source: verified", "source: secondary", ["The source of the published value was verified, now secondary."]),
        (CLAIM_FILE, "decisive: [cpu]", "decisive: [cpu, smoke]", ["The decisive scales were cpu, now cpu and smoke."]),
        (CLAIM_FILE, "expect: mismatch", "expect: differs", ["What is expected of the control 'without_effect' was mismatch, now differs."]),
        (CLAIM_FILE, "effect: 0.0", "effect: 0.1", ["Control 'without_effect': The config's 'effect' was 0.0, now 0.1."]),
        (CLAIM_FILE, "without_effect:", "no_effect:", ["The control 'without_effect' was removed.", "The control 'no_effect' was added."]),
        (CLAIM_FILE, "kind: replication", "kind: reproduction", ["The kind of the protocol was replication, now reproduction."]),
        (
            CLAIM_FILE, "recipes.toys.draws_estimators.largest", "repro.stats.summary.mean_over_seeds",
            ["The estimator was recipes.toys.draws_estimators.largest, now repro.stats.summary.mean_over_seeds.", "The source of the estimator"],
        ),
        (STUDY_FILE, "spread: 0.05", "spread: 0.06", ["The config's 'spread' was 0.05, now 0.06."]),
        (STUDY_FILE, "data: [numbers]", "data: []", ["The data set 'numbers' is no longer read."]),
        (STUDY_FILE, "replicates: 6", "measures: time\nreplicates: 6", ["The kind of measurement was value, now time."]),
        (
            RECIPE_FILE, "seconds: float", "warmth: float = 2.0\n    seconds: float",
            ["The source of the recipe recipes.toys.draws has changed.", "The config has the new field 'warmth' (2.0)."],
        ),
        (RECIPE_FILE, "gave up", "gave in", ["The source of the recipe recipes.toys.draws has changed."]),
        ("recipes/toys/draws_estimators.py", "0.01", "0.02", ["The source of the estimator"]),
        ("data/numbers.yaml", DIGEST, "a" * 64, ["The data set 'numbers' is another file: its sha256 was"]),
        (CLAIM_FILE, "replicate:", "repeat:", ["The claim no longer has the protocol 'replicate'."]),
        (STUDY_FILE, "  cpu: {}", "  full: {}", ["It can no longer be planned here"]),
        (CLAIM_FILE, "paper: toy", "paper: [", ["It can no longer be planned here"]),
    ],
)  # fmt: skip
def test_a_change_to_what_the_seal_covers_is_named(edited, file: str, old: str, new: str, expected: list[str]) -> None:
    found = edited(file, old, new)
    assert len(found) == len(expected), found
    for reason, start in zip(found, expected, strict=True):
        assert reason.startswith(start)


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        (CLAIM_FILE, "The mean of the draws is one.", "Reworded."),
        (CLAIM_FILE, "locator: Section 1", "locator: Section 1, page 2"),
        (CLAIM_FILE, "no effect is no mean of one", "because"),
        ("paper/toy.yaml", "A toy", "Another title"),
        ("data/numbers.yaml", "https://example.org", "https://mirror.example.org"),
        (STUDY_FILE, "smoke: {replicates: 3}", "smoke: {replicates: 4}"),
        (STUDY_FILE, "replicates: 6", "replicates: 7"),
    ],
)
def test_a_change_to_what_the_seal_does_not_cover_makes_nothing_stale(edited, file: str, old: str, new: str) -> None:
    assert edited(file, old, new) == ()


def test_all_that_read_a_study_become_stale_with_it_and_nothing_else_does(write_claims) -> None:
    other = CLAIM.format(name="toy/other", printed="1.1")
    root = write_claims(extra={"claim/toy/other.yaml": other})
    made = [run("toy/mean", "scale=cpu"), run("toy/other", "scale=cpu"), run("toy/exact")]
    file = root / STUDY_FILE
    file.write_text(file.read_text().replace("0.05", "0.07"))
    assert set(find_stale(made)) == {made[0].id, made[1].id}


def test_an_attempt_keeps_its_own_shape_and_an_exploratory_one_is_never_stale(write_claims) -> None:
    root = write_claims(study=STUDY.replace("0.05", "0.5"))
    made = [
        run("toy/mean", "scale=cpu"),
        run("toy/mean", "scale=cpu", "replicates=7", pilot="0.5", indicative=True),
        run("toy/mean", "scale=cpu", "study.params.spread=0.01"),
    ]
    assert find_stale(made) == {}
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.3"))
    assert set(find_stale(made)) == {made[0].id, made[1].id}


def test_somebody_elses_attempt_of_another_name_is_compared_too(write_claims) -> None:
    root = write_claims()
    theirs = replace(run("toy/mean", "scale=cpu"), id="toy/mean@replicate@cpu-00000000-1~abcdef01")
    assert find_stale([theirs]) == {}
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.3"))
    assert stale_attempts([theirs]) == {theirs.id: ("The margin was ± 0.25, now ± 0.3.",)}
    gone = replace(theirs, claim="somebody/elses")
    assert stale_attempts([gone])[gone.id] == ("The claim somebody/elses is not in the catalogue here.",)
    never_here = replace(gone, provenance={**gone.provenance, "origin": {"evidence": "ab" * 32}})
    assert stale_attempts([never_here]) == {}


def test_a_claim_that_was_removed_or_blocked_is_said(write_claims) -> None:
    root = write_claims()
    made = run("toy/exact")
    file = root / "claim/toy/exact.yaml"
    text = file.read_text()
    file.write_text(
        text.partition("protocols:")[0]
        + "blocked: {missing: the numbers, since: '2024-01-01', unblock: their release, needs: [{kind: data, what: them}]}\n"
    )
    assert reasons(made) == ("The claim is blocked now: the numbers",)
    file.unlink()
    assert reasons(made) == ("The claim toy/exact is not in the catalogue here. Did you mean 'toy/mean'?",)
    assert run_again(made) == ""


def test_the_file_holds_what_is_stale_now(write_claims) -> None:
    root = write_claims()
    made = run("toy/mean", "scale=cpu")
    assert write_stale() == {}
    assert read_stale(stale_file().read_text(), "stale.json") == {}
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.3"))
    found = write_stale()
    assert read_stale(stale_file().read_text(), "stale.json") == found
    assert found[made.id].seal_now != made.sealed.digest
    again = run(*shlex.split(run_again(made))[2:])
    assert again.sealed.digest == found[made.id].seal_now
    assert set(write_stale()) == {made.id}


@pytest.mark.parametrize(
    ("words", "wishes", "command"),
    [
        (["toy/mean", "scale=smoke"], {}, "repro run toy/mean scale=smoke"),
        (["toy/mean", "scale=cpu"], {}, "repro run toy/mean scale=cpu"),
        (["toy/mean", "scale=cpu", "replicates=7"], {}, "repro run toy/mean scale=cpu replicates=7"),
        (["toy/exact"], {}, "repro run toy/exact scale=full"),
    ],
)
def test_the_command_that_runs_it_again_gives_the_seal_of_today(write_claims, words, wishes, command) -> None:
    write_claims()
    made = run(*words, **wishes)
    assert run_again(made) == command
    assert run(*shlex.split(command)[2:]).id == made.id, "unchanged, it is the same attempt"


def test_the_old_trials_are_missed_only_by_the_reason(write_claims) -> None:
    root = write_claims()
    made = run("toy/mean", "scale=cpu")
    file = root / STUDY_FILE
    file.write_text(file.read_text().replace("0.05", "0.07"))
    unknown = replace(made, id="toy/mean@replicate@cpu-ffffffff-9")
    assert stale_attempts([unknown])[unknown.id] == (
        "The trials of the main arm are others; the old ones are not here to say in what.",
        "The trials of the control 'without_effect' are others; the old ones are not here to say in what.",
    )


def test_an_attempt_that_cannot_be_read_hides_no_other(write_claims) -> None:
    root = write_claims()
    made = [run("toy/mean", "scale=cpu"), run("toy/exact")]
    for file in Path("mlruns").rglob("attempt.json"):
        if json.loads(file.read_text())["claim"] == "toy/exact":
            file.write_text("{")
    with pytest.raises(Exception, match="not readable JSON"):
        load_attempts()
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.3"))
    assert list(write_stale()) == [made[0].id]


def test_attempts_of_one_study_are_laid_out_once(write_claims, monkeypatch: pytest.MonkeyPatch) -> None:
    write_claims(extra={"claim/toy/other.yaml": CLAIM.format(name="toy/other", printed="1.1")})
    made = [run("toy/mean", "scale=cpu"), run("toy/other", "scale=cpu")]
    calls = []
    from repro.launch.planning import layout

    real = layout.lay_out
    monkeypatch.setattr(layout, "lay_out", lambda *given: calls.append(given) or real(*given))
    assert find_stale(made) == {}
    assert len(calls) == 2, "main arm and control, for both claims"
