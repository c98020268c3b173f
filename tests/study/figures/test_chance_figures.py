"""Figures of the chapter on chance: every forecaster is drawn, told apart, and shown on the same sequences."""

from __future__ import annotations

import numpy as np
import pytest
from study.chance.made import analysis, oracle

from vrnn3d.study.chance.record import ORACLE
from vrnn3d.study.figures import chance as pictures

NAMES = ("chance_kl_pq_z_p", "chance_kl_pq_z_q", "chance_kl_ll_z_q", "chance_no_latent")


def found(part):
    return {(name, name): part(analysis(name)) for name in NAMES} | {(ORACLE, "oracle"): part(oracle())}


def test_forecasters_that_meet_in_a_figure_look_different():
    looks = [str(pictures.look(name)) for name in (ORACLE, *NAMES)]
    assert len(set(looks)) == len(looks)


def test_calibration_draws_a_histogram_and_a_coverage_of_each():
    figure = pictures.calibration(found(lambda a: a.calibration["position"]), "position")
    left, right = figure.axes
    assert len(left.lines) == len(right.lines) == 1 + 5
    assert left.lines[1].get_ydata() == pytest.approx((0.25,) * 4)
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [*NAMES, "oracle"]


def test_spread_draws_variance_and_error_on_one_scale():
    figure = pictures.spread(found(lambda a: a.spread))
    left, right = figure.axes
    assert list(left.lines[1].get_xdata()) == [-1, 0, 1] and list(left.lines[1].get_ydata()) == [0.0, 10.0, 10.0]
    assert list(right.lines[1].get_ydata()) == [1.0, 10.0, 10.0]
    assert left.get_ylim() == right.get_ylim()


def test_probes_have_a_line_for_each_latent_and_one_for_the_frames():
    a = analysis("chance_kl_ll_z_q")
    kinds = {kind: [a.probe[kind]] * 2 for kind in ("posterior", "prior")}
    figure = pictures.probes([("chance_kl_ll_z_q", "KL-LL", kinds)], oracle().probe["frames"])
    labels = [text.get_text() for text in figure.axes[0].get_yticklabels()]
    assert labels == ["the frames themselves", "KL-LL: posterior", "KL-LL: prior"]
    alone = pictures.probes([], oracle().probe["frames"])
    assert len(alone.axes[0].get_yticklabels()) == 1


def clips(truth, *samples):
    return {"truth": np.array([truth]), "sample": np.array([samples]), "context": np.array(2)}


def test_equal_samples_are_shown_once_and_others_numbered():
    truth = np.zeros((5, 1, 4, 4), np.uint8)
    one, other = np.full((3, 1, 4, 4), 1, np.uint8), np.full((3, 1, 4, 4), 2, np.uint8)
    rows = pictures.sample_rows({"oracle": clips(truth, one, other), "no latent": clips(truth, one, one)}, 0)
    assert list(rows) == ["truth", "oracle, 1", "oracle, 2", "no latent"]
    assert rows["oracle, 2"].max() == 2


def test_different_sequences_are_refused():
    one, other = np.zeros((5, 1, 4, 4), np.uint8), np.ones((5, 1, 4, 4), np.uint8)
    with pytest.raises(ValueError, match="no latent shows another sequence"):
        pictures.sample_rows({"oracle": clips(one, one[:3]), "no latent": clips(other, one[:3])}, 0)
