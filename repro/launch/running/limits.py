"""How long a trial may take. Standard library only: the worker runs under it.

A timer of the system interrupts Python code. What is stuck in native code never comes back to Python, so that nothing in this
process can stop it: some seconds later a thread says so and ends the process, or starts it anew without the trial. Only what
also keeps the interpreter's lock is left to faulthandler, which ends the process without a record. None of them goes by the
clock that people set.
"""

import contextlib
import faulthandler
import math
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence

GRACE_S = 15.0
"""How much longer than its limit a trial may stay in native code: a long kernel or factorisation comes back by then."""

HUNG_CODE = 3
HUNG = "REPRO_HUNG_TRIALS"
"""Environment variable by which a launcher that started itself anew knows what not to try again: trial keys, by commas."""

_restarts = threading.Event()


class OutOfTime(BaseException):
    """The time that the caller gave is over. No `Exception`, so that no recipe takes it for one of its own."""


@contextlib.contextmanager
def time_limit(
    seconds: float | None, until: float | None = None, hung: Callable[[str | None], Sequence[str]] | None = None
) -> Iterator[None]:
    """Raise TimeoutError in the main thread once `seconds` have passed, or OutOfTime at `until`, whichever is first.

    In another thread there is no limit to set.

    Args:
        seconds: that the trial may take; None or 0 for no limit.
        until: when the caller's time is over, by `time.monotonic`.
        hung: called before the process is ended because neither got through: with what is wrong with the trial, or None where only
            the caller's time was over. It keeps that and returns the keys of the trials.
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

    wrong = None if left < given else f"the trial ran longer than its limit of {given:g} s and hung in native code"
    before = signal.signal(signal.SIGALRM, stop)
    signal.setitimer(signal.ITIMER_REAL, min(given, left))
    try:
        with _ended_if_hung(min(given, left) + GRACE_S, wrong, hung):
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, before)


@contextlib.contextmanager
def _ended_if_hung(
    seconds: float, wrong: str | None, hung: Callable[[str | None], Sequence[str]] | None
) -> Iterator[None]:
    over = threading.Lock()

    def end() -> None:
        if over.acquire(blocking=False):
            _end(wrong, hung)

    watcher = threading.Timer(min(seconds, threading.TIMEOUT_MAX), end)
    watcher.daemon = True
    watcher.start()
    last_resort = _arm_last_resort(seconds + GRACE_S)
    try:
        yield
    finally:
        watcher.cancel()
        if not over.acquire(blocking=False):
            threading.Event().wait()  # the process is being ended
        if last_resort:
            faulthandler.cancel_dump_traceback_later()


def _arm_last_resort(seconds: float) -> bool:
    """Have the process ended from outside the interpreter, unless stderr is no file to write to."""
    if sys.__stderr__ is None:
        return False
    try:
        faulthandler.dump_traceback_later(min(seconds, 1e9), exit=True, file=sys.__stderr__)
    except (OSError, ValueError, RuntimeError):
        return False
    return True


def _end(wrong: str | None, hung: Callable[[str | None], Sequence[str]] | None) -> None:
    """End this process, or start it anew, from a thread beside the one that hangs."""
    keys: Sequence[str] = ()
    try:
        keys = hung(wrong) if hung is not None else ()
    except Exception as error:  # a full disk, say; the process ends all the same
        print(f"error: {error}", file=sys.stderr, flush=True)
    again = _restarts.is_set() and wrong is not None
    what = wrong or "the time is over, and the trial hangs in native code"
    end = "It starts anew without this trial." if again else "Run the same command again to go on with the others."
    print(
        f"error: {what}, where nothing but the end of the process {os.getpid()} stops it. Finished trials are kept. {end}",
        file=sys.stderr,
        flush=True,
    )
    if again:
        os.environ[HUNG] = ",".join([*hung_before(), *keys])
        with contextlib.suppress(OSError):
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])
    os._exit(HUNG_CODE)


def start_anew_if_hung() -> None:
    """Let this process start itself anew, with the same command, where a trial hangs: only for commands that resume.

    Does nothing where the command is called from within another program.
    """
    count = len(sys.argv) - 1
    if sys.orig_argv[len(sys.orig_argv) - count :] == sys.argv[1:]:
        _restarts.set()


def hung_before() -> list[str]:
    """Return the keys of trials that hung in this command before it started anew, one for each time."""
    return [key for key in os.environ.get(HUNG, "").split(",") if key]
