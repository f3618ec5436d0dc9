"""Whose turn it is to write through a tracking server that serves our pages: one launcher's at a time, wherever it runs.

MLflow's REST interface has no lock and no unique tag, so "write it unless it is there" needs one writer. The server lends the turn
for `LENT_S`; a launcher that was killed keeps the others waiting no longer than that.
"""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

from repro.schema.errors import StoreError

ADDRESS = "/repro/turn"
LENT_S = 30.0
RENEW_S = 15.0
"""A turn that lasts no longer than this is renewed before the next run is created."""
ASK_S = 0.1
"""Between two questions of one that waits."""
SLOWEST_ASK_S = 1.0


class Busy(Exception):
    """Somebody else writes and does not let go."""


class NotOffered(Exception):
    """The server has no turns to lend: it was started without our pages."""


def now() -> float:
    """Return seconds that go on while a machine sleeps and do not jump when its clock is set."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


@dataclass
class Turn:
    """A launcher's turn at a server."""

    uri: str
    holder: str = field(default_factory=lambda: uuid.uuid4().hex)
    until: float = 0.0

    def ask(self) -> bool:
        """Ask for the turn, or for more of it, and say whether it was granted.

        Raises:
            NotOffered: if the server lends none.
            StoreError: if it refuses whoever asks.
        """
        asked = now()  # the answer takes time, in which the turn runs already
        granted, seconds = self._post(False)
        self.until = asked + seconds if granted else 0.0
        return granted

    def keep(self) -> None:
        """Make sure that it is still ours to write.

        Raises:
            StoreError: if it is not.
        """
        if self.until - now() < RENEW_S and not self.ask():
            raise StoreError(
                "This launch lost its turn to write to the team's ledger: it stood still for too long, and another "
                "launch writes now. Run the same command again: it goes on where it stopped, and nothing is written twice."
            )

    def end(self) -> None:
        """Give the turn back; a server that does not answer will take it back by itself."""
        with suppress(Exception):
            self._post(True)

    def _post(self, release: bool) -> tuple[bool, float]:
        from mlflow.tracking._tracking_service import utils
        from mlflow.utils import rest_utils

        request: Any = rest_utils.http_request
        creds: Any = utils.get_default_host_creds  # type: ignore[attr-defined]
        answer = request(
            creds(self.uri),
            ADDRESS,
            "POST",
            json={"holder": self.holder, "release": release},
            timeout=10,
        )
        if answer.status_code in (401, 403):
            raise StoreError(refused(answer.status_code))
        if answer.status_code not in (200, 409) or not answer.headers.get("Content-Type", "").startswith(
            "application/json"
        ):
            raise NotOffered
        content = answer.json()
        return bool(content["granted"]), float(content["seconds"])


def refused(status: int) -> str:
    """Return what to do about a server that knows nobody of this name, or lets nobody of this name write."""
    if status == 401:
        return (
            "The tracking server does not know this name and password. Set MLFLOW_TRACKING_USERNAME and "
            "MLFLOW_TRACKING_PASSWORD to those that the server's keeper gave you."
        )
    return (
        "The tracking server does not allow this account to do that. Its keeper can give it the permission EDIT, or make EDIT "
        "the default_permission in the server's basic_auth.ini."
    )


@contextmanager
def turn_at(uri: str, timeout_s: float) -> Iterator[Turn]:
    """Wait for the turn to write through a server, and give it back afterwards.

    Raises:
        NotOffered: if the server lends none.
        Busy: if others had it for longer than `timeout_s`.
        StoreError: if the server refuses whoever asks.
    """
    turn = Turn(uri)
    start, pause = time.monotonic(), ASK_S
    while not turn.ask():
        if time.monotonic() - start > timeout_s:
            raise Busy
        time.sleep(pause)
        pause = min(2 * pause, SLOWEST_ASK_S)
    try:
        yield turn
    finally:
        turn.end()
