"""What is told of evidence: by sentence, by exit code, and to a machine that has nothing but this package."""

import json
import random
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import evidence_forger as forger
import pytest

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.cite.evidence.dossier import Dossier, read_dossier
from repro.cite.verification.findings import GROUPS, LONGEST, Finding, conclude, plain
from repro.cite.verification.origin import read_digest
from repro.cite.verification.verify import verify
from repro.schema.canonical import canonical_json


@pytest.fixture
def toy(toy_bundle: Bundle) -> Dossier:
    return read_dossier(toy_bundle)


def sentences(report, status: str) -> str:
    return " ".join(finding.sentence for finding in report.findings if finding.status == status)


@pytest.mark.parametrize("which", ["toy_bundle", "exact_bundle"])
def test_true_evidence_holds(which: str, request: pytest.FixtureRequest) -> None:
    report = verify(request.getfixturevalue(which))
    assert report.ok, report
    assert report.conclusion.startswith("Internally consistent, origin unproven")
    assert {finding.group for finding in report.findings} == set(GROUPS)
    assert [f.group for f in report.findings] == sorted((f.group for f in report.findings), key=GROUPS.index)
    assert sentences(report, "fails") == sentences(report, "unknown") == ""


def test_what_only_the_producer_knows_is_said(toy_bundle: Bundle) -> None:
    told = sentences(verify(toy_bundle), "stated")
    for word in ("clean tree", "seal came first", "left out", "drawing", "seen in the paper", "repro run toy/mean"):
        assert word in told, word


def test_targets_are_held_against_the_claims_that_are_installed(
    toy_bundle: Bundle, toy: Dossier, in_toy_home: Path
) -> None:
    part = toy.attempt.sealed.parts["value"]
    wider = {"value": replace(part, rule=replace(part.rule, margin=replace(part.rule.margin, absolute=0.9)))}
    forged = forger.resealed(
        replace(toy, claim=replace(toy.claim, parts=wider), attempt=replace(toy.attempt, config={})),
        replace(toy.attempt.sealed, parts=wider),
    )
    true, false = verify(toy_bundle), verify(forger.bundle_of(forged))
    assert "the claim as it is installed here" in sentences(true, "holds")
    assert "says something else today" in sentences(false, "stated")
    assert true.ok
    assert false.ok


def test_a_failed_trial_is_listed(toy_bundle: Bundle) -> None:
    assert "1 failed run that is no data is kept" in sentences(verify(toy_bundle), "holds")


def test_the_command_works_without_network_store_or_torch(toy_bundle: Bundle, tmp_path: Path) -> None:
    """In a process of its own that may open no socket and import none of them."""
    file = tmp_path / "evidence.zip"
    file.write_bytes(toy_bundle.packed)
    program = f"""
import socket, sys
def refuse(*a, **k): raise AssertionError("it opened a socket")
socket.socket.__init__ = socket.create_connection = socket.getaddrinfo = refuse
class Refused:
    def find_spec(name, *a): assert name not in ("torch", "mlflow", "flask", "matplotlib"), name
sys.meta_path.insert(0, Refused)
sys.argv = ["repro", "verify", {str(file)!r}, "--digest", {toy_bundle.digest!r}]
from repro.cli import main
main()
"""
    empty = tmp_path / "empty"
    empty.mkdir()
    environment = {"PATH": "/usr/bin:/bin", "HOME": str(empty), "PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=empty, env=environment)
    assert done.returncode == 0, done.stderr
    assert "the evidence that was cited" in " ".join(done.stdout.split())
    assert list(empty.iterdir()) == []


def test_another_version_of_the_estimator_with_the_same_result_holds(toy: Dossier) -> None:
    sealed = replace(toy.attempt.sealed, estimator_sources="0" * 64)
    report = verify(forger.bundle_of(forger.resealed(toy, sealed)))
    assert report.ok, report
    assert "by another version of the estimator, with the same result to the last byte" in sentences(report, "holds")


def test_another_version_with_another_result_is_refused_and_named(toy: Dossier) -> None:
    sealed = replace(toy.attempt.sealed, estimator_sources="0" * 64)
    forged = forger.resealed(toy, sealed)
    verdict = forged.attempt.verdict
    part = verdict.parts["value"]
    other = replace(verdict, parts={"value": replace(part, estimate=replace(part.estimate, note="another way"))})
    report = verify(forger.bundle_of(replace(forged, attempt=replace(forged.attempt, verdict=other))))
    assert report.exit_code == 2, report
    told = sentences(report, "unknown")
    assert "proves no forgery" in told
    assert "0123456789abcdef" in told  # the commit to check out
    assert "the estimates that it claims do give match" in sentences(report, "holds")


def test_an_estimator_that_is_not_installed_is_refused(toy: Dossier) -> None:
    sealed = replace(toy.attempt.sealed, estimator="somebody.elses.estimator")
    report = verify(forger.bundle_of(forger.resealed(toy, sealed, judged=False)))
    told = sentences(report, "unknown")
    assert "cannot be recomputed here" in told
    assert "check out commit 0123456789abcdef" in told


@pytest.mark.parametrize(
    ("name", "change"),
    [
        ("claim.json", {"bundle_version": 2}),
        ("attempt.json", {"version": 7}),
        ("trials.jsonl", {"version": 9}),
    ],
)
def test_another_version_of_a_document_is_refused_with_what_could_be_checked(
    name: str, change: dict, toy_bundle: Bundle
) -> None:
    head, _, rest = toy_bundle.files[name].partition(b"\n")
    content = canonical_json({**json.loads(head), **change}).encode() + b"\n" + rest
    files = forger.mended({**toy_bundle.files, name: content})
    report = verify(Bundle(files))
    assert report.exit_code == 2, report
    assert "this installation reads" in sentences(report, "unknown")
    assert "0123456789abcdef" in sentences(report, "unknown")
    assert "SHA256SUMS lists all" in sentences(report, "holds")
    assert verify(Bundle(files), digest=toy_bundle.digest).exit_code == 1


def test_last_digits_may_differ_only_where_arithmetic_does(toy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    verdict = toy.attempt.verdict
    part = verdict.parts["value"]
    nudged = replace(verdict, parts={"value": replace(part, deviation=part.deviation * (1 + 1e-13))})
    bundle = forger.bundle_of(replace(toy, attempt=replace(toy.attempt, verdict=nudged)))
    alone = verify(bundle)
    assert alone.exit_code == 1
    assert "not byte for byte" in sentences(alone, "fails")
    vouched = verify(bundle, digest=bundle.digest)
    assert vouched.ok, vouched
    assert "digits, not byte for byte" in sentences(vouched, "holds")
    monkeypatch.setattr("repro.cite.verification.producer._processor", lambda: "another processor")
    elsewhere = verify(bundle)
    assert elsewhere.ok, elsewhere
    assert "digits, not byte for byte" in sentences(elsewhere, "holds")


def test_figures_that_decide_nothing_may_differ_between_processors_and_no_outcome_may(
    toy: Dossier, monkeypatch: pytest.MonkeyPatch
) -> None:
    def claiming(**changes: Any) -> Bundle:
        verdict = toy.attempt.verdict
        part = replace(verdict.parts["value"], **changes)
        return forger.bundle_of(
            replace(toy, attempt=replace(toy.attempt, verdict=replace(verdict, parts={"value": part})))
        )

    deviation = toy.attempt.verdict.parts["value"].deviation
    near, far, other = (
        claiming(deviation=deviation * 1.0005),
        claiming(deviation=deviation * 1.5),
        claiming(outcome="inconclusive"),
    )
    assert verify(near).exit_code == 1  # the processor is the producer's
    monkeypatch.setattr("repro.cite.verification.producer._processor", lambda: "another processor")
    report = verify(near)
    assert report.ok, report
    told = sentences(report, "holds")
    assert "the same outcome for every part and control, and every number that decides to three digits" in told
    assert "differ parts.value.deviation, which were worked out on another processor" in told
    assert verify(far).exit_code == 1
    assert verify(other).exit_code == 1


def test_a_look_that_decides_needs_no_later_trials(toy: Dossier) -> None:
    protocol = replace(toy.claim.protocols["replicate"], looks=2)
    part = toy.claim.parts["value"]
    parts = {"value": replace(part, rule=replace(part.rule, margin=replace(part.rule.margin, absolute=0.5)))}
    claim = replace(toy.claim, protocols={"replicate": protocol}, parts=parts)
    looking = replace(toy, claim=claim, attempt=replace(toy.attempt, config={}))
    early = forger.resealed(looking, replace(toy.attempt.sealed, looks=2, parts=parts))
    read = {key for keys in early.attempt.arms.values() for key in keys}
    assert len(read) == 6
    enough = replace(early, records=tuple(record for record in early.records if record.key in read))
    report = verify(forger.bundle_of(enough))
    assert report.ok, report
    assert "6 of the 12 sealed trials are there, all of look 1" in sentences(report, "holds")
    assert "does not read" in sentences(verify(forger.bundle_of(early)), "fails")
    fewer = verify(forger.bundle_of(replace(enough, records=enough.records[:-1])))
    assert fewer.exit_code == 1
    assert "have no record" in sentences(fewer, "fails")


def test_an_attempt_that_was_sealed_too_late_says_so(toy: Dossier) -> None:
    records = tuple(replace(record, seals=("0" * 64,)) for record in toy.records)
    report = verify(forger.bundle_of(forger.resealed(replace(toy, records=records))))
    assert report.ok, report
    assert "post hoc and cannot be cited" in sentences(report, "holds")


def test_a_post_hoc_attempt_cannot_call_itself_current(toy: Dossier) -> None:
    records = tuple(replace(record, seals=()) for record in toy.records)
    forged = forger.resealed(replace(toy, records=records), judged=False)
    report = verify(forger.bundle_of(forged))
    assert "in validity" in sentences(report, "fails")


def test_a_changed_recipe_is_named(toy: Dossier) -> None:
    sources = {**toy.sources, "recipes.toys.draws": toy.sources["recipes.toys.draws"] + "# better\n"}
    report = verify(forger.bundle_of(replace(toy, sources=sources)))
    assert report.exit_code == 1
    assert "not the sources of recipes.toys.draws" in sentences(report, "fails")


def test_sentences_of_a_stranger_cannot_command_a_terminal(toy: Dossier) -> None:
    records = tuple(replace(record, label="\x1b[2J\x1b]0;owned\x07[bold]x\u202e\n\r" * 3) for record in toy.records)
    report = verify(forger.bundle_of(forger.resealed(replace(toy, records=records))))
    assert all(finding.sentence.isprintable() for finding in report.findings)
    assert plain("a\x1b[1m\nb " + "c" * 2000) == "a\N{REPLACEMENT CHARACTER}[1m b " + "c" * (LONGEST - 8) + "…"


@pytest.mark.parametrize("text", ["", "sha256:", "1234", "g" * 64, "a" * 63, "a" * 65, "sha512:" + "a" * 64])
def test_a_digest_is_64_hex_digits(text: str, toy_bundle: Bundle) -> None:
    with pytest.raises(EvidenceError, match="is no sha256"):
        read_digest(text)


def test_a_digest_is_read_as_people_copy_it() -> None:
    assert read_digest(f" SHA256:{'AB' * 32}\n") == "ab" * 32


@pytest.mark.parametrize(
    ("statuses", "code"),
    [(["holds", "stated"], 0), (["holds", "unknown"], 2), (["unknown", "fails"], 1), ([], 0)],
)
def test_the_conclusion_follows_from_the_findings(statuses: list, code: int) -> None:
    report = conclude("d", "a", "match", [Finding(status, "x", GROUPS[0]) for status in statuses], ())
    assert (report.exit_code, report.ok) == (code, code == 0)


def write(bundle: Bundle, directory: Path) -> Path:
    for name, content in bundle.files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    return directory


def test_the_command_tells_what_holds(toy_bundle: Bundle, tmp_path: Path, repro) -> None:
    file = tmp_path / "evidence.zip"
    file.write_bytes(toy_bundle.packed)
    code, out, _ = repro("verify", str(file), columns=80)
    assert code == 0
    assert max(map(len, out.splitlines())) <= 80
    assert "✓" in out
    assert "·" in out
    assert "origin unproven" in " ".join(out.splitlines()[-4:])
    code, out, _ = repro("verify", str(file), "--digest", f"sha256:{toy_bundle.digest}")
    assert code == 0
    assert "this is the evidence that was cited" in out
    code, out, _ = repro("verify", str(file), "--digest", "0" * 64)
    assert code == 1
    assert "✗ does not hold: It is not the evidence that was cited" in out


def test_the_command_refuses_what_it_cannot_read(tmp_path: Path, repro) -> None:
    (tmp_path / "no.zip").write_bytes(b"nothing")
    (tmp_path / "empty").mkdir()
    for words, told in (
        (("no.zip",), "no evidence bundle"),
        (("absent.zip",), "There is no bundle absent.zip"),
        (("/dev/zero",), "neither a file nor a directory"),
        (("empty",), "holds no evidence"),
        (("no.zip", "--digest", "12"), "not a|is no sha256|no evidence bundle"),
        (("no.zip", "absent.zip", "--digest", "0" * 64), "of one bundle"),
    ):
        code, out, err = repro("verify", *words)
        assert code == 2, words
        assert any(part in out + err for part in told.split("|")), (words, out, err)


def test_the_command_checks_a_signature_that_lies_beside(toy_bundle: Bundle, tmp_path: Path, repro) -> None:
    from repro.cite.signing.attest import sign
    from repro.cite.signing.keys import make_key_pair

    for name in ("lab", "other"):
        make_key_pair(tmp_path / name, None)
    file = tmp_path / "evidence.zip"
    file.write_bytes(toy_bundle.packed)
    directory = write(toy_bundle, tmp_path / "published")
    assert repro("verify", str(file), "--key", "lab.pub")[0] == 1  # there is no signature yet
    envelope = json.dumps(sign(toy_bundle, tmp_path / "lab.key", "The lab"))
    for place in (file, directory):
        Path(f"{place}.dsse.json").write_text(envelope)
        code, out, _ = repro("verify", str(place), "--key", "lab.pub")
        assert code == 0, out
        assert "signed by the key that you named" in out
        assert repro("verify", str(place), "--key", "other.pub")[0] == 1
        code, out, _ = repro("verify", str(place))
        assert code == 0, out
        assert "origin unproven" in out
    Path(f"{file}.dsse.json").write_text(envelope.replace("a", "b", 1))
    assert repro("verify", str(file))[0] == 1


def test_a_directory_of_many_is_told_line_by_line(
    toy_bundle: Bundle, exact_bundle: Bundle, tmp_path: Path, repro
) -> None:
    results = tmp_path / "many"
    write(toy_bundle, results / "toy/mean/one")
    write(exact_bundle, results / "toy/exact/two")
    (results / "three.zip").write_bytes(exact_bundle.packed)
    code, out, _ = repro("verify", str(results))
    assert code == 0, out
    assert out.count("✓") == 3
    assert "3 bundles" in out
    assert "3 hold. Each: Internally consistent, origin unproven" in " ".join(out.split())
    (results / "toy/mean/one/README.md").write_text("Better.\n")
    code, out, _ = repro("verify", str(results))
    assert code == 1
    assert "2 hold, 1 does not" in out
    assert "SHA256SUMS does not fit" in out
    code, out, _ = repro("verify", str(results), "--json")
    assert code == 1
    document = json.loads(out)
    assert document["schema"] == "repro.verify/1"
    assert [bundle["exit_code"] for bundle in document["bundles"]] == [0, 0, 1]
    assert {"status", "sentence", "group"} == set(document["bundles"][0]["findings"][0])


def test_results_are_held_against_their_index(toy_bundle: Bundle, tmp_path: Path, repro) -> None:
    from repro.cite.results.index import rewrite
    from repro.cite.results.publish import publish

    results = tmp_path / "published"
    results.mkdir()
    publish(toy_bundle, results)
    rewrite(results)
    code, out, _ = repro("verify", str(results))
    assert code == 0, out
    index = results / "index.json"
    true = index.read_text()
    index.write_text(true.replace(toy_bundle.digest, "0" * 64))
    code, out, _ = repro("verify", str(results))
    assert code == 1
    assert "lists other evidence here" in out
    index.write_text(json.dumps({"results": [], "version": 1}))
    code, out, _ = repro("verify", str(results))
    assert code == 1
    assert "does not list it" in out
    index.write_text(true)
    (place,) = [file.parent for file in results.rglob("attempt.json")]
    place.rename(tmp_path / "gone")
    code, out, _ = repro("verify", str(results))
    assert code == 1
    assert "is not there" in out
    index.write_text("{")
    assert repro("verify", str(results))[0] == 2


HOSTILE_VALUES = [
    "10" * 300,
    "1e999",
    "-1e999",
    "NaN",
    "[" * 50_000,
    "[" * 50_000 + "]" * 50_000,
    "{}",
    "[]",
    "null",
    "-1",
    "1.7e308",
    "true",
    '"\\ud800"',
    '"\\u001b[31m\\u202e"',
    '"../../etc/passwd"',
    '"${oc.env:HOME}"',
    '{"_target_": "os.system"}',
    '"9999-12-31T23:59:59"',
    '"' + "9" * 5_000 + '"',
]


@pytest.mark.parametrize("name", ["attempt.json", "claim.json", "trials.jsonl"])
def test_no_value_makes_a_traceback(name: str, toy_bundle: Bundle) -> None:
    """Every hostile value at places all over each document, with all digests mended so that it is read as far as may be."""
    text = toy_bundle.files[name].decode()
    places = [
        found.span(1) for found in re.finditer(r'(?<=[:\[,])(-?[0-9.e-]+|"[^"]*"|true|false|null)(?=[,\]}])', text)
    ]
    assert len(places) > 20
    draw = random.Random(name)
    for value in HOSTILE_VALUES:
        for start, end in draw.sample(places, 4):
            content = f"{text[:start]}{value}{text[end:]}".encode()
            if content == toy_bundle.files[name]:
                continue
            report = verify(Bundle(forger.mended({**toy_bundle.files, name: content})))
            assert report.exit_code in (0, 1, 2)
            assert report.exit_code or name == "trials.jsonl" or "claim" in name, (value, text[start - 40 : end])
            assert all(finding.sentence.isprintable() for finding in report.findings)
