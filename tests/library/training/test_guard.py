"""A training that diverges: nothing that is not finite is kept, the last good checkpoint stays, the advice can be followed."""

from __future__ import annotations

import json
import math
import shlex

import pytest
import torch

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.cli import main
from vrnn3d.config import config_hash
from vrnn3d.losses import LATENT_LOSSES, VARIANTS
from vrnn3d.training.loop import TrainingDiverged, train

pytestmark = pytest.mark.slow  # every test trains


class Spoilt(torch.autograd.Function):
    """Zero, with a gradient that is no finite number."""

    @staticmethod
    def forward(context, x, bad):
        context.bad = bad
        return torch.zeros_like(x)

    @staticmethod
    def backward(context, gradient):
        return torch.full_like(gradient, context.bad), None


class Poison:
    """KL(q || p), of which after some training steps the value, or the gradient alone, is no finite number."""

    def __init__(self, bad: float, steps: int, where: str, calls_of_a_step: int):
        self.bad, self.left, self.where = bad, steps * calls_of_a_step, where

    def __call__(self, posterior, prior):
        nats = VARIANTS["kl_qp"](posterior, prior)
        self.left -= 1
        if self.left >= 0:
            return nats
        return nats * self.bad if self.where == "loss" else nats + Spoilt.apply(prior.mean, self.bad)


CALLS = 5  # of the latent loss in a training step: twelve frames, M = H = 2


def poisoned(monkeypatch, bad: float = math.nan, steps: int = 0, where: str = "loss", calls: int = CALLS) -> None:
    monkeypatch.setitem(LATENT_LOSSES, "poison", Poison(bad, steps, where, calls))


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize("where", ["loss", "gradient"])
@pytest.mark.parametrize("steps", [0, 2])
def test_no_checkpoint_is_written_after_a_loss_or_gradient_that_is_not_finite(tmp_path, monkeypatch, bad, where, steps):
    poisoned(monkeypatch, bad, steps, where)
    experiment = tiny(**{"loss.variant": "poison", "train.checkpoint_minutes": 0.0, "train.ema": 0.9, "train.weights": "ema"})
    with pytest.raises(
        TrainingDiverged, match=f"tiny diverged: the (loss|gradient norm) is (nan|inf) at update {steps + 1}"
    ) as told:
        train(experiment, 0, tmp_path, progress=False)
    if not steps:
        assert "no checkpoint was written yet; start anew with train.lr=0.001" in str(told.value)
        assert told.value.changes == {"train.lr": "0.001"} and not (tmp_path / checkpoint.CHECKPOINT).exists()
        return
    assert f"the last good checkpoint stays in {tmp_path}; go on from it with train.lr=0.001" in str(told.value)
    assert told.value.changes == {"train.lr": "0.001", "train.start": str(tmp_path)}
    state = checkpoint.load_state(tmp_path)
    assert state["step"] == steps
    kept = [value for part in ("model", "ema", "evaluated") for value in state[part].values()]
    kept += [value for value in state["optimiser"]["state"][0].values()]
    assert all(value.isfinite().all() for value in kept)
    model = checkpoint.load_run(tmp_path).model
    assert all(value.isfinite().all() for value in model.state_dict().values())


def test_a_last_update_that_spoils_the_weights_is_told(tmp_path):
    """Loss and gradient are finite, the weights after the only update are not."""
    changes = {"train.lr": 1e39, "train.lr_warmup": 0.0, "train.sequences": 4}
    for validate, told in (
        (0.0, "a weight is no finite number after update 1"),
        (1.0, "the validation error is nan at update 1"),
    ):
        with pytest.raises(TrainingDiverged, match=told):
            train(tiny("convlstm2d", **changes, **{"train.validate_every": validate}), 0, tmp_path, progress=False)
        assert not (tmp_path / checkpoint.CHECKPOINT).exists()


def test_a_rate_that_is_far_too_large_leaves_finite_weights_or_none(tmp_path):
    experiment = tiny(**{"train.lr": 1e6, "train.lr_warmup": 0.0, "train.clip": 0.0, "train.checkpoint_minutes": 0.0})
    with pytest.raises(TrainingDiverged):
        train(experiment, 0, tmp_path, progress=False)
    if (tmp_path / checkpoint.CHECKPOINT).exists():
        assert all(value.isfinite().all() for value in checkpoint.load_state(tmp_path)["evaluated"].values())


FEW = ["train.sequences=40", "train.batch=8", "data.sequences=[8,4,4]", "eval.sequences=2", "eval.samples=1", "eval.batch=2"]


@pytest.mark.slow
@pytest.mark.parametrize("steps", [0, 2])
def test_the_command_that_is_printed_can_be_typed_as_it_stands(tmp_path, monkeypatch, capsys, steps):
    """With a folder whose name has a blank, settings of the user's own, and another seed; it goes on from what was kept."""
    out = tmp_path / "my runs"
    settings = [*FEW, "loss.variant=poison", "train.checkpoint_minutes=0"]
    poisoned(monkeypatch, steps=steps, calls=9)  # twenty frames of M = H = 2
    assert main(["train", "vrnn3d_kl", "--seed", "5", "--quiet", "--device", "cpu", "--out", str(out), "--set", *settings]) == 1
    said = capsys.readouterr().err
    assert len(said.splitlines()) == 1 and "diverged" in said
    command = shlex.split(said[said.index(": vrnn3d train ") + 2 :])
    assert command[:2] == ["vrnn3d", "train"]

    poisoned(monkeypatch, steps=10**6)
    assert main(command[1:]) == 0
    assert "finished: 40 sequences" in capsys.readouterr().out
    finished = [json.loads(path.read_text()) for path in out.rglob("record.json")]
    assert len(finished) == 1 and finished[0]["seed"] == 5 and finished[0]["config"]["train"]["lr"] == 0.001
    if steps:
        (cut,) = [path.parent for path in out.rglob(checkpoint.CHECKPOINT) if not (path.parent / "record.json").exists()]
        theirs = checkpoint.load_run(cut).experiment
        assert finished[0]["parent"] == f"smoke/{theirs.name} ({config_hash(theirs)}, seed 5)"
    else:
        assert finished[0]["parent"] == ""
