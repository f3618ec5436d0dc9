import pytest
import torch
from torch import nn

from repro.lab.rms_norm import rms_norm


@pytest.mark.parametrize("shape", [(3,), (2, 5, 16), (4, 1)])
def test_value_and_derivative_are_those_of_torch(shape: tuple[int, ...]) -> None:
    draw = torch.Generator().manual_seed(0)
    x = torch.randn(shape, generator=draw, dtype=torch.float64, requires_grad=True)
    direction = torch.randn(shape, generator=draw, dtype=torch.float64)
    found, wanted = rms_norm(x), nn.RMSNorm(shape[-1], elementwise_affine=False)(x)
    torch.testing.assert_close(found, wanted, rtol=1e-14, atol=0)
    slopes = [torch.autograd.grad(y, x, direction)[0] for y in (found, wanted)]
    torch.testing.assert_close(*slopes, rtol=1e-12, atol=1e-14)


def test_derivative_agrees_with_differences() -> None:
    x = torch.randn(2, 3, 4, dtype=torch.float64, generator=torch.Generator().manual_seed(1), requires_grad=True)
    assert torch.autograd.gradcheck(rms_norm, x)


def test_zeros_stay_zeros() -> None:
    x = torch.zeros(2, 4, requires_grad=True)
    rms_norm(x).sum().backward()
    assert rms_norm(x).tolist() == [[0.0] * 4] * 2
    assert torch.isfinite(x.grad).all()
