"""The paper's network as the operations of an exported model."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vrnn3d.layers.conv_lstm import ConvLSTMCell
from vrnn3d.layers.resnet3d import Conv2dDecoder, Conv2dEncoder, ResNetEncoder, UpBlock
from vrnn3d.models.base import VideoModel
from vrnn3d.models.vrnn import VRNN
from vrnn3d.study.web.convolutions import after, convolve
from vrnn3d.study.web.graph import Clip, Graph


def graph_of(model: VideoModel, height: int, width: int) -> Graph:
    """The operations of a model of the paper's kind for frames of height x width pixels; nothing is rounded but to float32.

    Raises:
        ValueError: for another kind of model, or frames that it cannot take.
    """
    if not isinstance(model, VRNN) or not isinstance(model.encoder, (ResNetEncoder, Conv2dEncoder)):
        raise ValueError(f"a {type(model).__name__} cannot be exported for the web: vrnn3d, vrnn2d and convlstm2d can")
    model.check_size(height, width)
    graph = Graph()
    shape = (model.latent_depth, height // model.cell, width // model.cell)
    wide = model.level1.ahead
    hidden, latent = (model.hidden, *shape), (model.latent, *shape)
    stochastic = model.stochastic
    (clip,) = graph.picture((model.channels, model.window, height, width), name="clip")
    features, *middle, h1 = graph.picture((wide, *shape), *([latent] if stochastic else []), hidden)
    h1_below, h2 = graph.picture(hidden, hidden)
    *latents, h2_out = graph.picture(*([latent] if stochastic else []), hidden)

    _encoder(graph, model.encoder, clip, features)
    graph.begin("advance")
    _level(graph, model.level1, [features, *middle, h1], [h1, h1_below])
    _level(graph, model.level2, [h1_below, h2], [h2, h2_out])
    if stochastic:
        _prior(graph, model, h2_out, [*middle, *latents])
    graph.begin("decode")
    _decoder(graph, model.decoder, [*latents, h2_out])
    graph.facts = {
        "height": height,
        "width": width,
        "channels": model.channels,
        "window": model.window,
        "horizon": model.horizon,
        "noise": [model.latent, *shape] if stochastic else [],
    }
    return graph


def _prior(graph: Graph, model: VRNN, h: Clip, places: Sequence[Clip]) -> None:
    """f_p and the draw of z, which goes to every one of the `places`."""
    head, shape = model.prior, (h.depth, h.height, h.width)
    x = h
    if head.body is not None:
        (x,) = graph.picture((head.hidden, *shape))
        convolve(graph, head.body, [h], x, relu=True)
    (raw,) = graph.picture((2 * model.latent, *shape))
    convolve(graph, head.heads, [x], raw, groups=2)
    to = [place.place() for place in places]
    graph.add("sample", raw=raw.name, depth=h.depth, floor=model.sigma_min, to=to)


# Modules of an nn.Sequential have no type of their own: hence the many Any.


def _normed(graph: Graph, layer: Any, clip: Clip, target: Clip | None = None, **options: Any) -> Clip:
    """A convolution and its norm, as ``resnet3d`` pairs them."""
    if target is None:
        (target,) = graph.picture(after(layer[0], clip))
    relu = options.pop("relu", len(layer) > 2)  # the third is a rectifier
    convolve(graph, layer[0], [clip], target, norm=layer[1], relu=relu, **options)
    return target


def _block(graph: Graph, block: Any, sources: Sequence[Clip], target: Clip | None = None) -> Clip:
    """A residual block; its input may be several clips side by side in one picture."""
    first, x = block.conv1, sources[0]
    (inner,) = graph.picture(after(first[0], x))
    convolve(graph, first[0], sources, inner, norm=first[1], relu=True)
    change: Any = block.upsample if isinstance(block, UpBlock) else block.downsample
    shortcut = x
    if change is not None:
        (shortcut,) = graph.picture(after(change[0], x))
        convolve(graph, change[0], sources, shortcut, norm=change[1])
    return _normed(graph, block.conv2, inner, target, relu=True, plus=shortcut)


def _encoder(graph: Graph, encoder: Any, clip: Clip, target: Clip) -> None:
    if isinstance(encoder, Conv2dEncoder):
        layers = list(encoder.layers)
        for layer in layers[:-1]:
            clip = _normed(graph, layer, clip)
        _normed(graph, layers[-1], clip, target)
        return
    clip = _normed(graph, encoder.stem, clip)
    blocks = encoder.blocks
    for block in blocks[:-1]:
        clip = _block(graph, block, [clip])
    _block(graph, blocks[-1], [clip], target)


def _decoder(graph: Graph, decoder: Any, sources: Sequence[Clip]) -> Clip:
    if isinstance(decoder, Conv2dDecoder):
        layers: Any = decoder.layers
        first, last = layers
        (clip,) = graph.picture(after(first[0], sources[0]))
        convolve(graph, first[0], sources, clip, norm=first[1], relu=True)
    else:
        blocks, last = decoder.blocks, decoder.stem
        clip = _block(graph, blocks[0], sources)
        for block in blocks[1:]:
            clip = _block(graph, block, [clip])
    (prediction,) = graph.picture(after(last, clip), name="prediction")
    convolve(graph, last, [clip], prediction)
    return prediction


def _level(graph: Graph, level: ConvLSTMCell, sources: Sequence[Clip], places: Sequence[Clip]) -> None:
    """A ConvLSTM level: its new hidden state goes to every one of the `places`."""
    h = places[0]
    shape = (h.depth, h.height, h.width)
    (gates,), (cell,) = graph.picture((4 * h.channels, *shape)), graph.picture((h.channels, *shape))
    convolve(graph, level.gates, sources, gates, groups=4)
    graph.add("lstm", gates=gates.name, cell=cell.name, to=[place.place() for place in places])
