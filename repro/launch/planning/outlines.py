"""Sealed plans in outline: their trials and attempts, read quickly. Whoever runs or judges reads a plan whole, with every check."""

import contextlib
import json
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from repro.launch.planning.planfile import plan_document, read_plan
from repro.schema.canonical import digest_of
from repro.schema.errors import PlanError
from repro.schema.places import home_dir
from repro.schema.trial import PLAN_VERSION


@dataclass(frozen=True, slots=True)
class PlannedTrial:
    """A trial as it was planned."""

    key: str
    label: str
    recipe: str
    device: str
    precision: str
    config: Mapping[str, Any]
    cost: float | None
    """Expected FLOPs."""


@dataclass(frozen=True)
class Outline:
    """An attempt as it was sealed."""

    attempt: str
    """Its id."""
    claim: str
    trials: Mapping[str, PlannedTrial]
    """By key: those of all arms and looks."""
    created: str
    """When its plan was made, as ISO 8601."""
    command: str = ""
    """That sealed it; empty where nobody knows."""
    indicative: bool = False
    seeds: int = 1

    @property
    def elsewhere(self) -> bool:
        """Whether it was written to a plan file, for a worker on another machine."""
        words = self.command.split()
        return words[:2] == ["repro", "plan"] or (words[:2] == ["repro", "run"] and "executor=detached" in words)

    def again(self, new_seeds: bool = False) -> str:
        """Return the command that goes on with it; empty where nobody knows.

        Args:
            new_seeds: there is an earlier attempt of as many seeds, which the plain command would mean.
        """
        if self.elsewhere:
            return "python -m repro.launch.worker PLAN --out RECORDS, where it runs"
        words = self.command.split()
        if words[:2] != ["repro", "run"]:
            return ""
        words += ["--new-seeds"] * new_seeds + ["--indicative"] * self.indicative
        return shlex.join(words)


def outlines_here(pattern: str = "*") -> tuple[dict[str, Outline], list[PlanError]]:
    """Return the attempts that were sealed in this directory by id, and the errors of plans that cannot be read.

    Args:
        pattern: a glob over claims.
    """
    found: dict[str, Outline] = {}
    unreadable: list[PlanError] = []
    for file in sorted((home_dir() / "plans").glob("*.json")):
        try:
            found |= {each.attempt: each for each in outlines(file, pattern) if each.attempt not in found}
        except PlanError as error:
            unreadable.append(error)
    return found, unreadable


def outlines(file: Path, pattern: str = "*") -> list[Outline]:
    """Return the attempts that a plan file was made for.

    Raises:
        PlanError: if it is missing, damaged, edited, or of a newer version.
    """
    try:
        content = json.loads(file.read_bytes())
        whole = content["digest"] == digest_of({name: value for name, value in content.items() if name != "digest"})
        if not whole or content["plan"]["version"] != PLAN_VERSION:
            raise ValueError
        return list(_outlines(content, pattern))
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return list(_outlines(_read_whole(file), pattern))


def _read_whole(file: Path) -> dict[str, Any]:
    """Return a plan of an older version as one of this; raise what is wrong with any other."""
    return plan_document(read_plan(file))


def _outlines(content: Mapping[str, Any], pattern: str) -> Iterator[Outline]:
    plan, trials = content["plan"], {}
    for key, spec in zip(content["keys"], plan["trials"], strict=True):
        trials[key] = PlannedTrial(
            key, spec["label"], spec["recipe"], spec["device"], spec["precision"], spec["config"], spec["cost"]
        )
    for attempt, seal in zip(plan["attempts"], content["seals"], strict=True):
        if not attempt["requested"] or not fnmatchcase(attempt["claim"], pattern):
            continue
        place = f"{attempt['claim']}@{attempt['protocol']}@{attempt['scale']}"
        name = f"{seal[:8]}-{attempt['counter']}"
        keys = dict.fromkeys(key for arm in attempt["arms"].values() for key in arm)
        sealed = attempt["sealed"]
        yield Outline(
            attempt=f"{place}-{name}",
            claim=attempt["claim"],
            trials={key: trials[key] for key in keys},
            created=plan["created"],
            command=_command(home_dir() / "attempts" / place / name),
            indicative=bool(sealed.get("indicative")),
            seeds=len(sealed["replicates"]),
        )


def _command(pointer: Path) -> str:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return str(json.loads(pointer.read_text(encoding="utf-8"))["provenance"]["command"])
    return ""
