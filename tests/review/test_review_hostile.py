"""What people wrote is text, whatever it says: every page, picture and file of a hostile book; and stores in bad shape."""

import contextlib
import csv
import io
import json
import re
import sqlite3
import time
import urllib.parse
from collections.abc import Mapping
from dataclasses import fields, is_dataclass, replace
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest
from flask import Flask
from flask.testing import FlaskClient
from page_reader import Page
from review_book import HOSTILE, made_book, made_trials

from repro.ledger.store import create_store
from repro.review.book import Book
from repro.review.load import open_book
from repro.review.server import serve as served
from repro.review.server.nearest import nearest_address
from repro.review.server.shelf import Shelf
from repro.review.site import site, write_site
from repro.schema.trial import TrialRecord

PAYLOADS = {
    "markup": "<script>alert(1)</script><img src=x onerror=alert(1)><svg/onload=alert(1)>",
    "an attribute that ends": "\" onmouseover=\"alert(1)\" x='y' onfocus='alert(1)",
    "an end of everything": "</title></script></style></textarea>--><h1>x</h1>",
    "mathtext": "$\\frac{}{}$ $x^2$ $\\undefined{$ $$",
    "a template": "{{ 7*7 }}{% raw %}${jndi:x}",
    "an address": "javascript:alert(1)",
    "data": "data:text/html,<script>alert(1)</script>",
    "control characters": "a\x00b\x01\x08\x0b\x0c\x1b[31m\x7f\x85\ufffe\uffffz",
    "turned direction": "\u202eabc\u2066 \u200f x",
    "a path": "../../../etc/passwd",
    "an entity": "&lt;b&gt; &amp; &#60; ]]>",
    "lines": "one\r\ntwo\u2028three",
}


def swapped(value: Any, payload: str) -> Any:
    """Return a value in which the payload stands wherever the made-up book is hostile."""
    if isinstance(value, str):
        return value.replace(HOSTILE, payload)
    if is_dataclass(value) and not isinstance(value, type):
        return replace(value, **{f.name: swapped(getattr(value, f.name), payload) for f in fields(value) if f.init})
    if isinstance(value, Mapping):
        return {swapped(key, payload): swapped(item, payload) for key, item in value.items()}
    if isinstance(value, tuple | list):
        return type(value)(swapped(item, payload) for item in value)
    return value


def hostile_book(payload: str) -> Book:
    """A book in which the payload is statement, locator, note, part, rival, unit, detail, flag, tag, label, error and value."""
    book = made_book()
    claims = {name: swapped(claim, payload) for name, claim in book.claims.items() if name.startswith("hostile")}
    attempts = [swapped(attempt, payload) for attempt in book.attempts if attempt.claim.startswith("hostile")]
    (attempt,) = (
        replace(each, provenance={**each.provenance, "commit": payload, "command": payload}) for each in attempts
    )

    def trials(attempt_id: str) -> list[TrialRecord]:
        (failed,) = swapped(made_trials(attempt_id), payload)
        rows = ({payload: 1.0, "loss": 2.0},)
        curves = {payload: ((0, 2.0), (1, 1.0))}
        done = replace(
            failed, key="t2", status="finished", rows=rows, curves=curves, error=None, data={payload: payload}
        )
        return [failed, done]

    return replace(
        book,
        claims=claims,
        attempts=(attempt,),
        papers=swapped(book.papers, payload),
        trials=trials,
        stale={attempt.id: (payload,)},
        problems={payload: (payload,)},
    )


def assert_harmless(html: str, where: str) -> None:
    """Fail if a page holds anything that runs, or that is no HTML."""
    page = Page(html)
    for name, attributes in page.elements:
        assert not any(key.startswith("on") or key in ("style", "srcdoc") for key in attributes), (
            where,
            name,
            attributes,
        )
        for key in ("href", "src", "srcset", "action"):
            address = (attributes.get(key) or "").strip().lower()
            assert not address.startswith(("javascript:", "data:", "vbscript:")), (where, attributes)
        if name == "script":
            assert (attributes.get("src") or "").lstrip("./").startswith("static/"), (where, attributes)
    assert not page.all("iframe") + page.all("object") + page.all("embed") + page.all("base"), where


def client_of(book: Any, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    """A server that shows a book, or what opens one."""
    monkeypatch.delenv("_MLFLOW_SERVER_FILE_STORE", raising=False)
    app = Flask("test")
    app.register_blueprint(served._pages(Shelf(book if callable(book) else lambda: book)))
    return app.test_client()


@pytest.mark.parametrize("payload", PAYLOADS.values(), ids=PAYLOADS.keys())
def test_whatever_people_wrote_is_text_on_every_page_and_picture(payload: str, monkeypatch: pytest.MonkeyPatch) -> None:
    kinds = set()
    book = hostile_book(payload)
    client = client_of(book, monkeypatch)
    for address in site(book, live=True):
        if address.startswith("static/"):
            continue
        answer = client.get(f"/repro/{urllib.parse.quote(address)}")
        # A server takes every name a chart may have, and refuses those that there are not.
        assert answer.status_code == 200 or (answer.status_code == 404 and address.endswith(".svg")), (
            address,
            answer.text,
        )
        if answer.status_code == 404:
            continue
        content = answer.get_data(as_text=True)
        suffix = Path(address).suffix
        kinds.add(suffix)
        if suffix == ".html":
            assert_harmless(content, address)
            assert not any(ord(c) < 32 and c not in "\n\t\r" for c in content), address
        elif suffix == ".svg":
            root = ElementTree.fromstring(content)
            names = {element.tag.rpartition("}")[2] for element in root.iter()}
            assert not names & {"script", "foreignObject", "a", "iframe"}, address
            assert not any(key.startswith("on") for element in root.iter() for key in element.attrib), address
        elif suffix == ".csv":
            assert list(csv.reader(io.StringIO(content)))
        elif suffix == ".json":
            json.loads(content)
    assert kinds >= {".html", ".svg", ".csv", ".json"}


NAMES = {
    "markup": "toys/<script>alert(1)</script>",
    "a path": "../../../etc/passwd",
    "an absolute path": "/etc/passwd",
    "a path of Windows": "..\\..\\x",
    "an address": "javascript:alert(1)",
    "an address of another host": "//example.org/x",
    "encoded": "%2e%2e/%2e%2e/x",
    "a question": "a?b#c",
    "dots": "./../.",
    "nothing": "",
}


@pytest.mark.parametrize("name", NAMES.values(), ids=NAMES.keys())
def test_a_name_that_is_a_trick_leads_nowhere_else(name: str, tmp_path: Path) -> None:
    book = made_book()
    (claim,) = (claim for claim in book.claims.values() if claim.id == "hostile/strings")
    (attempt,) = (attempt for attempt in book.attempts if attempt.claim == "hostile/strings")
    attempt = replace(attempt, claim=name, id=f"{name}@pro@full-1")
    tricked = replace(book, claims={name: replace(claim, id=name)}, attempts=(attempt,))
    out = tmp_path / "deep" / "pages"
    written = write_site(tricked, out)
    assert all(path.resolve().is_relative_to(out.resolve()) for path in written)
    assert {path for path in tmp_path.rglob("*") if path.is_file()} == set(written)
    for path in written:
        if path.suffix == ".html":
            html = path.read_text()
            assert_harmless(html, path.name)
            for link in Page(html).all("a"):
                href = link.get("href") or ""
                if not href.startswith(("http", "#")):
                    target = (path.parent / urllib.parse.unquote(href.partition("#")[0].partition("?")[0])).resolve()
                    assert target.is_relative_to(out.resolve()) or target == out.parent.resolve(), href


def test_an_enormous_text_is_shown_whole_or_cut_and_holds_nothing_up() -> None:
    huge = "x" * 1_000_000
    for address, make in site(hostile_book(huge), live=True).items():
        content = make()
        assert content
        if address.endswith(".svg"):
            assert len(content) < 100_000, f"{address} draws it all"


@pytest.mark.parametrize(
    ("address", "meant"),
    [
        ("claim/widgets/exponnt.html", "claim/widgets/exponent.html"),
        ("claim/widgets/exponent", "claim/widgets/exponent.html"),
        ("attempt/widgets/exponent@retrain@gpu-1.html", "attempt/widgets/exponent@retrain@gpu-"),
        ("attempt/widgets/ordering@paired@cpu-00000000-1.html", "attempt/widgets/ordering@paired@cpu-"),
        ("runing.html", "running.html"),
        ("indx.html", "index.html"),
    ],
)
def test_an_unknown_page_names_the_nearest_and_links_to_it(
    address: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = client_of(made_book(), monkeypatch)
    answer = client.get(f"/repro/{address}")
    assert answer.status_code == 404
    page = Page(answer.text)
    assert f"There is no page '{address}'. Did you mean {meant}" in page.words
    link = re.search("Did you mean <a href='([^']+)'>", answer.text)
    assert link is not None
    there = urllib.parse.urljoin(f"/repro/{address}", link[1])
    assert client.get(there).status_code == 200


@pytest.mark.parametrize(
    "address",
    [
        "../etc/passwd",
        "%2e%2e/%2e%2e/etc/passwd",
        "static/..%2f..%2fserve.py",
        "static/../../serve.py",
        "..%5c..%5cx",
        "claim/<script>alert(1)</script>.html",
        "static/",
        "static/nothing.js",
        "attempt/",
        "%00",
        "claim/%ff.html",
        f"claim/{'x' * 60_000}.html",
        f"attempt/{'x@' * 30_000}",
        f"{'/' * 50}example.org",
    ],
)
def test_an_address_that_is_a_trick_is_not_found(address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    answer = client_of(made_book(), monkeypatch).get(f"/repro/{address}", follow_redirects=True)
    assert answer.status_code == 404
    assert "root:" not in answer.text
    if answer.text.startswith("<!doctype html>\n"):
        assert_harmless(answer.text, address)
        assert len(answer.text) < 5000


def test_of_very_many_attempts_the_nearest_is_found_at_once() -> None:
    names = [f"attempt/p{i}/c{j}@protocol@cpu-{i:08x}-{j}.html" for i in range(1000) for j in range(20)]
    started = time.process_time()
    assert nearest_address("attempt/p777/c7@protocol@cpu-00000309-8.html", names) == names[777 * 20 + 7]
    assert time.process_time() - started < 3


# The store in bad shape.


def older(file: Path) -> None:
    _change(file, "UPDATE alembic_version SET version_num = '0a8213491aaa'")


def newer(file: Path) -> None:
    _change(file, "UPDATE alembic_version SET version_num = 'ffffffffffff'")


def without_a_table(file: Path) -> None:
    _change(file, "DROP TABLE tags")


def half(file: Path) -> None:
    create_store(file)
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def _change(file: Path, command: str) -> None:
    create_store(file)
    with contextlib.closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(command)


def locked(file: Path) -> sqlite3.Connection:
    create_store(file)
    holder = sqlite3.connect(file, isolation_level=None)
    holder.execute("BEGIN EXCLUSIVE")
    return holder


@pytest.mark.parametrize(
    ("spoil", "status", "says"),
    [
        (lambda file: None, 200, "not run"),
        (lambda file: file.touch(), 200, "not run"),
        (lambda file: file.mkdir(), 500, "Is a directory"),
        (lambda file: file.write_bytes(b"no database " * 500), 500, "file is not a database"),
        (half, 500, "malformed"),
        (without_a_table, 500, "no such table"),
        (older, 500, "mlflow db upgrade"),
        (newer, 500, "ffffffffffff"),
        (locked, 500, "is locked: another process writes to it"),
    ],
    ids=["missing", "empty", "a directory", "another file", "half-written", "a table lost", "older", "newer", "locked"],
)
def test_a_store_in_bad_shape_is_a_page_that_says_so(
    spoil: Any, status: int, says: str, tmp_path: Path, write_claims: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_claims()
    keep = spoil(tmp_path / "mlflow.db")
    real, opened = sqlite3.connect, []
    # A reader waits seconds for a lock; a test does not.
    monkeypatch.setattr(sqlite3, "connect", lambda *a, **k: opened.append(a) or real(*a, **{**k, "timeout": 0.1}))
    client = client_of(open_book, monkeypatch)
    answer = client.get("/repro/")
    page = Page(answer.text)
    assert answer.status_code == status
    assert says in page.words
    assert "Traceback" not in answer.text
    assert (status == 200) == ("The mean of the draws is one." in page.words)
    if status == 500:
        assert "load this page again" in page.words
        # It is styled, and what runs is still shown.
        assert client.get("/repro/static/style.css").status_code == 200
        assert client.get("/repro/running.html").status_code == 200
    if isinstance(keep, sqlite3.Connection):
        assert len(opened) == 1, "it waited for the lock more than once"
        keep.close()
        assert client.get("/repro/").status_code == 200, "the server did not recover"


def test_whatever_else_goes_wrong_is_a_page_and_stands_in_the_log(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def broken() -> Book:
        raise ValueError(f"<b>{'x' * 5000}")

    answer = client_of(broken, monkeypatch).get("/repro/")
    assert answer.status_code == 500
    assert "This page cannot be made: ValueError: <b>xxx" in Page(answer.text).words
    assert len(answer.text) < 5000
    assert "Traceback" not in answer.text
    assert "Traceback" in caplog.text
