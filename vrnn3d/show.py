"""Pictures of videos: strips of frames, moving pictures for a page, and animations as files.

Pictures have a transparent background and mid-grey lettering, so that one picture reads on light and on dark pages.
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
from typing import Any, Mapping

import numpy as np

from vrnn3d.files import atomic_write

#: Lettering and axes: the grey with the same contrast (4.2 : 1) against white and against a dark page (#14181e).
GREY = "#7b7b7b"
CONTEXT, PREDICTED = "#7b7b7b", "#d55e00"  # border of frames the model is given, and of frames it has to predict


def closed(figure):
    """The figure, no longer pyplot's: a notebook shows it once (as the cell's value), and none pile up in memory."""
    import matplotlib.pyplot as plt

    plt.close(figure)
    return figure


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
    return closed(figure)


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
