"""Names of config files as people read them."""

from collections.abc import Sequence
from itertools import takewhile

from repro.schema.claim import Claim


def pretty(name: str) -> str:
    """Return a name of a config file with its underscores as spaces.

    >>> pretty("ppv_at_1_in_100"), pretty("6.8B")
    ('ppv at 1 in 100', '6.8B')
    """
    return " ".join(name.replace("_", " ").split()) or name


def part_label(claim: Claim | None, name: str) -> str:
    """Return how a part is called: the only one, `value`, by the symbol of its quantity."""
    return claim.quantity.symbol if name == "value" and claim is not None else pretty(name)


def counted(n: int, unit: str) -> str:
    """Return a number of units in words.

    >>> counted(1, "seed"), counted(20, "repetition of the draws"), counted(8, "bootstrap batch"), counted(2, "chip or model")
    ('1 seed', '20 repetitions of the draws', '8 bootstrap batches', '2 chips or models')
    """
    if n == 1:
        return f"1 {unit}"
    nouns, of, rest = unit.partition(" of ")
    plurals = (f"{noun}es" if noun.endswith(("ch", "sh", "s", "x")) else f"{noun}s" for noun in nouns.split(" or "))
    return f"{n} {' or '.join(plurals)}{of}{rest}"


def telling(names: Sequence[str], longest: int) -> list[str]:
    """Return names as they are if all fit, else without the words that all begin or all end with, but for one before.

    >>> telling(["loss at 1 million tokens", "loss at 2 million tokens"], 12)
    ['… at 1 …', '… at 2 …']
    """
    if len(names) < 2 or max(map(len, names)) <= longest:
        return list(names)
    split = [name.split() for name in names]
    # Of the shortest name at least one word is left.
    shortest = min(map(len, split))
    lead = min(_common(split), shortest - 1)
    tail = min(_common([words[::-1] for words in split]), shortest - lead - 1)
    start = max(lead - 1, 0)
    return [" ".join(["…"] * (start > 0) + words[start : len(words) - tail] + ["…"] * (tail > 0)) for words in split]


def _common(split: Sequence[Sequence[str]]) -> int:
    """Return with how many equal words all begin."""
    return sum(1 for _ in takewhile(lambda words: len(set(words)) == 1, zip(*split, strict=False)))
