"""Evaluation: many predictions per test sequence, every metric per frame, for every protocol and pool of digits."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from vrnn3d import config, metrics
from vrnn3d.data import build
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout
from vrnn3d.train import autocast, pick_device, spread

EXAMPLE_PIXELS = 1 << 21  # of predictions kept to look at, about a megabyte in a file


@torch.no_grad()
def predict(
    model: VideoModel, frames: Tensor, context: int, predict: int, samples: int = 1, at_once: int = 1000
) -> Tensor:
    """Continue each sequence: (B, T >= context, C, H, W) -> (B, samples, `predict`, C, H, W), values in [0, 1].

    Only the first `context` frames are looked at. A deterministic model gives one sample whatever is asked for. At most
    `at_once` predictions run side by side; lower it when memory runs out.
    """
    samples = samples if model.stochastic else 1
    was_training = model.training
    model.eval()
    parts = []
    for done in range(0, samples, max(1, at_once // len(frames))):
        count = min(max(1, at_once // len(frames)), samples - done)
        out, _ = rollout(model, frames[:, :context], context, context + predict, samples=count)
        parts.append(out[:, context - model.window :].unflatten(0, (len(frames), count)))
    model.train(was_training)
    return torch.cat(parts, dim=1).float().clamp(0, 1)


def evaluate(
    model: VideoModel,
    experiment: config.Experiment,
    *,
    device: str | None = None,
    progress: bool = True,
    at_once: int = 1000,
) -> dict:
    """The record's "evaluation" part: {pool: {"C->T": metrics}} on the test split, for the experiment's protocols.

    Pools are those of the digits for Moving MNIST. KTH has "test" and "train": persons never seen, and, to show what was
    learnt by heart, windows of those it was trained on.

    Protocols of one context share their predictions: 10 -> 10 is the first half of 10 -> 20. The noise is drawn from
    ``experiment.eval.seed`` for each batch of sequences.
    """
    place, settings, data = pick_device(device), experiment.eval, experiment.data
    model = model.to(place)
    furthest = _furthest(model, settings)
    length = max(context + ahead for context, ahead in furthest.items())
    result: dict = {}
    pools = {"moving_mnist": data.test_pools, "kth": ("test", "train")}.get(data.name, ("test",))
    bar = tqdm(total=len(pools) * len(furthest) * settings.sequences, unit=" seq", desc="evaluating", disable=not progress)
    for pool in pools:
        split = pool if data.name == "kth" else "test"
        source = build(data, split, pool=pool, length=length, device=place)
        count = min(settings.sequences, len(source))
        chosen = spread(count, len(source)) if split == "train" else torch.arange(count)
        parts: dict[tuple[int, int], list] = {p: [] for p in settings.protocols if p[0] in furthest}
        for context, ahead in furthest.items():
            for start in range(0, count, settings.batch):
                indices = chosen[start : start + settings.batch]
                frames = source.batch(indices).to(place).float() / 255
                torch.manual_seed(settings.seed * 1_000_003 + start * 101 + context)
                with autocast(experiment.train.precision, place):
                    samples = predict(model, frames, context, ahead, settings.samples, at_once)
                truth = frames[:, context : context + ahead]
                for protocol in parts:
                    if protocol[0] == context:
                        t = protocol[1]
                        parts[protocol].append(metrics.sample_metrics(samples[:, :, :t], truth[:, :t]))
                bar.update(len(indices))
        drawn = settings.samples if model.stochastic else 1
        result[pool] = {
            f"{c}->{t}": metrics.summarise(metrics.concatenate(batches), samples=drawn)
            for (c, t), batches in parts.items()
        }
    bar.close()
    return result


def _furthest(model: VideoModel, settings: config.Eval) -> dict[int, int]:
    """{context: most frames to predict after it} of the protocols that the model's window allows."""
    furthest: dict[int, int] = {}
    for context, ahead in settings.protocols:
        if context >= model.window:
            furthest[context] = max(ahead, furthest.get(context, 0))
    return furthest


def examples(
    model: VideoModel, experiment: config.Experiment, entry: dict, *, device: str | None = None, first: int = 3, worst: int = 2
) -> dict[str, np.ndarray]:
    """Predictions to look at, of test sequences nobody picked: the first ones, and those with the worst MSE.

    `entry` is what :func:`evaluate` returned. The longest protocol of the longest context is shown, on the last pool (for
    Moving MNIST the held-out digits). Returns the uint8 array "sample" (one draw), (N, T, C, H, W), predicted frames only,
    with "indices" (N,), how many of them are "first", and "context"; for Moving MNIST also "mean" (of all draws) and
    "truth" with the context in front. Real people's frames are not copied: ``build`` has them where the data are. Of
    large frames fewer sequences are kept, at most `EXAMPLE_PIXELS`, one at least.
    """
    place, settings, data = pick_device(device), experiment.eval, experiment.data
    furthest = _furthest(model, settings)
    context, pool = max(furthest), (*data.test_pools,)[-1] if data.name == "moving_mnist" else "test"
    ahead = furthest[context]
    scores = entry[pool][f"{context}->{ahead}"]["mse"]["per_sequence"]
    count = max(1, EXAMPLE_PIXELS // (ahead * data.size**2))
    worst = min(worst, count // 2)
    first = min(first, count - worst, len(scores))
    indices = torch.tensor([*range(first), *np.argsort(scores)[::-1][:worst].tolist()])
    frames = build(data, "test", pool=pool, length=context + ahead, device=place).batch(indices)
    torch.manual_seed(settings.seed)
    with autocast(experiment.train.precision, place):
        samples = predict(model.to(place), frames.float() / 255, context, ahead, settings.samples)

    def as_bytes(video: Tensor) -> np.ndarray:
        return (video * 255).round().to(torch.uint8).cpu().numpy()

    found = {
        "indices": indices.numpy(),
        "first": np.array(first),
        "context": np.array(context),
        "sample": as_bytes(samples[:, 0]),
    }
    if data.name == "moving_mnist":
        found |= {"mean": as_bytes(samples.mean(1)), "truth": frames.cpu().numpy()}
    return found
