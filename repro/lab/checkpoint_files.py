"""Checkpoints on disk: each a directory that is there whole or not at all, checked before it is read. No torch.

One directory `step_<number>` a checkpoint, with a `manifest.json` of what it holds: the trial, the step, the processes, the
seconds spent so far, and the sha256 of every file. What is damaged is set aside in `damaged/`.
"""

import contextlib
import hashlib
import json
import os
import shutil
import time
import warnings
from dataclasses import dataclass
from pathlib import Path

from repro.schema.errors import RecordError
from repro.schema.files import write_atomically

FORMAT = 1
"""Raised when the layout changes."""
KEPT = 2
"""Checkpoints that are kept: should the last one be damaged, there is the one before."""
MANIFEST = "manifest.json"
RESUMED = "resumed.json"
"""Beside the checkpoints: from which one the trial goes on, for whoever writes its record."""


@dataclass(frozen=True)
class Found:
    """A checkpoint whose files are as they were written."""

    path: Path
    step: int
    """Steps that were done."""
    seconds: float
    """Spent on them, over all starts of the trial."""


def building_place(directory: Path, step: int) -> Path:
    """Return where the checkpoint of a step is written before it is published."""
    return directory / f".step_{step:012d}"


def begin(directory: Path, step: int) -> None:
    """Make the place for a new checkpoint, and remove what killed processes left unfinished."""
    for left_over in directory.glob(".step_*"):
        shutil.rmtree(left_over, ignore_errors=True)
    building_place(directory, step).mkdir(parents=True)


def publish(directory: Path, step: int, *, trial: str, processes: int, seconds: float) -> None:
    """Make the checkpoint that was written at its building place the newest one, and remove the oldest.

    Raises:
        OSError: if the disk is full or cannot be written.
    """
    building, place = building_place(directory, step), directory / f"step_{step:012d}"
    files = {str(file.relative_to(building)): file for file in sorted(building.rglob("*")) if file.is_file()}
    manifest = {
        "format": FORMAT,
        "trial": trial,
        "step": step,
        "processes": processes,
        "seconds": seconds,
        "files": {name: _synced_digest(file) for name, file in files.items()},
    }
    (building / MANIFEST).write_text(json.dumps(manifest, indent=1) + "\n", encoding="utf-8")
    _synced_digest(building / MANIFEST)
    for folder in [building, *(path for path in building.rglob("*") if path.is_dir())]:
        _sync(folder)
    shutil.rmtree(place, ignore_errors=True)
    building.rename(place)
    _sync(directory)
    for old in _checkpoints(directory)[KEPT:]:
        shutil.rmtree(old, ignore_errors=True)


def newest(directory: Path, *, trial: str, processes: int) -> Found | None:
    """Return the newest whole checkpoint, or None; damaged ones are set aside, with a warning.

    Raises:
        RecordError: if it is another trial's: of other sources, another config, or another number of processes.
    """
    for place in _checkpoints(directory):
        try:
            manifest = json.loads((place / MANIFEST).read_text(encoding="utf-8"))
            found = Found(place, int(manifest["step"]), float(manifest["seconds"]))
            whose = (manifest["format"], manifest["trial"], manifest["processes"])
            for name, sha256 in manifest["files"].items():
                if _digest(place / name) != sha256:
                    raise ValueError(f"{name} must have the sha256 {sha256}")
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as reason:
            _set_aside(place, reason)
            continue
        if whose != (FORMAT, trial, processes):
            raise RecordError(
                f"checkpoints/{directory.name}/{place.name} is a checkpoint of another trial: it must be of trial {trial[:12]}, {processes} "
                f"process{'' if processes == 1 else 'es'} and format {FORMAT}, and is of trial {str(whose[1])[:12]}, "
                f"{whose[2]} and format {whose[0]}. A trial goes on with its own sources and config alone. Remove "
                f"checkpoints/{directory.name} in the record directory, and it starts anew."
            )
        return found
    return None


def note_resumed(directory: Path, found: Found) -> None:
    """Leave word of the checkpoint from which the trial goes on."""
    write_atomically(directory / RESUMED, json.dumps({"step": found.step, "seconds": found.seconds}) + "\n")


def seconds_before(directory: Path) -> float:
    """Return the seconds that earlier starts had spent when they wrote the checkpoint that was resumed; 0 if none was."""
    try:
        return float(json.loads((directory / RESUMED).read_text(encoding="utf-8"))["seconds"])
    except (OSError, ValueError, KeyError, TypeError):
        return 0.0


def exist(directory: Path) -> bool:
    """Say whether there is a checkpoint, whole or not."""
    return bool(_checkpoints(directory))


def _checkpoints(directory: Path) -> list[Path]:
    return sorted(directory.glob("step_*"), reverse=True)


def _set_aside(place: Path, reason: Exception) -> None:
    warnings.warn(f"{place} is damaged and was set aside; the checkpoint before it is used: {reason}", stacklevel=4)
    aside = place.parent / "damaged" / f"{place.name}.{time.time_ns()}"
    aside.parent.mkdir(exist_ok=True)
    os.replace(place, aside)


def _digest(file: Path) -> str:
    with file.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _synced_digest(file: Path) -> str:
    _sync(file)
    return _digest(file)


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        with contextlib.suppress(PermissionError):  # some network file systems refuse it for folders
            os.fsync(handle)
    finally:
        os.close(handle)
