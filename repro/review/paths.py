"""The paths of a site, of which those of a claim or an attempt are worked out when one of them is asked for."""

from collections.abc import Callable, Iterator, Mapping
from functools import lru_cache

Content = str | bytes
Files = Mapping[str, Callable[[], Content]]


class Paths(Mapping[str, Callable[[], Content]]):
    """Every path with the function that makes its content.

    A ledger of ten thousand attempts has half a million files beside its pages; a server that answers for one of them works out
    those with its stem, and no others. Whoever goes through all gets all.

    Args:
        now: paths that are known.
        later: by stem, the function that works out the paths that begin with it, followed by a dot or a slash.
    """

    def __init__(self, now: Files, later: Mapping[str, Callable[[], Files]]) -> None:
        self._now = now
        self._later = later
        self._of = lru_cache(maxsize=64)(lambda stem: later[stem]())

    def __getitem__(self, address: str) -> Callable[[], Content]:
        if address in self._now:
            return self._now[address]
        # The longest stem first: a claim may be called as another one begins.
        for cut in range(len(address) - 1, 0, -1):
            if address[cut] in "./" and address[:cut] in self._later and address in (files := self._of(address[:cut])):
                return files[address]
        raise KeyError(address)

    def __iter__(self) -> Iterator[str]:
        yield from self._now
        for stem in self._later:
            yield from self._of(stem)

    def __len__(self) -> int:
        return sum(1 for _ in self)
