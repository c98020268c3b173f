"""Facts read off the models themselves: shapes, the clips they are fed, weights that never matter, where gradients arrive.

The chapters on the model and on the loss show them; each is found by running the code that trains.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn

from vrnn3d.layers.depth_folding import Conv3d, folding
from vrnn3d.losses import sequence_loss
from vrnn3d.models import build_model
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import TEACHER, rollout

#: The parts of the 3D VRNN, in the order in which a step goes through them.
PARTS = ("encoder.stem", "encoder.layer1", "encoder.layer2", "level1", "level2", "prior", "decoder.layer2", "decoder")


def step_shapes(window: int, size: int = 64, parts: Sequence[str] = PARTS) -> dict[str, tuple[int, ...]]:
    """{part: (channels, depth, height, width) of what it puts out}, from a forward pass of the full-size 3D VRNN."""
    model = build_model("vrnn3d", window=window, horizon=window).eval()
    shapes: dict[str, tuple[int, ...]] = {}

    def note(name: str):
        def hook(module: nn.Module, inputs: tuple, output) -> None:
            shapes[name] = tuple((output[0] if isinstance(output, tuple) else output).shape[1:])

        return hook

    for name in parts:
        model.get_submodule(name).register_forward_hook(note(name))
    with torch.no_grad():
        model.step(torch.rand(1, window, 1, size, size), model.initial_state(1, size, size))
    return shapes


class _Watcher(VideoModel):
    """Predicts frames of -1, and keeps the clips it was given."""

    def __init__(self, window: int, horizon: int):
        super().__init__()
        self.window, self.horizon = window, horizon
        self.clips: list[Tensor] = []

    def initial_state(self, batch, height, width, device=None, dtype=None):
        return ()

    def advance(self, features, state, target=None):
        self.clips.append(features[0, :, 0, 0, 0])
        return torch.full_like(features, -1.0), state, ()


def clips_fed(window: int, horizon: int, context: int, length: int) -> list[list[bool]]:
    """The clips that a rollout feeds to a model: for every step, of each of its M frames, whether it is a true one."""
    watcher = _Watcher(window, horizon)
    rollout(watcher, torch.ones(1, length, 1, 4, 4), context, length)
    return [[value > 0 for value in clip.tolist()] for clip in watcher.clips]


def unused_kernel_share(window: int, size: int = 16) -> float:
    """The share, of 1, of the full-size 3D VRNN's weights in kernels of depth 3 that can never matter for M = H = `window`.

    Those are the weights at depth taps that get no gradient from anything, because they only ever meet padding. Counted in
    training, the posterior's encoder included.
    """
    torch.manual_seed(0)
    model = build_model("vrnn3d", window=window, horizon=window, wiring="z_q")  # z_q: so that every part has a gradient
    with folding("never"):
        prediction, _ = rollout(model, torch.rand(2, 3 * window, 1, size, size), 2 * window, 3 * window, posterior=True)
    prediction.square().sum().backward()
    unused, count = 0, 0
    for module in model.modules():
        if isinstance(module, Conv3d) and module.kernel_size[0] == 3 and module.weight.grad is not None:
            gradient = module.weight.grad
            used = (gradient != 0).any(0).any(0).any(-1).any(-1)  # which depth taps were ever used
            unused += int((~used).sum()) * gradient[:, :, 0].numel()
            count += gradient.numel()
    return unused / count


def gradient_norms(wiring: str, variant: str = "kl_ll") -> dict[str, dict[str, float]]:
    """{loss term: {part: norm of the gradient that arrives in it}} of the 3D VRNN at a small width, for one batch.

    The terms are "reconstruction" and "latent". Where no path leads, the norm is exactly 0.
    """
    torch.manual_seed(0)
    model = build_model("vrnn3d", widths=(8, 16), hidden=16, latent=4, head=16, wiring=wiring)
    frames = torch.rand(2, 8, 1, 16, 16, generator=torch.Generator().manual_seed(1))
    prediction, latents = rollout(model, frames, 4, 8, forcing=TEACHER, posterior=True)
    _, terms = sequence_loss(prediction, frames[:, model.window :], latents, variant=variant)
    return {
        term: {name: _norm(terms[term], part) for name, part in model.named_children()} for term in ("reconstruction", "latent")
    }


def _norm(term: Tensor, part: nn.Module) -> float:
    gradients = torch.autograd.grad(term.sum(), list(part.parameters()), retain_graph=True, allow_unused=True)
    return math.sqrt(sum(float(g.square().sum()) for g in gradients if g is not None))
