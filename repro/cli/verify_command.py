"""`repro verify`."""


def verify() -> None:
    """Check evidence: recompute the verdict from the rows."""
    raise NotImplementedError
