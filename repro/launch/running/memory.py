"""A trial that ran out of memory: told with the size that failed, and tried smaller where the recipe says that this changes nothing.

A recipe declares that by `smaller(config) -> Config | None`: the same trial with less memory at once and the same result (a
smaller micro-batch, more steps of accumulation), or None if there is nothing smaller. Standard library only.
"""

import gc
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from typing import Any

_SAID = ("out of memory", "can't allocate memory", "not enough memory", "cannot allocate memory")
_SIZES = ("batch", "micro")


class OutOfMemory(Exception):
    """A trial needs more memory than there is, at the smallest size that may be tried."""


def is_out_of_memory(error: BaseException) -> bool:
    """Say whether an error is one of memory, of the device or of the machine, however torch puts it."""
    if isinstance(error, MemoryError) or any(kind.__name__ == "OutOfMemoryError" for kind in type(error).__mro__):
        return True
    return isinstance(error, RuntimeError) and any(said in str(error).lower() for said in _SAID)


def run_smaller_and_smaller(recipe: Any, config: Any, run: Callable[[Any], Any]) -> tuple[Any, str | None]:
    """Run a config; each time memory runs out, the next smaller one that the recipe offers.

    Args:
        recipe: the module.
        config: as planned.
        run: calls the recipe with a config, from the beginning.

    Returns:
        What was measured, and a sentence on what was used in place of the plan, if anything was.

    Raises:
        OutOfMemory: says the size that failed.
    """
    failed: list[str] = []
    now = config
    while True:
        try:
            measured = run(now)
        except Exception as error:
            if not is_out_of_memory(error):
                raise
            reason = f"{type(error).__name__}: {' '.join(str(error).split())}".rstrip(": ")
        else:
            return measured, _used(failed, config, now) if failed else None
        # Out here the error is gone, and with its frames what they held.
        _free()
        smaller = recipe.smaller(now) if hasattr(recipe, "smaller") else None
        failed.append(_size(now, smaller if smaller is not None else config))
        if smaller is None:
            tried = f" after {', '.join(failed[:-1])}" if failed[:-1] else ""
            declared = (
                ""
                if hasattr(recipe, "smaller")
                else "; the recipe declares no smaller(config) that leaves the result as it is"
            )
            raise OutOfMemory(f"out of memory at {failed[-1]}{tried} ({reason}){declared}")
        now = smaller


def _used(failed: Sequence[str], planned: Any, used: Any) -> str:
    return f"Ran with {_size(used, planned)}: out of memory at {', '.join(failed)}. The recipe declares that this leaves the result as it is."


def _size(config: Any, other: Any) -> str:
    """Name the fields in which a config differs from another, else those that look like a batch."""
    fields, others = _fields(config), _fields(other)
    differs = [name for name, value in fields.items() if others.get(name) != value]
    names = differs or [name for name in fields if any(part in name for part in _SIZES)] or list(fields)
    return ", ".join(f"{name}={fields[name]}" for name in names)


def _fields(config: Any) -> Mapping[str, Any]:
    return asdict(config)


def _free() -> None:
    gc.collect()
    torch = sys.modules.get("torch")
    if torch is not None and torch.cuda.is_available():
        torch.cuda.empty_cache()
