"""Ctrl-C, and SIGTERM as a batch system sends it: what is being written is written, then the program stops and says how to go on.

Standard library only: the worker uses it.
"""

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class Stopping(KeyboardInterrupt):
    """The process was told to end. A KeyboardInterrupt, so that no recipe takes it for an error of its own."""

    def __init__(self, signal_number: int) -> None:
        self.exit_code = 128 + signal_number
        super().__init__(signal.Signals(signal_number).name)


def exit_code(reason: KeyboardInterrupt) -> int:
    """Return 130 after Ctrl-C, 143 after SIGTERM, as shells expect."""
    return getattr(reason, "exit_code", 128 + signal.SIGINT)


@contextmanager
def stoppable() -> Iterator[None]:
    """Within, the first SIGINT or SIGTERM raises Stopping in the main thread, and the second ends the process at once.

    A signal that is switched off, as by nohup, stays so; so does one that whoever started this process answers, as a batch
    system's wrapper does, which knows whether more is to come.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    told: list[int] = []

    def stop(number: int, _: FrameType | None) -> None:
        if told:
            os._exit(128 + number)
        told.append(number)
        raise Stopping(number)

    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each, handler in before.items():
        if handler in (signal.SIG_DFL, signal.default_int_handler):
            signal.signal(each, stop)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)


@contextmanager
def finishing() -> Iterator[None]:
    """Within, SIGINT and SIGTERM wait until the end; a second one ends the process at once."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    waiting: list[int] = []

    def remember(number: int, _: FrameType | None) -> None:
        if waiting:
            os._exit(128 + number)
        waiting.append(number)

    before = {each: signal.getsignal(each) for each in _SIGNALS}
    for each, handler in before.items():
        if handler is not signal.SIG_IGN:
            signal.signal(each, remember)
    try:
        yield
    finally:
        for each, handler in before.items():
            signal.signal(each, handler)
    if waiting:
        signal.raise_signal(waiting[0])
