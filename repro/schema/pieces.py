"""Canonical JSON piece by piece: of a plan of many trials the whole text would take more memory than the trials. Standard library only."""

import hashlib
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from repro.schema.canonical import canonical_json

_DEPTH = 3
"""Levels that are taken apart: a plan file holds the plan, which holds lists of trials and attempts."""


def canonical_pieces(value: Any, depth: int = _DEPTH) -> Iterator[str]:
    """Yield what joined is `canonical_json(value)`; each item of the upper levels is a piece that starts with its comma.

    Args:
        value: plain JSON; instead of a list also an iterator, whose items are then asked for one by one.
        depth: levels to take apart.

    Raises:
        ValueError: as `canonical_json`.
    """
    if depth and isinstance(value, Mapping):
        yield "{"
        for number, name in enumerate(sorted(value)):
            yield f"{',' if number else ''}{canonical_json(name)}:"
            yield from canonical_pieces(value[name], depth - 1)
        yield "}"
    elif depth and isinstance(value, list | Iterator):
        yield "["
        for number, item in enumerate(value):
            yield f"{',' if number else ''}{canonical_json(item)}"
        yield "]"
    else:
        yield canonical_json(value)


def digest_of_pieces(pieces: Iterable[str]) -> str:
    """Return what `digest_of` gives for the value whose canonical JSON these are."""
    digest = hashlib.sha256()
    for piece in pieces:
        digest.update(piece.encode())
    return digest.hexdigest()
