"""What listing, completion and globs need to know of every claim, kept in a file keyed on file content.

A warm index is read with the standard library alone; only changed claims are composed and checked again.
"""

import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from repro.catalog.roots import config_roots
from repro.schema.blockage import blockage_of
from repro.schema.canonical import digest_of
from repro.schema.claim import Claim
from repro.schema.dataset import cache_dir
from repro.schema.errors import ConfigError, RecordError, ReproError, nearest
from repro.schema.jsonform import from_json, to_json

INDEX_VERSION = 1


@dataclass(frozen=True)
class ProtocolEntry:
    """One protocol of a claim, as far as a list needs it."""

    kind: str
    study: str
    scales: tuple[str, ...]
    decisive: tuple[str, ...]


@dataclass(frozen=True)
class ClaimEntry:
    """One claim, as far as a list needs it."""

    id: str
    paper: str
    title: str
    statement: str
    locator: str
    printed: tuple[str, ...]
    sources: tuple[str, ...]
    protocols: Mapping[str, ProtocolEntry]
    blocked: str | None = None


@dataclass(frozen=True)
class Index:
    """Every claim that can be read, and a sentence for each that cannot."""

    claims: Mapping[str, ClaimEntry]
    problems: tuple[str, ...] = ()

    def expand(self, pattern: str) -> tuple[str, ...]:
        """Return the claims that a name or a glob like `chinchilla/*` means, sorted.

        Raises:
            ConfigError: if there is none.
        """
        found = tuple(sorted(name for name in self.claims if fnmatchcase(name, pattern)))
        if found:
            return found
        if any(character in pattern for character in "*?["):
            raise ConfigError(f"No claim matches '{pattern}'. `repro list` shows all {len(self.claims)} claims.")
        of_paper = sorted(name for name in self.claims if name.startswith(f"{pattern.rstrip('/')}/"))
        if of_paper:
            raise ConfigError(
                f"'{pattern}' is no claim but the start of {len(of_paper)}: {', '.join(of_paper[:6])}"
                f"{', ...' if len(of_paper) > 6 else ''}. All of them: '{pattern.rstrip('/')}/*', in quotes."
            )
        _say_what_is_wrong(pattern)
        raise ConfigError(f"There is no claim '{pattern}'.{nearest(pattern, self.claims)}")


def _say_what_is_wrong(claim: str) -> None:
    """Raise the error of a claim that has a file and cannot be read, or names a study or data that cannot."""
    from repro.catalog.load import config_files, load_claim

    if claim in config_files("claim"):
        load_claim(claim)


@dataclass(frozen=True)
class _Stored:
    version: int
    base: str
    digests: Mapping[str, str]
    """sha256 of each file whose claim is in `entries`; a claim with a problem is looked at again each time."""
    entries: Mapping[str, ClaimEntry]


def load_index() -> Index:
    """Return the index, bringing it up to date first where files changed.

    This package's own claims name nothing of other people's, so they are kept in a file of their own: a new or edited
    directory of claims leaves them as they are.
    """
    roots = config_roots()
    digests: dict[str, str] = {}
    claims: dict[str, ClaimEntry] = {}
    problems: tuple[str, ...] = ()
    for up_to, group in ((1, roots[:1]), (len(roots), roots[1:])):
        if group:
            here = _file_digests(tuple(root.directory for root in group))
            digests |= here
            index = _up_to_date([str(root.directory) for root in roots[:up_to]], here, digests)
            claims |= index.claims
            problems += index.problems
    return Index(claims, problems)


def _up_to_date(directories: Sequence[str], here: Mapping[str, str], known: Mapping[str, str]) -> Index:
    """Return the index of the claims among the files `here`, which may name anything among `known`, from its file as far as it holds."""
    base = digest_of({name: sha for name, sha in known.items() if not name.startswith("claim/")} | _code_digests())
    file = cache_dir() / f"index-{digest_of(list(directories))[:16]}.json"
    stored = _read(file)
    if stored is None or stored.base != base:
        stored = _Stored(INDEX_VERSION, base, {}, {})
    wanted = _claims_among(here)
    if stored.digests == wanted:
        return Index(stored.entries)
    index = _update(stored, wanted, _claims_among(known))
    _write(file, _Stored(INDEX_VERSION, base, {name: wanted[name] for name in index.claims}, index.claims))
    return index


def _claims_among(digests: Mapping[str, str]) -> dict[str, str]:
    return {
        name.removeprefix("claim/").removesuffix(".yaml"): sha
        for name, sha in digests.items()
        if name.startswith("claim/")
    }


def _file_digests(directories: tuple[Path, ...]) -> dict[str, str]:
    digests: dict[str, str] = {}
    for directory in directories:
        for group in ("claim", "paper", "study", "data"):
            for parent, _, files in os.walk(directory / group):
                for name in files:
                    if name.endswith(".yaml"):
                        path = Path(parent, name)
                        digests[path.relative_to(directory).as_posix()] = hashlib.sha256(path.read_bytes()).hexdigest()
    return dict(sorted(digests.items()))


def _code_digests() -> dict[str, str]:
    here, schema = Path(__file__).parent, Path(__file__).parents[1] / "schema"
    files = [
        here / "parse.py",
        here / "load.py",
        here / "index.py",
        schema / "claim.py",
        schema / "blockage.py",
        schema / "study.py",
    ]
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in files}


def _update(stored: _Stored, wanted: Mapping[str, str], known: Mapping[str, str]) -> Index:
    from repro.catalog.load import load, load_claim, load_study

    entries: dict[str, ClaimEntry] = {}
    problems: list[str] = []
    for name, sha in wanted.items():
        if stored.digests.get(name) == sha:
            entries[name] = stored.entries[name]
            continue
        try:
            claim = load_claim(name)
            _check_stand_ins(claim, known)
            entries[name] = ClaimEntry(
                id=claim.id,
                paper=claim.paper,
                title=load("paper", claim.paper).title,
                statement=claim.statement,
                locator=claim.locator,
                printed=tuple(part.target.printed for part in claim.parts.values()),
                sources=tuple(sorted({part.target.source for part in claim.parts.values()})),
                protocols={
                    key: ProtocolEntry(p.kind, p.study, tuple(load_study(p.study).scales), p.decisive)
                    for key, p in claim.protocols.items()
                },
                blocked=claim.blocked.missing if claim.blocked else None,
            )
        except ReproError as error:
            problems.append(str(error))
    return Index(entries, tuple(problems))


def _check_stand_ins(claim: Claim, known: Mapping[str, str]) -> None:
    blockage = blockage_of(claim)
    for other in blockage.stand_ins if blockage else ():
        if other not in known:
            raise ConfigError(f"claim/{claim.id}: blocked.stand_ins names the claim '{other}'.{nearest(other, known)}")


def _read(file: Path) -> _Stored | None:
    """Read the stored index; a missing, damaged or older one is simply made anew."""
    try:
        content: Any = json.loads(file.read_text(encoding="utf-8"))
        stored = from_json(_Stored, content, str(file))
    except (OSError, ValueError, RecordError):
        return None
    return stored if stored.version == INDEX_VERSION else None


def _write(file: Path, stored: _Stored) -> None:
    """Store the index; where the cache cannot be written, the next call makes it again."""
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary = file.with_suffix(f".{os.getpid()}.tmp")
        temporary.write_text(json.dumps(to_json(stored)), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        return
