"""Documents that older versions wrote are read whole; those of newer versions, and damaged ones, say what to do."""

import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.launch.planning.planfile import read_plan, read_plan_and_provenance
from repro.launch.planning.stored import stored_at, stored_attempts
from repro.schema import documents, migrations
from repro.schema.annotation import broken_at
from repro.schema.canonical import digest_of
from repro.schema.errors import PlanError, RecordError, StoreError
from repro.schema.jsonform import to_json
from repro.schema.migrations import Format, migrated, version_of

KEPT = Path(__file__).parent.parent / "kept"
BAYES = "bayes/positive_predictive_value@arithmetic@full"


def kept(name: str) -> str:
    return (KEPT / name).read_text(encoding="utf-8")


def kept_json(name: str) -> Any:
    return json.loads(kept(name))


def nothing_beside(content: dict[str, Any]) -> dict[str, Any]:
    raise AssertionError("this document says all by itself")


READERS: dict[str, Callable[[str, str], Any]] = {
    "record": documents.read_record,
    "attempt": documents.read_attempt,
    "seal": documents.read_seal,
    "plan": documents.read_plan,
    "pointer": lambda text, where: documents.read_pointer(text, where, nothing_beside),
    "calibration": documents.read_calibration,
    "index": documents.read_index,
    "annotation": documents.read_annotation,
    "source_check": lambda text, where: documents.read_source_check(json.loads(text), where),
    "claim_file": documents.read_claim_file,
}
"""The reader of every kind; directories of `tests/kept` are called like them."""


# What older versions wrote


@pytest.mark.parametrize(
    ("name", "digest", "rows"),
    [
        ("36dbd2d", "6aaadfc3f97e", 1),
        ("d6c72f0", "bdc39d6117b6", 1),
        ("b473825", "1e10978d1882", 1),
    ],
)
def test_kept_records_are_read_with_their_digest(name: str, digest: str, rows: int) -> None:
    record = documents.read_record(kept(f"record/{name}.json"), name)
    assert record.digest.startswith(digest)
    assert (record.content_digest(), record.status) == (record.digest, "finished")
    assert len(record.rows) == rows
    assert to_json(record) == kept_json(f"record/{name}.json")


@pytest.mark.parametrize(("name", "seal"), [("36dbd2d", "be5e1682"), ("b473825", "ebc7fa66")])
def test_kept_attempts_and_seals_are_read_with_the_seal_that_their_id_names(name: str, seal: str) -> None:
    attempt = documents.read_attempt(kept(f"attempt/{name}.json"), name)
    assert attempt.id == f"{BAYES}-{seal}-1"
    assert attempt.sealed.digest.startswith(seal)
    assert attempt.verdict is not None
    assert (attempt.verdict.outcome, attempt.verdict.look, attempt.sealed.indicative) == ("match", 1, False)
    assert documents.read_seal(kept(f"seal/{name}.json"), name) == attempt.sealed


def test_what_the_oldest_attempt_did_not_say_is_really_not_there() -> None:
    oldest = kept_json("attempt/36dbd2d.json")
    assert "look" not in oldest["verdict"]
    assert "indicative" not in oldest["sealed"]


@pytest.mark.parametrize(
    ("name", "seal", "sealed_where"),
    [("36dbd2d", "be5e1682", False), ("5584f83", "fc0d0c89", False), ("b473825", "ebc7fa66", True)],
)
def test_kept_plans_are_whole(name: str, seal: str, sealed_where: bool) -> None:
    plan, provenance = read_plan_and_provenance(KEPT / f"plan/{name}.json")
    (attempt,) = plan.attempts
    assert attempt.id == f"{BAYES}-{seal}-1"
    assert [spec.key for spec in plan.trials] == kept_json(f"plan/{name}.json")["keys"]
    assert (provenance is not None) == sealed_where
    if provenance is not None:
        assert provenance[attempt.id]["command"] == "repro run bayes/positive_predictive_value"


def test_a_kept_calibration_is_read() -> None:
    calibration = documents.read_calibration(kept("calibration/b473825.json"), "kept")
    assert calibration.seal.startswith("ebc7fa66")
    assert to_json(calibration) == kept_json("calibration/b473825.json")


@pytest.mark.parametrize(
    ("pointer", "plan", "seal", "version", "known"),
    [("36dbd2d", "36dbd2d", "be5e1682", 1, False), ("5584f83", "5584f83", "fc0d0c89", 2, True)],
)
def test_pointers_of_older_versions_find_their_seeds_in_the_plan(
    pointer: str, plan: str, seal: str, version: int, known: bool
) -> None:
    text = kept(f"pointer/{pointer}")
    content = json.loads(text) if text.startswith("{") else {"plan": text.strip()}
    assert version_of(migrations.POINTER, content, pointer) == version
    file, place = Path(".repro/attempts") / BAYES / f"{seal}-1", Path(".repro/plans") / content["plan"]
    for target, source in ((file, f"pointer/{pointer}"), (place, f"plan/{plan}.json")):
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(kept(source))
    (stored,) = stored_at(BAYES)
    assert (stored.attempt, stored.seal) == (f"{BAYES}-{seal}-1", seal)
    assert (stored.shape.counter, stored.shape.replicates, stored.shape.indicative) == (1, (0, 1), False)
    ((attempt, _),) = stored_attempts("bayes/positive_predictive_value")
    assert attempt.sealed.digest.startswith(seal)
    read = documents.read_pointer(text, pointer, lambda content: to_json(attempt.sealed))
    assert bool(read.provenance) == known
    assert read.version == migrations.POINTER.newest


def test_a_pointer_of_the_last_version_needs_no_plan() -> None:
    pointer = documents.read_pointer(kept("pointer/596d45d"), "kept", nothing_beside)
    assert (pointer.plan, pointer.replicates) == ("93702ec5-e0f31212.json", (0, 1))
    assert pointer.provenance["command"] == "repro run bayes/positive_predictive_value"


def test_an_old_pointer_whose_plan_holds_another_attempt_says_so() -> None:
    file = Path(".repro/attempts") / BAYES / "aaaaaaaa-1"
    file.parent.mkdir(parents=True)
    file.write_text(kept("pointer/36dbd2d"))
    plans = Path(".repro/plans")
    plans.mkdir()
    (plans / "93702ec5-6ce9fbf1.json").write_text(kept("plan/36dbd2d.json"))
    with pytest.raises(StoreError, match="does not hold its attempt. It points an attempt to its plan: remove it"):
        stored_at(BAYES)


@pytest.mark.parametrize("name", ["seal", "attempt", "plan"])
def test_seals_of_a_version_that_was_withdrawn_are_refused_by_name(name: str) -> None:
    with pytest.raises(RecordError, match="is a seal of version 2. .* Launch the attempt again: its trials are kept"):
        READERS[name](kept(f"{name}/043266d.json"), "kept")
    assert kept_json("seal/043266d.json")["version"] == 2


def test_a_plan_of_withdrawn_seals_is_not_called_edited() -> None:
    with pytest.raises(PlanError, match="is a seal of version 2"):
        read_plan(KEPT / "plan/043266d.json")


def test_the_first_index_is_read() -> None:
    (result,) = documents.read_index(kept("index/1.json"), "kept").results
    assert (result.attempt, result.outcome) == ("toy/mean@replicate@cpu-cd734a0e-1", "match")
    assert result.evidence.startswith("b4d972d23109")


def test_the_first_annotation_is_whole() -> None:
    entry = documents.read_annotation(kept("annotation/1.json"), "kept")
    assert (entry.kind, entry.who) == ("confirmed", "Ada Lovelace <ada@example.org>")
    assert entry.digest.startswith("c71b570b0a80")
    assert broken_at([entry]) is None


def test_the_first_source_check_is_read() -> None:
    (content,) = yaml.safe_load(kept("source_check/1.yaml"))
    check = documents.read_source_check(content, "kept")
    assert (check.claim, check.printed, check.where) == ("toy/mean", "1.0", "Section 1, second paragraph")


def test_the_first_claim_file_is_read() -> None:
    paper, claim, data = documents.read_claim_file(kept("claim_file/1.json"), "kept")
    assert (paper.id, claim.id, data) == ("bayes", "bayes/positive_predictive_value", ())
    assert claim.parts["lr_negative"].target.source == "derived"


def test_every_version_that_is_read_is_kept() -> None:
    """Whoever adds a version keeps a real document of the one before."""
    for kind in READERS:
        form: Format = getattr(migrations, kind.upper())
        found = {
            version_of(form, content, kind)
            for content in _kept_documents(kind)
            if _version(form, content) <= form.newest
        }
        last = {form.newest} if kind == "pointer" else set()
        assert found | last == set(range(1, form.newest + 1)), kind


def _version(form: Format, content: dict[str, Any]) -> int:
    return int(content.get(form.key, form.unversioned(content)))


def _kept_documents(kind: str) -> list[dict[str, Any]]:
    found = []
    for file in sorted((KEPT / kind).iterdir()):
        text = file.read_text()
        if file.suffix == ".yaml":
            found += yaml.safe_load(text)
        elif not text.startswith("{"):
            found.append({"plan": text.strip()})
        else:
            content = json.loads(text)
            found.append(content["plan"] if kind == "plan" else content)
    return found


# Versions that are not read


NEWER = {
    "record": lambda: {**kept_json("record/b473825.json"), "version": 99},
    "attempt": lambda: {**kept_json("attempt/b473825.json"), "version": 99},
    "seal": lambda: {**kept_json("seal/b473825.json"), "version": 99},
    "plan": lambda: {"plan": {**kept_json("plan/b473825.json")["plan"], "version": 99}},
    "pointer": lambda: {**kept_json("pointer/596d45d"), "version": 99},
    "calibration": lambda: {**kept_json("calibration/b473825.json"), "version": 99},
    "index": lambda: {"results": [], "version": 99},
    "annotation": lambda: {"version": 99, "mood": "new"},
    "source_check": lambda: {"version": 99, "mood": "new"},
    "claim_file": lambda: {"bundle_version": 99, "mood": "new"},
}


@pytest.mark.parametrize("kind", READERS)
def test_a_newer_version_asks_for_an_upgrade_before_anything_else_is_looked_at(kind: str) -> None:
    with pytest.raises(RecordError) as refused:
        READERS[kind](json.dumps(NEWER[kind]()), "that/file.json")
    message = str(refused.value)
    assert message.startswith("that/file.json was written by a newer version of repro-tracker: it is a ")
    assert "of version 99, and this one reads up to" in message
    assert message.endswith("Upgrade with `pip install --upgrade repro-tracker`.")


def test_a_newer_seal_inside_an_attempt_or_plan_asks_for_an_upgrade_too() -> None:
    attempt = kept_json("attempt/b473825.json")
    attempt["sealed"]["version"] = 99
    with pytest.raises(RecordError, match=r"file.sealed was written by a newer version .* a seal of version 99"):
        documents.read_attempt(json.dumps(attempt), "file")
    plan = kept_json("plan/b473825.json")
    plan["plan"]["attempts"][0]["sealed"]["version"] = 99
    with pytest.raises(RecordError, match=r"file.attempts\[0\].sealed was written by a newer version"):
        documents.read_plan(json.dumps(plan), "file")


@pytest.mark.parametrize("kind", READERS)
@pytest.mark.parametrize("version", [0, -1, 1.0, "1", True, None, [1]])
def test_a_version_that_is_no_number_is_refused(kind: str, version: object) -> None:
    content = NEWER[kind]()
    inner = content["plan"] if kind == "plan" else content
    inner["bundle_version" if kind == "claim_file" else "version"] = version
    with pytest.raises(RecordError, match="must say its version .* as a whole number from 1"):
        READERS[kind](json.dumps(content), "file")


@pytest.mark.parametrize("kind", [kind for kind in READERS if kind != "source_check"])
@pytest.mark.parametrize(
    "text",
    [
        '{"version": 1',
        "[]",
        "{} {}",
        '{"a": NaN}',
        '{"a": 1e999}',
        '{"a": "\\ud800"}',
        "[" * 100_000,
        '{"a":' * 50_000 + "1" + "}" * 50_000,
        '{"a": ' + "9" * 5000 + "}",
    ],
    ids=["cut", "list", "two", "nan", "infinite", "half a character", "deep list", "deep object", "long number"],
)
def test_what_is_no_document_is_one_clear_error(kind: str, text: str) -> None:
    with pytest.raises(RecordError) as refused:
        READERS[kind](text, "that/file.json")
    assert str(refused.value).startswith("that/file.json ")
    assert len(str(refused.value)) < 400


def test_an_edited_record_is_found() -> None:
    record = kept_json("record/36dbd2d.json")
    record["seconds"] += 1
    with pytest.raises(RecordError, match="was edited after it was written"):
        documents.read_record(json.dumps(record), "file")


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_no_edit_of_a_record_goes_unnoticed(data: st.DataObject) -> None:
    text = kept("record/36dbd2d.json")
    place = data.draw(st.integers(0, len(text) - 1))
    letter = data.draw(st.characters(codec="ascii"))
    changed = text[:place] + letter + text[place + 1 :]
    try:
        read = documents.read_record(changed, "file")
    except RecordError:
        return
    assert read == documents.read_record(text, "file"), "only white space may change"


# The mechanism, on a format made up here


def _split_name(content: dict[str, Any], beside: Any) -> dict[str, Any]:
    first, _, last = content["name"].partition(" ")
    return {"first": first, "last": last, "version": 1}


def _look_up_town(content: dict[str, Any], beside: Any) -> dict[str, Any]:
    return {**content, "town": beside(content)["town"]}


PERSON = Format("person", 3, steps={1: _split_name, 2: _look_up_town}, withdrawn={9: "Nobody reads it."})


def test_steps_are_taken_in_order_from_whatever_version_it_is() -> None:
    towns = {"Lovelace": {"town": "London"}}
    old = {"name": "Ada Lovelace"}
    new = {"first": "Ada", "last": "Lovelace", "town": "London", "version": 3}
    beside = lambda content: towns[content["last"]]
    assert migrated(PERSON, old, "file", beside) == new
    assert migrated(PERSON, {"first": "Ada", "last": "Lovelace", "version": 2}, "file", beside) == new
    assert migrated(PERSON, new, "file") is new
    assert old == {"name": "Ada Lovelace"}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"nom": "Ada"}, "is a person of version 1 and cannot be read as version 2 .*'name'.* edited or damaged"),
        ({"name": 3}, "is a person of version 1"),
        ({"name": "Ada L"}, "is a person of version 2 and cannot be read as version 3 .*no document beside"),
        ({"version": 4}, "a person of version 4, and this one reads up to 3"),
        ({"version": 9}, "is a person of version 9. Nobody reads it."),
    ],
)
def test_a_step_that_does_not_find_what_it_needs_is_a_clear_error(content: dict[str, Any], message: str) -> None:
    with pytest.raises(RecordError, match=message):
        migrated(PERSON, content, "file")


def test_an_older_record_keeps_the_digest_of_its_text(monkeypatch: pytest.MonkeyPatch) -> None:
    """As it would be if `label` had once been called `cell`."""
    renamed = Format(
        "trial record",
        2,
        steps={
            1: lambda content, beside: {**{k: v for k, v in content.items() if k != "cell"}, "label": content["cell"]}
        },
    )
    monkeypatch.setattr(migrations, "RECORD", renamed)
    content = kept_json("record/36dbd2d.json")
    content["cell"] = content.pop("label")
    content["digest"] = digest_of({key: value for key, value in content.items() if key != "digest"})
    record = documents.read_record(json.dumps(content), "file")
    assert (record.label, record.digest, record.version) == (content["cell"], content["digest"], 2)
    assert record.content_digest() != record.digest
    content["cell"] = "edited"
    with pytest.raises(RecordError, match="was edited"):
        documents.read_record(json.dumps(content), "file")


def test_every_format_has_a_step_for_each_version_that_is_still_read() -> None:
    for form in migrations.FORMATS:
        unread = set(form.withdrawn)
        assert set(form.steps) == set(range(1, form.newest)) - unread, form.name
        assert form.newest not in unread, form.name


def test_every_kind_has_a_reader() -> None:
    assert len(READERS) == len(migrations.FORMATS)
    assert sorted(f"read_{kind}" for kind in READERS) == sorted(n for n in dir(documents) if n.startswith("read_"))


def test_reading_documents_needs_the_standard_library_alone() -> None:
    program = (
        "import sys; before = set(sys.modules); import repro.schema.documents, repro.launch.records.store\n"
        "names = {m.partition('.')[0] for m in set(sys.modules) - before} - set(sys.stdlib_module_names)\n"
        "print(sorted(n for n in names if not n.startswith(('__editable', '_'))))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['repro']"
