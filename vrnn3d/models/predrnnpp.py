"""PredRNN++: causal LSTMs and a gradient highway (Wang et al., "PredRNN++: Towards A Resolution of the Deep-in-Time
Dilemma in Spatiotemporal Predictive Learning", ICML 2018, arXiv 1804.06300). Written from the paper's equations.

Layer k has a temporal memory C^k. One spatial memory M climbs the layers and enters layer 1 again a step later,
M^0_t = M^L_{t-1}. With * a convolution, o the elementwise product, s the sigmoid (the numbers are this file's):

    (i, f, g)    = (s, s, tanh)(W_1 * [X, H^k_{t-1}, C^k_{t-1}])        (1)
    C^k_t        = f o C^k_{t-1} + i o g                                (2)
    (i', f', g') = (s, s, tanh)(W_2 * [X, C^k_t, M^{k-1}_t])            (3)
    M^k_t        = f' o tanh(W_3 * M^{k-1}_t) + i' o g'                 (4)
    o            = tanh(W_4 * [X, C^k_t, M^k_t])                        (5)
    H^k_t        = o o tanh(W_5 * [C^k_t, M^k_t]), W_5 of size 1 x 1    (6)
    P = tanh(W_p * [H^1_t, Z_{t-1}]),  S = s(W_s * [H^1_t, Z_{t-1}])    (7)
    Z_t          = S o P + (1 - S) o Z_{t-1}                            (8)

X is the frame for layer 1, Z_t for layer 2 and H^{k-1}_t above. The next frame is a 1 x 1 convolution of H^L_t.

Where the authors' public code (https://github.com/Yunbo426/predrnn-pp) departs from this, and what is done here:

- g' in (3) does not see M, and o in (5) also sees H^k_{t-1}: followed, because only so do the parameters come to 15.4M.
- It adds 1 to f and f' before the sigmoid: followed (a shift of their biases).
- It layer-normalises the output of every convolution but W_5 and the last one: an option here (`layer_norm`), off by
  default as in the authors' later PyTorch code and in OpenSTL, whose numbers stand beside ours.
- It draws weights uniformly from +-0.001; here they are Glorot's (:func:`initialise`).
- It reverses every training sequence for a second step; here no model's data are treated in a way of their own.
- Its prediction is not bounded: followed. A prediction may leave [0, 1]; it is fed back as it is, and metrics clip it.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vrnn3d.layers.initial import initialise, silence
from vrnn3d.models.base import Latents, Paper, VideoModel, check_argument, check_counts, check_odd, check_window


def set_plain(model: nn.Module, plain: bool) -> None:
    """Switch every part of a model between its plain and its fast form."""
    for part in model.modules():
        if part is not model and hasattr(part, "plain"):
            part.plain = plain  # type: ignore[assignment]  # a flag, no module


def check_layers(
    model: str,
    channels: int,
    patch: int,
    hidden: tuple[int, ...],
    kernel: int,
    layer_norm: bool,
    forget_bias: float,
    plain: bool,
) -> None:
    """Refuse arguments of another kind or size than PredRNN++ and E3D-LSTM can have."""
    check_counts(model, 1, channels=channels, patch=patch, kernel=kernel)
    check_argument(model, "hidden", hidden, tuple[int, ...], low=1)
    check_argument(model, "forget_bias", forget_bias, float)
    for name, flag in (("layer_norm", layer_norm), ("plain", plain)):
        check_argument(model, name, flag, bool)
    check_odd(model, "kernel", kernel)


class SampleNorm(nn.Module):
    """Layer norm as both PredRNN++ and E3D-LSTM use it: over all of a sample, with a gain and a shift per channel.

    (B, C, ...) -> the same shape, dtype and memory order; statistics in float32. It is ``nn.GroupNorm(1, C)``, which
    would undo the channels-last order on a GPU.
    """

    def __init__(self, channels: int, eps: float = 1e-5):
        super().__init__()
        self.weight, self.bias, self.eps = nn.Parameter(torch.ones(channels)), nn.Parameter(torch.zeros(channels)), eps

    def forward(self, x: Tensor) -> Tensor:
        wide = x.float() if x.dtype in (torch.bfloat16, torch.float16) else x
        axes, per_channel = tuple(range(1, x.dim())), (-1, *(1,) * (x.dim() - 2))
        centred = wide - wide.mean(axes, keepdim=True)  # torch.var_mean takes four times as long on a processor
        variance = centred.square().mean(axes, keepdim=True)
        scale = self.weight.view(per_channel) * torch.rsqrt(variance + self.eps)
        return torch.addcmul(self.bias.view(per_channel), centred, scale).to(x.dtype)


class Gates(nn.Module):
    """What one tensor adds to several gates: one convolution for all of them, then layer norm where wanted.

    (N, inputs, H, W) -> (N, gates * hidden, H, W). Where `plain` is set, gate by gate, with the same parameters.
    """

    def __init__(self, inputs: int, hidden: int, gates: int, kernel: int, layer_norm: bool):
        super().__init__()
        self.gates, self.plain = gates, False
        self.conv = nn.Conv2d(inputs, gates * hidden, kernel, padding=kernel // 2)
        initialise(self.conv, gates, layer_norm)
        self.norm = SampleNorm(gates * hidden) if layer_norm else nn.Identity()

    def forward(self, x: Tensor) -> Tensor:
        if not self.plain:
            return self.norm(self.conv(x))
        assert self.conv.bias is not None
        parts = zip(self.conv.weight.chunk(self.gates), self.conv.bias.chunk(self.gates))
        return self.norm(torch.cat([F.conv2d(x, w, b, padding=self.conv.padding) for w, b in parts], dim=1))


class CausalLSTM(nn.Module):
    """One layer, equations 1-6. M comes in with `memory` channels; C, M and H leave with `hidden`."""

    def __init__(self, inputs: int, hidden: int, memory: int, kernel: int, layer_norm: bool, bias: float):
        super().__init__()
        self.hidden, self.forget_bias = hidden, bias

        def gates(channels: int, count: int) -> Gates:
            return Gates(channels, hidden, count, kernel, layer_norm)

        self.from_x = gates(inputs, 7)  # i, f, g, o, i', f', g'
        self.from_h = gates(hidden, 4)  # i, f, g, o
        self.from_c = gates(hidden, 3)  # i, f, g
        self.from_m = gates(memory, 3)  # i', f', W_3
        self.from_new_c = gates(hidden, 4)  # i', f', g', o
        self.from_new_m = gates(hidden, 1)  # o
        self.join = nn.Conv2d(2 * hidden, hidden, 1)  # W_5
        initialise(self.join)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, m: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """(what ``from_x`` made of X (B, 7 * hidden, H, W), H, C, M) -> (H, C, M), each (B, hidden, H, W)."""
        n = self.hidden
        x_1, x_o, x_2, x_g = x.split((3 * n, n, 2 * n, n), dim=1)
        h_1, h_o = self.from_h(h).split((3 * n, n), dim=1)
        # Eq. 1
        i, f, g = (x_1 + h_1 + self.from_c(c)).chunk(3, dim=1)
        # Eq. 2
        c = torch.sigmoid(f + self.forget_bias) * c + torch.sigmoid(i) * torch.tanh(g)
        c_2, c_g, c_o = self.from_new_c(c).split((2 * n, n, n), dim=1)
        m_2, m_3 = self.from_m(m).split((2 * n, n), dim=1)
        # Eq. 3
        i, f = (x_2 + c_2 + m_2).chunk(2, dim=1)
        g = x_g + c_g
        # Eq. 4
        m = torch.sigmoid(f + self.forget_bias) * torch.tanh(m_3) + torch.sigmoid(i) * torch.tanh(g)
        # Eq. 5
        o = torch.tanh(x_o + h_o + c_o + self.from_new_m(m))
        # Eq. 6
        h = o * torch.tanh(self.join(torch.cat([c.to(m.dtype), m], dim=1)))
        return h, c, m


class GradientHighway(nn.Module):
    """Equations 7 and 8: (X, Z_{t-1}) -> Z_t, all (B, channels, H, W)."""

    def __init__(self, channels: int, kernel: int, layer_norm: bool):
        super().__init__()
        self.from_x = Gates(channels, channels, 2, kernel, layer_norm)
        self.from_z = Gates(channels, channels, 2, kernel, layer_norm)

    def forward(self, x: Tensor, z: Tensor) -> Tensor:
        # Eq. 7
        p, s = (self.from_x(x) + self.from_z(z)).chunk(2, dim=1)
        # Eq. 8
        s = torch.sigmoid(s)
        return s * torch.tanh(p) + (1 - s) * z


class PredRNNPP(VideoModel):
    """PredRNN++: 15.375M parameters at its defaults, 15.390M with layer norm.

    A frame goes in, (B, 1, channels, H, W) with values in [0, 1], and the next comes out, unbounded (the module's text
    says why, and where this departs from paper and public code). Deterministic.

    Args:
        channels: of a frame.
        window, horizon: 1 and 1 only.
        patch: frames are cut into patches of this side, whose pixels become channels; it must divide their sides.
        hidden: channels of each layer, from the frame upwards; at least two layers.
        kernel: side of all square convolutions; odd.
        layer_norm: normalise what each convolution of the gates puts out.
        forget_bias: added to both forget gates before the sigmoid.
        plain: compute as the equations are written, a convolution for each gate and input, nothing ahead of time: for
            the benchmark. Same parameters.

    Raises:
        ValueError: for a window or horizon other than 1, fewer than two layers, an even kernel, or an argument of another
            kind or size than it can have.
    """

    TITLE = "PredRNN++"
    PAPER = Paper(
        "PredRNN++: Towards A Resolution of the Deep-in-Time Dilemma in Spatiotemporal Predictive Learning",
        "Wang, Gao, Long, Wang and Yu",
        2018,
        "ICML",
        "https://arxiv.org/abs/1804.06300",
    )
    CODE = "https://github.com/Yunbo426/predrnn-pp"
    DEPARTURES = (
        "As in the public code, g' in the spatial memory does not see M, and the output gate sees H of the step before.",
        "As in the public code, 1 is added to both forget gates before the sigmoid.",
        "Layer norm after the convolutions is an option, off by default; the public code has it.",
        "Weights are drawn by Glorot's rule, and the last convolution starts at zero; the public code draws from +-0.001.",
        "Training sequences are not reversed for a second step, as the public code does.",
    )

    def __init__(
        self,
        *,
        channels: int = 1,
        window: int = 1,
        horizon: int = 1,
        patch: int = 4,
        hidden: tuple[int, ...] = (128, 64, 64, 64),
        kernel: int = 5,
        layer_norm: bool = False,
        forget_bias: float = 1.0,
        plain: bool = False,
    ):
        super().__init__()
        check_window("predrnnpp", window, horizon, "window 1 with horizon 1", window == horizon == 1)
        check_layers("predrnnpp", channels, patch, hidden, kernel, layer_norm, forget_bias, plain)
        if len(hidden) < 2:
            raise ValueError(f"predrnnpp needs two layers, the highway being between them; hidden is {tuple(hidden)}")
        self.channels, self.window, self.horizon = channels, window, horizon
        self.patch = self.size_multiple = patch
        self.hidden = tuple(hidden)
        pixels = channels * patch**2
        inputs = (pixels, *hidden[:-1])
        memories = (hidden[-1], *hidden[:-1])
        self.layers = nn.ModuleList(
            CausalLSTM(*sizes, kernel, layer_norm, forget_bias) for sizes in zip(inputs, hidden, memories)
        )
        self.highway = GradientHighway(hidden[0], kernel, layer_norm)
        self.output = nn.Conv2d(hidden[-1], pixels, 1)
        silence(self.output)
        self.plain = plain

    @property
    def plain(self) -> bool:
        """Whether the plain form is computed; may be set at any time."""
        return self._plain

    @plain.setter
    def plain(self, plain: bool) -> None:
        self._plain = plain
        set_plain(self, plain)
        order = torch.contiguous_format if plain else torch.channels_last
        self.to(memory_format=order)  # type: ignore[call-overload]  # missing in PyTorch's annotations

    def initial_state(self, batch: int, height: int, width: int, device=None, dtype=None) -> tuple:
        """((H, C) of each layer, M, Z), all zero: (batch, channels, height / patch, width / patch)."""
        self.check_size(height, width)

        def zeros(channels: int) -> Tensor:
            size = (batch, height // self.patch, width // self.patch, channels)
            return torch.zeros(size, device=device, dtype=dtype).permute(0, 3, 1, 2)

        return tuple((zeros(n), zeros(n)) for n in self.hidden), zeros(self.hidden[-1]), zeros(self.hidden[0])

    def encode(self, clip: Tensor) -> Tensor:
        """(N, 1, C, H, W) -> layer 1's gates as far as the frame makes them, (N, 7 * hidden, H / patch, W / patch)."""
        self.check_size(*clip.shape[-2:])
        patches = F.pixel_unshuffle(clip[:, -1], self.patch)
        return patches if self.plain else self.layers[0].from_x(patches)

    def advance(self, features: Tensor, state: tuple, target=None) -> tuple[Tensor, tuple, Latents]:
        """One step of all layers -> (H of the last layer, next state, ())."""
        layers, m, z = state
        x = self.layers[0].from_x(features) if self.plain else features
        after = []
        for k, (layer, (h, c)) in enumerate(zip(self.layers, layers)):
            if k:
                x = layer.from_x(x)
            h, c, m = layer(x, h, c, m)
            after.append((h, c))
            if k == 0:
                z = self.highway(h, z)
            x = h if k else z
        return x, (tuple(after), m, z), ()

    def decode(self, output: Tensor) -> Tensor:
        """(N, hidden, H / patch, W / patch) -> the next frame (N, 1, C, H, W), not bounded."""
        return F.pixel_shuffle(self.output(output), self.patch).unsqueeze(1)
