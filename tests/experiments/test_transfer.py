import math
from collections import deque

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_array
from scipy.sparse.csgraph import shortest_path
from torch import nn

from experiments.generalist_agents.gridworlds import (
    ACTIONS,
    CONTROLS,
    FAR,
    GAMMA,
    KINDS,
    TASKS,
    Worlds,
    demonstrate,
    expert,
    expert_return,
    move_table,
    observe,
    random_worlds,
    step,
)
from experiments.generalist_agents.transfer import (
    ARMS,
    Config,
    clone,
    cost,
    initial_rows,
    logits,
    pretrained,
    quarter,
    returns,
    run,
    see,
    sizes,
)
from repro.lab.seeding import generator
from repro.schema.context import Context

torch.set_num_threads(1)
TINY = Config(
    side=4, walls=2, width=12, worlds=20, pretrain_steps=10, tune_steps=8, demonstrations=(2, 5), validation_worlds=8,
    test_worlds=20,
)  # fmt: skip


def draw(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def moved(cell: int, action: int, walls: set[int], task: str, side: int) -> int:
    """One move in plain Python, from the words of the task."""
    _, controls, edges = task.split("/")
    turn = {"plain": 0, "turned": 1, "reversed": 2}
    name = ["up", "right", "down", "left"][(action + turn.get(controls, 0)) % 4]
    if controls == "mirrored":
        name = {"left": "right", "right": "left"}.get(name, name)
    r, c = divmod(cell, side)
    r, c = r + (name == "down") - (name == "up"), c + (name == "right") - (name == "left")
    if edges == "wrapped":
        r, c = r % side, c % side
    elif not (0 <= r < side and 0 <= c < side):
        return cell
    return cell if r * side + c in walls else r * side + c


@settings(max_examples=40, deadline=None)
@given(st.sampled_from(TASKS), st.sets(st.integers(0, 15), max_size=6))
def test_moves_are_those_of_the_words(task: str, walls: set[int]) -> None:
    table = torch.zeros(1, 16, dtype=torch.bool)
    table[0, list(walls)] = True
    moves = move_table(table, task)[0]
    for cell in set(range(16)) - walls:
        assert moves[cell].tolist() == [moved(cell, action, walls, task, 4) for action in range(ACTIONS)]


@pytest.mark.parametrize("task", TASKS[::5])
def test_distances_are_scipys(task: str) -> None:
    worlds = random_worlds(task, 6, 5, 5, draw())
    for w in range(6):
        allowed = [c for c in range(25) if not (task.startswith("avoid") and c == worlds.objects[w, 1])]
        edges = np.zeros((25, 25))
        for cell in allowed:
            for to in worlds.moves[w, cell].tolist():
                edges[cell, to] = to != cell and to in allowed
        every = shortest_path(csr_array(edges), unweighted=True)
        for place in (0, 1):
            expected = every[:, int(worlds.objects[w, worlds.order[place]])]
            mine = worlds.distance[w, place].double().numpy()
            assert np.array_equal(np.where(mine >= FAR, np.inf, mine)[allowed], expected[allowed])


def fewest_steps(worlds: Worlds, w: int) -> int:
    """Breadth-first search over cells and what has been picked up, in plain Python."""
    kind, side = worlds.task.split("/")[0], math.isqrt(worlds.walls.shape[1])
    A, B = worlds.objects[w].tolist()
    goals = {"reach": [A], "fetch": [B, A], "return": [A, B], "avoid": [A]}[kind]
    walls = set(worlds.walls[w].nonzero().flatten().tolist())
    start = (int(worlds.start[w]), 0)
    queue, seen = deque([(start, 0)]), {start}
    while queue:
        (cell, reached), steps = queue.popleft()
        for action in range(ACTIONS):
            to = moved(cell, action, walls, worlds.task, side)
            if kind == "avoid" and to == B:
                continue
            state = (to, reached + (to == goals[reached]))
            if state[1] == len(goals):
                return steps + 1
            if state not in seen:
                seen.add(state)
                queue.append((state, steps + 1))
    raise AssertionError("there is no way")


@pytest.mark.parametrize("kind", KINDS)
def test_the_expert_takes_the_fewest_steps(kind: str) -> None:
    worlds = random_worlds(f"{kind}/turned/wrapped", 12, 5, 6, draw(1))
    which, cell, stage, action = demonstrate(worlds)
    lengths = torch.bincount(which, minlength=12).tolist()
    assert lengths == [fewest_steps(worlds, w) for w in range(12)]
    assert expert_return(worlds) == pytest.approx(np.mean([GAMMA**length for length in lengths]))
    assert torch.equal(action, expert(worlds, which, cell, stage))
    assert (which.diff() >= 0).all()


def test_the_picture_has_one_agent_the_walls_and_what_is_left() -> None:
    worlds = random_worlds("fetch/plain/walled", 5, 4, 3, draw(2))
    which = torch.arange(5)
    seen = observe(worlds, which, worlds.start, torch.zeros(5, dtype=torch.int64)).view(5, 4, 16)
    assert seen.sum(2).tolist() == [[1, 3, 1, 1]] * 5
    assert torch.equal(seen[:, 2].argmax(1), worlds.objects[:, 0])
    later = observe(worlds, which, worlds.start, torch.ones(5, dtype=torch.int64)).view(5, 4, 16)
    assert later.sum(2).tolist() == [[1, 3, 1, 0]] * 5  # B was fetched
    assert len({tuple(order) for order in CONTROLS.values()}) == 4


def test_stepping_on_what_must_be_avoided_ends_it() -> None:
    worlds = random_worlds("avoid/plain/walled", 200, 4, 2, draw(3))
    which = torch.arange(200)
    onto = worlds.moves[which, worlds.start] == worlds.objects[:, 1:]  # [W, 4]
    some = onto.any(1)
    action = onto.long().argmax(1)
    _, stage, lost = step(worlds, which, worlds.start, torch.zeros(200, dtype=torch.int64), action)
    assert torch.equal(lost, some)
    assert some.any()
    assert not stage[some].any()


def test_a_random_policy_returns_what_dynamic_programming_says() -> None:
    config = Config(side=4, walls=2, pretrain=("fetch/plain/walled",), held_out=("avoid/mirrored/wrapped",))
    for task in (*config.pretrain, *config.held_out):
        one = random_worlds(task, 1, 4, 2, draw(4))
        copies = 4000
        many = Worlds(task, *(part.expand(copies, *part.shape[1:]) for part in list(vars(one).values())[1:]))
        A, B = one.objects[0].tolist()
        goals = {"fetch": [B, A], "avoid": [A]}[task.split("/")[0]]
        value = np.zeros((len(goals), 16))  # what is still to come, with no steps left
        for _ in range(8 * config.side):
            new = np.zeros_like(value)
            for reached in range(len(goals)):
                for cell in range(16):
                    for to in one.moves[0, cell].tolist():
                        if task.startswith("avoid") and to == B:
                            continue
                        now = reached + (to == goals[reached])
                        new[reached, cell] += GAMMA / 4 * (1.0 if now == len(goals) else value[now, to])
            value = new
        rows = torch.zeros(1, initial_rows(config, "cpu").shape[1])
        measured = float(returns(rows, many, config, "x")[0])
        assert measured == pytest.approx(value[0, int(one.start[0])], abs=4 * 0.4 / copies**0.5)


def test_the_network_is_torchs_and_rows_are_kept_apart() -> None:
    rows = torch.cat([initial_rows(TINY, "cpu"), 0.5 * initial_rows(TINY, "cpu")])
    a, b, c, d = sizes(TINY)
    net = nn.Sequential(nn.Linear(a, b), nn.ReLU(), nn.Linear(b, c), nn.ReLU(), nn.Linear(c, d))
    place = 0
    with torch.no_grad():
        for layer in (net[0], net[2], net[4]):
            i, o = layer.in_features, layer.out_features
            layer.weight.copy_(rows[1, place : place + i * o].view(i, o).T)
            layer.bias.copy_(rows[1, place + i * o : place + i * o + o])
            place += i * o + o
    assert place == rows.shape[1]
    x = torch.randn(2, 7, a, generator=draw(5))
    assert torch.allclose(logits(rows, x, TINY)[1], net(x[1]), atol=1e-5)


def test_policies_trained_side_by_side_are_those_trained_alone() -> None:
    worlds = random_worlds(TINY.pretrain[0], 10, 4, 2, draw(6))
    which, cell, stage, action = demonstrate(worlds)
    inputs, every = see(worlds, which, cell, stage, TINY), torch.arange(len(which))
    start = initial_rows(TINY, "cpu")
    lrs, pools = torch.tensor([[1e-2], [3e-3]]), [every, every[which < 3]]
    both, losses = clone(start.expand(2, -1), lrs, inputs, action.expand(2, -1), pools, 20, 8, TINY, ("x", 0))
    for i in range(2):
        alone, loss = clone(start, lrs[i : i + 1], inputs, action[None], [pools[i]], 20, 8, TINY, ("x", 0))
        assert torch.allclose(alone[0], both[i], atol=1e-5)
        assert loss[0].item() == pytest.approx(losses[i].item(), abs=1e-5)
    assert losses[1] < math.log(4)


def test_right_actions_teach_and_shuffled_ones_do_not() -> None:
    config = Config(side=4, walls=2, width=48, worlds=300, pretrain_steps=400, pretrain_lr=5e-3)
    start = initial_rows(config, "cpu")
    rows, losses = pretrained(config, start, Context())
    assert losses["pretraining_loss_all"] < 0.8 < 1.1 < losses["pretraining_loss_shuffled"]
    assert losses["pretraining_loss_no_control"] < 0.2
    worlds = random_worlds("reach/plain/walled", 200, 4, 2, draw(7))
    every = torch.cat([rows["all"], rows["shuffled"], torch.zeros_like(start)])
    learned, shuffled, chance = returns(every, worlds, config, "x").tolist()
    assert learned > chance + 0.2
    assert shuffled < chance + 0.1


def test_the_question_without_control_is_about_the_goals_place() -> None:
    worlds = random_worlds("reach/plain/walled", 30, 4, 2, draw(8))
    rows, columns = worlds.objects[:, 0] // 4, worlds.objects[:, 0] % 4
    assert quarter(worlds, torch.arange(30)).tolist() == [
        2 * (r >= 2) + (c >= 2) for r, c in zip(rows.tolist(), columns.tolist(), strict=True)
    ]


def test_the_smallest_run_repeats_itself_and_gains_are_differences() -> None:
    row = run(TINY, Context())
    assert row == run(TINY, Context())
    for arm in ARMS[1:]:
        for cell in ("", "_2", "_5", "_reach_turned_walled", "_fetch_mirrored_wrapped"):
            assert row[f"gain_{arm}{cell}"] == pytest.approx(row[f"{arm}{cell}"] - row[f"scratch{cell}"])
    assert row["all"] == pytest.approx((row["all_2"] + row["all_5"]) / 2)
    weights = sum(a * b for a, b in zip(sizes(TINY), sizes(TINY)[1:], strict=False))
    assert row["flops"] == cost(TINY) == 6 * weights * (5 * 10 * 256 + 5 * 2 * 2 * 3 * 8 * 64)


def test_a_policy_that_diverged_is_not_hidden() -> None:
    row = run(Config(**{**vars(TINY), "pretrain_lr": 1e30, "pretrain_steps": 4}), Context())
    assert math.isnan(row["gain_all"])
    assert math.isfinite(row["scratch"])


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(ValueError, match="kind/controls/edges"):
        random_worlds("reach/plain", 1, 4, 2, generator("x"))
