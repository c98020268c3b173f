"""Improved VRNN: a hierarchy of latent variables (Castrejon, Ballas and Courville, "Improved Conditional VRNNs for
Video Prediction", ICCV 2019). Written from the paper's equations; sizes and widths checked against its public code.

Frames are encoded into a pyramid e^0 (full size) .. e^5 (1 x 1 for 64 x 64 frames). A latent variable z^l lives at
three of its levels (1 x 1, 8 x 8 and 32 x 32). With c the context frames and levels counted from coarse to fine,

    h_0^l             = init_l(c)                                   (1) all recurrent states come from the context
    p(z_t | ...)      = prod_l p(z_t^l | z_t^{<l}, x_{<t}, c)       (2) prior, one ConvLSTM per level
    q(z_t | ...)      = prod_l q(z_t^l | z_t^{<l}, x_{<=t}, c)      (3) posterior, likewise, one frame ahead
    x_t               = render(x_{t-1}, z_t, h_{t-1})               (4) a ConvLSTM at every level of the pyramid
    log p(x | c)     >= sum_t E_q log p(x_t | x_{<t}, z_{<=t}, c) - sum_{t, l} KL(q || p)   (5)

The z_t^{<l} in (2) and (3) are the dense connections: a level sees the sample of every coarser level.

What "62M parameters, the smallest variant" is was not identified. The public code's hierarchical model has 65.3M at its
smallest sensible setting, 32 hidden channels and 5 context frames (59.9M at 4, 106.9M at 10), posterior and initial
states included; the defaults here follow that setting, because 5 is the shorter context of Table 1. 65.3M is 62.3 times
2^20, so the two may be one number in two units; but the paper's other counts are decimal: a guess, not a finding.
At 64 x 64 most of the weights of the three 1 x 1 ConvLSTMs are 3 x 3 taps that only ever multiply zero padding, 12.7M
in all: :func:`dead_weights` counts them.

Departures from the original:

- It reads all context frames at once and starts there. Here a model meets one frame a step, so for each of the first
  `context` steps (1) is evaluated on the frames met so far (those to come count as zero) and from there on the states
  recur: with `context` given frames the predicted part is the original, with more the rest of them are recurrent steps.
- Its public code gives z^{<l} to the posterior only; here, as in (2) and (3), to both.
- Its public code normalises means and raw deviations together (a group norm over the heads' output); here the heads
  are plain convolutions, and the deviation is `sigma_min` + softplus, as in every model of this study.
- Its last pooling is 4 x 4 with stride 1, which fits 64 x 64 alone; here the stride is 4, the same thing at 64 x 64.
- Its group norms in the ConvLSTMs have 16 groups; here too, but never fewer than four channels in a group.
- Its reconstruction term for digits is the cross-entropy; here it is the study's, whatever the experiment names.
"""

from __future__ import annotations

import math
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vrnn3d.layers.gaussian import SIGMA_MIN, gaussian_from_raw
from vrnn3d.models.base import Latents, Paper, VideoModel, check_argument, check_counts, check_window

_COARSEST_POOL = 4  # side of the pooling before the coarsest level; all others halve


def _norm(channels: int, groups: int) -> nn.GroupNorm:
    """Group norm with the wanted groups, or the most below that which leave four channels in each."""
    return nn.GroupNorm(math.gcd(groups, channels, max(1, channels // 4)), channels)


def _up(channels_in: int, channels_out: int, factor: int) -> nn.Sequential:
    """Transposed 4 x 4 convolution that enlarges by `factor` (2 or 4), group norm, leaky ReLU."""
    return nn.Sequential(
        nn.ConvTranspose2d(channels_in, channels_out, 4, stride=factor, padding=(4 - factor) // 2),
        _norm(channels_out, 4),
        nn.LeakyReLU(0.2),
    )


class ResidualBlock(nn.Module):
    """Two pre-activated 3 x 3 convolutions whose sum with the input counts a tenth: (N, in, H, W) -> (N, out, H, W)."""

    def __init__(self, channels_in: int, channels_out: int):
        super().__init__()
        middle = min(channels_in, channels_out)
        self.branch = nn.Sequential(
            nn.LeakyReLU(0.2),
            nn.Conv2d(channels_in, middle, 3, padding=1),
            _norm(middle, 4),
            nn.LeakyReLU(0.2),
            nn.Conv2d(middle, channels_out, 3, padding=1, bias=False),
            _norm(channels_out, 4),
        )
        same = channels_in == channels_out
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels_in, channels_out, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return torch.add(self.shortcut(x), self.branch(x), alpha=0.1)


class ConvLSTM(nn.Module):
    """Convolutional LSTM, 3 x 3, with group norm on either half of the gates and on the cell.

    The halves are normalised apart, so :meth:`inputs` can be computed for all steps at once, exactly.
    """

    def __init__(self, channels_in: int, hidden: int):
        super().__init__()
        self.input_gates = nn.Conv2d(channels_in, 4 * hidden, 3, padding=1)
        self.input_norm = _norm(4 * hidden, 16)
        self.state_gates = nn.Conv2d(hidden, 4 * hidden, 3, padding=1)
        self.state_norm = _norm(4 * hidden, 16)
        self.cell_norm = _norm(hidden, 16)

    def inputs(self, x: Tensor) -> Tensor:
        """The gates' half that knows no state: (N, in, H, W) -> (N, 4 hidden, H, W)."""
        return self.input_norm(_conv3x3(self.input_gates, x))

    def forward(self, inputs: Tensor, state: tuple[Tensor, Tensor]) -> tuple[Tensor, tuple[Tensor, Tensor]]:
        """(what :meth:`inputs` gave, (h, c)) -> (h, (h, c)), all of (N, hidden, H, W) but the first."""
        h, c = state
        # i, f, o, g = GN(W_x * x) + GN(W_h * h)
        gates = inputs + self.state_norm(_conv3x3(self.state_gates, h))
        ifo, g = gates.split([3 * c.shape[1], c.shape[1]], dim=1)
        i, f, o = ifo.sigmoid().chunk(3, dim=1)
        # c' = GN(sigmoid(f) c + sigmoid(i) tanh(g));  h' = sigmoid(o) tanh(c')
        c = self.cell_norm(torch.addcmul(f * c, i, g.tanh()))
        h = o * c.tanh()
        return h, (h, c)


def _conv3x3(conv: nn.Conv2d, x: Tensor) -> Tensor:
    """`conv` (3 x 3, padding 1); on a 1 x 1 map only its middle tap meets anything but padding, so only that runs."""
    if x.shape[-2:] == (1, 1):
        return F.conv2d(x, conv.weight[:, :, 1:2, 1:2], conv.bias)
    return conv(x)


def _enlarged(x: Tensor, like: Tensor) -> Tensor:
    """Nearest neighbours, as many as `like` has; of a single one, itself, which a sum spreads."""
    return x if x.shape[-2:] == (1, 1) else F.interpolate(x, size=like.shape[-2:])


class InitialState(nn.Module):
    """Equation 1: (N, k <= context, C, H, W) features of the frames met so far -> (h, c), each (N, hidden, H, W)."""

    def __init__(self, context: int, channels: int, hidden: int):
        super().__init__()
        self.slots = context * channels
        self.first = nn.Conv2d(self.slots, self.slots, 1)
        self.rest = nn.Sequential(
            _norm(self.slots, 4), nn.LeakyReLU(0.2), nn.Conv2d(self.slots, 2 * hidden, 1), nn.GroupNorm(1, 2 * hidden)
        )

    def forward(self, frames: Tensor) -> tuple[Tensor, Tensor]:
        met = frames.flatten(1, 2)
        # The latest frame is always in the last slot; those of frames that did not come (yet) are zero, so they are left out.
        x = F.conv2d(met, self.first.weight[:, self.slots - met.shape[1] :], self.first.bias)
        h, c = self.rest(x).chunk(2, dim=1)
        return h, c


class LatentNet(nn.Module):
    """One level of the prior or of the posterior (equations 2 and 3)."""

    def __init__(self, channels: int, coarser: int, latent: int):
        super().__init__()
        self.reduce = nn.Sequential(nn.Conv2d(channels, channels, 1), nn.GroupNorm(1, channels))
        self.lstm = ConvLSTM(channels, channels)
        self.head = nn.Conv2d(channels + coarser, 2 * latent, 1)
        # Prior and posterior start out nearly equal, hence with almost no latent loss.
        nn.init.normal_(self.head.weight, std=1e-3)
        assert self.head.bias is not None
        nn.init.zeros_(self.head.bias)

    def inputs(self, features: Tensor) -> Tensor:
        """The input half of the gates: known before the recurrence, for any number of steps at once."""
        return self.lstm.inputs(self.reduce(features))

    def forward(self, inputs: Tensor, state: tuple, coarser: list[Tensor]) -> tuple[Tensor, tuple]:
        """(input gates, (h, c), coarser samples) -> (raw (N, 2 latent, H, W), next (h, c))."""
        h, state = self.lstm(inputs, state)
        # The head's share of each coarser sample is computed where it is small, and then enlarged: the same, for 1 x 1 kernels.
        own, *shares = self.head.weight.split([h.shape[1], *(z.shape[1] for z in coarser)], dim=1)
        raw = F.conv2d(h, own, self.head.bias)
        for z, share in zip(coarser, shares):
            raw = raw + _enlarged(F.conv2d(z, share), raw)
        return raw, state


class ImprovedVRNN(VideoModel):
    """Hierarchical conditional VRNN, about 62M parameters at its defaults (65.3M; see the module's text).

    A frame goes in, (B, 1, channels, H, W) with values in [0, 1], and the next comes out. Given a target it decodes the
    posterior's samples, without one the prior's. Latents of a step: one (posterior, prior) pair per latent level,
    coarse to fine; each mean and std is (B, latent channels, height, width).

    The state is ``(context, recurrent)``, one of them always empty after the first step: `context` holds, per pyramid
    level, the features of the frames met so far, (B, k, C, H, W), as long as there are fewer than `context` of them;
    `recurrent` holds (renderer, prior, posterior) pairs (h, c). At the start both are empty.

    Args:
        channels: of a frame.
        window, horizon: 1 and 1 only.
        hidden: channels of the finest level; the levels have 1, 2, 4, 8, 8, 8 times as many.
        levels: of the pyramid; frames' sides must be multiples of 2^levels, so 6 fits 64 x 64 and 5 fits 32 x 32.
            Latents sit at the coarsest level and at every second finer one, three at most.
        latent: channels of the coarsest latent; a finer one has as many as its level.
        context: frames that (1) starts the recurrent states from.
        sigma_min: floor on the latents' standard deviation.

    Raises:
        ValueError: for a window or horizon other than 1, fewer than two levels, no context, or an argument of another kind
            or size than it can have.
    """

    TITLE = "Improved VRNN"
    PAPER = Paper(
        "Improved Conditional VRNNs for Video Prediction",
        "Castrejon, Ballas and Courville",
        2019,
        "ICCV",
        "https://arxiv.org/abs/1904.12165",
    )
    CODE = "https://github.com/facebookresearch/improved_vrnn"
    DEPARTURES = (
        "A model meets one frame a step, so in each of the first context steps the initial states are made from the frames met"
        " so far; from there on they recur.",
        "Samples of coarser levels reach prior and posterior, as in the paper; in the public code the posterior only.",
        "Means and deviations come from plain convolutions, and a deviation is a floor plus a softplus, as in every model of"
        " this study; the public code normalises both together.",
        "The last pooling has stride 4, which is the same at 64 x 64 pixels and fits other sizes too.",
        "No group of the group norms has fewer than four channels.",
        "The reconstruction term is the study's; for digits the original has the cross-entropy.",
    )

    stochastic = True
    renderer: Any  # of PyTorch's containers mypy knows no members
    initial: Any

    def __init__(
        self,
        *,
        channels: int = 1,
        window: int = 1,
        horizon: int = 1,
        hidden: int = 32,
        levels: int = 6,
        latent: int = 10,
        context: int = 5,
        sigma_min: float = SIGMA_MIN,
    ):
        super().__init__()
        check_window("improved_vrnn", window, horizon, "window 1 with horizon 1", window == horizon == 1)
        check_counts("improved_vrnn", 1, channels=channels, hidden=hidden, latent=latent, context=context)
        check_counts("improved_vrnn", 2, levels=levels)
        check_argument("improved_vrnn", "sigma_min", sigma_min, float, low=0)
        self.channels, self.window, self.horizon = channels, window, horizon
        self.context_frames, self.sigma_min = context, sigma_min
        self.size_multiple = 2**levels
        widths = [hidden * min(8, 2**level) for level in range(levels)]
        #: pyramid levels that carry a latent, coarse to fine
        self.latent_levels = tuple(range(levels - 1, -1, -2))[:3]
        sizes = [latent] + [widths[level] for level in self.latent_levels[1:]]

        self.encoder = nn.ModuleList(
            nn.Sequential(nn.Conv2d(channels, width, 1), ResidualBlock(width, width))
            if level == 0
            else nn.Sequential(
                nn.MaxPool2d(2 if level < levels - 1 else _COARSEST_POOL),
                ResidualBlock(widths[level - 1], width),
                ResidualBlock(width, width),
            )
            for level, width in enumerate(widths)
        )
        coarser = [sum(sizes[:index]) for index in range(len(sizes))]
        self.prior = nn.ModuleList(LatentNet(widths[level], *s) for level, *s in zip(self.latent_levels, coarser, sizes))
        self.posterior = nn.ModuleList(LatentNet(widths[level], *s) for level, *s in zip(self.latent_levels, coarser, sizes))
        # Everything of the renderer is listed coarse to fine.
        extra = dict(zip(self.latent_levels, sizes))
        order = range(levels - 1, -1, -1)
        self.renderer = nn.ModuleDict(
            {
                "lstm": nn.ModuleList(ConvLSTM(widths[i] + extra.get(i, 0), widths[i]) for i in order),
                "up": nn.ModuleList(_up(widths[i], widths[i - 1], 2 if i < levels - 1 else _COARSEST_POOL) for i in order if i),
                "out": nn.Sequential(
                    nn.Conv2d(hidden, hidden, 3, padding=1),
                    _norm(hidden, 4),
                    nn.LeakyReLU(0.2),
                    nn.Conv2d(hidden, channels, 3, padding=1),
                ),
            }
        )
        self.initial = nn.ModuleDict(
            {
                "renderer": nn.ModuleList(InitialState(context, widths[i], widths[i]) for i in order),
                "prior": nn.ModuleList(InitialState(context, widths[i], widths[i]) for i in self.latent_levels),
                "posterior": nn.ModuleList(InitialState(context, widths[i], widths[i]) for i in self.latent_levels),
            }
        )

    def initial_state(self, batch: int, height: int, width: int, device=None, dtype=None) -> tuple:
        """No frame met, nothing remembered: ((), ()). Raises ``ValueError`` for a size that does not fit."""
        self.check_size(height, width)
        return (), ()

    def _pyramid(self, clip: Tensor) -> list[Tensor]:
        self.check_size(*clip.shape[-2:])
        features = [clip[:, -1]]
        for stage in self.encoder:
            features.append(stage(features[-1]))
        return features[1:]

    def encode(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, C, H, W) -> the pyramid, fine to coarse, followed by the prior's input gates, coarse to fine."""
        pyramid = self._pyramid(clip)
        return (*pyramid, *(net.inputs(pyramid[i]) for net, i in zip(self.prior, self.latent_levels)))

    def encode_target(self, clip: Tensor) -> tuple[Tensor, ...]:
        """(N, 1, C, H, W) -> the posterior's input gates, coarse to fine: (N, 4 C, H, W) each."""
        pyramid = self._pyramid(clip)
        return tuple(net.inputs(pyramid[i]) for net, i in zip(self.posterior, self.latent_levels))

    def _start(self, part: str, context: tuple[Tensor, ...]) -> list[tuple[Tensor, Tensor]]:
        levels = range(len(context) - 1, -1, -1) if part == "renderer" else self.latent_levels
        return [net(context[i]) for net, i in zip(self.initial[part], levels)]

    def advance(self, features: tuple, state: tuple, target: Any = None) -> tuple[Tensor, tuple, Latents]:
        levels = len(self.encoder)
        pyramid, prior_inputs = features[:levels], features[levels:]
        context, recurrent = state
        if recurrent:
            renderer, prior, posterior = recurrent
        else:
            frames = [x.unsqueeze(1) for x in pyramid]
            context = tuple(torch.cat(pair, 1) for pair in zip(context, frames)) if context else tuple(frames)
            renderer, prior = self._start("renderer", context), self._start("prior", context)
            last = context[0].shape[1] == self.context_frames
            posterior = self._start("posterior", context) if last or target is not None else ()

        prior, posterior, renderer = list(prior), list(posterior), list(renderer)
        samples: list[Tensor] = []
        latents = []
        for index in range(len(self.latent_levels)):
            # Eq. 2
            raw, prior[index] = self.prior[index](prior_inputs[index], prior[index], samples)
            p, q = gaussian_from_raw(raw, self.sigma_min), None
            if target is not None:
                # Eq. 3
                raw, posterior[index] = self.posterior[index](target[index], posterior[index], samples)
                q = gaussian_from_raw(raw, self.sigma_min)
            samples.append((p if q is None else q).sample().to(pyramid[-1].dtype))
            latents.append((q, p))

        # Eq. 4, but for its last convolutions, which know no state and are left to `decode`
        z = dict(zip(self.latent_levels, samples))
        x = pyramid[-1]
        for index, lstm in enumerate(self.renderer["lstm"]):
            level = levels - 1 - index
            x = lstm.inputs(torch.cat([x, z[level]], 1) if level in z else x)
            x, renderer[index] = lstm(x, renderer[index])
            if level:
                x = self.renderer["up"][index](x)

        recurrent = (tuple(renderer), tuple(prior), tuple(posterior))
        still_context = context and context[0].shape[1] < self.context_frames
        return x, (context, ()) if still_context else ((), recurrent), tuple(latents)

    def decode(self, output: Tensor) -> Tensor:
        """(N, hidden, H, W) -> (N, 1, C, H, W) in [0, 1]."""
        return self.renderer["out"](output).sigmoid().unsqueeze(1)


def dead_weights(model: ImprovedVRNN, height: int, width: int) -> int:
    """Weights that only ever multiply zero padding at this frame size: eight of nine taps of each ConvLSTM at 1 x 1."""
    model.check_size(height, width)
    if (height, width) != (model.size_multiple, model.size_multiple):
        return 0
    cells = [model.renderer["lstm"][0], model.prior[0].lstm, model.posterior[0].lstm]
    return sum(conv.weight.numel() * 8 // 9 for cell in cells for conv in (cell.input_gates, cell.state_gates))
