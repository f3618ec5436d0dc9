"""A real PostgreSQL for a test, launchers that run at once, and what stands in a store afterwards, counted by MLflow itself."""

import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import pytest
from mlflow import MlflowClient
from mlflow.entities import Run, ViewType

PROGRAM = "from repro.cli import main; main()"


def _programs() -> Path | None:
    places = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda place: int(place.parent.name))
    on_path = shutil.which("initdb")
    return places[-1] if places else Path(on_path).parent if on_path else None


@contextmanager
def postgres() -> Iterator[str]:
    """Run a PostgreSQL server that listens on a socket in a directory of its own, and give that directory.

    It waits for no disk. The server refuses to run as root, so root runs it as the system's user `postgres`.
    """
    programs = _programs()
    if programs is None:
        pytest.skip("PostgreSQL's server is not installed (Debian: apt-get install postgresql)")
    root = os.geteuid() == 0
    change = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups"] if root else []
    # A socket's path has at most 107 characters, which directories of tests may exceed.
    place = Path(tempfile.mkdtemp(prefix="pg", dir="/tmp"))
    settings = f"-c listen_addresses='' -c unix_socket_directories={place} -c fsync=off -c max_connections=60"
    control = [*change, str(programs / "pg_ctl"), "-D", f"{place}/data", "-w", "-t", "120"]

    def run(*command: str) -> None:
        subprocess.run([*change, *command], check=True, capture_output=True, cwd="/")

    try:
        if root:
            shutil.chown(place, "postgres", "postgres")
        options = ("--username=team", "--auth=trust", "--no-sync", "--locale=C", "--encoding=UTF8")
        run(str(programs / "initdb"), f"--pgdata={place}/data", *options)
        # Not captured: the server would keep the pipe open.
        with (place / "log").open("w") as log:
            subprocess.run([*control, "-o", settings, "start"], check=True, stdout=log, stderr=log, cwd="/")
        try:
            yield str(place)
        finally:
            subprocess.run([*control, "-m", "immediate", "stop"], check=True, capture_output=True, cwd="/")
    finally:
        shutil.rmtree(place, ignore_errors=True)


def database(server: str, name: str) -> str:
    """Create a database and return its URI."""
    import psycopg

    with psycopg.connect(f"host={server} user=team dbname=postgres", autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name}")
    return f"postgresql+psycopg://team@/{name}?host={server}"


def launch_at_once(launches: Sequence[tuple[Path, Sequence[str]]], uri: str) -> None:
    """Start `repro run` for each directory and words, all at once, and wait for all of them."""
    started = []
    for home, words in launches:
        home.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-c", PROGRAM, "run", *words, "scale=cpu"]
        environment = {**os.environ, "MLFLOW_TRACKING_URI": uri, "REPRO_HOME": str(home / ".repro")}
        started.append(
            subprocess.Popen(
                command, cwd=home, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
            )
        )
    said = [launcher.communicate(timeout=300)[1] for launcher in started]
    assert [launcher.returncode for launcher in started] == [0] * len(started), "\n".join(said)


def runs(client: MlflowClient, prefix: str) -> list[Run]:
    """Return every run in the experiments whose name begins so, deleted ones too; each such experiment is there once."""
    experiments = [each for each in client.search_experiments() if each.name.startswith(prefix)]
    assert len({each.name for each in experiments}) == len(experiments)
    ids = [each.experiment_id for each in experiments]
    return list(client.search_runs(ids, run_view_type=ViewType.ALL, max_results=5000)) if ids else []


def times(found: Sequence[Run], tag: str) -> Counter[str]:
    """Return how often each value of a tag stands in these runs; a run without it counts as ''."""
    return Counter(run.data.tags.get(tag, "") for run in found)
