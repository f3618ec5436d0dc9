"""Errors that people read: which thing, what is required, what was got, what to do."""

from collections.abc import Iterable
from difflib import get_close_matches


class ReproError(Exception):
    """Base of every error that this project raises on purpose; the command line prints it and exits with `exit_code`."""

    exit_code = 2


class ConfigError(ReproError):
    """A claim, study, paper, scale or override that cannot be used as written."""


class DataError(ReproError):
    """A data set that is absent, cannot be fetched, or has another digest than the one registered."""


class PlanError(ReproError):
    """A plan that cannot be made or read, or that does not fit this installation."""


class RecordError(ReproError):
    """A trial record that is damaged, edited, or belongs to another plan."""


class StoreError(ReproError):
    """A ledger or record directory that cannot be read or written."""


class EstimateError(ReproError):
    """Records that an estimator refuses to turn into a value."""


class TrialFailed(ReproError):
    """A trial whose machine, process or program failed; it is no datum."""

    exit_code = 3


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest valid name, or the list of valid names."""
    names = sorted(valid)
    close = get_close_matches(name, names, n=1, cutoff=0.6)
    if close:
        return f" Did you mean '{close[0]}'?"
    return f" Valid names: {', '.join(names[:20])}{', ...' if len(names) > 20 else ''}." if names else ""
