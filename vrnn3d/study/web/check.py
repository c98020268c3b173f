"""Run an exported model in PyTorch, operation by operation, to see that it is the model it was made of."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.layers.gaussian import given_noise
from vrnn3d.models.base import VideoModel
from vrnn3d.study.web.graph import Graph


class Machine:
    """One run of a graph: what ``book/web/engine.js`` does, in float32."""

    def __init__(self, graph: Graph):
        self.graph = graph
        self.weights = {name: torch.from_numpy(values) for name, values in graph.weights.items()}
        self.pictures = {name: torch.zeros(1, c, h, w) for name, (h, w, c) in graph.pictures.items()}

    def _read(self, place: list, channels: int) -> Tensor:
        name, at = place
        return self.pictures[name][:, at : at + channels]

    def _write(self, place: list, values: Tensor) -> None:
        name, at = place
        self.pictures[name][:, at : at + values.shape[1]] = values

    def _finish(self, op: dict, place: list, values: Tensor) -> None:
        if op["plus"]:
            values = values + self._read(op["plus"], values.shape[1])
        self._write(place, values.relu() if op["relu"] else values)

    def _conv(self, op: dict) -> None:
        kernel = self.weights[op["w"]].permute(3, 2, 0, 1)
        x = self._read(op["x"], kernel.shape[1])
        height, width, _ = self.graph.pictures[op["y"][0]]
        height, width, pad, stride = height // op["up"], width // op["up"], op["pad"], op["stride"]
        # What the last output pixels see below and to the right of the picture
        below = (height - 1) * stride + kernel.shape[2] - pad - x.shape[2]
        right = (width - 1) * stride + kernel.shape[3] - pad - x.shape[3]
        y = F.conv2d(F.pad(x, (pad, right, pad, below)), kernel, self.weights[op["b"]], stride)
        if op["up"] == 2:
            y = F.pixel_shuffle(y.unflatten(1, (4, -1)).transpose(1, 2).flatten(1, 2), 2)
        self._finish(op, op["y"], y)

    def _norm(self, op: dict) -> None:
        x = self._read(op["x"], op["channels"] * op["depth"])
        clip = x.unflatten(1, (op["depth"], op["channels"])).transpose(1, 2)
        y = F.group_norm(clip, op["groups"], self.weights[op["w"]], self.weights[op["b"]], op["eps"])
        self._finish(op, op["x"], y.transpose(1, 2).flatten(1, 2))

    def _lstm(self, op: dict) -> None:
        i, f, o, g = self.pictures[op["gates"]].chunk(4, 1)
        cell = f.sigmoid() * self.pictures[op["cell"]] + i.sigmoid() * g.tanh()
        self.pictures[op["cell"]] = cell
        for place in op["to"]:
            self._write(place, o.sigmoid() * cell.tanh())

    def _sample(self, op: dict, noise: Tensor) -> None:
        mean, raw = self.pictures[op["raw"]].chunk(2, 1)
        z = mean + (op["floor"] + F.softplus(raw)) * noise.transpose(1, 2).flatten(1, 2)
        for place in op["to"]:
            self._write(place, z)

    def step(self, clip: Tensor, noise: Tensor | None) -> Tensor:
        """(1, M, C, H, W) and noise (1, latent, depth, height, width) -> the predicted clip (1, M, C, H, W)."""
        self.pictures["clip"] = clip.flatten(1, 2).clone()
        run = {"conv": self._conv, "norm": self._norm, "lstm": self._lstm}
        for part in ("encode", "advance", "decode"):
            for op in self.graph.steps[part]:
                if op["op"] == "sample" and noise is not None:
                    self._sample(op, noise)
                else:
                    run[op["op"]](op)
        m, c = clip.shape[1:3]
        return self.pictures["prediction"][:, : m * c].unflatten(1, (m, c)).clone()


def difference(graph: Graph, model: VideoModel, steps: int = 3, seed: int = 0) -> tuple[float, float]:
    """How far a graph is from its model over some steps on random clips: mean and largest absolute difference of a pixel.

    Both are divided by the largest pixel predicted, where that is above 1.
    """
    generator = torch.Generator().manual_seed(seed)
    size = [graph.facts[name] for name in ("window", "channels", "height", "width")]
    machine, state = Machine(graph), model.initial_state(1, *size[2:])
    pairs = []
    with torch.no_grad():
        for _ in range(steps):
            clip = torch.rand(1, *size, generator=generator)
            noise = torch.randn(1, *graph.facts["noise"], generator=generator) if graph.facts["noise"] else None
            with given_noise([] if noise is None else [noise]):
                theirs, state, _ = model.step(clip, state)
            pairs.append((machine.step(clip, noise), theirs))
    ours, theirs = map(torch.stack, zip(*pairs))
    apart, peak = (ours - theirs).abs(), max(1.0, float(theirs.abs().max()))
    return float(apart.mean()) / peak, float(apart.max()) / peak
