"""Who chose what: MovieLens 1M or made-up interactions, split and with candidates to rank. Shared by the recipes of this folder.

MovieLens 1M is read inside the archive that GroupLens serves (https://grouplens.org/datasets/movielens/1m/), whose terms forbid passing it on.
A rating of any height is a positive. As in He et al. 2017 (arXiv 1708.05031) each user's latest positive is held out and ranked among
99 items that the user never rated. Those 99 are drawn here, anew for every seed; the paper's authors published theirs.

Made-up interactions have a known law. User u picks n items one after the other, without replacement, with probabilities

    p(i | u) ∝ exp(s · a_ui + t · g_i),     g_i ~ N(0, 1),

where a_ui is the affinity of one of three worlds (`AFFINITIES`), less its means over users and over items, at standard deviation 1: no
world can be told from another by the popularity of items or by the spread of affinities.
"""

import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from repro.lab.seeding import generator

MEMBER = "ml-1m/ratings.dat"
"""File of the archive: a rating a line, `UserID::MovieID::Rating::Timestamp`."""

LARGEST = 64 * 2**20
"""Bytes of it that are read at most; the true one has 25 million."""

ROW = re.compile(rb"(\d{1,7})::(\d{1,7})::[1-5]::(\d{1,11})\r?")


@dataclass(frozen=True)
class Positives:
    """All positives, each user's in the order of time: N pairs of a user in 0 … U − 1 and an item in 0 … I − 1."""

    users: Tensor
    items: Tensor
    U: int
    I: int  # noqa: E741
    law: Tensor | None = None
    """[U, I], where it is known: by how much each user likes each item, popularity included."""


@dataclass(frozen=True)
class Split:
    """What is trained on and what is ranked."""

    users: Tensor
    """Of the training positives, [N]."""
    items: Tensor
    """[N]."""
    candidates: Tensor
    """[U, 100]; column 0 is the held-out item, the others the user never chose."""
    U: int
    I: int  # noqa: E741
    law: Tensor | None = None
    """Of the candidates, [U, 100], where it is known: what no model can rank better than, but by chance."""


def ratings(archive: Path) -> Tensor:
    """Return user, movie and time of every rating of MovieLens 1M, [N, 3], in the order of the file.

    Raises:
        ValueError: if the archive is none, lacks the file, or the file is too long, has a bad row or rates one movie twice for a user.
    """
    try:
        with zipfile.ZipFile(archive) as zipped:
            if MEMBER not in zipped.namelist():
                raise ValueError(
                    f"{archive.name} must hold {MEMBER}; it holds {zipped.namelist()[:5]}. Is it ml-1m.zip?"
                )
            with zipped.open(MEMBER) as stream:  # what the archive says of the length is not relied on
                content = stream.read(LARGEST + 1)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        raise ValueError(f"{archive.name} is no archive that can be read: {error}") from error
    if len(content) > LARGEST:
        raise ValueError(f"{MEMBER} must have at most {LARGEST} bytes; it has more. Is it ml-1m.zip?")
    lines = content.split(b"\n")
    if not lines[-1]:
        lines.pop()
    rows = []
    for number, line in enumerate(lines, 1):
        row = ROW.fullmatch(line)
        if row is None:
            shown = line[:40].decode(errors="replace")
            raise ValueError(f"{MEMBER}, line {number}: must be UserID::MovieID::Rating::Timestamp, got '{shown}'")
        rows.append([int(field) for field in row.groups()])
    if not rows:
        raise ValueError(f"{MEMBER} must hold ratings; it is empty.")
    found = torch.tensor(rows)
    if len(torch.unique(found[:, :2], dim=0)) < len(found):
        raise ValueError(f"{MEMBER} rates one movie twice for one user.")
    return found


def movielens(archive: Path, users: int = 0) -> Positives:
    """Return the ratings of the first `users` users (0: all) as positives; only items that one of them rated are numbered."""
    found = ratings(archive)
    ids = torch.unique(found[:, 0])
    if users:
        found = found[found[:, 0] <= ids[min(users, len(ids)) - 1]]
    # Equal times keep the order of the file.
    found = found[found[:, 2].argsort(stable=True)]
    user_ids, u = torch.unique(found[:, 0], return_inverse=True)
    item_ids, i = torch.unique(found[:, 1], return_inverse=True)
    return Positives(u, i, len(user_ids), len(item_ids))


def factors(U: int, I: int, k: int, rng: torch.Generator) -> Tensor:  # noqa: E741
    """Return dot products of normal vectors, [U, I]: the world in which factorisation is the true model."""
    return torch.randn(U, k, generator=rng) @ torch.randn(I, k, generator=rng).T


def distance(U: int, I: int, k: int, rng: torch.Generator) -> Tensor:  # noqa: E741
    """Return minus the distances of normal points, [U, I]."""
    return -torch.cdist(torch.randn(U, k, generator=rng), torch.randn(I, k, generator=rng))


def network(U: int, I: int, k: int, rng: torch.Generator) -> Tensor:  # noqa: E741
    """Return the output of a random MLP of both vectors, 2k → 4k → 4k → 1 with tanh, [U, I]: an MLP is the true model."""
    p, q = torch.randn(U, k, generator=rng), torch.randn(I, k, generator=rng)
    first, second, last = (torch.randn(n, m, generator=rng) for n, m in ((2 * k, 4 * k), (4 * k, 4 * k), (4 * k, 1)))
    rows = []
    for each in p:  # a user at a time, for the sake of memory
        x = torch.cat([each.expand(I, k), q], 1)
        # A gain of 2 over unit variance: inputs meet in the bends of tanh, and do not simply add up.
        hidden = torch.tanh(2 * x @ first / (2 * k) ** 0.5)
        rows.append((torch.tanh(2 * hidden @ second / (4 * k) ** 0.5) @ last).squeeze(1))
    return torch.stack(rows)


AFFINITIES: dict[str, Callable[[int, int, int, torch.Generator], Tensor]] = {
    "factors": factors,
    "distance": distance,
    "network": network,
}


def centred(a: Tensor) -> Tensor:
    """Return affinities [U, I] less their means by row and by column, at standard deviation 1."""
    a = a - a.mean(0) - a.mean(1, keepdim=True) + a.mean()
    return a / a.std()


def made_up(world: str, U: int, I: int, n: int, k: int, s: float, t: float, seed: int) -> Positives:  # noqa: E741
    """Return n + 2 positives of each of U users among I items, in random order; k dimensions, s and t as in the header."""
    rng = generator("interactions", world, seed)
    logits = s * centred(AFFINITIES[world](U, I, k, rng)) + t * torch.randn(I, generator=rng)
    # The largest of logits plus Gumbel noise are picks without replacement (Gumbel-top-k).
    gumbel = -torch.empty(U, I).exponential_(generator=rng).log()
    picks = (logits + gumbel).topk(n + 2, dim=1).indices
    picks = picks.gather(1, torch.rand(picks.shape, generator=rng).argsort(1))  # time means nothing here
    return Positives(torch.arange(U).repeat_interleave(n + 2), picks.flatten(), U, I, logits)


def split(positives: Positives, negatives: int, seed: int, tuning: bool = False) -> Split:
    """Hold out each user's last positive and draw its rivals uniformly, without replacement, from what the user never chose.

    With `tuning` the last but one is held out in its place, and the last is left out altogether: settings that are chosen on it have
    not seen the test.

    Raises:
        ValueError: if a user has no positive left to train on, or too few items that were not chosen.
    """
    by_user = positives.users.argsort(stable=True)
    users, items = positives.users[by_user], positives.items[by_user]
    counts = torch.bincount(users, minlength=positives.U)
    if int(counts.min()) < (3 if tuning else 2):
        raise ValueError(f"user {int(counts.argmin())} has too few positives to hold one out: {int(counts.min())}")
    if positives.I - int(counts.max()) < negatives:
        raise ValueError(
            f"user {int(counts.argmax())} left fewer than {negatives} items untouched; there are {positives.I}."
        )
    last = counts.cumsum(0) - 1
    held = last - 1 if tuning else last
    kept = torch.ones(len(users), dtype=torch.bool)
    kept[last] = kept[held] = False
    rng = generator("candidates", seed)
    rivals = []
    for own in items.split(counts.tolist()):
        free = torch.ones(positives.I, dtype=torch.bool)
        free[own] = False
        untouched = free.nonzero().squeeze(1)
        rivals.append(untouched[torch.randperm(len(untouched), generator=rng)[:negatives]])
    candidates = torch.cat([items[held, None], torch.stack(rivals)], 1)
    law = None if positives.law is None else positives.law.gather(1, candidates)
    return Split(users[kept], items[kept], candidates, positives.U, positives.I, law)
