"""`repro import`."""


def import_bundle() -> None:
    """Take somebody else's evidence into the ledger."""
    raise NotImplementedError
