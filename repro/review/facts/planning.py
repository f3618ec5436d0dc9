"""What an attempt that nobody has run would take, in words."""

from repro.judge.numbers import significant
from repro.review.book import Book
from repro.schema.planned import PlannedCost

_DEVICES = {"cuda": "on a GPU", "cpu": "on a CPU"}


def planned_text(book: Book, claim: str, protocol: str, scale: str) -> str:
    """Return how an attempt that is not there reads: that it is planned, with what it takes where that is known."""
    cost = book.planned.get(f"{claim}@{protocol}@{scale}")
    return f"planned, not run yet{f': {cost_text(cost)}' if cost else ''}"


def cost_text(cost: PlannedCost) -> str:
    """Return runs and compute of a planned attempt.

    >>> cost_text(PlannedCost(63, 28, 7.2e16, "cuda"))
    '63 training runs and 28 of controls, 7.2×10¹⁶ FLOPs on a GPU'
    >>> cost_text(PlannedCost(1, 0, None, "cpu"))
    '1 trial on a CPU'
    """
    noun = "trial" if cost.flops is None else "training run"
    runs = f"{cost.runs} {noun}{'' if cost.runs == 1 else 's'}"
    controls = f" and {cost.control_runs} of controls" if cost.control_runs else ""
    flops = "" if cost.flops is None else f", {significant(cost.flops, 2)} FLOPs"
    return f"{runs}{controls}{flops} {_DEVICES[cost.device]}"
