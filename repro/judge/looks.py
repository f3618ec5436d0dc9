"""Looks at the data that were sealed beforehand: which seeds each reads, and at which of them the judging stops."""

from collections.abc import Callable, Mapping
from dataclasses import replace

from repro.judge.rule import judge
from repro.schema.verdict import Estimate, Sealed, Verdict

Arms = Mapping[str, Mapping[str, Estimate]]


def seeds_of_look(sealed: Sealed, look: int) -> tuple[int, ...]:
    """Return the replicates that a look reads: an equal number more at each, all of them at the last.

    Args:
        sealed: with its looks.
        look: from 1.
    """
    return (
        sealed.replicates[: look * (len(sealed.replicates) // sealed.looks)]
        if look < sealed.looks
        else sealed.replicates
    )


def judge_look_by_look(sealed: Sealed, estimates_at: Callable[[int], Arms | None]) -> tuple[int, Verdict | None]:
    """Judge at each look in turn, from its seeds alone, and stop at the first that decides.

    Later seeds are never read once a look has decided, even where other claims had them run. The level of every
    look is α divided by the number of looks (Bonferroni), so that the looks together err at most as often as one.

    Args:
        sealed: what was fixed before the first trial ran.
        estimates_at: the estimates of a look by arm, or None if its trials are not all there.

    Returns:
        The look reached, and its verdict; None if that look's trials are not all there.
    """
    look = 0
    verdict: Verdict | None = None
    while look < sealed.looks and (verdict is None or verdict.outcome == "inconclusive"):
        look += 1
        estimates = estimates_at(look)
        if estimates is None:
            return look, None
        verdict = replace(judge(sealed, estimates), look=look)
    return look, verdict
