"""How long a trial may take. Standard library only: the worker runs under it."""

import contextlib
import math
import signal
import threading
import time
from collections.abc import Iterator


class OutOfTime(BaseException):
    """The time that the caller gave is over. No `Exception`, so that no recipe takes it for one of its own."""


@contextlib.contextmanager
def time_limit(seconds: float | None, until: float | None = None) -> Iterator[None]:
    """Raise TimeoutError in the main thread once `seconds` have passed, or OutOfTime at `until`, whichever is first.

    In another thread there is no limit to set.
    """
    left = math.inf if until is None else max(until - time.monotonic(), 1e-3)
    if (not seconds and until is None) or threading.current_thread() is not threading.main_thread():
        yield
        return
    given = seconds or math.inf

    def stop(*_: object) -> None:
        if left < given:
            raise OutOfTime
        raise TimeoutError(f"the trial ran longer than its limit of {given:g} s")

    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, min(given, left))
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)
