"""Who made a bundle, and with what: what only they can know, and what to install to make it again."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from platform import machine, processor, system
from typing import Any

from repro.cite.evidence.dossier import Dossier
from repro.cite.verification.findings import WORD, Finding, Status
from repro.judge.numbers import when
from repro.judge.reading import SOURCES
from repro.schema.verdict import Attempt

PACKAGE = "repro-tracker"
_NUMERIC = ("numpy", "scipy")


@dataclass(frozen=True)
class Producer:
    """What an attempt says of where it was made."""

    version: str | None
    commit: str | None
    dirty: bool | None
    platform: tuple[str | None, ...]
    """Versions of numpy and scipy, operating system and instruction set."""

    @classmethod
    def of(cls, provenance: Any) -> "Producer":
        """Read a provenance; what is not there, or is of another type, is None."""
        told = provenance if isinstance(provenance, Mapping) else {}
        packages = told.get("packages")
        packages = packages if isinstance(packages, Mapping) else {}
        dirty = told.get("dirty")
        return cls(
            _text(packages.get(PACKAGE)),
            _text(told.get("commit")),
            dirty if isinstance(dirty, bool) else None,
            (*(_text(packages.get(name)) for name in _NUMERIC), _text(told.get("system"))),
        )

    @property
    def other_version(self) -> bool:
        """Whether another version of this package made it, by its own account."""
        return self.version is not None and self.version != _installed(PACKAGE)

    @property
    def blame(self) -> Status:
        """What a text that comes out otherwise here means: an edit, unless another version wrote it."""
        return "unknown" if self.other_version else "fails"

    @property
    def cure(self) -> str:
        """What to install to check it as it was made."""
        if self.commit is not None:
            what = f"check out commit {self.commit[:40]}" + (f" ({PACKAGE} {self.version})" if self.version else "")
            return f"To check it as it was made, {what}, and verify it there."
        if self.version is not None:
            return f"To check it as it was made, install {PACKAGE} {self.version[:40]}, and verify it there."
        return "It does not say which version made it; ask its producer."


def producer_of(attempt: Attempt) -> Producer:
    """Return what an attempt says of where it was made."""
    return Producer.of(attempt.provenance)


def same_arithmetic(dossier: Dossier, producer: Producer) -> bool:
    """Say whether numpy, scipy and processor are the producer's, so that floating point must agree to the last digit."""
    here = (*(_installed(name) for name in _NUMERIC), f"{system()} {machine()}")
    processors = {record.machine.processor for record in dossier.records}
    return producer.platform == here and processors <= {_processor()}


def stated(dossier: Dossier, producer: Producer) -> Iterator[Finding]:
    """Yield what no check of a bundle can show."""
    attempt = dossier.attempt
    commit = f"commit {producer.commit[:12]}" if producer.commit else "an unknown commit"
    tree = {True: "edited since", False: "with a clean tree", None: "whether clean or edited is not said"}[
        producer.dirty
    ]
    yield _word(f"It was launched from {commit}, {tree}.")
    yield _word(
        f"The seal came first and the trials ran {_span(attempt)}, on {_machines(dossier)}: the records say so, and "
        f"clocks and digests are the producer's own."
    )
    yield _word(
        "The rows are what the recipe gave. Only running it again can show that: "
        f"repro run {attempt.claim} scale={attempt.scale}."
    )
    yield _word("Nothing was left out: no other seeds, failed runs or attempts that came out otherwise.")
    for source in sorted({part.target.source for part in attempt.sealed.parts.values()}):
        count = sum(part.target.source == source for part in attempt.sealed.parts.values())
        values = "The published value is" if len(attempt.sealed.parts) == 1 else f"{count} published values are"
        yield _word(f"{values} {source} ({SOURCES[source]}), at: {dossier.claim.locator}.")
    if dossier.figure is not None:
        yield _word("figure.svg is the producer's drawing: it has the digest that is listed, and was not drawn again.")


def _word(sentence: str) -> Finding:
    return Finding("stated", sentence, WORD)


def _span(attempt: Attempt) -> str:
    start, end = when(attempt.started), when(attempt.finished)
    return f"on {start}" if start == end else f"from {start} to {end}"


def _machines(dossier: Dossier) -> str:
    names = sorted({f"{r.machine.device} ({r.machine.processor}, {r.machine.system})" for r in dossier.records})
    return " and ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value.strip() else None


@cache
def _installed(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


@cache
def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, processor() or machine())
