"""Drawings of the compared systems, one function each, and the table that finds them.

Blue: recurrent memory. Violet: convolutions with learned weights. Green: encoders and decoders. Orange: latent variables, and
what else is new in a system. Dashed: in training only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from vrnn3d.study.figures.canvas import CODEC, CONV, FRAME, LATENT, MEMORY, Canvas, gated_write, lane
from vrnn3d.study.figures.style import figure_html

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure


def conv_lstm() -> Figure:
    """The ConvLSTM cell: one memory, four gates, all from one convolution."""
    c = Canvas(13, 6)
    lane(c, 5, 1.7, 11, "$c_{t-1}$", "$c_t$")
    gated_write(c, 3.2, 5, 2.9, ("$f$", "$i$", "$g$"))
    c.box(6.5, 2.9, "$o$", CONV, 0.85, 0.7, size=11)
    c.box(4.85, 1.35, "convolution of $[x_t,\\ h_{t-1}]$", CONV, 4.2, 0.8)
    for x in (3.2, 4.3, 5.4, 6.5):
        c.arrow((x, 1.75), (x, 2.55))
    c.arrow((1.7, 1.6), (2.75, 1.6))
    c.arrow((1.7, 1.1), (2.75, 1.1))
    c.label(1.55, 1.62, "$x_t$", ha="right")
    c.label(1.55, 1.08, "$h_{t-1}$", ha="right")
    c.dot(8.6, 5, MEMORY)
    c.box(8.6, 3.95, "tanh", FRAME, 1.1, 0.6)
    c.arrow((8.6, 5), (8.6, 4.25))
    c.op(8.6, 2.9, "×")
    c.arrow((8.6, 3.65), (8.6, 3.15))
    c.arrow((6.93, 2.9), (8.35, 2.9))
    c.arrow((8.85, 2.9), (11, 2.9))
    c.label(11.15, 2.9, "$h_t$", ha="left")
    return c.figure


def vrnn3d() -> Figure:
    """One step of the variational 3D ConvLSTM: clips in and out, and a latent that is decoded and fed back."""
    return _vrnn("3D", "clip $x_t$\n$M$ frames", "clip $H$ frames\nfurther on")


def vrnn2d() -> Figure:
    """One step of the variational 2D ConvLSTM: frames in and out, and a latent that is decoded and fed back."""
    return _vrnn("2D", "frame $x_t$", "frame $x_{t+1}$")


def _vrnn(d: str, clip: str, after: str) -> Figure:
    c = Canvas(18.6, 7.4)
    c.box(1.4, 2.2, clip, FRAME, 1.9, 1.1)
    c.box(4.2, 2.2, f"{d} encoder\n$f_{{enc}}$", CODEC, 2.0, 1.1)
    c.box(7.5, 2.2, f"{d} ConvLSTM\nlevel 1", MEMORY, 2.2, 1.1)
    c.box(10.4, 2.2, f"{d} ConvLSTM\nlevel 2", MEMORY, 2.2, 1.1)
    c.box(14.4, 2.2, f"{d} decoder\n$f_{{dec}}$", CODEC, 2.0, 1.1)
    c.box(17.2, 2.2, "prediction", FRAME, 1.9, 1.1)
    for a, b in ((2.35, 3.2), (5.2, 6.4), (8.6, 9.3), (11.5, 13.4), (15.4, 16.25)):
        c.arrow((a, 2.2), (b, 2.2))
    for x in (7.5, 10.4):  # state loops
        c.arrow((x + 0.6, 1.65), (x + 0.6, 0.95), (x - 0.6, 0.95), (x - 0.6, 1.65), colour=MEMORY, width=2)
        c.label(x, 0.62, "$h, c$ of step $t-1$", size=8.5, colour=MEMORY)
    c.dot(12.1, 2.2)
    c.label(12.15, 1.85, "$h_t$", va="top")
    c.box(12.1, 3.85, "prior  $f_p$", CONV, 1.9, 0.8)
    c.arrow((12.1, 2.2), (12.1, 3.45))
    c.box(9.2, 5.5, "posterior  $f_q$", CONV, 2.3, 0.8)
    c.box(4.2, 5.5, f"{d} encoder", CODEC, 2.0, 0.9)
    c.box(1.4, 5.5, after, FRAME, 1.9, 1.1)
    c.arrow((2.35, 5.5), (3.2, 5.5), dashed=True)
    c.arrow((5.2, 5.5), (8.05, 5.5), dashed=True)
    c.dot(12.1, 3.0)
    c.arrow((12.1, 3.0), (9.2, 3.0), (9.2, 5.1), dashed=True)
    c.box(14.4, 4.6, "$z_t$", LATENT, 1.1, 0.8, size=12)
    c.arrow((13.05, 3.85), (14.15, 3.85), (14.15, 4.2))
    c.arrow((10.35, 5.5), (14.15, 5.5), (14.15, 5.0), dashed=True)
    c.label(12.3, 5.8, "wiring $z_q$ only", size=8.5)
    c.arrow((14.65, 4.2), (14.65, 2.75))
    # z goes back into the next step
    c.arrow((14.95, 4.6), (16.2, 4.6), (16.2, 6.75), (6.0, 6.75), (6.0, 2.45), (6.4, 2.45), colour=LATENT)
    c.label(11, 7.05, "$z_{t-1}$ of the step before", size=8.5, colour=LATENT)
    return c.figure


def causal_lstm() -> Figure:
    """The causal LSTM of PredRNN++: a temporal memory C, then a spatial memory M that has read it."""
    c = Canvas(20.5, 9)
    lane(c, 8, 1.9, 19, "$C^k_{t-1}$", "$C^k_t$")
    gated_write(c, 3.2, 8, 5.9, ("$f$", "$i$", "$g$"))
    c.box(4.3, 4.35, "$W_1 * [X_t, H^k_{t-1}, C^k_{t-1}]$", CONV, 3.9, 0.8)
    for x in (3.2, 4.3, 5.4):
        c.arrow((x, 4.75), (x, 5.55))
    c.arrow((1.1, 4.35), (2.35, 4.35))
    c.label(0.95, 4.35, "$X_t, H^k_{t-1}$", ha="right", size=9)
    c.axes.set_xlim(-1, 19.5 + 1)
    # the second stage hangs from C_t
    lane(c, 1, 1.9, 19, "$M^{k-1}_t$", "$M^k_t$")
    c.box(7.3, 1, "tanh$(W_3 *)$", CONV, 1.9, 0.7)
    gated_write(c, 9.3, 1, 3.1, ("$f'$", "$i'$", "$g'$"), up=False)
    c.box(10.4, 4.65, "$W_2 * [X_t, C^k_t, M^{k-1}_t]$", CONV, 3.9, 0.8)
    for x in (9.3, 10.4, 11.5):
        c.arrow((x, 4.25), (x, 3.45))
    c.dot(10.4, 8, MEMORY)
    c.arrow((10.4, 8), (10.4, 5.05), colour=MEMORY)
    c.label(10.6, 6.6, "cascade: $M$ is written\nafter, and from, $C^k_t$", ha="left", size=8.5)
    # output
    c.box(16, 6.1, "$o = \\tanh(W_4 * [X, C, M])$", CONV, 4.2, 0.8)
    c.box(16, 3.0, "$\\tanh(W_5 * [C, M])$,  $1\\times1$", CONV, 4.2, 0.8)
    c.dot(14.5, 8, MEMORY)
    c.arrow((14.5, 8), (14.5, 6.5), colour=MEMORY)
    c.dot(14.5, 1, MEMORY)
    c.arrow((14.5, 1), (14.5, 2.6), colour=MEMORY)
    c.dot(13.6, 8, MEMORY)
    c.arrow((13.6, 8), (13.6, 3.0), (13.9, 3.0), colour=MEMORY)
    c.dot(13.2, 1, MEMORY)
    c.arrow((13.2, 1), (13.2, 6.1), (13.9, 6.1), colour=MEMORY)
    c.op(16, 4.55, "×")
    c.arrow((16, 5.7), (16, 4.8))
    c.arrow((16, 3.4), (16, 4.3))
    c.arrow((16.25, 4.55), (19, 4.55))
    c.label(19.15, 4.55, "$H^k_t$", ha="left")
    return c.figure


def predrnn_stack() -> Figure:
    """PredRNN++ in two time steps: four causal LSTMs, the highway unit after the first, and the zigzag of M."""
    c = Canvas(15, 10.2)
    levels = (
        (1.7, "causal LSTM 1", CONV),
        (3.3, "highway unit", MEMORY),
        (4.9, "causal LSTM 2", CONV),
        (6.5, "causal LSTM 3", CONV),
        (8.1, "causal LSTM 4", CONV),
    )
    for t, x in enumerate((4.0, 10.6)):
        step = "t-1" if t == 0 else "t"
        for y, name, colour in levels:
            c.box(x, y, name, colour, 3.2, 0.85)
        c.arrow((x - 0.6, 0.7), (x - 0.6, 1.27))
        c.label(x - 0.6, 0.4, f"$X_{{{step}}}$")
        for (a, *_), (b, *_) in zip(levels, levels[1:]):
            c.arrow((x - 0.6, a + 0.43), (x - 0.6, b - 0.43))
        # the spatial memory climbs past the highway unit
        side, start, end = x + 1.1, 2.13, 4.47
        around = [(side, 2.5), (x + 1.9, 2.5), (x + 1.9, 4.1), (side, 4.1)]
        c.arrow((side, start), *around, (side, end), colour=LATENT)
        for a, b in ((4.9, 6.5), (6.5, 8.1)):
            c.arrow((x + 1.1, a + 0.43), (x + 1.1, b - 0.43), colour=LATENT)
        c.arrow((x - 0.6, 8.53), (x - 0.6, 9.35))
        c.label(x - 0.6, 9.65, "$\\hat X_{t}$" if t == 0 else "$\\hat X_{t+1}$")
    for y, name, _ in levels:
        c.arrow((5.6, y), (9.0, y), colour=MEMORY, width=2)
        c.arrow((12.2, y), (13.6, y), colour=MEMORY, width=2)
        k = name[-1]
        label = "$Z_{t-1}$" if "highway" in name else f"$H^{k}_{{t-1}}, C^{k}_{{t-1}}$"
        c.label(7.9, y + 0.32, label, size=9, colour=MEMORY)
    c.arrow((5.1, 8.53), (5.1, 9.2), (6.7, 9.2), (6.7, 1.0), (11.7, 1.0), (11.7, 1.27), colour=LATENT)
    c.label(6.0, 0.55, "$M$ climbs the layers,\nthen enters the next step", ha="left", size=9, colour=LATENT)
    return c.figure


def eidetic_lstm() -> Figure:
    """The eidetic 3D LSTM of E3D-LSTM: a gate that recalls all earlier memories, and the spatial memory M."""
    c = Canvas(21.5, 9)
    c.axes.set_xlim(-1, 20.5)
    lane(c, 8, 1.9, 19, "$C^k_{t-1}$", "$C^k_t$")
    for shift, fade in ((0.36, "66"), (0.18, "a0")):
        c.box(1.0 + shift, 6.2 + shift, "", MEMORY + fade, 1.8, 0.75)
    c.box(1.0, 6.2, "$C^k_{t-\\tau:t-1}$", MEMORY, 1.8, 0.75)
    c.box(4.4, 6.2, "recall: softmax$(R\\,C^{T})\\,C$", LATENT, 3.7, 0.8)
    c.arrow((1.9, 6.2), (2.55, 6.2), colour=MEMORY)
    c.op(4.4, 8, "+", MEMORY)
    c.arrow((4.4, 6.6), (4.4, 7.75))
    c.box(6.4, 8, "norm", FRAME, 1.2, 0.6)
    c.op(8.85, 8, "+", MEMORY)
    for x, name in ((4.4, "$R$"), (8.3, "$I$"), (9.4, "$G$")):
        c.box(x, 4.7, name, CONV, 0.85, 0.7, size=11)
    c.box(6.4, 3.2, "3D convolutions of $X_t$ (a clip) and $H^k_{t-1}$", CONV, 7.2, 0.8)
    for x in (4.4, 8.3, 9.4):
        c.arrow((x, 3.6), (x, 4.35))
    c.arrow((4.4, 5.05), (4.4, 5.8))
    c.op(8.85, 6.4, "×")
    c.arrow((8.3, 5.05), (8.3, 6.4), (8.6, 6.4))
    c.arrow((9.4, 5.05), (9.4, 6.4), (9.1, 6.4))
    c.arrow((8.85, 6.65), (8.85, 7.75))
    c.arrow((1.3, 3.2), (2.8, 3.2))
    c.label(1.15, 3.2, "$X_t, H^k_{t-1}$", ha="right", size=9)
    # spatial memory
    lane(c, 1, 1.9, 19, "$M^{k-1}_t$", "$M^k_t$")
    c.op(7.3, 1, "×", MEMORY)
    c.op(10.4, 1, "+", MEMORY)
    c.box(11.9, 4.7, "$I', G', F'$ from\n$X_t, M^{k-1}_t$", CONV, 2.5, 1.0, size=9)
    c.arrow((11.3, 4.2), (11.3, 2.3), (7.3, 2.3), (7.3, 1.25))
    c.label(9.1, 2.02, "$F'$", size=9)
    c.arrow((12.1, 4.2), (12.1, 1.75), (10.4, 1.75), (10.4, 1.25))
    c.label(11.5, 1.47, "$I' G'$", size=9)
    _eidetic_output(c)
    return c.figure


def _eidetic_output(c: Canvas) -> None:
    """The hidden state, from both memories."""
    c.box(16.4, 6.1, "$O = \\sigma(W * [X, H, C, M])$", CONV, 4.2, 0.8)
    c.box(16.4, 3.0, "$\\tanh(W * [C, M])$,  $1\\times1\\times1$", CONV, 4.2, 0.8)
    c.dot(15.0, 8, MEMORY)
    c.arrow((15.0, 8), (15.0, 6.5), colour=MEMORY)
    c.dot(15.0, 1, MEMORY)
    c.arrow((15.0, 1), (15.0, 2.6), colour=MEMORY)
    c.dot(13.95, 8, MEMORY)
    c.arrow((13.95, 8), (13.95, 3.0), (14.3, 3.0), colour=MEMORY)
    c.dot(13.55, 1, MEMORY)
    c.arrow((13.55, 1), (13.55, 6.1), (14.3, 6.1), colour=MEMORY)
    c.op(16.4, 4.55, "×")
    c.arrow((16.4, 5.7), (16.4, 4.8))
    c.arrow((16.4, 3.4), (16.4, 4.3))
    c.arrow((16.65, 4.55), (19, 4.55))
    c.label(19.15, 4.55, "$H^k_t$", ha="left")


def hierarchy() -> Figure:
    """One step of Improved VRNN: a pyramid of the last frame, latents at three scales, a renderer at all six."""
    c = Canvas(19.5, 12.4)
    rows = [(10.6, "64 × 64", 32), (8.8, "32 × 32", 64), (7.0, "16 × 16", 128)]
    rows += [(5.2, "8 × 8", 256), (3.4, "4 × 4", 256), (1.6, "1 × 1", 256)]
    latents = {8.8: "z^3_t", 5.2: "z^2_t", 1.6: "z^1_t"}
    c.label(2.9, 12.0, "encoder of frame $x_{t-1}$", colour=CODEC)
    c.label(9.7, 12.0, "prior (posterior in training)", colour=CONV)
    c.label(15.6, 12.0, "renderer", colour=MEMORY)
    for index, (y, size, channels) in enumerate(rows):
        c.box(2.9, y, f"residual blocks\n{size}, {channels}", CODEC, 2.7, 0.95, size=8.5)
        c.box(15.6, y, f"ConvLSTM\n{size}, {channels}", MEMORY, 2.5, 0.95, size=8.5)
        if index:
            c.arrow((2.9, rows[index - 1][0] - 0.48), (2.9, y + 0.48))
            c.arrow((15.6, y + 0.48), (15.6, rows[index - 1][0] - 0.48))
        c.arrow((17.3, y - 0.25), (17.8, y - 0.25), (17.8, y + 0.25), (17.3, y + 0.25), colour=MEMORY, head=False)
        c.arrow((17.3, y + 0.25), (16.85, y + 0.25), colour=MEMORY)
        c.arrow((16.85, y - 0.25), (17.3, y - 0.25), colour=MEMORY, head=False)
    for y, z in latents.items():
        c.box(7.9, y, "ConvLSTM\n$p$ and $q$", CONV, 2.2, 0.95, size=8.5)
        c.box(11.6, y, f"${z}$", LATENT, 1.2, 0.85, size=12)
        c.arrow((4.25, y), (6.8, y))
        c.arrow((9.0, y), (11.0, y))
        c.arrow((12.2, y), (14.35, y))
    # dense connections between the latents
    c.arrow((11.3, 2.03), (11.3, 3.4), (7.9, 3.4), (7.9, 4.72), colour=LATENT)
    c.arrow((11.3, 5.63), (11.3, 6.85), (7.4, 6.85), (7.4, 8.32), colour=LATENT)
    c.arrow((11.9, 2.03), (11.9, 3.4), (12.8, 3.4), (12.8, 7.6), (8.4, 7.6), (8.4, 8.32), colour=LATENT)
    c.label(9.6, 3.7, "dense connections", size=8.5, colour=LATENT)
    # the coarsest features also enter the renderer, past z
    c.dot(5.2, 1.6)
    c.arrow((5.2, 1.6), (5.2, 0.6), (13.4, 0.6), (13.4, 1.35), (14.35, 1.35))
    c.arrow((15.6, 11.08), (15.6, 11.4), (17.6, 11.4))
    c.label(17.75, 11.4, "$\\hat x_t$", ha="left")
    note = "initial states of\nall ConvLSTMs:\nfrom the context\nframes"
    c.label(18.0, 6.1, note, ha="left", size=8.5, colour=MEMORY)
    c.axes.set_xlim(1.2, 21.2)
    return c.figure


#: registry name -> the drawings of that system
DRAWINGS: dict[str, tuple[Callable[[], Figure], ...]] = {
    "convlstm2d": (conv_lstm,),
    "vrnn2d": (vrnn2d,),
    "vrnn3d": (vrnn3d,),
    "predrnnpp": (causal_lstm, predrnn_stack),
    "e3d_lstm": (eidetic_lstm,),
    "improved_vrnn": (hierarchy,),
}


def draw(name: str, part: int = 0) -> Figure:
    """The figure of a system of the registry; `part` 1 is PredRNN++'s stack.

    Raises:
        ValueError: for a system or part that is not drawn; those that are get listed.
    """
    if name not in DRAWINGS or part not in range(len(DRAWINGS[name])):
        known = ", ".join(f"{key} ({len(parts)})" for key, parts in DRAWINGS.items())
        raise ValueError(f"no drawing {part} of {name!r}; the systems drawn, and how many drawings each has: {known}")
    return DRAWINGS[name][part]()


def picture(name: str, part: int = 0) -> HTML:
    """:func:`draw` for a notebook, with what the drawing shows as alternative text."""
    figure = draw(name, part)
    return figure_html(figure, " ".join((DRAWINGS[name][part].__doc__ or "").split()))
