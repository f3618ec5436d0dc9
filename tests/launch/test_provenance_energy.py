"""Counters of energy: RAPL below a made-up root, NVML as a made-up module."""

import sys
from pathlib import Path
from types import SimpleNamespace

import pytest

from repro.launch.provenance import energy
from repro.launch.provenance.energy import energy_between, read_counters
from repro.launch.provenance.peaks import peak_flops


def zone(root: Path, name: str, microjoule: int, most: int = 1_000_000) -> None:
    place = root / name
    place.mkdir(parents=True, exist_ok=True)
    (place / "energy_uj").write_text(f"{microjoule}\n")
    (place / "max_energy_range_uj").write_text(f"{most}\n")


def test_packages_are_added_and_their_parts_are_not(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 100)
    zone(tmp_path, "intel-rapl:1", 200)
    zone(tmp_path, "intel-rapl:0:0", 50)
    before = read_counters("cpu", tmp_path)
    zone(tmp_path, "intel-rapl:0", 400_100)
    zone(tmp_path, "intel-rapl:1", 600_200)
    zone(tmp_path, "intel-rapl:0:0", 90_000)
    found = energy_between(before, read_counters("cpu", tmp_path), 2, tmp_path)
    assert found.cpu_joule == pytest.approx(0.5)  # a million microjoule, for two trials side by side
    assert (found.gpu_joule, found.missing) == (None, "")


def test_a_counter_that_ran_over_is_put_right(tmp_path: Path) -> None:
    zone(tmp_path, "intel-rapl:0", 900_000)
    before = read_counters("cpu", tmp_path)
    zone(tmp_path, "intel-rapl:0", 100_000)
    assert energy_between(before, read_counters("cpu", tmp_path), 1, tmp_path).cpu_joule == pytest.approx(0.2)


def test_what_cannot_be_read_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    nothing = read_counters("cpu", tmp_path / "none")
    assert energy_between(nothing, nothing, 1).missing == "CPU: no counter (RAPL) is shown here"
    zone(tmp_path, "intel-rapl:0", 1)

    def refuse(self: Path, *rest: object, **more: object) -> str:
        raise PermissionError

    monkeypatch.setattr(Path, "read_text", refuse)
    assert "for root alone" in read_counters("cpu", tmp_path).missing[0]


class Nvml:
    """As much of nvidia-ml-py as is asked."""

    class NVMLError(Exception):
        pass

    NVML_CLOCK_SM = NVML_CLOCK_MEM = 0

    def __init__(self) -> None:
        self.millijoule, self.asked = 5_000, ""

    def nvmlInit(self) -> None: ...

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> str:
        self.asked = uuid
        return "device"

    def nvmlDeviceGetTotalEnergyConsumption(self, device: str) -> int:
        self.millijoule += 2_000
        return self.millijoule


@pytest.fixture
def gpu(monkeypatch: pytest.MonkeyPatch) -> Nvml:
    properties = SimpleNamespace(uuid="12-ab")
    cuda = SimpleNamespace(
        is_available=lambda: True, current_device=lambda: 0, get_device_properties=lambda device: properties
    )
    nvml = Nvml()
    monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(cuda=cuda))
    monkeypatch.setitem(sys.modules, "pynvml", nvml)
    energy._handle.cache_clear()
    yield nvml
    energy._handle.cache_clear()


def test_the_counter_of_the_device_that_torch_uses_is_read(gpu: Nvml, tmp_path: Path) -> None:
    before, after = read_counters("cuda", tmp_path), read_counters("cuda", tmp_path)
    assert energy_between(before, after, 1, tmp_path).gpu_joule == pytest.approx(2.0)
    assert gpu.asked == "GPU-12-ab"


def test_a_device_without_a_counter_says_so(gpu: Nvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(device: str) -> int:
        raise Nvml.NVMLError("Not Supported")

    monkeypatch.setattr(gpu, "nvmlDeviceGetTotalEnergyConsumption", refuse)
    found = energy_between(*[read_counters("cuda", tmp_path)] * 2, share=1, root=tmp_path)
    assert found.gpu_joule is None
    assert "GPU: NVML counts no energy here (Not Supported)" in found.missing


def test_without_the_library_the_reason_names_it(gpu: Nvml, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pynvml", None)
    energy._handle.cache_clear()
    assert "nvidia-ml-py is not installed" in read_counters("cuda", tmp_path).missing[0]


def test_a_peak_is_said_only_where_it_is_known() -> None:
    assert peak_flops("NVIDIA H200", "bfloat16") == 989.5e12
    assert peak_flops("NVIDIA H100 PCIe", "bfloat16") == 756e12
    assert peak_flops("NVIDIA A100-SXM4-80GB", "float32") == 19.5e12
    assert peak_flops("NVIDIA A100-SXM4-80GB", "float32", "high") is None  # then tensor cores work too
    assert peak_flops("cpu", "float32") is None


def test_a_device_is_described_with_driver_and_clocks(gpu: Nvml, monkeypatch: pytest.MonkeyPatch) -> None:
    from repro.launch.provenance.environment import _accelerator
    from repro.schema.trial_provenance import Accelerator

    facts = SimpleNamespace(uuid="12-ab", name="NVIDIA H200", major=9, minor=0, total_memory=140 * 2**30)
    cuda = SimpleNamespace(
        is_available=lambda: True,
        current_device=lambda: 0,
        get_device_properties=lambda device: facts,
        device_count=lambda: 2,
    )
    torch = SimpleNamespace(cuda=cuda)
    monkeypatch.setitem(sys.modules, "torch", torch)
    for name, said in (("nvmlSystemGetDriverVersion", "570.1"), ("nvmlDeviceGetMaxClockInfo", 1980)):
        monkeypatch.setattr(gpu, name, lambda *_, said=said: said, raising=False)
    assert _accelerator(torch) == Accelerator("NVIDIA H200", "9.0", 140.0, 2, "570.1", 1980, 1980)
    cuda.is_available = lambda: False
    assert _accelerator(torch) is None
