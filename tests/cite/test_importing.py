"""Somebody else's evidence in our ledger: checked, marked as theirs, never mixed with what ran here."""

import hashlib
import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.cite.evidence.content import evidence_of, make_evidence, read_dossier
from repro.cite.importing import Imported, departures, import_bundle, theirs
from repro.ledger import names
from repro.ledger.fast import known_names, latest_verdicts
from repro.ledger.read import load_attempt, load_attempts, load_trials
from repro.ledger.runs import find_runs, read_artifact
from repro.ledger.store import sqlite_file, tracking_uri
from repro.review.pictures.figures import interval_figure
from repro.schema.claim import Margin
from repro.schema.verdict import Attempt
from tests_support import forget_recipes

Repro = Callable[..., tuple[int, str, str]]


@pytest.fixture
def bundle_file(toy_bundle: Bundle, tmp_path: Path) -> Path:
    """The evidence of somebody else's toy/mean, as it came by mail."""
    file = tmp_path / "theirs.zip"
    file.write_bytes(toy_bundle.packed)
    return file


@pytest.fixture
def ours(tmp_path: Path, toy_home: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A directory of ours where the same claims are known and nothing was run."""
    home = tmp_path / "ours"
    home.mkdir()
    monkeypatch.chdir(home)
    monkeypatch.setenv("REPRO_CLAIMS", str(toy_home / "claims"))
    forget_recipes()
    yield home
    forget_recipes()


def run_here(claim: str = "toy/mean", scale: str = "cpu") -> Attempt:
    """Run a claim of ours to its verdict."""
    from repro.catalog.index import load_index
    from repro.launch.session import launch, prepare

    (concluded,) = launch(prepare([claim, f"scale={scale}"], load_index()), interval_figure)
    return concluded.attempt


def everything_stored() -> dict[str, str]:
    """Return a digest of every file below this directory, and of every row of the ledger."""
    import sqlite3

    found = {
        file.as_posix(): hashlib.sha256(file.read_bytes()).hexdigest()
        for file in sorted(Path().rglob("*"))
        if file.is_file() and not file.name.startswith("mlflow.db")
    }
    store = sqlite_file(tracking_uri())
    assert store is not None
    with sqlite3.connect(f"file:{store}?mode=ro", uri=True) as connection:
        for (table,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            found[table] = str(sorted(map(str, connection.execute(f"SELECT * FROM {table}"))))
    return found


def tags_of(attempt: str) -> dict[str, str]:
    (run,) = find_runs(names.PAPER_PREFIX, names.ATTEMPT, [attempt])
    return dict(run.tags)


def packed(bundle: Bundle, name: str = "other.zip") -> Path:
    file = Path(name)
    file.write_bytes(bundle.packed)
    return file


# What stands in the ledger


def test_what_is_theirs_stands_under_a_name_of_its_own(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    taken = import_bundle(bundle_file, digest=toy_bundle.digest, figure=interval_figure)
    dossier = read_dossier(toy_bundle)
    assert (taken.standing, taken.departures, taken.counts) == ("new", (), True)
    assert taken.attempt.id == f"{dossier.attempt.id}~{toy_bundle.digest[:8]}"
    stored = load_attempt(taken.attempt.id)
    assert stored == taken.attempt
    assert stored.provenance["origin"] == {
        "evidence": toy_bundle.digest,
        "signed_by": None,
        "checked_against": "digest",
    }
    assert replace(stored, id=dossier.attempt.id, provenance=dossier.attempt.provenance) == dossier.attempt
    assert load_trials(stored.id) == list(dossier.records)
    assert [record.status for record in load_trials(stored.id)].count("failed") == 1


def test_nothing_of_theirs_counts_as_run_here(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    import_bundle(bundle_file, digest=toy_bundle.digest)
    assert not Path(".repro/records").exists()
    assert not Path(".repro/attempts").exists()
    assert not Path(".repro/plans").exists()
    mine = run_here()
    assert len(list(Path(".repro/records").glob("*.json"))) == 12
    assert "~" not in mine.id
    assert {attempt.id for attempt in load_attempts()} == {mine.id, f"{mine.id}~{toy_bundle.digest[:8]}"}


@pytest.mark.parametrize("first", ["ours", "theirs"])
def test_records_of_the_same_trials_never_mix(first: str, ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    """Ours and theirs have the same trial keys, and the same values at other times on other machines."""
    if first == "ours":
        mine, taken = run_here(), import_bundle(bundle_file, digest=toy_bundle.digest)
    else:
        taken, mine = import_bundle(bundle_file, digest=toy_bundle.digest), run_here()
    dossier = read_dossier(toy_bundle)
    assert {record.key for record in load_trials(mine.id)} == {record.key for record in dossier.records}
    assert load_trials(taken.attempt.id) == list(dossier.records)
    stored_here = {json.loads(file.read_text())["digest"] for file in Path(".repro/records").glob("*.json")}
    assert {record.digest for record in load_trials(mine.id) if record.status != "failed"} == stored_here
    assert stored_here.isdisjoint(record.digest for record in dossier.records)
    import_bundle(bundle_file)
    assert {record.digest for record in load_trials(mine.id) if record.status != "failed"} == stored_here
    assert load_attempt(mine.id) == mine


def test_our_own_evidence_is_the_same_before_and_after_an_import(
    ours: Path, bundle_file: Path, toy_bundle: Bundle
) -> None:
    mine = run_here()
    before = evidence_of(mine.id).digest
    import_bundle(bundle_file, digest=toy_bundle.digest)
    assert evidence_of(mine.id).digest == before


def test_their_trials_are_runs_of_experiments_of_their_own(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    taken = import_bundle(bundle_file, digest=toy_bundle.digest)
    keys = sorted({record.key for record in load_trials(taken.attempt.id)})
    assert find_runs(names.STUDY_PREFIX, names.TRIAL_KEY, keys) == []
    found = find_runs(names.IMPORTED_PREFIX, names.TRIAL_KEY, keys)
    assert len(found) == len(load_trials(taken.attempt.id)) == 13


def test_their_figure_is_drawn_again_and_theirs_is_nowhere(ours: Path, toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    evil = '<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
    bundle = make_evidence(replace(dossier, figure=evil))
    taken = import_bundle(packed(bundle, "../evil.zip"), digest=bundle.digest, figure=interval_figure)
    (run,) = find_runs(names.PAPER_PREFIX, names.ATTEMPT, [taken.attempt.id])
    assert read_artifact(run, "figure.svg") == interval_figure(dossier.claim, dossier.attempt)
    assert not [file for file in Path().rglob("*") if file.is_file() and b"<script>" in file.read_bytes()]


def test_what_people_filter_by_tells_theirs_apart(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    first = tags_of(import_bundle(bundle_file).attempt.id)
    assert (first[names.ORIGIN], first[names.ORIGIN_CHECKED]) == (toy_bundle.digest, "nothing")
    second = tags_of(import_bundle(bundle_file, digest=toy_bundle.digest).attempt.id)
    assert (second[names.ORIGIN], second[names.ORIGIN_CHECKED]) == (toy_bundle.digest, "digest")
    assert names.ORIGIN not in tags_of(run_here().id)


# Again


def test_importing_the_same_again_changes_nothing(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    import_bundle(bundle_file, digest=toy_bundle.digest, figure=interval_figure)
    before = everything_stored()
    for proof in ({"digest": toy_bundle.digest}, {}):
        taken = import_bundle(bundle_file, figure=interval_figure, **proof)
        assert (taken.standing, taken.counts) == ("known", True)
        assert everything_stored() == before


def test_proof_can_be_given_later_and_is_kept(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    taken = import_bundle(bundle_file)
    assert (taken.standing, taken.counts) == ("new", False)
    assert "origin unproven" in taken.report.conclusion
    taken = import_bundle(bundle_file, digest=f"sha256:{toy_bundle.digest}")
    assert (taken.standing, taken.counts) == ("proven", True)
    taken = import_bundle(bundle_file)
    assert (taken.standing, taken.counts) == ("known", True)
    assert load_attempt(taken.attempt.id).provenance["origin"]["checked_against"] == "digest"
    assert len(load_attempts()) == 1


def test_a_directory_is_the_same_evidence_as_its_zip(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    for name, content in toy_bundle.files.items():
        (Path("unpacked") / name).parent.mkdir(parents=True, exist_ok=True)
        (Path("unpacked") / name).write_bytes(content)
    taken = import_bundle(Path("unpacked"), digest=toy_bundle.digest)
    assert import_bundle(bundle_file).standing == "known"
    assert len(load_attempts()) == 1
    assert taken.evidence == toy_bundle.digest


def test_our_own_attempt_is_recognised(own_toy_home: Path) -> None:
    (mine,) = load_attempts("toy/mean")
    file = packed(evidence_of(mine.id))
    before = everything_stored() | {"other.zip": ""}
    taken = import_bundle(file)
    assert (taken.standing, taken.attempt, taken.counts) == ("own", mine, True)
    assert everything_stored() | {"other.zip": ""} == before


def test_another_import_of_the_same_name_is_not_overwritten(
    ours: Path, bundle_file: Path, toy_bundle: Bundle, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Eight digits can be searched for."""
    import_bundle(bundle_file, digest=toy_bundle.digest)
    dossier = read_dossier(toy_bundle)
    other = make_evidence(replace(dossier, figure="<svg/>"))
    digest = toy_bundle.digest[:8] + other.digest[8:]
    monkeypatch.setattr(Bundle, "digest", property(lambda self: digest))
    before = everything_stored()
    with pytest.raises(EvidenceError, match="holds another attempt called .* That does not happen by chance"):
        import_bundle(packed(other, "../forged.zip"))
    assert everything_stored() == before


# What is refused


def edited(bundle: Bundle, name: str, old: str, new: str) -> Bundle:
    assert old.encode() in bundle.files[name]
    return Bundle({**bundle.files, name: bundle.files[name].replace(old.encode(), new.encode())})


def test_what_does_not_hold_is_not_taken_in(ours: Path, toy_bundle: Bundle) -> None:
    for bundle in (
        edited(toy_bundle, "attempt.json", '"outcome":"match"', '"outcome":"mismatch"'),
        edited(toy_bundle, "trials.jsonl", '"status":"finished"', '"status":"diverged"'),
        edited(toy_bundle, "claim.json", '"absolute":0.25', '"absolute":0.35'),
        Bundle({**toy_bundle.files, "extra.py": b"import os"}),
    ):
        with pytest.raises(EvidenceError, match="is not taken into the ledger. This evidence does not hold"):
            import_bundle(packed(bundle))
    assert not Path("mlflow.db").exists() or load_attempts() == []


def test_another_digest_than_the_cited_one_is_refused(ours: Path, bundle_file: Path) -> None:
    with pytest.raises(EvidenceError, match="It is not the evidence that was cited"):
        import_bundle(bundle_file, digest="0" * 64)
    assert load_attempts() == []


def test_an_import_is_not_passed_on_as_evidence_of_those_who_imported_it(ours: Path, toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    provenance = dict(sorted({**dossier.attempt.provenance, "origin": {"evidence": "0" * 64}}.items()))
    again = replace(dossier.attempt, provenance=provenance)
    with pytest.raises(EvidenceError, match="Ask for the evidence of those who ran it"):
        import_bundle(packed(make_evidence(replace(dossier, attempt=again))))


@pytest.mark.parametrize(
    "change",
    [
        lambda d: replace(d, paper=replace(d.paper, id="../evil"), claim=replace(d.claim, paper="../evil")),
        lambda d: replace(d, paper=replace(d.paper, id="a' OR '1'='1"), claim=replace(d.claim, paper="a' OR '1'='1")),
        lambda d: replace(d, paper=replace(d.paper, id="x\n"), claim=replace(d.claim, paper="x\n")),
        lambda d: replace(d, attempt=replace(d.attempt, id=d.attempt.id.replace("toy/mean", "toy/other"))),
        lambda d: replace(d, attempt=replace(d.attempt, counter=2)),
        lambda d: replace(d, attempt=replace(d.attempt, protocol="other")),
    ],
    ids=["path", "query", "line", "id", "counter", "protocol"],
)
def test_names_that_could_be_taken_for_something_else_are_refused(
    change: Callable[[Any], Any], ours: Path, toy_bundle: Bundle
) -> None:
    """Whoever forges evidence makes it consistent with itself."""
    with pytest.raises(EvidenceError):
        import_bundle(packed(make_evidence(change(read_dossier(toy_bundle)))))
    assert load_attempts() == []


# Claims that are unknown or otherwise here


def test_a_claim_that_is_unknown_here_stands_as_their_evidence_gives_it(bundle_file: Path, toy_bundle: Bundle) -> None:
    taken = import_bundle(bundle_file, digest=toy_bundle.digest)
    assert taken.departures == (
        "The claim toy/mean is unknown to this installation: it stands here as their evidence gives it.",
    )
    assert load_attempt(taken.attempt.id) == taken.attempt
    (run,) = find_runs(names.PAPER_PREFIX, names.ATTEMPT, [taken.attempt.id])
    assert run.tags[names.PAPER] == "toy"
    kept = json.loads(read_artifact(run, "claim.json"))
    assert kept["claim"]["statement"] == "The mean of the draws is one."


def test_their_words_are_no_markup_in_mlflow(bundle_file: Path, toy_bundle: Bundle) -> None:
    """The toy paper is called `A *toy* of [things]`."""
    import_bundle(bundle_file)
    store = sqlite_file(tracking_uri())
    assert store is not None
    import sqlite3

    with sqlite3.connect(store) as connection:
        notes = [
            row[0] for row in connection.execute("SELECT value FROM experiment_tags WHERE key = 'mlflow.note.content'")
        ]
    assert any(r"**A \*toy\* of \[things\]**" in note for note in notes)


def test_where_theirs_decides_otherwise_is_said(
    tmp_path: Path, write_claims, bundle_file: Path, toy_bundle: Bundle
) -> None:
    root = write_claims()
    file = root / "claim/toy/mean.yaml"
    file.write_text(file.read_text().replace("0.25", "0.3").replace('"1.0"', '"1.1"'))
    taken = import_bundle(bundle_file, digest=toy_bundle.digest)
    assert taken.departures == ("The target of 'value' is 1.0 in theirs and 1.1 here.",)
    file.write_text(file.read_text().replace('"1.1"', '"1.0"'))
    taken = import_bundle(bundle_file, digest=toy_bundle.digest)
    assert taken.departures == ("A match of 'value' is within ± 0.25 of 1.0 in theirs and within ± 0.3 of 1.0 here.",)
    part = load_attempt(taken.attempt.id).sealed.parts["value"]
    assert part.rule.margin == Margin(absolute=0.25)


def test_departures_name_everything_that_decides(toy_bundle: Bundle) -> None:
    dossier = read_dossier(toy_bundle)
    sealed, claim = dossier.attempt.sealed, dossier.claim
    assert departures(sealed, claim) == ()
    protocol = claim.protocols["replicate"]

    def with_protocol(**changes: Any) -> tuple[str, ...]:
        return departures(sealed, replace(claim, protocols={"replicate": replace(protocol, **changes)}))

    assert with_protocol(kind="reproduction") == (
        'The kind of the protocol is "replication" in theirs and "reproduction" here.',
    )
    assert with_protocol(decisive=("gpu",)) == (
        'The decisive scales of the protocol is ["cpu"] in theirs and ["gpu"] here.',
    )
    assert with_protocol(controls={})[0].startswith("The controls of the protocol is")
    assert departures(sealed, replace(claim, protocols={})) == ("The claim has no protocol 'replicate' here.",)
    more = replace(claim, parts={**claim.parts, "other": claim.parts["value"]})
    assert departures(sealed, more) == ("Here the claim has the part 'other', which they did not judge.",)
    assert departures(sealed, replace(claim, parts={}))[0] == (
        "They judged the part 'value', which the claim lacks here."
    )


# Signed


def test_a_signature_by_a_known_key_proves_who(ours: Path, bundle_file: Path, tmp_path: Path) -> None:
    from repro.cite.evidence.bundle import read_bundle
    from repro.cite.signing.attest import sign
    from repro.cite.signing.keys import make_key_pair

    private, public, _ = make_key_pair(tmp_path / "ada", None)
    _, stranger, _ = make_key_pair(tmp_path / "eve", None)
    envelope = sign(read_bundle(bundle_file), private, "Ada Lovelace")
    unproven = import_bundle(bundle_file, envelope=envelope)
    assert (unproven.counts, unproven.attempt.provenance["origin"]["signed_by"]) == (False, None)
    with pytest.raises(EvidenceError, match="not signed with the key that was given"):
        import_bundle(bundle_file, envelope=envelope, public_key=stranger)
    taken = import_bundle(bundle_file, envelope=envelope, public_key=public)
    assert (taken.standing, taken.counts) == ("proven", True)
    origin = load_attempt(taken.attempt.id).provenance["origin"]
    assert (origin["checked_against"], origin["signed_by"]) == ("key", "Ada Lovelace")
    with pytest.raises(EvidenceError, match="There is no signature to check"):
        import_bundle(bundle_file, public_key=public)


# The command


def test_the_command_tells_what_came_of_it(ours: Path, bundle_file: Path, toy_bundle: Bundle, repro: Repro) -> None:
    code, out, _ = repro("import", str(bundle_file))
    assert code == 0
    assert out.startswith("Taken into the ledger as theirs: toy/mean@replicate@cpu-")
    assert f"evidence  sha256:{toy_bundle.digest}" in out
    assert "origin    unproven, so it does not count for the claim. To change that: repro import " in out
    assert "Next: repro show toy/mean" in out
    code, out, _ = repro("import", str(bundle_file), "--digest", toy_bundle.digest)
    assert (code, out.splitlines()[0][:50]) == (0, "It was in the ledger as theirs, and its origin is ")
    code, out, _ = repro("import", str(bundle_file), "--json")
    document = json.loads(out)
    assert (code, document["schema"], document["standing"], document["counts"]) == (0, "repro.import/1", "known", True)
    assert document["evidence"] == toy_bundle.digest
    assert document["attempt"]["id"].endswith(f"~{toy_bundle.digest[:8]}")
    assert document["departures"] == []


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["missing.zip"], "There is no bundle missing.zip"),
        (["BUNDLE", "--digest", "abc"], "'abc' is no sha256"),
        (["BUNDLE", "--digest", "0" * 64], "is not taken into the ledger"),
        (["BUNDLE", "--key", "none.pub"], "The key none.pub cannot be read"),
        (["BUNDLE", "--signature", "none.json"], "The signature none.json cannot be read"),
    ],
)
def test_the_command_refuses_in_one_paragraph(
    words: list[str], message: str, ours: Path, bundle_file: Path, repro: Repro
) -> None:
    code, out, err = repro("import", *(str(bundle_file) if word == "BUNDLE" else word for word in words))
    assert (code, out) == (2, "")
    assert message in err
    assert "Traceback" not in err


def test_the_name_of_an_attempt_is_that_of_its_evidence(toy_bundle: Bundle) -> None:
    attempt = read_dossier(toy_bundle).attempt
    named = theirs(attempt, {"evidence": "0123456789abcdef" * 4, "signed_by": None, "checked_against": None})
    assert named.id == f"{attempt.id}~01234567"
    assert not Imported(named, "new", "", None, ()).counts  # type: ignore[arg-type]
    assert Imported(attempt, "own", "", None, ()).counts  # type: ignore[arg-type]


def test_help_teaches_with_an_example(repro: Repro) -> None:
    _, out, _ = repro("import", "--help")
    assert "repro import evidence.zip --digest sha256:" in out


def test_a_list_counts_theirs_only_once_their_origin_is_proven(
    ours: Path, bundle_file: Path, toy_bundle: Bundle
) -> None:
    taken = import_bundle(bundle_file)
    assert latest_verdicts() == []
    assert taken.attempt.id in known_names()
    import_bundle(bundle_file, digest=toy_bundle.digest)
    assert [(found.attempt, found.outcome) for found in latest_verdicts()] == [(taken.attempt.id, "match")]


def test_evidence_of_an_import_is_the_evidence_that_came(ours: Path, bundle_file: Path, toy_bundle: Bundle) -> None:
    taken = import_bundle(bundle_file, digest=toy_bundle.digest, figure=interval_figure)
    assert evidence_of(taken.attempt.id).packed == toy_bundle.packed


def test_what_was_imported_and_is_published_here_stands_once_and_stays_theirs(
    ours: Path, bundle_file: Path, toy_bundle: Bundle, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, repro: Repro
) -> None:
    from repro.cite.results.index import rewrite
    from repro.cite.results.publish import publish

    taken = import_bundle(bundle_file)
    root = tmp_path / "shared"
    publish(toy_bundle, root, ())
    rewrite(root)
    monkeypatch.setenv("REPRO_RESULTS", str(root))
    (attempt,) = load_attempts("toy/mean")
    assert attempt.id == taken.attempt.id.partition("~")[0]
    assert attempt.provenance["origin"]["checked_against"] == "digest", "the index vouches for it"
    assert [each.attempt for each in latest_verdicts()] == [attempt.id] == known_names()
    code, out, err = repro("cite", "toy/mean")
    assert (code, err[:6]) == (0, "cited:"), err
    assert "author = {{repro-tracker}}" not in out
    assert "Others (unsigned evidence)" in out
