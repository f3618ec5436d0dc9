"""The small file by which a running trial says how far it is. Standard library only."""

import contextlib
import json
import math
import time
from pathlib import Path

PROGRESS_EVERY_S = 0.5


class ProgressFile:
    """Tells whoever watches the record directory how far a running trial is.

    The times in it are for people; whether the trial runs, its lock says.
    """

    def __init__(self, path: Path, label: str, lock: str | None = None) -> None:
        """Take the file's place, the trial's label, and the name of the lock under which it runs; None if there is none."""
        self.path, self.label, self.lock, self.last = path, label, lock, -math.inf
        self.since = time.time()

    def report(self, done: float) -> None:
        """Say what share is done, not more than twice a second."""
        now = time.monotonic()
        if now - self.last < PROGRESS_EVERY_S:
            return
        self.last = now
        said = {
            "label": self.label,
            "done": min(max(done, 0.0), 1.0),
            "at": time.time(),
            "since": self.since,
            "lock": self.lock,
        }
        with contextlib.suppress(OSError):
            self.path.parent.mkdir(parents=True, exist_ok=True)
            self.path.write_text(json.dumps(said))

    def close(self) -> None:
        """Remove the file."""
        with contextlib.suppress(OSError):
            self.path.unlink()
