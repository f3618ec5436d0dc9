"""Evidence that is made to hurt its reader: to keep a machine busy, fill its memory, or be taken for something else."""

import json
import time
from dataclasses import replace
from pathlib import Path

import evidence_forger as forger
import pytest
from cryptography.hazmat.primitives.asymmetric import ec, ed448, rsa, x25519
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.dossier import Dossier, read_dossier
from repro.cite.signing.attest import check, sign
from repro.cite.signing.keys import SignatureError, make_key_pair
from repro.cite.verification import verify as verifying
from repro.cite.verification.rejudge import MOST_AT_ONCE, NotInstalled, installed_estimator
from repro.cite.verification.time_limit import within
from repro.cite.verification.verify import verify
from repro.cite.verification.verify_many import verify_place
from repro.schema.canonical import canonical_json


@pytest.fixture
def toy(toy_bundle: Bundle) -> Dossier:
    return read_dossier(toy_bundle)


def unknown(report) -> str:
    return " ".join(finding.sentence for finding in report.findings if finding.status == "unknown")


# Work without end


def test_work_that_takes_too_long_is_stopped() -> None:
    counted = []

    def endless() -> None:
        while True:
            try:
                counted.append(1)
            except Exception:
                counted.clear()

    assert not within(0.1, endless)
    for _ in range(100):
        before = len(counted)
        time.sleep(0.05)
        if len(counted) == before:
            break
    else:
        pytest.fail("it was not stopped")
    assert within(5.0, lambda: counted.append(2))
    assert counted[-1] == 2


def test_work_that_fails_is_not_taken_for_done() -> None:
    with pytest.raises(ZeroDivisionError):
        within(5.0, lambda: print(1 / 0))


def test_evidence_that_asks_for_endless_work_is_refused(toy: Dossier, monkeypatch: pytest.MonkeyPatch) -> None:
    """A thousand million looks at data of which one trial is missing."""
    monkeypatch.setattr(verifying, "LONGEST_S", 0.5)
    protocol = replace(toy.claim.protocols["replicate"], looks=10**9)
    claim = replace(toy.claim, protocols={"replicate": protocol})
    endless = replace(toy, claim=claim, attempt=replace(toy.attempt, config={}), records=toy.records[:-1])
    started = time.monotonic()
    report = verify(forger.bundle_of(forger.resealed(endless, replace(toy.attempt.sealed, looks=10**9), judged=False)))
    assert time.monotonic() - started < 10
    assert report.exit_code == 2, report
    assert "stopped after" in unknown(report)
    assert report.attempt.startswith("toy/mean@")


def test_draws_are_bounded_together_with_trials(toy: Dossier) -> None:
    arguments = {"y": "x", "bootstrap": 10_000}
    sealed = replace(
        toy.attempt.sealed, estimator="repro.stats.growth.log_linear_growth", arguments=arguments, controls={}
    )
    assert installed_estimator(sealed, MOST_AT_ONCE // 10_000).function
    with pytest.raises(NotInstalled, match="no more than 9999 is done for a stranger"):
        installed_estimator(sealed, MOST_AT_ONCE // 10_000 + 1)


@pytest.mark.parametrize("depth", [100, 300, 450, 700, 980, 5_000, 200_000])
@pytest.mark.parametrize("name", ["attempt.json", "claim.json", "trials.jsonl"])
def test_nesting_is_no_traceback(name: str, depth: int, toy_bundle: Bundle) -> None:
    head, _, rest = toy_bundle.files[name].decode().partition("\n")
    document = json.loads(head)
    place = {"attempt.json": "provenance", "claim.json": "claim", "trials.jsonl": "config"}[name]
    document[place] |= {"deep": "HERE"}
    nested = canonical_json(document).replace('"HERE"', '{"a":' * depth + "1" + "}" * depth)
    report = verify(Bundle(forger.mended({**toy_bundle.files, name: f"{nested}\n{rest}".encode()})))
    assert report.exit_code == 1


@pytest.mark.parametrize("value", ["9" * 5_000, "1e400", "-1e400", "1" + "0" * 400, "NaN", "Infinity"])
def test_numbers_that_no_machine_holds_are_no_traceback(value: str, toy_bundle: Bundle) -> None:
    text = toy_bundle.files["attempt.json"].decode()
    for field in ('"seconds":', '"counter":', '"margin":', '"alpha":', '"n":', '"dof":'):
        start = text.index(field) + len(field)
        end = min(text.index(mark, start) for mark in ",}")
        forged = f"{text[:start]}{value}{text[end:]}".encode()
        report = verify(Bundle(forger.mended({**toy_bundle.files, "attempt.json": forged})), digest=toy_bundle.digest)
        assert report.exit_code == 1, field


def test_an_index_that_is_no_file_is_not_waited_for(toy_bundle: Bundle, tmp_path: Path, repro) -> None:
    place = tmp_path / "results/one"
    for name, content in toy_bundle.files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_bytes(content)
    (tmp_path / "results/index.json").symlink_to("/dev/zero")
    assert verify_place(place).ok
    code, out, err = repro("verify", str(tmp_path / "results"))
    assert code == 2
    assert "no plain file" in out + err


# Signatures and names of other evidence


def test_a_signature_of_another_attempt_is_refused(toy_bundle: Bundle, exact_bundle: Bundle, tmp_path: Path) -> None:
    make_key_pair(tmp_path / "lab", None)
    key = tmp_path / "lab.pub"
    envelope = sign(exact_bundle, tmp_path / "lab.key", "The lab")
    for known in (None, key):
        report = verify(toy_bundle, public_key=known, envelope=envelope)
        assert report.exit_code == 1
        assert any(f.status == "fails" and "of other evidence" in f.sentence for f in report.findings)
    # The same signed statement does not fit the same files with one byte of the figure changed.
    forged = Bundle({**exact_bundle.files, "figure.svg": exact_bundle.files["figure.svg"] + b" "})
    assert verify(Bundle(forger.mended(forged.files)), public_key=key, envelope=envelope).exit_code == 1


@pytest.mark.parametrize(
    ("kind", "key"),
    [
        ("X25519", x25519.X25519PrivateKey.generate()),
        ("Ed448", ed448.Ed448PrivateKey.generate()),
        ("EC", ec.generate_private_key(ec.SECP256R1())),
        ("RSA", rsa.generate_private_key(65537, 2048)),
    ],
    ids=lambda item: item if isinstance(item, str) else "",
)
def test_keys_of_other_kinds_are_named(kind: str, key, toy_bundle: Bundle, tmp_path: Path) -> None:
    make_key_pair(tmp_path / "lab", None)
    envelope = sign(toy_bundle, tmp_path / "lab.key", "The lab")
    pem = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
    with pytest.raises(SignatureError, match=f"of kind {kind};"):
        check(envelope, toy_bundle, pem)
    envelope["signatures"][0]["publicKey"] = pem.decode()
    with pytest.raises(SignatureError, match=f"of kind {kind};"):
        check(envelope, toy_bundle, tmp_path / "lab.pub")


def test_an_id_of_another_claim_is_found(toy: Dossier) -> None:
    _, _, rest = toy.attempt.id.partition("@")
    for attempt in (
        replace(toy.attempt, id=f"toy/exact@{rest}"),
        replace(toy.attempt, id=f"toy/exact@{rest}", claim="toy/exact"),
        replace(toy.attempt, claim="toy/exact"),
        replace(toy.attempt, counter=2),
        replace(toy.attempt, id=toy.attempt.id + "~12345678"),
        replace(toy.attempt, scale="paper"),
    ):
        assert verify(forger.bundle_of(replace(toy, attempt=attempt))).exit_code == 1, attempt.id


def test_a_paper_that_is_described_otherwise_is_told(toy: Dossier, toy_bundle: Bundle, in_toy_home: Path) -> None:
    """No seal covers the paper's title: the digest of the bundle does, and the catalogue of the reader knows it."""
    claim = replace(toy.claim, statement="It is far better.")
    forged = forger.bundle_of(replace(toy, paper=replace(toy.paper, title="Another paper"), claim=claim))
    assert verify(forged, digest=toy_bundle.digest).exit_code == 1
    told = " ".join(finding.sentence for finding in verify(forged).findings if finding.status == "stated")
    assert "It gives the claim's statement and the paper's title otherwise than this installation does" in told
    true = " ".join(finding.sentence for finding in verify(toy_bundle).findings)
    assert "otherwise than this installation" not in true
