"""A language of programs on a small stack: random programs, a vectorised interpreter, tasks made of input-output examples.

A program is a list of operations on a stack of digits 0 … 9. It starts with `INPUTS` digits on the stack; what is on the stack
when it ends is its output. The operations, with the top of the stack on the right (arithmetic is modulo 10):

    dup  a → a a        swap  a b → b a        over  a b → a b a      inc  a → a+1
    drop a →            rot   a b c → b c a    add   a b → a+b        sub  a b → a−b

An operation that finds too few digits, or would leave more than `DEPTH`, is an error; so is an empty output. An error passes no test.

Serves the recipe `temperature` beside it, whose unit tests it runs.
"""

from dataclasses import dataclass

import torch
from torch import Tensor

OPERATIONS = ("dup", "drop", "swap", "over", "rot", "inc", "add", "sub")
END = len(OPERATIONS)
"""The token that ends a program; the tokens before it are places in `OPERATIONS`."""
BASE, BLANK = 10, 10
"""Digits; and what stands in a slot of an output that is not in use."""
INPUTS, DEPTH = 3, 4
"""Digits on the stack at the start, and at most."""

# One row an operation and one for END. Stacks are written with their top first: a new stack takes the old slots of TAKES, then
# adds ADDS · (1, old top) to its top.
TAKES = torch.tensor([[0, 0, 1, 2], [1, 2, 3, 3], [1, 0, 2, 3], [1, 0, 1, 2], [2, 0, 1, 3], [0, 1, 2, 3], [1, 2, 3, 3], [1, 2, 3, 3], [0, 1, 2, 3]])  # fmt: skip
ADDS = torch.tensor([[0, 0], [0, 0], [0, 0], [0, 0], [0, 0], [1, 0], [0, 1], [0, -1], [0, 0]])
NEEDS = torch.tensor([1, 1, 2, 2, 3, 1, 2, 2, 0])
GROWS = torch.tensor([1, -1, 0, 1, 0, 0, -1, -1, 0])


@dataclass(frozen=True)
class Tasks:
    """N tasks: a program that solves each, and its behaviour on examples that are shown and examples that are hidden."""

    programs: Tensor
    """[N, L + 1], operations, then END to the last place."""
    inputs: Tensor
    """[N, E, INPUTS], top first."""
    outputs: Tensor
    """[N, E, DEPTH], top first, BLANK where the stack ends."""


def interpret(programs: Tensor, inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Run every program [N, L] on its inputs [N, E, INPUTS]; return the outputs [N, E, DEPTH] and whether it was without error [N].

    Operations behind the first END are not run.
    """
    device = programs.device
    takes, adds, needs, grows = (table.to(device) for table in (TAKES, ADDS, NEEDS, GROWS))
    programs = torch.where((programs == END).cumsum(1) > 0, END, programs)
    stack = torch.zeros(*inputs.shape[:2], DEPTH, dtype=torch.int64, device=device)
    stack[..., :INPUTS] = inputs
    depth = torch.full((len(programs),), INPUTS, device=device)
    ok = torch.ones(len(programs), dtype=torch.bool, device=device)
    for op in programs.unbind(1):
        ok = ok & (depth >= needs[op]) & (depth + grows[op] <= DEPTH)
        top, add = stack[..., 0], adds[op]
        stack = stack.gather(2, takes[op][:, None].expand_as(stack))
        stack[..., 0] = (stack[..., 0] + add[:, :1] + add[:, 1:] * top) % BASE
        depth = (depth + grows[op]).clamp(0, DEPTH)  # beyond these `ok` is False already
    unused = torch.arange(DEPTH, device=device) >= depth[:, None]  # [N, DEPTH]
    return stack.masked_fill(unused[:, None], BLANK), ok & (depth > 0)


def random_programs(n: int, longest: int, draw: torch.Generator) -> Tensor:
    """Draw n programs without error, [n, longest + 1]: the length from 1 … `longest`, each operation from those possible there.

    An operation that would empty the stack is not drawn.
    """
    length = torch.randint(1, longest + 1, (n,), generator=draw)
    programs, depth = torch.full((n, longest + 1), END), torch.full((n,), INPUTS)
    for place in range(longest):
        after = depth[:, None] + GROWS[:END]
        possible = (depth[:, None] >= NEEDS[:END]) & (after >= 1) & (after <= DEPTH)
        op = torch.multinomial(possible.float(), 1, generator=draw)[:, 0]
        op = torch.where(place < length, op, END)
        programs[:, place], depth = op, depth + GROWS[op]
    return programs


def random_tasks(n: int, longest: int, examples: int, draw: torch.Generator) -> Tasks:
    """Draw n programs of at most `longest` operations and their outputs on random inputs."""
    programs = random_programs(n, longest, draw)
    inputs = torch.randint(BASE, (n, examples, INPUTS), generator=draw)
    return Tasks(programs, inputs, interpret(programs, inputs)[0])


def passes(programs: Tensor, tasks: Tasks, of: Tensor) -> Tensor:
    """Say which programs [N, L] give the right output on every example of their tasks `of` [N]: [N], bool.

    Equal programs for one task are run once.
    """
    programs = torch.where((programs == END).cumsum(1) > 0, END, programs)
    powers = (END + 1) ** torch.arange(programs.shape[1], device=programs.device)
    code = (programs * powers).sum(1) + of * (END + 1) ** programs.shape[1]
    distinct, which = code.unique(return_inverse=True)
    one = torch.empty_like(distinct).scatter_(0, which, torch.arange(len(code), device=code.device))
    outputs, ok = interpret(programs[one], tasks.inputs[of[one]])
    return (ok & (outputs == tasks.outputs[of[one]]).flatten(1).all(1))[which]


def text(program: Tensor) -> str:
    """Write a program [L] out."""
    operations = program.tolist()
    return " ".join(OPERATIONS[op] for op in operations[: operations.index(END) if END in operations else None])
