"""`repro sign`."""


def sign() -> None:
    """Sign a bundle with an ed25519 key."""
    raise NotImplementedError
