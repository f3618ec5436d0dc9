"""One trial in several processes: joining them, each one's part of a batch, and means over all of them.

A recipe that is written with these parts is the same program for one process and for many: alone, `joined` joins nothing, a
part is the whole, and a mean over processes is the value itself.
"""

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass

import torch
import torch.distributed as dist
from torch import Tensor, nn


@dataclass(frozen=True)
class World:
    """Which process this is, and of how many."""

    rank: int = 0
    """Number of this process, from 0."""
    size: int = 1
    """Processes that train one model together."""

    @property
    def first(self) -> bool:
        """Whether this is the process whose curves and measurements are recorded."""
        return self.rank == 0


@contextlib.contextmanager
def joined(device: str) -> Iterator[World]:
    """Join the processes that torchrun started for this trial, and leave them in the end; alone where it started none.

    Tensors on GPUs travel by NCCL, those in main memory by gloo. After an error nothing is waited for: the process that
    failed ends, and whoever started the processes ends the others.

    Args:
        device: `cpu` or `cuda`.
    """
    if not (dist.is_available() and dist.is_torchelastic_launched()):
        yield World()
        return
    dist.init_process_group("cpu:gloo,cuda:nccl" if torch.device(device).type == "cuda" else "gloo")
    yield world()
    dist.destroy_process_group()


def world() -> World:
    """Return the place of this process among those that were joined."""
    together = dist.is_available() and dist.is_initialized()
    return World(dist.get_rank(), dist.get_world_size()) if together else World()


def data_parallel(model: nn.Module) -> nn.Module:
    """Return the model so that `backward` averages its gradients over all processes; alone, the model itself."""
    if world().size == 1:
        return model
    on_gpu = next(model.parameters()).is_cuda
    return nn.parallel.DistributedDataParallel(model, device_ids=[torch.cuda.current_device()] if on_gpu else None)


def averaging(model: nn.Module, last: bool) -> contextlib.AbstractContextManager[None]:
    """Return the context of a micro-batch's forward and backward pass: gradients are averaged once a step, after the last.

    Args:
        model: from `data_parallel`.
        last: whether this is the last micro-batch of the step.
    """
    if last or not isinstance(model, nn.parallel.DistributedDataParallel):
        return contextlib.nullcontext()
    return model.no_sync()


def part(batch: Tensor) -> Tensor:
    """Return this process's rows of a batch `[B, ...]`: `[B/N, ...]`, which together are the batch that one process would see.

    Every process makes the whole batch, from the same seed, and keeps its part. The parts are equally large, so that the mean
    over processes of means over parts is the mean over the batch.

    Raises:
        ValueError: if the batch cannot be divided evenly.
    """
    here = world()
    if len(batch) % here.size:
        raise ValueError(
            f"a batch of {len(batch)} cannot be divided evenly among {here.size} processes; choose a multiple of {here.size}"
        )
    each = len(batch) // here.size
    return batch[here.rank * each : (here.rank + 1) * each]


def mean(value: float) -> float:
    """Return the mean of a number over all processes, the same in each; every process must call it."""
    here = world()
    if here.size == 1:
        return value
    total = torch.tensor(value, dtype=torch.float64)
    dist.all_reduce(total)
    return float(total) / here.size


def anywhere(*facts: bool) -> tuple[bool, ...]:
    """Return for each fact whether it holds in any process; every process must call it."""
    if world().size == 1:
        return facts
    flags = torch.tensor(facts, dtype=torch.int32)
    dist.all_reduce(flags, op=dist.ReduceOp.MAX)
    return tuple(bool(flag) for flag in flags)
