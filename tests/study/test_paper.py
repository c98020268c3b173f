"""The paper's printed numbers, and the black frame they are measured against."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch

from vrnn3d.data import build
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.study import paper


def test_spot_checks_against_the_tables():
    assert paper.ROWS["vrnn3d_kl_ll"].scores["10->10"] == (0.896, 39.4)
    assert paper.ROWS["e3d_lstm"].scores["10->20"].mse == 47.6
    assert paper.ROWS["improved_vrnn"].scores["5->15"].ssim == 0.728
    assert paper.ROWS["predrnnpp"].parameters == 15.4e6
    assert set(paper.TABLE1) | set(paper.TABLE3) == set(paper.ROWS)
    assert all(tuple(row.scores) == paper.PROTOCOLS for row in paper.ROWS.values())
    assert all(anchor.mse > 0 and 0.9 < anchor.ssim < 1 for anchor in paper.ANCHORS)


def test_what_a_step_of_its_tables_changes():
    assert paper.change("vrnn3d_kl", "vrnn3d_kl_ll") == pytest.approx(39.4 / 41.8 - 1)
    assert paper.change("convlstm2d", "vrnn2d", "10->20") == pytest.approx(83.5 / 112.3 - 1)
    assert paper.change("convlstm3d", "vrnn3d_kl") is None, "it has no such row"


def test_what_the_paper_prints_against_itself():
    assert paper.worse_than_black() == [("improved_vrnn", "10->20", 194.3)]
    assert paper.higher_ssim() == [("e3d_lstm", "10->10")]


@pytest.mark.parametrize("pool", ["train", "test"])
def test_a_black_frame_at_the_papers_size(pool):
    """200 sequences of the generator at 64 x 64 come within a few percent of the constant, whatever the digits."""
    frames = build(MovingMNISTData(), "test", pool=pool, length=20).batch(torch.arange(200)).float() / 255
    black = frames.square().sum((2, 3, 4)).mean().item()
    assert black == pytest.approx(paper.BLACK_64, rel=0.06)
    assert paper.percent_of_black(paper.BLACK_64) == pytest.approx(100)
    assert paper.percent_of_black(39.4) == pytest.approx(22.8, abs=0.1)


def test_it_needs_no_torch():
    code = "import sys, vrnn3d.study.paper; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_protocol_in_print():
    assert paper.arrow("10->20") == "10 \N{RIGHTWARDS ARROW} 20"
