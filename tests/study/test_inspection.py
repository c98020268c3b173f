"""What is read off the models: shapes, clips, weights that never matter, gradients."""

from __future__ import annotations

from vrnn3d.study import inspection


def test_shapes_are_those_of_the_paper_s_figure():
    """[M/2, H/4, W/4, channels] behind the encoder."""
    shapes = inspection.step_shapes(window=4, size=32)
    assert shapes["encoder.layer2"] == (128, 2, 8, 8) and shapes["decoder"] == (1, 4, 32, 32)
    assert list(shapes) == list(inspection.PARTS)


def test_clips_hold_predictions_once_the_truth_has_run_out():
    assert inspection.clips_fed(2, 2, context=5, length=11) == [[True] * 2, [True] * 2, [True, False], [False] * 2, [False] * 2]
    assert inspection.clips_fed(2, 1, context=3, length=5) == [[True, True], [True, True], [True, False]]
    assert inspection.clips_fed(5, 5, context=5, length=10) == [[True] * 5]


def test_two_thirds_of_the_deep_kernels_meet_nothing_where_the_latent_clip_has_depth_1():
    shares = {window: inspection.unused_kernel_share(window, size=8) for window in (2, 4)}
    assert 0.5 < shares[2] < 2 / 3, "the first blocks are deeper than the latent clip"
    assert shares[4] < 0.1


def test_no_path_leads_from_the_reconstruction_to_the_posterior_under_z_p():
    p, q = (inspection.gradient_norms(wiring) for wiring in ("z_p", "z_q"))
    for part in ("posterior", "posterior_encoder"):
        assert p["reconstruction"][part] == 0 < q["reconstruction"][part]
        assert p["latent"][part] > 0 and q["latent"][part] > 0
    assert q["reconstruction"]["prior"] == 0 < p["reconstruction"]["prior"]
