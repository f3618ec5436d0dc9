"""How the ledger spells things in MLflow: tags, metrics, and names that MLflow accepts."""

import json
import re
from collections.abc import Iterable, Mapping

ATTEMPT = "repro.attempt"
CLAIM = "repro.claim"
PAPER = "repro.paper"
PROTOCOL = "repro.protocol"
KIND = "repro.kind"
SCALE = "repro.scale"
STUDY = "repro.study"
EXECUTION = "repro.execution"
VERDICT = "repro.verdict"
REASON = "repro.reason"
VALIDITY = "repro.validity"
EXPLORATORY = "repro.exploratory"
SEAL = "repro.seal"
PARTS = "repro.parts"
PART_VERDICT = "repro.part_verdict"
PART_REASON = "repro.part_reason"
DEVIATION_SCALE = "repro.deviation_scale"
STARTED = "repro.started"
ORIGIN = "repro.origin"
"""Digest of the evidence with which an attempt came from other people."""
ORIGIN_CHECKED = "repro.origin_checked"
"""What vouches for that evidence: `digest`, `key` or `nothing`."""
GIT_COMMIT = "mlflow.source.git.commit"
GIT_DIRTY = "repro.git_dirty"
TRIALS = "repro.trials"
"""Run ids of an attempt's trials, as JSON; continued in `repro.trials.2` and so on where they are many."""

CONTENT = "repro.content"
"""Digest of all that was written of an attempt; set last, so that a run without it was cut short."""
FIGURE = "repro.figure"
"""Digest of the verdict that the attempt's figure shows."""
KEPT = "repro.kept"
"""Artifacts that are written once and kept as they are, by name."""
CALIBRATION = "repro.calibration"
"""Digest of the calibration of the attempt's seal, where there is one."""
ANNOTATIONS = "repro.annotations"
"""How many entries people have added to the attempt."""
LAST_ANNOTATION = "repro.last_annotation"
"""Digest of the last of them: that one is missing shows."""

HEAD = (ATTEMPT, CLAIM, SEAL, CALIBRATION, ANNOTATIONS, LAST_ANNOTATION)
"""What tells of an attempt's run which files to read; the files tell the rest."""

TRIAL_KEY = "repro.trial_key"
RECORD = "repro.record"
"""Digest of a trial's record."""

PAPER_PREFIX = "paper/"
STUDY_PREFIX = "study/"
IMPORTED_PREFIX = "imported/"
"""Trials of other people, by study: apart from ours, for a trial has the same key wherever it ran."""

TERMINAL = ("FINISHED", "FAILED")
"""Statuses of a run that has ended."""

NOTE = "mlflow.note.content"
"""What MLflow shows as the description of a run or experiment."""

MAX_NAME = 250
MAX_TAG = 8000
MAX_PARAM = 6000
ITEMS_A_TAG = 200
"""Run ids (36 characters each in JSON) that fit into one tag."""


def safe_names(names: Iterable[str]) -> dict[str, str]:
    """Return for each name one that MLflow takes for a metric, param or tag; different names stay different.

    MLflow takes letters, digits and `_ - . / space`, as a path without empty, `.` or `..` steps, up to 250 characters.

    >>> safe_names(["loss", "R²@k", "R³@k"])
    {'loss': 'loss', 'R²@k': 'R²_k', 'R³@k': 'R³_k'}
    >>> safe_names(["a@b", "a#b"])
    {'a@b': 'a_b', 'a#b': 'a_b-2'}
    """
    safe: dict[str, str] = {}
    for name in names:
        steps = [step for step in re.sub(r"[^\w\-./ ]", "_", name).split("/") if step not in ("", ".", "..")]
        base = "/".join(steps)[: MAX_NAME - 50] or "_"
        candidate, count = base, 1
        while candidate in safe.values():
            count += 1
            candidate = f"{base}-{count}"
        safe[name] = candidate
    return safe


def cut(text: str, length: int, whole: str) -> str:
    """Return a text of at most `length` characters; one that is cut ends by saying where the whole text is."""
    if len(text) <= length:
        return text
    note = f" ... (cut; the whole is in {whole})"
    return text[: length - len(note)] + note


def list_tags(name: str, items: Iterable[str]) -> dict[str, str]:
    """Return a list as JSON in one tag, or in several (`name`, `name.2`, ...) where it is long."""
    every = list(items)
    chunks = [every[i : i + ITEMS_A_TAG] for i in range(0, len(every), ITEMS_A_TAG)] or [[]]
    return {name if i == 0 else f"{name}.{i + 1}": json.dumps(chunk) for i, chunk in enumerate(chunks)}


def read_list(tags: Mapping[str, str], name: str) -> list[str]:
    """Return the list that `list_tags` wrote; empty if there is none."""
    items: list[str] = []
    number = 1
    while text := tags.get(name if number == 1 else f"{name}.{number}"):
        items += json.loads(text)
        number += 1
    return items
