"""Counted operations of the mechanisms against literals, and the exponents that follow."""

from dataclasses import replace

import pytest

from experiments.attention.mechanism_operations import Config, exponent, operations, run
from repro.schema.context import Context

N, D, C = 512, 16, 32


@pytest.mark.parametrize(
    ("config", "products"),
    [
        (Config("linformer", n=N, d_head=D, k=24), 4 * N * 24 * D),  # EK, FV, Q(EK)ᵀ, P̄(FV)
        (Config("performer", n=N, d_head=D, m=24), 4 * N * 24 * D),  # ωKᵀ, ωQᵀ, φ(K)ᵀV, φ(Q)(φ(K)ᵀV)
        (Config("flash_quad", n=N, d_head=D), N * N * (D + 2 * D)),  # QKᵀ and AV, values twice as wide
        # pairs within chunks; then Kᵀ V of each chunk, and Q times their sum
        (Config("flash", n=N, d_head=D, chunk=C), N * C * (D + 2 * D) + 2 * N * D * 2 * D),
    ],
)
def test_products_on_literals(config: Config, products: int) -> None:
    assert operations(config) == 2 * products


def test_hashing_costs_what_its_windows_and_rotations_cost() -> None:
    n, d, chunk, rounds = 512, 16, 32, 3
    buckets = 2 * n // chunk  # one rotation into half as many directions gives each its two signs
    windows = 2 * n * 2 * chunk * d * rounds
    shares = n * rounds * d
    counted = operations(Config("lsh", n=n, d_head=d, chunk=chunk, hashes=rounds)) / 2
    assert counted == windows + n * d * rounds * buckets // 2 + shares


@pytest.mark.parametrize("mechanism", ["linformer", "performer", "lsh"])
def test_a_layer_around_it_is_seen(mechanism: str) -> None:
    config = Config(mechanism, n=1024)
    assert exponent(config, "d_head") == 1.0
    assert exponent(replace(config, d_ff=64), "d_head") > 1.1


def test_exponents_by_mechanism() -> None:
    assert run(Config("linformer", n=256), Context()) == {"n": 1.0, "d": 1.0, "k": 1.0}
    assert run(Config("performer", n=256), Context()) == {"n": 1.0, "d": 1.0, "m": 1.0}
    assert run(Config("flash", n=256), Context()) == {"n": 1.0}
    assert run(Config("flash_quad", n=256), Context()) == {"n": 2.0}
    assert 1.0 < run(Config("lsh"), Context())["n"] < 1.1


def test_an_unknown_mechanism_is_refused() -> None:
    with pytest.raises(ValueError, match="linformer, performer"):
        run(Config("sparse"), Context())
