"""An environment as a lock: what differs between then and now, and whether it can change a result."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from repro.schema.trial import TrialRecord
from repro.schema.trial_provenance import Environment

Matters = Literal["yes", "can", "no"]
_IMPORT = re.compile(r"^\s*(?:import|from)\s+([A-Za-z0-9_]+)", re.MULTILINE)
_ARITHMETIC = ("torch", "numpy", "scipy", "triton", "mkl", "tokenizers", "pandas")
"""Packages whose arithmetic or text work enters a result wherever they are used."""


@dataclass(frozen=True)
class Difference:
    """One thing that is not as it was."""

    what: str
    was: str
    now: str
    matters: Matters
    why: str


@dataclass(frozen=True)
class Known:
    """What is known of where a trial ran: an environment if one was kept, else what its record says."""

    python: str
    packages: Mapping[str, str]
    whole: bool
    """Whether the packages are all there were."""
    system: str
    processor: str
    device: str
    threads: int | None
    facts: Mapping[str, str]
    """Further things by name, compared where both sides know them."""


def known_of_record(record: TrialRecord, kept: Environment | None = None) -> Known:
    """Return what is known of where a trial ran.

    Args:
        record: of the trial.
        kept: its environment, where its provenance was kept.
    """
    machine = record.machine
    python = kept.python if kept else machine.python
    packages = dict(pair.split("==", 1) for pair in kept.packages) if kept else dict(record.packages)
    if machine.torch:
        packages["torch"] = machine.torch
    facts = facts_of(kept) if kept else {}
    return Known(
        python, packages, kept is not None, machine.system, machine.processor, machine.device, machine.threads, facts
    )


def facts_of(around: Environment) -> dict[str, str]:
    """Return what an environment says beside packages and machine, by name."""
    found = {
        "commit": f"{(around.commit or 'none')[:12]}{' with changes ' + around.changes[:12] if around.changes else ''}",
        "C library": around.host.libc,
        "kind of host": around.host.kind,
        **{f"variable {name}": value for name, value in around.variables.items()},
    }
    if around.torch is not None:
        build = around.torch
        found |= {
            "torch build": build.config[:12],
            "CUDA of torch": str(build.cuda),
            "cuDNN": str(build.cudnn),
            "BLAS of torch": build.blas,
            "vector units": build.vector_units,
        }
    if around.accelerator is not None:
        found["compute capability"] = around.accelerator.compute_capability
        if around.accelerator.driver:
            found["driver"] = around.accelerator.driver
    return found


_FACTS: Mapping[str, tuple[Matters, str]] = {
    "commit": ("no", "the recipe's sources are compared by themselves"),
    "C library": ("can", "its functions round the last digit in their own way"),
    "kind of host": ("no", "it changes times alone"),
    "torch build": ("can", "another compiler or other flags"),
    "CUDA of torch": ("can", "other kernels"),
    "cuDNN": ("can", "other kernels"),
    "BLAS of torch": ("can", "matrix products add in another order"),
    "vector units": ("can", "sums run over another width"),
    "compute capability": ("yes", "other kernels"),
    "driver": ("can", "it compiles and chooses kernels"),
}


def differences(then: Known, now: Known, sources: Mapping[str, str], timed: bool) -> list[Difference]:
    """Return what is not as it was, what can matter first.

    Args:
        then: where the trial ran.
        now: this process.
        sources: texts of the recipe and of what it imports: a package that none of them names hardly matters.
        timed: whether the trial measures time, which every part of the machine changes.
    """
    found = [*_of_machine(then, now, timed), *_of_packages(then, now, _imported(sources))]
    for name in sorted(then.facts.keys() & now.facts.keys()):
        if then.facts[name] != now.facts[name]:
            matters, why = _FACTS.get(name, ("can", "it changes threads or arithmetic"))
            found.append(Difference(name, then.facts[name], now.facts[name], matters, why))
    return sorted(found, key=lambda each: ("yes", "can", "no").index(each.matters))


def _of_machine(then: Known, now: Known, timed: bool) -> Iterator[Difference]:
    if then.device != now.device:
        yield Difference("device", then.device, now.device, "yes", "other kernels, another order of sums")
    if then.processor != now.processor:
        why = "it sets the time" if timed else "other vector units add in another order"
        yield Difference("processor", then.processor, now.processor, "yes" if timed else "can", why)
    if then.threads != now.threads:
        why = "it sets the time" if timed else "sums are split among threads"
        yield Difference("threads", str(then.threads), str(now.threads), "yes" if timed else "can", why)
    if then.system != now.system:
        yield Difference("system", then.system, now.system, "can", "another compiler built the packages")
    if then.python != now.python:
        minor = then.python.split(".")[:2] != now.python.split(".")[:2]
        why = "another language version" if minor else "a patch of the same version"
        yield Difference("Python", then.python, now.python, "can" if minor else "no", why)


def _of_packages(then: Known, now: Known, imported: frozenset[str]) -> Iterator[Difference]:
    names = then.packages.keys() | now.packages.keys() if then.whole and now.whole else then.packages.keys()
    for name in sorted(names):
        was, is_now = then.packages.get(name, "absent"), now.packages.get(name, "absent")
        if was == is_now:
            continue
        if name.split("-")[0] in imported or name in imported or name.startswith("nvidia-c"):
            yield Difference(name, was, is_now, "can", "the trial computes with it")
        else:
            yield Difference(name, was, is_now, "no", "the recipe does not import it")


def _imported(sources: Mapping[str, str]) -> frozenset[str]:
    """Return the packages that sources import, and what those compute with."""
    named = {name.lower() for text in sources.values() for name in _IMPORT.findall(text)}
    arithmetic = {name for name in _ARITHMETIC if name in named}
    return frozenset(named | (arithmetic and {"numpy", "triton", "mkl"}))


def requirements(python: str, packages: Sequence[str], whole: bool, title: str) -> str:
    """Return an environment as a requirements file: every package at its version, Python in the first lines.

    The part after `+` of a version (`2.13.0+cpu`) names a build that no index serves everywhere; it is left out, and said. The project
    itself is left out too: it is installed from its checkout.
    """
    lines = [f"# {title}", f"# python=={python}"]
    if not whole:
        lines.append("# Only the packages that its records name: the whole environment was not kept.")
    for pair in sorted(packages):
        name, _, version = pair.partition("==")
        public, plus, build = version.partition("+")
        if name != "repro-tracker":
            lines.append(f"{name}=={public}" + (f"  # was {version}, another build of it" if plus and build else ""))
    return "\n".join(lines) + "\n"
