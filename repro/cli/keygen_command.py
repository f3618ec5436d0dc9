"""`repro keygen`."""


def keygen() -> None:
    """Make a key pair to sign with."""
    raise NotImplementedError
