from __future__ import annotations

import base64
import io
import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from vrnn3d.study.figures import curves
from vrnn3d import show
from vrnn3d.study.figures import style
from vrnn3d.study.figures import tables

METRICS_TITLE = {"convlstm2d": "2D ConvLSTM", "vrnn3d_kl_ll": "3D VRNN, KL-LL"}


@pytest.fixture(autouse=True)
def style():
    with matplotlib.rc_context():
        style.use_style()
        yield
    plt.close("all")


def clip(length=6, seed=0, size=16):
    return np.random.default_rng(seed).random((length, size, size)).astype(np.float32)


def record(experiment="vrnn3d_kl_ll", seed=0, profile="paper", curves=None):
    per_frame = [20.0, 30.0, 40.0]
    return {
        "experiment": experiment,
        "title": METRICS_TITLE[experiment],
        "profile": profile,
        "seed": seed,
        "training": {"curves": curves or {"sequences": [0, 100], "loss": [9.0, 5.0], "beta": [0.0, 1.0]}},
        "evaluation": {
            "train": {
                "10->3": {
                    "mse": {
                        "average": 30.0,
                        "per_frame": per_frame,
                        "per_frame_interval": [[v - 1, v + 1] for v in per_frame],
                    },
                    "sample_variance": {"average": 1.0, "per_frame": [1.0, 1.0, 1.0]},
                }
            }
        },
    }


def luminance(colour):
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    linear = np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4)
    return linear @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((luminance(a), luminance(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.mark.parametrize("page", ["#ffffff", "#14181e"])
def test_every_colour_reads_on_light_and_on_dark_pages(page):
    assert contrast(show.GREY, page) > 4
    for name, colour in style.COLOURS.items():
        assert contrast(colour, page) >= 3, name


def test_backgrounds_are_transparent():
    figure = curves.forest([{"label": "a", "estimate": 1.0}])
    buffer = io.BytesIO()
    figure.savefig(buffer)
    pixels = np.asarray(Image.open(buffer).convert("RGBA"))
    assert pixels[0, 0, 3] == 0 and (pixels[..., 3] == 0).mean() > 0.5


def test_a_notebook_shows_a_figure_once():
    # pyplot's own figures would be shown again at the end of the cell
    show.strip({"a": clip()})
    curves.loss_curves(record())
    curves.per_frame(record(), "mse", "10->3")
    curves.forest([{"label": "a", "estimate": 1.0}])
    assert plt.get_fignums() == []


def test_colours_are_fixed():
    assert style.colour("vrnn3d_kl_ll") == style.COLOURS["vrnn3d_kl_ll"]
    assert style.colour("something new") == style.colour("something new")


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
        for pattern in (r'src="data:image/webp;base64,([^"]+)', r'srcset="data:image/webp;base64,([^"]+)')
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
    with pytest.raises(ValueError, match="does not end in .webp"):
        show.save_animation({"a": clip()}, tmp_path / "x.gif")


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ({}, "no rows to show"),
        ({"a": clip()[0]}, "row 'a' has shape"),
        ({"a": np.zeros((3, 2, 8, 8))}, "1 or 3 channels"),
        ({"a": clip(), "b": clip(size=8)}, "'a' 16 x 16, 'b' 8 x 8"),
        ({"a": clip() * np.nan}, "NaN or infinite"),
    ],
)
def test_bad_videos_are_named(rows, message):
    with pytest.raises(ValueError, match=message):
        show.strip(rows)


def test_other_bad_input():
    with pytest.raises(ValueError, match="every is 0"):
        show.strip({"a": clip()}, every=0)
    with pytest.raises(ValueError, match="alt is empty"):
        show.animation({"a": clip()}, alt=" ")
    with pytest.raises(ValueError, match="fps is 0"):
        show.animation({"a": clip()}, alt="x", fps=0)
    with pytest.raises(ValueError, match="no records"):
        curves.per_frame([])
    with pytest.raises(ValueError, match="no estimates"):
        curves.forest([])
    with pytest.raises(ValueError, match="has no '10->10' on the way to evaluation / train / 10->10 / mse"):
        curves.per_frame(record())
    with pytest.raises(ValueError, match="no training curve latent"):
        curves.loss_curves(record(), panels=["latent"])


def clips(seed=0, context=2, indices=(0, 1, 7), truth=None):
    """What ``vrnn3d.evaluation.evaluate.examples`` returns: 2 frames given, 3 predicted, of three test sequences."""
    rng = np.random.default_rng(seed)
    if truth is None:
        truth = np.random.default_rng(99).integers(0, 256, (3, 5, 1, 8, 8), np.uint8)
    predicted = {kind: rng.integers(0, 256, (3, 3, 1, 8, 8), np.uint8) for kind in ("sample", "mean")}
    return {"indices": np.array(indices), "first": np.array(2), "context": np.array(context), "truth": truth, **predicted}


def test_predictions_of_several_models_stand_below_one_truth():
    runs, held = [record("convlstm2d"), record("vrnn3d_kl_ll")], [clips(1), clips(2)]
    rows = curves.predictions(runs, held, 7, means=("vrnn3d_kl_ll",))
    assert list(rows) == ["truth", "2D ConvLSTM", "3D VRNN, KL-LL", "3D VRNN, KL-LL, mean"]
    assert np.array_equal(rows["truth"], held[0]["truth"][2])
    assert np.array_equal(rows["2D ConvLSTM"], held[0]["sample"][2])
    assert np.array_equal(rows["3D VRNN, KL-LL, mean"], held[1]["mean"][2])
    given = curves.predictions(runs, held, 7, given=True)
    assert {len(video) for video in given.values()} == {5}
    assert np.array_equal(given["2D ConvLSTM"][:2], held[0]["truth"][2][:2])
    assert np.array_equal(given["2D ConvLSTM"][2:], held[0]["sample"][2])
    show.strip(rows, context=2)


@pytest.mark.parametrize(
    "other, message",
    [
        (clips(2, truth=np.zeros((3, 5, 1, 8, 8), np.uint8)), "show different sequences as test sequence 7"),
        (clips(2, context=3), "show different sequences"),
        (clips(2, indices=(0, 1, 3)), "do not show test sequence 7; they hold"),
        ({k: v for k, v in clips(2).items() if k != "truth"}, "do not show test sequence 7"),
    ],
)
def test_predictions_of_different_sequences_are_refused(other, message):
    with pytest.raises(ValueError, match=message):
        curves.predictions([record("convlstm2d"), record("vrnn3d_kl_ll")], [clips(1), other], 7)


def test_per_frame_curves():
    figure = curves.per_frame(
        [record(), record(seed=1), record("convlstm2d", profile="smoke")], "mse", (10, 3), paper={"convlstm2d": 82.2}
    )
    (axes,) = figure.axes
    assert list(axes.lines[0].get_xdata()) == [11, 12, 13] and list(axes.lines[0].get_ydata()) == [20, 30, 40]
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == [
        "3D VRNN, KL-LL [paper profile], seed 0",
        "3D VRNN, KL-LL [paper profile], seed 1",
        "2D ConvLSTM [smoke profile]",
        "paper's average: 82.2",
    ]
    assert len(axes.collections) == 3  # the bands
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (19, 41)
    assert axes.lines[3].get_ydata()[0] == 82.2
    assert not curves.per_frame(record(), "sample_variance", "10->3").axes[0].collections


def test_loss_curves_have_a_panel_per_quantity():
    full = {"sequences": [0, 10], "validation_sequences": [10]}
    full |= {k: [2.0, 1.0] for k in ("loss", "l1", "l2", "latent")}
    full |= {k: [2.0, 1.0] for k in ("log_std_prior", "log_std_posterior", "floor_fraction")}
    full |= {"validation_mse": [3.0], "beta": [0.0, 1.0]}
    figure = curves.loss_curves(record(curves=full))
    assert len(figure.axes) == 8 and not figure.legends
    assert [a.get_title() for a in figure.axes][:2] == ["training loss", "L1 per frame"]
    both = curves.loss_curves([record(curves=full), record("convlstm2d")])
    assert len(both.axes[0].lines) == 2 and len(both.axes[3].lines) == 1  # no latent loss in a deterministic model
    assert [t.get_text() for t in both.legends[0].get_texts()] == ["3D VRNN, KL-LL", "2D ConvLSTM"]
    assert len(curves.loss_curves(record(curves=full), panels=["beta"]).axes) == 1


def test_a_forest_keeps_the_order_of_its_rows():
    rows = [
        {"label": "first", "estimate": 39.0, "interval": (38.0, 40.5), "paper": 39.4, "note": "seed 0"},
        {"label": "second", "estimate": 80.0},
    ]
    figure = curves.forest(rows, "MSE", reference=50.0)
    (axes,) = figure.axes
    assert [t.get_text() for t in axes.get_yticklabels()] == ["first", "second"]
    assert axes.get_ylim()[0] > axes.get_ylim()[1]  # the first on top
    assert [list(line.get_xdata()) for line in axes.lines] == [[50, 50], [38.0, 40.5], [39.0], [39.4], [80.0]]
    assert axes.get_xlabel() == "MSE" and len(figure.legends) == 1


def test_tables():
    pandas = pytest.importorskip("pandas")
    columns = pandas.MultiIndex.from_tuples(
        [("10 → 10", "SSIM", "paper"), ("10 → 10", "SSIM", "ours"), ("10 → 10", "MSE", "difference")]
    )
    frame = pandas.DataFrame(
        [[0.896, float("nan"), -1.25], [float("nan"), 0.9, 2.0]], pandas.Index(["a < b", "c"], name="model"), columns
    )
    page = tables.table_html(frame, caption="A & B").data
    assert page.count("<tr>") == 3 + 2
    assert 'colspan="3" style="text-align:center">10 → 10<' in page
    assert 'colspan="2" style="text-align:center">SSIM<' in page
    assert 'rowspan="3"' in page and "<caption>A &amp; B</caption>" in page and "a &lt; b" in page
    cells = re.findall(r"<td[^>]*>([^<]*)</td>", page)
    assert cells == ["0.896", "not run", "\N{MINUS SIGN}1.2", "", "0.900", "+2.0"]
    page = tables.table_html([{"claim": "C1", "count": 12942000, "why": "<b>"}]).data
    assert re.findall(r"<td[^>]*>([^<]*)</td>", page) == ["C1", "12,942,000", "&lt;b&gt;"]


def test_the_package_draws_the_published_table():
    pytest.importorskip("pandas")
    from vrnn3d.study import results

    page = tables.table_html(results.table1([])).data
    assert page.count("not run") == len(results.TABLE1) * (2 * len(results.PROTOCOLS) + 1)
    assert "39.4" in page and "0.896" in page


def test_paper_and_ours_on_two_lines():
    pandas = pytest.importorskip("pandas")
    nan = float("nan")
    values = {
        ("parameters", "million", "paper"): [12.9, nan],
        ("parameters", "million", "ours"): [12.94, 12.94],
        ("", "", "seeds"): [2, 1],
        ("10 → 10", "SSIM", "paper"): [0.896, nan],
        ("10 → 10", "SSIM", "ours"): [0.85, 0.95],
        ("10 → 10", "SSIM", "difference"): [-0.046, nan],
        ("10 → 10", "MSE", "paper"): [39.4, nan],
        ("10 → 10", "MSE", "ours"): [nan, 20.0],
        ("10 → 10", "MSE", "difference"): [nan, nan],
    }
    frame = pandas.DataFrame(values, index=["<a>", "b"])
    page = tables.comparison_html(frame, "Title").data
    rows = [re.findall(r"<td[^>]*>([^<]*)</td>", row) for row in page.split("<tbody>")[1].split("</tr>")[:-1]]
    assert rows == [
        ["the paper", "12.9", "0.896", "39.4"],
        ["ours, 2 seeds", "12.9", "0.850 (\N{MINUS SIGN}0.046)", "not run"],
        ["the paper", "", "", ""],
        ["ours", "12.9", "0.950", "20.0"],
    ]
    assert page.count('rowspan="2"') == 2 and "&lt;a&gt;" in page and 'colspan="2"' in page
