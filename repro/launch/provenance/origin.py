"""Where and from what something ran: machine, packages, commit. No host name, no user, no path, no credential."""

import contextlib
import hashlib
import os
import platform
import subprocess
import sys
import time
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import repro
from repro.schema.confidential import without_secrets
from repro.schema.trial import Machine

PACKAGES = ("repro-tracker", "torch", "numpy", "scipy", "pandas", "hydra-core", "mlflow")
"""Packages whose versions can change a result or its record."""

_STARTED = time.time_ns()


@cache
def packages() -> dict[str, str]:
    """Return the installed versions of the packages that matter, looked up once: that takes milliseconds."""
    found = {}
    for name in PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            continue
    return found


def process_name() -> str:
    """Return a name of this operating-system process that no other process shares."""
    return hashlib.sha256(f"{platform.node()}:{os.getpid()}:{_STARTED}".encode()).hexdigest()[:16]


def machine(device: str) -> Machine:
    """Describe this machine; its fingerprint tells timings apart that must not be mixed."""
    torch = sys.modules.get("torch")
    processor, cores, memory = hardware()
    if device == "cuda" and torch is not None and torch.cuda.is_available():
        device = torch.cuda.get_device_name()
    threads = torch.get_num_threads() if torch is not None else 1
    torch_version = str(torch.__version__) if torch is not None else None
    facts = (processor, cores, memory, device, platform.system(), _node_id())
    return Machine(
        fingerprint=hashlib.sha256(repr(facts).encode()).hexdigest()[:32],
        processor=processor,
        cores=cores,
        memory_gib=memory,
        device=device,
        system=f"{platform.system()} {platform.machine()}",
        python=platform.python_version(),
        torch=torch_version,
        threads=threads,
    )


def cuda_is_here() -> bool:
    """Say whether torch is installed and finds a CUDA device."""
    try:
        import torch
    except ImportError:
        return False
    return bool(torch.cuda.is_available())


def cuda_devices() -> int:
    """Return how many CUDA devices torch finds here."""
    if not cuda_is_here():
        return 0
    import torch

    return torch.cuda.device_count()


def fingerprint(device: str) -> str:
    """Return the fingerprint of this machine for a device kind."""
    if device == "cuda":
        with contextlib.suppress(ImportError):
            import torch  # noqa: F401  the name of the GPU is part of the fingerprint
    return machine(device).fingerprint


@cache
def _node_id() -> str:
    """Return a digest of the machine's own id, so that two equal models stay two machines."""
    for file in ("/etc/machine-id", "/proc/sys/kernel/random/boot_id"):
        try:
            return hashlib.sha256(Path(file).read_bytes()).hexdigest()
        except OSError:
            continue
    return hashlib.sha256(platform.node().encode()).hexdigest()


@cache
def hardware() -> tuple[str, int, float]:
    """Return the processor's name, the cores, and the memory in GiB."""
    processor = platform.processor() or platform.machine()
    memory = 0.0
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                processor = line.partition(":")[2].strip()
                break
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    except (OSError, ValueError):
        pass
    return processor, os.cpu_count() or 1, round(memory, 1)


def attempt_provenance(command: tuple[str, ...]) -> dict[str, Any]:
    """Return what an attempt says of its origin: commit, whether the tree was dirty, packages, command."""
    return {
        "command": without_secrets(" ".join(command)),
        "commit": git("rev-parse", "HEAD"),
        "dirty": is_dirty(),
        "packages": packages(),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
    }


def is_dirty() -> bool | None:
    """Say whether the code differs from the commit; None where there is no checkout."""
    status = git("status", "--porcelain", "--untracked-files=all", "--", "repro", "experiments", "conf")
    return None if status is None else bool(status)


def checkout() -> Path | None:
    """Return the checkout that this package was imported from; None for an installed wheel."""
    place = Path(repro.__file__).resolve().parent.parent
    return place if (place / ".git").exists() else None


def git(*arguments: str) -> str | None:
    """Return what git says in the checkout that this package was imported from; None for an installed wheel."""
    return _git(*arguments)


def _git(*arguments: str) -> str | None:
    place = checkout()
    if place is None:
        return None
    try:
        done = subprocess.run(
            # A worker only looks: it must not wait for, or hold, the lock of the index.
            ["git", "--no-optional-locks", "-C", str(place), *arguments],
            capture_output=True,
            text=True,
            timeout=20,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout.strip()
