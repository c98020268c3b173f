"""The truncated 3D ResNet-18 encoder and its mirror, the decoder (paper, sect. 3.3 and Figure 3), and the stages left out.

The encoder's modules carry the names of torchvision's ``r3d_18`` (stem, layer1, layer2, ...), so that its Kinetics-400
weights load by key.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from vrnn3d.layers.depth_folding import BatchNorm3d, Conv3d, ConvTranspose3d, GroupNorm3d, Three
from vrnn3d.layers.gaussian import widened

#: Channels of the four stages of ResNet-18, and of the two that the paper takes.
RESNET18_WIDTHS = (64, 128, 256, 512)
WIDTHS = RESNET18_WIDTHS[:2]

#: channels -> a normalisation layer
Norm = Callable[[int], nn.Module]


def _group_norm(channels: int) -> GroupNorm3d:
    """Group norm with at most 32 groups of at least four channels."""
    groups = max(g for g in range(1, 33) if channels % g == 0 and (channels // g >= 4 or g == 1))
    return GroupNorm3d(groups, channels)


#: What a model's `norm` may be: "batch" is the paper's (and r3d_18's), "group" has no memory of other sequences.
NORMS: dict[str, Norm] = {"batch": BatchNorm3d, "group": _group_norm}


def _conv(inputs: int, outputs: int, kernel: int = 3, stride: Three = (1, 1, 1)) -> Conv3d:
    return Conv3d(inputs, outputs, kernel, stride, padding=kernel // 2, bias=False)


def _up(inputs: int, outputs: int, kernel: int, stride: Three) -> ConvTranspose3d:
    """Enlarges depth, height and width by `stride`, 1 or 2 each: the mirror of a convolution of that stride."""
    surplus: Three = (stride[0] - 1, stride[1] - 1, stride[2] - 1)
    return ConvTranspose3d(inputs, outputs, kernel, stride, padding=kernel // 2, output_padding=surplus, bias=False)


def _normed(norm: Norm, conv: nn.Module, outputs: int, *after: nn.Module) -> nn.Sequential:
    return nn.Sequential(conv, norm(outputs), *after)


class BasicBlock(nn.Module):
    """ResNet's basic block of two 3 x 3 x 3 convolutions, the first with `stride` over depth, height and width."""

    def __init__(self, inputs: int, outputs: int, stride: Three = (1, 1, 1), norm: Norm = BatchNorm3d):
        super().__init__()
        self.conv1 = _normed(norm, _conv(inputs, outputs, 3, stride), outputs, nn.ReLU())
        self.conv2 = _normed(norm, _conv(outputs, outputs), outputs)
        same = stride == (1, 1, 1) and inputs == outputs
        self.downsample = None if same else _normed(norm, _conv(inputs, outputs, 1, stride), outputs)

    def forward(self, x: Tensor) -> Tensor:
        """(B, inputs, D, H, W) -> (B, outputs, ...), each side divided by its stride and rounded up."""
        shortcut = x if self.downsample is None else self.downsample(x)
        return F.relu(self.conv2(self.conv1(x)) + shortcut)


class UpBlock(nn.Module):
    """The mirror of a block with a stride: (B, inputs, D, H, W) -> (B, outputs, ...), each side multiplied by its stride."""

    def __init__(self, inputs: int, outputs: int, stride: Three, norm: Norm = BatchNorm3d):
        super().__init__()
        self.conv1 = _normed(norm, _conv(inputs, inputs), inputs, nn.ReLU())
        self.conv2 = _normed(norm, _up(inputs, outputs, 3, stride), outputs)
        self.upsample = _normed(norm, _up(inputs, outputs, 1, stride), outputs)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.conv2(self.conv1(x)) + self.upsample(x))


def _second_stride(cell: int) -> int:
    """Over height and width, of the second stage of encoders and decoders, whose first one always has stride 2."""
    if cell not in (2, 4):
        raise ValueError(f"a cell of hidden state and latent has a side of 2 or 4 pixels, not {cell}")
    return cell // 2


def _later_stages(widths: Sequence[int], cell: int) -> list[tuple[str, int, int, Three]]:
    """(name, channels before, channels after, stride) of every stage from the second on."""
    over = _second_stride(cell)
    strides: list[Three] = [(2, over, over), *[(1, 2, 2)] * (len(widths) - 2)]
    names = (f"layer{number}" for number in range(2, len(widths) + 1))
    return list(zip(names, widths, widths[1:], strides))


def _blocks(stages: nn.Module) -> list[nn.Module]:
    """The residual blocks of an encoder or a decoder, in the order in which a clip goes through them."""
    return [block for name, stage in stages.named_children() if name != "stem" for block in stage.children()]


class ResNetEncoder(nn.Module):
    """r3d_18's stem, layer1 and layer2: (B, C, M, H, W) -> (B, widths[-1], ceil(M / 2), H / cell, W / cell).

    `widths` of more than two stages add layer3 and layer4, each of which halves height and width again. r3d_18 halves the
    depth there too; here it stays as layer2 leaves it, which is the same computation for clips of one or two frames.
    """

    def __init__(self, channels: int = 1, widths: Sequence[int] = RESNET18_WIDTHS[:2], norm: Norm = BatchNorm3d, cell: int = 4):
        super().__init__()
        narrow = widths[0]
        stem = Conv3d(channels, narrow, (3, 7, 7), (1, 2, 2), (1, 3, 3), bias=False)
        self.stem = _normed(norm, stem, narrow, nn.ReLU())
        self.layer1 = nn.Sequential(BasicBlock(narrow, narrow, norm=norm), BasicBlock(narrow, narrow, norm=norm))
        for name, before, after, stride in _later_stages(widths, cell):
            self.add_module(name, nn.Sequential(BasicBlock(before, after, stride, norm), BasicBlock(after, after, norm=norm)))

    @property
    def blocks(self) -> list[nn.Module]:
        """The residual blocks in order."""
        return _blocks(self)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.children():
            x = stage(x)
        return x


class ResNetDecoder(nn.Module):
    """The encoder mirrored: (B, inputs, D, H / cell, W / cell) -> (B, C, 2D, H, W).

    The last convolution has neither norm nor activation (paper, Figure 3: "exception the decoder").
    """

    def __init__(self, inputs: int, channels: int = 1, widths: Sequence[int] = WIDTHS, norm: Norm = BatchNorm3d, cell: int = 4):
        super().__init__()
        for name, before, after, stride in reversed(_later_stages(widths, cell)):
            self.add_module(name, nn.Sequential(BasicBlock(inputs, after, norm=norm), UpBlock(after, before, stride, norm)))
            inputs = before
        narrow = widths[0]
        self.layer1 = nn.Sequential(BasicBlock(narrow, narrow, norm=norm), BasicBlock(narrow, narrow, norm=norm))
        self.stem = ConvTranspose3d(narrow, channels, (3, 7, 7), (1, 2, 2), (1, 3, 3), (0, 1, 1))

    @property
    def blocks(self) -> list[nn.Module]:
        """The residual blocks in order."""
        return _blocks(self)

    def forward(self, x: Tensor) -> Tensor:
        for stage in self.children():
            x = stage(x)
        return x

    @property
    def last(self) -> nn.Module:
        """The convolution that makes the frames."""
        return self.stem


class Conv2dEncoder(nn.Module):
    """Two 5 x 5 convolutions with strides, frame by frame: (B, C, M, H, W) -> (B, widths[1], M, H / cell, W / cell)."""

    def __init__(self, channels: int = 1, widths: Sequence[int] = RESNET18_WIDTHS[:2], norm: Norm = BatchNorm3d, cell: int = 4):
        super().__init__()
        sizes, strides = (channels, *widths), (2, _second_stride(cell))
        conv = [Conv3d(i, o, (1, 5, 5), (1, s, s), (0, 2, 2)) for i, o, s in zip(sizes, widths, strides)]
        self.layers = nn.Sequential(*(_normed(norm, c, o, nn.ReLU()) for c, o in zip(conv, widths)))

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)


class Conv2dDecoder(nn.Module):
    """The mirror of :class:`Conv2dEncoder`: (B, inputs, M, H / cell, W / cell) -> (B, C, M, H, W)."""

    def __init__(self, inputs: int, channels: int = 1, widths: Sequence[int] = WIDTHS, norm: Norm = BatchNorm3d, cell: int = 4):
        super().__init__()

        def up(inputs: int, outputs: int, over: int) -> ConvTranspose3d:
            return ConvTranspose3d(inputs, outputs, (1, 5, 5), (1, over, over), (0, 2, 2), (0, over - 1, over - 1))

        self.layers = nn.Sequential(
            _normed(norm, up(inputs, widths[0], _second_stride(cell)), widths[0], nn.ReLU()),
            up(widths[0], channels, 2),
        )

    def forward(self, x: Tensor) -> Tensor:
        return self.layers(x)

    @property
    def last(self) -> nn.Module:
        """The convolution that makes the frames."""
        return self.layers[-1]


def r3d_18_state(weights: dict[str, Tensor], channels: int = 1, stages: int = 2) -> dict[str, Tensor]:
    """The part of torchvision's ``r3d_18`` state dict that a :class:`ResNetEncoder` of `stages` takes, for `channels` input
    channels.

    One grey channel gets the RGB stem summed over its input channels: the same function as repeating grey three times.

    Raises:
        ValueError: when keys of the stem or of one of the stages are missing.
    """
    wanted = ResNetEncoder(3, RESNET18_WIDTHS[:stages]).state_dict()
    missing = [key for key in wanted if key not in weights]
    wrong = [key for key in wanted if key in weights and weights[key].shape != wanted[key].shape]
    if missing or wrong:
        raise ValueError(
            f"these are not the weights of torchvision's r3d_18: {len(missing)} keys missing {missing[:3]},"
            f" {len(wrong)} of another shape {wrong[:3]}"
        )
    state = {key: weights[key] for key in wanted}
    if channels == 1:
        state["stem.0.weight"] = state["stem.0.weight"].sum(1, keepdim=True)
    elif channels != 3:
        raise ValueError(f"r3d_18's weights fit 1 or 3 input channels, not {channels}")
    return state


def mirrored_state(state: dict[str, Tensor], decoder: ResNetDecoder) -> dict[str, Tensor]:
    """An encoder's weights in the places of its mirror, for ``decoder.load_state_dict``: every key of it.

    Convolutions go to their mirror image. Where the decoder takes more channels, the hidden state's are the last ones and
    get the weights; those before them, the latent's, keep their initial values. Batch norms are left as they are: the
    mirror normalises other activations.
    """
    own = {k: v.clone() for k, v in decoder.state_dict().items()}
    mirror = {}
    for stage in sorted({key.partition(".")[0] for key in state} - {"stem"}):
        for block in (0, 1):
            mirror[f"{stage}.{block}.conv1"] = f"{stage}.{1 - block}.conv2"
            mirror[f"{stage}.{block}.conv2"] = f"{stage}.{1 - block}.conv1"
        if stage != "layer1":  # the only one without a stride
            mirror[f"{stage}.0.downsample"] = f"{stage}.1.upsample"
    for source, place in mirror.items():
        taken, weight = state[f"{source}.0.weight"], own[f"{place}.0.weight"]
        weight[:, -taken.shape[1] :] = taken
    own["stem.weight"] = state["stem.0.weight"].clone()
    return own


def encode_clip(encoder: nn.Module, clip: Tensor) -> Tensor:
    """(N, M, C, H, W) -> the encoder's (N, C', D', H', W'): depth is the clip's time."""
    return encoder(clip.transpose(1, 2))


def decode_clip(decoder: nn.Module, z_and_h: Tensor, frames: int) -> Tensor:
    """(N, C, D, H', W') -> a clip (N, `frames`, C, H, W); a mirror's surplus frame (odd M) is cut off.

    The output is linear, as PredRNN's and E3D-LSTM's, whose loss the paper takes over: behind a sigmoid the L1 term
    drives every pixel into the black end, where no gradient is left to bring the digits back (measured).
    """
    return widened(decoder(z_and_h)[:, :, :frames]).transpose(1, 2)
