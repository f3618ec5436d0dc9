"""What runs now: from files alone, with time left, and damaged or hostile files as text."""

import json
import os
import time
from pathlib import Path
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient
from page_reader import Page
from review_book import HOSTILE

from repro.catalog.index import load_index
from repro.launch.records.store import RecordStore
from repro.launch.running.trials import run_trial
from repro.launch.session import Prepared, prepare
from repro.review.server import live
from repro.review.server import serve as served
from repro.review.server.live import Watch, running_json, running_page
from repro.review.server.shelf import Shelf
from repro.review.server.underway import Arrival, Look, time_left
from repro.schema.errors import StoreError
from repro.schema.places import records_dir
from repro.schema.plain_text import plain


@pytest.fixture
def prepared(write_claims: Any) -> Prepared:
    """A plan that is stored and of which nothing has run."""
    write_claims()
    return prepare(["toy/mean", "scale=cpu"], load_index())


def report(key: str, label: str, done: Any, at: float | None = None) -> None:
    """Leave what a worker leaves while a trial runs."""
    file = records_dir() / "running" / f"{key}.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(json.dumps({"label": label, "done": done, "at": time.time() if at is None else at}))


def run_some(prepared: Prepared, count: int) -> None:
    for spec in prepared.plan.trials[:count]:
        run_trial(spec, prepared.plan.seals, RecordStore(records_dir()))


def grow_old(seconds: float) -> None:
    then = time.time() - seconds
    for path in [*records_dir().rglob("*"), records_dir()]:
        os.utime(path, (then, then))


def test_where_nothing_was_ever_run_the_page_says_so() -> None:
    look = Watch().look()
    assert (look.attempts, look.running, look.any_records) == ((), False, False)
    page = Page(running_page(look))
    assert "Nothing runs from here now." in page.words
    assert "Nothing was ever run from the directory" in page.words
    assert "repro collect" in page.words


def test_a_running_attempt_shows_its_trials_points_and_time_left(prepared: Prepared) -> None:
    run_some(prepared, 3)
    spec = prepared.plan.trials[3]
    report(spec.key, spec.label, 0.5)
    look = Watch().look()
    (one,) = look.attempts
    assert (one.wanted.claim, one.done, one.trials, one.failed) == ("toy/mean", 3, 12, 0)
    assert [(each.label, each.done) for each in one.going] == [(spec.label, 0.5)]
    assert [each.key for each in one.arrivals] == [each.key for each in reversed(prepared.plan.trials[:3])]
    assert one.left_s is not None
    assert one.left_s > 0
    page = Page(running_page(look))
    assert "1 attempt runs: 3 of 12 trials have arrived." in page.words
    assert "seed=3 50 %" in page.words
    assert "x 0." in page.words or "x 1." in page.words
    assert "at step 0" in page.words
    assert [bar["max"] for bar in page.all("progress")] == ["12", "1"]
    assert {link["href"] for link in page.all("a")} >= {"claim/toy/mean.html"}
    assert page.all("p")[0]["aria-live"] == "polite"


def test_before_the_first_trial_arrives_nothing_tells_the_time(prepared: Prepared) -> None:
    report(prepared.plan.trials[0].key, "first", 0.1)
    (one,) = Watch().look().attempts
    assert (one.done, one.left_s) == (0, None)
    assert "not known before the first trial arrives" in running_page(Watch().look())


def test_an_attempt_whose_trials_have_all_arrived_leads_to_its_page_and_runs_no_more(prepared: Prepared) -> None:
    run_some(prepared, 12)
    look = Watch().look()
    assert not look.running
    page = Page(running_page(look))
    assert "All trials have arrived." in page.words
    assert f"attempt/{prepared.plan.attempts[0].id}.html" in {link["href"] for link in page.all("a")}


def test_what_ended_a_while_ago_is_not_shown(prepared: Prepared) -> None:
    run_some(prepared, 3)
    assert Watch().look().running
    grow_old(live.RECENT_S + 5)
    assert Watch().look() == Look(any_records=True)


def test_what_a_killed_worker_left_grows_old(prepared: Prepared) -> None:
    report(prepared.plan.trials[0].key, "gone", 0.1, at=time.time() - 3600)
    assert Watch().look().attempts == ()


def test_an_idle_look_reads_no_plan(prepared: Prepared, monkeypatch: pytest.MonkeyPatch) -> None:
    run_some(prepared, 1)
    grow_old(live.RECENT_S + 5)
    monkeypatch.setattr(live.documents, "read_plan", lambda *_: pytest.fail("a plan was read"))
    monkeypatch.setattr(live.documents, "read_record", lambda *_: pytest.fail("a record was read"))
    assert Watch().look().attempts == ()


def test_many_readers_share_a_look_and_no_file_is_read_twice(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_some(prepared, 3)
    reads = []
    for name in ("read_plan", "read_record"):
        real = getattr(live.documents, name)
        monkeypatch.setattr(live.documents, name, lambda *a, real=real, name=name: reads.append(name) or real(*a))
    now = [1000.0]
    monkeypatch.setattr(live.time, "monotonic", lambda: now[0])
    watch = Watch()
    first = watch.look()
    assert sorted(reads) == ["read_plan", "read_record", "read_record", "read_record"]
    assert watch.look() is first
    now[0] += live.FRESH_S
    run_some(prepared, 4)
    assert watch.look().attempts[0].done == 4
    assert reads.count("read_plan") == 1


@pytest.mark.parametrize("text", ["", "{", "[]", '{"plan": 3}', "\x00\xff", '{"plan": {"version": 99}}'])
def test_a_plan_that_cannot_be_read_is_named_and_hides_no_other(prepared: Prepared, text: str) -> None:
    report(prepared.plan.trials[0].key, "first", 0.1)
    Path(".repro/plans/broken.json").write_text(text, encoding="latin-1")
    look = Watch().look()
    assert len(look.attempts) == 1
    assert "The plan broken.json cannot be read" in Page(running_page(look)).words


@pytest.mark.parametrize("text", ["", "{", "[]", "null", '{"at": "now"}', '{"at": 1e999, "label": 3}', "\xff"])
def test_a_progress_file_that_is_just_being_written_says_nothing(prepared: Prepared, text: str) -> None:
    report(prepared.plan.trials[0].key, "first", 0.1)
    (records_dir() / "running" / f"{prepared.plan.trials[1].key}.json").write_text(text, encoding="latin-1")
    (one,) = Watch().look().attempts
    assert [each.label for each in one.going] == ["first"]


def test_a_damaged_record_has_arrived_and_says_nothing(prepared: Prepared) -> None:
    run_some(prepared, 2)
    (records_dir() / f"{prepared.plan.trials[1].key}.json").write_text("{")
    (one,) = Watch().look().attempts
    assert (one.done, len(one.arrivals)) == (2, 1)


@pytest.mark.parametrize(
    "label", [HOSTILE, "$\\frac{1}{}$", "../../etc/passwd", "x" * 1_000_000, "a\x00b\x1b[31m", "a\ud800b"]
)
def test_a_hostile_label_is_text(prepared: Prepared, label: str) -> None:
    report(prepared.plan.trials[0].key, label, 7)
    look = Watch().look()
    assert len(running_page(look)) < 20_000
    for html in (running_page(look), *json.loads(running_json(look))["attempts"].values()):
        page = Page(html)
        assert plain(label[:20]) in page.text
        assert not any(character in html for character in "\x00\x0b\x1b")
        assert {script.get("src") for script in page.all("script")} <= {
            "static/table.js",
            "static/copy.js",
            "static/live.js",
            "static/filter.js",
        }
        assert page.all("img") == []


def arrival(key: str, started: float, arrived: float) -> Arrival:
    return Arrival(key, key, "finished", arrived - started, started, arrived, {})


EVEN = dict.fromkeys("abcdef", 1.0)


@pytest.mark.parametrize(
    ("weights", "arrived", "latest", "going", "left"),
    [
        (EVEN, "", [], {}, None),
        (EVEN, "abcdef", [], {}, 0.0),
        # Two of six in 20 s: 40 s for the other four.
        (EVEN, "ab", [("b", 10, 20), ("a", 0, 10)], {}, 40.0),
        # One of the four is half done.
        (EVEN, "ab", [("b", 10, 20), ("a", 0, 10)], {"c": 0.5}, 35.0),
        # Two at a time go twice as fast.
        (EVEN, "ab", [("b", 0, 10), ("a", 0, 10)], {}, 20.0),
        # An hour's pause is no pace.
        (EVEN, "ab", [("b", 3600, 3610), ("a", 0, 10)], {}, 40.0),
        # Weighted by FLOPs: the last trial is as long as all others.
        ({"a": 1.0, "b": 1.0, "c": 2.0}, "ab", [("b", 10, 20), ("a", 0, 10)], {}, 20.0),
        # A clock that was set back tells nothing.
        (EVEN, "a", [("a", 10, 5)], {}, None),
    ],
)
def test_time_left_is_the_rest_at_the_pace_of_the_latest_trials(
    weights: dict[str, float], arrived: str, latest: list[Any], going: dict[str, float], left: float | None
) -> None:
    found = time_left(weights, arrived, [arrival(*each) for each in latest], going)
    assert found == (left if left is None else pytest.approx(left))


@pytest.fixture
def client(monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A server whose ledger cannot be read: what runs does not hang on it."""

    def broken() -> None:
        raise StoreError("The ledger cannot be read.")

    monkeypatch.delenv("_MLFLOW_SERVER_FILE_STORE", raising=False)
    app = Flask("test")
    app.register_blueprint(served._pages(Shelf(broken)))
    return app.test_client()


def test_the_server_answers_without_asking_the_ledger(client: FlaskClient, prepared: Prepared) -> None:
    report(prepared.plan.trials[0].key, "first", 0.25)
    page = client.get("/repro/running.html")
    assert page.status_code == 200
    assert "25 %" in page.text
    assert "connect-src 'self'" in page.headers["Content-Security-Policy"]
    answer = client.get("/repro/running.json")
    assert answer.mimetype == "application/json"
    content = json.loads(answer.text)
    assert content["running"] is True
    assert content["said"] == "1 attempt runs: 0 of 12 trials have arrived."
    assert list(content["attempts"]) == [prepared.plan.attempts[0].id]
    assert client.get("/repro/static/live.js").status_code == 200
