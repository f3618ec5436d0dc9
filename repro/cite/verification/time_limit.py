"""Work for a stranger ends in time, on every platform and without another process."""

import ctypes
from collections.abc import Callable
from threading import Thread

LONGEST_S = 600.0
"""Seconds that checking one bundle may take. The slowest evidence of this project's own claims takes half a minute."""


class _Stop(BaseException):
    """Ends work from outside; what catches an `Exception` does not catch it."""


def within(seconds: float, work: Callable[[], None]) -> bool:
    """Do some work in a thread of its own and return whether it was done in time; if not, it is stopped.

    A single call into compiled code cannot be stopped: it goes on until it returns, or the process ends.

    Args:
        seconds: that it may take.
        work: to be done. What it raises is raised here.
    """
    raised: list[BaseException] = []

    def stoppable() -> None:
        try:
            work()
        except BaseException as error:  # handed to whoever waits: work that ended early is not done
            raised.append(error)

    thread = Thread(target=stoppable, name="bounded", daemon=True)
    thread.start()
    thread.join(seconds)
    if thread.is_alive() and thread.ident is not None:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread.ident), ctypes.py_object(_Stop))
        return False
    if raised:
        raise raised[0]
    return True
