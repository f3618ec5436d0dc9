"""Published values that somebody compared with the paper: `checked/<claim>.yaml` of the root where the claim lies.

The files are no part of what a seal covers: a check makes nothing stale. They only grow.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

from repro.catalog.load import config_files, load_claim
from repro.schema.annotation import SourceCheck
from repro.schema.claim import Claim
from repro.schema.documents import read_source_check
from repro.schema.errors import ConfigError, RecordError, StoreError, nearest
from repro.schema.files import write_atomically
from repro.schema.jsonform import to_json
from repro.schema.locks import one_writer
from repro.schema.migrations import OtherVersion
from repro.schema.plain_text import plain

MAX_WHO, MAX_WHERE = 300, 1000

_HEADER = "# Published values that were compared with the paper. `repro source` appends to this list; nothing in it is edited.\n"


def source_checks(claim: Claim) -> dict[str, SourceCheck]:
    """Return the last check of each part whose published value is still the one that was checked.

    Raises:
        ConfigError: if the file of checks is damaged.
    """
    found = {}
    for check in all_checks(claim.id):
        part = claim.parts.get(check.part)
        if part is not None and part.target.printed == check.printed and _to_be_checked(part.target.source):
            found[check.part] = check
    return found


def all_checks(claim: str) -> tuple[SourceCheck, ...]:
    """Return every check of a claim that is on record, oldest first, also of values that are printed otherwise by now.

    Raises:
        ConfigError: if the claim does not exist, or the file is damaged.
    """
    file = checks_file(claim)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} cannot be read ({error}). Restore it from version control.") from error
    return _parse(text, claim, file)


def checks_file(claim: str) -> Path:
    """Return the file of a claim's checks, whether it is there or not.

    Raises:
        ConfigError: if the claim does not exist.
    """
    files = config_files("claim")
    if claim not in files:
        raise ConfigError(f"There is no claim '{claim}'.{nearest(claim, files)}")
    steps = len(Path(claim).parts)
    return files[claim].parents[steps] / "checked" / f"{claim}.yaml"


def record_checks(claim: str, parts: Sequence[str], who: str, where: str) -> tuple[SourceCheck, ...]:
    """Put on record that somebody compared published values with the paper and found them as they are printed here.

    Args:
        claim: its id.
        parts: whose values were compared; none means all that need it.
        who: did it.
        where: in the paper or its authors' own artefact the values stand.

    Returns:
        The new entries.

    Raises:
        ConfigError: if a part does not exist or needs no check, who or where says nothing, or the place cannot be written.
    """
    loaded = load_claim(claim)
    chosen = _chosen(loaded, parts)
    who, where = _one_line("who", who, MAX_WHO), _one_line("where", where, MAX_WHERE)
    now = datetime.now(UTC).date().isoformat()
    new = tuple(SourceCheck(claim, part, loaded.parts[part].target.printed, who, where, now) for part in chosen)
    file = checks_file(claim)
    try:
        with one_writer(file):
            _append(file, claim, new)
    except (StoreError, OSError) as error:
        cause = error.__cause__ if isinstance(error.__cause__, OSError) else error
        raise ConfigError(
            f"The check could not be recorded: {file} cannot be written ({getattr(cause, 'strerror', None) or cause}). It belongs "
            f"beside the claim, so that it travels with it: make that directory writable, or check out the claims and name "
            f"the checkout in REPRO_CLAIMS."
        ) from error
    return new


def _append(file: Path, claim: str, new: Sequence[SourceCheck]) -> None:
    import yaml

    text = file.read_text(encoding="utf-8") if file.exists() else _HEADER
    if file.exists():
        _parse(text, claim, file)  # what cannot be read is not appended to
    added = yaml.safe_dump([to_json(check) for check in new], sort_keys=False, allow_unicode=True, width=120)
    write_atomically(file, text + ("" if text.endswith("\n") else "\n") + added)


def _parse(text: str, claim: str, file: Path) -> tuple[SourceCheck, ...]:
    import yaml

    try:
        content = yaml.safe_load(text) or []
        if not isinstance(content, list):
            raise RecordError(f"{file} must hold a list of checks.")
        checks = tuple(read_source_check(entry, f"{file}, entry {i + 1}") for i, entry in enumerate(content))
        strange = [check.claim for check in checks if check.claim != claim]
        if strange:
            raise RecordError(f"{file} holds a check of '{strange[0]}', which does not belong there.")
    except OtherVersion as error:
        raise ConfigError(str(error)) from error
    except (yaml.YAMLError, RecordError) as error:
        raise ConfigError(
            f"{' '.join(str(error).split())} It must be a list of entries with claim, part, printed, who, where and when "
            f"({file}); restore it from version control."
        ) from error
    return checks


def _chosen(claim: Claim, parts: Sequence[str]) -> tuple[str, ...]:
    for part in parts:
        if part not in claim.parts:
            raise ConfigError(f"{claim.id} has no part '{part}'.{nearest(part, claim.parts)}")
    sources: Mapping[str, str] = {name: part.target.source for name, part in claim.parts.items()}
    open_parts = tuple(name for name in parts or sources if _to_be_checked(sources[name]))
    refused = [name for name in parts or sources if name not in open_parts]
    if refused and (parts or not open_parts):
        name = refused[0]
        if sources[name] == "derived":
            raise ConfigError(
                f"The target of {claim.id}, part '{name}', is derived: the paper prints no such number, so there is none to compare. "
                f"Its locator says how it is worked out: {claim.parts[name].target.locator or 'nothing'}."
            )
        raise ConfigError(
            f"The target of {claim.id}, part '{name}', is verified already: {claim.parts[name].target.locator or 'see the claim'}. "
            f"There is nothing to record."
        )
    return open_parts


def _to_be_checked(source: str) -> bool:
    return source in ("unverified", "secondary")


def _one_line(name: str, text: str, longest: int) -> str:
    """Return the text on one line without characters that are not seen.

    Raises:
        ConfigError: if nothing is left, or too much.
    """
    shown = plain(text)
    if not shown:
        raise ConfigError(f'Say {name}: --verified "WHO, WHERE", as in --verified "A. Reader, Table 3 on page 7".')
    if len(shown) > longest:
        raise ConfigError(f"{name} has {len(shown)} characters; at most {longest} are kept. Say it shorter.")
    return shown
