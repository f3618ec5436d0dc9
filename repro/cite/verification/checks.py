"""What a dossier must be to agree with itself, before anything is recomputed: its seal, its trials, its sources."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence, Set
from typing import Any, cast

from repro.catalog.parse import parse
from repro.catalog.recipe import digest_of_sources
from repro.cite.evidence.dossier import Dossier, counting, in_order
from repro.cite.verification.findings import ORIGIN, SEAL, TRIALS, Finding, Status
from repro.cite.verification.rejudge import arms_at
from repro.judge.seal import seal
from repro.schema.claim import Claim, Paper
from repro.schema.dataset import DataSet
from repro.schema.errors import ReproError
from repro.schema.study import Study
from repro.schema.trial import TrialRecord, TrialSpec
from repro.schema.verdict import Sealed


def check_seal(dossier: Dossier, blame: Status) -> Iterator[Finding]:
    """Check that id, claim and config are those of the seal.

    Args:
        dossier: read from a bundle.
        blame: what a difference means that another version of this project may have made: `fails` or `unknown`.
    """
    attempt, sealed = dossier.attempt, dossier.attempt.sealed
    digest = sealed.digest
    if attempt.id.endswith(f"-{digest[:8]}-{attempt.counter}"):
        yield Finding("holds", f"What was sealed has the digest {digest[:16]}…, which the attempt's id names.", SEAL)
    else:
        yield Finding("fails", f"What was sealed has the digest {digest[:16]}…, but the id is {attempt.id}.", SEAL)
    try:
        again = _sealed_again(dossier)
    except ReproError as error:
        yield Finding(blame, f"claim.json cannot be sealed: {error}", SEAL)
        return
    wrong = [name for name in vars(sealed) if getattr(again, name) != getattr(sealed, name) and name != "digest"]
    if again.digest == digest:
        yield Finding("holds", "claim.json is what was sealed: targets, margins, rules, estimator and controls.", SEAL)
    else:
        yield Finding(blame, f"claim.json is not what was sealed: they differ in {_listed(wrong)}.", SEAL)
    kept = attempt.config.get("claim")
    if isinstance(kept, dict):
        try:
            same = parse("claim", attempt.claim, kept, "the config in attempt.json") == dossier.claim
        except ReproError as error:
            yield Finding(blame, f"The claim in the attempt's config cannot be read: {error}", SEAL)
            return
        told = "The config that Hydra composed holds the same claim."
        wrong_told = "The config that Hydra composed holds another claim than claim.json."
        yield Finding("holds" if same else blame, told if same else wrong_told, SEAL)
    if dossier.claim.paper != dossier.paper.id or dossier.claim.id != attempt.claim:
        named = f"{dossier.claim.id} of {dossier.claim.paper}, with the paper {dossier.paper.id}"
        yield Finding("fails", f"claim.json describes {named}; the attempt is of {attempt.claim}.", SEAL)


def _sealed_again(dossier: Dossier) -> Sealed:
    """Seal the claim as `claim.json` has it; what a claim does not say is taken from the seal."""
    sealed = dossier.attempt.sealed
    return seal(
        dossier.claim,
        sealed.protocol,
        sealed.scale,
        Study(sealed.study, recipe="", scales={}, deterministic=sealed.deterministic),
        arms={"main": sealed.trials, **{name: control.trials for name, control in sealed.controls.items()}},
        replicates=sealed.replicates,
        max_replicates=sealed.max_replicates,
        estimator_sources=sealed.estimator_sources,
        resampling_unit=sealed.resampling_unit,
        indicative=sealed.indicative,
    )


def check_trials(dossier: Dossier) -> Iterator[Finding]:
    """Check every record, and that all of them together are what was sealed. Their digests were checked on reading."""
    sealed, records = dossier.attempt.sealed, dossier.records
    if not records:
        yield Finding("fails", "There is no record of any trial.", TRIALS)
        return
    count = f"{len(records)} record{'s' * (len(records) != 1)}"
    yield Finding("holds", f"Each of the {count} has the digest that it carries.", TRIALS)
    yield from _all(
        records,
        lambda record: record.key == _key(record),
        "Each record's trial key is the digest of its config, sources, data, device, precision and replicate.",
        "do not have the key that their config, sources, data, device, precision and replicate give",
    )
    yield from _belonging(sealed, records, {key for keys in dossier.attempt.arms.values() for key in keys})
    if in_order(dossier.attempt.arms, records) != records:
        yield Finding(
            "fails", "The records do not stand arm by arm, failed runs of a trial before the one that counts.", TRIALS
        )
    failed = [record for record in records if record.status == "failed"]
    if failed:
        runs = "failed run that is" if len(failed) == 1 else "failed runs that are"
        shown = ", ".join(sorted({record.label or record.key[:8] for record in failed}))
        yield Finding("holds", f"{len(failed)} {runs} no data {_is(failed)} kept beside the others: {shown}.", TRIALS)
    late = [record for record in counting(records).values() if sealed.digest not in record.seals]
    if late:
        told = f"{len(late)} of the trials ran before this seal stood: the attempt is post hoc and cannot be cited."
        yield Finding("holds", told, TRIALS)
    else:
        yield Finding("holds", "Every record that counts carries this seal: it stood when the trial ran.", TRIALS)
    yield from _sources_and_data(dossier)
    yield from _provenance(dossier)


def _provenance(dossier: Dossier) -> Iterator[Finding]:
    """Check that what is said of how trials ran is said of these records. Their digests were checked on reading."""
    if dossier.provenance is None:
        return
    records = {(record.digest, record.key) for record in dossier.records}
    told = [(trial.record, trial.key) for trial in dossier.provenance.trials]
    named = {trial.environment for trial in dossier.provenance.trials}
    more = set(dossier.provenance.environments) - named - {dossier.attempt.provenance.get("environment")}
    accounted = sorted([*(record for record, _ in told), *dossier.provenance.untold])
    if not set(told) <= records or accounted != sorted(record for record, _ in records) or more:
        yield Finding(
            "fails", "provenance.json tells of trials or environments that are not those of the records.", TRIALS
        )
    elif told:
        yield Finding(
            "holds", f"provenance.json tells of {len(told)} of the {len(records)} records, by their digests.", TRIALS
        )


def _belonging(sealed: Sealed, records: Sequence[TrialRecord], read: Set[str]) -> Iterator[Finding]:
    """Check that the records are those of the sealed trials that the attempt's look reads, one that counts for each."""
    whole = [sealed.trials, *(control.trials for control in sealed.controls.values())]
    keys = {key for keys in whole for key in keys}
    yield from _all(
        records,
        lambda record: record.key in keys and record.key in read and record.replicate in sealed.replicates,
        "Every record is of a trial that was sealed, and that the verdict reads.",
        "are of no trial that was sealed, or of one that the verdict does not read",
    )
    twice = [key for key, n in Counter(r.key for r in records if r.status != "failed").items() if n > 1]
    if twice:
        yield Finding("fails", f"{len(twice)} trials have several records that count, such as {twice[0][:8]}.", TRIALS)
    found = counting(records)
    missing = [key for key in keys if key not in found]
    look = next((look for look in range(1, sealed.looks + 1) if arms_at(sealed, look, found) is not None), None)
    if not missing:
        yield Finding("holds", f"All {len(keys)} trials that were sealed have a record that counts.", TRIALS)
    elif look is not None:
        told = (
            f"{len(found)} of the {len(keys)} sealed trials are there, all of look {look}: it decided without the rest."
        )
        yield Finding("holds", told, TRIALS)
    else:
        yield Finding("fails", f"{len(missing)} of the {len(keys)} trials that were sealed have no record.", TRIALS)


def _sources_and_data(dossier: Dossier) -> Iterator[Finding]:
    named = {(record.recipe, record.sources) for record in dossier.records}
    recipes = " and ".join(sorted({recipe for recipe, _ in named}))
    digest = digest_of_sources(dossier.sources)
    changed = any("\r" in text for text in dossier.sources.values())
    if named == {(recipes, digest)} and recipes in dossier.sources and not changed:
        told = f"The source of {recipes} in source/ is what the records name ({digest[:16]}…). It was not run."
        yield Finding("holds", told, TRIALS)
    else:
        told = (
            f"The files in source/ are not the sources of {recipes} that the records name ({digest[:16]}… is theirs)."
        )
        yield Finding("fails", told, TRIALS)
    read = {(name, sha256) for record in dossier.records for name, sha256 in record.data.items()}
    if read != {(data.id, data.sha256) for data in dossier.data}:
        yield Finding("fails", "The data sets of claim.json are not those that the records name.", TRIALS)
    elif read:
        names = ", ".join(f"{name} ({sha256[:8]}…)" for name, sha256 in sorted(read))
        yield Finding("holds", f"The records and claim.json name the same data: {names}.", TRIALS)


def same_as_installed(dossier: Dossier) -> Iterator[Finding]:
    """Compare targets, margins and rules with the claim of that name that is installed here, if there is one.

    A claim may have been corrected since: a difference makes evidence stale, not false.
    """
    from repro.catalog.load import config_files, load

    try:
        name = dossier.attempt.claim
        if name not in config_files("claim"):
            return
        installed: Claim = load("claim", name)
        paper: Paper = load("paper", installed.paper)
    except ReproError:
        return  # claims of the reader that cannot be read say nothing of the evidence
    if installed.parts == dossier.attempt.sealed.parts:
        told = "Targets, margins and rules are those of the claim as it is installed here."
        yield Finding("holds", told, ORIGIN)
    else:
        parts = {*installed.parts, *dossier.attempt.sealed.parts}
        mine, theirs = installed.parts, dossier.attempt.sealed.parts
        wrong = sorted(part for part in parts if mine.get(part) != theirs.get(part))
        told = f"The claim {name} that is installed here says something else today of {_listed(wrong)}: compare them."
        yield Finding("stated", told, ORIGIN)
    words = {
        "the claim's statement": (dossier.claim.statement, installed.statement),
        "the paper's title": (dossier.paper.title, paper.title),
        "the paper's authors": (dossier.paper.authors, paper.authors),
        "the paper's year": (dossier.paper.year, paper.year),
    }
    # No seal covers them, so whoever changes them changes no digest but that of the bundle.
    if others := [what for what, (told_there, here) in words.items() if told_there != here]:
        told = f"It gives {' and '.join(others)} otherwise than this installation does: compare them."
        yield Finding("stated", told, ORIGIN)


def _key(record: TrialRecord) -> str:
    return TrialSpec(
        study=record.study,
        recipe=record.recipe,
        config=record.config,
        replicate=record.replicate,
        sources=record.sources,
        device=record.device,
        precision=record.precision,
        data=tuple(DataSet(name, file="", url="", sha256=sha256) for name, sha256 in record.data.items()),
        measures=cast(Any, record.measures),
    ).key


def _all(
    records: Sequence[TrialRecord], right: Callable[[TrialRecord], bool], told: str, wrong: str
) -> Iterator[Finding]:
    bad = [record for record in records if not right(record)]
    if bad:
        shown = ", ".join(record.label or record.key[:8] for record in bad[:3])
        yield Finding("fails", f"{len(bad)} of {len(records)} records {wrong}: {shown}.", TRIALS)
    else:
        yield Finding("holds", told, TRIALS)


def _listed(names: Sequence[str]) -> str:
    return ", ".join(names) or "their order"


def _is(things: Sequence[object]) -> str:
    return "is" if len(things) == 1 else "are"
