"""How far a verdict can be trusted: each protocol of a claim with its error rates, where they were measured."""

from dataclasses import dataclass

from repro.review.book import Book, standings
from repro.schema.calibration import Calibration
from repro.schema.claim import Claim
from repro.schema.verdict import Attempt


@dataclass(frozen=True)
class Trust:
    """One protocol at one scale, and its error rates."""

    claim: str
    protocol: str
    scale: str
    attempt: Attempt | None
    """Whose seal the rates belong to; None where the protocol has not been run at this scale."""
    calibration: Calibration | None
    """None where nobody has calibrated it."""

    @property
    def command(self) -> str:
        """The command that measures the rates."""
        return f"repro calibrate {self.claim}@{self.protocol}@{self.scale}"


def trust_of(book: Book, attempt: Attempt) -> Trust:
    """Return the error rates of the protocol as it was sealed for an attempt."""
    found = book.calibrations.get(attempt.sealed.digest)
    return Trust(attempt.claim, attempt.protocol, attempt.scale, attempt, found)


def trust_in(book: Book, claim: Claim) -> tuple[Trust, ...]:
    """Return every protocol of a claim at each scale where it was run and may decide; one not run yet as it may be run.

    Only the seal of the attempt that is shown counts: error rates of another seal are those of another protocol.
    """
    found: list[Trust] = []
    for name, protocol in claim.protocols.items():
        here = [
            trust_of(book, standing.attempt)
            for standing in standings(book, claim.id)
            if standing.protocol == name and standing.scale in protocol.decisive
        ]
        # Ours and theirs of one seal have the same error rates; of several that nobody calibrated one says so.
        told = {(each.scale, each.calibration.seal if each.calibration else ""): each for each in reversed(here)}
        run = [each for each in here if each in told.values()]
        planned = [
            Trust(claim.id, name, calibration.scale, None, calibration)
            for calibration in book.calibrations.values()
            if (calibration.claim, calibration.protocol) == (claim.id, name)
        ]
        unrun = [Trust(claim.id, name, scale, None, None) for scale in protocol.decisive[:1]]
        found += run or planned or unrun
    return tuple(found)
