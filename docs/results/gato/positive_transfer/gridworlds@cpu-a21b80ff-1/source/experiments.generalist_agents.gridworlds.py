"""Families of small gridworlds, many worlds at once as tensors, with experts that walk shortest paths.

A world is a square of side n with walls, an agent and two objects, A and B. A task is named `kind/controls/edges`:

    kind      reach: come to A. fetch: come to B, then to A. return: come to A, then to B. avoid: come to A, never step on B.
    controls  what the four actions do. plain: up, right, down, left; mirrored: left and right exchanged; turned: by a quarter to the
              right; reversed: by a half.
    edges     walled: they stop the agent, as walls do; wrapped: behind an edge lies the opposite one.

The return of an episode is GAMMA^t if its last object is reached after t steps, and 0 if it is not, or if B is stepped on where it must
not be. An object that has been reached disappears if there is another to come to.

Serves the recipe `transfer` beside it.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

KINDS = ("reach", "fetch", "return", "avoid")
CONTROLS = {"plain": (0, 1, 2, 3), "mirrored": (0, 3, 2, 1), "turned": (1, 2, 3, 0), "reversed": (2, 3, 0, 1)}
"""Direction (0 up, 1 right, 2 down, 3 left) of each action."""
EDGES = ("walled", "wrapped")
TASKS = tuple(f"{kind}/{controls}/{edges}" for kind in KINDS for controls in CONTROLS for edges in EDGES)
ACTIONS, CHANNELS, GAMMA = 4, 4, 0.95
FAR = 10_000
"""Distance of what cannot be reached."""


@dataclass(frozen=True)
class Worlds:
    """W worlds of one task with S = n² cells, numbered row by row."""

    task: str
    walls: Tensor
    """[W, S], bool."""
    start: Tensor
    """[W], the agent's first cell."""
    objects: Tensor
    """[W, 2], the cells of A and B."""
    moves: Tensor
    """[W, S, 4], the cell where each action leads from each cell."""
    distance: Tensor
    """[W, 2, S], fewest steps from each cell to the object that comes first and to the one that comes last; FAR if there is no way."""

    @property
    def stages(self) -> int:
        """Objects to come to, one after the other."""
        return 2 if self.task.split("/")[0] in ("fetch", "return") else 1

    @property
    def order(self) -> tuple[int, int]:
        """Which object (0 for A, 1 for B) comes first, and which last."""
        return {"reach": (0, 0), "fetch": (1, 0), "return": (0, 1), "avoid": (0, 0)}[self.task.split("/")[0]]

    def to(self, device: str) -> "Worlds":
        """Return the same worlds on a device."""
        tensors = (self.walls, self.start, self.objects, self.moves, self.distance)
        return Worlds(self.task, *(each.to(device) for each in tensors))


def move_table(walls: Tensor, task: str) -> Tensor:
    """Return where each action leads from each cell, [W, S, 4], for walls [W, S]."""
    _, controls, edges = task.split("/")
    side = round(walls.shape[1] ** 0.5)
    row, column = torch.arange(side * side) // side, torch.arange(side * side) % side
    table = []
    for direction in CONTROLS[controls]:
        down, right = ((-1, 0), (0, 1), (1, 0), (0, -1))[direction]
        r, c = row + down, column + right
        if edges == "wrapped":
            r, c = r % side, c % side
        else:
            r, c = r.clamp(0, side - 1), c.clamp(0, side - 1)
        to = (r * side + c).expand_as(walls)
        table.append(torch.where(walls.gather(1, to), torch.arange(side * side), to))
    return torch.stack(table, dim=2)


def distances(moves: Tensor, to: Tensor, forbidden: Tensor) -> Tensor:
    """Return the fewest steps from every cell to the cells `to` [W], [W, S], never over `forbidden` [W, S]: value iteration."""
    d = torch.full(moves.shape[:2], FAR).scatter_(1, to[:, None], 0)
    while True:
        nearer = torch.stack([d.gather(1, moves[..., a]) for a in range(ACTIONS)]).amin(0) + 1
        new = torch.minimum(d, nearer).masked_fill(forbidden, FAR)
        if torch.equal(new, d):
            return d
        d = new


def random_worlds(task: str, count: int, side: int, walls: int, draw: torch.Generator) -> Worlds:
    """Draw worlds with so many walls in which the task can be done and is not done from the start."""
    if task not in TASKS:
        raise ValueError(f"task must be kind/controls/edges such as {TASKS[0]}, not {task!r}")
    found: list[Worlds] = []
    while sum(len(each.start) for each in found) < count:
        places = torch.rand(count, side * side, generator=draw).argsort(1)  # agent, A, B, then the walls
        start, objects = places[:, 0], places[:, 1:3]
        blocked = torch.zeros(count, side * side, dtype=torch.bool).scatter_(1, places[:, 3 : 3 + walls], True)
        moves, forbidden = move_table(blocked, task), torch.zeros_like(blocked)
        if task.startswith("avoid"):
            forbidden.scatter_(1, objects[:, 1:], True)
        new = Worlds(task, blocked, start, objects, moves, moves.new_empty(0))
        d = torch.stack([distances(moves, objects[:, which], forbidden) for which in new.order], dim=1)
        first = new.order[0]
        ways = d[:, 0].gather(1, start[:, None]) + d[:, 1].gather(1, objects[:, first : first + 1])
        fine = ways[:, 0] < FAR
        found.append(Worlds(task, *(each[fine] for each in (blocked, start, objects, moves, d))))
    parts = ("walls", "start", "objects", "moves", "distance")
    return Worlds(task, *(torch.cat([getattr(each, part) for each in found])[:count] for part in parts))


def observe(worlds: Worlds, which: Tensor, cell: Tensor, stage: Tensor) -> Tensor:
    """Return what an agent sees: [..., 4·S], the cells of the agent, the walls, A and B as zeros and ones.

    `which` world, agent's `cell` and `stage` (objects already reached) have one shape.
    """
    S = worlds.walls.shape[1]
    seen = torch.zeros(*cell.shape, CHANNELS, S, device=cell.device)
    seen[..., 0, :].scatter_(-1, cell[..., None], 1.0)
    seen[..., 1, :] = worlds.walls[which].float()
    for thing in (0, 1):
        there = torch.ones_like(cell, dtype=torch.float32)
        if worlds.stages == 2 and worlds.order[0] == thing:
            there = (stage == 0).float()
        seen[..., 2 + thing, :].scatter_(-1, worlds.objects[which, thing][..., None], there[..., None])
    return seen.flatten(-2)


def step(worlds: Worlds, which: Tensor, cell: Tensor, stage: Tensor, action: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Return the cell and stage after an action, and whether the agent stepped on what it must not; all of one shape."""
    cell = worlds.moves[which, cell, action]
    first, last = (worlds.objects[which, each] for each in worlds.order)
    wanted = torch.where(stage == 0, first, last) if worlds.stages == 2 else last
    stage = stage + ((cell == wanted) & (stage < worlds.stages)).long()
    lost = (
        cell == worlds.objects[which, 1]
        if worlds.task.startswith("avoid")
        else torch.zeros_like(cell, dtype=torch.bool)
    )
    return cell, stage, lost


def expert(worlds: Worlds, which: Tensor, cell: Tensor, stage: Tensor) -> Tensor:
    """Return an action that starts a shortest path to the next object; of several the first."""
    place = stage.clamp(max=1) if worlds.stages == 2 else torch.ones_like(stage)
    d = worlds.distance[which, place]  # [..., S]
    return d.gather(-1, worlds.moves[which, cell]).argmin(-1)


def demonstrate(worlds: Worlds) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Let the expert walk in every world; return all its states, world by world: world, cell, stage and action, each [N]."""
    which = torch.arange(len(worlds.start), device=worlds.start.device)
    cell, stage, kept = worlds.start, torch.zeros_like(worlds.start), []
    while bool((going := stage < worlds.stages).any()):
        action = expert(worlds, which, cell, stage)
        kept.append(torch.stack([which, cell, stage, action])[:, going])
        cell, stage, _ = step(worlds, which, cell, stage, action)
    every = torch.cat(kept, dim=1)
    which, cell, stage, action = every[:, every[0].argsort(stable=True)]
    return which, cell, stage, action


def expert_return(worlds: Worlds) -> float:
    """Return the expert's mean return, from its distances alone."""
    start, first = worlds.start[:, None], worlds.objects[:, worlds.order[0], None]
    steps = worlds.distance[:, 1].gather(1, start)
    if worlds.stages == 2:
        steps = worlds.distance[:, 0].gather(1, start) + worlds.distance[:, 1].gather(1, first)
    return float((GAMMA ** steps.double()).mean())
