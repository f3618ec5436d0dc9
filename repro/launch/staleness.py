"""Which attempts would be sealed otherwise today, why, and how to run them again."""

import contextlib
import shlex
from collections.abc import Iterable, Mapping

from repro.catalog.load import config_files, load_claim, load_scale, load_study
from repro.catalog.recipe import digest_of_sources, sources_of
from repro.judge.staleness import Stale, differences, stale_text
from repro.launch.planning.layout import remembering
from repro.launch.planning.plan import Shape, Source, plan_attempt, seeds_of
from repro.ledger.fast import known_names
from repro.ledger.kept import kept_sources
from repro.ledger.read import load_attempt, load_attempts, load_trials
from repro.schema.claim import Claim
from repro.schema.errors import ReproError, nearest
from repro.schema.files import write_atomically
from repro.schema.places import stale_file
from repro.schema.trial import PlannedAttempt, TrialSpec
from repro.schema.verdict import Attempt, Sealed

Now = tuple[PlannedAttempt, Mapping[str, TrialSpec]]


def stale_attempts(attempts: Iterable[Attempt]) -> dict[str, tuple[str, ...]]:
    """Return why each stale attempt is stale, by its id; those that would be sealed the same are not among them."""
    return {name: stale.reasons for name, stale in find_stale(attempts).items()}


def find_stale(attempts: Iterable[Attempt]) -> dict[str, Stale]:
    """Return what each stale attempt would be sealed as today, and what has changed, by its id.

    Every attempt is sealed anew from the claim, study, data and sources of today, with its own number of seeds and standing:
    these were chosen for it, and are no change of the claim. An exploratory attempt is never stale: things were changed
    for it by hand. Nor is somebody else's at a claim that is not in the catalogue here: nothing is known to have changed.
    """
    plans, claims = _Plans(), config_files("claim")
    found = {
        attempt.id: _stale(attempt, plans)
        for attempt in attempts
        if not attempt.exploratory and (attempt.claim in claims or not attempt.provenance.get("origin"))
    }
    return {name: stale for name, stale in found.items() if stale is not None}


def write_stale() -> dict[str, Stale]:
    """Find what is stale of everything in the ledger and published, and store it for the pages."""
    found = find_stale(readable_attempts())
    write_atomically(stale_file(), stale_text(found))
    return found


def readable_attempts() -> list[Attempt]:
    """Return every attempt in the ledger or published that can be read: a damaged one must not hide what has changed.

    Raises:
        StoreError: if the ledger as a whole cannot be read.
    """
    try:
        return load_attempts()
    except ReproError:
        found = []
        for name in known_names():
            with contextlib.suppress(ReproError):
                found.append(load_attempt(name))
        return found


def run_again(attempt: Attempt) -> str:
    """Return the command that runs a stale attempt anew; empty if there is nothing to run any more.

    It is a new attempt, for it has another seal.
    """
    try:
        claim = load_claim(attempt.claim)
        if _gone(claim, attempt):
            return ""
        study = load_study(claim.protocols[attempt.protocol].study)
        if attempt.scale not in study.scales:
            return ""
        usual = seeds_of(Source(claim, attempt.protocol, study, load_scale(attempt.scale)))
    except ReproError:
        return ""
    words = ["repro", "run", attempt.claim]
    if len(claim.protocols) > 1:
        words.append(f"protocol={attempt.protocol}")
    words.append(f"scale={attempt.scale}")
    if len(attempt.sealed.replicates) != usual and not study.deterministic:
        words.append(f"replicates={len(attempt.sealed.replicates)}")
    if attempt.sealed.indicative:
        words.append("--indicative")
    return shlex.join(words)


class _Plans:
    """Attempts as they would be planned today; what several of them share is laid out once."""

    def __init__(self) -> None:
        self._lay_out = remembering()
        self._sources: dict[str, Mapping[str, str]] = {}

    def today(self, attempt: Attempt) -> Now | str:
        """Return the plan of an attempt as of today, or why there is none."""
        claims = config_files("claim")
        if attempt.claim not in claims:
            return f"The claim {attempt.claim} is not in the catalogue here.{_hint(attempt.claim, claims)}"
        try:
            claim = load_claim(attempt.claim)
            gone = _gone(claim, attempt)
            if gone:
                return gone
            study = load_study(claim.protocols[attempt.protocol].study)
            if attempt.scale not in study.scales:
                return (
                    f"The study {study.id} no longer has the scale {attempt.scale}; it has {', '.join(study.scales)}."
                )
            source = Source(claim, attempt.protocol, study, load_scale(attempt.scale))
            shape = Shape(attempt.counter, attempt.sealed.replicates, attempt.sealed.indicative)
            return plan_attempt(source, shape, requested=False, lay_out=self._lay_out)
        except (ReproError, ImportError) as error:
            return f"It can no longer be planned here: {error}"

    def sources(self, recipe: str) -> Mapping[str, str]:
        if recipe not in self._sources:
            self._sources[recipe] = sources_of(recipe)
        return self._sources[recipe]


def _gone(claim: Claim, attempt: Attempt) -> str:
    if claim.blocked is not None:
        return f"The claim is blocked now: {claim.blocked.missing}"
    if attempt.protocol not in claim.protocols:
        return f"The claim no longer has the protocol '{attempt.protocol}'.{_hint(attempt.protocol, claim.protocols)}"
    return ""


def _hint(name: str, valid: Iterable[str]) -> str:
    found = nearest(name, valid)
    return found if "Did you mean" in found else ""


def _stale(attempt: Attempt, plans: _Plans) -> Stale | None:
    now = plans.today(attempt)
    if isinstance(now, str):
        return Stale(None, differences(attempt.sealed, None, gone=now))
    planned, specs = now
    if planned.sealed.digest == attempt.sealed.digest:
        return None
    return Stale(planned.sealed.digest, _reasons(attempt, planned.sealed, specs, plans))


def _reasons(attempt: Attempt, now: Sealed, specs: Mapping[str, TrialSpec], plans: _Plans) -> tuple[str, ...]:
    """Return what has changed; the old trials are read only for this."""
    then = attempt.sealed
    if _trials(then) == _trials(now):
        return differences(then, now)
    try:
        records = {record.key: record for record in load_trials(attempt.id)}
    except ReproError:
        records = {}  # the reasons say then that the old trials are not here
    sources, ran = kept_sources(attempt.id), next(iter(records.values()), None)
    if sources is not None and ran is not None and digest_of_sources(sources) != ran.sources:
        sources = None
    recipe = next(iter(specs.values())).recipe
    return differences(then, now, records, specs, then_sources=sources, now_sources=plans.sources(recipe))


def _trials(sealed: Sealed) -> list[tuple[str, ...]]:
    return [sealed.trials, *(control.trials for control in sealed.controls.values())]
