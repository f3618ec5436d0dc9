"""A chain of annotations as text, one JSON document a line, and what two chains of one attempt amount to together."""

from collections.abc import Sequence
from dataclasses import replace

from repro.schema.annotation import Annotation, broken_at, continued
from repro.schema.canonical import canonical_json
from repro.schema.documents import read_annotation
from repro.schema.errors import RecordError, StoreError
from repro.schema.jsonform import to_json
from repro.schema.migrations import OtherVersion

MAX_CHARACTERS = 4_000_000
"""Of a chain: what is longer is no chain that people wrote."""

Chain = tuple[Annotation, ...]


def read_chain(text: str, attempt: str, where: str) -> Chain:
    """Return the entries of a chain; in the place of a line that says nothing reliable stands one that says so.

    Args:
        text: as `chain_text` wrote it.
        attempt: whose chain it must be.
        where: it was found, for messages.

    Raises:
        RecordError: if an entry was written by a newer version.
    """
    if len(text) > MAX_CHARACTERS:
        return (damage(attempt, f"{where} is longer than any chain of entries that people wrote."),)
    lines = text.split("\n")
    if lines[-1] == "":
        lines.pop()
    return tuple(_read(line, attempt, f"line {number} of {where}") for number, line in enumerate(lines, 1))


def _read(line: str, attempt: str, where: str) -> Annotation:
    try:
        entry = read_annotation(line, where)
    except OtherVersion:
        raise
    except RecordError:
        return damage(attempt, f"An entry cannot be read: {where} was cut short or edited.")
    if entry.attempt != attempt:
        return damage(attempt, f"An entry of another attempt stands in {where}.")
    return entry


def damage(attempt: str, why: str) -> Annotation:
    """Return an entry that stands where one is missing or cannot be read. It has no digest, so its chain is broken."""
    return Annotation(attempt, "disputed", "repro", "", why)


def is_whole(chain: Chain) -> bool:
    """Say whether every entry follows the one before."""
    return broken_at(chain) is None


def chain_text(entries: Sequence[Annotation]) -> str:
    """Return entries as text, each on one line however lines are told apart.

    Raises:
        StoreError: if one of them was damaged: writing it again would hide that.
    """
    for entry in entries:
        if entry.digest != entry.content_digest():
            raise StoreError(
                f"The entries of {entry.attempt} were damaged, so they are not written again. Restore them from version control "
                f"or a backup."
            )
    lines = [canonical_json(to_json(entry)) for entry in entries]
    for separator in ("\x85", "\u2028", "\u2029"):
        lines = [line.replace(separator, f"\\u{ord(separator):04x}") for line in lines]
    return "".join(f"{line}\n" for line in lines)


def extended(chain: Chain, attempt: str, others: Sequence[Annotation]) -> Chain:
    """Return a chain followed by those of the others that it does not have, each linked to the one before.

    The same word of the same person at the same moment is one entry, whatever it followed where it was found.

    Args:
        chain: to begin with.
        attempt: name of the attempt in this chain.
        others: entries of another chain, in order.
    """
    there = {_identity(entry): entry.digest for entry in chain}
    renamed: dict[str, str] = {}
    for other in others:
        if _identity(other) not in there:
            entry = replace(other, attempt=attempt, settles=renamed.get(other.settles, other.settles))
            chain = (*chain, continued(chain, entry))
            there[_identity(other)] = chain[-1].digest
        renamed[other.digest] = there[_identity(other)]
    return chain


def merged(chains: Sequence[Chain]) -> Chain:
    """Return what chains of one attempt say together: the longest, then what others have besides.

    A damaged one comes first, so that the damage shows in the whole.
    """
    first, *rest = sorted(chains, key=lambda chain: (is_whole(chain), -len(chain)))
    for chain in rest:
        first = extended(first, first[0].attempt if first else "", chain) if first else chain
    return first


def _identity(entry: Annotation) -> tuple[str, ...]:
    return entry.kind, entry.who, entry.when, entry.why
