"""Reproduction and replication tracker for machine-learning papers.

import repro
repro.claims()                                    # a tidy frame of what was published, and what came of it
repro.run("bayes/positive_predictive_value")      # launch one claim, get its verdict
repro.attempts(), repro.trials(attempt)           # tidy frames of what was measured
repro.citation("bayes/positive_predictive_value") # BibTeX of the paper and the verified result
"""

from importlib import import_module
from typing import Any

__all__ = ["attempts", "citation", "claims", "run", "trials"]


def __getattr__(name: str) -> Any:
    """Import the interface on first use, so that `import repro` stays light."""
    if name in __all__:
        return getattr(import_module("repro.api"), name)
    raise AttributeError(f"module 'repro' has no attribute '{name}'")
