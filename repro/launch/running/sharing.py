"""Waits for trials that another launcher runs. Standard library only: the worker does it too."""

import math
import time
from collections.abc import Sequence

from repro.launch.records.store import RecordStore
from repro.schema.trial import TrialSpec

LOOK_EVERY_S = 0.2
"""Between looks at whether a trial that runs elsewhere is over."""


def wait_for_one(trials: Sequence[TrialSpec], store: RecordStore, until: float = math.inf) -> list[TrialSpec]:
    """Wait until another launcher is done with one of the trials, or was killed, or until `until` by `time.monotonic`.

    Returns:
        The trials that nobody runs any more.
    """
    while not (over := [spec for spec in trials if not store.is_reserved(spec)]) and time.monotonic() < until:
        time.sleep(min(LOOK_EVERY_S, max(until - time.monotonic(), 0.0)))
    return over
