"""Whether a verdict may be relied on today."""

from collections.abc import Sequence

from repro.schema.annotation import Annotation, broken_at, standing
from repro.schema.verdict import Attempt, Validity


def validity(
    *,
    seal: str,
    record_seals: Sequence[Sequence[str]],
    current_seal: str | None,
    edited: bool = False,
    invalidated: bool = False,
    disputed: bool = False,
) -> Validity:
    """Return the gravest thing to be said about an attempt.

    `tampered` before `invalidated`, `disputed`, `post_hoc`, `stale`, `current`.

    Args:
        seal: digest of the attempt's seal.
        record_seals: for every record of the attempt, the seals that stood when its trial ran.
        current_seal: the seal that the same protocol would get today; None if it no longer exists.
        edited: whether a seal or record has another digest than its content deserves.
        invalidated: whether a person withdrew the attempt.
        disputed: whether a person contests it.
    """
    if edited:
        return "tampered"
    if invalidated:
        return "invalidated"
    if disputed:
        return "disputed"
    if any(seal not in seals for seals in record_seals):
        return "post_hoc"
    return "current" if seal == current_seal else "stale"


def validity_today(attempt: Attempt, annotations: Sequence[Annotation], stale: bool) -> Validity:
    """Return the gravest thing to be said today about an attempt that was judged before.

    Args:
        attempt: with the validity that its own records show.
        annotations: its entries in order; a chain that was damaged makes the attempt tampered.
        stale: whether what its seal covers has changed since. An exploratory attempt never is: it was not sealed from the
            claim as it stands.
    """
    if attempt.validity == "tampered" or (annotations and broken_at(annotations) is not None):
        return "tampered"
    word = standing(annotations) if annotations else None
    if word is not None:
        return word
    if attempt.validity not in ("current", "stale"):  # whether it is stale is known today, not when it was judged
        return attempt.validity
    return "stale" if stale and not attempt.exploratory else "current"
