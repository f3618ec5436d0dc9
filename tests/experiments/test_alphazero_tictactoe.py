import math
from dataclasses import replace

import pytest
import torch
from torch.nn import functional as F

from experiments.board_games.alphazero_tictactoe import Config, lines_of_play, run
from experiments.board_games.self_play import Replay, SelfPlay, loss_of, new_network, play_match, self_play
from experiments.board_games.tensor_games import CONNECT_FOUR, TIC_TAC_TOE, is_full, last_mover_won, legal, play, start
from experiments.board_games.tree_search import Search
from repro.schema.context import Context

TINY = Config(steps=8, games=16, simulations=6, width=16, batch=16, updates=1)


def first_free(current: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    return legal(TIC_TAC_TOE, mask).float().argmax(1)


def count_by_recursion(current: torch.Tensor, mask: torch.Tensor, own: bool) -> tuple[int, int, int]:
    """Lines won, drawn and lost by the first-free player, one board at a time."""
    if bool(last_mover_won(TIC_TAC_TOE, current, mask)):
        return (0, 0, 1) if own else (1, 0, 0)
    if bool(is_full(TIC_TAC_TOE, mask)):
        return (0, 1, 0)
    moves = first_free(current, mask) if own else legal(TIC_TAC_TOE, mask)[0].nonzero()[:, 0]
    counts = [count_by_recursion(*play(TIC_TAC_TOE, current, mask, move[None]), not own) for move in moves]
    return tuple(map(sum, zip(*counts, strict=True)))


@pytest.mark.parametrize("seat", [0, 1])
def test_all_lines_are_counted_once(seat: int) -> None:
    expected = count_by_recursion(*start(TIC_TAC_TOE, 1), own=seat == 0)
    assert lines_of_play(first_free, seat, "cpu") == expected
    assert min(expected[0], expected[2]) > 0


def exact(current: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """A perfect player, by minimax."""

    def value(c: torch.Tensor, m: torch.Tensor) -> int:
        if bool(last_mover_won(TIC_TAC_TOE, c, m)):
            return -1
        if bool(is_full(TIC_TAC_TOE, m)):
            return 0
        key = int(c), int(m)
        if key not in known:
            moves = legal(TIC_TAC_TOE, m)[0].nonzero()[:, 0]
            known[key] = max(-value(*play(TIC_TAC_TOE, c, m, move[None])) for move in moves)
        return known[key]

    chosen = []
    for c, m in zip(current[:, None], mask[:, None], strict=True):
        moves = legal(TIC_TAC_TOE, m)[0].nonzero()[:, 0]
        chosen.append(max(moves.tolist(), key=lambda a: -value(*play(TIC_TAC_TOE, c, m, torch.tensor([a])))))
    return torch.tensor(chosen)


known: dict[tuple[int, int], int] = {}


def test_a_perfect_player_never_loses() -> None:
    for seat in (0, 1):
        won, drawn, lost = lines_of_play(exact, seat, "cpu")
        assert lost == 0
        assert won > 0
        assert drawn > 0


def test_the_loss_is_equation_1() -> None:
    net = new_network(CONNECT_FOUR, 8, 0, "cpu", 1)
    x, pi, z = torch.rand(5, 2, 7, 6), torch.rand(5, 7).softmax(1), torch.tensor([1.0, -1.0, 0.0, 1.0, 0.0])
    logits, v = net(x)
    p = torch.exp(logits) / torch.exp(logits).sum(1, keepdim=True)
    expected = ((z - v) ** 2 - (pi * p.log()).sum(1)).mean()
    assert torch.allclose(loss_of(net, x, pi, z), expected)


def test_a_deep_tower_starts_as_a_shallow_one() -> None:
    net = new_network(CONNECT_FOUR, 4, 3, "cpu", 1)
    x = torch.rand(2, 4, 7, 6)
    assert torch.equal(net.body[2](x), F.relu(x))
    logits, v = net(torch.rand(3, 2, 7, 6))
    assert logits.shape == (3, 7)
    assert v.shape == (3,)


def test_the_replay_keeps_the_latest() -> None:
    ring = Replay(TIC_TAC_TOE, 5, "cpu")
    for k in range(3):
        ring.add(torch.full((2, 2), k), torch.zeros(2, 9), torch.full((2,), float(k)))
    assert ring.filled == 5
    assert sorted(ring.z.tolist()) == [0.0, 1.0, 1.0, 2.0, 2.0]


def test_every_position_gets_the_result_for_its_mover(monkeypatch: pytest.MonkeyPatch) -> None:
    rows: list[tuple[torch.Tensor, torch.Tensor]] = []
    monkeypatch.setattr(Replay, "add", lambda self, boards, pi, z: rows.append((boards, z)))
    net = new_network(TIC_TAC_TOE, 8, 0, "cpu", 1)
    played = self_play(TIC_TAC_TOE, net, SelfPlay(8, 12, Search(4), 9, 100, 10, 0, 1e-3), (1,))
    assert len(played.results) == sum(int((z.numel() and boards[1] == 0).sum()) for boards, z in rows)
    # the first position of a game has the result for the one who begins; the sign changes with every ply
    z_of_starts = torch.cat([z[boards[1] == 0] for boards, z in rows])
    assert sorted(z_of_starts.tolist()) == sorted(played.results.tolist())
    assert {-1.0, 1.0} <= set(z_of_starts.tolist())
    # a won game of L plies was won by the mover of its last position, who had ⌈L/2⌉ of them
    won, z = played.plies[played.results != 0], torch.cat([z for _, z in rows])
    assert int((z == 1).sum()) == int(((won + 1) // 2).sum())
    assert int((z == -1).sum()) == int((won // 2).sum())


def test_a_match_is_scored_for_the_one_to_move() -> None:
    result = play_match(TIC_TAC_TOE, exact, first_free, *start(TIC_TAC_TOE, 1))
    assert float(result) == 1
    result = play_match(TIC_TAC_TOE, first_free, exact, *start(TIC_TAC_TOE, 1))
    assert float(result) <= 0


def test_a_trial_repeats_itself_and_learns() -> None:
    row = run(TINY, Context())
    assert row == run(TINY, Context())
    assert row != run(replace(TINY, seed=1), Context())
    curve: list[float] = []
    run(replace(TINY, steps=40, lr=1e-2), Context(on_curve=lambda name, step, value: curve.append(value)))
    assert curve[-1] < curve[0]


def test_without_training_the_control_loses() -> None:
    for seed in range(2):
        row = run(Config(steps=0, seed=seed), Context())
        assert row["search_losses_first"] + row["search_losses_second"] > 0
        assert row["raw_losses_first"] > 0
        assert row["games"] == 0
        assert math.isnan(row["drawn_late"])
