"""What an exported model is made of: pictures, operations on them, and weights."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np


@dataclass(frozen=True)
class Clip:
    """Where an operation finds or leaves a clip: channels `at` ... of the picture `name`, slice after slice.

    Channel c of slice d is at + d * channels + c. Pictures are (height, width, channels) in the file.
    """

    name: str
    channels: int
    depth: int
    height: int
    width: int
    at: int = 0

    @property
    def folded(self) -> int:
        """Channels of the picture that the clip takes."""
        return self.channels * self.depth

    def place(self) -> list:
        """What the file says of it: [picture, first channel]."""
        return [self.name, self.at]


@dataclass
class Graph:
    """The operations of one step in time, and the weights they name.

    Attributes:
        pictures: {name: (height, width, channels)}; all are zero before the first step and keep their values.
        steps: {"encode", "advance", "decode": operations in order}, as ``VideoModel`` divides a step.
        weights: {name: float32 array}; kernels are (height, width, inputs, outputs).
        facts: sizes that the page needs.
    """

    pictures: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    steps: dict[str, list[dict]] = field(default_factory=lambda: {"encode": [], "advance": [], "decode": []})
    weights: dict[str, np.ndarray] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)
    _part: str = "encode"

    def begin(self, part: str) -> None:
        """Let the operations that follow belong to "encode", "advance" or "decode"."""
        self._part = part

    def picture(self, *clips: tuple[int, int, int, int], name: str = "") -> list[Clip]:
        """A new picture with room for clips of (channels, depth, height, width) side by side."""
        name = name or f"p{len(self.pictures)}"
        (_, _, height, width), at, made = clips[0], 0, []
        for channels, depth, *_ in clips:
            made.append(Clip(name, channels, depth, height, width, at))
            at += channels * depth
        self.pictures[name] = (height, width, at)
        return made

    def add(self, kind: str, **what: Any) -> None:
        """Append an operation."""
        self.steps[self._part].append({"op": kind, **what})

    def keep(self, values: np.ndarray) -> str:
        """Store weights; their name."""
        name = f"w{len(self.weights)}"
        self.weights[name] = np.ascontiguousarray(values, dtype=np.float32)
        return name


def multiply_adds(graph: Graph) -> int:
    """Multiplications of one step, those with padding and with zero taps included."""
    total = 0
    for step in graph.steps.values():
        for op in (op for op in step if op["op"] == "conv"):
            height, width, _ = graph.pictures[op["y"][0]]
            total += graph.weights[op["w"]].size * (height // op["up"]) * (width // op["up"])
    return total
