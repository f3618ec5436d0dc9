"""The page that somebody meant who typed an address that there is not."""

from collections.abc import Iterable
from difflib import get_close_matches

from repro.review.addresses import (
    NEXT,
    TOPICS,
    attempt_address,
    claim_address,
    comparison_address,
    paper_address,
    tutorial_address,
)
from repro.review.book import Book

LONGEST = 300
"""Characters of an address that are compared: no page has a longer one, and comparing takes time."""


def page_addresses(book: Book) -> list[str]:
    """Return the addresses of pages that somebody may mean; the files beside them are many and nobody types them."""
    return [
        *("index.html", NEXT, TOPICS),
        *(claim_address(name) for name in book.claims),
        *(paper_address(name) for name in sorted({claim.paper for claim in book.claims.values()})),
        *(attempt_address(attempt.id) for attempt in book.attempts),
        *(comparison_address(name) for name in book.comparisons),
        *(tutorial_address(name) for name in book.tutorials),
    ]


def nearest_address(address: str, addresses: Iterable[str]) -> str:
    """Return the nearest address of a page; empty if none is near.

    Of attempts, whose names are long and many, those of the claim that is meant are compared, not all.

    >>> nearest_address("claim/a/exponnt.html", ["index.html", "claim/a/exponent.html", "claim/a/ratios.html"])
    'claim/a/exponent.html'
    >>> nearest_address("attempt/a/exponnt@p@cpu-1", ["attempt/a/exponent@p@cpu-1.html", "attempt/a/ratios@p@cpu-1.html"])
    'attempt/a/exponent@p@cpu-1.html'
    """
    wanted = address[:LONGEST].removesuffix(".html")
    kind = f"{wanted.partition('/')[0]}/" if "/" in wanted else ""
    pages = [name.removesuffix(".html") for name in addresses if name.endswith(".html")]
    same = [name for name in pages if name.startswith(kind) and ("/" in name) == bool(kind)]
    if kind == "attempt/":
        claims = {name.partition("@")[0] for name in same}
        claim = _near(wanted.partition("@")[0], claims)
        # One of another scale or number is still an attempt at that claim.
        same = [name for name in same if name.partition("@")[0] == claim]
        found = _near(wanted, same, cutoff=0.0)
    else:
        found = _near(wanted, same or pages)
    return f"{found}.html" if found else ""


def _near(wanted: str, names: Iterable[str], cutoff: float = 0.6) -> str:
    return next(iter(get_close_matches(wanted, sorted(names), n=1, cutoff=cutoff)), "")
