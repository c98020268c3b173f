"""Experiments so small that a test can train them: 16 x 16 pixels, a handful of sequences, networks of a few channels."""

from __future__ import annotations

from typing import Any

from vrnn3d import config
from vrnn3d.config import Eval, Experiment, Loss, Model, Train
from vrnn3d.data.settings import MovingMNISTData

#: Keyword arguments that make each network of the package a small one.
SMALL: dict[str, dict[str, Any]] = {
    "vrnn3d": dict(widths=(4, 8), hidden=8, latent=2, head=4),
    "vrnn2d": dict(widths=(4, 8), hidden=8, latent=2),
    "convlstm2d": dict(widths=(4, 8), hidden=8),
    "predrnnpp": dict(hidden=(8, 8), kernel=3),
    "e3d_lstm": dict(hidden=(8, 8), kernel=3),
    "improved_vrnn": dict(hidden=4, levels=4, latent=2, context=3),
}

#: Window and horizon where they are not 1 and 1.
WINDOWS = {"vrnn3d": (2, 2), "e3d_lstm": (2, 1)}


def tiny(model: str = "vrnn3d", **changes: Any) -> Experiment:
    """An experiment of six updates of four sequences; `changes` are settings, as {"train.lr": 0.01}."""
    window, horizon = WINDOWS.get(model, (1, 1))
    experiment = Experiment(
        "tiny",
        "test",
        "A tiny experiment",
        data=MovingMNISTData(size=16, digit_size=8, length=12, sequences=(10, 4, 6), speed_range=(1.0, 2.0)),
        model=Model(model, window, horizon, SMALL.get(model, {})),
        loss=Loss(l1=0.0),
        train=Train(
            sequences=24,
            batch=4,
            lr=3e-3,
            lr_warmup=0.1,
            context=(5, 6),
            forcing_end=0.3,
            validate_every=0.5,
            checkpoint_minutes=60.0,
        ),
        eval=Eval(protocols=((5, 5),), samples=2, sequences=3, batch=2),
    )
    return config.override(experiment, changes)


#: The name of the profile and of the queue of the fixture `mini`.
MINI = "mini"


def mini_profile():
    """A profile at which the rows of Table 3 and the baselines are trained within a second or two."""
    from vrnn3d.study.profiles import Profile

    return Profile(
        summary="two updates, for tests",
        scale="a test",
        everything={
            "train.sequences": 8,
            "train.batch": 4,
            "train.context": (5,),
            "train.validate_every": 0.0,
            "eval.protocols": ((5, 5),),
            "eval.samples": 2,
            "eval.sequences": 2,
            "eval.batch": 2,
        },
        by_data={
            "moving_mnist": {"data.size": 16, "data.digit_size": 8, "data.length": 12, "data.sequences": (8, 4, 4)},
        },
        by_model={name: {"model.options": options} for name, options in SMALL.items()},
        groups=("table3", "baselines", "losses", "tune"),
    )
