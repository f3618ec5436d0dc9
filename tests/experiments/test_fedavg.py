import math
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from experiments.federated import published_rounds
from experiments.federated.fedavg import (
    Config,
    accuracy,
    average,
    batches,
    client_update,
    cost,
    initial_weights,
    logits,
    losses,
    partition,
    products,
    rounds_to,
    run,
    shapes,
)
from experiments.federated.fedavg_estimators import iid_advantage, round_ratios
from repro.lab.mnist import DATA, Digits
from repro.schema.context import Context
from repro.schema.errors import EstimateError


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def stack(model: str, m: int) -> dict[str, torch.Tensor]:
    each = [initial_weights(model, seed) for seed in range(m)]
    return {name: torch.cat([w[name] for w in each]) for name in each[0]}


def idx(array: torch.Tensor) -> bytes:
    sizes = b"".join(size.to_bytes(4, "big") for size in array.shape)
    return bytes((0, 0, 8, array.dim())) + sizes + array.to(torch.uint8).numpy().tobytes()


@pytest.fixture
def context(tmp_path: Path) -> Context:
    """Ten blurred patterns for digits, easy to learn: 400 training and 100 test images."""
    draw = torch.Generator().manual_seed(0)
    patterns = torch.randint(0, 200, (10, 28, 28), generator=draw)
    contents = []
    for n in (400, 100):
        labels = torch.arange(n) % 10
        contents += [patterns[labels] + torch.randint(0, 56, (n, 28, 28), generator=draw), labels]
    files = {name: tmp_path / name for name in DATA}
    for path, content in zip(files.values(), contents, strict=True):
        path.write_bytes(idx(content))
    return Context(files=files)


TINY = Config(K=10, C=0.2, images=400, test_images=100, target=0.9, max_rounds=30)


@pytest.mark.parametrize(
    ("model", "parameters", "multiplications"), [("2nn", 199_210, 198_800), ("cnn", 1_663_370, None)]
)
def test_models_have_the_papers_parameters(model: str, parameters: int, multiplications: int | None) -> None:
    assert sum(math.prod(shape) for shape in shapes(model).values()) == parameters
    assert multiplications is None or products(model) == multiplications


def test_an_unknown_model_is_refused() -> None:
    with pytest.raises(ValueError, match="'2nn' or 'cnn'"):
        shapes("3nn")


def test_two_clients_2nn_is_torchs_layer_by_layer() -> None:
    w, x = stack("2nn", 2), normal(2, 3, 784)
    for client in range(2):
        h = x[client]
        for layer in (1, 2, 3):
            h = F.linear(h, w[f"w{layer}"][client].T, w[f"b{layer}"][client])
            h = F.relu(h) if layer < 3 else h
        assert torch.allclose(logits(w, x)[client], h, atol=1e-4)


def test_two_clients_cnn_is_torchs_module_by_module() -> None:
    w, x = stack("cnn", 2), normal(2, 3, 784)
    w = {name: each + 0.01 * normal(*each.shape, seed=7) for name, each in w.items()}
    got = logits(w, x)
    for client in range(2):
        net = nn.Sequential(
            nn.Conv2d(1, 32, 5, padding=2), nn.ReLU(), nn.MaxPool2d(2), nn.Conv2d(32, 64, 5, padding=2), nn.ReLU(),
            nn.MaxPool2d(2), nn.Flatten(), nn.Linear(3136, 512), nn.ReLU(), nn.Linear(512, 10),
        )  # fmt: skip
        values = [w[name][client] for name in ("k1", "c1", "k2", "c2", "w1", "b1", "w2", "b2")]
        with torch.no_grad():
            for parameter, value in zip(net.parameters(), values, strict=True):
                parameter.copy_(value.T if parameter.dim() == 2 else value)
        assert torch.allclose(got[client], net(x[client].view(3, 1, 28, 28)), atol=1e-4)


def test_fedsgd_is_one_step_on_all_clients_images() -> None:
    """E = 1 and B = ∞: the average of one step of each client is one step on the union."""
    w, x, y = initial_weights("2nn", 0), normal(4, 6, 784), torch.arange(24).view(4, 6) % 10
    got = average(client_update(w, x, y, batches(4, 6, 1, 0, torch.Generator()), lr=0.3))
    leaves = {name: each.clone().requires_grad_() for name, each in w.items()}
    losses(leaves, x.flatten(0, 1)[None], y.flatten()[None]).sum().backward()
    for name, leaf in leaves.items():
        assert leaf.grad is not None
        assert torch.allclose(got[name], w[name] - 0.3 * leaf.grad, atol=1e-6)


def test_clients_learn_side_by_side_as_each_would_alone() -> None:
    w, x, y = initial_weights("2nn", 0), normal(2, 7, 784), torch.arange(14).view(2, 7) % 10
    steps = list(batches(2, 7, 2, 3, torch.Generator().manual_seed(1)))
    assert [step.shape[1] for step in steps] == [3, 3, 1, 3, 3, 1]
    for epoch in (steps[:3], steps[3:]):
        assert torch.cat(epoch, dim=1).sort(1).values.tolist() == [list(range(7))] * 2
    together = client_update(w, x, y, iter(steps), lr=0.1)
    for client in range(2):
        alone = {name: each[0].clone().requires_grad_() for name, each in w.items()}
        optimizer = torch.optim.SGD(list(alone.values()), lr=0.1)
        for step in steps:
            at = step[client]
            optimizer.zero_grad()
            h = x[client, at]
            h = F.relu(h @ alone["w1"] + alone["b1"])
            h = F.relu(h @ alone["w2"] + alone["b2"])
            F.cross_entropy(h @ alone["w3"] + alone["b3"], y[client, at]).backward()
            optimizer.step()
        for name, value in alone.items():
            assert torch.allclose(together[name][client], value, atol=1e-5)


def test_partitions() -> None:
    labels = torch.arange(4000) % 10
    shuffled, sorted_, mixed = (
        partition(labels, 100, iid, 3, random) for iid, random in ((True, False), (False, False), (False, True))
    )
    for held in (shuffled, sorted_, mixed):
        assert held.flatten().sort().values.tolist() == list(range(4000))
    kinds = [torch.tensor([len(set(labels[mine].tolist())) for mine in held]) for held in (shuffled, sorted_, mixed)]
    assert kinds[0].min() >= 7
    assert kinds[1].max() == 2
    assert kinds[2].min() >= 7
    with pytest.raises(ValueError, match="multiple of 2K = 200, got 4000|multiple of 2K = 300"):
        partition(labels, 150, True, 0)


@pytest.mark.parametrize(
    ("curve", "expected"),
    [
        ([(0, 0.1), (1, 0.5), (2, 0.9)], 1.5),
        ([(0, 0.1), (5, 0.6), (10, 0.3), (15, 0.8)], 12.5),  # the dip counts as 0.6
        ([(0, 0.1), (1, 0.7)], 1.0),
        ([(0, 0.1), (1, 0.5), (2, 0.6)], None),
        ([(0, 0.8)], 0.0),
    ],
)
def test_rounds_to_a_target(curve: list[tuple[int, float]], expected: float | None) -> None:
    assert rounds_to(0.7, curve) == (None if expected is None else pytest.approx(expected if expected != 1.0 else 1.0))


def test_accuracy_is_the_share_named_right() -> None:
    w = {name: torch.zeros_like(each) for name, each in initial_weights("2nn", 0).items()}
    w["b3"][0, 4] = 1.0
    assert accuracy(w, Digits(normal(8, 784), torch.tensor([4, 4, 4, 1, 2, 3, 4, 0]))) == 0.5


def test_local_work_saves_rounds(context: Context) -> None:
    fedsgd = run(replace(TINY, lr=0.05), context)
    fedavg = run(replace(TINY, lr=0.05, E=5, B=10), context)
    assert fedsgd["u"] == 1
    assert fedavg["u"] == 20
    assert fedavg["reached"] == 1
    assert fedavg["rounds"] < fedsgd["rounds"]
    assert fedavg["flops"] <= cost(replace(TINY, E=5, B=10))


def test_controls_fail(context: Context) -> None:
    frozen = run(replace(TINY, lr=0.0, E=5, B=10, max_rounds=3), context)
    assert (frozen["reached"], frozen["rounds"]) == (0.0, 3.0)
    without, fedsgd = (run(replace(TINY, lr=0.05, max_rounds=6, **more), context) for more in ({"E": 5, "B": 10, "local_work": False}, {}))  # fmt: skip
    assert without == fedsgd


def test_the_cnn_runs(context: Context) -> None:
    found = run(replace(TINY, model="cnn", E=1, B=20, K=20, C=0.1, max_rounds=1, target=0.99), context)
    assert found["u"] == 1
    assert 0 <= found["accuracy"] <= 1


def record(replicate: int, E: int, B: int, iid: bool, rounds: float, reached: float = 1.0) -> Any:
    row = {"rounds": rounds, "reached": reached}
    config = {"E": E, "B": B, "iid": iid}
    return SimpleNamespace(replicate=replicate, config=config, rows=(row,), value=row.__getitem__)


def table(**changes: float) -> list[Any]:
    found = []
    for r, scale in enumerate((1.0, 1.1, 1.3)):
        found += [record(r, 1, 0, True, 300 * scale), record(r, 1, 0, False, 400 * scale)]
        found += [record(r, 5, 10, True, 10), record(r, 5, 10, False, 100)]
    return found


def test_ratios_are_geometric_means_over_seeds() -> None:
    found = round_ratios(table(), cells={"x": {"E": 5, "B": 10, "iid": True}})["x"]
    logs = torch.tensor([30.0, 33.0, 39.0], dtype=torch.float64).log()
    assert found.value == pytest.approx(logs.mean().exp().item())
    assert found.log_se == pytest.approx((logs.std() / 3**0.5).item())
    assert (found.n, found.dof) == (3, 2)


def test_the_advantage_is_the_difference_of_logs() -> None:
    found = iid_advantage(table(), E=5, B=10)
    assert found.value == pytest.approx(math.log(30 / 4))
    assert found.extras["non_iid"] == pytest.approx(4 * (1.0 * 1.1 * 1.3) ** (1 / 3))


def test_runs_that_gave_up_and_runs_that_lack() -> None:
    cells = {"x": {"E": 5, "B": 10, "iid": True}}
    slow = [record(0, 1, 0, True, 300), record(0, 5, 10, True, 60, 0.0)]
    assert "at most" in round_ratios(slow, cells=cells)["x"].note
    neither = [record(0, 1, 0, True, 300, 0.0), record(0, 5, 10, True, 60, 0.0)]
    assert round_ratios(neither, cells=cells)["x"].value is None
    with pytest.raises(EstimateError, match="every replicate needs FedSGD"):
        round_ratios(slow[1:], cells=cells)
    with pytest.raises(EstimateError, match="two trials"):
        round_ratios([*slow, slow[0]], cells=cells)


def test_printed_rounds() -> None:
    row = published_rounds.run(published_rounds.Config(), Context())
    assert row["cnn_iid_E5_B10"] == pytest.approx(626 / 20)
    assert row["cnn_non_iid_E5_Binf"] == pytest.approx(0.483)
    assert row["cnn_non_iid_most"] == pytest.approx(483 / 173)
    other = published_rounds.run(published_rounds.Config(baseline="other", pick="worst"), Context())
    assert other["cnn_iid_E5_B10"] == pytest.approx(483 / 20)
    assert other["lstm_iid_least"] == pytest.approx(3906 / 1635)
