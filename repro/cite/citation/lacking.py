"""What an attempt lacks to be cited, in sentences that say what to do about it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from repro.cite.citation.plain import one_line
from repro.judge.reading import REASONS, VALIDITY
from repro.schema.annotation import Annotation, settled
from repro.schema.verdict import Attempt, Validity


@dataclass(frozen=True)
class Evidence:
    """The evidence of an attempt, as far as a citation names it."""

    digest: str
    """sha256 of the bundle (64 hex digits)."""
    address: str = ""
    """Where it can be had; empty while it lies nowhere that a reader reaches."""
    indexed: str | None = None
    """The digest that the index of published results lists, where it lists the attempt."""


def missing(
    attempt: Attempt,
    *,
    validity: Validity,
    annotations: Sequence[Annotation] = (),
    evidence: Evidence | None = None,
    stale: Sequence[str] = (),
) -> tuple[str, ...]:
    """Return what an attempt lacks to be cited, a sentence each with what to do; nothing if it may be cited.

    An indicative attempt may be cited: how often its plan would have decided says nothing against a decision that it did reach at
    the level that was sealed. Its citation says that it is indicative.

    Args:
        attempt: to be cited.
        validity: of the attempt today.
        annotations: its entries.
        evidence: where it lies, or None if it was not made.
        stale: what has changed since, for the sentence.
    """
    found = (
        *_undecided(attempt),
        *_untrusted(attempt, validity, annotations, stale),
        *_unguarded(attempt),
        *_unattributed(attempt),
        *_unpublished(attempt, evidence),
    )
    return tuple(map(one_line, found))


def origin_proven(attempt: Attempt) -> bool:
    """Return whether it is known whose an attempt is: it was not imported, or its makers' digest or key vouched for it."""
    origin = attempt.provenance.get("origin")
    return not isinstance(origin, Mapping) or origin.get("checked_against") in ("digest", "key")


def _again(attempt: Attempt, *words: str) -> str:
    return " ".join(("repro run", attempt.claim, f"protocol={attempt.protocol}", f"scale={attempt.scale}", *words))


def _undecided(attempt: Attempt) -> list[str]:
    if attempt.execution != "completed" or attempt.verdict is None:
        words = {"planned": "It is sealed but has not run", "running": "It is still running"}
        state = words.get(attempt.execution, f"It did not run to its end ({attempt.execution})")
        return [f"{state}, so there is no verdict. Run it to its end: {_again(attempt)}"]
    if attempt.verdict.outcome == "inconclusive":
        reason = attempt.verdict.reason
        why = f" ({REASONS[reason]})" if reason else ""
        plan = f"repro plan {attempt.claim} protocol={attempt.protocol} scale={attempt.scale}"
        return [f"It is inconclusive{why}; only a match or a mismatch can be cited. See what would decide it: {plan}"]
    return []


def _untrusted(
    attempt: Attempt, validity: Validity, annotations: Sequence[Annotation], stale: Sequence[str]
) -> list[str]:
    found = []
    if attempt.exploratory:
        changed = f" ({', '.join(attempt.overrides)})" if attempt.overrides else ""
        found.append(f"Sealed settings were changed by hand{changed}. Run it as it stands: {_again(attempt)}")
    if not origin_proven(attempt):
        found.append(
            "It was imported from others and its origin is unproven. Import it again with the digest or key that its makers gave: "
            "repro import BUNDLE --digest DIGEST"
        )
    if validity == "current":
        return found
    answered = settled(annotations)
    if validity == "invalidated":
        reasons = [note for note in annotations if note.kind == "invalidated"]
        said = f" by {reasons[-1].who}: {reasons[-1].why.rstrip('.')}" if reasons else ""
        found.append(f"It was withdrawn{said}. Make a new attempt: {_again(attempt, '--new-seeds')}")
    elif validity == "disputed":
        disputes = [note for note in annotations if note.kind == "disputed" and note.digest not in answered]
        said = f" by {disputes[-1].who}: {disputes[-1].why.rstrip('.')}" if disputes else ""
        which = disputes[-1].digest[:8] if disputes else "DIGEST"
        found.append(
            f"It is disputed{said}. Whoever has checked that can settle it: repro annotate {attempt.id} confirmed --settles {which} "
            f'--who "NAME <MAIL>" --why "WHAT WAS FOUND"'
        )
    elif validity == "post_hoc":
        found.append(
            f"It was sealed after its records were made. Run it with new seeds: {_again(attempt, '--new-seeds')}"
        )
    elif validity == "stale":
        what = f" ({'; '.join(reason.rstrip('.') for reason in stale)})" if stale else ""
        found.append(f"What its seal covers has changed since{what}. Run it again: {_again(attempt)}")
    else:
        found.append(f"Do not rely on it: {VALIDITY.get(validity, validity)}. Make a new attempt: {_again(attempt)}")
    return found


def _unguarded(attempt: Attempt) -> list[str]:
    sealed, found = attempt.sealed, []
    if attempt.scale not in sealed.decisive:
        decisive = ", ".join(sealed.decisive)
        run = f"repro run {attempt.claim} protocol={attempt.protocol} scale={(sealed.decisive or ('paper',))[0]}"
        found.append(f"Scale {attempt.scale} decides nothing for this protocol ({decisive} would). Run it there: {run}")
    if not sealed.controls:
        found.append(
            "Its protocol has no control, so it could not have failed. Add one to the claim, and run it again."
        )
    elif attempt.verdict is not None:
        held = {name for name, control in attempt.verdict.controls.items() if control.failed is True}
        open_controls = sorted(set(sealed.controls) - held)
        if open_controls:
            found.append(
                f"Of its controls, which must fail, {', '.join(open_controls)} did not or stayed undecided. See what happened: "
                f"repro show {attempt.claim}"
            )
    return found


def _unattributed(attempt: Attempt) -> list[str]:
    commit, dirty = attempt.provenance.get("commit"), attempt.provenance.get("dirty")
    fresh = f"run it from a clean git checkout: {_again(attempt, '--new-seeds')}"
    if not isinstance(commit, str) or not commit:
        return [f"It does not say from which commit it ran. To have one, {fresh}"]
    if dirty:
        return [
            f"The checkout had changes that were not committed, so commit {commit[:7]} is not what ran. Commit them, then {fresh}"
        ]
    if dirty is not False:
        whole = f"{fresh[:1].upper()}{fresh[1:]}"
        return [
            f"Whether the checkout was clean is unknown, so commit {commit[:7]} is not what ran for certain. {whole}"
        ]
    return []


def _unpublished(attempt: Attempt, evidence: Evidence | None) -> list[str]:
    if (evidence is None or not evidence.address) and "origin" in attempt.provenance:
        return [
            "Its evidence is not published here, and is for its makers to publish. Say where it lies: --address URL"
        ]
    if evidence is None or not evidence.address:
        return [
            f"Its evidence is not published. Publish it: repro publish {attempt.id} (or say where it lies with --address URL)"
        ]
    if evidence.indexed is not None and evidence.indexed != evidence.digest:
        return [
            f"Its published evidence has the digest {evidence.digest[:12]}, its index says {evidence.indexed[:12]}. Look at what "
            f"differs (repro verify {evidence.address}), then restore the files or publish again."
        ]
    return []
