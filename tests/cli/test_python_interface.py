from pathlib import Path

import pandas as pd
import pytest

import repro
from repro.schema.errors import ReproError


@pytest.fixture
def repro_command(request: pytest.FixtureRequest):
    """The fixture `repro`, under a name that leaves the package its own."""
    return request.getfixturevalue("repro")


def test_claims_and_runs_as_frames(write_claims) -> None:
    write_claims()
    claims = repro.claims()
    row = claims.set_index("claim").loc["toy/mean"]
    assert (row["printed"], row["target"], row["margin"]) == ("1.0", 1.0, "absolute 0.25")
    verdict = repro.run("toy/mean", scale="cpu")
    assert verdict.outcome == "match"
    attempts = repro.attempts()
    assert isinstance(attempts, pd.DataFrame)
    (attempt,) = attempts.loc[attempts["claim"] == "toy/mean", "attempt"]
    trials = repro.trials(attempt)
    assert len(trials) == 12
    assert trials["x"].notna().all()


def test_several_claims_give_verdicts_by_attempt(write_claims) -> None:
    write_claims()
    verdicts = repro.run("toy/exact", "toy/mean", scale="smoke")
    assert {name.partition("@")[0] for name in verdicts} == {"toy/exact", "toy/mean"}


def test_claims_say_what_came_of_them(write_claims) -> None:
    write_claims()
    assert set(repro.claims().groupby("claim")["verdict"].first().filter(like="toy/")) == {"not_run"}
    assert repro.run("toy/exact").outcome == "match"
    claims = repro.claims().set_index("claim")
    (attempt,) = repro.attempts().query("claim == 'toy/exact'")["attempt"]
    assert list(claims.loc["toy/exact", ["verdict", "reading", "attempt"]]) == ["match", "recomputed", attempt]
    assert pd.isna(claims.loc["toy/exact", "evidence"])
    assert claims.loc["toy/mean", ["reading", "attempt", "evidence"]].isna().all()
    assert set(claims.loc[claims["blocked"].notna(), "verdict"]) == {"blocked"}


def test_published_results_are_in_every_frame(write_claims, repro_command, tmp_path: Path, monkeypatch) -> None:
    write_claims()
    repro.run("toy/exact")
    trials = repro.trials(repro.attempts()["attempt"][0])
    assert repro_command("publish", "*")[0] == 0
    assert list(repro.attempts()["origin"]) == ["both"]
    (tmp_path / "clone").mkdir()
    monkeypatch.chdir(tmp_path / "clone")
    attempts = repro.attempts()
    assert list(attempts["origin"]) == ["published"]
    assert attempts["indicative"].tolist() == [False]
    claim = repro.claims().set_index("claim").loc["toy/exact"]
    assert list(claim[["verdict", "attempt", "evidence"]]) == [
        "match", attempts["attempt"][0], attempts["evidence"][0],
    ]  # fmt: skip
    assert len(claim["evidence"]) == 64
    pd.testing.assert_frame_equal(repro.trials(attempts["attempt"][0]), trials)


def test_what_cannot_be_read_is_warned_of(write_claims, tmp_path: Path) -> None:
    write_claims()
    (tmp_path / "results").mkdir()
    (tmp_path / "results/index.json").write_text("{")
    for frame in (repro.claims, repro.attempts):
        with pytest.warns(UserWarning, match="index.json is not readable JSON"):
            frame()


def test_a_citation_says_what_is_missing(write_claims) -> None:
    write_claims()
    repro.run("toy/exact")
    with pytest.raises(ReproError, match="cannot be cited"):
        repro.citation("toy/exact")
    with pytest.raises(ReproError, match="Did you mean 'bibtex'"):
        repro.citation("toy/exact", format="bibtexx")
