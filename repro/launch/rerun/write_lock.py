"""Writes what is installed as a lock: this project's requirements and theirs, each at its version.

    python -m repro.launch.rerun.write_lock > requirements.lock

Packages that are here for other reasons (tests, a notebook) are left out, so that an image built from it holds what a run needs.
"""

import platform
import sys
import tomllib
from collections.abc import Iterable
from importlib.metadata import PackageNotFoundError, distribution

from packaging.requirements import Requirement

from repro.launch.provenance.origin import checkout
from repro.launch.rerun.environment_lock import requirements
from repro.schema.errors import ConfigError

EXTRAS = ("gpu",)


def locked(extras: Iterable[str] = EXTRAS) -> tuple[str, ...]:
    """Return `name==version` of the requirements in this checkout's pyproject.toml and of theirs, as they are installed, sorted.

    Raises:
        ConfigError: if there is no checkout, or a requirement is not installed.
    """
    place = checkout()
    if place is None:
        raise ConfigError(
            "A lock is written from a checkout, whose pyproject.toml says what is required. Clone the project."
        )
    project = tomllib.loads((place / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    own = [*project["dependencies"], *(text for extra in extras for text in project["optional-dependencies"][extra])]
    found: dict[str, str] = {}
    seen: set[tuple[str, tuple[str, ...]]] = set()
    waiting = [Requirement(text) for text in own]
    while waiting:
        wanted = waiting.pop()
        name, asked = wanted.name.lower().replace("_", "-").replace(".", "-"), tuple(sorted(wanted.extras))
        if (name, asked) in seen:
            continue
        seen.add((name, asked))
        try:
            here = distribution(wanted.name)
        except PackageNotFoundError:
            raise ConfigError(
                f"{wanted.name} is required and not installed here, so no lock can be written. Install it: "
                f"make .venv/.installed-test."
            ) from None
        found[name] = here.version
        needs = [Requirement(text) for text in here.requires or ()]
        waiting += [
            need
            for need in needs
            if need.marker is None or any(need.marker.evaluate({"extra": extra}) for extra in ("", *asked))
        ]
    return tuple(sorted(f"{name}=={version}" for name, version in found.items()))


if __name__ == "__main__":
    title = "What a run needs, as it was installed; written by `make lock`."
    sys.stdout.write(requirements(platform.python_version(), locked(), True, title))
