"""`repro source`."""


def source() -> None:
    """Record that a published value was checked against the paper."""
    raise NotImplementedError
