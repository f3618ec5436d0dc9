"""Where a text cites results of ours: keys, attempt ids, evidence digests and verdict words in BibTeX, LaTeX, Markdown and other text.

Files are read as text and never run: no TeX, no macros, no links. Whatever cannot be parsed is searched as plain text.
"""

import logging
import re
from bisect import bisect_left
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

from repro.cite.citation.facts import citation_key
from repro.schema.claim import SCALES
from repro.schema.errors import ReproError
from repro.schema.plain_text import plain
from repro.schema.verdict import Outcome

MAX_TEXT_BYTES = 8 * 2**20
"""Largest file that is read."""
MAX_NOTES = 10
"""Entries of one bibliography that are told to be broken; more are counted."""

_ATTEMPT = (
    r"(?<![\w./@~-])[A-Za-z0-9_][\w.-]{0,99}(?:/[A-Za-z0-9_][\w.-]{0,99}){1,5}@[\w.-]{1,100}"
    rf"@(?:{'|'.join(SCALES)})-[0-9a-f]{{8}}-\d{{1,9}}(?:~[0-9a-f]{{8}})?(?!\w)"
)
_WORD = "match|mismatch|inconclusive"
_TOKEN = re.compile(
    rf"(?P<attempt>{_ATTEMPT})(?:\W{{0,3}}[:(|]\W{{0,20}}(?P<beside>{_WORD})\b)?"
    r"|(?P<key>(?<![\w.:/])repro:[\w.]{1,300}\.[0-9a-f]{8}\.\d{1,9}(?:\.[0-9a-f]{8})?(?!\w))"
    r"|sha256:\s?(?P<digest>[0-9a-f]{8,64})(?![0-9A-Za-z])"
    rf"|\bverdict(?:\s(?:is|was|of|an?|as)){{0,3}}\W{{1,6}}(?P<word>{_WORD})\b",
    re.ASCII | re.IGNORECASE,
)
_OTHERWISE = re.compile(r"come\s+out\s+otherwise", re.IGNORECASE)
"""After these words a citation names attempts that came out otherwise: it mentions them and does not rest on them."""
_BREAK = re.compile(
    r"^(?:[ \t]*$|ER  -|[ \t]*\\item\b)|^(?=[ \t]*(?:[-*+]|\d{1,3}[.)])[ \t]|[ \t]*\||[ \t]*@\w{1,40}[ \t]{0,9}\{)",
    re.MULTILINE,
)
_DATA_BREAK = re.compile(r"^(?:[ \t]*$|ER  -)", re.MULTILINE)
_DATA = (".cff", ".yaml", ".yml", ".json", ".ris")
_ESCAPED = re.compile(
    r"\{?\\(?:text)?(?P<name>(?:underscore|asciitilde|slash|allowbreak)(?![A-Za-z])|[_@~*.`:-])(?:\{\}|\}|(?<=[a-z]) )?"
)
_COMMENT = re.compile(r"(?:^|(?<=\s))%.*$", re.MULTILINE)
_CITE = re.compile(
    r"\\[A-Za-z]{0,30}cite[A-Za-z]{0,30}\*?((?:\s{0,5}(?:\[[^\]\n]{0,500}\]|\([^)\n]{0,500}\)|\{[^{}]{0,5000}\}))+)",
    re.I,
)
_BRACED = re.compile(r"\{([^{}]*)\}")
_PANDOC = re.compile(r"(?<![\w@/.])@\{?([A-Za-z0-9_][A-Za-z0-9_:.#$%&+?<>~/-]{0,400})")
_ROLE = re.compile(r":cite(?::[a-z]{1,10})?:`([^`]{1,2000})`")
_ENTRY = re.compile(r"^(?=[ \t]*@\w{1,40}[ \t]{0,9}[{(])", re.MULTILINE)
_HEAD = re.compile(r"@\w{1,40}\s{0,20}[{(]\s{0,20}([^\s,{}()]{1,400})\s{0,20},")


@dataclass(frozen=True)
class Cited:
    """One place that cites a result: an attempt id, or the key of an entry of a bibliography, or both."""

    file: str
    line: int
    """Line of the file, from 1."""
    attempt: str | None = None
    key: str | None = None
    digest: str | None = None
    """Digits of the evidence's sha256 that stand beside it: 64, or fewer where the text shortens it."""
    outcome: Outcome | None = None
    """The verdict word that stands beside it."""

    @property
    def name(self) -> str:
        """What is cited, as it stands there."""
        return self.attempt or self.key or ""


@dataclass(frozen=True)
class Found:
    """What was found in some files."""

    cited: tuple[Cited, ...]
    notes: tuple[str, ...] = ()
    """What could not be read as it should be, a sentence each."""


def citations_in(path: Path) -> list[Cited]:
    """Return the citations in one file.

    Raises:
        ReproError: if it is a directory, cannot be read, or is no text.
    """
    return list(find([path]).cited)


def find(paths: Sequence[Path]) -> Found:
    """Return the citations in all the files; keys in texts are joined with the entries of the bibliographies among them.

    Raises:
        ReproError: if one is a directory, cannot be read, or is no text.
    """
    texts = {path: _read(path) for path in paths}
    found: dict[Path, list[Cited]] = {}
    notes: list[str] = []
    for path, text in texts.items():
        if path.suffix.lower() == ".bib":
            found[path], problems = _in_bibliography(text, str(path))
            notes += problems
    entries = {each.key: each for cited in found.values() for each in reversed(cited) if each.key}
    for path, text in texts.items():
        if path not in found:
            found[path] = _in_text(text, path, entries)
    ordered = (sorted(found[path], key=lambda each: (each.line, each.name)) for path in texts)
    return Found(tuple(each for cited in ordered for each in cited), tuple(notes))


def _read(path: Path) -> str:
    if path.is_dir():
        raise ReproError(
            f"{path} is a directory; name the files, for instance: repro lint-citations {path}/*.tex {path}/*.bib"
        )
    try:
        with path.open("rb") as stream:
            content = stream.read(MAX_TEXT_BYTES + 1)
    except OSError as error:
        raise ReproError(f"{path} cannot be read ({error.strerror or error}).") from error
    if len(content) > MAX_TEXT_BYTES:
        raise ReproError(
            f"{path} is larger than {MAX_TEXT_BYTES >> 20} MiB, too large for a text that cites. Name the sources."
        )
    if b"\0" in content:
        raise ReproError(f"{path} is no text. Name the .bib, .tex, .md, .rst or .txt sources of your document.")
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = content.decode("latin-1")
    return text.replace("\r\n", "\n").replace("\r", "\n")


def _in_bibliography(text: str, file: str) -> tuple[list[Cited], list[str]]:
    """Return what the entries cite, and what could not be parsed; that is searched as text all the same."""
    from bibtexparser.entrypoint import parse_string
    from bibtexparser.model import Entry, ImplicitComment, ParsingFailedBlock

    # It logs pieces of the file as they stand there; what it cannot parse is told below.
    logging.getLogger("bibtexparser").setLevel(logging.CRITICAL + 1)
    try:
        blocks = parse_string(text, parse_stack=[]).blocks
    except Exception as error:  # a parser of a hostile file may fail in any way, and the file is still searched
        notes = [f"{file} cannot be read as BibTeX ({type(error).__name__}); it was searched as text."]
        return _broken(text, file, 1), notes
    found, notes, failed = [], [], False
    for block in blocks:
        raw, line = block.raw or "", (block.start_line or 0) + 1
        if isinstance(block, ParsingFailedBlock):
            failed = True
            why = getattr(block.error, "abort_reason", "") or str(block.error)
            notes.append(f"{file}:{line}: this is no BibTeX entry ({plain(why)[:200]}); it was searched as text.")
            found += _broken(raw, file, line)
        elif isinstance(block, Entry):
            failed = False
            found += _entry(raw, file, line, block.key)
        elif isinstance(block, ImplicitComment) and failed:  # the rest of a broken entry looks like a comment
            found += _entry(raw, file, line, "")
    if len(notes) > MAX_NOTES:
        notes = [*notes[:MAX_NOTES], f"{file}: {len(notes) - MAX_NOTES} more such entries."]
    return found, notes


def _broken(raw: str, file: str, line: int) -> list[Cited]:
    """Return what entries cite that cannot be parsed: each reaches to the head of the next."""
    found = []
    for start, piece in _pieces(raw, _ENTRY):
        head = _HEAD.search(piece)
        found += _entry(piece, file, line + start, head[1] if head else "")
    return found


def _entry(raw: str, file: str, line: int, key: str) -> list[Cited]:
    """Return what one entry cites: the attempt that its key names, else the first; others in it are only mentioned."""
    found = [each for each in _tokens(_plain(raw, tex=True), file, line) if each.attempt]
    main = next((each for each in found if each.attempt and citation_key(each.attempt) == key), None)
    if main is not None:
        return [replace(main, key=key)]
    if key.startswith("repro:"):  # the key names one attempt and the text another, or none: both are cited
        return [Cited(file, line, key=key), *found[:1]]
    return [replace(each, key=key or None) for each in found[:1]]


def _in_text(text: str, path: Path, entries: Mapping[str, Cited]) -> list[Cited]:
    suffix = path.suffix.lower()
    tex = suffix in (".tex", ".ltx", ".sty", ".cls")
    if tex:
        text = _COMMENT.sub("", text)
    found: list[Cited] = []
    for line, piece in _pieces(_plain(text, tex), _DATA_BREAK if suffix in _DATA else _BREAK):
        found += _tokens(piece, str(path), line + 1)
    seen = {(each.line, each.key) for each in found}
    line_of = _line_numbers(text, 1)
    for place, key in _keys(text):
        line = line_of(place)
        if (line, key) not in seen and (key in entries or key.startswith("repro:")):
            seen.add((line, key))
            found.append(Cited(str(path), line, key=key))
    return [_joined(each, entries) for each in found]


def _joined(cited: Cited, entries: Mapping[str, Cited]) -> Cited:
    entry = entries.get(cited.key or "")
    if cited.attempt or entry is None:
        return cited
    return replace(entry, file=cited.file, line=cited.line)


def _keys(text: str) -> Iterator[tuple[int, str]]:
    r"""Yield place and key of what is cited: `\cite{a,b}` and its kin, `[@a]`, `:cite:`a``."""
    for cite in _CITE.finditer(text):
        for group in _BRACED.finditer(cite[1]):
            yield from _listed(group[1], cite.start(1) + group.start(1))
    for role in _ROLE.finditer(text):
        yield from _listed(role[1], role.start(1))
    yield from ((at.start(1), at[1].rstrip(":.#$%&+?<>~/-")) for at in _PANDOC.finditer(text))


def _listed(keys: str, place: int) -> Iterator[tuple[int, str]]:
    for key in re.finditer(r"[^,\s]+", keys):
        yield place + key.start(), key[0]


def _tokens(block: str, file: str, line: int) -> list[Cited]:
    """Return what a block of text cites: each attempt with the digest and the verdict word that stand beside it.

    A value belongs to the attempt before it, unless that has one already: then to the next. Values before the first belong to
    the first.
    """
    otherwise = _OTHERWISE.search(block)
    attempts: dict[str, Cited] = {}
    keys: dict[str, Cited] = {}
    waiting: dict[str, Any] = {}
    current: str | None = None
    line_of = _line_numbers(block, line)

    def give(what: str, value: str) -> None:
        change: dict[str, Any] = {what: value}
        before = getattr(attempts[current], what) if current else None
        if current and before is None:
            attempts[current] = replace(attempts[current], **change)
        elif before != value:
            waiting.setdefault(what, value)

    for token in _TOKEN.finditer(block):
        if token["attempt"]:
            name = token["attempt"]
            if otherwise and token.start() > otherwise.start() and token["beside"] and name not in attempts:
                continue
            current = name
            if name not in attempts:
                attempts[name] = Cited(file, line_of(token.start()), attempt=name)
                for what, value in waiting.items():
                    give(what, value)
                waiting.clear()
            if token["beside"]:
                give("outcome", token["beside"].lower())
        elif token["key"]:
            keys.setdefault(token["key"], Cited(file, line_of(token.start()), key=token["key"]))
        elif token["digest"]:
            give("digest", token["digest"].lower())
        else:
            give("outcome", token["word"].lower())
    named = {citation_key(name): name for name in attempts}
    for key in keys.keys() & named.keys():
        attempts[named[key]] = replace(attempts[named[key]], key=key)
    return [*attempts.values(), *(each for key, each in keys.items() if key not in named)]


def _line_numbers(text: str, first: int) -> Callable[[int], int]:
    """Return a function from a place in the text to its line, where the text begins on line `first`."""
    ends = [at for at, sign in enumerate(text) if sign == "\n"]
    return lambda place: first + bisect_left(ends, place)


def _pieces(text: str, at: re.Pattern[str]) -> Iterator[tuple[int, str]]:
    """Yield the blocks of a text, each with the number of lines before it."""
    starts = sorted({0, *(found.start() for found in at.finditer(text)), len(text)})
    lines = 0
    for start, end in pairwise(starts):
        piece = text[start:end]
        yield lines, piece
        lines += piece.count("\n")


def _plain(text: str, tex: bool) -> str:
    r"""Return text without what LaTeX and Markdown put before signs of an id; lines stay where they are.

    `\-` is a place to break a word in LaTeX, and a hyphen in Markdown.
    """
    signs = {"underscore": "_", "asciitilde": "~", "slash": "/", "allowbreak": "", "-": "" if tex else "-"}
    return _ESCAPED.sub(lambda found: signs.get(found["name"], found["name"]), text)
