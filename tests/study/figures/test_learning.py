"""Learning curves of many systems on one axis."""

from __future__ import annotations

import dataclasses
import io

import matplotlib
import matplotlib.pyplot as plt
import pytest
from synthetic import record

from vrnn3d.study.figures import learning, style

matplotlib.use("Agg")


@pytest.fixture(autouse=True)
def clean():
    with matplotlib.rc_context():
        style.use_style()
        yield
    plt.close("all")


def test_where_a_training_was_taken_up_again_is_told():
    one = dataclasses.replace(learned(title="the longest"), experiment="beyond_by_frame_400k", profile="half")
    assert learning.taken_up_in_words([learned(), one]) == (
        "the longest jumps where its training was taken up again, at 100,000 and 200,000 sequences."
    )
    assert learning.taken_up_in_words([learned()]) == ""


def learned(experiment="vrnn3d_kl", seed=0, end=12.0, black=30.0, first=25.0, **more):
    curves = {"validation_sequences": (500.0, 1000.0), "validation_mse": (first, end)}
    return record(experiment, seed, curves=curves, black=black, **more)


def drawn(axes):
    return [(list(line.get_xdata()), list(line.get_ydata())) for line in axes.lines if len(line.get_xdata())]


def test_every_seed_has_a_line_and_every_system_a_colour():
    records = [learned(), learned(seed=1, end=13.0), learned("convlstm2d", end=9.0)]
    (axes,) = learning.learning_curves(records, protocol="10->3").axes
    assert sorted(y[-1] for _, y in drawn(axes)) == [9.0, 12.0, 13.0]
    labels = [text.get_text() for text in axes.get_legend().get_texts()]
    assert labels == ["2D ConvLSTM", "3D VRNN, KL"], "the lowest first, seeds together"
    colours = {matplotlib.colors.to_hex(line.get_color()) for line in axes.lines if len(line.get_xdata())}
    assert colours == {style.colour("vrnn3d_kl"), style.colour("convlstm2d")}


@pytest.mark.parametrize(
    ("x", "end", "label"),
    [
        ("sequences", 1000.0, "training sequences"),
        ("cpu_hours", 4.0, "CPU hours of training"),  # two hours of two threads
        ("gigaflops", 1000 * 2 / 1e6, "useful operations of the training (PFLOP)"),
    ],
)
def test_a_training_is_measured_by_sequences_hours_or_operations(x, end, label):
    (axes,) = learning.learning_curves(learned(seconds=7200.0), x, protocol="10->3").axes
    ((across, _),) = drawn(axes)
    assert across == pytest.approx([end / 2, end]) and axes.get_xlabel() == label


def test_the_axis_on_the_right_is_in_percent_of_black_frames():
    (axes,) = learning.learning_curves(learned(), protocol="10->3").axes
    (right,) = axes.child_axes
    axes.figure.savefig(io.BytesIO())
    low, high = right.get_ylim()
    assert (low, high) == pytest.approx([100 * end / 30.0 for end in axes.get_ylim()])
    assert right.get_ylabel() == "percent of a black frame"
    (axes,) = learning.learning_curves(learned(black=None), protocol="10->3").axes
    assert not axes.child_axes, "nobody knows how dark these are"


def test_what_is_far_worse_than_black_frames_is_cut_off():
    (axes,) = learning.learning_curves([learned(first=61.0), learned("convlstm2d")], protocol="10->3").axes
    assert axes.get_ylim()[0] < 12.0 and axes.get_ylim()[1] == pytest.approx(33.0)
    (axes,) = learning.learning_curves(learned(first=20.0), protocol="10->3").axes
    assert 20 < axes.get_ylim()[1] < 25


@pytest.mark.parametrize(
    ("records", "x", "message"),
    [
        ([], "sequences", "no records to draw"),
        ([learned()], "epochs", "x is 'epochs', but must be one of: sequences, cpu_hours, gigaflops"),
        ([record()], "sequences", "the record paper/vrnn3d_kl_ll/seed0 has no validation curve"),
        ([learned(device="NVIDIA H200")], "cpu_hours", "was trained on NVIDIA H200, not on a processor"),
        (
            [learned(), learned("convlstm2d", black=170.0)],
            "sequences",
            "from 30.0 to 170.0: these records are of different data",
        ),
    ],
)
def test_what_cannot_be_compared_is_told(records, x, message):
    with pytest.raises(ValueError, match=message):
        learning.learning_curves(records, x, protocol="10->3")


def test_operations_that_were_not_counted_are_told():
    uncounted = dataclasses.replace(learned(), gigaflops=None)
    with pytest.raises(ValueError, match="the operations of paper/vrnn3d_kl/seed0 were not counted"):
        learning.learning_curves(uncounted, "gigaflops")
