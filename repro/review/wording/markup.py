"""Numbers and names as pieces of a page: escaped, and with all their digits along."""

import re

from markupsafe import Markup, escape

from repro.judge import numbers
from repro.review.wording import words
from repro.schema.claim import Part
from repro.schema.verdict import PartVerdict


def number(value: float | None, digits: int = 4) -> Markup:
    """Return a rounded number that carries all its digits along."""
    return _carrying(numbers.significant(value, digits), value)


def measured(part: PartVerdict, sealed: Part) -> Markup:
    """Return the estimate of a part, with as many decimals as its interval deserves, then the interval."""
    digits = words.digits_beside(sealed.target)
    value, low, high = numbers.like_interval(part.estimate.value, part.low, part.high, digits)
    shown = _carrying(value, part.estimate.value)
    if part.low is None or part.high is None or part.low == part.high:
        return shown
    ends = Markup('<span class="interval">({} to {}, {})</span>')
    return shown + " " + ends.format(_carrying(low, part.low), _carrying(high, part.high), words.level(part))


def ends(value: float, low: float, high: float) -> Markup:
    """Return a value and the interval around it."""
    shown, start, end = numbers.like_interval(value, low, high)
    around = Markup('<span class="interval">({} to {})</span>').format(_carrying(start, low), _carrying(end, high))
    return _carrying(shown, value) + " " + around


def span(low: float, high: float) -> Markup:
    """Return an interval."""
    _, start, end = numbers.like_interval((low + high) / 2, low, high)
    return Markup("{} to {}").format(_carrying(start, low), _carrying(end, high))


def soft(name: str) -> Markup:
    """Return a name that may be broken after its underscores and slashes."""
    return Markup(re.sub("([_/])", r"\1<wbr>", str(escape(name))))


def command(sentence: str) -> Markup:
    """Return a sentence that ends with a command of ours, the command marked as one."""
    found = re.fullmatch(r"(.*): (repro [^()\n]+?)(\s\(.*\))?\.?", sentence, re.DOTALL)
    if found is None:
        return Markup("{}").format(sentence)
    said, typed, rest = found.groups()
    return Markup('{}: <code class="command">{}</code>{}').format(said, typed, rest or "")


def _carrying(text: str, value: float | None) -> Markup:
    if value is None:
        return escape(text)
    exact = repr(float(value))
    return Markup(f'<data value="{exact}" title="{exact}">{escape(text)}</data>')
