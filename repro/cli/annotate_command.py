"""`repro annotate`."""


def annotate() -> None:
    """Add an entry to an attempt: confirmed, disputed, invalidated, or an author's reply."""
    raise NotImplementedError
