"""A disk under the ledger that is full or read-only, as databases and the system say it."""

_SIGNS = (
    ("disk is full", "the disk is full", "Free some space"),
    ("no space left", "the disk is full", "Free some space"),
    ("readonly database", "it is read-only", "Make it and its directory writable"),
    ("read-only file system", "its disk is read-only", "Make it writable"),
)
"""What is said, what it means, and what to do."""


def no_room(error: object) -> str | None:
    """Return what is wrong with the disk and what to do, or None if it is not the disk.

    The errors that led to this one count: on a full disk SQLite drops the whole transaction, and the last error is that there is
    none to roll back.
    """
    said = _with_causes(error)
    for sign, what, cure in _SIGNS:
        if sign in said:
            return f"{what}. {cure} and run again: finished trials are kept, and what is missing is written then."
    return None


def _with_causes(error: object) -> str:
    said, seen = [], set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        said.append(str(error).lower())
        error = getattr(error, "__cause__", None) or getattr(error, "__context__", None)
    return " ".join(said)
