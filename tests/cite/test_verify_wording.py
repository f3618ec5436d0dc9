"""Words of a page change from version to version; numbers never do. Words are tolerated where something vouches for the bytes."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import evidence_forger as forger
import pytest

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.dossier import read_dossier
from repro.cite.results.index import rewrite
from repro.cite.results.publish import publish
from repro.cite.signing.attest import sign
from repro.cite.signing.keys import SignatureError, make_key_pair
from repro.cite.verification.findings import Report
from repro.cite.verification.verify import WORDED, verify
from repro.cite.verification.verify_many import verify_place
from repro.schema.verdict import Verdict

README, CRATE = WORDED


def stated(report: Report) -> str:
    return " ".join(finding.sentence for finding in report.findings if finding.status == "stated")


def changed(bundle: Bundle, name: str, old: bytes, new: bytes) -> Bundle:
    """Return a bundle with other words in one file, and checksums that fit."""
    assert old in bundle.files[name], name
    return Bundle(forger.mended({**bundle.files, name: bundle.files[name].replace(old, new)}))


@pytest.fixture
def older(toy_bundle: Bundle) -> Bundle:
    """The toy evidence as a version wrote it that said some things in other words."""
    page = changed(
        toy_bundle, README, b"A control is a variant that must fail.", b"Controls are variants that must fail."
    )
    return changed(page, CRATE, b"This page, for people.", b"A page for people.")


def reworded(bundle: Bundle, change: Callable[[Verdict], Verdict]) -> Bundle:
    """Return evidence whose verdict a version wrote that worded its sentences otherwise; all pages follow it."""
    dossier = read_dossier(bundle)
    assert dossier.attempt.verdict is not None
    verdict = change(dossier.attempt.verdict)
    return forger.bundle_of(replace(dossier, attempt=replace(dossier.attempt, verdict=verdict)))


def in_other_words(verdict: Verdict) -> Verdict:
    controls = {name: replace(control, detail="It failed.") for name, control in verdict.controls.items()}
    parts = {name: replace(part, detail="It lies within.") for name, part in verdict.parts.items()}
    return replace(verdict, detail="In other words.", controls=controls, parts=parts)


def test_pages_in_other_words_fail_where_nothing_vouches_for_them(older: Bundle, toy_bundle: Bundle) -> None:
    alone = verify(older)
    assert alone.exit_code == 1
    assert any(f.status == "fails" and README in f.sentence and CRATE in f.sentence for f in alone.findings)
    assert verify(older, digest=toy_bundle.digest).exit_code == 1
    assert verify(older, listed=toy_bundle.digest).exit_code == 1


def test_pages_in_other_words_are_noted_where_a_digest_vouches_for_them(older: Bundle) -> None:
    report = verify(older, digest=older.digest)
    assert report.ok, report
    assert f"This version writes {README}, {CRATE} in other words" in stated(report)
    assert "evidence that was cited, to the last byte" in report.conclusion
    assert any("The other " in f.sentence and "equal, byte for byte" in f.sentence for f in report.findings)


def test_what_is_worded_alike_is_said_to_be_equal(toy_bundle: Bundle) -> None:
    report = verify(toy_bundle, digest=toy_bundle.digest)
    assert "in other words" not in stated(report)
    assert any(f.sentence.startswith("All ") and README in f.sentence for f in report.findings)


def test_a_key_vouches_as_a_digest_does(older: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_key_pair(tmp_path / "lab", None)
    with pytest.raises(SignatureError, match="wrong and is not signed"):
        sign(older, tmp_path / "lab.key", "The lab")
    monkeypatch.setattr("repro.cite.signing.attest._require_right", lambda bundle: None)  # signed by that older version
    envelope = sign(older, tmp_path / "lab.key", "The lab")
    report = verify(older, public_key=tmp_path / "lab.pub", envelope=envelope)
    assert report.ok, report
    assert "in other words" in stated(report)
    assert verify(older, envelope=envelope).exit_code == 1  # signed by anybody


def test_sentences_of_a_verdict_in_other_words(toy_bundle: Bundle) -> None:
    older = reworded(toy_bundle, in_other_words)
    assert verify(older).exit_code == 1
    report = verify(older, digest=older.digest)
    assert report.ok, report
    assert "words 3 of its sentences otherwise (controls.without_effect.detail, detail, parts.value.detail)" in stated(
        report
    )
    assert verify(older, listed=older.digest).ok


NUMBERS: dict[str, Callable[[Verdict], Verdict]] = {
    "outcome": lambda v: replace(v, outcome="mismatch"),
    "flag": lambda v: replace(v, flags=(*v.flags, "indicative")),
    "margin": lambda v: replace(v, parts={"value": replace(v.parts["value"], margin=0.7)}),
    "note": lambda v: replace(
        v, parts={"value": replace(v.parts["value"], estimate=replace(v.parts["value"].estimate, note="well"))}
    ),
    "control": lambda v: replace(v, controls={}),
    "look": lambda v: replace(v, look=2),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_what_decides_is_compared_strictly_whoever_vouches(name: str, toy_bundle: Bundle) -> None:
    forged = reworded(toy_bundle, lambda verdict: NUMBERS[name](in_other_words(verdict)))
    assert verify(forged, digest=forged.digest).exit_code == 1
    assert verify(forged, listed=forged.digest).exit_code == 1


@pytest.mark.parametrize(
    "name",
    ["seal.json", "estimate.json", "verdict.json", "environment.json", ".hydra/config.yaml", ".hydra/overrides.yaml"],
)
def test_files_of_numbers_are_compared_strictly_whoever_vouches(name: str, toy_bundle: Bundle) -> None:
    forged = Bundle(forger.mended({**toy_bundle.files, name: toy_bundle.files[name] + b"\n"}))
    report = verify(forged, digest=forged.digest)
    assert report.exit_code == 1
    assert any(f.status == "fails" and name in f.sentence for f in report.findings)


def test_published_results_survive_a_change_of_words(older: Bundle, tmp_path: Path, repro) -> None:
    """`make verify` on results of years: the index vouches for the bytes, and proves no origin."""
    results = tmp_path / "published"
    results.mkdir()
    directory = publish(older, results).directory
    rewrite(results)
    code, out, _ = repro("verify", str(results))
    assert code == 0, out
    code, out, _ = repro("verify", str(directory))
    assert code == 0, out
    words = " ".join(out.split())
    assert "in other words" in words
    assert "origin unproven" in words
    (directory / README).write_bytes((directory / README).read_bytes() + b"\nIt was replicated twice.\n")
    assert repro("verify", str(results))[0] == repro("verify", str(directory))[0] == 1


def test_an_index_vouches_for_its_own_places_alone(older: Bundle, tmp_path: Path) -> None:
    results = tmp_path / "published"
    results.mkdir()
    directory = publish(older, results).directory
    assert verify_place(directory).exit_code == 1  # there is no index yet
    rewrite(results)
    assert verify_place(directory).ok
    directory.rename(directory.with_name("elsewhere"))
    assert verify_place(directory.with_name("elsewhere")).exit_code == 1
    directory.with_name("elsewhere").rename(directory)
    (results / "index.json").write_text("{")
    assert verify_place(directory).exit_code == 1


def test_a_forged_index_proves_nothing(toy_bundle: Bundle, tmp_path: Path, repro) -> None:
    """Whoever changes a page can change the index beside it: that is told as a note, and a cited digest finds it."""
    forged = changed(toy_bundle, README, b"A control is", b"All went well. A control is")
    results = tmp_path / "published"
    results.mkdir()
    directory = publish(forged, results).directory
    rewrite(results)
    report = verify_place(directory)
    assert "in other words" in stated(report)
    assert report.conclusion.startswith("Internally consistent, origin unproven")
    assert verify_place(directory, digest=toy_bundle.digest).exit_code == 1
    (directory / "notes.txt").write_text("One file more.\n")
    code, out, _ = repro("verify", str(directory))
    assert code == 1
    assert "files that no evidence holds: notes.txt" in " ".join(out.split())


def test_published_evidence_in_other_words_can_be_signed(
    older: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    results = tmp_path / "published"
    results.mkdir()
    monkeypatch.setenv("REPRO_RESULTS", str(results))
    make_key_pair(tmp_path / "lab", None)
    publish(older, results)
    rewrite(results)
    assert sign(older, tmp_path / "lab.key", "The lab")["signatures"]
