"""Diagonal Gaussians over latent tensors."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.layers.threads import one_thread

SIGMA_MIN = 0.1  # floor on the standard deviation; 0 gives the paper's unbounded form


class Gaussian(NamedTuple):
    """A diagonal Gaussian N(mean, diag(std^2)); both tensors (batch, channel, depth, height, width), std > 0."""

    mean: Tensor
    std: Tensor

    def sample(self, noise: Tensor | None = None) -> Tensor:
        """mean + std * noise: a draw through which gradients flow (eqs. 3 and 4); noise is N(0, 1) by default."""
        return self.mean + self.std * (noise_like(self.mean) if noise is None else noise)


_shard = (0, 1)
#: Where noise is taken from, and a list of what was used; None: it is drawn.
_noise: tuple[Iterator[Tensor] | None, list[Tensor]] | None = None


def set_noise_shard(rank: int, world: int) -> None:
    """Make this process draw the noise of its slice of a batch that is spread over `world` processes.

    All of them must have the same random state: then the noise of a sequence is the one a single process would draw.
    """
    global _shard
    _shard = (rank, world)


@contextmanager
def noise_of_one_process() -> Iterator[None]:
    """Inside the ``with``, draw noise as a process does that stands alone, whatever :func:`set_noise_shard` was told."""
    if _shard == (0, 1):  # it does: nothing is changed that other threads would have to wait for
        yield
        return
    with one_thread():
        before = _shard
        set_noise_shard(0, 1)
        try:
            yield
        finally:
            set_noise_shard(*before)


@contextmanager
def given_noise(noise: Iterable[Tensor] | None = None) -> Iterator[list[Tensor]]:
    """Inside the ``with``, take noise from these tensors in their order instead of drawing it; yields what was used.

    With None it is drawn as ever, and what was drawn is yielded: to learn which tensors a model asks for.

    Raises:
        ValueError: when more noise is asked for than was given.
    """
    global _noise
    used: list[Tensor] = []
    with one_thread():
        before = _noise
        _noise = (None if noise is None else iter(noise), used)
        try:
            yield used
        finally:
            _noise = before


def noise_like(x: Tensor) -> Tensor:
    """N(0, 1) noise of x's shape, drawn in logical order: the same whatever x's memory order or process."""
    if _noise is None:
        return _drawn(x)
    source, used = _noise
    used.append(_drawn(x) if source is None else _next(source, len(used)).to(x.dtype))
    return used[-1]


def _next(source: Iterator[Tensor], used: int) -> Tensor:
    """The next of the tensors given as noise, of which `used` are used up."""
    try:
        return next(source)
    except StopIteration:
        raise ValueError(
            f"the model asks for more noise than the {used} tensors that were given; give one for each latent of each step"
        ) from None


def _drawn(x: Tensor) -> Tensor:
    rank, world = _shard
    noise = torch.randn(world * x.shape[0], *x.shape[1:], device=x.device, dtype=x.dtype)
    return noise if world == 1 else noise[rank * x.shape[0] : (rank + 1) * x.shape[0]]


def widened(x: Tensor) -> Tensor:
    """x in float32, or as it is where it is wider already."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def gaussian_from_raw(raw: Tensor, sigma_min: float = SIGMA_MIN) -> Gaussian:
    """Split (batch, 2C, ...) into mean and std = sigma_min + softplus(raw std), in float32 or wider.

    Both heads are the two halves of one convolution's output.
    """
    mean, scale = widened(raw).chunk(2, dim=1)
    return Gaussian(mean, sigma_min + F.softplus(scale))
