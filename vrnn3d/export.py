"""Export a model: one step in time with its state and noise as inputs, for ONNX runtimes and as a PyTorch program.

A step reads the clip of the last M frames and the state, and returns the clip H frames further on and the next state. Who
runs it feeds the new frames back, as ``vrnn3d.rollout`` does. Noise comes in as tensors of N(0, 1) numbers, so that
a step is a pure function; zeros give the mean of the latents.
"""

from __future__ import annotations

import copy
import warnings
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils import _pytree as pytree

from vrnn3d.files import atomic_write
from vrnn3d.layers.gaussian import given_noise
from vrnn3d.models.base import VideoModel


class Step(nn.Module):
    """One step as a function of plain tensors: (clip, noise ..., state ...) -> (predicted clip, next state ...)."""

    def __init__(self, model: VideoModel, structure: Any, noises: int):
        super().__init__()
        self.model, self._structure, self._noises = model, structure, noises

    def forward(self, clip: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        noise, leaves = tensors[: self._noises], tensors[self._noises :]
        with given_noise(noise):
            prediction, state, _ = self.model.step(clip, pytree.tree_unflatten(list(leaves), self._structure))
        return prediction, *pytree.tree_leaves(state)


@dataclass(frozen=True)
class Prepared:
    """A model's step with example inputs by name: "clip", "noise_0" ..., "state_0" ...; outputs: "prediction", "next_0" ..."""

    step: Step
    inputs: dict[str, Tensor]
    outputs: tuple[str, ...]


def prepare(model: VideoModel, height: int, width: int, batch: int = 1) -> Prepared:
    """Make a model's step a function of plain tensors on the CPU, for frames of one size.

    It is a copy's, ready for prediction: the model itself stays where it is and in its mode, and no random state moves.

    Raises:
        ValueError: when the model cannot take the size, or its state grows from step to step (E3D-LSTM remembers every
            step, and Improved VRNN collects its context), so that no single function of fixed shapes describes it.
    """
    model = copy.deepcopy(model).cpu().eval()
    clip = torch.zeros(batch, model.window, model.channels, height, width)
    state = model.initial_state(batch, height, width, "cpu", torch.float32)
    leaves, structure = pytree.tree_flatten(state)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), given_noise() as noise:
        _, after, _ = model.step(clip, state)
    after_leaves, after_structure = pytree.tree_flatten(after)
    if after_structure != structure or any(a.shape != b.shape for a, b in zip(after_leaves, leaves)):
        raise ValueError(f"{type(model).__name__}'s state changes its shape from step to step, so its step cannot be exported")
    inputs = {"clip": clip}
    inputs |= {f"noise_{i}": tensor.contiguous() for i, tensor in enumerate(noise)}
    inputs |= {f"state_{i}": tensor.contiguous() for i, tensor in enumerate(leaves)}
    return Prepared(
        Step(model, structure, len(noise)).eval(), inputs, ("prediction", *(f"next_{i}" for i in range(len(leaves))))
    )


def export_program(model: VideoModel, path: str | Path, height: int, width: int, batch: int = 1) -> Path:
    """Write one step as a ``torch.export`` program (``torch.export.load(path).module()`` runs it); takes half a minute.

    Raises ``ValueError`` as :func:`prepare` does.
    """
    prepared = prepare(model, height, width, batch)
    with torch.no_grad():
        program = torch.export.export(prepared.step, tuple(prepared.inputs.values()))
    return atomic_write(path, lambda temporary: _saved(program, temporary))


def _saved(program: torch.export.ExportedProgram, path: Path) -> None:
    with path.open("wb") as file:
        torch.export.save(program, file)


def export_onnx(model: VideoModel, path: str | Path, height: int, width: int, batch: int = 1) -> Path:
    """Write one step as an ONNX model; needs the packages onnx and onnxscript, and takes half a minute.

    Raises:
        ImportError: when the packages are missing.
        ValueError: as :func:`prepare` does.
    """
    try:
        import onnxscript  # noqa: F401  what torch.onnx needs
    except ImportError:
        raise ImportError("the export to ONNX needs onnx and onnxscript: pip install 'vrnn3d[export]'") from None
    prepared = prepare(model, height, width, batch)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")  # PyTorch's exporter warns of its own deprecated calls
        program = torch.onnx.export(
            prepared.step,
            tuple(prepared.inputs.values()),
            input_names=list(prepared.inputs),
            output_names=list(prepared.outputs),
            dynamo=True,
            verbose=False,
        )
    assert program is not None  # it is None for other values of `dynamo` alone
    return atomic_write(path, lambda temporary: program.save(str(temporary)))
