"""Pictures of videos: strips of frames, moving pictures for a page, and animations as files.

Pictures have a transparent background, so that one picture reads on light and on dark pages.
Videos are (T, H, W) or (T, C, H, W) with one or three channels: floats in [0, 1] or uint8, numpy arrays or tensors.
A notebook shows what a function here returns when it is the cell's last value, or is passed to ``display``.
"""

from __future__ import annotations

import base64
import html
import io
import math
import os
import textwrap
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vrnn3d.files import atomic_write

#: Lettering and axes: the grey that reads equally well, at 4.2 : 1, on white and on a dark page (#14181e). No single colour
#: reaches the 4.5 : 1 that small text should have on both; where a page can choose the colour, it does.
GREY = "#7b7b7b"
LABEL, ON_LABEL = "#4d4d4d", "#ffffff"  #: words in a moving picture: a plate of its own colour, 8 : 1 on every page
CONTEXT, PREDICTED = "#7b7b7b", "#d55e00"  #: border of frames the model is given, and of frames it has to predict
_LABEL = 20  #: characters in a line of a label beside a strip


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
        raise ValueError(f"row {label!r} has shape {video.shape}; a video is (T, H, W), or (T, C, H, W) with 1 or 3 channels")
    if video.dtype != np.uint8:
        if video.dtype.kind not in "fb":
            raise ValueError(
                f"row {label!r} holds {video.dtype}; a video holds floats in [0, 1], or uint8: convert values from 0 to 255"
                " with astype('uint8')"
            )
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


def _canvas(videos: Mapping[str, list[np.ndarray | None]]) -> tuple[np.ndarray, tuple[int, int], int]:
    """All frames in one transparent picture, (H, W, 4) uint8; the size of a frame; and the gap between two."""
    height, width = next(f for frames in videos.values() for f in frames if f is not None).shape[:2]
    gap = max(2, width // 24)
    columns = len(next(iter(videos.values())))
    canvas = np.zeros((len(videos) * (height + gap) - gap, columns * (width + gap) - gap, 4), np.uint8)
    for i, frames in enumerate(videos.values()):
        for j, frame in enumerate(frames):
            if frame is not None:
                y, x = i * (height + gap), j * (width + gap)
                cell = canvas[y : y + height, x : x + width]
                cell[..., :3], cell[..., 3] = frame, 255
    return canvas, (height, width), gap


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
            context) and left empty before. Long labels are broken over lines.
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
    canvas, (height, width), gap = _canvas(videos)
    step_x, step_y = width + gap, height + gap

    # An integer number of screen pixels per video pixel: the figure is sized around the picture, not the reverse.
    inches = min(9.0, 0.85 * columns)
    dpi = math.ceil(80 * inches / canvas.shape[1]) * canvas.shape[1] / inches
    figure = plt.figure(figsize=(inches, inches * canvas.shape[0] / canvas.shape[1]), dpi=dpi)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.imshow(canvas, interpolation="none", aspect="auto", extent=(0, canvas.shape[1], canvas.shape[0], 0))
    numbers = [start + every * j for j in range(columns)]
    axes.set_xticks([j * step_x + width / 2 for j in range(columns)], list(map(str, numbers)))
    axes.set_yticks([i * step_y + height / 2 for i in range(len(videos))], [textwrap.fill(label, _LABEL) for label in videos])
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
                draw.rounded_rectangle((x, y - 1, x + cell_w - 2 * margin - 1, y + head - 3), 3, fill=LABEL)
                text = _shorten(draw, label, font, cell_w - 2 * margin - 6)
                draw.text((x + (cell_w - 2 * margin) / 2, y + 1), text, fill=ON_LABEL, font=font, anchor="mt")
                y += head
            frame = frames[t]
            if frame is None:
                continue
            draw.rectangle(
                (x, y, x + width * unit + 2 * border - 1, y + height * unit + 2 * border - 1),
                fill=PREDICTED if predicted else CONTEXT,
            )
            picture = Image.fromarray(frame)
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


def _check_rate(fps: float) -> None:
    if not 0 < fps < math.inf:
        raise ValueError(f"fps is {fps}; it must be above 0 frames a second, and finite")


def webp(images: list, fps: float) -> bytes:
    """Pillow images as a lossless WebP file that repeats without end; one image as a still.

    Raises ``ValueError`` for a number of frames a second that is not above 0.
    """
    _check_rate(fps)
    buffer = io.BytesIO()
    images[0].save(
        buffer, "WEBP", save_all=True, append_images=images[1:], duration=round(1000 / fps), loop=0, lossless=True,
        quality=60, method=4,
    )  # fmt: skip
    return buffer.getvalue()


#: A box to tick shows the last frame in place of the moving picture; so does asking one's system for less motion.
_STOPPABLE = (
    ".vrnn3d-animation img{width:100%;background:transparent}.vrnn3d-animation .still,"
    ".vrnn3d-animation:has(:checked) .moving{display:none}.vrnn3d-animation:has(:checked) .still{display:inline}"
    ".vrnn3d-animation figcaption{color:inherit;font-size:.85em;display:flex;flex-wrap:wrap;gap:0 1.5em}"
    "@media (prefers-reduced-motion:reduce){.vrnn3d-animation .moving,.vrnn3d-animation label{display:none}"
    ".vrnn3d-animation .still{display:inline}}@media print{.vrnn3d-animation .moving,.vrnn3d-animation label{display:none}"
    ".vrnn3d-animation .still{display:inline}}"
)

#: Screen pixels that a video and the label above it need.
_NARROWEST = 84


def moving_picture(
    images: list,
    alt: str,
    fps: float,
    *,
    width: int,
    least: int = 0,
    above: str = "",
    legend: Mapping[str, str] | None = None,
    pixelated: bool = False,
):
    """Pillow images as one moving picture inside the page, which readers can stop; an ``IPython.display.HTML``.

    Args:
        images: the frames, of one size.
        alt: what the picture shows, for those who cannot see it. Must not be empty.
        fps: frames a second.
        width: screen pixels, where the page has so many.
        least: screen pixels below which it is scrolled, not made smaller.
        above: HTML to stand above the picture.
        legend: {colour: what it stands for}, below the picture.
        pixelated: enlarge without smoothing.

    On paper, and for readers who ask their system for less motion, the last frame stands in its place.
    """
    from IPython.display import HTML

    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the moving picture shows")

    def image(kind: str, data: bytes) -> str:
        rendering = ' style="image-rendering:pixelated"' if pixelated else ""
        source = f"data:image/webp;base64,{base64.b64encode(data).decode()}"
        return f'<img class="{kind}" src="{source}" alt="{html.escape(alt)}"{rendering}>'

    square = '<span><span aria-hidden="true" style="color:{}">&#9632;</span> {}</span>'
    words = "".join(square.format(colour, html.escape(meaning)) for colour, meaning in (legend or {}).items())
    return HTML(
        f'<figure class="vrnn3d-animation" style="width:{width}px;max-width:100%;margin:1em 0"><style>{_STOPPABLE}</style>'
        f'<div style="overflow-x:auto"><div style="min-width:{min(width, least)}px">'
        f"{above}{image('moving', webp(images, fps))}{image('still', webp(images[-1:], fps))}</div></div>"
        f'<figcaption>{words}<label><input type="checkbox"> stop</label></figcaption></figure>'
    )


def animation(rows: Mapping[str, Any], alt: str, fps: float = 8, scale: int = 3, context: int | None = None):
    """Videos side by side as one moving picture inside the page (:func:`moving_picture`); an ``IPython.display.HTML``.

    Args:
        rows: {label: video}, as for :func:`strip`; labels are written above.
        alt: what the picture shows, for those who cannot see it. Must not be empty.
        fps: frames a second.
        scale: screen pixels per video pixel.
        context: number of frames given to the model: their border is grey, that of the frames to predict orange.
    """
    images, (columns, cell) = _montage(rows, 1, context, len(rows), lettered=False)
    captions = "".join(f"<span>{html.escape(label)}</span>" for label in rows)
    above = (
        f'<div style="display:grid;grid-template-columns:repeat({columns},minmax(0,1fr));gap:0 .3em;align-items:end;'
        f'text-align:center;font-size:.75em;line-height:1.25;overflow-wrap:break-word">{captions}</div>'
    )
    legend = (
        {CONTEXT: "frames given", PREDICTED: "frames to predict"} if context is not None and context < len(images) else None
    )
    width = columns * cell * scale
    return moving_picture(images, alt, fps, width=width, least=columns * _NARROWEST, above=above, legend=legend, pixelated=True)


def save_animation(
    rows: Mapping[str, Any],
    path: str | os.PathLike,
    fps: float = 8,
    scale: int = 3,
    context: int | None = None,
    columns: int | None = None,
) -> Path:
    """The moving picture of :func:`animation` as a WebP, GIF or MP4 file, labels drawn into it; returns the path written.

    `columns` is the number of videos in a line (default: up to six). The file appears whole or not at all.

    Raises:
        ValueError: for another suffix than those of `ANIMATIONS`, a scale below 1, or no frames a second.
    """
    path = Path(path)
    if path.suffix.lower() not in ANIMATIONS:
        raise ValueError(f"{path.name} does not end in one of: {' '.join(ANIMATIONS)}")
    if scale < 1:
        raise ValueError(f"scale is {scale}; it must be a whole number of at least 1")
    _check_rate(fps)
    columns = min(len(rows) or 1, columns or 6)
    data = ANIMATIONS[path.suffix.lower()](_montage(rows, scale, context, columns, lettered=True)[0], fps)
    return atomic_write(path, lambda temporary: temporary.write_bytes(data))


def _gif(images: list, fps: float) -> bytes:
    buffer = io.BytesIO()
    first, *rest = [image.convert("RGB") for image in images]
    first.save(buffer, "GIF", save_all=True, append_images=rest, duration=round(1000 / fps), loop=0)
    return buffer.getvalue()


def _mp4(images: list, fps: float) -> bytes:
    from fractions import Fraction

    import av

    buffer = io.BytesIO()
    width, height = (side + side % 2 for side in images[0].size)  # the format wants even sides
    with av.open(buffer, "w", format="mp4") as container:
        stream = container.add_stream("h264", rate=Fraction(fps).limit_denominator(1001))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for image in images:
            opaque = image.convert("RGB").crop((0, 0, width, height))
            container.mux(stream.encode(av.VideoFrame.from_image(opaque)))
        container.mux(stream.encode())
    return buffer.getvalue()


#: What writes a moving picture, by the suffix of the file.
ANIMATIONS = {".webp": webp, ".gif": _gif, ".mp4": _mp4}
