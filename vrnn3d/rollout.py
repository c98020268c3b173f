"""The one time loop: context, scheduled sampling and free run, for training, evaluation and prediction alike.

Frames are counted from 0. Step s reads the clip of frames s*H .. s*H + M - 1 and predicts the clip H frames further on,
of which the last H frames are new: M + s*H .. M + s*H + H - 1. Where a frame of a clip is not known, the model's own
prediction takes its place (paper, sect. 3.3). Steps whose clips are wholly known are encoded, and decoded, in one batch.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable
from contextlib import nullcontext

import torch
from torch import Tensor
from torch.utils import _pytree as pytree

from vrnn3d.frames import require_floats, require_range
from vrnn3d.layers.depth_folding import joint_statistics, shared_kernels
from vrnn3d.models.base import Latents, VideoModel

TEACHER = "teacher"
#: Models that have been given frames once: on a GPU, where looking costs a wait, their range is looked at the first time only.
_LOOKED_AT: weakref.WeakSet[VideoModel] = weakref.WeakSet()
_BEYOND = 0.5  # how far noise or a prediction fed back may leave [0, 1]


def usable_length(model: VideoModel, length: int) -> int:
    """The most frames, at most `length`, that whole steps of the model cover: M plus a multiple of H."""
    if length < model.window + model.horizon:
        raise ValueError(
            f"sequences of {length} frames are too short for window {model.window} and horizon {model.horizon}:"
            f" at least {model.window + model.horizon} frames are needed"
        )
    return model.window + (length - model.window) // model.horizon * model.horizon


def _check_range(model: VideoModel, frames: Tensor) -> None:
    """Refuse frames that are not floats in [0, 1], or of another precision than the model."""
    require_floats("frames are", frames, "models")
    own = next((parameter.dtype for parameter in model.parameters()), frames.dtype)
    if frames.dtype != own and not torch.is_autocast_enabled(frames.device.type):
        raise ValueError(f"frames are {frames.dtype} and the model {own}: call frames.to({own})")
    if torch.compiler.is_compiling() or frames.device.type == "meta" or not frames.numel():
        return
    if model in _LOOKED_AT and frames.device.type != "cpu":
        return
    low, high = frames.amin().item(), frames.amax().item()
    if low != low or high != high:
        raise ValueError("frames hold NaN; models take numbers in [0, 1]")
    require_range("frames have", low, high, _BEYOND, "models")
    _LOOKED_AT.add(model)


def _check_forcing(forcing: Tensor | str | None, frames: Tensor, length: int) -> None:
    if forcing is None or (isinstance(forcing, str) and forcing == TEACHER):
        return
    if not isinstance(forcing, Tensor):
        raise ValueError(
            f"forcing is {forcing!r}; it is None (own predictions), {TEACHER!r} (the truth) or a boolean mask (batch, length)"
        )
    fits = forcing.dim() == 2 and forcing.shape[0] == frames.shape[0] and forcing.shape[1] >= length
    if forcing.dtype != torch.bool or not fits:
        raise ValueError(
            f"the forcing mask is {forcing.dtype} of shape {tuple(forcing.shape)};"
            f" it must be boolean, ({frames.shape[0]}, {length})"
        )


def _check(model: VideoModel, frames: Tensor, context: int, length: int, forcing, posterior: bool, samples: int) -> None:
    if not isinstance(frames, Tensor):
        raise ValueError(f"frames are a {type(frames).__name__}; models take a tensor: torch.from_numpy(frames).float()")
    if samples < 1:
        raise ValueError(f"samples is {samples}; ask for at least 1")
    if frames.dim() != 5 or frames.shape[2] != model.channels:
        raise ValueError(
            f"frames must be (batch, time, {model.channels}, height, width), not {tuple(frames.shape)};"
            " the third axis is the channel"
        )
    _check_range(model, frames)
    _check_forcing(forcing, frames, length)
    if posterior and not model.stochastic:
        raise ValueError(f"{type(model).__name__} has no latent, hence no posterior; leave out posterior=True")
    model.check_size(*frames.shape[-2:])
    if not model.window <= context <= frames.shape[1]:
        raise ValueError(
            f"a context of {context} frames does not fit: it must be at least the window ({model.window})"
            f" and at most the frames given ({frames.shape[1]})"
        )
    if length <= model.window:
        raise ValueError(f"length {length} leaves nothing to predict after a window of {model.window} frames")
    needed = length if posterior or forcing is not None else context
    if frames.shape[1] < needed:
        raise ValueError(f"forcing and the posterior need the true frames up to {needed}, but {frames.shape[1]} are given")
    if posterior and (length - model.window) % model.horizon:
        raise ValueError(
            f"with the posterior, length must be the window plus a multiple of the horizon;"
            f" {usable_length(model, length)} is the nearest below {length}"
        )


def _clips(frames: Tensor, model: VideoModel, first: int, steps: int) -> Tensor:
    """Clips of M frames starting at first, first + H, ... -> (steps * B, M, C, H, W), time-major."""
    m, h = model.window, model.horizon
    clips = [frames[:, first + s * h : first + s * h + m] for s in range(steps)]
    return torch.cat(clips) if len(clips) > 1 else clips[0]


def _split(tree, steps: int, samples: int = 1) -> list:
    """A tree of (steps * B, ...) -> a list over steps of trees of (B * samples, ...)."""
    leaves, spec = pytree.tree_flatten(tree)
    per_leaf = [leaf.unflatten(0, (steps, -1)).unbind(0) for leaf in leaves]
    if samples > 1:
        per_leaf = [[part.repeat_interleave(samples, 0) for part in parts] for parts in per_leaf]
    return [pytree.tree_unflatten(list(parts), spec) for parts in zip(*per_leaf)]


def _join(trees: list):
    """A list over steps of trees of (B, ...) -> one tree of (steps * B, ...)."""
    if len(trees) == 1:
        return trees[0]
    flat = [pytree.tree_flatten(tree) for tree in trees]
    return pytree.tree_unflatten([torch.cat(parts) for parts in zip(*(leaves for leaves, _ in flat))], flat[0][1])


def rollout(
    model: VideoModel,
    frames: Tensor,
    context: int,
    length: int,
    *,
    forcing: Tensor | str | None = None,
    posterior: bool = False,
    samples: int = 1,
    batched: bool = True,
    on_frame: Callable[[Tensor], object] | None = None,
) -> tuple[Tensor, list[Latents]]:
    """Run the model over a sequence. Calls from several threads run one after another: they share state of the process.

    Args:
        model: any :class:`~vrnn3d.models.base.VideoModel`.
        frames: (B, T, C, H, W) in [0, 1]; T >= `context`, and T >= `length` with `forcing` or `posterior`.
        context: how many frames are known; at least the model's window.
        length: frames of the whole sequence, context included.
        forcing: what goes in after the context. None: the model's own predictions. "teacher": the truth. A boolean
            tensor (B, length): the truth where True (scheduled sampling; a mask, so that nothing branches).
        posterior: give the model the clip to be predicted as its target (training).
        samples: predictions per sequence, each with its own noise.
        batched: False runs encoder and decoder step by step even where they need not be (for the benchmark).
        on_frame: called with each predicted frame (B * samples, C, H, W) as soon as there is one, to show or to count them.

    Returns:
        (prediction (B * samples, length - M, C, H, W) of frames M .. length - 1, the samples of a sequence adjacent;
        the latents of each step).

    Raises:
        ValueError: naming what does not fit, for shapes and lengths the model cannot take.
    """
    _check(model, frames, context, length, forcing, posterior, samples)
    with joint_statistics(), shared_kernels() if batched else nullcontext():
        return _run(model, frames, context, length, forcing, posterior, samples, batched, on_frame)


def _run(model, frames, context, length, forcing, posterior, samples, batched, on_frame):
    m, h = model.window, model.horizon
    steps = -(-(length - m) // h)
    known = length if isinstance(forcing, str) else context
    ahead = min(steps, (known - m) // h + 1)  # steps whose clips are wholly known
    batch, (height, width) = frames.shape[0], frames.shape[-2:]

    features = _split(model.encode(_clips(frames, model, 0, ahead)), ahead, samples) if batched else []
    targets = [None] * steps
    if posterior and batched:
        encoded = model.encode_target(_clips(frames, model, h, steps))
        targets = targets if encoded is None else _split(encoded, steps, samples)

    many = frames.repeat_interleave(samples, 0) if samples > 1 else frames
    fed = list(many[:, :known].unbind(1))  # what the model is given as frame i
    state = model.initial_state(batch * samples, height, width, frames.device, frames.dtype)
    predicted: list[Tensor] = []
    latents: list[Latents] = []
    waiting: list = []  # outputs of known steps, decoded together

    for s in range(steps):
        if batched and s < ahead:
            x = features[s]
        else:
            x = model.encode(torch.stack(fed[s * h : s * h + m], dim=1))
        target = targets[s]
        if posterior and not batched:
            target = model.encode_target(_clips(many, model, (s + 1) * h, 1))
        output, state, pairs = model.advance(x, state, target)
        latents.append(pairs)
        waiting.append(output)
        if batched and s < ahead - 1:
            continue
        clips = model.decode(_join(waiting)).unflatten(0, (len(waiting), -1))
        waiting = []
        for clip in clips.unbind(0):
            for frame in clip[:, m - h :].to(frames.dtype).unbind(1):
                index = m + len(predicted)
                predicted.append(frame)
                if on_frame is not None and index < length:
                    on_frame(frame)
                if index < len(fed):
                    continue  # the truth is fed
                if forcing is not None and index < length:
                    mask = forcing[:, index].view(-1, 1, 1, 1).repeat_interleave(samples, 0)
                    frame = torch.where(mask, many[:, index], frame)
                fed.append(frame)
    return torch.stack(predicted[: length - m], dim=1), latents
