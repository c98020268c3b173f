"""Curves, intervals and predictions: they draw what the records say, and refuse what cannot be compared."""

from __future__ import annotations

import io

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image
from synthetic import record

from vrnn3d import show
from vrnn3d.evaluation import metrics
from vrnn3d.study.figures import curves, style

pytestmark = pytest.mark.slow  # draws

matplotlib.use("Agg")
OURS, CONVLSTM = "3D VRNN, KL-LL (the paper's)", "2D ConvLSTM"


@pytest.fixture(autouse=True)
def clean():
    with matplotlib.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_backgrounds_are_transparent():
    figure = curves.forest([{"label": "a", "estimate": 1.0}])
    buffer = io.BytesIO()
    figure.savefig(buffer)
    pixels = np.asarray(Image.open(buffer).convert("RGBA"))
    assert pixels[0, 0, 3] == 0 and (pixels[..., 3] == 0).mean() > 0.5


def test_a_notebook_shows_a_figure_once():
    # pyplot's own figures would be shown again at the end of the cell
    curves.per_frame(record(), "mse", "10->3")
    curves.forest([{"label": "a", "estimate": 1.0}])
    assert plt.get_fignums() == []


def test_labels_are_those_of_the_registry_and_say_what_is_better():
    assert curves.metric_label("ssim") == "SSIM (higher is better)"
    assert curves.metric_label("crps") == f"{metrics.METRICS['crps'].label} (lower is better)"
    assert curves.metric_label("sample_variance") == "sample variance"


def test_bad_input_is_told():
    with pytest.raises(ValueError, match="no records"):
        curves.per_frame([])
    with pytest.raises(ValueError, match="no estimates"):
        curves.forest([])
    with pytest.raises(ValueError, match="record paper/vrnn3d_kl_ll/seed0 has no mse of test, 10->10; evaluate it so"):
        curves.per_frame(record())


# --- predictions ------------------------------------------------------------------------------------------------------


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
    assert list(rows) == ["truth", CONVLSTM, OURS, f"{OURS}, mean"]
    assert np.array_equal(rows["truth"], held[0]["truth"][2])
    assert np.array_equal(rows[CONVLSTM], held[0]["sample"][2])
    assert np.array_equal(rows[f"{OURS}, mean"], held[1]["mean"][2])
    given = curves.predictions(runs, held, 7, given=True)
    assert {len(video) for video in given.values()} == {5}
    assert np.array_equal(given[CONVLSTM][:2], held[0]["truth"][2][:2])
    assert np.array_equal(given[CONVLSTM][2:], held[0]["sample"][2])
    show.strip(rows, context=2)


def test_sequences_beside_their_predictions():
    """The sequences that were chosen by their score are left out."""
    held = clips(3)
    rows = curves.beside_truth(record("vrnn3d_kl_ll"), held, number=9)
    assert list(rows) == ["truth 0", "predicted 0", "truth 1", "predicted 1"]
    assert np.array_equal(rows["truth 1"], held["truth"][1])
    assert np.array_equal(rows["predicted 1"], np.concatenate([held["truth"][1][:2], held["sample"][1]]))
    short = curves.beside_truth(record("vrnn3d_kl_ll"), held, number=1, ahead=1)
    assert {label: len(video) for label, video in short.items()} == {"truth 0": 3, "predicted 0": 3}


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


# --- curves -----------------------------------------------------------------------------------------------------------


def test_per_frame_curves():
    runs = [record(), record(seed=1), record("convlstm2d", profile="smoke")]
    (axes,) = curves.per_frame(runs, "mse", "10->3", paper={"convlstm2d": 82.2}).axes
    assert list(axes.lines[0].get_xdata()) == [11, 12, 13] and list(axes.lines[0].get_ydata()) == [20, 30, 40]
    labels = [t.get_text() for t in axes.get_legend().get_texts()]
    assert labels == [
        f"{OURS} [paper profile], seed 0",
        f"{OURS} [paper profile], seed 1",
        f"{CONVLSTM} [smoke profile]",
        "paper's average: 82.2",
    ]
    assert len(axes.collections) == 3  # the bands
    band = axes.collections[0].get_paths()[0].vertices[:, 1]
    assert (band.min(), band.max()) == (19, 41)
    assert axes.lines[3].get_ydata()[0] == 82.2


def full() -> dict:
    """The curves of a training of a stochastic model."""
    found: dict = {"sequences": (0.0, 10.0), "validation_sequences": (10.0,), "validation_mse": (3.0,), "beta": (0.0, 1.0)}
    names = ("loss", "l1", "l2", "latent", "log_std_prior", "log_std_posterior", "floor_fraction")
    return found | {name: (2.0, 1.0) for name in names}


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
