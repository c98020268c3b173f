"""Evaluation: many predictions per test sequence, every metric per frame, for every protocol and test set."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch
from torch import Tensor
from torch.utils import _pytree as pytree
from tqdm import tqdm

from vrnn3d.config import Eval, Experiment
from vrnn3d.data import build
from vrnn3d.data.settings import VideoData
from vrnn3d.device import autocast, pick_device
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.protocols import name_of
from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.layers.gaussian import noise_of_one_process
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout
from vrnn3d.training.check import check_frames
from vrnn3d.training.distributed import Team
from vrnn3d.training.order import evenly_spaced

EXAMPLE_PIXELS = 1 << 21  # of predictions kept to look at, about a megabyte in a file
#: Training sequences whose mean picture is the "pixel_mean" baseline.
_MEAN_OF = 500

#: {protocol: {number of a batch's first sequence: (scores, baselines' errors)}}
Parts = dict[tuple[int, int], dict[int, tuple[dict, dict]]]


@torch.no_grad()
def predict(
    model: VideoModel,
    frames: Tensor,
    context: int,
    predict: int,
    samples: int = 1,
    at_once: int = 1000,
    progress: bool = False,
) -> Tensor:
    """Continue each sequence: (B, T >= context, C, H, W) -> (B, samples, `predict`, C, H, W), values in [0, 1].

    Only the first `context` frames are looked at. A deterministic model gives one sample whatever is asked for. At most
    `at_once` predictions run side by side; lower it when memory runs out. Where not all of them run at once, other noise is
    drawn than where they do. With `progress` a bar counts the frames computed, those within the context included.

    Raises:
        ValueError: for fewer than one frame, sample or prediction at once.
    """
    for name, value in (("predict", predict), ("samples", samples), ("at_once", at_once)):
        if value < 1:
            raise ValueError(f"{name} is {value}; ask for at least 1")
    if not len(frames):
        raise ValueError("there are no sequences to continue: frames hold none")
    samples = samples if model.stochastic else 1
    groups = frames[:, :context].split(at_once)
    runs = sum(-(-samples // (at_once // len(group))) for group in groups)
    bar = tqdm(total=runs * (context + predict - model.window), unit=" frame", desc="predicting", disable=not progress)
    was_training = model.training
    model.eval()
    try:
        parts = [_drawn(model, group, context, predict, samples, at_once, lambda _: bar.update()) for group in groups]
    finally:
        model.train(was_training)
        bar.close()
    return torch.cat(parts).float().clamp(0, 1)


def _drawn(
    model: VideoModel,
    frames: Tensor,
    context: int,
    predict: int,
    samples: int,
    at_once: int,
    on_frame: Callable[[Tensor], object],
) -> Tensor:
    """The samples (B, `samples`, `predict`, C, H, W) of at most `at_once` sequences, as many side by side as may be."""
    step, parts = at_once // len(frames), []
    for done in range(0, samples, step):
        count = min(step, samples - done)
        out, _ = rollout(model, frames, context, context + predict, samples=count, on_frame=on_frame)
        parts.append(out[:, context - model.window :].unflatten(0, (len(frames), count)))
    return torch.cat(parts, dim=1)


def evaluate(
    model: VideoModel,
    experiment: Experiment,
    *,
    device: str | None = None,
    progress: bool = True,
    at_once: int = 1000,
) -> dict[str, dict[str, Evaluation]]:
    """{pool: {"C->T": scores}} on the test sets of an experiment, ``experiment.data.pools()``, for its protocols.

    Protocols of one context share their predictions: 10 -> 10 is the first half of 10 -> 20. The noise is drawn from
    ``experiment.eval.seed`` for each batch of ``experiment.eval.batch`` sequences, so that batches of another size draw other
    noise, and so may an `at_once` that a batch's predictions exceed; scores of a stochastic model then differ as they do
    between seeds. Beside the model's scores stand those of trivial baselines: a black frame, the last frame given,
    and the mean picture of the training data. The processes of a training share the batches, and all of them return the same
    scores, which are those of one process alone.

    Raises:
        ValueError: before any data are read, when no protocol fits the model's window, or the model or a metric cannot
            take frames of this size.
    """
    team = Team.current()
    place, settings = pick_device(device), experiment.eval
    model = model.to(place)
    check_frames(model, experiment.data)
    furthest = furthest_frames(model, settings)
    length = max(context + ahead for context, ahead in furthest.items())
    pools = experiment.data.pools()
    mean = _mean_picture(experiment, place, length)
    drawn = settings.samples if model.stochastic else 1
    mine = len(pools) * len(furthest) * -(-settings.sequences // team.world)
    bar = tqdm(total=mine, unit=" seq", desc="evaluating", disable=not (progress and team.leads))
    result: dict[str, dict[str, Evaluation]] = {}
    with noise_of_one_process(), bar:
        for pool in pools:
            source = build(experiment.data, "test", pool=pool, length=length, device=place)
            starts = range(0, min(settings.sequences, len(source)), settings.batch)
            bar.total = len(pools) * len(furthest) * -(-starts.stop // team.world)  # the clips of a user may be few
            measured: Parts = {p: {} for p in settings.protocols if p[0] in furthest}
            for context, ahead in furthest.items():
                for start in starts[team.rank :: team.world]:
                    frames = source.batch(torch.arange(start, min(start + settings.batch, starts.stop))).to(place).float() / 255
                    seed_noise(settings.seed * 1_000_003 + start * 101 + context)
                    with autocast(experiment.train.precision, place):
                        samples = predict(model, frames, context, ahead, settings.samples, at_once)
                    truth, errors = frames[:, context : context + ahead], _baseline_errors(frames, context, ahead, mean)
                    for t in (t for c, t in measured if c == context):
                        scores = metrics.sample_metrics(samples[:, :, :t], truth[:, :t])
                        measured[context, t][start] = scores, {name: error[:, :t] for name, error in errors.items()}
                    bar.update(len(frames))
            found = _in_order(team.gather(pytree.tree_map(Tensor.cpu, measured)))
            result[pool] = {
                name_of(c, t): metrics.summarise(metrics.concatenate(scores), drawn, baselines=_averaged(errors))
                for (c, t), (scores, errors) in found.items()
            }
    return result


def seed_noise(seed: int) -> None:
    """Seed the noise of predictions; of a number that PyTorch cannot take, its low 64 bits."""
    torch.manual_seed(seed % 2**64)


def _in_order(shares: list[Parts]) -> dict[tuple[int, int], tuple[list, list]]:
    """{protocol: (scores, baselines' errors) of its batches}, in the order of the sequences, of what each process measured."""
    found = {}
    for protocol in shares[0]:
        batches = dict(sorted(pair for share in shares for pair in share[protocol].items())).values()
        found[protocol] = [scores for scores, _ in batches], [errors for _, errors in batches]
    return found


def furthest_frames(model: VideoModel, settings: Eval) -> dict[int, int]:
    """{context: most frames to predict after it} of the protocols that the model's window allows.

    Raises:
        ValueError: when it allows none.
    """
    furthest: dict[int, int] = {}
    for context, ahead in settings.protocols:
        if context >= model.window:
            furthest[context] = max(ahead, furthest.get(context, 0))
    if not furthest:
        most = max(context for context, _ in settings.protocols)
        raise ValueError(
            f"eval.protocols gives at most {most} frames, and the model's window has {model.window}: name a protocol with a"
            " longer context"
        )
    return furthest


def _mean_picture(experiment: Experiment, place: torch.device, length: int) -> Tensor:
    """(C, H, W): the mean of every pixel over training sequences; where none was trained on, over test sequences."""
    if isinstance(experiment.data, VideoData) and experiment.data.use == "test":
        data = build(experiment.data, "test", length=length, device=place)
    else:
        data = build(experiment.data, "train", device=place)
    count = min(_MEAN_OF, len(data))
    parts = evenly_spaced(count, count if data.online else len(data)).split(50)
    means = (data.batch(part).to(place).float().mean((0, 1)) * (len(part) / count) for part in parts)
    return sum(means) / 255  # type: ignore[return-value]


def _baseline_errors(frames: Tensor, context: int, ahead: int, mean: Tensor) -> dict[str, Tensor]:
    """{baseline: squared error (B, `ahead`)} of trivial baselines."""
    truth = frames[:, context : context + ahead]
    forecasts = {"black": torch.zeros_like(truth), "pixel_mean": mean, "copy_last": frames[:, context - 1 : context]}
    return {name: metrics.mse(forecast.expand_as(truth), truth) for name, forecast in forecasts.items()}


def _averaged(batches: list[dict[str, Tensor]]) -> dict[str, float]:
    return {name: torch.cat([batch[name] for batch in batches]).mean().item() for name in batches[0]}


def examples(
    model: VideoModel,
    experiment: Experiment,
    found: dict[str, dict[str, Evaluation]],
    *,
    device: str | None = None,
    first: int = 3,
    worst: int = 2,
    private: bool = False,
) -> dict[str, np.ndarray]:
    """Predictions to look at, of test sequences nobody picked: the first ones, and those with the worst MSE.

    `found` is what :func:`evaluate` returned. The longest protocol of the longest context is shown, on the last test set
    (for Moving MNIST the held-out digits). Returns the uint8 array "sample" (one draw), (N, T, C, H, W), predicted frames
    only, with "indices" (N,), how many of them are "first", and "context"; where the data may be recorded, or with
    `private`, also "mean" (of all draws) and "truth" with the context in front. Of large frames fewer sequences are kept,
    at most `EXAMPLE_PIXELS`, one at least.
    """
    place, settings = pick_device(device), experiment.eval
    furthest = furthest_frames(model, settings)
    context, pool = max(furthest), experiment.data.pools()[-1]
    ahead = furthest[context]
    scores = found[pool][name_of(context, ahead)].scores["mse"].per_sequence or ()
    height, width = experiment.data.height_width
    count = max(1, EXAMPLE_PIXELS // (ahead * experiment.data.channels * height * width))
    worst = min(worst, count // 2)
    first = min(first, count - worst, len(scores))
    indices = torch.tensor([*range(first), *np.argsort(scores)[::-1][:worst].tolist()])
    source = build(experiment.data, "test", pool=pool, length=context + ahead, device=place)
    frames = source.batch(indices).to(place)
    seed_noise(settings.seed)
    with noise_of_one_process(), autocast(experiment.train.precision, place):
        samples = predict(model.to(place), frames.float() / 255, context, ahead, settings.samples)

    def as_bytes(video: Tensor) -> np.ndarray:
        return (video * 255).round().to(torch.uint8).cpu().numpy()

    shown = {
        "indices": indices.numpy(),
        "first": np.array(first),
        "context": np.array(context),
        "sample": as_bytes(samples[:, 0]),
    }
    if source.recordable or private:
        shown |= {"mean": as_bytes(samples.mean(1)), "truth": frames.cpu().numpy()}
    return shown
