"""Attempts out of their text many times faster than `repro.schema.documents` reads them, and to the same objects.

Whatever is not plainly an attempt of this version is left to that reader, which says what is wrong with it or migrates it.
"""

import json
from functools import cache
from typing import TYPE_CHECKING

from repro.schema.verdict import ATTEMPT_VERSION, SEAL_VERSION, Attempt

if TYPE_CHECKING:
    from pydantic import TypeAdapter


def quick_attempt(text: str) -> Attempt | None:
    """Return the attempt that a text holds, or None if only the careful reader can tell."""
    from pydantic import ValidationError

    try:
        (attempt,) = _reader().validate_json(f"[{text}]")
        # What is of any kind may hold 1e999, which nothing can say again.
        free = [attempt.sealed.arguments, [control.arguments for control in attempt.sealed.controls.values()]]
        json.dumps([attempt.config, attempt.provenance, free], allow_nan=False)
    except (ValidationError, ValueError, RecursionError):
        return None
    is_of_today = (attempt.version, attempt.sealed.version) == (ATTEMPT_VERSION, SEAL_VERSION)
    return attempt if is_of_today else None


@cache
def _reader() -> "TypeAdapter[tuple[Attempt]]":
    # Late: it takes a tenth of a second, which commands that read no attempt do not have to wait.
    from pydantic import ConfigDict, TypeAdapter

    # Dataclasses take on the settings of what they stand in, and alone they could have none.
    return TypeAdapter(tuple[Attempt], config=ConfigDict(extra="forbid", strict=True, allow_inf_nan=False))
