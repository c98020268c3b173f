"""Operations and memory traffic of a training sequence, counted on shapes alone: no device is needed, and no time passes."""

from __future__ import annotations

import functools
import json
import sys

import torch
from torch import Tensor
from torch._subclasses.fake_tensor import FakeTensor, FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from vrnn3d.checkpoint import model_of
from vrnn3d.config import Experiment
from vrnn3d.device import autocast, uses_bfloat16
from vrnn3d.layers import depth_folding
from vrnn3d.losses import sequence_loss
from vrnn3d.models.base import VideoModel
from vrnn3d.rollout import rollout, usable_length
from vrnn3d.study.bench.jobs import Job, counted_part
from vrnn3d.study.bench.workload import build, folding, forward_pass, random_frames

LINE = 200  #: characters of a message in a record


def gigaflops(job: Job) -> float:
    """Useful GFLOP of one training sequence, forward and backward.

    Counted in folded form, where products with padding along depth do not occur (up to depth 2).
    """
    with torch.device("meta"):
        model = build(job)
        length = usable_length(model, job.length)
        return _counted(model, torch.empty(1, length, model.channels, job.size, job.size), job.context)


def training_gigaflops(experiment: Experiment) -> float:
    """Useful GFLOP of one training sequence of an experiment, forward and backward, at its own width and size.

    Of clips deeper than four frames what meets the padding in depth is counted too, a tenth at M = 10.
    """
    with torch.device("meta"):
        model = model_of(experiment)
        length = usable_length(model, experiment.data.length)
        frames = torch.empty(1, length, model.channels, *experiment.data.height_width)
        return _counted(model, frames, min(experiment.train.context))


def _counted(model: VideoModel, frames: Tensor, context: int) -> float:
    from torch.utils.flop_counter import FlopCounterMode

    mode = "always" if getattr(model, "latent_depth", 1) <= 2 else "never"
    with depth_folding.folding(mode), FlopCounterMode(display=False) as counter:
        prediction, latents = rollout(model, frames, context, frames.shape[1], posterior=model.stochastic)
        loss, _ = sequence_loss(prediction, frames[:, model.window :], latents)
        if loss.requires_grad:
            loss.mean().backward()
    return counter.get_total_flops() / 1e9


class Traffic(TorchDispatchMode):
    """Adds up the bytes that go into and come out of every aten operation, except views and bare allocations.

    Tensors without data are taken to pass checks of their values: what is asked of them is false, and numbers are in [0, 1].
    """

    def __init__(self) -> None:
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        if func is torch.ops.aten._local_scalar_dense.default and isinstance(args[0], FakeTensor):
            return False if args[0].dtype == torch.bool else 0.5
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if func.namespace == "aten" and not func.is_view and not name.startswith(("empty", "new_empty")):
            tensors = (t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor))
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        return out


def gigabytes(job: Job) -> float:
    """Memory traffic of one training sequence in GB (1e9 bytes): a step forward, backward and Adam, over its batch.

    Counted at the precision and in the form that the job runs in: every operation reads its inputs from memory and writes its
    outputs there. That is what an execution without fusion moves, and so an upper bound: caches and compilers save some of it.
    """
    half = uses_bfloat16(job.precision, torch.device(job.device))
    place = torch.device("cpu")
    precision = autocast("bfloat16" if half else "float32", place)
    with torch.device("meta"):
        model = build(job)
    # Tensors without data that say they are on a CPU: unlike the meta device, that one has an autocast.
    with FakeTensorMode(), folding(job, "cpu"):
        model._apply(lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=place))
        parameters = list(model.parameters())
        if not parameters:
            return 0.0
        optimiser = torch.optim.Adam(parameters, fused=True)
        forward = forward_pass(job, model, random_frames(job, model, place))
        with Traffic() as counter:
            with precision:
                loss = forward()
            loss.backward()
        optimiser.step()  # the first allocates the moments; a later one is counted
        with counter:
            optimiser.step()
    return counter.bytes / job.batch / 1e9


def counts(job: Job) -> dict[str, float]:
    """Of a training row: GFLOP and GB per sequence, by the names they have in records.

    Without what a model does not let count, one that needs data or a device of its own; that is said on stderr.
    """
    return dict(_counts(counted_part(job)))


@functools.cache  # the compiled rows and every round ask for the same counts
def _counts(fields: str) -> dict[str, float]:
    found = {}
    job = Job(**json.loads(fields))
    for name, count in (("useful_gflop_per_sequence", gigaflops), ("gigabytes_per_sequence", gigabytes)):
        try:
            found[name] = count(job)
        except Exception as error:
            print(f"vrnn3d: {name} not counted: {one_line(error)}", file=sys.stderr)
    return found


def one_line(error: Exception) -> str:
    """What was raised, in one line of at most `LINE` characters."""
    return " ".join(f"{type(error).__name__}: {error}".split())[:LINE]
