"""Several processes see together what one sees: parts of a batch, averaged gradients, sharded checkpoints."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from repro.lab.distributed import World, anywhere, averaging, data_parallel, joined, mean, part, world

PROGRAM = """
import contextlib, json, os, sys
import torch
import torch.distributed as dist
from torch import nn
from repro.lab.checkpoint import Checkpoint
from repro.lab.distributed import anywhere, averaging, data_parallel, joined, mean, part
from repro.schema.context import Context

def curve(averaged=True, steps=30):
    torch.manual_seed(0)
    torch.set_default_dtype(torch.float64)
    model = nn.Sequential(nn.Linear(8, 32), nn.Tanh(), nn.Linear(32, 1))
    together = data_parallel(model)
    optimizer, draw, found = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9), torch.Generator().manual_seed(1), []
    for _ in range(steps):
        x = part(torch.randn(12, 8, generator=draw))
        y, loss = x.prod(1, keepdim=True), 0.0
        optimizer.zero_grad()
        for number, piece in enumerate(zip(x.split(2), y.split(2))):
            with averaging(together, averaged and number == len(x) // 2 - 1):
                each = (together(piece[0]) - piece[1]).square().mean() * 2 / len(x)
                each.backward()
            loss += each.item()
        optimizer.step()
        found.append(mean(loss))
    return found

def sharded(stop, saving):
    from torch.distributed.fsdp import fully_shard
    torch.set_default_dtype(torch.float32)
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(8, 33), nn.GELU(), nn.Linear(33, 4))
    fully_shard(model)
    optimizer, draw = torch.optim.AdamW(model.parameters(), lr=0.05), torch.Generator().manual_seed(dist.get_rank())
    losses = []
    context = Context(on_curve=lambda name, step, value: losses.append(value))
    parts = dict(model=model, optimizer=optimizer, draw=draw) if saving else {}
    checkpoint = Checkpoint(context, minutes=0.0, **parts)
    for step in range(checkpoint.resume() if saving else 0, stop):
        loss = model(torch.randn(4, 8, generator=draw)).square().mean()
        optimizer.zero_grad(); loss.backward(); optimizer.step()
        checkpoint.log(step, loss=mean(loss.item()))
        if saving:
            checkpoint.save_if_due(step + 1)
    return losses

with joined("cpu") as here:
    result = {"rank": here.rank, "size": here.size, "flags": anywhere(here.rank == 1, False, True), "mean": mean(here.rank + 1.0)}
    result["curve"] = curve()
    result["not_averaged"] = curve(averaged=False)
    if here.size > 1:
        result["whole"] = sharded(8, saving=False)
        sharded(5, saving=True)
        result["resumed"] = sharded(8, saving=True)
    with open(f"{sys.argv[1]}/{here.rank}.json", "w") as file:
        file.write(json.dumps(result))
os._exit(0)  # as repro.launch.running.ranks ends
"""


def test_alone_everything_is_the_whole() -> None:
    batch, model = torch.arange(5), torch.nn.Linear(1, 1)
    with joined("cpu") as here:
        assert here == world() == World(0, 1)
        assert here.first
        assert torch.equal(part(batch), batch)
        assert data_parallel(model) is model
        assert (mean(0.3), anywhere(True, False)) == (0.3, (True, False))
        with averaging(model, last=False):
            model(torch.ones(1, 1)).backward()
    assert model.weight.grad is not None


@pytest.mark.parametrize("size", [2, 3, 6])
def test_parts_are_together_the_batch(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    batch = torch.arange(24).view(12, 2)
    parts = []
    for rank in range(size):
        monkeypatch.setattr("repro.lab.distributed.world", lambda rank=rank: World(rank, size))
        parts.append(part(batch))
    assert torch.equal(torch.cat(parts), batch)
    assert len({len(each) for each in parts}) == 1


def test_a_batch_that_cannot_be_divided_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("repro.lab.distributed.world", lambda: World(0, 4))
    with pytest.raises(
        ValueError, match="a batch of 6 cannot be divided evenly among 4 processes; choose a multiple of 4"
    ):
        part(torch.arange(6))


@pytest.mark.slow
def test_two_processes_learn_as_one_and_resume_what_is_sharded(tmp_path: Path) -> None:
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    checkpoints = tmp_path / "checkpoints" / "key"
    checkpoints.mkdir(parents=True)
    environment = {
        **os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "OMP_NUM_THREADS": "1",
        "REPRO_CHECKPOINTS": str(checkpoints), "GLOO_SOCKET_IFNAME": "lo",
    }  # fmt: skip
    found = []
    for size in (1, 2):
        out = tmp_path / str(size)
        out.mkdir()
        runner = ["-m", "torch.distributed.run", "--standalone", "--local-addr=127.0.0.1", f"--nproc-per-node={size}"]
        done = subprocess.run(
            [sys.executable, *runner, str(program), str(out)],
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
        )
        assert done.returncode == 0, done.stderr
        found.append([json.loads((out / f"{rank}.json").read_text()) for rank in range(size)])
    (one,), (first, second) = found

    assert (one["size"], first["size"], second["rank"]) == (1, 2, 1)
    assert first["flags"] == second["flags"] == [True, False, True]
    assert first["mean"] == second["mean"] == 1.5
    # Float64: 30 steps of the same arithmetic in another order.
    assert first["curve"] == second["curve"]
    assert max(abs(a - b) for a, b in zip(one["curve"], first["curve"], strict=True)) < 1e-12
    # What must fail does: gradients that are not averaged give another curve.
    assert max(abs(a - b) for a, b in zip(one["curve"], first["not_averaged"], strict=True)) > 1e-3
    # FSDP2's shards, by torch.distributed.checkpoint: bit for bit.
    assert len(first["whole"]) == 8
    assert first["resumed"] == first["whole"] == second["resumed"]
    newest = sorted(checkpoints.glob("step_*"))[-1]
    assert sorted(path.name for path in newest.iterdir()) == [
        "manifest.json", "process_0.pt", "process_1.pt", "sharded", "whole.pt",
    ]  # fmt: skip
    assert len(list((newest / "sharded").glob("*.distcp"))) == 2
