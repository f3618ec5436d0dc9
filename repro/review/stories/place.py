"""Where a number of a tutorial comes from: the book, asked by the words that the text holds in its place."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from markupsafe import Markup, escape

from repro.review.book import Book, Standing, standings
from repro.schema.claim import Claim, Part
from repro.schema.errors import ReproError, StoreError, nearest
from repro.schema.trial import TrialRecord


class DirectiveError(StoreError):
    """A place of a tutorial that names something that there is not."""


@dataclass(frozen=True)
class Place:
    """The book that a tutorial tells of, and where on the site it stands."""

    book: Book
    root: str
    """From the tutorial to the root of the site."""
    reads: Callable[[str], Markup] = escape
    """Makes HTML of a text that stands inside a place."""

    def claim(self, name: str) -> Claim:
        """Return a claim by its id.

        Raises:
            DirectiveError: if there is none.
        """
        if name not in self.book.claims:
            raise DirectiveError(f"There is no claim '{name}'.{nearest(name, self.book.claims)}")
        return self.book.claims[name]

    def part(self, name: str, part: str) -> tuple[str, Part]:
        """Return the name and the part of a claim; `value` is the only one, whatever its name.

        Raises:
            DirectiveError: if there is none.
        """
        parts = self.claim(name).parts
        chosen = next(iter(parts)) if part == "value" and len(parts) == 1 else part
        if chosen not in parts:
            raise DirectiveError(f"The claim '{name}' has no part '{chosen}'.{nearest(chosen, parts)}")
        return chosen, parts[chosen]

    def standing(self, claim: str, protocol: str, scale: str) -> Standing | None:
        """Return what a protocol of a claim came to at a scale, ours before theirs; None if it was never judged.

        Raises:
            DirectiveError: if there is no such protocol or scale.
        """
        of = self.claim(claim)
        if protocol not in of.protocols:
            raise DirectiveError(f"The claim '{claim}' has no protocol '{protocol}'.{nearest(protocol, of.protocols)}")
        study = self.book.studies.get(of.protocols[protocol].study)
        if study is not None and scale not in study.scales:
            raise DirectiveError(f"The study {study.id} has no scale '{scale}'.{nearest(scale, study.scales)}")
        found = [one for one in standings(self.book, claim) if (one.protocol, one.scale) == (protocol, scale)]
        return next((one for one in found if one.attempt.verdict is not None), None)

    def trials(self, standing: Standing) -> Sequence[TrialRecord]:
        """Return the records of an attempt.

        Raises:
            DirectiveError: if they cannot be read.
        """
        try:
            return self.book.trials(standing.attempt.id)
        except ReproError as error:
            raise DirectiveError(f"The trials cannot be read: {error}") from error
