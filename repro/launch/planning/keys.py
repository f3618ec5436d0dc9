"""The keys of many trials, each worked out once. Standard library only: the worker reads it."""

from collections.abc import Iterable

from repro.schema.trial import TrialSpec

_KEPT = "_key"


def key_of(spec: TrialSpec) -> str:
    """Return the key of a trial, and remember it on the trial: a digest over its config takes longer than all else said of it.

    It goes along where the trial is sent to another process. No field and no comparison of a trial sees it, and a changed
    copy (`dataclasses.replace`) works out its own.
    """
    known: str | None = getattr(spec, _KEPT, None)
    if known is None:
        known = spec.key
        object.__setattr__(spec, _KEPT, known)
    return known


def by_key(trials: Iterable[TrialSpec]) -> dict[str, TrialSpec]:
    """Return trials by their keys, in their order."""
    return {key_of(spec): spec for spec in trials}
