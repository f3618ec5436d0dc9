"""Annotations in the ledger and beside published results: appended, merged, never lost, never silently changed."""

import errno
import json
import multiprocessing
import os
import signal
from dataclasses import replace
from pathlib import Path

import pytest
from ledger_examples import PAPER, attempt, by_key, claim, record, verdict
from mlflow import MlflowClient

from repro.judge.validity import validity_today
from repro.ledger.annotations import annotate, annotations, annotations_of, entry, share_annotations
from repro.ledger.chain import chain_text, read_chain
from repro.ledger.read import attempts, load_attempt
from repro.ledger.write import record_attempts
from repro.schema.annotation import Annotation, broken_at, continued, standing
from repro.schema.canonical import canonical_json
from repro.schema.errors import ConfigError, RecordError, StoreError
from repro.schema.jsonform import to_json
from repro.schema.published import PublishedResult, ResultsIndex
from repro.schema.verdict import Attempt

WHO = "A. Reader <a@example.org>"
CLAIM = claim()
RECORDS = [record(replicate) for replicate in range(3)]
MADE = attempt(CLAIM, RECORDS, verdict(CLAIM, {"value": 0.5}))
HOSTILE = (
    '[red]not red[/red] <script>alert(1)</script> \x1b[31m\x07\r\n"},{"x":1}\n\u2028\u2029\x85 \u202e end ${HOME} \x00'
)


def record_it(made: Attempt = MADE) -> None:
    record_attempts([(made, PAPER, CLAIM)], by_key(RECORDS), {})


def publish(made: Attempt = MADE, evidence: str = "ab" * 32) -> Path:
    """Put an attempt where published ones are looked for; only what the reader of the index needs."""
    place = f"{made.claim}/{evidence[:8]}"
    verdict_of = made.verdict
    assert verdict_of is not None
    result = PublishedResult(
        made.id, made.claim, "widgets", made.protocol, "replication", made.scale, verdict_of.outcome, None, "current", False, False,
        made.started, None, None, evidence, place,
    )  # fmt: skip
    index = Path("results/index.json")
    others = json.loads(index.read_text())["results"] if index.exists() else []
    file = Path("results", place, "attempt.json")
    file.parent.mkdir(parents=True)
    file.write_text(canonical_json(to_json(made)))
    content = to_json(ResultsIndex((result,)))
    index.write_text(json.dumps({**content, "results": [*others, *content["results"]]}))
    return file.parent.with_name(f"{file.parent.name}.annotations.jsonl")


def artifact() -> Path:
    (run,) = runs()
    return Path(run.info.artifact_uri.removeprefix("file://")) / "annotations.jsonl"


def mlflow_client() -> MlflowClient:
    return MlflowClient(f"sqlite:///{Path('mlflow.db').absolute()}")


def runs() -> list:
    client = mlflow_client()
    ids = [item.experiment_id for item in client.search_experiments(filter_string="name LIKE 'paper/%'")]
    return client.search_runs(ids)


def tags() -> dict[str, str]:
    (run,) = runs()
    return run.data.tags


def add(kind: str = "disputed", why: str = "The margin is too wide.", settles: str = "", name: str = MADE.id):
    return annotate(entry(name, kind, WHO, why, settles))  # type: ignore[arg-type]


def test_entries_are_kept_with_the_run_and_can_be_filtered_by_in_mlflow(home: Path) -> None:
    record_it()
    assert annotations() == {}
    (first,) = add()
    assert (first.attempt, first.kind, first.who, first.previous) == (MADE.id, "disputed", WHO, "")
    assert first.when.endswith("+00:00")
    assert add("confirmed", "Seen.", first.digest[:8])[1].settles == first.digest
    both = annotations(CLAIM.id)[MADE.id]
    assert [item.kind for item in both] == ["disputed", "confirmed"]
    assert broken_at(both) is None
    assert annotations("widgets/other") == {}
    assert (tags()["repro.annotations"], tags()["repro.validity"]) == ("2", "current")
    assert standing(add("invalidated", "Wrong corpus.")) == "invalidated"
    assert (tags()["repro.annotations"], tags()["repro.validity"]) == ("3", "invalidated")
    client = mlflow_client()
    ids = [item.experiment_id for item in client.search_experiments()]
    assert len(client.search_runs(ids, "tags.`repro.validity` = 'invalidated'")) == 1
    assert list(attempts()["validity"]) == ["invalidated"]
    assert load_attempt(MADE.id) == MADE, "what was judged is not rewritten"


def test_judging_again_takes_no_entry_back(home: Path) -> None:
    record_it()
    add()
    record_it(replace(MADE, message="judged again", seconds=38.0))
    assert tags()["repro.message"] == "judged again"
    assert (tags()["repro.annotations"], tags()["repro.validity"]) == ("1", "disputed")
    assert broken_at(annotations()[MADE.id]) is None


def test_entries_are_kept_beside_a_published_attempt(home: Path) -> None:
    file = publish()
    add()
    add("author_reply", "We agree.")
    lines = file.read_text().splitlines()
    assert [json.loads(line)["kind"] for line in lines] == ["disputed", "author_reply"]
    assert [item.kind for item in annotations()[MADE.id]] == ["disputed", "author_reply"]
    assert not Path("mlflow.db").exists()
    assert sorted(path.name for path in file.parent.iterdir()) == sorted([file.name, file.name.split(".")[0]])


def test_an_attempt_in_both_places_has_each_entry_once_in_both(home: Path) -> None:
    record_it()
    add()
    file = publish()
    assert len(annotations()[MADE.id]) == 1
    assert not file.exists()
    add("author_reply", "We agree.")
    assert file.read_text() == artifact().read_text()
    assert [item.kind for item in annotations()[MADE.id]] == ["disputed", "author_reply"]


def test_a_write_that_was_cut_short_between_the_places_is_mended_by_the_next(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    record_it()
    file = publish()
    add()
    with monkeypatch.context() as patch:
        patch.setattr("repro.ledger.annotations._to_run", lambda *given: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            add("invalidated", "Wrong corpus.")
    assert (len(file.read_text().splitlines()), len(artifact().read_text().splitlines())) == (2, 1)
    assert [item.kind for item in annotations()[MADE.id]] == ["disputed", "invalidated"]
    share_annotations(MADE.id)
    assert file.read_text() == artifact().read_text()
    assert tags()["repro.validity"] == "invalidated"


def test_chains_that_grew_apart_are_read_as_one_and_brought_together(home: Path) -> None:
    record_it()
    file = publish()
    (first,) = add()
    other = continued([first], replace(entry(MADE.id, "disputed", "B. Other", "Elsewhere."), when="2030-01-01"))
    answer = continued([first, other], replace(entry(MADE.id, "confirmed", "C", "Looked.", other.digest), when="2030"))
    add("confirmed", "Settled here.", first.digest[:10])
    mine = file.read_text()
    file.write_text(chain_text([first, other, answer]))
    together = annotations()[MADE.id]
    assert [item.why for item in together] == ["The margin is too wide.", "Elsewhere.", "Looked.", "Settled here."]
    assert broken_at(together) is None
    assert standing(together) is None
    add("author_reply", "Thanks.")
    assert len(file.read_text().splitlines()) == len(artifact().read_text().splitlines()) == 5
    assert artifact().read_text().startswith(mine), "nothing that was written is rewritten"
    assert standing(annotations()[MADE.id]) is None
    assert broken_at(annotations()[MADE.id]) is None


def test_another_published_attempt_of_the_same_id_has_entries_of_its_own(home: Path) -> None:
    record_it()
    theirs = replace(MADE, seconds=99.0)
    file = publish(theirs)
    name = f"{MADE.id}~abababab"
    add(name=name, why="Theirs is wrong.")
    add(why="Ours is wrong.")
    assert {key: [item.why for item in chain] for key, chain in annotations().items()} == {
        name: ["Theirs is wrong."],
        MADE.id: ["Ours is wrong."],
    }
    assert json.loads(file.read_text())["attempt"] == MADE.id
    assert json.loads(artifact().read_text())["attempt"] == MADE.id


def test_two_published_attempts_of_one_id_are_told_apart(home: Path) -> None:
    publish()
    second = publish(replace(MADE, seconds=99.0), "cd" * 32)
    add(name=f"{MADE.id}~cdcdcdcd", why="The second.")
    assert second.exists()
    assert list(annotations()) == [f"{MADE.id}~cdcdcdcd"]


def test_hostile_text_is_one_line_and_comes_back_as_it_was(home: Path) -> None:
    record_it()
    file = publish()
    add(why=HOSTILE)
    add("author_reply", "second")
    assert annotations()[MADE.id][0].why == HOSTILE.strip()
    for place in (file, artifact()):
        text = place.read_text()
        assert len(text.splitlines()) == 2, "also for readers that know more line ends than \\n"
        assert "\x1b" not in text
        assert "\x00" not in text


@pytest.mark.parametrize("who", ["", "  ", "\n", "\u200b", "\x00", "A\nB", "A\x1b[31m", "x" * 301, "\ud800"])
def test_who_must_say_something_on_one_line(who: str) -> None:
    with pytest.raises(ConfigError, match="--who"):
        entry(MADE.id, "disputed", who, "why")


@pytest.mark.parametrize("why", ["", " \t\n", "\u200b\u2060", "\x07", "x" * 8001, "a \udcff b"])
def test_why_must_say_something(why: str) -> None:
    with pytest.raises(ConfigError, match="--why"):
        entry(MADE.id, "disputed", WHO, why)


def test_an_unknown_attempt_is_named_with_the_nearest(home: Path) -> None:
    record_it()
    with pytest.raises(StoreError, match=f"Did you mean '{MADE.id}'"):
        add(name=MADE.id[:-1] + "2")
    with pytest.raises(StoreError, match="neither in the ledger nor published"):
        annotations_of("nothing")


def test_settles_must_name_one_open_dispute(home: Path) -> None:
    record_it()
    with pytest.raises(ConfigError, match="Open disputes: none"):
        add("confirmed", "fine", "f" * 8)
    (dispute,) = add()
    for wrong in (dispute.digest[:7], "f" * 8, f"{dispute.digest}0", "[x]"):
        with pytest.raises(ConfigError, match=f"Open disputes: {dispute.digest[:12]}"):
            add("confirmed", "fine", wrong)
    with pytest.raises(ConfigError, match="goes with `confirmed`"):
        add("author_reply", "fine", dispute.digest)
    add("confirmed", "fine", dispute.digest)
    with pytest.raises(ConfigError, match="settled already"):
        add("confirmed", "fine", dispute.digest[:8])
    assert len(annotations()[MADE.id]) == 2


DAMAGE = {
    "first removed": lambda lines: lines[1:],
    "second removed": lambda lines: [lines[0], lines[2]],
    "last removed": lambda lines: lines[:-1],
    "all removed": lambda lines: [],
    "order": lambda lines: [lines[1], lines[0], lines[2]],
    "doubled": lambda lines: [*lines, lines[2]],
    "edited": lambda lines: [lines[0].replace("too wide", "fine"), *lines[1:]],
    "edited kind": lambda lines: [*lines[:2], lines[2].replace("disputed", "confirmed")],
    "cut short": lambda lines: [*lines[:2], lines[2][:40]],
    "no JSON": lambda lines: ["garbage", *lines[1:]],
    "a list": lambda lines: ["[]", *lines[1:]],
    "blank line": lambda lines: [lines[0], "", *lines[1:]],
    "unknown key": lambda lines: [lines[0][:-1] + ',"more":1}', *lines[1:]],
    "deep": lambda lines: ["[" * 100_000, *lines[1:]],
    "other attempt": lambda lines: [lines[0].replace(MADE.id, "somebody/else@p@cpu-1"), *lines[1:]],
    "not UTF-8": lambda lines: [lines[0].replace("too", "\udcff"), *lines[1:]],
    "too long": lambda lines: [*lines, "x" * 4_100_000],
}


LEFT_TO_THE_LEDGER = (("published", "last removed"), ("published", "all removed"))
"""What the file alone cannot show; version control does, and the ledger where it holds the attempt."""


@pytest.mark.parametrize(
    ("where", "name"),
    [(where, name) for where in ("ledger", "published") for name in DAMAGE if (where, name) not in LEFT_TO_THE_LEDGER],
)
def test_a_damaged_chain_is_shown_as_tampered_and_not_appended_to(home: Path, name: str, where: str) -> None:
    record_it()
    if where == "published":
        file = publish()
    for number in range(3):
        add(why=f"{number}: too wide")
    if where == "ledger":
        file = artifact()
    lines = file.read_text().splitlines()
    file.write_bytes("".join(f"{line}\n" for line in DAMAGE[name](lines)).encode(errors="surrogateescape"))
    damaged = file.read_bytes()
    chain = annotations()[MADE.id]
    assert broken_at(chain) is not None
    assert annotations_of(MADE.id) == chain
    assert validity_today(MADE, chain, stale=False) == "tampered"
    with pytest.raises(StoreError, match="were damaged"):
        add("invalidated", "hide it")
    assert file.read_bytes() == damaged
    try:
        again = chain_text(chain)
    except StoreError:
        return
    assert broken_at(read_chain(again, MADE.id, "again")) is not None, "writing what was read hides nothing"


def test_entries_cut_off_at_the_end_of_a_published_file_come_back_from_the_ledger(home: Path) -> None:
    record_it()
    file = publish()
    add()
    add("invalidated", "Wrong corpus.")
    whole = file.read_bytes()
    for cut in (whole.splitlines(keepends=True)[0], b""):
        file.write_bytes(cut)
        assert standing(annotations()[MADE.id]) == "invalidated"
        share_annotations(MADE.id)
        assert file.read_bytes() == whole


def test_entries_whose_tags_were_removed_are_still_read(home: Path) -> None:
    record_it()
    add()
    (run,) = runs()
    client = mlflow_client()
    for tag in ("repro.annotations", "repro.last_annotation"):
        client.delete_tag(run.info.run_id, tag)
    assert len(annotations()[MADE.id]) == 1


def test_an_entry_of_a_newer_version_asks_for_an_upgrade() -> None:
    new = replace(Annotation(MADE.id, "disputed", WHO, "2024-05-01", "why"), version=2).with_digest()
    with pytest.raises(RecordError, match="newer version"):
        read_chain(chain_text([new]), MADE.id, "here")


def test_a_last_line_without_its_end_is_read_and_appended_to(home: Path) -> None:
    file = publish()
    add()
    file.write_text(file.read_text().rstrip("\n"))
    add("author_reply", "We agree.")
    assert broken_at(annotations()[MADE.id]) is None
    assert len(file.read_text().splitlines()) == 2


def write_some(number: int) -> None:
    for count in range(4):
        add("author_reply", f"{number}.{count}")


@pytest.mark.parametrize("places", ["ledger", "published", "both"])
def test_two_processes_that_annotate_at_once_lose_nothing(home: Path, places: str) -> None:
    if places != "published":
        record_it()
    if places != "ledger":
        publish()
    context = multiprocessing.get_context("fork")
    workers = [context.Process(target=write_some, args=(number,)) for number in range(2)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    assert [worker.exitcode for worker in workers] == [0, 0]
    chain = annotations()[MADE.id]
    assert broken_at(chain) is None
    assert {item.why for item in chain} == {f"{number}.{count}" for number in range(2) for count in range(4)}


def write_for_ever() -> None:
    number = 0
    while True:
        add("author_reply", str(number))
        number += 1


def test_a_process_killed_at_any_moment_leaves_a_whole_chain(home: Path) -> None:
    record_it()
    publish()
    context = multiprocessing.get_context("fork")
    before = 0
    for delay in (0.15, 0.3, 0.45):
        worker = context.Process(target=write_for_ever)
        worker.start()
        worker.join(delay)
        assert worker.pid is not None
        os.kill(worker.pid, signal.SIGKILL)
        worker.join()
        chain = annotations().get(MADE.id, ())
        assert broken_at(chain) is None
        assert len(chain) >= before
        before = len(chain)
    add()
    assert len(annotations()[MADE.id]) == before + 1


def test_a_full_disk_loses_nothing_that_was_there(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record_it()
    file = publish()
    add()
    before = file.read_bytes(), artifact().read_bytes()

    def full(*given: object) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    for target, told in (
        ("repro.schema.files.os.replace", "No space left"),
        ("repro.ledger.writer._write_files", "the disk is full"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(target, full)
            with pytest.raises(StoreError, match=told):
                add("invalidated", "Wrong corpus.")
        assert artifact().read_bytes() == before[1]
        assert sorted(path.name for path in file.parent.iterdir()) == sorted([file.name, file.name.split(".")[0]])
    add("author_reply", "There is space again.")
    assert file.read_bytes().startswith(before[0])
    assert broken_at(annotations()[MADE.id]) is None
    assert [item.kind for item in annotations()[MADE.id]][-1] == "author_reply"


def test_a_store_whose_schema_is_unknown_is_read_and_written_too(home: Path, unknown_schema: None) -> None:
    record_it()
    add()
    assert standing(annotations()[MADE.id]) == "disputed"


def test_validity_today_says_the_gravest(home: Path) -> None:
    dispute = Annotation(MADE.id, "disputed", WHO, "2024-05-01", "why").with_digest()
    gone = continued([dispute], Annotation(MADE.id, "invalidated", WHO, "2024-05-02", "why"))
    cases = [
        (MADE, (), False, "current"),
        (MADE, (), True, "stale"),
        (replace(MADE, validity="stale"), (), False, "current"),
        (replace(MADE, exploratory=True), (), True, "current"),
        (replace(MADE, validity="post_hoc"), (), True, "post_hoc"),
        (replace(MADE, validity="post_hoc"), (dispute,), True, "disputed"),
        (MADE, (dispute, gone), True, "invalidated"),
        (replace(MADE, validity="tampered"), (dispute, gone), False, "tampered"),
        (MADE, (gone,), False, "tampered"),
    ]
    for made, chain, stale, expected in cases:
        assert validity_today(made, chain, stale) == expected
