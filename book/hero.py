"""Make book/_static/hero.webp, the picture of the README: ``python book/hero.py [--model RUN]``.

Test sequences of Moving MNIST under the paper's speed law, digits of MNIST's test set, the first ones whatever they show. With
a model (published weights, or a run's folder) what it predicts from the first ten frames stands beside each.
"""

from __future__ import annotations

import argparse
import os
from pathlib import Path

import torch

from vrnn3d import checkpoint, published, show
from vrnn3d.data import build
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.evaluation.evaluate import predict

TARGET = Path(__file__).resolve().parent / "_static" / "hero.webp"


def rows(model: str | None, context: int = 10, sequences: int = 4) -> dict[str, torch.Tensor]:
    """{label: (T, H, W)}: the sequences, or with a model half as many and their predictions."""
    if model is None:
        frames = build(MovingMNISTData(), "test", pool="test").batch(torch.arange(sequences))
        return {f"test sequence {i}": clip[:, 0] for i, clip in enumerate(frames)}
    net, experiment, _ = checkpoint.load_any(model)
    frames = build(experiment.data, "test", pool="test").batch(torch.arange(sequences // 2)).float() / 255
    torch.manual_seed(0)
    label = "mean of ten" if net.stochastic else "predicted"
    ahead = predict(net, frames, context, frames.shape[1] - context, samples=10 if net.stochastic else 1).mean(1)
    shown = {}
    for i, (truth, future) in enumerate(zip(frames[:, :, 0], ahead[:, :, 0])):
        shown[f"test sequence {i}"] = truth
        shown[label + " " * i] = torch.cat([truth[:context], future])  # labels must differ
    return shown


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    default = published.DEFAULT if published.DEFAULT in published.names() else None
    parser.add_argument("--model", default=default, help="a run's folder, or published weights (default: %(default)s)")
    args = parser.parse_args(arguments)
    context = 10 if args.model else None
    made = show.save_animation(rows(args.model), TARGET, context=context)
    print(f"{os.path.relpath(made)}: {made.stat().st_size // 1024} KiB")


if __name__ == "__main__":
    main()
