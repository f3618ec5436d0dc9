"""How often a protocol decides rightly where the truth is known, in plain words and as the lengths of a bar."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from repro.judge.numbers import fixed, significant
from repro.review.wording.labels import counted, pretty
from repro.schema.calibration import Calibration, Scenario
from repro.schema.verdict import Sealed

METHODS: Mapping[str, str] = {
    "records": "Trial records were simulated, and went through the sealed estimator and the rule.",
    "estimates": "Estimates were simulated, not the records behind them: the rule is tested here, the estimator is not.",
    "exact": "Nothing random enters this protocol, so each case was decided once: a rate is always or never.",
}
"""What was simulated, by `Calibration.method`."""


@dataclass(frozen=True)
class Rate:
    """How often something happened, with its exact 95 % interval."""

    count: int
    draws: int
    low: float
    high: float
    exact: bool
    """Nothing random entered: the rate is 0 or 1 and has no interval."""

    @property
    def share(self) -> float:
        """The rate itself."""
        return self.count / self.draws

    @property
    def text(self) -> str:
        """The rate in words that fit into a sentence: `97 times in 100 (95 to 98)`."""
        if self.exact:
            return "always" if self.count else "never"
        if self.count == 0:
            return f"in none of {self.draws} draws (at most {_hundreds(self.high)} times in 100)"
        if self.count == self.draws:
            return f"in each of {self.draws} draws (at least {_hundreds(self.low)} times in 100)"
        return f"{_hundreds(self.share)} times in 100 ({_hundreds(self.low)} to {_hundreds(self.high)})"

    @property
    def brief(self) -> str:
        """The rate in words, without its interval."""
        if self.exact:
            return "always" if self.count else "never"
        return f"{_hundreds(self.share)} times in 100"

    @property
    def number(self) -> str:
        """The rate out of 100."""
        return _hundreds(self.share)

    @property
    def ends(self) -> str:
        """The interval out of 100."""
        return f"{_hundreds(self.low)} to {_hundreds(self.high)}"


@dataclass(frozen=True)
class Case:
    """One thing that may be true, and what the protocol then says."""

    label: str
    """What is true, in words."""
    values: str
    """The value that was true, where there is one only."""
    truth: str
    match: Rate
    mismatch: Rate
    undecided: Rate

    @property
    def right(self) -> str:
        """The verdict that would be right."""
        return "Match" if self.truth == "true" else "Mismatch"

    @property
    def bar(self) -> tuple[tuple[str, float, float], ...]:
        """Kind, start and width of the three lengths of a stacked bar, in per cent of it."""
        widths = [
            ("match", 100 * self.match.share),
            ("inconclusive", 100 * self.undecided.share),
            ("mismatch", 100 * self.mismatch.share),
        ]
        starts = [0.0, widths[0][1], widths[0][1] + widths[1][1]]
        return tuple((kind, start, width) for start, (kind, width) in zip(starts, widths, strict=True) if width)


def cases(calibration: Calibration, sealed: Sealed | None = None) -> tuple[Case, ...]:
    """Return every case of a calibration: the truth first, then the margin, then the rivals."""
    order = {"true": 0, "margin": 1, "rival": 2}
    scenarios = sorted(calibration.scenarios, key=lambda scenario: (order[scenario.truth], scenario.name))
    return tuple(_case(scenario, calibration, sealed) for scenario in scenarios if scenario.draws)


def sentences(calibration: Calibration, sealed: Sealed | None = None) -> tuple[tuple[str, str], ...]:
    """Return what the protocol would say were the truth known: a field's term and a sentence, pair by pair.

    Of the two sides of a margin the one where the protocol errs more often is told.
    """
    return tuple(_sentences(cases(calibration, sealed)))


def _sentences(every: tuple[Case, ...]) -> Iterator[tuple[str, str]]:
    of = {truth: [case for case in every if case.truth == truth] for truth in ("true", "margin", "rival")}
    for case in of["true"]:
        yield "sensitivity", f"If the claim were true, this protocol would say so {case.match.text}."
    if of["margin"]:
        worst = max(of["margin"], key=lambda case: case.match.share)
        yield "false match", f"If the claim were {worst.label}, it would wrongly match {worst.match.text}."
    for case in of["rival"]:
        yield "power", f"If the claim were {case.label}, it would notice {case.mismatch.text}."
    undecided = [f"{case.undecided.brief} if it were {case.label}" for case in (*of["true"], *of["rival"])]
    if of["margin"]:
        worst = max(of["margin"], key=lambda case: case.undecided.share)
        undecided.insert(len(of["true"]), f"{worst.undecided.brief} if it were {worst.label}")
    if every and not any(case.undecided.count for case in every):
        exact = all(case.undecided.exact for case in every)
        yield "undecided", f"It {'would never stay' if exact else 'stayed'} undecided{'' if exact else ' in no draw'}."
    elif undecided:
        yield "undecided", f"It would stay undecided {', '.join(undecided)}."


def made_of(calibration: Calibration) -> str:
    """Return on what the rates rest: draws, units of an attempt, where the noise came from."""
    draws = sorted({scenario.draws for scenario in calibration.scenarios})
    number = " to ".join(str(n) for n in dict.fromkeys((draws[0], draws[-1]))) if draws else "no"
    if calibration.method == "exact":
        return METHODS["exact"]
    of_each = f"{number} draws a case, {counted(calibration.units, calibration.unit)} in each"
    told = [f"{METHODS[calibration.method]} {of_each}", f"noise from {_source(calibration)}"]
    spread = [
        f"{significant(sd, 3)}" + (f" ({pretty(part)})" if len(calibration.noise) > 1 else "")
        for part, sd in calibration.noise.items()
        if sd is not None
    ]
    if spread:
        most = ", ".join(spread[:4]) + (f" and {len(spread) - 4} more" if len(spread) > 4 else "")
        told.append(f"standard deviation of one {calibration.unit}: {most}")
    return "; ".join(told) + "."


def _source(calibration: Calibration) -> str:
    return "the published spread" if calibration.noise_from == "published" else calibration.noise_from


def _case(scenario: Scenario, calibration: Calibration, sealed: Sealed | None) -> Case:
    return Case(
        label=_label(scenario, sealed),
        values=_value(scenario),
        truth=scenario.truth,
        match=_rate(scenario.match, scenario.draws, calibration),
        mismatch=_rate(scenario.mismatch, scenario.draws, calibration),
        undecided=_rate(scenario.inconclusive, scenario.draws, calibration),
    )


def _label(scenario: Scenario, sealed: Sealed | None) -> str:
    if scenario.truth == "true":
        return "true"
    if scenario.truth == "rival":
        value = f", {_value(scenario)}" if _value(scenario) else ""
        return f"false by the rival's value ({pretty(scenario.name)}{value})"
    # Without a margin a claim is false as soon as the value lies on the wrong side.
    without = sealed is not None and all(part.rule.margin is None for part in sealed.parts.values())
    one = pretty(scenario.parts[0]) if len(scenario.parts) == 1 < len(scenario.values) else ""
    where = ", ".join(word for word in (scenario.name, f"in {one} alone" if one else "") if word)
    return ("barely false" if without else "false by just the margin") + (f" ({where})" if where else "")


def _value(scenario: Scenario) -> str:
    """Return the value that was true, of the part that was false if there are several parts."""
    values = [scenario.values[name] for name in scenario.parts] or list(scenario.values.values())
    return significant(values[0]) if len(values) == 1 else ""


def _rate(count: int, draws: int, calibration: Calibration) -> Rate:
    from repro.judge.calibrate import rate_interval

    exact = calibration.method == "exact" and count in (0, draws)
    low, high = (count / draws,) * 2 if exact else rate_interval(count, draws)
    return Rate(count, draws, low, high, exact)


def _hundreds(share: float) -> str:
    """Return a share out of 100, with a decimal only where it would else read as never or always."""
    hundreds = 100 * share
    return fixed(hundreds, 1 if 0 < hundreds < 1 or 99 < hundreds < 100 else 0, trim=True)
