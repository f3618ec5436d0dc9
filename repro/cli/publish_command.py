"""`repro publish`."""


def publish() -> None:
    """Put evidence under the published results."""
    raise NotImplementedError
