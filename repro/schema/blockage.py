"""Why a claim cannot be tested, need by need: what is missing, who was asked, and what stands in for it meanwhile."""

from dataclasses import dataclass
from typing import Literal, get_args

from repro.schema.claim import Blocked, Claim, Source

NeedKind = Literal["data", "weights", "code", "compute", "licence", "metric"]
NEED_KINDS: tuple[NeedKind, ...] = get_args(NeedKind)


@dataclass(frozen=True)
class Need:
    """One thing that is missing; compute is counted in hours of a device."""

    kind: NeedKind
    what: str
    device: str = ""
    device_hours: float | None = None
    dollars: float | None = None
    """What those hours would cost, in US dollars."""
    source: Source = "unverified"
    """How sure the hours are; money is always an estimate."""

    def __post_init__(self) -> None:
        counted = (bool(self.device), self.device_hours is not None)
        if self.kind == "compute" and not all(counted):
            raise ValueError(f"compute needs 'device' and 'device_hours': {self.what}")
        if self.kind != "compute" and (any(counted) or self.dollars is not None):
            raise ValueError(f"only compute has 'device', 'device_hours' and 'dollars', not {self.kind}: {self.what}")
        for name, amount in (("device_hours", self.device_hours), ("dollars", self.dollars)):
            if amount is not None and not amount > 0:
                raise ValueError(f"{name} must be above 0, not {amount}: {self.what}")


@dataclass(frozen=True)
class Inquiry:
    """Somebody who was asked for what is missing."""

    who: str
    when: str
    answer: str


@dataclass(frozen=True)
class Blockage(Blocked):
    """`Blocked` with its needs one by one."""

    needs: tuple[Need, ...] = ()
    asked: tuple[Inquiry, ...] = ()
    """Empty where nobody has been asked."""
    stand_ins: tuple[str, ...] = ()
    """Smaller claims on the same hypothesis, which do not pretend to be this one."""


def blockage_of(claim: Claim) -> Blockage | None:
    """Return why a claim is blocked, or None if it is not; a plain `Blocked` names no single needs."""
    blocked = claim.blocked
    return blocked if blocked is None or isinstance(blocked, Blockage) else Blockage(**vars(blocked))
