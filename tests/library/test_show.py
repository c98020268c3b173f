"""Strips and moving pictures: every frame where it belongs, words that can be read, and animations that can be stopped."""

from __future__ import annotations

import base64
import io
import re

import matplotlib
import numpy as np
import pytest
import torch
from browser import Browser, needs_chromium
from PIL import Image

from vrnn3d import show

matplotlib.use("Agg")


def clip(length=6, seed=0, size=16):
    return np.random.default_rng(seed).random((length, size, size)).astype(np.float32)


def luminance(colour):
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


def test_words_can_be_read():
    assert all(contrast(show.GREY, page) > 4.2 for page in ("#ffffff", "#14181e")), "as well as one grey can on both"
    assert contrast(show.ON_LABEL, show.LABEL) >= 4.5


def test_a_figure_is_shown_once():
    # pyplot's own figures would be shown again at the end of a notebook's cell
    import matplotlib.pyplot as plt

    show.strip({"a": clip()})
    assert plt.get_fignums() == []


def test_a_strip_shows_every_frame_where_it_belongs():
    video = clip(6)
    figure = show.strip({"truth": video, "prediction": video[4:]}, start=1, context=4, title="A title")
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["truth", "prediction"]
    assert [t.get_text() for t in axes.get_xticklabels()] == list("123456")
    assert axes.get_title() == "A title"
    picture = axes.images[0].get_array()
    gap = 2
    assert picture.shape == (16 * 2 + gap, 16 * 6 + gap * 5, 4)
    shown = np.round(video * 255)
    for j in range(6):
        at = slice(j * 18, j * 18 + 16)
        np.testing.assert_array_equal(picture[:16, at, 0], shown[j])
        if j < 4:
            assert (picture[18:, at, 3] == 0).all()  # the prediction begins after its context
        else:
            np.testing.assert_array_equal(picture[18:, at, 1], shown[j])
    (rule,) = axes.lines
    assert rule.get_xdata()[0] == 4 * 18 - 1  # in the gap between frames 4 and 5
    # a whole number of screen pixels per video pixel
    assert (figure.get_figwidth() * figure.dpi / picture.shape[1]) % 1 == pytest.approx(0, abs=1e-6)


def test_a_strip_may_skip_frames_and_take_tensors_bytes_and_colour():
    figure = show.strip(
        {
            "tensor": torch.rand(5, 1, 16, 16),
            "bytes": (clip(5) * 255).astype(np.uint8),
            "colour": torch.rand(5, 3, 16, 16).bfloat16(),
        },
        start=11,
        every=2,
        context=3,
    )
    assert [t.get_text() for t in figure.axes[0].get_xticklabels()] == ["11", "13", "15"]
    # frames 11 to 13 are context: two of the three columns
    assert figure.axes[0].lines[0].get_xdata()[0] == 2 * 18 - 1


def test_an_animation_is_one_moving_picture_with_words():
    video = clip(5)
    page = show.animation({"truth": video, "a & b": video[2:]}, alt='two "digits"', context=2, scale=4).data
    assert "a &amp; b" in page and 'alt="two &quot;digits&quot;"' in page and "image-rendering:pixelated" in page
    assert "prefers-reduced-motion" in page and "frames to predict" in page
    moving, still = (
        Image.open(io.BytesIO(base64.b64decode(re.search(pattern, page).group(1))))
        for pattern in (r'"moving" src="data:image/webp;base64,([^"]+)', r'"still" src="data:image/webp;base64,([^"]+)')
    )
    assert (moving.n_frames, getattr(still, "n_frames", 1)) == (5, 1)
    cell = 16 + 2 * (2 + 2)
    assert moving.size == (2 * cell, cell) and f"width:{2 * cell * 4}px" in page
    for t in (0, 3):
        moving.seek(t)
        pixels = np.asarray(moving.convert("RGBA"))
        np.testing.assert_array_equal(pixels[4:20, 4:20, 0], np.round(video[t] * 255))  # lossless
        border = matplotlib.colors.to_rgb(show.CONTEXT if t < 2 else show.PREDICTED)
        np.testing.assert_allclose(pixels[2, 10, :3] / 255, border, atol=0.01)
        assert pixels[0, 0, 3] == 0
        assert (pixels[10, cell + 10, 3] == 0) == (t < 2)  # the shorter row is empty before it begins


def test_an_animation_file_is_written_whole(tmp_path):
    path = show.save_animation({f"row {i}": clip(3, i) for i in range(7)}, tmp_path / "new" / "x.webp", scale=2)
    assert [p.name for p in path.parent.iterdir()] == ["x.webp"]
    image = Image.open(path)
    cell_w, cell_h = 32 + 2 * 7, 32 + 2 * 7 + 16
    assert image.n_frames == 3 and image.size == (6 * cell_w, 2 * cell_h)
    image.seek(1)
    pixels = np.asarray(image.convert("RGBA"))
    seventh = pixels[cell_h + 4 + 16 + 3 :, 4 + 3 :, 0][:32:2, :32:2]
    np.testing.assert_array_equal(seventh, np.round(clip(3, 6)[1] * 255))
    assert (pixels[: 4 + 14, :cell_w, 3] > 0).any()  # the label
    with pytest.raises(ValueError, match="x.png does not end in one of: .webp .gif .mp4"):
        show.save_animation({"a": clip()}, tmp_path / "x.png")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "no rows to show"),
        ({"a": clip()[0]}, "row 'a' has shape"),
        ({"a": np.zeros((3, 2, 8, 8))}, "1 or 3 channels"),
        ({"a": clip(), "b": clip(size=8)}, "'a' 16 x 16, 'b' 8 x 8"),
        ({"a": clip() * np.nan}, "NaN or infinite"),
        ({"a": (clip() * 255).astype(np.int64)}, "row 'a' holds int64; a video holds floats in .0, 1., or uint8: convert"),
        ({"a": torch.ones(3, 8, 8, dtype=torch.int16)}, "row 'a' holds int16"),
        ({"a": clip().astype(complex)}, "row 'a' holds complex128"),
    ],
)
def test_bad_videos_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        show.strip(rows)


@pytest.mark.parametrize("suffix", show.ANIMATIONS)
@pytest.mark.parametrize("fps", [0, -1, np.nan, np.inf])
def test_an_animation_has_a_number_of_frames_a_second(tmp_path, suffix, fps):
    with pytest.raises(ValueError, match=f"fps is {fps}; it must be above 0 frames a second, and finite"):
        show.save_animation({"a": clip(2)}, tmp_path / f"a{suffix}", fps=fps)
    assert not list(tmp_path.iterdir())


def test_true_and_false_are_shown_as_white_and_black():
    white = np.tri(8, dtype=bool)
    shown = show.strip({"a": white[None]}).axes[0].images[0].get_array()
    np.testing.assert_array_equal(shown[..., 0], white * 255)


def test_other_bad_input():
    with pytest.raises(ValueError, match="every is 0"):
        show.strip({"a": clip()}, every=0)
    with pytest.raises(ValueError, match="alt is empty"):
        show.animation({"a": clip()}, alt=" ")
    with pytest.raises(ValueError, match="fps is 0"):
        show.animation({"a": clip()}, alt="x", fps=0)


@pytest.mark.slow
@needs_chromium
@pytest.mark.parametrize("width", [390, 1400])
def test_labels_of_an_animation_do_not_run_into_each_other(width, tmp_path):
    names = [
        "truth",
        "Variational 3D ConvLSTM",
        "PredRNN++",
        "E3D-LSTM",
        "2D ConvLSTM",
        "ConvLSTM, beyond the paper, a frame a step",
    ]
    page = show.animation({name: clip(2, size=32) for name in names}, alt="x").data
    (tmp_path / "page.html").write_text(
        f"<!doctype html><html lang='en'><meta charset='utf-8'><body style='font: 16px sans-serif'>{page}", encoding="utf-8"
    )
    with Browser() as browser:
        browser.open(tmp_path / "page.html", width)
        assert browser.evaluate("document.documentElement.scrollWidth") <= width, "it scrolls in its own box"
        words = """[...document.querySelectorAll('figure span')].slice(0, 6).map((e) => {
            const range = document.createRange(); range.selectNodeContents(e);
            const {left, right} = range.getBoundingClientRect(); return [left, right] })"""
        ends = browser.evaluate(words)
    assert len(ends) == 6 and all(right + 2 <= left for (_, right), (left, _) in zip(ends, ends[1:]))


def test_an_animation_can_be_stopped_and_stands_still_on_paper():
    page = show.animation({"a": clip()}, alt="x").data
    assert '<label><input type="checkbox"> stop</label>' in page
    assert ":has(:checked) .moving{display:none}" in page and "@media print" in page and "prefers-reduced-motion" in page


def test_a_moving_picture_may_have_a_legend():
    page = show.moving_picture([Image.new("RGBA", (4, 4))] * 2, "x", 5, width=40, legend={"#123456": "a < b"}).data
    assert 'style="color:#123456"' in page and "a &lt; b" in page and "width:40px" in page
