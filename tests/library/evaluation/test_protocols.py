"""Protocols that the test data are too short for fall away before a training, and are named."""

from __future__ import annotations

import dataclasses
import warnings

import numpy as np
import pytest

from trials import tiny
from vrnn3d.config import Eval
from vrnn3d.data.settings import VideoData
from vrnn3d.evaluation.protocols import frames_of, name_of, with_fitting_protocols


def of_clips(folder, protocols, model="vrnn3d"):
    return dataclasses.replace(tiny(model), data=VideoData(path=str(folder), size=16, length=8), eval=Eval(protocols))


@pytest.fixture
def clips(tmp_path):
    """Three clips of nine frames."""
    for number in range(3):
        np.save(tmp_path / f"{number}.npy", np.full((9, 16, 16), 100 + number, np.uint8))
    return tmp_path


def test_what_fits_stays_and_the_rest_is_named(clips):
    with pytest.warns(UserWarning, match=r"only 3->4, 4->5 will be measured, and not 4->6, 3->8: none of the 1 test clips"):
        found = with_fitting_protocols(of_clips(clips, ((3, 4), (4, 6), (4, 5), (3, 8))))
    assert found.eval.protocols == ((3, 4), (4, 5))


def test_where_all_fit_nothing_changes_and_nothing_is_said(clips):
    for experiment in (of_clips(clips, ((3, 4), (4, 5))), tiny()):
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            assert with_fitting_protocols(experiment) is experiment


def test_where_none_fits_the_length_of_the_clips_is_told(clips):
    with pytest.raises(ValueError, match="none of the 1 test clips .* has 10 frames .the longest, .*, has 9"):
        with_fitting_protocols(of_clips(clips, ((5, 5), (5, 9))))


def test_a_window_longer_than_every_context_is_told(clips):
    with pytest.raises(ValueError, match="at most 1 frames, and the model's window has 2"):
        with_fitting_protocols(of_clips(clips, ((1, 4),)))


def test_what_is_wrong_with_the_clips_is_said_once(clips):
    (clips / "test").mkdir()
    (clips / "train").mkdir()
    for number in range(3):
        (clips / f"{number}.npy").rename(clips / ("test" if number else "train") / f"{number}.npy")
    (clips / "test" / "text.mp4").write_text("no video")
    np.save(clips / "train" / "second.npy", np.zeros((9, 16, 16), np.uint8))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with_fitting_protocols(of_clips(clips, ((3, 4), (3, 6), (3, 7))))
    assert sum("text.mp4" in str(warning.message) for warning in caught) == 1


def test_any_data_set_may_be_too_short(monkeypatch):
    """The public test file, for example, has twenty frames."""
    from vrnn3d.evaluation import protocols

    def build(settings, split, pool, length):
        if pool == "test" and length > 9:
            raise ValueError("it has 9 frames")

    monkeypatch.setattr(protocols, "build", build)
    experiment = dataclasses.replace(tiny(), eval=Eval(((5, 4), (5, 5))))
    with pytest.warns(UserWarning, match="only 5->4 will be measured, and not 5->5: it has 9 frames"):
        assert with_fitting_protocols(experiment).eval.protocols == ((5, 4),)


def test_a_name_tells_the_frames():
    assert frames_of(name_of(5, 15)) == (5, 15)


@pytest.mark.parametrize("text", ["", "10", "10->", "->10", "10->x", "10->10->10", "-1->3"])
def test_what_is_no_name_is_told(text):
    with pytest.raises(ValueError, match="is no protocol; write frames given and frames predicted as 10->20"):
        frames_of(text)
