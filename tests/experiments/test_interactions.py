import zipfile
from pathlib import Path

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from experiments.recommenders import interactions
from experiments.recommenders.interactions import (
    AFFINITIES,
    MEMBER,
    Positives,
    centred,
    made_up,
    movielens,
    network,
    ratings,
    split,
)
from repro.lab.seeding import generator

ROWS = """7::500::5::30
7::20::1::10
3::500::4::12
3::7::2::12
3::20::3::11
9::20::3::1
9::7::3::2
9::500::5::1
"""


def archive(tmp_path: Path, content: str | bytes, member: str = MEMBER) -> Path:
    """An archive in GroupLens's format."""
    path = tmp_path / "ml-1m.zip"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as zipped:
        zipped.writestr("ml-1m/README", "terms")
        zipped.writestr(member, content)
    return path


def test_ratings_are_read_inside_the_archive(tmp_path: Path) -> None:
    found = ratings(archive(tmp_path, ROWS))
    assert found.tolist()[:3] == [[7, 500, 30], [7, 20, 10], [3, 500, 12]]
    assert len(found) == 8
    assert torch.equal(ratings(archive(tmp_path, ROWS.replace("\n", "\r\n"))), found)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["ml-1m.zip"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("1::2::3::4\n1::2::x::4\n", "line 2: must be UserID"),
        ("1::2::9::4\n", "line 1"),
        ("1::2::3\n", "line 1"),
        ("1::2::3::4\n\n1::3::3::4\n", "line 2"),
        ("1::-2::3::4\n", "line 1"),
        (f"{'9' * 30}::2::3::4\n", "line 1"),
        (b"\xff\xfe::\x00\n", "line 1"),
        ("", "it is empty"),
        ("1::2::3::4\n1::2::5::9\n", "one movie twice"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, content: str | bytes, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        ratings(archive(tmp_path, content))


def test_what_is_not_the_archive_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match=r"must hold ml-1m/ratings\.dat"):
        ratings(archive(tmp_path, ROWS, "ml-20m/ratings.csv"))
    page = tmp_path / "page.html"
    page.write_text("<html>accept the terms</html>")
    with pytest.raises(ValueError, match="no archive"):
        ratings(page)
    damaged = archive(tmp_path, ROWS)
    content = bytearray(damaged.read_bytes())
    place = content.find(MEMBER.encode()) + len(MEMBER) + 3
    content[place] ^= 255
    damaged.write_bytes(bytes(content))
    with pytest.raises(ValueError, match="no archive that can be read"):
        ratings(damaged)


def test_a_gigantic_member_is_refused_before_it_fills_the_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(interactions, "LARGEST", 1000)
    with pytest.raises(ValueError, match="at most 1000 bytes"):
        ratings(archive(tmp_path, b"0" * 10_000_000))


def test_the_latest_is_held_out_and_the_last_of_equal_times() -> None:
    # Users 3, 7 and 9 become 0, 1 and 2; movies 7, 20 and 500 become 0, 1 and 2.
    users = torch.tensor([1, 1, 0, 0, 0, 2, 2])
    items = torch.tensor([1, 2, 1, 2, 0, 1, 2])
    found = split(Positives(users, items, 3, 6), 2, seed=0)
    assert found.candidates[:, 0].tolist() == [0, 2, 2]
    assert list(zip(found.users.tolist(), found.items.tolist(), strict=True)) == [(0, 1), (0, 2), (1, 1), (2, 1)]


def test_movielens_is_renumbered_in_the_order_of_time(tmp_path: Path) -> None:
    found = movielens(archive(tmp_path, ROWS))
    assert (found.U, found.I) == (3, 3)
    held = {}
    for u, i in zip(found.users.tolist(), found.items.tolist(), strict=True):
        held[u] = i
    # 3 rated 500, then 7 at the same time: 7 stands later in the file. 7 rated 500 last; 9 rated 7 last.
    assert held == {0: 0, 1: 2, 2: 0}
    first = movielens(archive(tmp_path, ROWS), users=1)
    assert (first.U, first.I, len(first.users)) == (1, 3, 3)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 1000), st.sampled_from(sorted(AFFINITIES)), st.booleans())
def test_nothing_leaks_from_what_is_held_out(seed: int, world: str, tuning: bool) -> None:
    positives = made_up(world, U=12, I=40, n=5, k=3, s=2.0, t=1.0, seed=seed)
    found = split(positives, 20, seed, tuning)
    all_of = [set(positives.items[positives.users == u].tolist()) for u in range(12)]
    assert all(len(own) == 7 for own in all_of)
    for u, own in enumerate(all_of):
        trained = set(found.items[found.users == u].tolist())
        held, *rivals = found.candidates[u].tolist()
        assert held in own
        assert held not in trained
        assert len(trained) == (5 if tuning else 6)
        assert trained < own
        assert len(set(rivals)) == 20
        assert not set(rivals) & own
        assert positives.law is not None
        assert found.law is not None
        assert torch.equal(found.law[u], positives.law[u, found.candidates[u]])


def test_settings_are_chosen_on_another_item_than_is_tested() -> None:
    positives = made_up("factors", U=30, I=60, n=5, k=3, s=2.0, t=1.0, seed=1)
    chosen, tested = split(positives, 20, 1, tuning=True), split(positives, 20, 1)
    assert not bool((chosen.candidates[:, 0] == tested.candidates[:, 0]).any())
    assert len(tested.users) - len(chosen.users) == 30


def test_rivals_are_uniform_over_what_was_not_chosen() -> None:
    U = 4000
    positives = Positives(torch.arange(U).repeat_interleave(2), torch.tensor([0, 1]).repeat(U), U, 8)
    counts = torch.bincount(split(positives, 3, seed=5).candidates[:, 1:].flatten(), minlength=8)
    assert counts[:2].tolist() == [0, 0]
    assert ((counts[2:] / U - 0.5).abs() < 0.04).all()  # 5 standard errors


def test_too_few_items_or_positives_are_an_error() -> None:
    with pytest.raises(ValueError, match="fewer than 3 items untouched"):
        split(Positives(torch.tensor([0, 0]), torch.tensor([0, 1]), 1, 4), 3, seed=0)
    with pytest.raises(ValueError, match="user 1 has too few"):
        split(Positives(torch.tensor([0, 0, 1]), torch.tensor([0, 1, 1]), 2, 9), 3, seed=0)


def test_gumbel_picks_follow_the_softmax() -> None:
    # Users whose affinity is nothing pick by popularity alone: one law for all, so its frequencies can be counted.
    U, I = 40_000, 6  # noqa: E741
    found = made_up("factors", U, I, n=-1, k=2, s=0.0, t=1.0, seed=3)  # one pick a user
    rng = generator("interactions", "factors", 3)
    AFFINITIES["factors"](U, I, 2, rng)
    law = torch.softmax(torch.randn(I, generator=rng), 0)
    assert found.law is not None
    assert torch.allclose(torch.softmax(found.law[7], 0), law)
    shares = torch.bincount(found.items, minlength=I) / U
    assert ((shares - law).abs() < 0.012).all()


@pytest.mark.parametrize("world", sorted(AFFINITIES))
def test_worlds_have_the_same_spread_and_no_popularity_of_their_own(world: str) -> None:
    a = centred(AFFINITIES[world](60, 50, 4, generator("world", 1)))
    assert a.std().item() == pytest.approx(1, abs=1e-5)
    assert a.mean(0).abs().max().item() < 1e-5
    assert a.mean(1).abs().max().item() < 1e-5


def test_the_network_is_no_sum_of_few_products() -> None:
    # The share of variance that the best factorisation of 16 dimensions can have: all of it in the world of factors.
    def share(world: str) -> float:
        found = torch.linalg.svdvals(centred(AFFINITIES[world](300, 200, 8, generator("rank", 1)))) ** 2
        return float(found[:16].sum() / found.sum())

    assert share("factors") > 0.999
    assert share("network") < 0.85


def test_a_user_is_the_same_alone_and_among_others() -> None:
    # The loop over users of the random network is one batched network.
    rng = generator("network", 4)
    a = network(5, 7, 3, rng)
    rng = generator("network", 4)
    p, q = torch.randn(5, 3, generator=rng), torch.randn(7, 3, generator=rng)
    first, second, last = (torch.randn(n, m, generator=rng) for n, m in ((6, 12), (12, 12), (12, 1)))
    x = torch.cat([p[:, None].expand(5, 7, 3), q[None].expand(5, 7, 3)], -1)
    hidden = torch.tanh(2 / 6**0.5 * torch.einsum("uif,fh->uih", x, first))
    expected = torch.einsum(
        "uih,h->ui", torch.tanh(2 / 12**0.5 * torch.einsum("uif,fh->uih", hidden, second)), last[:, 0]
    )
    assert torch.allclose(a, expected, atol=1e-4)
