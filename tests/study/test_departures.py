"""The table of departures is read off a configuration: what changes there changes the row, and what differs has a reason."""

from __future__ import annotations

import pytest

from vrnn3d.config import override
from vrnn3d.study.departures import DIFFERENT, LACKING, LEFT_OPEN, SAME, departures
from vrnn3d.study.profiles import get

PAPER = get("vrnn3d_kl_ll", "paper")


def row(experiment, words):
    (found,) = [d for d in departures(experiment) if words in d.paper]
    return found


@pytest.mark.parametrize("profile", ["smoke", "half", "paper"])
@pytest.mark.parametrize("name", ["vrnn3d_kl_ll", "convlstm2d", "e3d_lstm", "beyond", "pixel_mean"])
def test_every_statement_has_an_answer_for_every_experiment(name, profile):
    rows = departures(get(name, profile))
    assert {"3.3", "4.1"} <= {d.section for d in rows}
    for found in rows:
        assert found.here and found.paper and found.kind in (SAME, DIFFERENT, LACKING, LEFT_OPEN)
        assert bool(found.why) == (found.kind != SAME), f"what departs has a reason, and nothing else: {found}"


@pytest.mark.parametrize(
    ("words", "changes", "here"),
    [
        ("Speeds are drawn", {"data.speed": "fixed"}, "one speed"),
        ("1,000 validation", {"data.online": True}, "endless fresh sequences"),
        ("1,000 validation", {"data.sequences": (500, 50, 70)}, "500, 50 and 70"),
        ("first 5 or 10", {"train.context": (10,)}, "contexts of 10,"),
        ("50 predictions", {"eval.samples": 7}, "7 predictions"),
        ("L1 + L2", {"loss.l1": 0.0}, "L1 weight 0, L2 weight 1"),
        ("2-block", {"model.options.stages": 4}, "4 stages"),
    ],
)
def test_what_a_configuration_changes_is_told(words, changes, here):
    assert row(PAPER, words).kind == SAME
    changed = row(override(PAPER, changes), words)
    assert changed.kind == DIFFERENT and here in changed.here
