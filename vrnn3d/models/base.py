"""The contract every model obeys, so that one time loop (``vrnn3d.rollout``) serves them all.

A model sees a clip of M frames (``window``) and predicts the clip H frames (``horizon``) further on; the last H
frames of that clip are new. One step is three parts, of which only the middle one has to run in time order:

    features      = encode(clip)                     # no state: any number of steps in one batch
    output, state, latents = advance(features, state, target)
    prediction    = decode(output)                   # no state: any number of steps in one batch
"""

from __future__ import annotations

from typing import Any, ClassVar, NamedTuple

from torch import Tensor, nn

from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.layers.threads import one_thread
from vrnn3d.settings import check

#: (posterior, prior) of each latent variable of one step: empty for a deterministic model, several in a hierarchy.
#: The posterior is None where no target was given (at test time).
Latents = tuple[tuple[Gaussian | None, Gaussian], ...]


class Paper(NamedTuple):
    """The publication that a model is built from."""

    title: str
    authors: str
    year: int
    venue: str
    link: str


class VideoModel(nn.Module):
    """Base of all models. Frames are (batch, time, channel, height, width), values in [0, 1].

    A class says what it is built from: ``TITLE``; ``PAPER``; ``CODE``, the address of the public code that it was compared
    with; and ``DEPARTURES``, in sentences, where it differs from either.

    Subclasses set ``window``, ``horizon``, ``channels`` and implement :meth:`initial_state`, :meth:`advance` and, where
    they have such parts, :meth:`encode`, :meth:`encode_target` and :meth:`decode`.
    """

    TITLE: ClassVar[str] = ""
    PAPER: ClassVar[Paper | None] = None
    CODE: ClassVar[str | None] = None
    DEPARTURES: ClassVar[tuple[str, ...]] = ()

    window: int = 1
    horizon: int = 1
    channels: int = 1
    stochastic: bool = False
    sigma_min: float = 0.0  # floor on the latents' standard deviations, in a stochastic model
    size_multiple: int = 1  # height and width must be multiples of this
    #: parts not counted as the model's size because they do not run at test time: attribute names
    training_only: tuple[str, ...] = ()

    def initial_state(self, batch: int, height: int, width: int, device=None, dtype=None) -> Any:
        """The state before the first step, for frames of height x width pixels: a (nested) tuple of tensors whose
        first axis is the batch."""
        raise NotImplementedError

    def encode(self, clip: Tensor) -> Any:
        """(N, M, C, H, W) -> what :meth:`advance` takes as input: a tensor or tuple of tensors, first axis N."""
        return clip

    def encode_target(self, clip: Tensor) -> Any:
        """(N, M, C, H, W) -> what the posterior takes of the clip to be predicted; None where there is none."""
        return None

    def advance(self, features: Any, state: Any, target: Any = None) -> tuple[Any, Any, Latents]:
        """One step in time: (output for :meth:`decode`, next state, latents). `target` is given in training only."""
        raise NotImplementedError

    def decode(self, output: Any) -> Tensor:
        """What :meth:`advance` put out -> predicted clip (N, M, C, H, W); its last H frames are new.

        Values lie near [0, 1] but are not clipped: clipping is the metrics' and the pictures' business.
        """
        return output

    def step(self, window: Tensor, state: Any, target: Tensor | None = None) -> tuple[Tensor, Any, Latents]:
        """The three parts in one call: (prediction (B, M, C, H, W), next state, latents).

        `window` and `target` are clips (B, M, C, H, W); `target` is the clip H frames after `window`.
        """
        with one_thread():  # no step of a model falls into another thread's rollout, whose kernels are shared
            encoded = None if target is None else self.encode_target(target)
            output, state, latents = self.advance(self.encode(window), state, encoded)
            return self.decode(output), state, latents

    def forward(self, frames: Tensor, context: int, length: int, samples: int = 1) -> Tensor:
        """Continue each sequence after its first `context` frames (``vrnn3d.rollout.rollout`` without forcing).

        Args:
            frames: (batch, time, channel, height, width), values in [0, 1]; what comes after the context is not looked at.
            context: frames given, at least the window.
            length: frames of the whole sequence, context included.
            samples: predictions per sequence, each with noise of its own.

        Returns:
            (batch, samples, time, channel, height, width): the frames `context` .. `length` - 1.

        Raises:
            ValueError: for frames, a context or a length that the model cannot take.
        """
        from vrnn3d.rollout import rollout  # which needs this module

        if length <= context:
            raise ValueError(
                f"length {length} leaves nothing to predict after a context of {context} frames: it is that of the whole"
                " sequence"
            )
        if context > frames.shape[1]:
            raise ValueError(f"a context of {context} frames was asked for, and {frames.shape[1]} are given")
        predicted, _ = rollout(self, frames[:, :context], context, length, samples=samples)
        return predicted[:, context - self.window :].unflatten(0, (frames.shape[0], samples))

    def check_size(self, height: int, width: int) -> None:
        """Raise ``ValueError`` with the sizes that do fit, when frames of height x width do not."""
        m = self.size_multiple
        if height % m or width % m or not height or not width:
            up = [max(m, -(-side // m) * m) for side in (height, width)]
            raise ValueError(
                f"{type(self).__name__} takes frames whose height and width are multiples of {m}, not {height} x {width};"
                f" resize or pad them, to {up[0]} x {up[1]} for example"
            )

    def load_kinetics(self, weights: dict[str, Tensor]) -> None:
        """Start from the state dict of torchvision's ``r3d_18``; ``ValueError`` for a model that has no such part."""
        raise ValueError(f"{type(self).__name__} has no part that Kinetics weights fit; start it from a run of the same model")

    def parameter_breakdown(self) -> dict[str, int]:
        """Parameters of each direct part, and under "total" their sum without the parts of ``training_only``."""
        parts = {name: sum(p.numel() for p in module.parameters()) for name, module in self.named_children()}
        own = sum(p.numel() for p in self.parameters(recurse=False))
        if own:
            parts["other"] = own
        parts["total"] = sum(n for name, n in parts.items() if name not in self.training_only)
        return parts


def check_window(name: str, window: int, horizon: int, windows: str, allowed: bool) -> None:
    """Raise ``ValueError`` naming the windows and horizons a model can take, when `allowed` is false."""
    if not allowed:
        raise ValueError(f"{name} cannot take window {window} with horizon {horizon}; it takes {windows}")


def check_argument(model: str, name: str, value: Any, kind: Any, **limits: Any) -> None:
    """Raise ``ValueError`` with what an argument of a model may be, when `value` is not of this kind or outside its limits.

    Kinds and limits are those of :func:`vrnn3d.settings.setting`, ``int`` and ``low=1`` for example.
    """
    check(f"{name} of {model}", value, kind, limits)


def check_counts(model: str, low: int, **counts: int) -> None:
    """Raise ``ValueError`` for an argument that is no whole number of at least `low`."""
    for name, count in counts.items():
        check_argument(model, name, count, int, low=low)


def check_odd(model: str, name: str, *sides: int) -> None:
    """Raise ``ValueError`` when a side of a kernel is even: only odd ones keep the size of what they are applied to."""
    if not all(side % 2 for side in sides):
        raise ValueError(f"{model} needs an odd {name}, so that sizes stay; it was given {' x '.join(map(str, sides))}")
