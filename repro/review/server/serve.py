"""The pages inside MLflow's server: one process, one port, and MLflow's own login where that is on.

`create_app` and `create_app_with_login` are entry points of `mlflow server --app-name repro` (or `repro-login`);
`serve` starts that server and stops it with everything that it started.
"""

import contextlib
import logging
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Any

from markupsafe import Markup

from repro.cite.evidence.bundle import EvidenceError
from repro.review.pages import HERE, error_page
from repro.review.pictures.charts import NoChart
from repro.review.server.live import RUNNING_JSON, RUNNING_PAGE, Watch, running_json, running_page
from repro.review.server.nearest import nearest_address
from repro.review.server.shelf import Shelf
from repro.review.server.turns import turns
from repro.review.site import Content
from repro.review.wording.readable import readable
from repro.schema.errors import ReproError
from repro.schema.places import home_dir

LONGEST_ADDRESS = 2000
"""Characters of the longest address that is looked up."""
SHOWN_ADDRESS = 200
"""Characters of an unknown address that are said again."""
LONGEST_REASON = 1000
START_S = 180.0
"""MLflow's server takes 5 to 20 s to answer; longer than this, something is wrong."""

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".svg": "image/svg+xml",
    ".csv": "text/csv; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".json": "application/json; charset=utf-8",
    ".zip": "application/zip",
    ".bib": "application/x-bibtex; charset=utf-8",
    ".ris": "application/x-research-info-systems; charset=utf-8",
    ".cff": "application/yaml; charset=utf-8",
    ".md": "text/markdown; charset=utf-8",
    ".txt": "text/plain; charset=utf-8",
}
_POLICY = (
    "default-src 'none'; img-src 'self'; style-src 'self'; script-src 'self'; connect-src 'self'; "
    "base-uri 'none'; form-action 'self'; frame-ancestors 'none'"
)
# A picture that is opened by itself may style itself and do nothing else.
_PICTURE_POLICY = "default-src 'none'; style-src 'unsafe-inline'; sandbox"


def create_app() -> Any:
    """Return MLflow's application with the pages at `/repro/`."""
    from mlflow.server import app
    from mlflow.server.fastapi_app import create_fastapi_app

    app.register_blueprint(turns(_place()))
    app.register_blueprint(_pages())
    return create_fastapi_app(app)


def create_app_with_login() -> Any:
    """Return MLflow's application with its login, which covers the pages too: whoever has an account may read them.

    Needs `Flask-WTF<2` and the variables `MLFLOW_FLASK_SERVER_SECRET_KEY` and `MLFLOW_AUTH_ADMIN_PASSWORD`.
    """
    from mlflow.server import app, auth
    from mlflow.server.auth import create_app as with_login

    # After the login MLflow refuses everybody but its keeper whatever it has no rule for, as it has none for our pages.
    known, ours = getattr(auth, "_is_known_ungated_route", None), _place()
    if known is not None:
        auth._is_known_ungated_route = lambda path: known(path) or path == ours or path.startswith(f"{ours}/")
    app.register_blueprint(turns(_place()))
    app.register_blueprint(_pages())
    return with_login(app)


def _place() -> str:
    """Return the address of the pages below the server's own."""
    from mlflow.server.handlers import _add_static_prefix

    return str(_add_static_prefix("/repro"))


def _pages(shelf: Shelf | None = None) -> Any:
    """Return the pages as a blueprint; unless it is given its pages it reads the store that the server was started with."""
    from flask import Blueprint, Response, request
    from mlflow.server.constants import BACKEND_STORE_URI_ENV_VAR

    if os.environ.get(BACKEND_STORE_URI_ENV_VAR):
        os.environ["MLFLOW_TRACKING_URI"] = os.environ[BACKEND_STORE_URI_ENV_VAR]
    pages = Blueprint("repro", __name__, url_prefix=_place())
    shelf, watch = shelf or Shelf(), Watch()

    # Neither style nor what runs may hang on the ledger: a page that says what is wrong with it needs them.
    @pages.get("/static/<name>")
    def static(name: str) -> Response:
        file = next((file for file in (HERE / "static").iterdir() if file.name == name), None)
        return missing(f"static/{name}") if file is None else answer(file.read_text("utf-8"), file.suffix)

    @pages.get(f"/{RUNNING_PAGE}")
    def running() -> Response:
        return answer(running_page(watch.look()), ".html")

    @pages.get(f"/{RUNNING_JSON}")
    def running_now() -> Response:
        return answer(running_json(watch.look()), ".json")

    @pages.get("/")
    @pages.get("/<path:address>")
    def page(address: str = "index.html") -> Response:
        try:
            # No page has so long an address, and looking for one takes time.
            known = len(address) <= LONGEST_ADDRESS
            content = shelf.content(address, request.args.get("prior")) if known else None
            if content is None:
                return missing(address, shelf.pages())
            return answer(content, Path(address).suffix)
        except (EvidenceError, NoChart) as error:
            return failed(address, str(error), 404)
        except ReproError as error:
            return failed(address, f"{error} Then load this page again; the server may stay as it is.", 500)
        except Exception as error:
            # The last edge before a reader: whatever it is, the log has it whole, and the page says what it was.
            logging.getLogger(__name__).exception("The page %r cannot be made", address)
            reason = f"This page cannot be made: {type(error).__name__}: {error}"[:LONGEST_REASON]
            return failed(address, f"{reason} The server's log has it whole.", 500)

    def missing(address: str, pages_there: Collection[str] = ()) -> Response:
        shown = address if len(address) <= SHOWN_ADDRESS else f"{address[:SHOWN_ADDRESS]}…"
        text = Markup("There is no page '{}'.").format(shown)
        near = nearest_address(address, [*pages_there, RUNNING_PAGE])
        if near:
            link = Markup(" Did you mean <a href='{}{}'>{}</a>?")
            text += link.format("../" * address.count("/"), near, near)
        return failed(address, text, 404)

    def failed(address: str, text: str, status: int) -> Response:
        return answer(error_page(address, text, live=True), ".html", status)

    def answer(content: Content, suffix: str, status: int = 200) -> Response:
        # What somebody wrote may hold what no document may.
        content = readable(content) if isinstance(content, str) else content
        response = Response(content, status, content_type=_TYPES[suffix])
        response.headers["Content-Security-Policy"] = _PICTURE_POLICY if suffix == ".svg" else _POLICY
        response.headers["Cache-Control"] = "no-cache"
        response.headers["Referrer-Policy"] = "no-referrer"
        response.headers["X-Content-Type-Options"] = "nosniff"
        return response

    return pages


def serve(host: str = "127.0.0.1", port: int = 5000, say: Callable[[str], None] = print) -> int:
    """Serve the pages and MLflow's interface until Ctrl-C or SIGTERM, then stop every process of the server.

    Args:
        host: address to listen on.
        port: port to listen on.
        say: is told the addresses once they answer.

    Returns:
        0 after Ctrl-C or SIGTERM.

    Raises:
        ReproError: if the port is taken, the ledger is behind another server, or the server ends by itself.
    """
    from repro.ledger.store import create_store, shown, sqlite_file, tracking_uri

    uri = tracking_uri()
    if uri.startswith(("http://", "https://", "databricks")):
        raise ReproError(
            f"MLFLOW_TRACKING_URI names the server {shown(uri)}, and a second server cannot be put before it. "
            f"Start that one with 'mlflow server --app-name repro', or write static pages with 'repro pages'."
        )
    _require_free(host, port)
    file = sqlite_file(uri)
    if file is not None:
        create_store(file)
    log = home_dir() / "serve.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("w", encoding="utf-8") as stream:
        server = subprocess.Popen(
            [
                *(sys.executable, "-m", "mlflow", "server", "--app-name", "repro", "--workers", "1"),
                *("--host", host, "--port", str(port)),
            ],
            stdout=stream,
            stderr=subprocess.STDOUT,
            # MLflow's job runner is of no use to pages and costs seconds and processes. Among the arguments every user of the
            # machine could read the store's password.
            env={"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", **os.environ, "MLFLOW_BACKEND_STORE_URI": uri},
            start_new_session=True,
        )
    before = signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        base = _await_answer(server, host, port, log)
        say(f"Pages: {base}/repro/ · MLflow: {base}/")
        say(f"The server's log is {log}. Ctrl-C stops it.")
        server.wait()
        raise _ended(log)
    except KeyboardInterrupt:
        return 0
    finally:
        _stop(server)
        signal.signal(signal.SIGTERM, before)


def _require_free(host: str, port: int) -> None:
    if not 0 < port < 65536:
        raise ReproError(f"A port must be a number from 1 to 65535, not {port}.")
    try:
        socket.create_server((host, port), family=socket.AF_INET6 if ":" in host else socket.AF_INET).close()
    except OSError as error:
        raise ReproError(
            f"Port {port} on {host} cannot be used ({error.strerror or error}). Another program may listen there: "
            f"stop it, or choose another port, for example 'repro serve --port {port + 1 if port < 65535 else 5000}'."
        ) from error


def _await_answer(server: "subprocess.Popen[bytes]", host: str, port: int, log: Path) -> str:
    """Wait until the server answers and return its address."""
    name = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(host, f"[{host}]" if ":" in host else host)
    base = f"http://{name}:{port}"
    # A proxy of the surroundings must not stand between this machine and itself.
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    deadline = time.monotonic() + START_S
    while server.poll() is None and time.monotonic() < deadline:
        with contextlib.suppress(OSError), opener.open(f"{base}/health", timeout=2) as answer:
            if answer.status == 200:
                return base
        time.sleep(0.2)
    raise _ended(log)


def _ended(log: Path) -> ReproError:
    lines = log.read_text(encoding="utf-8", errors="replace").strip().splitlines()
    return ReproError(
        f"MLflow's server did not stay up. Its last words: {' / '.join(lines[-3:]) or 'none'}. The whole log is {log}."
    )


def _stop(server: "subprocess.Popen[bytes]") -> None:
    """End the whole process group: the server leaves its workers behind when only it is ended."""
    for sign, patience in ((signal.SIGTERM, 8.0), (signal.SIGKILL, 4.0)):
        deadline = time.monotonic() + patience
        with contextlib.suppress(ProcessLookupError):
            os.killpg(server.pid, sign)
            while time.monotonic() < deadline:
                server.poll()
                os.killpg(server.pid, 0)
                time.sleep(0.05)
            continue
        break
    server.wait()
