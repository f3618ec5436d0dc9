"""`repro cite`."""


def cite() -> None:
    """Print a citation of a verified result."""
    raise NotImplementedError
