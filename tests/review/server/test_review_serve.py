"""The pages inside MLflow's server: routes and headers in a bare Flask, and the whole server once."""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest
from flask import Flask
from flask.testing import FlaskClient
from trust_book import trust_book

from repro.review.book import Book
from repro.review.server import serve as served
from repro.review.server.serve import serve
from repro.review.server.shelf import Shelf
from repro.schema.errors import ReproError, StoreError
from tests_support import with_interrupts


def client_of(read: Callable[[], Book]) -> FlaskClient:
    app = Flask("test")
    app.register_blueprint(served._pages(Shelf(read)))
    return app.test_client()


@pytest.fixture
def client(book: Book, monkeypatch: pytest.MonkeyPatch) -> FlaskClient:
    monkeypatch.delenv("_MLFLOW_SERVER_FILE_STORE", raising=False)
    return client_of(lambda: book)


def test_every_kind_of_file_is_answered_with_its_type(client: FlaskClient, book: Book) -> None:
    attempt = book.attempts[0].id
    types = {
        "/repro/": "text/html",
        "/repro/index.html": "text/html",
        "/repro/claim/widgets/exponent.html": "text/html",
        f"/repro/attempt/{attempt}.html": "text/html",
        f"/repro/attempt/{attempt}.svg": "image/svg+xml",
        f"/repro/attempt/{attempt}.csv": "text/csv",
        "/repro/static/style.css": "text/css",
        "/repro/static/table.js": "text/javascript",
    }
    for address, kind in types.items():
        answer = client.get(address)
        assert answer.status_code == 200, address
        assert answer.mimetype == kind
    assert client.get("/repro").status_code == 308


def test_the_policy_lets_nothing_in_but_our_own_style_script_and_pictures(client: FlaskClient, book: Book) -> None:
    policy = client.get("/repro/").headers["Content-Security-Policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    picture = client.get(f"/repro/attempt/{book.attempts[0].id}.svg").headers["Content-Security-Policy"]
    assert "sandbox" in picture
    assert "script-src" not in picture
    assert client.get("/repro/").headers["Cache-Control"] == "no-cache"


@pytest.mark.parametrize(
    "address", ["/repro/claim/none.html", "/repro/../serve.py", "/repro/static/../serve.py", "/repro/<script>.html"]
)
def test_an_unknown_page_is_not_found_and_says_so_safely(client: FlaskClient, address: str) -> None:
    answer = client.get(address)
    assert answer.status_code == 404
    assert "<script>." not in answer.text


def test_a_near_miss_names_the_page_that_was_meant(client: FlaskClient) -> None:
    assert "claim/widgets/exponent.html" in client.get("/repro/claim/widgets/exponnt.html").text


def test_a_book_that_cannot_be_read_is_one_clear_sentence() -> None:
    def broken() -> Book:
        raise StoreError("The ledger <here> cannot be read.")

    answer = client_of(broken).get("/repro/")
    assert answer.status_code == 500
    assert "The ledger &lt;here&gt; cannot be read." in answer.text


def test_a_reader_types_a_prior() -> None:
    client = client_of(trust_book)
    address = "/repro/claim/widgets/slope.html"
    assert '30 % <span class="flag">yours</span>' in client.get(f"{address}?prior=0.3").text
    assert "yours" not in client.get(address).text
    refused = client.get(f"{address}?prior=<script>alert(1)</script>")
    assert refused.status_code == 200
    assert "&#39;&lt;script&gt;alert(1)&lt;/script&gt;&#39;" in refused.text
    assert "<script>alert" not in refused.text
    assert "form-action 'self'" in refused.headers["Content-Security-Policy"]
    assert client.get("/repro/claim/widgets/slope.together-1.svg?prior=0.3").mimetype == "image/svg+xml"


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        return int(taken.getsockname()[1])


def test_a_taken_port_is_an_error_that_offers_another() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(ReproError, match=f"Port {port} on 127.0.0.1 cannot be used .* choose another port"):
            serve(port=port)
    assert not Path("mlflow.db").exists()


@pytest.mark.parametrize("port", [0, -1, 65536])
def test_a_number_that_is_no_port_is_an_error(port: int) -> None:
    with pytest.raises(ReproError, match=f"from 1 to 65535, not {port}"):
        serve(port=port)


def test_an_address_that_is_not_this_machines_is_an_error() -> None:
    with pytest.raises(ReproError, match=r"on 192\.0\.2\.1 cannot be used"):
        serve(host="192.0.2.1", port=free_port())


def test_a_ledger_behind_a_server_cannot_be_served_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://user:secret@127.0.0.1:1")
    with pytest.raises(ReproError, match="repro pages") as error:
        serve(port=free_port())
    assert "secret" not in str(error.value)


def test_a_server_that_ends_by_itself_is_quoted(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/bin/false")
    with pytest.raises(ReproError, match="did not stay up"):
        serve(port=free_port())


def fetch(address: str) -> tuple[int, str]:
    try:
        with urllib.request.urlopen(address, timeout=30) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        with error:
            return error.code, error.read().decode()


def group_is_gone(group: int) -> bool:
    for _ in range(100):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(group, 0)
            time.sleep(0.05)
            continue
        return True
    return False


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_one_port_answers_for_pages_and_mlflow_and_nothing_is_left_running(
    tmp_path: Path, write_claims: object, sign: signal.Signals
) -> None:
    write_claims()  # type: ignore[operator]
    port = free_port()
    code = f"from repro.review.server.serve import serve; raise SystemExit(serve(port={port}, say=lambda t: print(t, flush=True)))"
    command = [sys.executable, "-c", code]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, text=True, cwd=tmp_path, preexec_fn=with_interrupts
    ) as running:
        try:
            assert running.stdout is not None
            base = f"http://127.0.0.1:{port}"
            assert running.stdout.readline() == f"Pages: {base}/repro/ · MLflow: {base}/\n"
            servers = psutil.Process(running.pid).children(recursive=True)
            groups = {os.getpgid(process.pid) for process in servers}
            assert len(servers) >= 2
            assert len(groups) == 1
            assert os.getpgid(running.pid) not in groups

            status, page = fetch(f"{base}/repro/")
            assert status == 200
            assert "The mean of the draws is one." in page
            assert fetch(f"{base}/repro/claim/toy/mean.html")[0] == 200
            assert fetch(f"{base}/repro/claim/none.html")[0] == 404
            assert fetch(f"{base}/repro/running.html")[0] == 200
            assert '"running": false' in fetch(f"{base}/repro/running.json")[1]
            status, interface = fetch(f"{base}/")
            assert status == 200
            assert "MLflow" in interface
            assert fetch(f"{base}/api/2.0/mlflow/experiments/get?experiment_id=0")[0] == 200

            running.send_signal(sign)
            assert running.wait(timeout=30) == 0
            assert group_is_gone(groups.pop())
        finally:
            # Ended, not killed: whatever fails here, the server must not outlive the test.
            running.terminate()
            running.wait(timeout=30)


@pytest.mark.slow
def test_mlflows_login_covers_the_pages(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write_claims: object) -> None:
    pytest.importorskip("flask_wtf", reason="MLflow's login needs another package: pip install 'Flask-WTF<2'")
    write_claims()  # type: ignore[operator]
    port = free_port()
    environment = {
        **os.environ,
        "MLFLOW_FLASK_SERVER_SECRET_KEY": "a key for this test",
        "MLFLOW_AUTH_ADMIN_PASSWORD": "a password for this test",
        "MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false",
    }
    command = ["mlflow", "server", "--app-name", "repro-login", "--workers", "1", "--port", str(port)]
    with (tmp_path / "log").open("w") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", *command],
            env=environment,
            cwd=tmp_path,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
    try:
        base = served._await_answer(server, "127.0.0.1", port, tmp_path / "log")
        for address in (
            "/",
            "/repro/",
            "/repro/running.html",
            "/repro/running.json",
            "/repro/static/style.css",
            "/repro/x",
        ):
            assert fetch(f"{base}{address}")[0] == 401, address
        manager = urllib.request.HTTPPasswordMgrWithDefaultRealm()
        manager.add_password(None, base, "admin", "a password for this test")
        opener = urllib.request.build_opener(urllib.request.HTTPBasicAuthHandler(manager))
        with opener.open(f"{base}/repro/", timeout=30) as answer:
            assert answer.status == 200
    finally:
        served._stop(server)
    assert group_is_gone(server.pid)
