"""The environment of this process, gathered once: packages, torch, device, host, commit, sources. No name, no path, no credential."""

import hashlib
import os
import platform
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from repro.catalog.recipe import sources_of
from repro.launch.provenance.energy import nvml_device
from repro.launch.provenance.origin import checkout, git, hardware, is_dirty
from repro.schema.canonical import text_digest
from repro.schema.confidential import without_secrets
from repro.schema.trial_provenance import Accelerator, Environment, Host, TorchBuild

VARIABLES = (
    "OMP_NUM_THREADS",
    "MKL_NUM_THREADS",
    "OPENBLAS_NUM_THREADS",
    "CUBLAS_WORKSPACE_CONFIG",
    "NVIDIA_TF32_OVERRIDE",
    "PYTORCH_CUDA_ALLOC_CONF",
    "PYTHONHASHSEED",
)
CODE = ("repro", "experiments", "conf")
"""Folders of the checkout that decide what a trial does."""


def environment(recipes: tuple[str, ...], device: str) -> Environment:
    """Return the environment of this process.

    Args:
        recipes: whose sources are named.
        device: `cpu` or `cuda`; of a GPU that nothing of this process uses, nothing is said.
    """
    return _environment(recipes, device, "torch" in sys.modules)


@cache
def _environment(recipes: tuple[str, ...], device: str, with_torch: bool) -> Environment:
    torch = sys.modules.get("torch") if with_torch else None
    sources = {name: text for recipe in recipes for name, text in sources_of(recipe).items()}
    return Environment(
        python=platform.python_version(),
        packages=installed(),
        host=host(),
        torch=None if torch is None else _torch_build(torch),
        accelerator=_accelerator(torch) if device == "cuda" and torch is not None else None,
        commit=git("rev-parse", "HEAD"),
        dirty=is_dirty(),
        changes=changes_digest(),
        sources={name: text_digest(text) for name, text in sorted(sources.items())},
        variables={name: without_secrets(os.environ[name]) for name in VARIABLES if os.environ.get(name)},
    )


def installed(path: tuple[str, ...] | None = None) -> tuple[str, ...]:
    """Return `name==version` of every package on the path, sorted; of two of one name, the one that is imported.

    The names of their directories are read, not their files: 200 packages take milliseconds.
    """
    found: dict[str, str] = {}
    for entry in sys.path if path is None else path:
        try:
            inside = sorted(os.listdir(entry or "."))
        except OSError:  # a zip, or a place that is not there
            continue
        for directory in inside:
            stem, _, kind = directory.rpartition(".")
            if kind in ("dist-info", "egg-info") and "-" in stem:
                name, version = stem.split("-")[:2]
                found.setdefault(name.lower().replace("_", "-").replace(".", "-"), version)
    return tuple(sorted(f"{name}=={version}" for name, version in found.items()))


@cache
def changes_digest() -> str | None:
    """Return the sha256 of what differs from the commit in the code, untracked files included; None if nothing does.

    The changes themselves are not kept: whoever has them can tell that they are these.
    """
    place = checkout()
    if place is None or not is_dirty():
        return None
    digest = hashlib.sha256()
    try:
        for command in (
            ["diff", "--no-ext-diff", "--binary", "HEAD"],
            ["ls-files", "--others", "--exclude-standard", "-z"],
        ):
            digest.update(
                subprocess.run(
                    ["git", "-C", str(place), *command, "--", *CODE], capture_output=True, timeout=20, check=True
                ).stdout
            )
        others = git("ls-files", "--others", "--exclude-standard", "-z", "--", *CODE) or ""
        for name in sorted(filter(None, others.split("\0"))):
            digest.update((place / name).read_bytes())
    except (OSError, subprocess.SubprocessError):
        return None
    return digest.hexdigest()


@cache
def host(root: Path = Path("/")) -> Host:
    """Return what kind of machine this is.

    Args:
        root: of the file system, whose `proc` and `sys` are read.
    """
    processor, cores, memory = hardware()
    cores_allowed, memory_allowed = _limits(root)
    return Host(
        kind=_kind(root),
        vendor=without_secrets(_read(root / "sys/class/dmi/id/sys_vendor").strip()) or None,
        system=f"{platform.system()} {platform.machine()}",
        libc=" ".join(filter(None, platform.libc_ver())),
        processor=processor,
        cores=cores,
        memory_gib=memory,
        core_limit=cores_allowed,
        memory_limit_gib=memory_allowed,
    )


def _kind(root: Path) -> str:
    inside = (root / ".dockerenv").exists() or (root / "run/.containerenv").exists()
    inside = inside or any(
        word in _read(root / "proc/1/cgroup") for word in ("docker", "kubepods", "containerd", "lxc")
    )
    flags = next((line for line in _read(root / "proc/cpuinfo").splitlines() if line.startswith("flags")), "")
    virtual = " hypervisor" in flags
    if inside:
        return "container on a virtual machine" if virtual else "container"
    return "virtual machine" if virtual else "bare metal"


def _limits(root: Path) -> tuple[float | None, float | None]:
    """Return the cores and the GiB that the control group allows (version 2, else version 1)."""
    group = root / "sys/fs/cgroup"
    quota, period = [*_read(group / "cpu.max").split(), "", ""][:2]
    quota = quota or _read(group / "cpu/cpu.cfs_quota_us").strip()
    period = period or _read(group / "cpu/cpu.cfs_period_us").strip()
    memory = (_read(group / "memory.max") or _read(group / "memory/memory.limit_in_bytes")).strip()
    cores = int(quota) / int(period) if quota.isdigit() and period.isdigit() and int(period) else None
    # Without a limit, version 1 says a number near 2**63.
    return cores, round(int(memory) / 2**30, 2) if memory.isdigit() and int(memory) < 2**60 else None


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _torch_build(torch: Any) -> TorchBuild:
    config = torch.__config__.show()
    mkl = next((line.strip(" -") for line in config.splitlines() if "Math Kernel Library Version" in line), "")
    cudnn = torch.backends.cudnn.version() if torch.cuda.is_available() else None
    return TorchBuild(
        version=str(torch.__version__),
        config=hashlib.sha256(config.encode()).hexdigest(),
        cuda=torch.version.cuda,
        cudnn=str(cudnn) if cudnn else None,
        blas=" ".join(["mkl", *mkl.partition("Version ")[2].split()[:1]]) if mkl else "other",
        vector_units=str(torch.backends.cpu.get_cpu_capability()),
        interop_threads=torch.get_num_interop_threads(),
    )


def _accelerator(torch: Any) -> Accelerator | None:
    if not torch.cuda.is_available():
        return None
    facts = torch.cuda.get_device_properties(torch.cuda.current_device())
    more: Mapping[str, Any] = {}
    handle, _ = nvml_device()
    if handle is not None:
        nvml, device = handle
        with suppress(nvml.NVMLError):
            more = {
                "driver": str(nvml.nvmlSystemGetDriverVersion()),
                "max_clock_mhz": int(nvml.nvmlDeviceGetMaxClockInfo(device, nvml.NVML_CLOCK_SM)),
                "max_memory_clock_mhz": int(nvml.nvmlDeviceGetMaxClockInfo(device, nvml.NVML_CLOCK_MEM)),
            }
    return Accelerator(
        name=str(facts.name),
        compute_capability=f"{facts.major}.{facts.minor}",
        memory_gib=round(facts.total_memory / 2**30, 1),
        count=torch.cuda.device_count(),
        **more,
    )
