"""How a citation is written: one file a format, each a pure function from `Citation` to text."""

from collections.abc import Callable, Mapping

from repro.cite.citation.facts import Citation
from repro.cite.citation.formats.bibtex import bibtex
from repro.cite.citation.formats.cff import cff
from repro.cite.citation.formats.csl import csl
from repro.cite.citation.formats.markdown import markdown
from repro.cite.citation.formats.ris import ris
from repro.cite.citation.formats.sentence import sentence

FORMATS: Mapping[str, Callable[[Citation], str]] = {
    "bibtex": bibtex,
    "cff": cff,
    "csl": csl,
    "ris": ris,
    "markdown": markdown,
    "sentence": sentence,
}
"""Every format by its name; each text ends with a line break."""


def all_formats(citation: Citation) -> dict[str, str]:
    """Return a citation in every format by name."""
    return {name: write(citation) for name, write in FORMATS.items()}
