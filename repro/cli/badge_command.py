"""`repro badge`."""


def badge() -> None:
    """Write a badge of a claim or paper."""
    raise NotImplementedError
