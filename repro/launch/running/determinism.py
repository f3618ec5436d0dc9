"""Seeds of the global generators, deterministic algorithms on request, and what was not deterministic. Imports no torch itself."""

import hashlib
import os
import random
import re
import sys
import warnings
from collections.abc import Iterator, Mapping, MutableMapping
from contextlib import contextmanager, suppress
from typing import Any

VARIABLE = "REPRO_DETERMINISTIC"
"""Asks for deterministic algorithms; an environment variable, so that every worker process of a launch inherits it."""
CUBLAS = "CUBLAS_WORKSPACE_CONFIG"
"""Must be set before cuBLAS starts, or its matrix products may differ from run to run."""
_NO_FORM = re.compile(r"(\S+) does not have a deterministic implementation")
_TORCH_SAYS = r"(?s).*(does not have a deterministic implementation|Deterministic behavior was enabled)"


def ask_for_determinism(environment: MutableMapping[str, str] = os.environ) -> None:
    """Ask for deterministic algorithms in this process and in those that it starts."""
    environment[VARIABLE] = "1"
    environment.setdefault(CUBLAS, ":4096:8")


def is_asked_for(environment: Mapping[str, str] = os.environ) -> bool:
    """Say whether deterministic algorithms were asked for."""
    return environment.get(VARIABLE, "") not in ("", "0")


def seed_of(key: str) -> int:
    """Return the seed of a trial's global generators, from its key: it differs from replicate to replicate."""
    return int.from_bytes(hashlib.sha256(f"global generators of {key}".encode()).digest()[:8], "big") >> 1


def seed_generators(seed: int) -> None:
    """Seed Python's, NumPy's and torch's global generators, those of them that are loaded.

    A recipe seeds what it draws from afterwards, from its own config. This is for what a recipe forgets: run again, it
    draws the same; and as the two seeds of a deterministic study differ here too, what it drew still gives it away.
    """
    random.seed(seed)
    if (numpy := sys.modules.get("numpy")) is not None:
        numpy.random.seed(seed % 2**32)
    if (torch := sys.modules.get("torch")) is not None:
        torch.manual_seed(seed)


@contextmanager
def arithmetic() -> Iterator[list[str] | None]:
    """Run deterministic algorithms inside, if they were asked for, and collect the operations that have none.

    Yields:
        The operations so far, by torch's names for them, each once; None where nothing was asked for.
    """
    torch = sys.modules.get("torch")
    if not is_asked_for() or torch is None:
        yield [] if is_asked_for() else None
        return
    found: list[str] = []
    cudnn = torch.backends.cudnn
    before = (torch.are_deterministic_algorithms_enabled(), torch.is_deterministic_algorithms_warn_only_enabled())
    flags = (cudnn.deterministic, cudnn.benchmark)
    torch.use_deterministic_algorithms(True, warn_only=True)
    cudnn.deterministic, cudnn.benchmark = True, False
    try:
        with warnings.catch_warnings():
            told = warnings.showwarning

            def listen(message: Warning | str, *rest: Any, **more: Any) -> None:
                operation = _operation(str(message))
                if operation is None:
                    told(message, *rest, **more)
                elif operation not in found:
                    found.append(operation)

            warnings.filterwarnings("always", message=_TORCH_SAYS)
            warnings.showwarning = listen
            yield found
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        cudnn.deterministic, cudnn.benchmark = flags


def _operation(message: str) -> str | None:
    """Return the operation that a warning of torch names, or None for another warning."""
    if named := _NO_FORM.search(message):
        return named[1].strip("`'\"")
    return "cuBLAS" if "Deterministic behavior was enabled" in message else None


def settings() -> dict[str, str]:
    """Return torch's settings that change arithmetic, as they stand now; nothing where torch is not loaded."""
    torch = sys.modules.get("torch")
    if torch is None:
        return {}
    found = {
        "deterministic_algorithms": str(torch.are_deterministic_algorithms_enabled()).lower(),
        "default_dtype": str(torch.get_default_dtype()).removeprefix("torch."),
    }
    with suppress(RuntimeError, AttributeError):  # newer versions refuse to say it where it was set in two ways
        found["float32_matmul_precision"] = torch.get_float32_matmul_precision()
    if torch.cuda.is_available():
        found["cudnn_benchmark"] = str(torch.backends.cudnn.benchmark).lower()
        found["cudnn_deterministic"] = str(torch.backends.cudnn.deterministic).lower()
    return found
