"""The 3D convolutional VRNN of the paper (sect. 3), and its 2D forms of Table 3.

One class serves all of them: a 2D model is a 3D one whose kernels have depth 1, and a deterministic ConvLSTM is a VRNN
without a latent.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from vrnn3d.layers.conv_lstm import ConvLSTMCell
from vrnn3d.layers.depth_folding import Conv3d, Three, cat_channels, same_size
from vrnn3d.layers.gaussian import SIGMA_MIN, gaussian_from_raw
from vrnn3d.layers.initial import silence
from vrnn3d.layers.resnet3d import (
    NORMS,
    Conv2dDecoder,
    Conv2dEncoder,
    ResNetDecoder,
    ResNetEncoder,
    decode_clip,
    encode_clip,
    mirrored_state,
    r3d_18_state,
)
from vrnn3d.models.base import Latents, Paper, VideoModel, check_argument, check_counts, check_odd, check_window

WIRINGS = ("z_p", "z_q")


class GaussianHead(nn.Module):
    """A shallow CNN with the two heads (mean, raw std) of a Gaussian in one convolution: f_p and f_q of eqs. 1 and 2.

    `hidden` = 0 leaves out the layer before the heads. The first `ahead` input channels can be convolved ahead of time.
    """

    def __init__(self, inputs: int, hidden: int, latent: int, kernel: tuple[int, int, int], ahead: int = 0):
        super().__init__()
        padding = same_size(kernel)
        self.ahead, self.hidden = ahead, hidden
        self.body = Conv3d(inputs, hidden, kernel, padding=padding) if hidden else None
        self.heads = Conv3d(hidden or inputs, 2 * latent, kernel, padding=padding)

    def project(self, x: Tensor) -> Tensor:
        """The first layer's share from the first `ahead` channels, bias included."""
        return (self.body or self.heads)(x, slice(0, self.ahead))

    def forward(self, x: Tensor, projected: Tensor | None = None) -> Tensor:
        """(B, C, D, H, W) -> (B, 2 * latent, D, H, W); with `projected`, x lacks its first `ahead` channels."""
        first = self.body or self.heads
        y = first(x) if projected is None else projected + first(x, slice(self.ahead, None), bias=False)
        return y if self.body is None else self.heads(torch.relu(y))


class VRNN(VideoModel):
    """Variational recurrent network over clips (paper, eqs. 1-6; sect. 3.3; Figure 2).

    One step:  features = enc(clip);  h = ConvLSTM([features, z of the step before], h);  prior = f_p(h);
    posterior = f_q(h, enc_q(target clip));  z ~ prior or posterior;  prediction = dec([z, h]).

    Args:
        channels: of a frame.
        window: M, frames of a clip. The latent clip has depth ceil(M / 2) (3D) or M (2D).
        horizon: H, 1 <= H <= M: the clip that comes out is H frames further on.
        widths: channels of the encoder's first two stages.
        hidden: channels of each of the two ConvLSTM levels.
        latent: channels of z; 0 makes the model deterministic.
        head: channels of the hidden layer of f_p and f_q; 0 leaves it out.
        wiring: which sample is decoded and fed back in training: "z_p" (paper, eqs. 5 and 6) or "z_q" (Chung et al.).
            At test time it is always the prior's.
        sigma_min: floor on both standard deviations.
        init: "pytorch" (paper, sect. 4.1) or "glorot": ConvLSTM levels after Glorot with open forget gates, and an output
            that starts black. With PyTorch's default the hidden state is a hundred times fainter than the noise beside it
            at first, and training from scratch sits on an empty prediction for long.
        norm: of encoders and decoder: "batch" (paper) or "group".
        recurrent_kernel: (depth, height, width) of the ConvLSTM levels' kernels, all odd; by default 3 x 3 x 3, in 2D
            1 x 3 x 3.
        cell: side of a cell of hidden state and latent in pixels: 4 (paper), or 2 for twice as many cells along each side.
        stages: of the ResNet-18 of encoders and decoder, 3D only: 2 (paper), 3, or 4, which is all of it. Each after the second
            has twice the channels and cells of twice the side.
        dimensions: 3 (truncated 3D ResNet-18, 3 x 3 x 3 kernels) or 2 (5 x 5 stride-2 encoder, 3 x 3 kernels).
        plain: compute as the equations are written, nothing ahead of time: for the benchmark. Same parameters.

    Raises:
        ValueError: for a window and horizon it cannot take, another cell or number of stages, an unknown wiring, init or
            norm, or an argument of another kind or size than it can have.
    """

    TITLE = "Convolutional VRNN"
    PAPER = Paper(
        "A Log-likelihood Regularized KL Divergence for Video Prediction With a 3D Convolutional Variational Recurrent Network",
        "Razali and Fernando",
        2021,
        "WACV Workshops",
        "https://arxiv.org/abs/2012.06123",
    )
    DEPARTURES = (
        "The paper does not state M and H; both are 2 by default.",
        "The 7 million parameters that the paper gives each ConvLSTM level are those of both levels together, 7.3 million:"
        " else the total of 12.9 million cannot be met.",
        "Both standard deviations have a floor, 0.1 by default, which the paper does not mention; without one equation 13 has"
        " no minimum.",
        "The ConvLSTM levels have no peepholes, as in all public code.",
        "The running statistics of batch norms are updated once a training step, from all time steps alike; the paper does not"
        " say how.",
        "Weights are random at first, unless those of torchvision's r3d_18 are given (load_kinetics), from which the paper"
        " starts.",
        "The decoder's output is linear, so that a prediction may leave [0, 1]; metrics clip it.",
    )

    def __init__(
        self,
        *,
        channels: int = 1,
        window: int = 2,
        horizon: int = 2,
        widths: tuple[int, int] = (64, 128),
        hidden: int = 128,
        latent: int = 16,
        head: int = 128,
        wiring: str = "z_p",
        sigma_min: float = SIGMA_MIN,
        init: str = "pytorch",
        norm: str = "batch",
        recurrent_kernel: tuple[int, int, int] | None = None,
        cell: int = 4,
        stages: int = 2,
        dimensions: int = 3,
        plain: bool = False,
    ):
        super().__init__()
        name = type(self).__name__
        check_counts(name, 1, channels=channels, window=window, horizon=horizon, hidden=hidden)
        check_counts(name, 1, cell=cell, stages=stages, dimensions=dimensions)
        check_counts(name, 0, latent=latent, head=head)
        check_argument(name, "widths", widths, tuple[int, int], low=1)
        check_argument(name, "sigma_min", sigma_min, float, low=0)
        check_argument(name, "recurrent_kernel", recurrent_kernel, tuple[int, int, int] | None, low=1)
        check_odd(name, "recurrent_kernel", *(recurrent_kernel or ()))
        check_argument(name, "plain", plain, bool)
        check_window(name, window, horizon, "any window M >= 1 with 1 <= H <= M", 1 <= horizon <= window)
        if wiring not in WIRINGS:
            raise ValueError(f"no wiring {wiring!r}; there are: {', '.join(WIRINGS)}")
        if init not in ("pytorch", "glorot"):
            raise ValueError(f"no initialisation {init!r}; there are: pytorch, glorot")
        if norm not in NORMS:
            raise ValueError(f"no norm {norm!r}; there are: {', '.join(NORMS)}")
        if dimensions not in (2, 3):
            raise ValueError(f"dimensions must be 2 or 3, not {dimensions}")
        if stages not in (2, 3, 4) or (dimensions == 2 and stages != 2):
            raise ValueError(f"an encoder in {dimensions}D has {'2, 3 or 4' if dimensions == 3 else '2'} stages, not {stages}")
        self.channels, self.window, self.horizon = channels, window, horizon
        self.hidden, self.latent, self.wiring, self.sigma_min = hidden, latent, wiring, sigma_min
        self.plain, self.stochastic = plain, latent > 0
        three = dimensions == 3
        self.stages, self.cell = stages, cell * 2 ** (stages - 2)
        self.size_multiple = self.cell
        self.latent_depth = -(-window // 2) if three else window
        encoder, decoder = (ResNetEncoder, ResNetDecoder) if three else (Conv2dEncoder, Conv2dDecoder)
        kernel: Three = (3, 3, 3) if three else (1, 3, 3)
        widths = (*widths, *(widths[1] * 2**more for more in range(1, stages - 1)))
        wide = widths[-1]
        recurrent: Three = kernel if recurrent_kernel is None else tuple(recurrent_kernel)  # type: ignore[assignment]
        self.encoder = encoder(channels, widths, NORMS[norm], cell)
        self.level1 = ConvLSTMCell(wide + latent, hidden, recurrent, ahead=wide)
        self.level2 = ConvLSTMCell(hidden, hidden, recurrent)
        if latent:
            self.prior = GaussianHead(hidden, head, latent, kernel)
            self.posterior = GaussianHead(wide + hidden, head, latent, kernel, ahead=wide)
            self.posterior_encoder = encoder(channels, widths, NORMS[norm], cell)
        self.decoder = decoder(hidden + latent, channels, widths, NORMS[norm], cell)
        if init == "glorot":
            self.level1.start_from_glorot()
            self.level2.start_from_glorot()
            silence(self.decoder.last)
        # In 2D the paper's 2.9M leaves room for one of the two heads; the posterior is discarded at test time.
        self.training_only = ("posterior_encoder",) if three else ("posterior_encoder", "posterior")

    def initial_state(self, batch: int, height: int, width: int, device=None, dtype=None):
        """((h, c) of level 1, (h, c) of level 2, z if stochastic), all zero.

        Paper, sect. 3.3: "a zero tensor in the 1st timestep".
        """
        self.check_size(height, width)
        size = (self.latent_depth, height // self.cell, width // self.cell)
        levels = [level.initial_state(batch, size, device, dtype) for level in (self.level1, self.level2)]
        if not self.stochastic:
            return tuple(levels)
        z = torch.zeros(batch, *size[1:], size[0], self.latent, device=device, dtype=dtype).permute(0, 4, 3, 1, 2)
        return (*levels, z)

    def encode(self, clip: Tensor) -> Tensor:
        """(N, M, C, H, W) -> the features' share of level 1's gates (N, 4 * hidden, D, H / cell, W / cell)."""
        features = encode_clip(self.encoder, clip)
        return features if self.plain else self.level1.project(features)

    def encode_target(self, clip: Tensor) -> Tensor | None:
        """(N, M, C, H, W) -> the target's share of the posterior's first layer."""
        if not self.stochastic:
            return None
        features = encode_clip(self.posterior_encoder, clip)
        return features if self.plain else self.posterior.project(features)

    def advance(self, features: Tensor, state, target: Tensor | None = None) -> tuple[tuple, tuple, Latents]:
        """Eqs. 1-4 and 6 -> ((z, h), next state, ((posterior or None, prior),))."""
        first, second, *z = state
        # Eq. 6
        if self.plain:
            first = self.level1((features, *z), first)
        else:
            first = self.level1(tuple(z), first, projected=features)
        second = self.level2((first[0],), second)
        h = second[0]
        if not self.stochastic:
            return (h,), (first, second), ()
        # Eq. 1
        prior = gaussian_from_raw(self.prior(h), self.sigma_min)
        posterior = None
        if target is not None:
            # Eq. 2
            raw = self.posterior(cat_channels(target, h)) if self.plain else self.posterior(h, projected=target)
            posterior = gaussian_from_raw(raw, self.sigma_min)
        # Eqs. 3 and 4
        drawn = posterior if posterior is not None and self.wiring == "z_q" else prior
        z = drawn.sample().to(h.dtype)
        return (z, h), (first, second, z), ((posterior, prior),)

    def decode(self, output: tuple[Tensor, ...]) -> Tensor:
        """Eq. 5: (z, h) -> predicted clip (N, M, C, H, W), near [0, 1] (linear; metrics clip)."""
        joined = cat_channels(*output) if len(output) > 1 else output[0]
        return decode_clip(self.decoder, joined, self.window)

    def load_kinetics(self, weights: dict[str, Tensor]) -> None:
        """Start encoder, posterior encoder and decoder from torchvision's ``r3d_18`` Kinetics-400 weights.

        `weights` is that model's state dict. Raises ``ValueError`` when it is not, or the model's widths or norm differ.
        """
        if not isinstance(self.encoder, ResNetEncoder) or not isinstance(self.decoder, ResNetDecoder):
            raise ValueError("Kinetics weights fit the 3D model only")
        state = r3d_18_state(weights, self.channels, self.stages)
        own = {name: value.shape for name, value in self.encoder.state_dict().items()}
        if own.keys() != state.keys():
            raise ValueError("Kinetics weights come with batch norms; build the model with norm='batch'")
        if any(own[name] != value.shape for name, value in state.items()):
            raise ValueError("Kinetics weights fit the full-size encoder only (widths 64 and 128)")
        deepest = own[f"layer{self.stages}.1.conv2.0.weight"][0]
        if self.hidden + self.latent < deepest:
            raise ValueError(f"Kinetics weights fit a decoder of {deepest} channels or more; hidden + latent are fewer")
        self.encoder.load_state_dict(state)
        if self.stochastic:
            self.posterior_encoder.load_state_dict(state)
        self.decoder.load_state_dict(mirrored_state(state, self.decoder))
