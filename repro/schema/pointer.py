"""What an attempt that was sealed in a directory leaves there: which plan holds it, and where it came from."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

POINTER_VERSION = 3


@dataclass(frozen=True)
class Pointer:
    """From an attempt to its plan."""

    plan: str
    """File name of the plan."""
    provenance: Mapping[str, Any]
    """Commit, whether the tree was dirty, packages, command when it was sealed; empty where that is unknown."""
    replicates: tuple[int, ...]
    """Its seeds."""
    indicative: bool = False
    version: int = POINTER_VERSION
