"""The turn to write that a server lends, and what tells people why a team's store cannot be used; no server is started."""

from pathlib import Path
from typing import Any

import pytest
from flask import Flask

from repro.ledger import database, read, sql, store
from repro.ledger.turn import LENT_S, RENEW_S, Busy, NotOffered, Turn, turn_at
from repro.review.server.turns import PATIENCE_S, lend, turns
from repro.schema.errors import StoreError

START = 1000.0


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "home" / "turn.json"


def test_one_holder_at_a_time(file: Path) -> None:
    assert lend(file, "a", False, START)
    assert not lend(file, "b", False, START)
    assert lend(file, "a", False, START + 1)
    assert not lend(file, "b", True, START + 1)  # nobody gives back what is another's
    assert not lend(file, "b", False, START + 1)
    assert not lend(file, "a", True, START + 2)
    assert lend(file, "b", False, START + 2)


def test_a_turn_ends_by_itself(file: Path) -> None:
    assert lend(file, "dead", False, START)
    assert not lend(file, "b", False, START + LENT_S - 0.1)
    assert lend(file, "b", False, START + LENT_S)
    assert not lend(file, "dead", False, START + LENT_S)


def test_who_waits_longest_comes_next(file: Path) -> None:
    assert lend(file, "a", False, START)
    assert not lend(file, "b", False, START + 1)
    assert not lend(file, "c", False, START + 1)
    lend(file, "a", True, START + 2)
    assert not lend(file, "a", False, START + 2)  # it stands behind the two now
    assert not lend(file, "c", False, START + 2)
    assert lend(file, "b", False, START + 2)
    lend(file, "b", True, START + 3)
    assert lend(file, "c", False, START + 3)


def test_who_went_away_is_waited_for_no_longer(file: Path) -> None:
    assert lend(file, "a", False, START)
    assert not lend(file, "gone", False, START + 1)
    lend(file, "a", True, START + 2)
    assert not lend(file, "b", False, START + 2)
    assert lend(file, "b", False, START + 1 + PATIENCE_S)


@pytest.mark.parametrize("text", ["", "[]", '{"holder": "a"}', '{"holder": "a", "until": "soon", "waiting": {}}'])
def test_a_broken_file_is_nobodys_turn(file: Path, text: str) -> None:
    file.parent.mkdir()
    file.write_text(text)
    assert lend(file, "b", False, START)


def test_a_turn_from_before_the_machine_started_is_over(file: Path) -> None:
    assert lend(file, "a", False, START)
    assert lend(file, "b", False, 5.0)


class Server:
    """The route in a bare Flask, asked as `Turn` asks it, and a clock that both read."""

    def __init__(self) -> None:
        app = Flask("test")
        app.register_blueprint(turns("/repro"))
        self.client = app.test_client()
        self.time = START

    def answer(self, turn: Turn, release: bool) -> tuple[bool, float]:
        answer = self.client.post("/repro/turn", json={"holder": turn.holder, "release": release})
        assert answer.status_code in (200, 409)
        return answer.json["granted"], answer.json["seconds"]

    def sleep(self, seconds: float) -> None:
        self.time += seconds


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Server:
    made = Server()
    monkeypatch.setattr("repro.ledger.turn.now", lambda: made.time)
    monkeypatch.setattr("repro.review.server.turns.now", lambda: made.time)
    monkeypatch.setattr("repro.ledger.turn.time.sleep", made.sleep)
    monkeypatch.setattr(Turn, "_post", lambda turn, release: made.answer(turn, release))
    return made


def test_a_launcher_waits_keeps_and_gives_back(server: Server) -> None:
    with turn_at("http://ledger", 100) as mine:
        until = mine.until
        server.time += 1
        mine.keep()
        assert mine.until == until  # long enough still: nothing is asked
        server.time = until - RENEW_S + 1
        mine.keep()
        assert mine.until == server.time + LENT_S
    before = server.time
    with turn_at("http://ledger", 100):
        assert server.time == before


def test_one_that_stood_still_too_long_may_not_write(server: Server) -> None:
    with turn_at("http://ledger", 100) as mine:
        server.time += LENT_S + 1
        assert Turn("http://ledger", "another").ask()
        with pytest.raises(StoreError, match="lost its turn .* Run the same command again"):
            mine.keep()


def test_waiting_has_an_end(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.ledger.turn.time.monotonic", lambda: server.time)
    assert Turn("http://ledger", "another").ask()
    with pytest.raises(Busy), turn_at("http://ledger", LENT_S / 2):
        pass


@pytest.mark.parametrize("body", [{}, {"holder": ""}, {"holder": 7}, {"holder": "x" * 65}, ["holder"]])
def test_a_request_that_names_no_holder_is_refused(server: Server, body: Any) -> None:
    assert server.client.post("/repro/turn", json=body).status_code == 400


def test_a_form_of_another_site_is_refused(server: Server) -> None:
    assert server.client.post("/repro/turn", data={"holder": "x"}).status_code == 415


class Answer:
    def __init__(self, status: int) -> None:
        self.status_code = status
        self.headers = {"Content-Type": "text/html"}


@pytest.mark.parametrize(
    ("status", "error"), [(404, NotOffered), (405, NotOffered), (200, NotOffered), (401, StoreError), (403, StoreError)]
)
def test_other_servers_lend_no_turns(status: int, error: type[Exception], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mlflow.utils.rest_utils.http_request", lambda *_, **__: Answer(status))
    with pytest.raises(error):
        Turn("http://ledger").ask()


def test_passwords_are_not_said_again() -> None:
    assert store.shown("postgresql+psycopg://ada:secret@host/ledger") == "postgresql+psycopg://***@host/ledger"
    assert store.shown("postgresql://host/ledger?user=ada&password=secret&x=1") == (
        "postgresql://host/ledger?user=ada&password=***&x=1"
    )


@pytest.mark.parametrize(
    ("uri", "is_one"),
    [
        ("postgresql+psycopg://host/ledger", True),
        ("postgresql://host/ledger", True),
        ("postgres://host/ledger", True),
        ("sqlite:///postgresql.db", False),
        ("http://postgresql", False),
    ],
)
def test_which_addresses_are_postgres(uri: str, is_one: bool) -> None:
    assert database.is_postgres(uri) is is_one


@pytest.mark.parametrize(
    ("uri", "says"),
    [
        ("postgres://ada:secret@host/ledger", r"postgresql\+psycopg://USER@HOST"),
        ("postgresql+nothing://ada:secret@host/ledger", r"repro-tracker\[team\]"),
        ("postgresql+psycopg://ada:secret@127.0.0.1:9/ledger", "MLFLOW_TRACKING_URI"),
    ],
)
def test_a_database_that_cannot_be_reached(uri: str, says: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", uri)
    with pytest.raises(StoreError, match=says) as error:
        read.load_attempts()
    assert "secret" not in str(error.value)
    assert "\n" not in str(error.value)


def test_statements_are_translated() -> None:
    statement = "SELECT * FROM tags WHERE key = ? AND +run_uuid IN (SELECT value FROM json_each(?))"
    assert sql.of_postgres(statement) == (
        "SELECT * FROM tags WHERE key = %s AND run_uuid IN (SELECT json_array_elements_text(CAST(%s AS json)))"
    )
