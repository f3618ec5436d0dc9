"""What lies beside each record: how the trial ran, and in which environment."""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from repro.catalog.recipe import source_digest, sources_of
from repro.launch.collect import take_over
from repro.launch.provenance import origin as gathered
from repro.launch.provenance.environment import changes_digest, environment, host, installed
from repro.launch.provenance.watch import Watch, gather, stored_environment, stored_provenance
from repro.launch.records.store import RecordStore
from repro.launch.running.determinism import CUBLAS, VARIABLE
from repro.launch.running.trials import run_trial
from repro.schema.canonical import text_digest
from repro.schema.confidential import homes_in, secrets_in
from repro.schema.errors import RecordError
from repro.schema.jsonform import to_json
from repro.schema.places import records_dir
from repro.schema.trial import TrialRecord, TrialSpec
from repro.schema.trial_provenance import (
    ProvenanceFile,
    provenance_name,
    read_environment,
    read_provenance,
    read_provenance_file,
)

RECIPE = "recipes.toys.draws"


def spec(**config: object) -> TrialSpec:
    return TrialSpec("toys/draws", RECIPE, config, 0, source_digest(RECIPE), "cpu", "float64")


@pytest.fixture
def ran(write_claims: Callable[..., Path], tmp_path: Path) -> tuple[TrialRecord, RecordStore]:
    write_claims()
    store = RecordStore(tmp_path / "records")
    return run_trial(spec(), ("seal",), store), store


def test_a_record_has_its_provenance_beside_it_and_stays_as_it_was(ran: tuple[TrialRecord, RecordStore]) -> None:
    record, store = ran
    told = stored_provenance(record, store.directory)
    assert told is not None
    assert (told.key, told.record) == (record.key, record.digest)
    assert told.started == record.started <= told.finished
    assert told.flops == 10.0
    assert told.flops_per_second == pytest.approx(10.0 / record.seconds)
    assert told.share_of_peak is None  # no data sheet of a processor
    assert told.peak_rss_gib is not None
    assert 0.01 < told.peak_rss_gib < 100
    assert told.not_deterministic is None
    assert "provenance" not in json.dumps(to_json(record))
    assert [found.digest for found in store.all()] == [record.digest]


def test_the_environment_is_there_once_and_whole(ran: tuple[TrialRecord, RecordStore]) -> None:
    record, store = ran
    run_trial(spec(effect=2.0), (), store)
    (file,) = (store.directory / "provenance/environments").iterdir()
    around = read_environment(file.read_text(), str(file))
    assert file.stem == around.digest
    packages = dict(pair.split("==") for pair in around.packages)
    assert len(packages) > 50
    assert packages["numpy"] == record.packages["numpy"]
    assert packages["torch"] == record.packages["torch"]
    assert around.sources == {name: text_digest(text) for name, text in sources_of(RECIPE).items()}
    assert RECIPE in around.sources


def test_packages_are_those_that_pip_lists() -> None:
    from importlib.metadata import version

    for pair in installed():
        name, _, found = pair.partition("==")
        if name in ("torch", "numpy", "mlflow", "hydra-core", "repro-tracker", "pyyaml"):
            assert found == version(name)
    assert {"torch", "pyyaml", "repro-tracker"} <= {pair.partition("==")[0] for pair in installed()}


def test_of_two_versions_on_the_path_the_first_counts(tmp_path: Path) -> None:
    for place, version in (("a", "1.0"), ("b", "2.0")):
        (tmp_path / place / f"Some_Package-{version}.dist-info").mkdir(parents=True)
    (tmp_path / "b" / "plain.egg-info").mkdir()
    paths = (str(tmp_path / "none"), str(tmp_path / "a"), str(tmp_path / "b"))
    assert installed(paths) == ("some-package==1.0",)


def test_no_name_no_path_and_no_credential_travels(
    ran: tuple[TrialRecord, RecordStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    _, store = ran
    monkeypatch.setenv("SOME_TOKEN", "abcd1234efgh5678")
    texts = [file.read_text() for file in (store.directory / "provenance").rglob("*.json")]
    assert len(texts) == 2
    for text in texts:
        assert not homes_in(text)
        assert list(secrets_in(text)) == []
        assert not re.search(rf"\b{re.escape(os.uname().nodename)}\b", text)
        assert str(store.directory) not in text


def test_a_failed_trial_says_how_it_ran_too(write_claims: Callable[..., Path], tmp_path: Path) -> None:
    write_claims()
    store = RecordStore(tmp_path / "records")
    record = run_trial(spec(crash="always"), (), store)
    assert record.status == "failed"
    told = stored_provenance(record, store.directory)
    assert told is not None
    assert told.flops is None
    assert provenance_name(record).startswith(f"failed/{record.key}.")


def test_provenance_of_another_record_is_none_of_this_one(ran: tuple[TrialRecord, RecordStore]) -> None:
    record, store = ran
    other = replace(record, seconds=record.seconds + 1).with_digest()
    assert stored_provenance(other, store.directory) is None
    assert gather([other], store.directory) is None


def test_an_edited_document_is_refused(ran: tuple[TrialRecord, RecordStore]) -> None:
    record, store = ran
    found = gather([record], store.directory)
    assert found is not None
    text = json.dumps(to_json(found))
    assert read_provenance_file(text, "it") == found
    with pytest.raises(RecordError, match="edited after it was written"):
        read_provenance_file(text.replace('"side_by_side": 1', '"side_by_side": 2'), "it")
    with pytest.raises(RecordError, match="which is not its own"):
        read_provenance_file(text.replace("numpy==", "numpy==9"), "it")
    with pytest.raises(RecordError, match="lacks the environment"):
        read_provenance_file(json.dumps(to_json(ProvenanceFile({}, found.trials))), "it")
    with pytest.raises(RecordError, match="of version 9"):
        read_provenance(json.dumps({"version": 9}), "it")


def test_a_directory_that_cannot_be_written_costs_no_trial(
    ran: tuple[TrialRecord, RecordStore], monkeypatch: pytest.MonkeyPatch
) -> None:
    record, store = ran
    (store.directory / "blocked").write_text("")
    with pytest.warns(UserWarning, match="could not be kept"):
        Watch([spec()]).write(record, store.directory / "blocked")


def test_gathering_takes_less_than_five_milliseconds_a_trial(
    ran: tuple[TrialRecord, RecordStore], tmp_path: Path
) -> None:
    record, _ = ran
    trials = 100
    before = time.process_time()
    for number in range(trials):
        with (watch := Watch([spec()])):
            pass
        watch.write(replace(record, key=f"{number:040x}"), tmp_path / "many")
    assert (time.process_time() - before) / trials < 0.005
    assert len(list((tmp_path / "many/provenance").glob("*.json"))) == trials


def test_collected_records_bring_theirs_along(
    write_claims: Callable[..., Path], repro: Callable[..., tuple[int, str, str]], tmp_path: Path
) -> None:
    from repro.launch.worker import main

    write_claims()
    assert repro("plan", "toy/mean", "scale=smoke", "--out", "plan.json")[0] == 0
    assert main(["plan.json", "--out", "elsewhere"]) == 0
    plan = take_over(tmp_path / "elsewhere", tmp_path / "plan.json")
    records = list(RecordStore(records_dir()).all())
    assert len(records) == len(plan.trials)
    told = gather(records, records_dir())
    assert told is not None
    assert [trial.record for trial in told.trials] == [record.digest for record in records]


# Host and commit


def root_with(place: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (place / name).parent.mkdir(parents=True, exist_ok=True)
        (place / name).write_text(text)
    return place


@pytest.mark.parametrize(
    ("files", "kind"),
    [
        ({"proc/cpuinfo": "flags\t: fpu sse2\n"}, "bare metal"),
        ({"proc/cpuinfo": "flags\t: fpu hypervisor sse2\n"}, "virtual machine"),
        ({"proc/cpuinfo": "flags\t: fpu\n", ".dockerenv": ""}, "container"),
        (
            {"proc/cpuinfo": "flags\t: fpu hypervisor\n", "proc/1/cgroup": "0::/kubepods/x\n"},
            "container on a virtual machine",
        ),
    ],
)
def test_the_kind_of_host(tmp_path: Path, files: dict[str, str], kind: str) -> None:
    assert host(root_with(tmp_path, files)).kind == kind


@pytest.mark.parametrize(
    ("files", "cores", "memory"),
    [
        ({"cpu.max": "150000 100000\n", "memory.max": f"{2**31}\n"}, 1.5, 2.0),
        ({"cpu.max": "max 100000\n", "memory.max": "max\n"}, None, None),
        ({"cpu/cpu.cfs_quota_us": "400000\n", "cpu/cpu.cfs_period_us": "100000\n"}, 4.0, None),
        ({"memory/memory.limit_in_bytes": "9223372036854771712\n"}, None, None),
    ],
)
def test_limits_of_the_control_group(
    tmp_path: Path, files: dict[str, str], cores: float | None, memory: float | None
) -> None:
    root = root_with(tmp_path, {f"sys/fs/cgroup/{name}": text for name, text in files.items()})
    found = host(root_with(root, {"sys/class/dmi/id/sys_vendor": "Some Cloud\n"}))
    assert (found.core_limit, found.memory_limit_gib, found.vendor) == (cores, memory, "Some Cloud")


def test_uncommitted_changes_have_a_digest_that_follows_them(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def git(*words: str) -> None:
        identity = ["-c", "user.name=A", "-c", "user.email=a@example.org"]
        subprocess.run(["git", *identity, *words], cwd=tmp_path, check=True, capture_output=True)

    root_with(tmp_path, {"repro/a.py": "x = 1\n", "README.md": "hello\n"})
    git("init")
    git("add", ".")
    git("commit", "-m", "first")
    monkeypatch.setattr(gathered, "checkout", lambda: tmp_path)
    monkeypatch.setattr("repro.launch.provenance.environment.checkout", lambda: tmp_path)

    def digest() -> str | None:
        changes_digest.cache_clear()
        return changes_digest()

    assert digest() is None
    (tmp_path / "README.md").write_text("no code\n")
    assert digest() is None
    (tmp_path / "repro/a.py").write_text("x = 2\n")
    changed = digest()
    (tmp_path / "experiments").mkdir()
    (tmp_path / "experiments/b.py").write_text("y = 1\n")
    added = digest()
    (tmp_path / "experiments/b.py").write_text("y = 2\n")
    assert len({None, changed, added, digest()}) == 4
    changes_digest.cache_clear()


def test_an_environment_names_its_variables_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.launch.provenance.environment import _environment

    monkeypatch.setenv("OMP_NUM_THREADS", "3")
    monkeypatch.setenv("SOMETHING", "else")
    _environment.cache_clear()
    try:
        assert environment((), "cpu").variables["OMP_NUM_THREADS"] == "3"
        assert "SOMETHING" not in environment((), "cpu").variables
    finally:
        _environment.cache_clear()


def test_an_environment_that_was_changed_is_not_taken_for_itself(ran: tuple[TrialRecord, RecordStore]) -> None:
    record, store = ran
    told = stored_provenance(record, store.directory)
    assert told is not None
    file = store.directory / f"provenance/environments/{told.environment}.json"
    file.write_text(file.read_text().replace("numpy==", "numpy==9"))
    assert stored_environment(told.environment, store.directory) is None


def test_people_read_what_trials_took(ran: tuple[TrialRecord, RecordStore]) -> None:
    from repro.review.facts.ran_on import took
    from repro.schema.trial_provenance import Energy

    record, store = ran
    found = gather([record], store.directory)
    assert found is not None
    (told,) = found.trials
    measured = replace(
        told,
        energy=Energy(7200.0, None),
        flops_per_second=2e12,
        share_of_peak=0.25,
        peak_cuda_gib=3.0,
        deterministic=True,
        not_deterministic=("put_",),
    )
    lines = took(replace(found, trials=(measured, replace(measured, flops_per_second=1e12))))
    assert lines[:4] == [
        "1000 to 2000 GFLOP/s achieved, 25 % of the data sheet's peak",
        "4 Wh of the GPU",
        "at most 3 GiB of the GPU's memory",
        "deterministic algorithms, but for put_",
    ]
    assert took(None) == []


def test_a_launch_keeps_it_with_the_attempt_in_evidence_and_on_the_page(
    write_claims: Callable[..., Path], repro: Callable[..., tuple[int, str, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    from repro.cite.evidence.bundle import read_bundle
    from repro.cite.evidence.content import make_evidence, read_dossier
    from repro.cite.verification.verify import verify
    from repro.ledger.kept import kept_provenance

    write_claims()
    for name in (VARIABLE, CUBLAS):  # which the command sets, are set back after the test
        monkeypatch.setenv(name, "")
    code, out, _ = repro("run", "toy/mean", "scale=smoke", "--deterministic", "--json")
    assert code == 0
    (attempt,) = json.loads(out)["attempts"]
    told = kept_provenance(attempt["id"])
    assert told is not None
    assert {trial.deterministic for trial in told.trials} == {True}
    assert attempt["provenance"]["environment"] in told.environments
    assert repro("evidence", attempt["id"], "--out", "e.zip")[0] == 0
    bundle = read_bundle(Path("e.zip"))
    assert verify(bundle).exit_code == 0
    dossier = read_dossier(bundle)
    assert dossier.provenance == told
    # Without it, a bundle is whole as well; with one that tells of other trials, it is not.
    old = replace(dossier, provenance=None)
    assert "provenance.json" not in make_evidence(old).files
    assert "of its 6" not in str(verify(make_evidence(old)).findings)
    foreign = replace(told.trials[0], record="0" * 64).with_digest()
    forged = verify(make_evidence(replace(dossier, provenance=replace(told, trials=(foreign, *told.trials[1:])))))
    assert any(
        "not those of the records" in finding.sentence for finding in forged.findings if finding.status == "fails"
    )
    code, out, _ = repro("show", "toy/mean")
    assert code == 0
    assert "GFLOP/s achieved" in out
