"""Names of authors as bibliographies want them. Catalogues keep them as a paper prints them, given name first."""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from repro.cite.citation.plain import one_line

_GROUPS = re.compile(
    r"\b(team|collaboration|consortium|contributors|group|authors|maintainers|others)\b", re.IGNORECASE
)
_CAPITAL_PARTICLES = ("De", "Del", "Della", "Du", "La", "Le", "Von")
"""Written with a capital in some surnames (Le Scao, De Fauw); lower-case words before a surname always belong to it."""


@dataclass(frozen=True)
class Name:
    """A name in the parts that reference managers keep. A group has a family name alone."""

    family: str
    given: str = ""
    particle: str = ""
    """Such as `van den`."""

    @property
    def surname(self) -> str:
        """Family name with its particle."""
        return f"{self.particle} {self.family}".strip()

    @property
    def group(self) -> bool:
        """Whether this is no person."""
        return not self.given and not self.particle


def parse_name(name: str) -> Name:
    """Return the parts of a name.

    A single word, a name that starts in lower case or ends in capitals, and one that says it (`team`, `contributors`) are groups.

    >>> parse_name("George van den Driessche")
    Name(family='Driessche', given='George', particle='van den')
    >>> parse_name("Teven Le Scao").surname, parse_name("Epoch AI").group
    ('Le Scao', True)
    """
    words = name.split()
    last = words[-1] if words else ""
    if (
        len(words) < 2
        or "," in name
        or words[0][0].islower()
        or _GROUPS.search(name)
        or (last.isupper() and len(last) > 1)
    ):
        return Name(" ".join(words))
    lower = [i for i, word in enumerate(words[1:-1], start=1) if word[0].islower()]
    if lower:
        end = lower[0]
        while end < len(words) - 1 and words[end][0].islower():
            end += 1
        return Name(" ".join(words[end:]), " ".join(words[: lower[0]]), " ".join(words[lower[0] : end]))
    start = len(words) - 1
    while start > 1 and words[start - 1] in _CAPITAL_PARTICLES:
        start -= 1
    return Name(" ".join(words[start:]), " ".join(words[:start]))


def parse_names(authors: Sequence[str]) -> tuple[Name, ...]:
    """Return the names of authors, each on one line; `Anonymous` where there is none."""
    return tuple(parse_name(name) for author in authors if (name := one_line(author))) or (Name("Anonymous"),)


def short_authors(authors: Sequence[str]) -> str:
    """Return the authors as a text names them.

    >>> short_authors(["Ada Lovelace"]), short_authors(["Ada Lovelace", "Bo Li"]), short_authors(["Ada Lovelace", "Bo Li", "C. D"])
    ('Lovelace', 'Lovelace and Li', 'Lovelace et al.')
    """
    names = [name.surname for name in parse_names(authors)]
    return f"{names[0]} et al." if len(names) > 2 else " and ".join(names)
