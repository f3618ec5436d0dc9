"""Where, from what and how one trial ran: a document beside its record, bound to it by the record's digest.

A record decides a verdict and stays as it is; this explains it. What is equal for all trials of a process (packages, builds, device,
host, sources) stands once, in an environment that is named by its digest: the lock against which a trial can be run again.
Standard library only: the worker writes both.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from functools import cached_property

from repro.schema.canonical import digest_of
from repro.schema.errors import RecordError
from repro.schema.jsonform import from_json, parse_json, to_json
from repro.schema.trial import TrialRecord

ENVIRONMENT_VERSION = 1
PROVENANCE_VERSION = 1
PROVENANCE_FILE_VERSION = 1


@dataclass(frozen=True)
class TorchBuild:
    """The torch that was loaded."""

    version: str
    config: str
    """sha256 of `torch.__config__.show()`: compiler, BLAS, vector units, flags."""
    cuda: str | None
    cudnn: str | None
    blas: str
    """`mkl` with its version where torch was built with it, else `other`."""
    vector_units: str
    """What torch uses of the processor: `AVX2`, `AVX512`, ..."""
    interop_threads: int


@dataclass(frozen=True)
class Accelerator:
    """A CUDA device; what the driver does not say is None."""

    name: str
    compute_capability: str
    memory_gib: float
    count: int
    """Devices that the process saw."""
    driver: str | None = None
    max_clock_mhz: int | None = None
    max_memory_clock_mhz: int | None = None


@dataclass(frozen=True)
class Host:
    """The kind of machine, without its name."""

    kind: str
    """`bare metal`, `virtual machine`, `container`, or `container on a virtual machine`."""
    vendor: str | None
    """Of the machine or the cloud, as its firmware says."""
    system: str
    libc: str
    processor: str
    cores: int
    memory_gib: float
    core_limit: float | None
    """Cores that the control group allows; None for no limit."""
    memory_limit_gib: float | None


@dataclass(frozen=True)
class Environment:
    """Everything around a trial that no trial of its process changes."""

    python: str
    packages: tuple[str, ...]
    """The whole environment, `name==version`, sorted."""
    host: Host
    torch: TorchBuild | None
    """None where nothing had loaded torch."""
    accelerator: Accelerator | None
    commit: str | None
    """None for an installed package."""
    dirty: bool | None
    changes: str | None
    """sha256 of `git diff` and of the untracked files of repro, experiments and conf; None for a clean tree."""
    sources: Mapping[str, str]
    """sha256 of the recipe and of each module of this project that it imports."""
    variables: Mapping[str, str] = field(default_factory=dict)
    """Environment variables that change arithmetic or threads, where they are set."""
    version: int = ENVIRONMENT_VERSION

    @cached_property
    def digest(self) -> str:
        """Names the environment (64 hex digits)."""
        return digest_of(to_json(self))


@dataclass(frozen=True)
class Energy:
    """What counters of the hardware said; of the whole device, whoever else used it."""

    gpu_joule: float | None
    cpu_joule: float | None
    """Of all processor packages."""
    missing: str = ""
    """Why a figure is not there."""


@dataclass(frozen=True)
class TrialProvenance:
    """How one trial ran."""

    key: str
    record: str
    """Digest of the record that it belongs to."""
    environment: str
    """Digest of the `Environment`."""
    started: str
    finished: str
    side_by_side: int
    """Trials of the call of the recipe; energy and time are this trial's share."""
    threads: int
    seed: int
    """With which the worker seeded Python, NumPy and torch before the recipe seeded its own."""
    energy: Energy
    peak_rss_gib: float | None
    """The most memory that the process ever held until the trial ended."""
    peak_cuda_gib: float | None
    """The most that torch held allocated on the device since the trial, or the recipe itself, last set the count back."""
    flops: float | None
    """As the recipe counted."""
    flops_per_second: float | None
    """As achieved: those over the trial's own seconds, data and set-up included."""
    share_of_peak: float | None
    """Of the peak that the data sheet gives, for devices whose peak is known here."""
    clock_mhz: int | None
    """Of the device when the trial ended."""
    deterministic: bool
    """Whether deterministic algorithms were asked for."""
    not_deterministic: tuple[str, ...] | None
    """Operations that had no deterministic form; None where it was not asked for, so nobody looked."""
    settings: Mapping[str, str]
    """torch's settings that change arithmetic, as they stood when the trial ended."""
    version: int = PROVENANCE_VERSION
    digest: str = ""

    @property
    def figures(self) -> dict[str, float]:
        """What the trial took, by name: those figures that are known."""
        found = {
            "gpu_joule": self.energy.gpu_joule,
            "cpu_joule": self.energy.cpu_joule,
            "peak_cuda_gib": self.peak_cuda_gib,
            "flops_per_second": self.flops_per_second,
            "share_of_peak": self.share_of_peak,
        }
        return {name: value for name, value in found.items() if value is not None}

    def with_digest(self) -> "TrialProvenance":
        """Return the document with its digest filled in."""
        return replace(self, digest=self.content_digest())

    def content_digest(self) -> str:
        """Return the digest that the content deserves."""
        content = to_json(self)
        del content["digest"]
        return digest_of(content)


@dataclass(frozen=True)
class ProvenanceFile:
    """The provenance of an attempt's trials, as evidence carries it."""

    environments: Mapping[str, Environment]
    """By digest: those of the trials, and the one in which the attempt was sealed."""
    trials: tuple[TrialProvenance, ...]
    untold: tuple[str, ...] = ()
    """Digests of the records of which nothing is known: they are older than this file, or were brought without it."""
    version: int = PROVENANCE_FILE_VERSION

    def of(self, records: Iterable[str]) -> "ProvenanceFile":
        """Return what is told of these records, named by their digests, and which of them it says nothing of."""
        records = list(records)
        trials = tuple(told for told in self.trials if told.record in records)
        known = {told.record for told in trials}
        return replace(self, trials=trials, untold=tuple(digest for digest in records if digest not in known))


def provenance_name(record: TrialRecord) -> str:
    """Return where the provenance of a record lies, below `provenance/` of its directory."""
    return f"failed/{record.key}.{record.digest[:12]}.json" if record.status == "failed" else record.file_name


def read_environment(text: str, where: str) -> Environment:
    """Read an environment.

    Raises:
        RecordError: if it is damaged or of a newer version.
    """
    return from_json(Environment, _of_version(text, ENVIRONMENT_VERSION, where), where)


def read_provenance(text: str, where: str) -> TrialProvenance:
    """Read the provenance of one trial and check it against its own digest.

    Raises:
        RecordError: if it is damaged, edited or of a newer version.
    """
    return _whole(from_json(TrialProvenance, _of_version(text, PROVENANCE_VERSION, where), where), where)


def read_provenance_file(text: str, where: str) -> ProvenanceFile:
    """Read the provenance of an attempt's trials; every document in it is checked against its digest.

    Raises:
        RecordError: if it is damaged, edited or of a newer version, or a trial names an environment that is not there.
    """
    read = from_json(ProvenanceFile, _of_version(text, PROVENANCE_FILE_VERSION, where), where)
    for digest, environment in read.environments.items():
        if environment.digest != digest:
            raise RecordError(f"{where} holds an environment under the digest {digest[:12]}, which is not its own.")
    for trial in read.trials:
        if _whole(trial, where).environment not in read.environments:
            raise RecordError(f"{where} lacks the environment {trial.environment[:12]} of trial {trial.key[:8]}.")
    return read


def _whole(read: TrialProvenance, where: str) -> TrialProvenance:
    if read.digest != read.content_digest():
        raise RecordError(
            f"{where} was edited after it was written: the provenance of trial {read.key[:8]} has another digest than it carries."
        )
    return read


def _of_version(text: str, newest: int, where: str) -> object:
    content = parse_json(text, where)
    version = content.get("version") if isinstance(content, dict) else None
    if type(version) is int and version > newest:
        raise RecordError(
            f"{where} is of version {version}, and this installation reads {newest}. Install the one that wrote it."
        )
    return content
