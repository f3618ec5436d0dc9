"""AdamW over a stack of models, and the learning rate at every step of a run that ends exactly where its tokens end."""

import math

import torch
from torch import Tensor


class StackedAdamW:
    """AdamW (Loshchilov and Hutter, arXiv 1711.05101, Algorithm 2) for M models whose weights are the rows of `[M, P]`.

    torch's own AdamW has one learning rate for a parameter; here every model has its own, and its own gradient norm.
    """

    def __init__(
        self,
        rows: Tensor,
        *,
        beta1: Tensor,
        beta2: Tensor,
        weight_decay: Tensor,
        clip: Tensor,
        decayed: Tensor,
        lr_scale: Tensor | None = None,
        eps: float = 1e-8,
        compile: bool = False,
    ) -> None:
        """Prepare the moments.

        Args:
            rows: weights `[M, P]`, a leaf that requires its gradient.
            beta1: decay rate of the first moment, `[M, 1]` as all of these.
            beta2: of the second.
            weight_decay: of the weights in `decayed`.
            clip: largest norm of a model's gradient.
            decayed: `[P]`, 1 where weights decay (matrices) and 0 where not (gains).
            lr_scale: `[P]`, a factor of the learning rate of each weight (muP); None for 1.
            eps: added to the root of the second moment.
            compile: whether to fuse the update, which pays on a GPU.
        """
        self.rows, self.beta1, self.beta2, self.clip, self.eps = rows, beta1, beta2, clip, eps
        self.decay = weight_decay * decayed
        self.lr_scale = lr_scale
        self.first, self.second = torch.zeros_like(rows), torch.zeros_like(rows)
        self.taken = torch.zeros((), device=rows.device)
        self._update = torch.compile(self.update, dynamic=True) if compile else self.update

    @property
    def state(self) -> list[Tensor]:
        """Every tensor that a step changes: the weights, both moments and the number of steps taken."""
        return [self.rows, self.first, self.second, self.taken]

    @torch.no_grad()
    def step(self, lr: Tensor) -> None:
        """Update the weights by their gradient at the learning rates `lr` `[M, 1]`, and let the gradient go."""
        grad = self.rows.grad
        assert grad is not None
        self._update(grad, (self.clip / (grad.norm(dim=1, keepdim=True) + 1e-6)).clamp_(max=1.0), lr)
        self.rows.grad = None

    def update(self, grad: Tensor, share: Tensor, lr: Tensor) -> None:
        """Update the weights by `share` `[M, 1]` of `grad` `[M, P]`, which is lost, at the learning rates `lr` `[M, 1]`."""
        grad.mul_(share)
        self.taken += 1
        rate = lr if self.lr_scale is None else lr * self.lr_scale
        self.first.lerp_(grad, 1 - self.beta1)
        self.second.lerp_(grad.square_(), 1 - self.beta2)
        # From here on the gradient's memory holds what lies between: fresh memory costs more than the arithmetic.
        self.rows.addcmul_(self.rows, torch.mul(self.decay, rate, out=grad), value=-1)
        second_share = (1 - self.beta2**self.taken).sqrt_()
        root = torch.sqrt(self.second, out=grad).add_(self.eps * second_share)
        step = rate * second_share / (1 - self.beta1**self.taken)
        self.rows.addcmul_(torch.div(self.first, root, out=grad), step, value=-1)


def warmup_cosine(step: int, *, steps: int, warmup: int, peak: float, final_share: float, cycle: float = 1.0) -> float:
    """Return the learning rate of `step`, counted from 0.

    It rises linearly to `peak` over `warmup` steps, `peak·(step + 1)/warmup`, then follows half a cosine. With `cycle` 1 that
    reaches `final_share·peak` exactly at the last step, `steps − 1`; a longer cycle would reach it after `cycle·steps`. A
    warm-up longer than the run never reaches the peak.

    Raises:
        ValueError: if `step` is outside the run, or the cycle is shorter than it.
    """
    if not 0 <= step < steps:
        raise ValueError(f"step must be in [0, {steps}), not {step}")
    if cycle < 1:
        raise ValueError(f"cycle must be at least 1, the length of the run, not {cycle}")
    if step < warmup:
        return peak * (step + 1) / warmup
    done = (step - warmup + 1) / (cycle * steps - warmup)
    return peak * (final_share + (1.0 - final_share) * 0.5 * (1.0 + math.cos(math.pi * done)))


def warmup_constant(step: int, *, steps: int, warmup: int, peak: float) -> float:
    """Return the learning rate of `step` without decay: a linear rise over `warmup` steps, then `peak`.

    Raises:
        ValueError: if `step` is outside the run.
    """
    if not 0 <= step < steps:
        raise ValueError(f"step must be in [0, {steps}), not {step}")
    return peak * (step + 1) / warmup if step < warmup else peak
