"""An exported model as a file: halves in base64, in a script."""

from __future__ import annotations

import base64
import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from vrnn3d.config import Experiment
from vrnn3d.files import atomic_write
from vrnn3d.models.base import VideoModel
from vrnn3d.study.web.check import difference
from vrnn3d.study.web.graph import Graph, multiply_adds
from vrnn3d.study.web.network import graph_of

#: Of the format; ``engine.js`` refuses any other.
VERSION = 1
#: Most that a graph may differ from its model, of the largest pixel; rounding comes to a hundredth of it.
_TOLERANCE = 1e-3


def _halved(values: np.ndarray) -> tuple[float, np.ndarray]:
    """(scale, float16 array): scaled by a power of two to below 1, so that halves neither overflow nor lose digits."""
    peak = float(np.abs(values).max(initial=0.0))
    if not math.isfinite(peak):
        raise ValueError("the model's weights are not all finite, so its training has failed: choose another run")
    scale = 2.0 ** math.frexp(peak)[1]
    return scale, (values / scale).astype("<f2")


def rounded(graph: Graph) -> Graph:
    """The graph with its weights as a reader of the file gets them."""
    halved = {name: _halved(values) for name, values in graph.weights.items()}
    return replace(graph, weights={name: (scale * halves.astype(np.float32)) for name, (scale, halves) in halved.items()})


def packed(graph: Graph) -> dict[str, Any]:
    """A graph as plain JSON data, its weights as base64 of little-endian halves."""
    table, blobs, offset = {}, [], 0
    for name, values in graph.weights.items():
        scale, halves = _halved(values)
        table[name] = [offset, scale, *halves.shape]
        offset += halves.size
        blobs.append(halves.tobytes())
    return {
        **graph.facts,
        "multiply_adds": multiply_adds(graph),
        "pictures": graph.pictures,
        "steps": graph.steps,
        "weights": table,
        "data": base64.b64encode(b"".join(blobs)).decode(),
    }


def write(model: VideoModel, experiment: Experiment, path: str | Path) -> float:
    """Write a model as a script that adds it, under the file's stem, to a page's ``vrnn3dModels``.

    A script, not JSON, because a page that was opened from disk may load scripts and nothing else. It appears whole or
    not at all.

    Returns:
        The mean absolute difference that rounding the weights makes to a pixel, over three steps on random clips.

    Raises:
        ValueError: for a file that does not end in .js, or a model that cannot be exported.
    """
    path = Path(path)
    if path.suffix != ".js":
        raise ValueError(f"{path.name} does not end in .js: a model for the web is written as a JavaScript file")
    graph = graph_of(model, *experiment.data.height_width)
    if difference(graph, model)[1] > _TOLERANCE:
        raise ValueError(f"{experiment.model.name} with these options computes something that the web export does not know")
    data = {"version": VERSION, "name": path.stem, "title": experiment.title, **packed(graph)}
    text = f"(self.vrnn3dModels ??= {{}})[{json.dumps(path.stem)}] = {json.dumps(data, separators=(',', ':'))};\n"
    atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))
    return difference(rounded(graph), model)[0]
