"""`repro evidence`."""


def evidence() -> None:
    """Write the evidence of an attempt as one zip."""
    raise NotImplementedError
