"""Whatever is changed in evidence is found: always with a digest or a key, and without either as far as it contradicts itself."""

import copy
import re
import zipfile
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path

import evidence_forger as forger
import pytest

from repro.cite.evidence.bundle import Bundle
from repro.cite.evidence.dossier import Dossier, read_dossier
from repro.cite.verification.origin import check_origin
from repro.cite.verification.verify import check_container, verify
from repro.cite.verification.verify_many import verify_place

ONLY_TOLD = re.compile(
    r"figure\.svg: "
    r"|claim\.json: \.(paper\.(note|url|doi|venue)|claim\.note|data)"
    r"|trials\.jsonl\[\d+\]: \.(error|label|study|process|machine\.(cores|memory_gib|threads|torch)|packages|curves|started)"
    r"|trials\.jsonl\[0\]: \.(seals|seconds)"  # of the run that failed
    r"|trials\.jsonl\[\d+\]: \.rows\[0\]\.flops"  # of a control, whose compute is not compared with the paper's
    r"|trials\.jsonl: bit"
)
"""Changes that contradict nothing once all digests are mended: the figure, and what only the producer can know."""


@dataclass
class Counts:
    """What became of the mutations of one kind."""

    tried: int = 0
    missed: list[str] = field(default_factory=list)
    """Not found although nothing was mended."""
    consistent: list[str] = field(default_factory=list)
    """With mended digests, found by nothing in the evidence."""
    unvouched: list[str] = field(default_factory=list)
    """Not found by digest, or not by key."""
    codes: Counter[int] = field(default_factory=Counter)


@pytest.fixture(scope="module")
def keys(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A producer's key pair and a forger's, as `NAME.key` and `NAME.pub`."""
    from repro.cite.signing.keys import make_key_pair

    place = tmp_path_factory.mktemp("keys")
    for name in ("producer", "forger"):
        make_key_pair(place / name, None)
    return place / "producer", place / "forger"


@pytest.fixture(scope="module")
def envelope(toy_bundle: Bundle, keys: tuple[Path, Path]) -> dict:
    """The producer's signature of the toy evidence."""
    from repro.cite.signing.attest import sign

    return sign(toy_bundle, keys[0].with_suffix(".key"), "A. Producer")


WHOLE = 5
"""Of so many mutations that are not mended, one is verified whole; of all others the container alone, which finds them too."""


def attack(bundle: Bundle, mutations: Iterable[forger.Mutation], envelope: dict, key: Path) -> Counts:
    """Verify every mutation as it is and with mended digests, and each against the true digest and key."""
    counts = Counts()
    for what, files in mutations:
        counts.tried += 1
        for mended in (False, True):
            forged = Bundle(forger.mended(files) if mended else files)
            if dict(forged.files) == dict(bundle.files):
                continue  # mending undid it
            if mended or counts.tried % WHOLE == 0:
                report = verify(forged)
                counts.codes[report.exit_code] += 1
                if report.ok:
                    (counts.consistent if mended else counts.missed).append(what)
                    assert report.conclusion.startswith("Internally consistent, origin unproven")
            elif all(finding.status != "fails" for finding in check_container(forged)):
                counts.missed.append(what)
            by_digest = check_origin(forged, bundle.digest, None, None)
            by_key = check_origin(forged, None, key, envelope)
            for origin in (by_digest, by_key):
                if origin.vouched or not any(finding.status == "fails" for finding in origin.findings):
                    counts.unvouched.append(what)
    return counts


def hold(counts: Counts, name: str) -> None:
    """Require that everything was found that can be, and print how much that was."""
    print(
        f"{name}: {counts.tried} mutations; naive {counts.tried - len(counts.missed)} found, mended all but "
        f"{len(counts.consistent)} that contradict nothing; with digest or key {len(counts.unvouched)} missed"
    )
    assert counts.missed == []
    assert counts.unvouched == []
    assert [what for what in counts.consistent if not ONLY_TOLD.match(what)] == []
    assert counts.tried > 0


def test_every_byte_counts(toy_bundle: Bundle, envelope: dict, keys: tuple[Path, Path]) -> None:
    counts = attack(toy_bundle, forger.byte_mutations(toy_bundle.files), envelope, keys[0].with_suffix(".pub"))
    assert counts.tried > 18 * len(toy_bundle.files)
    hold(counts, "bytes")


def test_every_trial_counts(toy_bundle: Bundle, envelope: dict, keys: tuple[Path, Path]) -> None:
    counts = attack(toy_bundle, forger.trial_mutations(toy_bundle.files), envelope, keys[0].with_suffix(".pub"))
    hold(counts, "trials")
    assert counts.consistent == []


def test_values_of_every_type_count(toy_bundle: Bundle, envelope: dict, keys: tuple[Path, Path]) -> None:
    some = list(forger.leaf_mutations(toy_bundle.files))[::16]
    hold(attack(toy_bundle, some, envelope, keys[0].with_suffix(".pub")), "values, one in sixteen")


@pytest.mark.slow
@pytest.mark.parametrize("which", ["toy_bundle", "exact_bundle"])
def test_every_value_counts(
    which: str, request: pytest.FixtureRequest, envelope: dict, keys: tuple[Path, Path]
) -> None:
    bundle: Bundle = request.getfixturevalue(which)
    hold(
        attack(bundle, forger.leaf_mutations(bundle.files), envelope, keys[0].with_suffix(".pub")), f"values of {which}"
    )


def changed_zip(packed: bytes, change: Callable[[zipfile.ZipInfo], None] | None, comment: bytes = b"") -> bytes:
    """Return the same files in a zip with other times, modes, order or comment."""
    stream = BytesIO()
    with zipfile.ZipFile(BytesIO(packed)) as old, zipfile.ZipFile(stream, "w") as new:
        for entry in old.infolist():
            content = old.read(entry)
            if change:
                change(entry)
            new.writestr(entry, content)
        new.comment = comment
    return stream.getvalue()


def set_time(entry: zipfile.ZipInfo) -> None:
    entry.date_time = (2020, 1, 1, 0, 0, 0)


def set_mode(entry: zipfile.ZipInfo) -> None:
    entry.external_attr = 0o100755 << 16


def set_extra(entry: zipfile.ZipInfo) -> None:
    entry.extra = b"\x99\x99\x02\x00hi"


def set_comment(entry: zipfile.ZipInfo) -> None:
    entry.comment = b"hidden"


def set_system(entry: zipfile.ZipInfo) -> None:
    entry.create_system = 0


CONTAINERS: dict[str, Callable[[bytes], bytes]] = {
    "comment": lambda packed: changed_zip(packed, None, b"a comment"),
    "times": lambda packed: changed_zip(packed, set_time),
    "modes": lambda packed: changed_zip(packed, set_mode),
    "extra fields": lambda packed: changed_zip(packed, set_extra),
    "entry comments": lambda packed: changed_zip(packed, set_comment),
    "made on DOS": lambda packed: changed_zip(packed, set_system),
    "bytes before": lambda packed: b"#!/bin/sh\n" + packed,
    "bytes after": lambda packed: packed + b"\0",
    "cut": lambda packed: packed[:-5],
    "half": lambda packed: packed[: len(packed) // 2],
    "empty": lambda _: b"",
    "no zip": lambda _: b"PK\x03\x04 nothing",
}


@pytest.mark.parametrize("name", CONTAINERS)
def test_the_container_counts(name: str, toy_bundle: Bundle, tmp_path: Path) -> None:
    file = tmp_path / "evidence.zip"
    file.write_bytes(CONTAINERS[name](toy_bundle.packed))
    report = verify_place(file)
    assert report.exit_code == (1 if report.digest else 2)
    assert any(finding.group == "The container" and finding.status != "holds" for finding in report.findings)


@pytest.mark.parametrize("region", range(16))
def test_no_bit_of_the_zip_is_free(region: int, toy_bundle: Bundle, tmp_path: Path) -> None:
    """Headers, names, checksums and directory of the zip are covered as its files are."""
    packed, file = toy_bundle.packed, tmp_path / "evidence.zip"
    directory = packed.rindex(b"PK\x05\x06")
    ends = [0, 4, 8, 10, 14, 20, 26, 30, directory - 3, directory - 40, directory, directory + 4, directory + 8]
    place = [*ends, directory + 12, directory + 16, len(packed) - 1][region]
    file.write_bytes(bytes([*packed[:place], packed[place] ^ 4, *packed[place + 1 :]]))
    report = verify_place(file)
    assert report.exit_code == (1 if report.digest else 2)


def margin(dossier: Dossier) -> Dossier:
    part = dossier.attempt.sealed.parts["value"]
    wider = replace(part, rule=replace(part.rule, margin=replace(part.rule.margin, absolute=0.9)))
    claim = replace(dossier.claim, parts={"value": wider})
    return forger.resealed(replace(dossier, claim=claim), replace(dossier.attempt.sealed, parts={"value": wider}))


def target(dossier: Dossier) -> Dossier:
    part = dossier.attempt.sealed.parts["value"]
    other = replace(part, target=replace(part.target, printed="1.1"))
    claim = replace(dossier.claim, parts={"value": other})
    return forger.resealed(replace(dossier, claim=claim), replace(dossier.attempt.sealed, parts={"value": other}))


def rows(dossier: Dossier) -> Dossier:
    records = tuple(
        forger.with_rows(record, x=0.2 + record.value("x")) if record.rows else record for record in dossier.records
    )
    return forger.resealed(replace(dossier, records=records))


def failed_trial(dossier: Dossier) -> Dossier:
    return replace(dossier, records=tuple(record for record in dossier.records if record.status != "failed"))


def figure(dossier: Dossier) -> Dossier:
    return replace(dossier, figure=dossier.figure.replace("</svg>", "<!-- --></svg>"))


def margin_and_config(dossier: Dossier) -> Dossier:
    config = copy.deepcopy(dict(dossier.attempt.config))
    config["claim"]["rule"]["margin"]["absolute"] = 0.9
    return margin(replace(dossier, attempt=replace(dossier.attempt, config=config)))


PERFECT = {
    "rows": rows,
    "margin, also in the config": margin_and_config,
    "failed trial": failed_trial,
    "figure": figure,
}
"""Forgeries that leave nothing inconsistent."""
CONTRADICTED = {"margin": margin, "target": target}
"""Resealed forgeries that leave the claim in the attempt's config as it was."""


@pytest.mark.parametrize("name", [*PERFECT, *CONTRADICTED])
def test_a_resealed_forgery_is_found_by_whoever_has_digest_or_key(
    name: str, toy_bundle: Bundle, envelope: dict, keys: tuple[Path, Path]
) -> None:
    from repro.cite.signing.attest import sign

    change = (PERFECT | CONTRADICTED)[name]
    forged = forger.bundle_of(change(read_dossier(toy_bundle)))
    assert forged.digest != toy_bundle.digest
    alone, by_digest = verify(forged), verify(forged, digest=toy_bundle.digest)
    by_key = verify(forged, public_key=keys[0].with_suffix(".pub"), envelope=envelope)
    assert by_digest.exit_code == by_key.exit_code == 1
    if name in PERFECT:
        assert alone.ok, alone
        assert alone.conclusion.startswith("Internally consistent, origin unproven")
        # Signed again with the forger's own key, it holds for whoever trusts that key, and for nobody else.
        theirs = sign(forged, keys[1].with_suffix(".key"), "A. Producer")
        assert verify(forged, public_key=keys[0].with_suffix(".pub"), envelope=theirs).exit_code == 1
        assert verify(forged, public_key=keys[1].with_suffix(".pub"), envelope=theirs).ok
        unknown = verify(forged, envelope=theirs)
        assert unknown.ok
        assert unknown.conclusion.startswith("Internally consistent, origin unproven")
    else:
        assert alone.exit_code == 1


def test_the_true_evidence_holds_by_digest_and_by_key(
    toy_bundle: Bundle, envelope: dict, keys: tuple[Path, Path]
) -> None:
    key = keys[0].with_suffix(".pub")
    report = verify(toy_bundle, digest=f"sha256:{toy_bundle.digest}", public_key=key, envelope=envelope)
    assert report.ok
    assert "evidence that was cited" in report.conclusion
    assert "signed by the key that you named" in report.conclusion


def test_values_of_a_verdict_cannot_be_improved(toy_bundle: Bundle) -> None:
    """An outcome, a control and a margin edited in the attempt alone, with every text made anew from it."""
    dossier = read_dossier(toy_bundle)
    verdict = dossier.attempt.verdict
    part = verdict.parts["value"]
    control = verdict.controls["without_effect"]
    edits = {
        "outcome": replace(verdict, outcome="mismatch"),
        "outcome of the part": replace(verdict, parts={"value": replace(part, outcome="mismatch")}),
        "margin": replace(verdict, parts={"value": replace(part, margin=0.5)}),
        "estimate": replace(verdict, parts={"value": replace(part, estimate=replace(part.estimate, value=1.0))}),
        "n": replace(verdict, parts={"value": replace(part, estimate=replace(part.estimate, n=60))}),
        "control": replace(verdict, controls={"without_effect": replace(control, failed=None)}),
        "no control": replace(verdict, controls={}),
        "look": replace(verdict, look=2),
    }
    for name, edited in edits.items():
        forged = forger.bundle_of(replace(dossier, attempt=replace(dossier.attempt, verdict=edited)))
        report = verify(forged)
        assert report.exit_code == 1, name
        assert any(finding.status == "fails" and finding.group == "The verdict" for finding in report.findings), name
    print(f"verdicts: {len(edits)} edits, all found")
