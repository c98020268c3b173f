"""E3D-LSTM: eidetic 3D LSTMs (Wang et al., "Eidetic 3D LSTM: A Model for Video Prediction and Beyond", ICLR 2019).
Written from the paper's equations.

Every state is a small clip of M frames. Layer k has a memory C^k whose forget gate is a look back at all earlier ones;
one spatial memory M climbs the layers and enters layer 1 again a step later, M^0_t = M^L_{t-1}. With * a 3D
convolution, o the elementwise product, s the sigmoid (the numbers are this file's):

    (R, I, G)      = (s, s, tanh)(W_1 * [X, H^k_{t-1}])                                     (1)
    recall         = softmax(R C^T) C, where C holds the positions of all C^k before step t (2)
    C^k_t          = I o G + LayerNorm(C^k_{t-1} + recall)                                  (3)
    (I', G', F')   = (s, tanh, s)(W_2 * [X, M^{k-1}_t])                                     (4)
    M^k_t          = I' o G' + F' o M^{k-1}_t                                               (5)
    O              = s(W_3 * [X, H^k_{t-1}, C^k_t, M^k_t])                                  (6)
    H^k_t          = O o tanh(W_4 * [C^k_t, M^k_t]), W_4 of size 1 x 1 x 1                  (7)

X is the clip for layer 1 and H^{k-1}_t above; kernels are (2, 5, 5) and keep the depth by one frame of zeros after the
last. The next frame is a convolution of H^L_t over its whole depth.

Where the authors' public code (https://github.com/google/e3d_lstm) departs from this, and what is done here:

- It computes the new M and uses it, but hands the old one on, so that M is zero for ever. An author calls it a bug of
  the published code that the paper's experiments did not have (its issue 1, 2020). Not followed: (5) is handed on.
- Its output gate is s(tanh(...)), which stays within 0.27 and 0.73. Not followed: (6) as the paper has it.
- M passes through a convolution and a tanh before F' in (5): followed, as without it the size is another.
- It layer-normalises what X, H and M add to the gates: followed (`layer_norm`). The norm in (3) is always there.
- It adds 1 to F' before the sigmoid: followed (a shift of its bias).
- The recall looks back to the first step and at the zeros before it, and its products are not scaled: followed.
- Its windows of two frames slide by one, whatever its flags say, and so do ours (`window` may be another); but it puts
  a frame of zeros before the first, and hence predicts from the first frame on; here the first clip is a full one.
- It has two biases in W_3, for C and for M, where one is enough: 64 numbers a layer.
- It draws each kernel by Glorot's rule: followed, gate by gate; but the last one starts at zero.
- Its decoder has no bound: followed. A prediction may leave [0, 1]; it is fed back as it is, and metrics clip it.

The public default has 12,898,832 parameters, the model here 256 fewer; the 38.7M of the paper is three times that.
"""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from vrnn3d.layers.depth_folding import Conv3d, cat_channels, folded_kernel, unfold
from vrnn3d.layers.initial import initialise, silence
from vrnn3d.models.base import Latents, Paper, VideoModel, check_window
from vrnn3d.models.predrnnpp import SampleNorm, check_layers, set_plain

KERNEL_DEPTH = 2


def tokens(x: Tensor) -> Tensor:
    """(B, C, D, H, W) -> (B, H * W * D, C), the positions in the memory order of folded convolutions: a view there."""
    return x.permute(0, 3, 4, 2, 1).flatten(1, 3)


class EndPaddedConv3d(nn.Conv3d):
    """A convolution with a (2, k, k) kernel over a clip with one frame of zeros after it: sizes stay.

    Output frame d is W_0 * x_d + W_1 * x_{d+1}. Computed as a 2D convolution of all pairs of neighbouring frames and
    one of the last frame alone, so nothing is ever multiplied by the zeros: three quarters of the work at two frames.
    Where `plain` is set, as nn.Conv3d does it on the padded clip, gate by gate. Same parameters.
    """

    def __init__(self, inputs: int, hidden: int, gates: int, kernel: int, normed: bool):
        super().__init__(inputs, gates * hidden, (KERNEL_DEPTH, kernel, kernel), padding=(0, kernel // 2, kernel // 2))
        self.gates, self.plain = gates, False
        initialise(self, gates, normed)

    def _one_frame(self) -> Tensor:
        return self.weight[:, :, 0]

    def _two_frames(self) -> Tensor:
        return self.weight.transpose(1, 2).flatten(1, 2)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, gates * hidden, D, H, W)."""
        if self.plain:
            assert self.bias is not None
            x = F.pad(x, (0, 0, 0, 0, 0, KERNEL_DEPTH - 1))
            parts = zip(self.weight.chunk(self.gates), self.bias.chunk(self.gates))
            return torch.cat([F.conv3d(x, w, b, padding=self.padding) for w, b in parts], dim=1)
        (batch, _, depth, *_), padding = x.shape, self.padding[1:]
        out = [F.conv2d(x[:, :, -1], folded_kernel(self, ("one",), self._one_frame), self.bias, padding=padding)]
        if depth > 1:
            pairs = x.transpose(1, 2).unfold(1, 2, 1).permute(0, 1, 5, 2, 3, 4).flatten(0, 1).flatten(1, 2)
            both = F.conv2d(pairs, folded_kernel(self, ("two",), self._two_frames), self.bias, padding=padding)
            out = [*both.unflatten(0, (batch, depth - 1)).unbind(1), *out]
        return unfold(torch.cat(out, dim=1), depth)


class EideticLSTM(nn.Module):
    """One layer, equations 1-7. M comes in with `memory` channels; C, M and H leave with `hidden`."""

    def __init__(self, inputs: int, hidden: int, memory: int, kernel: int, layer_norm: bool, bias: float):
        super().__init__()
        self.hidden, self.plain, self.forget_bias = hidden, False, bias

        def gates(channels: int, count: int) -> nn.Module:
            conv = EndPaddedConv3d(channels, hidden, count, kernel, layer_norm)
            return nn.Sequential(conv, SampleNorm(count * hidden) if layer_norm else nn.Identity())

        self.from_x = gates(inputs, 7)  # R, I, G, O, I', F', G'
        self.from_h = gates(hidden, 4)  # R, I, G, O
        self.from_m = gates(memory, 4)  # I', F', G', what F' acts on
        self.from_new = EndPaddedConv3d(2 * hidden, hidden, 1, kernel, False)  # O, from C and M
        self.join = nn.Conv3d(2 * hidden, hidden, 1)  # W_4
        initialise(self.join)
        self.norm = SampleNorm(hidden)

    def recall(self, query: Tensor, history: Tensor) -> Tensor:
        """Eq. 2: (B, C, D, H, W) and (B, positions, C) -> (B, C, D, H, W)."""
        q = tokens(query)
        if self.plain:
            found = torch.softmax(q @ history.transpose(1, 2), dim=2) @ history
        else:
            channels = q.shape[-1]
            # Zeros change nothing, but on a processor the kernel is twice as fast for a multiple of 16 channels.
            zeros = -channels % 16 if q.device.type == "cpu" else 0
            wide, past = (F.pad(x, (0, zeros)).unsqueeze(1) for x in (q, history))
            found = F.scaled_dot_product_attention(wide, past, past, scale=1.0).squeeze(1)[..., :channels]
        _, _, depth, height, width = query.shape
        return found.unflatten(1, (height, width, depth)).permute(0, 4, 3, 1, 2)

    def _join(self, x: Tensor) -> Tensor:
        if self.plain:
            return self.join(x)
        # A 1 x 1 x 1 convolution is a matrix product over the channels, which lie last in memory.
        return F.linear(x.permute(0, 3, 4, 2, 1), self.join.weight.flatten(1), self.join.bias).permute(0, 4, 3, 1, 2)

    def forward(self, x: Tensor, h: Tensor, c: Tensor, history: Tensor, m: Tensor) -> tuple[Tensor, ...]:
        """(what ``from_x`` made of X (B, 7 * hidden, D, H, W), H, C, all C so far, M) -> (H, C, all C so far, M).

        H, C and M are (B, hidden, D, H, W), all C so far (B, steps * positions, hidden).
        """
        n = self.hidden
        x_1, x_o, x_2 = x.split((3 * n, n, 3 * n), dim=1)
        h_1, h_o = self.from_h(h).split((3 * n, n), dim=1)
        # Eq. 1
        r, i, g = (x_1 + h_1).chunk(3, dim=1)
        r, i, g = torch.sigmoid(r), torch.sigmoid(i), torch.tanh(g)
        # Eqs. 2 and 3
        c = i * g + self.norm(c + self.recall(r, history.to(r.dtype)))
        m_2, m_3 = self.from_m(m).split((3 * n, n), dim=1)
        # Eq. 4
        i, f, g = (x_2 + m_2).chunk(3, dim=1)
        # Eq. 5
        m = torch.sigmoid(i) * torch.tanh(g) + torch.sigmoid(f + self.forget_bias) * torch.tanh(m_3)
        # Eq. 6
        both = cat_channels(c, m)
        o = torch.sigmoid(x_o + h_o + self.from_new(both))
        # Eq. 7
        h = o * torch.tanh(self._join(both))
        return h, c, torch.cat([history.to(r.dtype), tokens(c).to(r.dtype)], dim=1), m


class E3DLSTM(VideoModel):
    """E3D-LSTM: 12.899M parameters at its defaults, which are those of the public code.

    A clip of `window` frames goes in, (B, M, channels, H, W) with values in [0, 1]; it is predicted one frame further
    on: its first M - 1 frames are the given ones, the last is new and unbounded (the module's text says why, and where
    this departs from paper and public code). Deterministic. The state grows by a clip of memories each step, and the
    cost of a step with it.

    Args:
        channels: of a frame.
        window: M >= 1. With 1 the second half of each kernel meets only zeros.
        horizon: 1 only; the window slides by one frame.
        patch: frames are cut into patches of this side, whose pixels become channels; it must divide their sides.
        hidden: channels of each layer, from the clip upwards.
        kernel: side of the (2, kernel, kernel) convolutions; odd.
        layer_norm: normalise what clip, H and M add to the gates.
        forget_bias: added to F' before the sigmoid.
        plain: compute as the equations are written, a 3D convolution for each gate and input, nothing ahead of time:
            for the benchmark. Same parameters.

    Raises:
        ValueError: for a horizon other than 1, no window, no layer, an even kernel, or an argument of another kind or size
            than it can have.
    """

    TITLE = "E3D-LSTM"
    PAPER = Paper(
        "Eidetic 3D LSTM: A Model for Video Prediction and Beyond",
        "Wang, Jiang, Yang, Li, Long and Fei-Fei",
        2019,
        "ICLR",
        "https://openreview.net/forum?id=B1lKS2AqtX",
    )
    CODE = "https://github.com/google/e3d_lstm"
    DEPARTURES = (
        "The spatial memory M is handed on from step to step, as in the paper; in the public code it stays zero.",
        "The output gate is a sigmoid, as in the paper; the public code's is the sigmoid of a tanh.",
        "As in the public code, M passes through a convolution and a tanh before its forget gate, 1 is added to that gate, and"
        " what X, H and M add to the gates is layer-normalised.",
        "The first clip is a full one; the public code puts a frame of zeros before the first.",
        "One bias serves the output gate's convolution of C and M, where the public code has two: 64 numbers a layer.",
        "The last convolution starts at zero.",
    )

    def __init__(
        self,
        *,
        channels: int = 1,
        window: int = 2,
        horizon: int = 1,
        patch: int = 4,
        hidden: tuple[int, ...] = (64, 64, 64, 64),
        kernel: int = 5,
        layer_norm: bool = True,
        forget_bias: float = 1.0,
        plain: bool = False,
    ):
        super().__init__()
        check_window("e3d_lstm", window, horizon, "any window M >= 1 with horizon 1", window >= 1 and horizon == 1)
        check_layers("e3d_lstm", channels, patch, hidden, kernel, layer_norm, forget_bias, plain)
        if not hidden:
            raise ValueError("e3d_lstm needs at least one layer; hidden is empty")
        self.channels, self.window, self.horizon = channels, window, horizon
        self.patch = self.size_multiple = patch
        self.hidden = tuple(hidden)
        pixels = channels * patch**2
        inputs = (pixels, *hidden[:-1])
        memories = (hidden[-1], *hidden[:-1])
        self.layers = nn.ModuleList(
            EideticLSTM(*sizes, kernel, layer_norm, forget_bias) for sizes in zip(inputs, hidden, memories)
        )
        self.output = Conv3d(hidden[-1], pixels, (window, 1, 1))
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

    def initial_state(self, batch: int, height: int, width: int, device=None, dtype=None) -> tuple:
        """((H, C, all C so far) of each layer, M), all zero.

        H, C and M are (batch, hidden, M, height / patch, width / patch); all C so far is (batch, positions, hidden).
        """
        self.check_size(height, width)

        def zeros(channels: int) -> Tensor:
            size = (batch, height // self.patch, width // self.patch, self.window, channels)
            return torch.zeros(size, device=device, dtype=dtype).permute(0, 4, 3, 1, 2)

        return tuple((zeros(n), zeros(n), tokens(zeros(n))) for n in self.hidden), zeros(self.hidden[-1])

    def encode(self, clip: Tensor) -> tuple[Tensor, Tensor]:
        """(N, M, C, H, W) -> (layer 1's gates as far as the clip makes them (N, 7 * hidden, M, H / patch, W / patch),
        the clip's frames but the first)."""
        self.check_size(*clip.shape[-2:])
        patches = F.pixel_unshuffle(clip, self.patch).transpose(1, 2)
        return patches if self.plain else self.layers[0].from_x(patches), clip[:, 1:]

    def advance(self, features: tuple[Tensor, Tensor], state: tuple, target=None) -> tuple[tuple, tuple, Latents]:
        """One step of all layers -> ((H of the last layer, the clip's frames but the first), next state, ())."""
        (x, given), (layers, m) = features, state
        after = []
        for k, (layer, own) in enumerate(zip(self.layers, layers)):
            if k or self.plain:
                x = layer.from_x(x)
            *own, m = layer(x, *own, m)
            after.append(tuple(own))
            x = own[0]
        return (x, given), (tuple(after), m), ()

    def decode(self, output: tuple[Tensor, Tensor]) -> Tensor:
        """What :meth:`advance` put out -> the clip one frame further on (N, M, C, H, W); its last frame not bounded."""
        h, given = output
        frame = F.pixel_shuffle(self.output(h).squeeze(2), self.patch)
        return torch.cat([given, frame.unsqueeze(1).to(given.dtype)], dim=1)
