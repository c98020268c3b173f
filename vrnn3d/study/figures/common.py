"""Pictures of videos, curves and tables for the book and the command line.

Every figure has a transparent background and mid-grey lettering, so that one picture reads on light and on dark pages.
Videos are (T, H, W) or (T, C, H, W) with one or three channels: floats in [0, 1] or uint8, numpy arrays or tensors.
A notebook shows what a function here returns when it is the cell's last value, or is passed to ``display``.
"""

from __future__ import annotations

import base64
import html
import io
import math
import os
from pathlib import Path
from typing import Any, Mapping, Sequence

import numpy as np

from vrnn3d.files import atomic_write

#: Lettering and axes: the grey with the same contrast (4.2 : 1) against white and against a dark page (#14181e).
GREY = "#7b7b7b"
CONTEXT, PREDICTED = "#7b7b7b", "#d55e00"  # border of frames the model is given, and of frames it has to predict

#: One colour per experiment and per loss variant, the same in every figure. Shades of the colour-blind safe set of
#: Okabe and Ito, at least 3 : 1 against white and against #14181e; names that meet in one figure also differ in DASHES.
COLOURS: dict[str, str] = {
    "vrnn3d_kl_ll": "#d55e00",
    "vrnn3d_kl": "#b88300",
    "convlstm2d": "#2f93d1",
    "vrnn2d": "#0b6fb0",
    "convlstm3d": "#009e73",
    "predrnnpp": "#009e73",
    "e3d_lstm": "#8a6fd1",
    "improved_vrnn": "#c4669a",
    "beyond": "#d6336c",
    "copy_last": "#8c8c8c",
    "pixel_mean": "#8c8c8c",
    "kl_pq": "#b88300",
    "kl_qp": "#0b6fb0",
    "kl_ll": "#d55e00",
    "kl_ll_half": "#c4669a",
    "kl_ll_mirror": "#2f93d1",
    "kl_ll_balanced": "#009e73",
    "kl_ll_mean": "#8a6fd1",
}
DASHES: dict[str, Any] = {
    "vrnn3d_kl": (0, (5, 1.5)),
    "vrnn2d": (0, (5, 1.5)),
    "convlstm3d": (0, (3, 1, 1, 1)),
    "e3d_lstm": (0, (3, 1, 1, 1)),
    "improved_vrnn": (0, (1, 1)),
    "copy_last": (0, (1, 1)),
    "pixel_mean": (0, (3, 1, 1, 1)),
    "kl_pq": (0, (5, 1.5)),
    "kl_qp": (0, (5, 1.5)),
    "kl_ll_half": (0, (3, 1, 1, 1)),
    "kl_ll_mean": (0, (1, 1)),
}
_SPARE = ("#0b6fb0", "#d55e00", "#009e73", "#8a6fd1", "#c4669a", "#b88300", "#2f93d1")

METRIC_LABELS = {
    "mse": "MSE per frame (lower is better)",
    "mae": "MAE per frame (lower is better)",
    "ssim": "SSIM (higher is better)",
    "psnr": "PSNR in dB (higher is better)",
    "ssim_uint8": "SSIM, 8-bit protocol (higher is better)",
    "crps": "CRPS per frame (lower is better)",
    "sample_variance": "variance between samples, per frame",
}
CURVE_LABELS = {
    "loss": "training loss",
    "l1": "L1 per frame",
    "l2": "L2 per frame",
    "latent": "latent loss per step",
    "beta": "weight of the latent loss",
    "log_std_prior": "mean log std of the prior",
    "log_std_posterior": "mean log std of the posterior",
    "floor_fraction": "latents at the std floor",
    "validation_mse": "validation MSE per frame",
}


def colour(name: str) -> str:
    """The fixed colour of an experiment or loss variant; an unknown name gets one of seven, always the same."""
    return COLOURS.get(name) or _SPARE[sum(name.encode()) % len(_SPARE)]


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the study; in a notebook, also the pixels sharp screens have."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
            "figure.facecolor": "none",
            "axes.facecolor": "none",
            "savefig.facecolor": "none",
            "savefig.dpi": "figure",
            "savefig.bbox": "tight",
            "figure.dpi": 100,
            "figure.figsize": (7.0, 3.6),
            "font.size": 10.5,
            "axes.titlesize": 11,
            "axes.titleweight": "bold",
            "axes.labelsize": 10.5,
            "legend.fontsize": 10,
            "legend.frameon": False,
            "axes.spines.top": False,
            "axes.spines.right": False,
            "axes.grid": True,
            "axes.axisbelow": True,
            "grid.alpha": 0.28,
            "grid.linewidth": 0.7,
            "lines.linewidth": 1.9,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            **{
                key: GREY
                for key in (
                    "text.color axes.edgecolor axes.labelcolor axes.titlecolor xtick.color ytick.color grid.color"
                ).split()
            },
        }
    )
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


def released(figure):
    """The figure, no longer pyplot's: a notebook shows it once (as the cell's value), and none pile up in memory."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


# --- videos ---------------------------------------------------------------------------------------------------------


def _frames(label: str, video: Any) -> np.ndarray:
    """Any accepted video as uint8 (T, H, W, 3)."""
    if hasattr(video, "detach"):
        video = video.detach().cpu()
        video = (video if not video.is_floating_point() else video.float()).numpy()
    video = np.asarray(video)
    if video.ndim == 3:
        video = video[:, None]
    if video.ndim != 4 or video.shape[1] not in (1, 3) or 0 in video.shape:
        raise ValueError(
            f"row {label!r} has shape {video.shape}; a video is (T, H, W), or (T, C, H, W) with 1 or 3 channels"
        )
    if video.dtype != np.uint8:
        if not np.isfinite(video).all():
            raise ValueError(f"row {label!r} contains NaN or infinite pixels; only finite values can be shown")
        video = (np.clip(video.astype(np.float32), 0, 1) * 255).round().astype(np.uint8)
    return np.repeat(video, 4 - video.shape[1], axis=1).transpose(0, 2, 3, 1)[..., :3]


def _aligned(rows: Mapping[str, Any]) -> dict[str, list[np.ndarray | None]]:
    """Rows of equally many frames; what a shorter row lacks at its beginning is None."""
    if not rows:
        raise ValueError("no rows to show; pass {label: video}")
    videos = {label: _frames(label, video) for label, video in rows.items()}
    sizes = {label: video.shape[1:3] for label, video in videos.items()}
    if len(set(sizes.values())) > 1:
        described = ", ".join(f"{label!r} {h} x {w}" for label, (h, w) in sizes.items())
        raise ValueError(f"all rows must have frames of one size; these differ: {described}")
    length = max(len(video) for video in videos.values())
    return {label: [None] * (length - len(video)) + list(video) for label, video in videos.items()}


def strip(
    rows: Mapping[str, Any],
    start: int = 1,
    every: int = 1,
    title: str | None = None,
    context: int | None = None,
):
    """Videos as rows of frames, frame numbers on top; a matplotlib Figure.

    Args:
        rows: {label: video}. A row shorter than the longest is aligned at the end (a prediction begins after its
            context) and left empty before.
        start: number of the first frame.
        every: show each `every`-th frame, beginning with the first.
        title: written above.
        context: number of the frames given to the model; a rule is drawn after the last of them.
    """
    import matplotlib.pyplot as plt

    if every < 1:
        raise ValueError(f"every is {every}; it counts frames and must be at least 1")
    videos = {label: frames[::every] for label, frames in _aligned(rows).items()}
    columns = len(next(iter(videos.values())))
    height, width = next(f for frames in videos.values() for f in frames if f is not None).shape[:2]
    gap = max(2, width // 24)
    step_x, step_y = width + gap, height + gap
    canvas = np.zeros((len(videos) * step_y - gap, columns * step_x - gap, 4), np.uint8)  # transparent
    for i, frames in enumerate(videos.values()):
        for j, frame in enumerate(frames):
            if frame is not None:
                cell = canvas[i * step_y : i * step_y + height, j * step_x : j * step_x + width]
                cell[..., :3], cell[..., 3] = frame, 255

    # An integer number of screen pixels per video pixel: the figure is sized around the picture, not the reverse.
    inches = min(9.0, 0.85 * columns)
    scale = math.ceil(80 * inches / canvas.shape[1])
    dpi = scale * canvas.shape[1] / inches
    tall = inches * canvas.shape[0] / canvas.shape[1]
    figure = plt.figure(figsize=(inches, tall), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, interpolation="nearest", aspect="auto", extent=(0, canvas.shape[1], canvas.shape[0], 0))
    numbers = [start + every * j for j in range(columns)]
    axes.set_xticks([j * step_x + width / 2 for j in range(columns)], numbers)
    axes.set_yticks([i * step_y + height / 2 for i in range(len(videos))], list(videos))
    axes.xaxis.tick_top()
    axes.tick_params(length=0, pad=4, labelsize=9)
    axes.grid(False)
    axes.set_frame_on(False)
    if context is not None:
        shown = sum(number < start + context for number in numbers)
        if 0 < shown < columns:
            x = shown * step_x - gap / 2
            axes.plot([x, x], [-0.22 * height, canvas.shape[0]], color=PREDICTED, lw=1.8, clip_on=False)
            axes.set_xlim(0, canvas.shape[1])
            axes.set_ylim(canvas.shape[0], 0)
    if title:
        axes.set_title(title, pad=8)
    return released(figure)


def _montage(
    rows: Mapping[str, Any], scale: int, context: int | None, columns: int, lettered: bool
) -> tuple[list, tuple[int, int]]:
    """Cells side by side, one Pillow image a frame: (images, (columns, cell width in pixels))."""
    from PIL import Image, ImageDraw, ImageFont

    videos = _aligned(rows)
    height, width = next(f for frames in videos.values() for f in frames if f is not None).shape[:2]
    border, margin = 2, 2
    unit = scale if lettered else 1  # a page enlarges by itself; a file has to be enlarged here
    head = 16 if lettered else 0
    if lettered:
        border, margin = 3, 4
    cell_w, cell_h = width * unit + 2 * (border + margin), height * unit + 2 * (border + margin) + head
    lines = -(-len(videos) // columns)
    font = ImageFont.load_default(size=12) if lettered else None
    images = []
    for t in range(len(next(iter(videos.values())))):
        predicted = context is not None and t >= context
        image = Image.new("RGBA", (columns * cell_w, lines * cell_h), (0, 0, 0, 0))
        draw = ImageDraw.Draw(image)
        for n, (label, frames) in enumerate(videos.items()):
            x, y = n % columns * cell_w + margin, n // columns * cell_h + margin
            if lettered:
                draw.text((x + (cell_w - 2 * margin) / 2, y), _shorten(draw, label, font, cell_w - 2 * margin),
                          fill=GREY, font=font, anchor="mt")  # fmt: skip
                y += head
            if frames[t] is None:
                continue
            draw.rectangle(
                (x, y, x + width * unit + 2 * border - 1, y + height * unit + 2 * border - 1),
                fill=PREDICTED if predicted else CONTEXT,
            )
            picture = Image.fromarray(frames[t])
            if unit > 1:
                picture = picture.resize((width * unit, height * unit), Image.Resampling.NEAREST)
            image.paste(picture, (x + border, y + border))
        images.append(image)
    return images, (columns, cell_w)


def _shorten(draw, text: str, font, room: float) -> str:
    """`text`, cut with an ellipsis to `room` pixels."""
    if draw.textlength(text, font=font) <= room:
        return text
    while text and draw.textlength(text + "...", font=font) > room:
        text = text[:-1]
    return text + "..."


def _webp(images: list, fps: float) -> bytes:
    if not fps > 0:
        raise ValueError(f"fps is {fps}; it must be above 0 frames a second")
    buffer = io.BytesIO()
    images[0].save(
        buffer, "WEBP", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, lossless=True,
        quality=60, method=4,
    )  # fmt: skip
    return buffer.getvalue()


def animation(rows: Mapping[str, Any], alt: str, fps: float = 8, scale: int = 3, context: int | None = None):
    """Videos side by side as one moving picture inside the page; an ``IPython.display.HTML``.

    Args:
        rows: {label: video}, as for :func:`strip`; labels are written above.
        alt: what the picture shows, for those who cannot see it. Must not be empty.
        fps: frames a second.
        scale: screen pixels per video pixel.
        context: number of frames given to the model: their border is grey, that of the frames to predict orange.

    Readers who ask their system for less motion get the last frame as a still.
    """
    from IPython.display import HTML

    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the moving picture shows")
    images, (columns, cell) = _montage(rows, 1, context, len(rows), lettered=False)

    def uri(data: bytes) -> str:
        return "data:image/webp;base64," + base64.b64encode(data).decode()

    moving, still = uri(_webp(images, fps)), uri(_webp(images[-1:], fps))
    captions = "".join(f'<span style="text-align:center">{html.escape(label)}</span>' for label in rows)
    legend = ""
    if context is not None and context < len(images):
        square = '<span aria-hidden="true" style="color:{}">&#9632;</span> '
        legend = (
            f'<figcaption style="font-size:.85em;color:{GREY}">{square.format(CONTEXT)}frames given, '
            f"{square.format(PREDICTED)}frames to predict</figcaption>"
        )
    return HTML(
        f'<figure class="vrnn3d-animation" style="width:{columns * cell * scale}px;max-width:100%;margin:1em 0">'
        f'<div style="display:grid;grid-template-columns:repeat({columns},1fr);font-size:.85em;color:{GREY}">'
        f"{captions}</div>"
        f'<picture><source media="(prefers-reduced-motion: reduce)" srcset="{still}">'
        f'<img src="{moving}" alt="{html.escape(alt)}" '
        f'style="width:100%;image-rendering:pixelated;background:transparent"></picture>{legend}</figure>'
    )


def save_animation(
    rows: Mapping[str, Any],
    path: str | os.PathLike,
    fps: float = 8,
    scale: int = 3,
    context: int | None = None,
    columns: int | None = None,
) -> Path:
    """The moving picture of :func:`animation` as a WebP file, labels drawn into it; returns the path written.

    `columns` is the number of videos in a line (default: up to six). The file appears whole or not at all.
    """
    path = Path(path)
    if path.suffix.lower() != ".webp":
        raise ValueError(f"{path.name} does not end in .webp; animations are written as WebP files only")
    if scale < 1:
        raise ValueError(f"scale is {scale}; it must be a whole number of at least 1")
    columns = min(len(rows) or 1, columns or 6)
    data = _webp(_montage(rows, scale, context, columns, lettered=True)[0], fps)
    return atomic_write(path, lambda temporary: temporary.write_bytes(data))


def predictions(
    records: Sequence[Mapping], clips: Sequence[Mapping], number: int, means: Sequence[str] = (), given: bool = False
) -> dict[str, np.ndarray]:
    """Rows for :func:`strip` and :func:`animation`: one test sequence, and what each model made of it.

    Args:
        records: whose titles name the rows.
        clips: of each record, what ``results.read_clips`` returned.
        number: of the test sequence; it must be among those that every clip holds.
        means: experiments whose mean over the samples follows their one sample.
        given: whether predictions begin with the frames given, as an animation wants them; a strip leaves these empty.

    The first row is the truth with the frames given in front. Raises ``ValueError`` where a record's clips lack the
    sequence, or show another truth than the first record's: models are shown on the same sequence or not at all.
    """
    rows: dict[str, np.ndarray] = {}
    truth, context = None, None
    for record, clip in zip(_list(records), clips, strict=True):
        name = record["title"]
        here = np.flatnonzero(clip["indices"] == number)
        if "truth" not in clip or not len(here):
            held = ", ".join(map(str, clip["indices"]))
            raise ValueError(f"the clips of {name} do not show test sequence {number}; they hold {held}")
        at = here[0]
        if truth is None:
            truth, context = clip["truth"][at], int(clip["context"])
            rows["truth"] = truth
        if int(clip["context"]) != context or not np.array_equal(clip["truth"][at], truth):
            raise ValueError(f"{name} and {records[0]['title']} show different sequences as test sequence {number}")
        kinds = {"": "sample"} | ({", mean": "mean"} if record["experiment"] in means else {})
        for suffix, kind in kinds.items():
            rows[name + suffix] = np.concatenate([truth[:context], clip[kind][at]]) if given else clip[kind][at]
    return rows


# --- curves ---------------------------------------------------------------------------------------------------------


def _list(records) -> list[dict]:
    records = [records] if isinstance(records, Mapping) else list(records)
    if not records:
        raise ValueError("no records to draw; train and evaluate a model first")
    return records


def _names(records: list[dict]) -> list[str]:
    """A legend entry per record: its title, with profile and seed only where these tell records apart."""
    profiles = {r["profile"] for r in records}
    experiments = [r["experiment"] for r in records]
    names = []
    for r in records:
        name = r.get("title") or r["experiment"]
        if len(profiles) > 1 or r["profile"] not in ("paper", "ablation"):
            name += f" [{r['profile']} profile]"
        if experiments.count(r["experiment"]) > 1:
            name += f", seed {r['seed']}"
        names.append(name)
    return names


def per_frame(
    records,
    metric: str = "mse",
    protocol: str | tuple[int, int] = "10->10",
    pool: str = "train",
    paper: Mapping[str, float] | None = None,
):
    """A metric against the frame number, one curve per record with its 95% bootstrap band over test sequences.

    Args:
        records: one record or several (``results.read_records``); those without this protocol are an error.
        metric: "mse", "mae", "ssim", "psnr", or "crps", "sample_variance" (drawn without a band where none is stored).
        protocol: "10->10" or (10, 10).
        pool: which test digits, a key of the record's "evaluation".
        paper: {experiment: the paper's average over the frames}, thin dashed rules in the experiment's colour.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    records = _list(records)
    if not isinstance(protocol, str):
        protocol = "{}->{}".format(*protocol)
    first = int(protocol.split("->")[0]) + 1
    figure, axes = plt.subplots()
    for record, name in zip(records, _names(records)):
        try:
            entry = record["evaluation"][pool][protocol][metric]
            values = entry["per_frame"]
        except KeyError as missing:
            raise ValueError(
                f"record {record['experiment']} (seed {record['seed']}) has no {missing} on the way to"
                f" evaluation / {pool} / {protocol} / {metric} / per_frame; evaluate it so, or leave it out"
            ) from None
        frames = range(first, first + len(values))
        shade = colour(record["experiment"])
        axes.plot(frames, values, color=shade, ls=DASHES.get(record["experiment"], "-"), label=name)
        if "per_frame_interval" in entry:
            low, high = zip(*entry["per_frame_interval"])
            axes.fill_between(frames, low, high, color=shade, alpha=0.22, lw=0)
    for experiment, value in (paper or {}).items():
        axes.axhline(value, color=colour(experiment), ls=(0, (8, 3)), lw=1.0, label=f"paper's average: {value:g}")
    axes.set_xlabel("frame")
    axes.set_ylabel(METRIC_LABELS.get(metric, metric))
    axes.xaxis.set_major_locator(MaxNLocator(integer=True))
    axes.margins(x=0.02)
    _legend(axes)
    return released(figure)


def _legend(axes) -> None:
    """A legend beside the axes, where it cannot cover a curve."""
    axes.legend(loc="center left", bbox_to_anchor=(1.01, 0.5), handlelength=2.4)


def loss_curves(records, panels: Sequence[str] | None = None):
    """Training curves against sequences seen, one panel per quantity; a single record or several to compare.

    `panels` are keys of the record's training.curves; by default all that any of the records holds, "beta" left out.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import EngFormatter

    records = _list(records)
    curves = [record["training"]["curves"] for record in records]
    if panels is None:
        panels = [key for key in CURVE_LABELS if key != "beta" and any(c.get(key) for c in curves)]
    missing = [key for key in panels if not any(c.get(key) for c in curves)]
    if missing or not panels:
        raise ValueError(f"the records hold no training curve {', '.join(missing) or 'at all'}")
    columns = min(len(panels), 3)
    lines = -(-len(panels) // columns)
    figure, grid = plt.subplots(
        lines, columns, figsize=(3.1 * columns, 2.4 * lines), squeeze=False, layout="constrained"
    )
    for axes, key in zip(grid.flat, panels):
        for record, curve, name in zip(records, curves, _names(records)):
            if not curve.get(key):
                continue
            x = curve["validation_sequences" if key.startswith("validation_") else "sequences"]
            single = {"marker": "o"} if len(x) == 1 else {}
            axes.plot(x, curve[key], color=colour(record["experiment"]), label=name, lw=1.6,
                      ls=DASHES.get(record["experiment"], "-"), **single)  # fmt: skip
        axes.set_title(CURVE_LABELS.get(key, key))
        axes.xaxis.set_major_formatter(EngFormatter(sep=""))
        axes.locator_params(axis="x", nbins=4)
        axes.set_xlim(0, 1.03 * max(max(c["sequences"]) for c in curves))
    for axes in grid.flat[len(panels) :]:
        axes.remove()
    figure.supxlabel("sequences seen", fontsize=10.5)
    handles, names = {}, _names(records)
    for axes in figure.axes:
        handles.update({label: handle for handle, label in zip(*axes.get_legend_handles_labels())})
    if len(records) > 1:
        figure.legend(
            [handles[n] for n in names if n in handles], [n for n in names if n in handles],
            loc="outside upper center", ncols=min(len(names), 3),
        )  # fmt: skip
    return released(figure)


def forest(rows: Sequence[Mapping[str, Any]], xlabel: str = "", reference: float | None = None):
    """Estimates with intervals, one line each, first on top; a matplotlib Figure.

    Args:
        rows: mappings with "label" and "estimate" and, where there are, "interval" (low, high), "paper" (the paper's
            number, drawn as a hollow diamond), "name" (the experiment, for its colour), "note" (written at the right).
        xlabel: what the estimates are, with unit.
        reference: a vertical rule, for example 0 for differences.
    """
    import matplotlib.pyplot as plt

    rows = list(rows)
    if not rows:
        raise ValueError("no estimates to draw; pass at least one row with a label and an estimate")
    figure, axes = plt.subplots(figsize=(6.4, 0.7 + 0.42 * len(rows)))
    if reference is not None:
        axes.axvline(reference, color=GREY, lw=1.0, ls=(0, (4, 3)))
    for y, row in enumerate(rows):
        shade = colour(row.get("name", row["label"]))
        if row.get("interval") is not None:
            axes.plot(row["interval"], [y, y], color=shade, lw=2.4, solid_capstyle="butt", alpha=0.75)
        axes.plot([row["estimate"]], [y], "o", color=shade, ms=6.5)
        if row.get("paper") is not None:
            axes.plot([row["paper"]], [y + 0.27], "D", mfc="none", mec=shade, mew=1.4, ms=5.5)
        if row.get("note"):
            axes.annotate(row["note"], (1.02, y), xycoords=("axes fraction", "data"), va="center", fontsize=9)
    axes.set_yticks(range(len(rows)), [row["label"] for row in rows])
    axes.set_ylim(len(rows) - 0.4, -0.6)
    axes.tick_params(axis="y", length=0)
    axes.grid(axis="y", visible=False)
    axes.spines["left"].set_visible(False)
    axes.margins(x=0.06)
    axes.set_xlabel(xlabel)
    if any(row.get("paper") is not None for row in rows):
        from matplotlib.lines import Line2D

        keys = [
            Line2D([], [], color=GREY, marker="o", ls="-", lw=2.4, ms=6.5, label="ours, 95% interval"),
            Line2D([], [], mec=GREY, mfc="none", marker="D", ls="", ms=5.5, mew=1.4, label="the paper"),
        ]
        figure.legend(handles=keys, loc="lower right", bbox_to_anchor=(0.9, 0.88), ncols=2)
    return released(figure)


# --- tables ---------------------------------------------------------------------------------------------------------


def _cell(value: Any, column: str, decimals: int) -> tuple[str, str]:
    """(text, style) of one table cell. A missing number of ours is "not run"; any other missing value stays empty."""
    right = "text-align:right;white-space:nowrap"
    if value is None or (isinstance(value, (float, np.floating)) and math.isnan(value)):
        return ("not run", right + f";font-style:italic;color:{GREY}") if column == "ours" else ("", right)
    if isinstance(value, (bool, np.bool_, str)):
        return html.escape(str(value)), "text-align:left"
    if isinstance(value, (int, np.integer)):
        return f"{value:,}", right
    if not isinstance(value, (float, np.floating)):
        return html.escape(str(value)), "text-align:left"
    sign = "+" if column == "difference" else ""
    return _number(value, decimals, sign), right


#: Digits after the point by column name, on any level; one digit elsewhere.
DECIMALS = {"SSIM": 3, "ssim": 3, "PSNR": 2, "psnr": 2}


def table_html(table, caption: str | None = None, decimals: int | Mapping[str, int] = DECIMALS):
    """A pandas DataFrame, or a list of mappings, as an HTML table for the page; an ``IPython.display.HTML``.

    Args:
        table: ``results.table1(...)`` for example; with column levels, cells of the upper ones are joined.
        caption: written above; plain text.
        decimals: digits after the point, one number or one per column name of any level (default: DECIMALS).

    A missing value in a column named "ours" reads "not run"; numbers in one named "difference" carry their sign.
    """
    import pandas
    from IPython.display import HTML

    frame = table if isinstance(table, pandas.DataFrame) else pandas.DataFrame(list(table))
    levels = frame.columns.nlevels
    columns = [c if isinstance(c, tuple) else (c,) for c in frame.columns]
    indexed = not isinstance(frame.index, pandas.RangeIndex)

    def digits(column: tuple) -> int:
        if isinstance(decimals, int):
            return decimals
        return next((decimals[part] for part in column if part in decimals), 1)

    out = ['<div style="overflow-x:auto"><table class="table vrnn3d-table">']
    if caption:
        out.append(f"<caption>{html.escape(caption)}</caption>")
    out.append("<thead>")
    for level in range(levels):
        cells = []
        if indexed and level == 0:
            name = html.escape(str(frame.index.name or ""))
            cells.append(f'<th scope="col" rowspan="{levels}" style="text-align:left">{name}</th>')
        at = 0
        while at < len(columns):
            span, last = 1, level == levels - 1
            while not last and at + span < len(columns) and columns[at + span][: level + 1] == columns[at][: level + 1]:
                span += 1
            align = "center" if not last else "left" if _is_text(frame.iloc[:, at]) else "right"
            text = html.escape(str(columns[at][level]))
            cells.append(f'<th scope="col" colspan="{span}" style="text-align:{align}">{text}</th>')
            at += span
        out.append(f"<tr>{''.join(cells)}</tr>")
    out.append("</thead><tbody>")
    for label, row in zip(frame.index, frame.itertuples(index=False, name=None)):
        head = f'<th scope="row" style="text-align:left">{html.escape(str(label))}</th>' if indexed else ""
        cells = [_cell(value, str(column[-1]), digits(column)) for value, column in zip(row, columns)]
        body = "".join(f'<td style="{style}">{text}</td>' for text, style in cells)
        out.append(f"<tr>{head}{body}</tr>")
    out.append("</tbody></table></div>")
    return HTML("".join(out))


def comparison_html(table, caption: str | None = None, decimals: int | Mapping[str, int] = DECIMALS):
    """``results.table1(...)`` made to fit a page: two lines a model, the paper's and ours; an ``IPython.display.HTML``.

    Ours carries its difference from the paper's in parentheses, and the number of seeds where it averages several. What
    was not run says so.
    """
    import pandas
    from IPython.display import HTML

    groups = list(dict.fromkeys((a, b) for a, b, side in table.columns if side == "ours"))
    flat = []
    for label, row in table.iterrows():
        seeds = int(row["", "", "seeds"])
        paper: dict[tuple, Any] = {("model", ""): label, ("", ""): "the paper"}
        ours: dict[tuple, Any] = {("model", ""): "", ("", ""): "ours" + (f", {seeds} seeds" if seeds > 1 else "")}
        for group in groups:
            digits = decimals if isinstance(decimals, int) else decimals.get(group[1], 1)
            theirs, mine = row[*group, "paper"], row[*group, "ours"]
            paper[group] = "" if pandas.isna(theirs) else _number(theirs, digits)
            ours[group] = "not run" if pandas.isna(mine) else _number(mine, digits)
            if not pandas.isna(mine + theirs) and (*group, "difference") in row.index:
                ours[group] += f" ({_number(mine - theirs, digits, '+')})"
        flat += [paper, ours]
    head, sub = [], []
    keys = list(flat[0]) if flat else []
    for key in keys:
        if not head or head[-1][0] != key[0]:
            head.append([key[0], 0])
        head[-1][1] += 1
        align = "right" if key in groups else "left"
        sub.append(f'<th scope="col" style="text-align:{align}">{html.escape(key[1])}</th>')
    out = ['<div style="overflow-x:auto"><table class="table vrnn3d-table">']
    if caption:
        out.append(f"<caption>{html.escape(caption)}</caption>")
    tops = "".join(
        f'<th scope="colgroup" colspan="{span}" style="text-align:{"left" if name == "model" else "center"}">'
        f"{html.escape(name)}</th>"
        for name, span in head
    )
    out.append(f"<thead><tr>{tops}</tr><tr>{''.join(sub)}</tr></thead><tbody>")
    for line in flat:
        cells = []
        if label := line["model", ""]:
            cells = [f'<th scope="rowgroup" rowspan="2" style="text-align:left">{html.escape(label)}</th>']
        for key in keys[1:]:
            style = "text-align:right;white-space:nowrap" if key in groups else "text-align:left;white-space:nowrap"
            if line[key] == "not run":
                style += f";font-style:italic;color:{GREY}"
            cells.append(f'<td style="{style}">{html.escape(line[key])}</td>')
        out.append(f"<tr>{''.join(cells)}</tr>")
    out.append("</tbody></table></div>")
    return HTML("".join(out))


def _number(value: float, digits: int, sign: str = "") -> str:
    return f"{value:{sign}.{digits}f}".replace("-", "\N{MINUS SIGN}")


def _is_text(column) -> bool:
    return any(isinstance(value, str) for value in column)
