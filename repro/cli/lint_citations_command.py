"""`repro lint-citations`."""


def lint_citations() -> None:
    """Find citations of results that have changed."""
    raise NotImplementedError
