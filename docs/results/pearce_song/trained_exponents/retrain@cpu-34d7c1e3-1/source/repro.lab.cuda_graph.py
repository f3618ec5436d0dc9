"""A training step as one CUDA graph: for small models the launches of its hundreds of kernels take longer than the kernels."""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

WARM_UP = 3
"""Calls before the recording, in which kernels are chosen and compiled and torch's allocator settles."""


def replayed(
    step: Callable[..., Tensor], example: Sequence[Tensor], changed: Sequence[Tensor]
) -> Callable[..., Tensor]:
    """Record `step` once and return a function of the same arguments that replays it; see torch's notes on CUDA graphs.

    Args:
        step: works on the GPU alone, with no value read by the host; allocates what it needs and keeps nothing but `changed`.
        example: arguments of the right shapes, on the GPU.
        changed: every tensor that a step changes in place, such as weights and moments. Recording calls the step some times;
            these are put back to what they were.

    Returns:
        A function that copies its arguments to where the recording reads them. Its result is overwritten by the next call.
    """
    arguments = [each.clone() for each in example]
    before = [each.detach().clone() for each in changed]
    side = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    side.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(side):
        for _ in range(WARM_UP):
            step(*arguments)
    torch.cuda.current_stream().wait_stream(side)
    graph = torch.cuda.CUDAGraph()
    with torch.cuda.graph(graph):
        result = step(*arguments)
    with torch.no_grad():
        for tensor, value in zip(changed, before, strict=True):
            tensor.copy_(value)

    def replay(*given: Tensor) -> Tensor:
        for argument, value in zip(arguments, given, strict=True):
            argument.copy_(value)
        graph.replay()
        return result

    return replay
