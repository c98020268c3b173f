"""Optimisers by name."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor, nn

#: Muon's rate for matrices, as a multiple of Adam's rate for all else.
MUON_RATE = 10.0
_MOMENTUM = 0.95
#: Coefficients and number of the Newton-Schulz iterations (Jordan et al., 2024), which bring all singular values near 1.
_NEWTON_SCHULZ, _ITERATIONS = (3.4445, -4.7750, 2.0315), 5


def build(name: str, model: nn.Module, rate: float) -> torch.optim.Optimizer:
    """The optimiser of a model's trainable parameters: "adam" (paper, sect. 4.1) or "muon".

    Each group of the optimiser has a "scale": its learning rate is that of the schedule times its scale.
    """
    return OPTIMISERS[name](model, rate)


def _adam(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    parameters = [p for p in model.parameters() if p.requires_grad]
    return torch.optim.Adam([{"params": parameters, "scale": 1.0}], lr=rate, fused=True)


def _muon(model: nn.Module, rate: float) -> torch.optim.Optimizer:
    matrices = list(_inner_convolutions(model))
    taken = {id(p) for p in matrices}
    rest = [p for p in model.parameters() if p.requires_grad and id(p) not in taken]
    return Muon(matrices, rest, rate)


def _inner_convolutions(model: nn.Module) -> Iterable[nn.Parameter]:
    """The weights of convolutions but those that read or make frames, which are few and better left to Adam."""
    for module in model.modules():
        if isinstance(module, (nn.Conv2d, nn.Conv3d, nn.ConvTranspose2d, nn.ConvTranspose3d)):
            if min(module.in_channels, module.out_channels) > 3 and module.weight.requires_grad:
                yield module.weight  # type: ignore[misc]  # a parameter, which PyTorch's annotations call a tensor


class Muon(torch.optim.Optimizer):
    """Momentum whose updates are orthogonalised (Jordan et al., "Muon", 2024), for convolutions; Adam for all else.

    A convolution's weight is taken as a matrix of outputs by inputs times taps. ``torch.optim.Muon`` takes plain
    matrices only.
    """

    def __init__(self, matrices: list[nn.Parameter], rest: list[nn.Parameter], rate: float):
        groups = [{"params": matrices, "scale": MUON_RATE, "matrices": True}, {"params": rest, "scale": 1.0, "matrices": False}]
        super().__init__([group for group in groups if group["params"]], {"lr": rate, "betas": (0.9, 0.999), "eps": 1e-8})

    @torch.no_grad()
    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        """One update."""
        for group in self.param_groups:
            update = self._matrix if group["matrices"] else self._adam
            for parameter in group["params"]:
                if parameter.grad is not None:
                    update(parameter, group)

    def _matrix(self, parameter: Tensor, group: dict) -> None:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state["momentum"] = torch.zeros_like(parameter)
        state["momentum"].lerp_(parameter.grad, 1 - _MOMENTUM)
        nesterov = parameter.grad.lerp(state["momentum"], _MOMENTUM)
        matrix = nesterov.flatten(1)
        scale = max(1.0, matrix.shape[0] / matrix.shape[1]) ** 0.5
        parameter.add_(orthogonalised(matrix).view_as(parameter), alpha=-group["lr"] * scale)

    def _adam(self, parameter: Tensor, group: dict) -> None:
        assert parameter.grad is not None
        state = self.state[parameter]
        if not state:
            state.update(step=0, mean=torch.zeros_like(parameter), square=torch.zeros_like(parameter))
        state["step"] += 1
        (first, second), step = group["betas"], state["step"]
        state["mean"].lerp_(parameter.grad, 1 - first)
        state["square"].lerp_(parameter.grad.square(), 1 - second)
        root = (state["square"] / (1 - second**step)).sqrt_().add_(group["eps"])
        parameter.addcdiv_(state["mean"], root, value=-group["lr"] / (1 - first**step))


def orthogonalised(matrix: Tensor) -> Tensor:
    """The nearest matrix of orthonormal rows or columns, roughly: singular values between about 0.7 and 1.2."""
    a, b, c = _NEWTON_SCHULZ
    tall = matrix.shape[0] > matrix.shape[1]
    x = matrix.mT if tall else matrix
    if x.device.type == "cuda":
        x = x.bfloat16()
    x = x / (x.norm() + 1e-7)
    for _ in range(_ITERATIONS):
        gram = x @ x.mT
        x = a * x + (b * gram + c * gram @ gram) @ x
    return (x.mT if tall else x).to(matrix.dtype)


#: What each is called in a sentence.
TITLES = {"adam": "Adam", "muon": "Muon for inner convolutions, Adam for the rest"}
OPTIMISERS: dict[str, Callable[[nn.Module, float], torch.optim.Optimizer]] = {"adam": _adam, "muon": _muon}
