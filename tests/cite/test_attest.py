"""Signatures: what they say, what they refuse, and that other tools read them."""

import base64
import json
import os
import re
import shutil
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from repro.cite.evidence.bundle import Bundle, EvidenceError
from repro.cite.signing.attest import check, sign, verdict_of
from repro.cite.signing.envelope import (
    MAX_ENVELOPE_BYTES,
    MAX_SIGNATURES,
    PAYLOAD_TYPE,
    PREDICATE_TYPE,
    envelope_place,
    read_envelope,
)
from repro.cite.signing.keys import SignatureError, key_id, load_private_key, load_public_key, make_key_pair
from repro.schema.canonical import canonical_json
from repro.schema.errors import ReproError

ROOT = Path(__file__).parents[2]
WHEN = "2026-01-02T03:04:05Z"
needs_openssl = pytest.mark.skipif(shutil.which("openssl") is None, reason="openssl is not installed")


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with the pairs ada, bob and eve (encrypted), and the RSA pair rsa."""
    place = tmp_path_factory.mktemp("keys")
    make_key_pair(place / "ada", None)
    make_key_pair(place / "bob", None)
    make_key_pair(place / "eve", "correct horse")
    other = rsa.generate_private_key(65537, 2048)
    (place / "rsa.key").write_bytes(_private_pem(other))
    (place / "rsa.pub").write_bytes(_public_pem(other))
    return place


@pytest.fixture(scope="module")
def signed(toy_bundle: Bundle, keys: Path) -> dict[str, Any]:
    """The toy's evidence signed by Ada."""
    return sign(toy_bundle, keys / "ada.key", "Ada Lovelace", name="toy.zip", when=WHEN)


def _private_pem(key: Any) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _public_pem(key: Any) -> bytes:
    return key.public_key().public_bytes(serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo)


def _payload(envelope: dict[str, Any]) -> dict[str, Any]:
    return json.loads(base64.b64decode(envelope["payload"]))


def _id_of(place: Path) -> str:
    return key_id(load_public_key(place.read_bytes(), str(place)))


def _resigned(keys: Path, payload: bytes, payload_type: str = PAYLOAD_TYPE, key: str = "ada") -> dict[str, Any]:
    """Sign any payload with Ada's key: what a liar, or another tool, may do."""
    private = load_private_key((keys / f"{key}.key").read_bytes(), "key")
    text = payload_type.encode()
    signature = private.sign(b"DSSEv1 %d %b %d %b" % (len(text), text, len(payload), payload))
    encode = lambda raw: base64.b64encode(raw).decode()
    return {
        "payload": encode(payload),
        "payloadType": payload_type,
        "signatures": [{"keyid": key_id(private.public_key()), "sig": encode(signature)}],
    }


# What a signature says


def test_a_signature_says_who_signed_what_and_when(signed: dict[str, Any], toy_bundle: Bundle, keys: Path) -> None:
    signature = check(signed, toy_bundle, keys / "ada.pub")
    assert (signature.who, signature.when, signature.vouched, signature.holds) == ("Ada Lovelace", WHEN, True, True)
    assert signature.key_id == _id_of(keys / "ada.pub")
    assert signature.others == ()
    assert '"Ada Lovelace" signed' in signature.sentence
    assert signature.verdict["attempt"] in signature.sentence
    assert "not that the verdict is true" in signature.sentence


def test_without_a_key_nobody_vouches_for_it(signed: dict[str, Any], toy_bundle: Bundle, keys: Path) -> None:
    signature = check(json.dumps(signed).encode(), toy_bundle)
    assert (signature.vouched, signature.holds) == (False, True)
    assert f"signed with key id {_id_of(keys / 'ada.pub')}, which nobody vouched for" in signature.sentence
    bare = json.loads(json.dumps(signed))
    del bare["signatures"][0]["publicKey"]
    unseen = check(bare, toy_bundle)
    assert (unseen.vouched, unseen.holds) == (False, False)
    assert "cannot even be checked" in unseen.sentence
    assert check(bare, toy_bundle, (keys / "ada.pub").read_bytes()).vouched


def test_the_statement_is_in_totos_and_says_what_the_evidence_says(signed: dict[str, Any], toy_bundle: Bundle) -> None:
    from google.protobuf.json_format import ParseDict
    from in_toto_attestation.v1 import statement_pb2
    from in_toto_attestation.v1.statement import Statement

    content = _payload(signed)
    Statement.copy_from_pb(ParseDict(content, statement_pb2.Statement())).validate()
    assert signed["payloadType"] == "application/vnd.in-toto+json"
    assert content["_type"] == "https://in-toto.io/Statement/v1"
    assert content["predicateType"] == PREDICATE_TYPE == "urn:repro-tracker:verdict:1"
    assert content["subject"] == [{"name": "toy.zip", "digest": {"sha256": toy_bundle.digest}}]
    attempt = json.loads(toy_bundle.files["attempt.json"])
    predicate = content["predicate"]
    assert predicate == {**verdict_of(toy_bundle), "signer": "Ada Lovelace", "time": WHEN}
    assert {name: predicate[name] for name in ("claim", "protocol", "scale", "compute_ratio")} == {
        name: attempt[name] for name in ("claim", "protocol", "scale", "compute_ratio")
    }
    assert predicate["attempt"] == attempt["id"]
    assert predicate["kind"] == attempt["sealed"]["kind"]
    assert predicate["outcome"] == attempt["verdict"]["outcome"] == "match"
    assert predicate["n"] == {name: part["estimate"]["n"] for name, part in attempt["verdict"]["parts"].items()}
    assert predicate["seal"][:8] == attempt["id"].split("-")[-2]
    assert re.fullmatch("[0-9a-f]{64}", predicate["seal"])
    assert predicate["commit"] == attempt["provenance"]["commit"]
    assert predicate["bundle_version"] == 1


def test_the_documentation_names_every_field_of_the_predicate(toy_bundle: Bundle) -> None:
    text = (ROOT / "docs" / "attestation.md").read_text()
    listed = set(re.findall(r"^\| `([a-z_]+)` \|", text, re.MULTILINE))
    assert listed == {*verdict_of(toy_bundle), "signer", "time"}
    assert PREDICATE_TYPE in text
    assert PAYLOAD_TYPE in text


def test_ten_lines_of_plain_python_verify_it(
    signed: dict[str, Any], toy_bundle: Bundle, keys: Path, tmp_path: Path
) -> None:
    text = (ROOT / "docs" / "attestation.md").read_text()
    (program,) = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    assert len([line for line in program.splitlines() if line and not line.startswith("import ")]) <= 10
    (tmp_path / "evidence.zip").write_bytes(toy_bundle.packed)
    (tmp_path / "evidence.zip.dsse.json").write_text(json.dumps(signed))
    shutil.copy(keys / "ada.pub", tmp_path)
    right = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True)
    assert right.returncode == 0, right.stderr
    assert "Ada Lovelace" in right.stdout
    (tmp_path / "evidence.zip").write_bytes(toy_bundle.packed[:-1] + b"x")
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode != 0
    (tmp_path / "evidence.zip").write_bytes(toy_bundle.packed)
    shutil.copy(keys / "bob.pub", tmp_path / "ada.pub")
    assert subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True).returncode != 0


@needs_openssl
def test_openssl_verifies_the_signature(signed: dict[str, Any], keys: Path, tmp_path: Path) -> None:
    payload = base64.b64decode(signed["payload"])
    kind = PAYLOAD_TYPE.encode()
    (tmp_path / "pae").write_bytes(b"DSSEv1 %d %b %d %b" % (len(kind), kind, len(payload), payload))
    (tmp_path / "sig").write_bytes(base64.b64decode(signed["signatures"][0]["sig"]))
    command = ["openssl", "pkeyutl", "-verify", "-pubin", "-inkey", str(keys / "ada.pub"), "-rawin", "-in", "pae"]
    found = subprocess.run([*command, "-sigfile", "sig"], cwd=tmp_path, capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
    der = subprocess.run(
        ["openssl", "pkey", "-pubin", "-in", str(keys / "ada.pub"), "-outform", "DER"], capture_output=True, check=True
    ).stdout
    import hashlib

    assert hashlib.sha256(der).hexdigest() == signed["signatures"][0]["keyid"]


# Keys


def test_keys_are_private_and_never_overwritten(tmp_path: Path) -> None:
    old = os.umask(0)
    try:
        private, public, identity = make_key_pair(tmp_path / "me", None)
    finally:
        os.umask(old)
    assert (private.name, public.name) == ("me.key", "me.pub")
    assert stat.S_IMODE(private.stat().st_mode) == 0o600
    assert identity == _id_of(public)
    before = private.read_bytes()
    with pytest.raises(SignatureError, match="exists already and is not overwritten"):
        make_key_pair(tmp_path / "me", None)
    private.unlink()
    with pytest.raises(SignatureError, match=r"me\.pub exists already"):
        make_key_pair(tmp_path / "me", None)
    assert not private.exists()
    assert before.startswith(b"-----BEGIN PRIVATE KEY-----")


def test_an_encrypted_key_needs_its_passphrase(toy_bundle: Bundle, keys: Path) -> None:
    assert (keys / "eve.key").read_bytes().startswith(b"-----BEGIN ENCRYPTED PRIVATE KEY-----")
    with pytest.raises(SignatureError, match="is encrypted"):
        sign(toy_bundle, keys / "eve.key", "Eve")
    with pytest.raises(SignatureError, match="passphrase is wrong"):
        sign(toy_bundle, keys / "eve.key", "Eve", passphrase="wrong")
    envelope = sign(toy_bundle, keys / "eve.key", "Eve", passphrase="correct horse")
    assert check(envelope, toy_bundle, keys / "eve.pub").who == "Eve"


def test_a_passphrase_for_a_plain_key_is_not_needed(keys: Path) -> None:
    assert load_private_key((keys / "ada.key").read_bytes(), "ada.key", "set for another key")


@needs_openssl
@pytest.mark.parametrize("passphrase", [None, "geheim"])
def test_openssls_keys_work_here(passphrase: str | None, toy_bundle: Bundle, tmp_path: Path) -> None:
    cipher = ["-aes-256-cbc", "-pass", f"pass:{passphrase}"] if passphrase else []
    subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", *cipher, "-out", "o.key"], cwd=tmp_path, check=True)
    reading = ["-passin", f"pass:{passphrase}"] if passphrase else []
    subprocess.run(["openssl", "pkey", "-in", "o.key", *reading, "-pubout", "-out", "o.pub"], cwd=tmp_path, check=True)
    envelope = sign(toy_bundle, tmp_path / "o.key", "Olga", passphrase=passphrase)
    assert check(envelope, toy_bundle, tmp_path / "o.pub").who == "Olga"


@needs_openssl
def test_our_keys_work_in_openssl(keys: Path, tmp_path: Path) -> None:
    for name, reading in (("ada", []), ("eve", ["-passin", "pass:correct horse"])):
        command = ["openssl", "pkey", "-in", str(keys / f"{name}.key"), *reading, "-pubout"]
        assert subprocess.run(command, capture_output=True, check=True).stdout == (keys / f"{name}.pub").read_bytes()


def test_files_that_are_no_fitting_key_are_refused(
    keys: Path, toy_bundle: Bundle, signed: dict[str, Any], tmp_path: Path
) -> None:
    (tmp_path / "curve.key").write_bytes(_private_pem(ec.generate_private_key(ec.SECP256R1())))
    (tmp_path / "no.key").write_bytes(b"-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n")
    (tmp_path / "large.key").write_bytes(b"A" * 2**20)
    for place, message in (
        (keys / "rsa.key", "of kind RSA"),
        (tmp_path / "curve.key", "of kind EC;"),
        (tmp_path / "no.key", "no private key in PEM"),
        (tmp_path / "large.key", "larger than any key"),
        (tmp_path / "absent.key", "cannot be read"),
        (keys / "ada.pub", "holds a public key"),
    ):
        with pytest.raises(SignatureError, match=message):
            sign(toy_bundle, place, "Ada")
    for place, message in (
        (keys / "rsa.pub", "of kind RSA"),
        (keys / "ada.key", "holds a private key"),
        (tmp_path / "absent.pub", "cannot be read"),
    ):
        with pytest.raises(SignatureError, match=message):
            check(signed, toy_bundle, place)
    with pytest.raises(SignatureError, match="no public key in PEM"):
        check(signed, toy_bundle, b"nonsense")


# Several signers


def test_a_second_person_signs_the_same_statement(toy_bundle: Bundle, keys: Path) -> None:
    first = sign(toy_bundle, keys / "ada.key", "Ada and Bob", when=WHEN)
    both = sign(toy_bundle, keys / "bob.key", "Ada and Bob", existing=json.dumps(first).encode())
    assert both["payload"] == first["payload"]
    assert both["signatures"][0] == first["signatures"][0]
    ada, bob = _id_of(keys / "ada.pub"), _id_of(keys / "bob.pub")
    by_bob = check(both, toy_bundle, keys / "bob.pub")
    assert (by_bob.key_id, by_bob.others, by_bob.when) == (bob, (ada,), WHEN)
    assert f"Keys that nobody vouched for signed the same: {ada}" in by_bob.sentence
    assert check(both, toy_bundle, keys / "ada.pub").others == (bob,)


def test_another_name_cannot_be_put_to_a_statement(toy_bundle: Bundle, signed: dict[str, Any], keys: Path) -> None:
    with pytest.raises(SignatureError, match=r'says that "Ada Lovelace" signs.*--out FILE'):
        sign(toy_bundle, keys / "bob.key", "Bob", existing=json.dumps(signed).encode())
    with pytest.raises(SignatureError, match="has signed the statement already"):
        sign(toy_bundle, keys / "ada.key", "Ada Lovelace", existing=json.dumps(signed).encode())


def test_a_statement_of_other_evidence_is_not_signed_too(
    exact_bundle: Bundle, toy_bundle: Bundle, signed: dict[str, Any], keys: Path
) -> None:
    with pytest.raises(SignatureError, match="no signature can be added.*of other evidence.*move it away"):
        sign(exact_bundle, keys / "bob.key", "Ada Lovelace", existing=json.dumps(signed).encode())


@pytest.mark.parametrize("name", ["", "  ", "two\nlines", "\x1b[31mred", "x" * 201, "right\u202eleft"])
def test_a_signers_name_is_one_printable_line(name: str, toy_bundle: Bundle, keys: Path) -> None:
    with pytest.raises(SignatureError, match="one line of at most 200 printable characters"):
        sign(toy_bundle, keys / "ada.key", name)


def test_wrong_evidence_is_not_signed(toy_bundle: Bundle, keys: Path) -> None:
    attempt = toy_bundle.files["attempt.json"].replace(b'"outcome":"match"', b'"outcome":"mismatch"')
    forged = Bundle({**toy_bundle.files, "attempt.json": attempt})
    with pytest.raises(SignatureError, match="This evidence is wrong and is not signed"):
        sign(forged, keys / "ada.key", "Ada")
    with pytest.raises(EvidenceError):
        sign(Bundle({"README.md": b"nothing"}), keys / "ada.key", "Ada")


# What is refused


def test_another_bundle_or_key_is_refused(
    signed: dict[str, Any], toy_bundle: Bundle, exact_bundle: Bundle, keys: Path
) -> None:
    with pytest.raises(
        SignatureError, match=rf"names sha256:{toy_bundle.digest}, and this is sha256:{exact_bundle.digest}"
    ):
        check(signed, exact_bundle)
    with pytest.raises(SignatureError, match="not signed with the key that was given"):
        check(signed, toy_bundle, keys / "bob.pub")


def _with(field: str, value: Any) -> Callable[[dict[str, Any]], None]:
    def change(statement: dict[str, Any]) -> None:
        statement["predicate"][field] = value

    return change


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (_with("outcome", "mismatch"), "of another verdict .* differ in outcome"),
        (_with("n", {"value": 10**6}), "differ in n"),
        (_with("attempt", "toy/mean@replicate@cpu-00000000-1"), "differ in attempt"),
        (_with("extra", 1), "differ in extra"),
        (lambda s: s["predicate"].pop("seal"), "differ in seal"),
        (lambda s: s["predicate"].pop("signer"), "The signer's name must be one line"),
        (_with("signer", "a\x1b[2Jb"), "The signer's name must be one line"),
        (_with("signer", {"name": "Ada"}), "The signer's name must be one line"),
        (_with("time", "yesterday"), "time is not RFC 3339"),
        (_with("time", "2026-01-02T03:04:05+01:00"), "time is not RFC 3339"),
        (lambda s: s.update(predicateType="https://slsa.dev/provenance/v1"), "not of type urn:repro-tracker:verdict:1"),
        (lambda s: s.update(_type="https://in-toto.io/Statement/v0.1"), "not of type"),
        (lambda s: s.update(subject=s["subject"] * 2), "exactly one file"),
        (lambda s: s.update(subject=[]), "exactly one file"),
        (lambda s: s.update(subject=["toy.zip"]), "exactly one file"),
        (lambda s: s["subject"][0].update(digest={"sha512": "0" * 128}), "of other evidence"),
        (lambda s: s["subject"][0].update(digest="0" * 64), "must have a name and a sha256 digest"),
        (lambda s: s["subject"][0].update(name="\x1b]0;x\x07"), "The name of the signed file"),
        (lambda s: s.update(extra=1), "other fields"),
        (lambda s: s.update(predicate=[]), "other fields"),
    ],
)
def test_a_true_signature_under_a_wrong_statement_is_refused(
    change: Callable[[dict[str, Any]], Any],
    message: str,
    signed: dict[str, Any],
    toy_bundle: Bundle,
    keys: Path,
) -> None:
    statement = _payload(signed)
    change(statement)
    envelope = _resigned(keys, canonical_json(statement).encode())
    with pytest.raises(SignatureError, match=message):
        check(envelope, toy_bundle, keys / "ada.pub")


def test_two_spellings_of_a_statement_are_refused(signed: dict[str, Any], toy_bundle: Bundle, keys: Path) -> None:
    payload = base64.b64decode(signed["payload"])
    twice = payload.replace(b'"outcome":"match"', b'"outcome":"mismatch","outcome":"match"')
    assert twice != payload
    for text in (
        twice,
        json.dumps(json.loads(payload)).encode(),
        payload + b" ",
        b"\xff",
        b"[" * 100_000,
        b"1e999",
        b"[]",
        b"NaN",
    ):
        with pytest.raises(SignatureError, match="canonical JSON|not JSON|not a JSON object"):
            check(_resigned(keys, text), toy_bundle, keys / "ada.pub")
    with pytest.raises(SignatureError, match="payloadType is not"):
        check(_resigned(keys, payload, "text/plain"), toy_bundle, keys / "ada.pub")


def _entry(signed: dict[str, Any], **changes: Any) -> dict[str, Any]:
    return {**signed["signatures"][0], **changes}


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: {**s, "signatures": []}, "holds no signature"),
        (lambda s: {**s, "signatures": "x"}, "holds no signature"),
        (lambda s: {k: v for k, v in s.items() if k != "signatures"}, "holds no signature"),
        (lambda s: {**s, "signatures": s["signatures"] * 2}, "two signatures bear the same key id"),
        (lambda s: {**s, "signatures": [1]}, "no key id"),
        (lambda s: {**s, "signatures": [_entry(s, keyid="")]}, "key id is not the sha256"),
        (lambda s: {**s, "signatures": [_entry(s, keyid="A" * 64)]}, "key id is not the sha256"),
        (lambda s: {**s, "signatures": [_entry(s, keyid="a" * 64)]}, "is another key"),
        (lambda s: {**s, "signatures": [_entry(s, sig="***")]}, "a signature is not base64"),
        (lambda s: {**s, "signatures": [_entry(s, sig=None)]}, "a signature is not base64"),
        (lambda s: {**s, "signatures": [_entry(s, sig="")]}, "not plain base64"),
        (lambda s: {**s, "signatures": [_entry(s, sig="AAAA")]}, "does not hold"),
        (lambda s: {**s, "signatures": [_entry(s, publicKey="x")]}, "no public key in PEM"),
        (lambda s: {**s, "signatures": [_entry(s, publicKey=7)]}, "not PEM"),
        (lambda s: {**s, "payload": s["payload"][:-4] + "!!!!"}, "the payload is not base64"),
        (lambda s: {**s, "payload": 7}, "the payload is not base64"),
        (lambda s: {**s, "payload": ""}, "not plain base64"),
        (lambda s: {**s, "payloadType": "application/json"}, "payloadType is not"),
        (lambda s: {**s, "payload": "A" * MAX_ENVELOPE_BYTES}, "larger than 256 KiB"),
        (
            lambda s: {**s, "signatures": [_entry(s, keyid=f"{i:064x}") for i in range(MAX_SIGNATURES + 1)]},
            "holds 17 signatures, more than 16",
        ),
    ],
)
def test_hostile_envelopes_are_refused(
    change: Callable[[dict[str, Any]], dict[str, Any]], message: str, signed: dict[str, Any], toy_bundle: Bundle
) -> None:
    with pytest.raises(SignatureError, match=message):
        check(change(signed), toy_bundle)


@pytest.mark.parametrize("content", [b"", b"{", b"null", b"[]", b"\xff\xfe", b"[" * 200_000, b'{"a": NaN}'])
def test_what_is_no_envelope_is_refused(content: bytes, toy_bundle: Bundle) -> None:
    with pytest.raises(SignatureError, match="no envelope of a signed verdict"):
        check(content, toy_bundle)


def test_an_rsa_key_that_an_envelope_carries_is_refused(signed: dict[str, Any], toy_bundle: Bundle, keys: Path) -> None:
    envelope = {**signed, "signatures": [_entry(signed, publicKey=(keys / "rsa.pub").read_text())]}
    with pytest.raises(SignatureError, match="of kind RSA"):
        check(envelope, toy_bundle)


def test_every_changed_character_of_an_envelope_is_found(
    signed: dict[str, Any], toy_bundle: Bundle, keys: Path
) -> None:
    """One character after another is changed; what JSON reads as the same envelope is no change."""
    text = json.dumps(signed)
    key = (keys / "ada.pub").read_bytes()
    assert check(text.encode(), toy_bundle, key).vouched
    for place in range(0, len(text), 3):
        changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
        try:
            same = json.loads(changed) == signed
        except ValueError:
            same = False
        known_field = all(name in changed for name in ('"publicKey"', '"keyid"', '"sig"'))
        if not same and known_field:
            with pytest.raises(SignatureError):
                check(changed.encode(), toy_bundle, key)


def test_a_bundle_that_says_nothing_is_refused(signed: dict[str, Any], toy_bundle: Bundle) -> None:
    claims = (b"[", b"[]", b"{}", b'{"bundle_version": NaN}', b'{"bundle_version": 1e999}', b"[" * 100_000, b"\xff")
    for files in ({}, {"attempt.json": b"{}"}, *({**toy_bundle.files, "claim.json": text} for text in claims)):
        with pytest.raises(ReproError):
            check(signed, Bundle(files))
        with pytest.raises(ReproError):
            verdict_of(Bundle(files))


# The commands


@pytest.fixture
def evidence(toy_bundle: Bundle, own_directory: Path) -> Path:
    """The toy's evidence as a file in the working directory."""
    place = own_directory / "evidence.zip"
    place.write_bytes(toy_bundle.packed)
    return place


def test_keygen_sign_verify(repro: Any, evidence: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REPRO_KEY_PASSWORD", "pass phrase")
    code, out, _ = repro("keygen", "ada")
    assert code == 0
    assert f"key id {_id_of(Path('ada.pub'))}" in out
    assert "ENCRYPTED" in Path("ada.key").read_text()
    code, out, _ = repro("sign", "evidence.zip", "--key", "ada.key", "--as", "Ada [bold]Lovelace[/]")
    assert code == 0
    assert "Wrote evidence.zip.dsse.json" in out
    assert "repro verify evidence.zip --key ada.pub" in out
    signature = check(read_envelope(Path("evidence.zip.dsse.json")), _bundle(evidence), Path("ada.pub"))
    assert signature.who == "Ada [bold]Lovelace[/]"
    code, out, _ = repro("verify", "evidence.zip", "--key", "ada.pub")
    assert code == 0
    assert "Ada [bold]Lovelace[/]" in out
    code, _, err = repro("keygen", "ada")
    assert code == 2
    assert "not overwritten" in err


def test_sign_adds_to_a_signature_that_lies_there(repro: Any, evidence: Path) -> None:
    repro("keygen", "ada")
    repro("keygen", "bob.key")
    repro("sign", "evidence.zip", "--key", "ada.key", "--as", "Both")
    code, _, err = repro("sign", "evidence.zip", "--key", "bob.key", "--as", "Bob")
    assert code == 2
    assert "--out FILE" in err
    code, out, _ = repro("sign", "evidence.zip", "--key", "bob.key", "--as", "Both")
    assert code == 0
    assert "now 2 signatures" in out
    code, out, _ = repro("sign", "evidence.zip", "--key", "bob.key", "--as", "Bob", "--out", "bob.dsse.json")
    assert code == 0
    assert check(read_envelope(Path("bob.dsse.json")), _bundle(evidence), Path("bob.pub")).who == "Bob"


def test_sign_refuses_wrong_evidence_and_leaves_nothing(repro: Any, toy_bundle: Bundle) -> None:
    trials = b"".join(toy_bundle.files["trials.jsonl"].splitlines(keepends=True)[:-1])
    Path("forged.zip").write_bytes(Bundle({**toy_bundle.files, "trials.jsonl": trials}).packed)
    repro("keygen", "ada")
    code, _, err = repro("sign", "forged.zip", "--key", "ada.key", "--as", "Ada")
    assert code == 2
    assert "is wrong and is not signed" in err
    assert not Path("forged.zip.dsse.json").exists()


def test_a_directory_of_results_is_signed_beside_itself(toy_bundle: Bundle, repro: Any, own_directory: Path) -> None:
    for name, content in toy_bundle.files.items():
        file = own_directory / "result" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content)
    repro("keygen", "ada")
    assert repro("sign", "result/", "--key", "ada.key", "--as", "Ada")[0] == 0
    assert envelope_place(Path("result")) == Path("result.dsse.json")
    assert check(read_envelope(Path("result.dsse.json")), toy_bundle, Path("ada.pub")).who == "Ada"


def _bundle(place: Path) -> Bundle:
    from repro.cite.evidence.bundle import read_bundle

    return read_bundle(place)
