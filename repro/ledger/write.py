"""Attempts and trials into MLflow. Writing again repairs what a crash cut short and changes nothing else."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, TypeVar

from repro.ledger import names
from repro.ledger.calibrations import (
    CALIBRATION_FILE,
    cached_or_none,
    calibration_digest,
    calibration_metrics,
    calibration_text,
    is_calibration_metric,
)
from repro.ledger.content import (
    CONFIG_FILE,
    FIGURE_FILE,
    Point,
    attempt_files,
    attempt_metrics,
    attempt_tags,
    blocked_metrics,
    blocked_tags,
    milliseconds,
    params,
    trial_files,
    trial_points,
    trial_tags,
)
from repro.ledger.names import NOTE, TERMINAL, safe_names
from repro.ledger.note import attempt_note, blocked_note, paper_note, study_note, trial_note
from repro.ledger.runs import RECORD_FILE, RecordedTrial, find_runs, linked_trials
from repro.ledger.sql import RunRow
from repro.schema.calibration import Calibration
from repro.schema.canonical import digest_of
from repro.schema.claim import Claim, Paper
from repro.schema.jsonform import to_json
from repro.schema.trial import TrialRecord
from repro.schema.verdict import Attempt

if TYPE_CHECKING:
    from repro.ledger.writer import Writer

T = TypeVar("T")

A_TRANSACTION = 50
"""Trials or attempts written at once: whoever else uses the store waits meanwhile, for a second or two."""

STATUS: Mapping[str, str] = {
    "completed": "FINISHED",
    "failed": "FAILED",
    "running": "RUNNING",
    "planned": "SCHEDULED",
    "blocked": "SCHEDULED",
}
"""MLflow's run status for each execution."""


def record_attempts(
    attempts: Sequence[tuple[Attempt, Paper, Claim]],
    trials: Mapping[str, TrialRecord],
    figures: Mapping[str, str],
    failures: Iterable[TrialRecord] = (),
    keep: Mapping[str, Mapping[str, str]] = {},
    *,
    theirs: bool = False,
    ran: Mapping[str, Mapping[str, float]] = {},
) -> None:
    """Write attempts and their trials to the ledger.

    Idempotent: a trial that is there is left alone, an attempt that is there is brought up to date in place (its
    verdict, validity, artifacts), and whatever a crash cut short is completed. An attempt that is written again
    without some of its trials keeps those that the ledger has. If this directory holds a calibration of an attempt's seal, the
    attempt carries it.

    Args:
        attempts: each with its paper and claim.
        trials: their records, by trial key.
        figures: SVG text by attempt id; an attempt without one keeps the figure it has.
        failures: records of failed runs of these trials, which are no data but are shown.
        keep: artifacts by attempt id, text by name, that are written once: one that is there already stays as it is.
        theirs: whether other people made them. Their trials are kept apart from ours, which have the same keys.
        ran: what trials took, such as energy, as metrics by name and by digest of the record; logged as `ran/<name>`.

    Raises:
        StoreError: if the store cannot be created, locked, reached or written.
    """
    from repro.ledger.writer import writing

    recorded: dict[str, list[RecordedTrial]] = {}
    prefix = names.IMPORTED_PREFIX if theirs else names.STUDY_PREFIX
    # Others may write in between: a launch of ten thousand trials must not keep a whole team waiting.
    for records in _batches([*failures, *trials.values()]):
        with writing() as writer:
            for trial in _record_trials(writer, records, prefix, ran):
                recorded.setdefault(trial.record.key, []).append(trial)
    for some in _batches(attempts):
        with writing() as writer:
            there = _by_attempt([attempt.id for attempt, _, _ in some])
            known = {item[0].id: _trials_of(item[0], recorded, there.get(item[0].id)) for item in some}
            with writer.transaction():
                for attempt, paper, claim in some:
                    tags = {
                        **attempt_tags(attempt, paper, [trial.run_id for trial in known[attempt.id]]),
                        NOTE: attempt_note(attempt, paper, claim, known[attempt.id]),
                    }
                    run, place = there.get(attempt.id), _paper_experiment(writer, paper)
                    files = _Extra(figures.get(attempt.id), keep.get(attempt.id, {}))
                    read = [trial.record for trial in known[attempt.id]]
                    _record_attempt(writer, place, run, attempt, tags, read, files)


def record_calibrations(calibrations: Iterable[Calibration]) -> int:
    """Give every attempt in the ledger whose seal was calibrated its calibration, and return how many there are.

    Raises:
        StoreError: if the store cannot be written.
    """
    from repro.ledger.writer import writing

    by_seal = {calibration.seal: calibration for calibration in calibrations}
    if not by_seal:
        return 0
    with writing() as writer:
        runs = find_runs(names.PAPER_PREFIX, names.SEAL, sorted(by_seal))
        for some in _batches(runs):
            with writer.transaction():
                for run in some:
                    calibration = by_seal[run.tags[names.SEAL]]
                    done = {names.CALIBRATION: calibration_digest(calibration)}
                    if done.items() <= run.tags.items():
                        continue
                    writer.log_files(run, {CALIBRATION_FILE: calibration_text(calibration)})
                    others = {name: value for name, value in run.metrics.items() if not is_calibration_metric(name)}
                    writer.log(run, _changed(run, {**others, **_rates(calibration)}), {}, done, milliseconds(""))
    return len(runs)


def record_blocked(claim: Claim, paper: Paper) -> None:
    """Write that a claim cannot be tested at present, what is missing and what would unblock it.

    Raises:
        ValueError: if the claim is not blocked.
        StoreError: if the store cannot be written.
    """
    from repro.ledger.writer import writing

    tags = {**blocked_tags(claim, paper), NOTE: blocked_note(claim, paper)}
    done = {names.CONTENT: digest_of(tags)}
    with writing() as writer:
        run = _by_attempt([tags[names.ATTEMPT]]).get(tags[names.ATTEMPT])
        if run is not None and done.items() <= run.tags.items():
            return
        with writer.transaction():
            if run is None:
                run = writer.create_run(_paper_experiment(writer, paper), tags[names.ATTEMPT], "", tags)
            writer.log(run, _changed(run, blocked_metrics(claim)), {}, {**tags, **done}, milliseconds(""))
            writer.set_status(run, STATUS["blocked"], 0)


def _paper_experiment(writer: "Writer", paper: Paper) -> str:
    tags = {names.PAPER: paper.id, "repro.title": paper.title}
    return writer.experiment(names.PAPER_PREFIX + paper.id, paper_note(paper), tags)


def _by_attempt(ids: Sequence[str]) -> dict[str, RunRow]:
    """Return the oldest run of each attempt that is in the ledger."""
    return {run.tags[names.ATTEMPT]: run for run in reversed(find_runs(names.PAPER_PREFIX, names.ATTEMPT, ids))}


def _record_trials(
    writer: "Writer", records: Sequence[TrialRecord], prefix: str, ran: Mapping[str, Mapping[str, float]]
) -> list[RecordedTrial]:
    """Write each record that is not there yet, and return where each is."""
    there: dict[str, RunRow] = {}
    for found in find_runs(prefix, names.TRIAL_KEY, sorted({record.key for record in records})):
        there.setdefault(found.tags.get(names.RECORD, ""), found)
    recorded = []
    with writer.transaction():
        for record in records:
            digest = record.content_digest()
            run = there.get(digest) or _create_trial(writer, record, prefix)
            if run.status not in TERMINAL:
                _log_trial(writer, run, record, ran.get(digest, {}))
            there[digest] = replace(run, status="FINISHED")
            recorded.append(RecordedTrial(record, run.run_id, run.experiment_id))
    return recorded


def _create_trial(writer: "Writer", record: TrialRecord, prefix: str) -> RunRow:
    about = {names.STUDY: record.study, "repro.recipe": record.recipe}
    place = writer.experiment(prefix + record.study, study_note(record), about)
    tags = {**trial_tags(record), NOTE: trial_note(record)}
    return writer.create_run(place, f"{record.label or record.key[:8]} r{record.replicate}", record.started, tags)


def _log_trial(writer: "Writer", run: RunRow, record: TrialRecord, ran: Mapping[str, float]) -> None:
    end = milliseconds(record.started) + round(1000 * record.seconds)
    writer.log_files(run, trial_files(record))
    took = [(f"ran/{name}", value, 0) for name, value in ran.items()]
    writer.log(run, [*trial_points(record), *took], params(record.config, RECORD_FILE), {}, end)
    writer.log_data(run, record.data)
    writer.set_status(run, "FAILED" if record.status == "failed" else "FINISHED", end)


def _trials_of(
    attempt: Attempt, recorded: Mapping[str, Sequence[RecordedTrial]], run: RunRow | None
) -> list[RecordedTrial]:
    """Return the trials of an attempt in the order of its arms: those given, and for the rest those it had."""
    keys = dict.fromkeys(key for arm in attempt.arms.values() for key in arm)
    found = {key: list(recorded.get(key, ())) for key in keys}
    if run is not None and not all(found.values()):
        for trial in linked_trials(run):
            if trial.record.key in keys and not recorded.get(trial.record.key):
                found[trial.record.key].append(trial)
    return [trial for trials in found.values() for trial in trials]


@dataclass(frozen=True)
class _Extra:
    """Artifacts of an attempt that do not follow from it and its records."""

    figure: str | None
    keep: Mapping[str, str]

    def done(self, attempt: Attempt, run: RunRow | None) -> tuple[dict[str, str], dict[str, str]]:
        """Return the files to write beside those that an attempt has, and the tags that say they are there.

        A figure is drawn once for a verdict, so that evidence made after an upgrade holds the same.
        """
        there = run.tags if run is not None else {}
        kept = there.get(names.KEPT, "").split()
        files = {name: text for name, text in self.keep.items() if name not in kept}
        tags = {names.KEPT: " ".join(sorted({*kept, *files}))} if files else {}
        drawn = digest_of(to_json(attempt.verdict))
        if self.figure is not None and there.get(names.FIGURE) != drawn:
            files[FIGURE_FILE] = self.figure
            tags[names.FIGURE] = drawn
        return files, tags


def _record_attempt(
    writer: "Writer",
    place: str,
    run: RunRow | None,
    attempt: Attempt,
    tags: Mapping[str, str],
    records: Sequence[TrialRecord],
    extra: _Extra,
) -> None:
    status = STATUS[attempt.execution]
    more, marks = extra.done(attempt, run)
    done = {names.CONTENT: digest_of([to_json(attempt), tags]), **marks}
    calibration = cached_or_none(attempt.sealed.digest)
    if calibration is not None:
        done[names.CALIBRATION] = calibration_digest(calibration)
    if run is not None and run.status == status and done.items() <= run.tags.items():
        return
    config = params(attempt.config, CONFIG_FILE)
    if run is None:
        run = writer.create_run(place, attempt.id, attempt.started, tags)
    else:
        there = writer.store.get_run(run.run_id).data.params  # MLflow refuses to change a param
        config = {name: value for name, value in config.items() if name not in there}
        kept = (names.CONTENT, names.FIGURE, names.KEPT, names.CALIBRATION, names.ANNOTATIONS, names.LAST_ANNOTATION)
        old = {name: "" for name in run.tags if name.startswith("repro.") and name not in kept}
        done = {**old, **tags, **done, **_contested(run, attempt)}
    files = {**attempt_files(attempt, records), **more}
    metrics = attempt_metrics(attempt)
    if calibration is not None:
        files[CALIBRATION_FILE] = calibration_text(calibration)
        metrics |= _rates(calibration)
    else:
        metrics |= {name: value for name, value in run.metrics.items() if is_calibration_metric(name)}
    writer.log_files(run, files)
    writer.log_data(run, {name: sha256 for record in records for name, sha256 in record.data.items()})
    writer.log(run, _changed(run, metrics), config, done, milliseconds(""))
    writer.set_status(run, status, milliseconds(attempt.finished))


def _contested(run: RunRow, attempt: Attempt) -> dict[str, str]:
    """Return the tag of a validity that people's entries gave the attempt; judging it again does not take it back."""
    said = run.tags.get(names.VALIDITY, "")
    holds = said in ("disputed", "invalidated") and attempt.validity != "tampered"
    return {names.VALIDITY: said} if holds else {}


def _rates(calibration: Calibration) -> dict[str, float]:
    metrics = calibration_metrics(calibration)
    safe = safe_names(metrics)
    return {safe[name]: value for name, value in metrics.items()}


def _changed(run: RunRow, metrics: Mapping[str, float]) -> list[Point]:
    """Return the metrics that differ from those of a run; NaN for one that holds no longer, as none can be deleted."""
    gone = {name: float("nan") for name in run.metrics if name not in metrics}
    return [(name, value, 0) for name, value in {**metrics, **gone}.items() if run.metrics.get(name) != value]


def _batches(items: Sequence[T]) -> Iterator[Sequence[T]]:
    return (items[i : i + A_TRANSACTION] for i in range(0, len(items), A_TRANSACTION))
