"""The state of a training: the weight average, and what never reaches a checkpoint."""

from __future__ import annotations

import math
from types import SimpleNamespace

import pytest
import torch

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.training.state import State, TrainingDiverged, copied

DATA = SimpleNamespace(identity="x", source="here", description="Some data")


def state_of(experiment) -> State:
    torch.manual_seed(0)
    return State.start(checkpoint.model_of(experiment), experiment.train)


def test_the_average_holds_weights_and_statistics_alike():
    """Batch norm's statistics belong to the weights they were gathered with: both are averaged, counters are copied."""
    state = state_of(tiny(**{"train.ema": 0.99}))
    seen, shares = [copied(state.model)], []
    for step in range(1, 4):
        state.step = step
        with torch.no_grad():
            for value in state.model.state_dict().values():
                value += step if value.is_floating_point() else 1
        state.move_average(0.99)
        seen.append(copied(state.model))
        shares.append(1 - min(0.99, step / (9 + step)))
    for name, value in state.average.items():
        expected = seen[0][name]
        if not value.is_floating_point():
            assert torch.equal(value, seen[-1][name]), name
            continue
        for share, later in zip(shares, seen[1:]):
            expected = expected + share * (later[name] - expected)
        torch.testing.assert_close(value, expected, msg=name)
    assert any("running_mean" in name for name in state.average)


def test_the_average_is_validated_and_the_weights_come_back():
    state = state_of(tiny("convlstm2d", **{"train.ema": 0.5}))
    before = copied(state.model)
    for value in state.average.values():
        value.zero_()
    with state.validated_weights() as model:
        assert all(not value.any() for value in model.state_dict().values())
    assert all(torch.equal(value, before[name]) for name, value in state.model.state_dict().items())


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
@pytest.mark.parametrize("kind", ["weight", "running_var"])
def test_a_weight_that_is_not_finite_never_reaches_the_checkpoint(tmp_path, bad, kind):
    experiment = tiny(**{"train.ema": 0.9, "train.weights": "ema"})
    state = state_of(experiment)
    state.save(tmp_path, experiment, 0, DATA)
    good = (tmp_path / checkpoint.CHECKPOINT).read_bytes()
    name = next(name for name in state.model.state_dict() if name.endswith(kind))
    with torch.no_grad():
        state.model.state_dict()[name].view(-1)[-1] = bad
    with pytest.raises(TrainingDiverged, match="weight is no finite number"):
        state.save(tmp_path, experiment, 0, DATA)
    assert (tmp_path / checkpoint.CHECKPOINT).read_bytes() == good
    assert [path.name for path in tmp_path.iterdir()] == [checkpoint.CHECKPOINT]


def test_sums_outlive_what_they_were_made_of():
    """CUDA graphs overwrite what a call returned: a sum must be a tensor of its own."""
    state, term = state_of(tiny("copy_last")), torch.ones(())
    state.add({"loss": term})
    term.fill_(100)
    state.add({"loss": term})
    assert state.sums["loss"].item() == 101 and state.summed == 2
    state.clear_sums()
    assert state.sums == {} and state.summed == 0
