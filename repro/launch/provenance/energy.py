"""Energy by the counters of the hardware: NVML for a GPU, RAPL for processors. Where there is none, why."""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from repro.schema.trial_provenance import Energy

POWERCAP = Path("/sys/class/powercap")


@dataclass(frozen=True)
class Reading:
    """What the counters stood at."""

    gpu_millijoule: int | None
    cpu_microjoule: tuple[int, ...]
    missing: tuple[str, ...]


def read_counters(device: str, root: Path = POWERCAP) -> Reading:
    """Read the counters of the device that a trial runs on and of all processor packages.

    Args:
        device: `cpu` or `cuda`.
        root: where Linux shows its power zones.
    """
    missing, gpu = [], None
    if device == "cuda":
        gpu, why = _gpu_millijoule()
        missing += [why] if why else []
    cpu: tuple[int, ...] = ()
    zones = _zones(root)
    if zones:
        try:
            cpu = tuple(int((zone / "energy_uj").read_text()) for zone in zones)
        except PermissionError:
            missing.append("CPU: the counter (RAPL) is for root alone")
        except (OSError, ValueError):
            missing.append("CPU: the counter (RAPL) cannot be read")
    else:
        missing.append("CPU: no counter (RAPL) is shown here")
    return Reading(gpu, cpu, tuple(missing))


def energy_between(before: Reading, after: Reading, share: int, root: Path = POWERCAP) -> Energy:
    """Return the energy from one reading to the next, in joule.

    Args:
        before: at the start.
        after: at the end; counters that ran over once in between are put right.
        share: trials that ran side by side, each of which gets the same part.
        root: as for `read_counters`.
    """
    gpu = cpu = None
    if before.gpu_millijoule is not None and after.gpu_millijoule is not None:
        gpu = (after.gpu_millijoule - before.gpu_millijoule) / 1e3 / share
    if before.cpu_microjoule and len(before.cpu_microjoule) == len(after.cpu_microjoule):
        ranges = _ranges(root)
        steps = zip(before.cpu_microjoule, after.cpu_microjoule, ranges, strict=True)
        cpu = sum(end - start if end >= start else end - start + most for start, end, most in steps) / 1e6 / share
    return Energy(gpu, cpu, "; ".join(after.missing))


@cache
def _zones(root: Path) -> tuple[Path, ...]:
    """Return the zones of whole packages: their parts (cores, memory) are counted in them."""
    return tuple(sorted(zone for zone in root.glob("intel-rapl:*") if zone.name.count(":") == 1))


@cache
def _ranges(root: Path) -> tuple[int, ...]:
    return tuple(int((zone / "max_energy_range_uj").read_text()) for zone in _zones(root))


def _gpu_millijoule() -> tuple[int | None, str]:
    handle, why = nvml_device()
    if handle is None:
        return None, why
    nvml, device = handle
    try:
        return int(nvml.nvmlDeviceGetTotalEnergyConsumption(device)), ""
    except nvml.NVMLError as error:
        return None, f"GPU: NVML counts no energy here ({error})"


def nvml_device() -> tuple[tuple[Any, Any] | None, str]:
    """Return NVML and its handle of torch's current device, or None and why there is none."""
    torch = sys.modules.get("torch")
    if torch is None or not torch.cuda.is_available():
        return None, "GPU: torch sees none"
    return _handle(str(torch.cuda.get_device_properties(torch.cuda.current_device()).uuid))


@cache
def _handle(uuid: str) -> tuple[tuple[Any, Any] | None, str]:
    try:
        import pynvml
    except ImportError:
        return None, "GPU: nvidia-ml-py is not installed (pip install 'repro-tracker[gpu]')"
    name = uuid if uuid.startswith(("GPU-", "MIG-")) else f"GPU-{uuid}"
    try:
        pynvml.nvmlInit()
        return (pynvml, pynvml.nvmlDeviceGetHandleByUUID(name)), ""
    except pynvml.NVMLError as error:
        return None, f"GPU: NVML does not answer ({error})"
