"""Every row of the tables and every point of the ablations: the experiments of the study at the paper's own size.

An experiment is plain data. Its `group` says which part of the study it belongs to; ``profiles.get`` gives it at the size
of a profile, and ``queue`` says in which order the study runs them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from vrnn3d.config import Eval, Experiment, Loss, Model, Train
from vrnn3d.data.settings import KTHData, MovingMNISTData

LATENT_LOSSES = ("kl_pq", "kl_qp", "kl_ll", "kl_ll_half", "kl_ll_mirror", "kl_ll_balanced", "kl_ll_mean")
WIRINGS = ("z_p", "z_q")
#: The two losses of Table 3, with the weights and floors that are tried besides 1 and 0.1.
SWEPT_LOSSES, SWEPT_BETAS, SWEPT_FLOORS = ("kl_pq", "kl_ll"), (0.1, 0.01), (0.01, 1.0)
#: {(M, H) of Figure 6: experiment}, on digits and on people.
WINDOWS = {(m, h): f"window_M{m}_H{h}" for m, h in ((1, 1), (2, 1), (4, 1), (4, 2), (4, 4), (5, 5), (10, 5), (10, 10))}
KTH_WINDOWS = {(m, h): f"kth_{WINDOWS[m, h]}" for m, h in ((1, 1), (4, 1), (4, 4), (10, 10))}

_PAPER = Train(context=(5, 10), batch=16, lr_decay="cosine")
_VRNN = Model("vrnn3d", window=2, horizon=2)


def _single(name: str) -> Model:
    """A model that sees one frame and predicts the next."""
    return Model(name, window=1, horizon=1)


TABLE3 = (
    Experiment(
        "vrnn3d_kl_ll", "paper", "3D VRNN, KL-LL (the paper's)", "table3", model=_VRNN, loss=Loss("kl_ll"), train=_PAPER
    ),
    Experiment("vrnn3d_kl", "paper", "3D VRNN, KL", "table3", model=_VRNN, loss=Loss("kl_pq"), train=_PAPER),
    Experiment("convlstm2d", "paper", "2D ConvLSTM", "table3", model=_single("convlstm2d"), train=_PAPER),
    Experiment(
        "vrnn2d", "paper", "Variational 2D ConvLSTM", "table3", model=_single("vrnn2d"), loss=Loss("kl_pq"), train=_PAPER
    ),
    # The row that Table 3 lacks between its 2D and its variational 3D rows
    Experiment(
        "convlstm3d",
        "paper",
        "3D ConvLSTM (ours without z)",
        "table3",
        model=replace(_VRNN, options={"latent": 0}),
        train=_PAPER,
    ),
)

#: The paper's network with a step for each frame. The paper does not say which window its tables stand for, and finds that
#: on Moving MNIST a small one is better (Figure 6); the smallest has no depth left, in clips or in kernels.
BY_FRAME = tuple(
    replace(
        row,
        name=f"{row.name}_by_frame",
        title=row.title.removesuffix(" (the paper's)") + ", M = 1, H = 1",
        group="by_frame",
        model=replace(row.model, window=1, horizon=1),
    )
    for row in TABLE3
    if row.model.name == "vrnn3d"
)

# The rest of Table 1. Its papers train for 80,000 steps of 8 and of 4 sequences.
TABLE1 = (
    Experiment(
        "predrnnpp", "paper", "PredRNN++", "table1", model=_single("predrnnpp"), train=replace(_PAPER, sequences=640_000)
    ),
    Experiment(
        "e3d_lstm",
        "paper",
        "E3D-LSTM",
        "table1",
        model=Model("e3d_lstm", window=2, horizon=1),
        train=replace(_PAPER, sequences=320_000),
    ),
    Experiment(
        "improved_vrnn", "paper", "Improved VRNN", "table1", model=_single("improved_vrnn"), loss=Loss("kl_qp"), train=_PAPER
    ),
)

BASELINES = (
    Experiment("black", "paper", "Black frames", "baselines", model=_single("black"), train=_PAPER),
    Experiment("copy_last", "paper", "Copy the last frame", "baselines", model=_single("copy_last"), train=_PAPER),
    Experiment(
        "pixel_mean",
        "paper",
        "Mean of every pixel",
        "baselines",
        model=_single("pixel_mean"),
        loss=Loss(l1=0.0),  # under L1 it would go towards the median, which is black
        train=replace(_PAPER, lr=1e-2),
    ),
)

# The lowest error that the paper's network of the paper's width was brought to, as far as short half-scale runs tell (group
# "ideas"). It has no latent: what the digits do is determined, so that its noise only costs. Kernels of 1 x 5 x 5 reach
# further at the cost of 3 x 3 x 3, of which a clip of depth 1 leaves 9 taps alive. L1 has its least at the median, black.
_BEYOND_OPTIONS = {"init": "glorot", "recurrent_kernel": (1, 5, 5), "norm": "group"}
_BEYOND = Experiment(
    "beyond",
    "paper",
    "3D ConvLSTM, beyond the paper",
    "beyond",
    data=MovingMNISTData(online=True),
    model=replace(_VRNN, options={"latent": 0, **_BEYOND_OPTIONS}),
    loss=Loss(l1=0.0),
    train=replace(_PAPER, optimiser="muon", forcing_end=0.25),
)
BEYOND = (
    _BEYOND,
    # A step for each frame is twice as many, and no kernel has any depth left: the same network in two dimensions.
    replace(
        _BEYOND,
        name="beyond_by_frame",
        title="ConvLSTM, beyond the paper, a frame a step",
        model=replace(_BEYOND.model, window=1, horizon=1),
    ),
    # The same network with a latent that is listened to: where the posterior's sample is decoded in training, a sample commits
    # itself to one future and stays sharp, at the price of a higher squared error where it errs.
    replace(
        _BEYOND,
        name="beyond_by_frame_z_q",
        title="VRNN, beyond the paper, a frame a step, z_q decoded",
        model=replace(_VRNN, window=1, horizon=1, options={**_BEYOND_OPTIONS, "wiring": "z_q"}),
        loss=Loss("kl_pq", l1=0.0),
    ),
    # Twice the channels at half scale, where half precision makes them as fast as the narrow network is without it.
    replace(
        _BEYOND,
        name="beyond_by_frame_wide",
        title="ConvLSTM, beyond the paper, a frame a step, twice as wide",
        group="wide",
        model=replace(_BEYOND.model, window=1, horizon=1),
    ),
)


#: {name: (what it starts from, total training sequences)} of what is trained on at half scale, each from published weights:
#: on a processor, no single run lasts as long. The next is added when the weights it starts from are published.
TRAINED_ON = {
    "beyond_200k": ("beyond", 200_000),
    "beyond_by_frame_200k": ("beyond_by_frame", 200_000),
    "beyond_by_frame_400k": ("beyond_by_frame_200k", 400_000),
    "beyond_by_frame_550k": ("beyond_by_frame_400k", 550_000),
}


def began_as(name: str) -> str:
    """The experiment whose training one of ``TRAINED_ON`` goes on with, at the beginning of all; others began as themselves."""
    while name in TRAINED_ON:
        name, _ = TRAINED_ON[name]
    return name


def _trained_on() -> Iterator[Experiment]:
    """What is trained on, as it was; what each starts from is set by the profile."""
    rows = {row.name: row for row in BEYOND}
    for name, (_, sequences) in TRAINED_ON.items():
        row = rows[began_as(name)]
        yield replace(row, name=name, title=f"{row.title}, {sequences:,} sequences", group="trained_on")


def _losses() -> Iterator[Experiment]:
    """The loss, taken apart: every variant with either wiring."""
    for loss in LATENT_LOSSES:
        for wiring in WIRINGS:
            model = replace(_VRNN, options={} if wiring == "z_p" else {"wiring": wiring})
            title = f"{loss}, {wiring} decoded"
            yield Experiment(f"loss_{loss}_{wiring}", "paper", title, "losses", model=model, loss=Loss(loss), train=_PAPER)


def _sweeps() -> Iterator[Experiment]:
    """Is it the LL term, its weight, or the noise it takes away? Both losses of Table 3 at other weights and floors."""
    losses = {row.name: row for row in _losses()}
    for loss in SWEPT_LOSSES:
        for wiring in WIRINGS:
            row = losses[f"loss_{loss}_{wiring}"]
            for beta in SWEPT_BETAS:
                name, title = f"sweep_{loss}_{wiring}_beta{beta:g}", f"{row.title}, beta = {beta:g}"
                yield replace(row, name=name, title=title, group="sweeps", loss=Loss(loss, beta=beta))
        row = losses[f"loss_{loss}_z_p"]
        for floor in SWEPT_FLOORS:
            name, title = f"sweep_{loss}_z_p_floor{floor:g}", f"{row.title}, std at least {floor:g}"
            model = replace(row.model, options={**row.model.options, "sigma_min": floor})
            yield replace(row, name=name, title=title, group="sweeps", model=model)


def _windows() -> Iterator[Experiment]:
    """Figure 6: windows and horizons."""
    for (window, horizon), name in WINDOWS.items():
        yield replace(
            TABLE3[0],
            name=name,
            title=f"M = {window}, H = {horizon}",
            group="windows",
            model=Model("vrnn3d", window, horizon),
            train=replace(_PAPER, context=(10,)),
            eval=Eval(protocols=((10, 10), (10, 20))),
        )


#: Rows of Table 3 with the paper's L1 + L2, where a profile leaves L1 out.
WITH_L1 = tuple(
    replace(row, name=f"{row.name}_l1", title=f"{row.title}, L1 + L2", group="l1")
    for row in TABLE3
    if row.name in ("vrnn3d_kl", "vrnn3d_kl_ll", "convlstm2d")
)

#: Does a latent learn what is left to chance? Digits that leave a wall in a random direction, whose true futures are known:
#: (name, title, latent loss, options of the model). The paper's two losses with either wiring, the bounded one and the
#: textbook's in the wiring that decodes the posterior, and the same network without a latent.
_CHANCE: tuple[tuple[str, str, str, dict[str, Any]], ...] = (
    ("kl_pq_z_p", "KL, z_p decoded", "kl_pq", {}),
    ("kl_ll_z_p", "KL-LL, z_p decoded", "kl_ll", {}),
    ("kl_pq_z_q", "KL, z_q decoded", "kl_pq", {"wiring": "z_q"}),
    ("kl_ll_z_q", "KL-LL, z_q decoded", "kl_ll", {"wiring": "z_q"}),
    ("kl_ll_balanced_z_q", "balanced KL-LL, z_q decoded", "kl_ll_balanced", {"wiring": "z_q"}),
    ("no_latent", "no latent", "kl_pq", {"latent": 0}),
    ("kl_qp_z_q", "KL(q || p), z_q decoded (the ELBO)", "kl_qp", {"wiring": "z_q"}),
)
CHANCE = tuple(
    Experiment(
        f"chance_{name}",
        "paper",
        title,
        "chance",
        data=MovingMNISTData(bounce="random"),
        model=replace(_VRNN, options=options),
        loss=Loss(loss),
        train=_PAPER,
    )
    for name, title, loss, options in _CHANCE
)

#: How many of a ResNet-18's four stages a model has, in words.
STAGES = {2: "two", 3: "three", 4: "all four"}
#: How much of a 3D ResNet-18 the encoder and its mirror need (claim C7): the paper's model with the stages that it leaves out.
ENCODERS = tuple(
    replace(
        TABLE3[0],
        name=f"encoder_stages{stages}",
        title=f"3D VRNN, KL-LL, {what}",
        group="encoders",
        model=replace(_VRNN, options={"stages": stages}),
    )
    for stages, what in ((3, "three stages of ResNet-18"), (4, "the full ResNet-18"))
)

#: Does half precision change what a training on a processor comes to? On a GPU all rows train in it.
PRECISION = (
    replace(
        TABLE3[1],
        name="vrnn3d_kl_bfloat16",
        title=f"{TABLE3[1].title}, bfloat16",
        group="precision",
        train=replace(_PAPER, precision="bfloat16"),
    ),
)

# What one training for both context lengths costs, and which speeds the digits have
CHECKS = (
    replace(TABLE3[0], name="batch_6", title="KL-LL, the paper's batch of 6", group="checks", train=replace(_PAPER, batch=6)),
    replace(
        TABLE3[0], name="context_10", title="KL-LL, contexts of 10 alone", group="checks", train=replace(_PAPER, context=(10,))
    ),
    replace(
        TABLE3[0], name="speed_fixed", title="KL-LL, digits of one speed", group="checks", data=MovingMNISTData(speed="fixed")
    ),
)


def _kth() -> Iterator[Experiment]:
    """Table 2, its augmented form, and the second row of Figure 6."""
    data, measured = KTHData(size=128), Eval(protocols=((10, 20), (10, 40), (10, 60)), sequences=500, batch=4)
    rows = {row.name: row for row in (*TABLE3, *TABLE1, *BASELINES)}
    people = {
        name: replace(
            rows[name],
            name=f"kth_{name}",
            title=f"KTH: {rows[name].title}",
            group="kth",
            data=data,
            train=replace(rows[name].train, context=(10,)),
            eval=measured,
        )
        for name in ("vrnn3d_kl_ll", "vrnn3d_kl", "vrnn2d", "convlstm2d", "e3d_lstm", "copy_last")
    }
    yield from people.values()
    yield replace(
        people["vrnn3d_kl"],
        name="kth_vrnn3d_kl_augmented",
        title=f"{people['vrnn3d_kl'].title}, augmented",
        data=replace(data, augment=("flip", "crop", "reverse")),
    )
    for (window, horizon), name in KTH_WINDOWS.items():
        yield replace(
            people["vrnn3d_kl_ll"],
            name=name,
            title=f"KTH: M = {window}, H = {horizon}",
            group="kth_windows",
            model=Model("vrnn3d", window, horizon),
        )


# What the book trains while it is built
LIVE = (replace(TABLE3[1], name="live", title="Live training", group="live", train=replace(_PAPER, context=(6,))),)


def _tune() -> Iterator[Experiment]:
    """The paper's model with other settings, to be ranked by validation error after a few thousand sequences."""
    row = replace(TABLE3[0], group="tune")
    for lr in (3e-4, 1e-3, 3e-3):
        for batch in (32, 64, 128):
            train = replace(row.train, lr=lr, batch=batch)
            yield replace(row, name=f"tune_lr{lr:g}_batch{batch}", title=f"lr = {lr:g}, batch = {batch}", train=train)
    # Under L1 the median of a pixel, black, holds narrow networks for thousands of steps: does it hold this one?
    l2, glorot = replace(row.loss, l1=0.0), replace(row.model, options={"init": "glorot"})
    yield replace(row, name="tune_l2", title="reconstruction without L1", loss=l2)
    yield replace(row, name="tune_glorot", title="Glorot initialisation", model=glorot)
    yield replace(row, name="tune_l2_glorot", title="without L1, Glorot initialisation", loss=l2, model=glorot)


#: What the half-scale study tries before it fixes a recipe for all rows: {title: what it changes of the recipe}.
RECIPE: dict[str, dict[str, Any]] = {
    "the recipe": {},
    "with L1": {"loss.l1": 1.0},
    "gradient norm not bounded": {"train.clip": 0.0},
    "learning rate 0.004": {"train.lr": 4e-3},
    "learning rate 0.001": {"train.lr": 1e-3},
    "batch 16, learning rate 0.004": {"train.batch": 16, "train.lr": 4e-3},
    "PyTorch's initial weights": {"model.options.init": "pytorch"},
}
_TOGETHER: dict[str, Any] = {
    "train.optimiser": "muon",
    "model.options.recurrent_kernel": (1, 5, 5),
    "model.options.norm": "group",
}
#: What might go beyond the paper: one change of the recipe at a time, then those that helped together.
IDEAS: dict[str, dict[str, Any]] = {
    "Muon": {"train.optimiser": "muon"},
    "recurrent kernels 1 x 5 x 5": {"model.options.recurrent_kernel": (1, 5, 5)},
    "hidden 64": {"model.options.hidden": 64},
    "group norm": {"model.options.norm": "group"},
    "average of the weights": {"train.ema": 0.999, "train.weights": "ema"},
    "own predictions from the start": {"train.forcing_end": 0.0},
    "contexts of 10 alone": {"train.context": (10,)},
    "endless fresh digits": {"data.online": True},
    "latent weight 2": {"loss.beta": 2.0},
    "latent weight 0.1": {"loss.beta": 0.1},
    "z_q decoded": {"model.options.wiring": "z_q"},
    "no latent": {"model.options.latent": 0},
    "Muon, kernels 1 x 5 x 5, group norm": _TOGETHER,
    "Muon, kernels 1 x 5 x 5, group norm, z_q decoded": _TOGETHER | {"model.options.wiring": "z_q"},
    "Muon, kernels 1 x 5 x 5, group norm, no latent": _TOGETHER | {"model.options.latent": 0},
    "Muon, kernels 1 x 5 x 5, group norm, no latent, learning rate 0.006": _TOGETHER
    | {"model.options.latent": 0, "train.lr": 6e-3},
    "Muon, kernels 1 x 5 x 5, group norm, no latent, hidden 64": _TOGETHER
    | {"model.options.latent": 0, "model.options.hidden": 64},
    "Muon, kernels 1 x 5 x 5, group norm, no latent, cells of 2 pixels, hidden 16": _TOGETHER
    | {"model.options.latent": 0, "model.options.cell": 2, "model.options.hidden": 16},
    "Muon, kernels 1 x 5 x 5, group norm, no latent, M = 5, H = 5": _TOGETHER
    | {"model.options.latent": 0, "model.window": 5, "model.horizon": 5},
    "Muon, kernels 1 x 5 x 5, group norm, no latent, M = 1, H = 1": _TOGETHER
    | {"model.options.latent": 0, "model.window": 1, "model.horizon": 1},
    "Muon, kernels 1 x 5 x 5, group norm, z_q decoded, M = 1, H = 1": _TOGETHER
    | {"model.options.wiring": "z_q", "model.window": 1, "model.horizon": 1},
}
#: The same recipe for the system of Table 1 that gains most from its sequences, as the paper has it and with what helped here.
RIVAL: dict[str, dict[str, Any]] = {"PredRNN++": {}, "PredRNN++, Muon": {"train.optimiser": "muon"}}
#: Every trial by its title.
TRIALS = RECIPE | IDEAS | RIVAL


def trial_name(title: str) -> str:
    """The name of an experiment of RECIPE or IDEAS."""
    return "try_" + "_".join(re.findall("[a-z0-9]+", title.lower()))


def _trials() -> Iterator[Experiment]:
    """What each of TRIALS changes is applied by the profile."""
    for group, row, titles in (("recipe", TABLE3[1], RECIPE), ("ideas", TABLE3[1], IDEAS), ("ideas", TABLE1[0], RIVAL)):
        for title in titles:
            yield replace(row, name=trial_name(title), title=title, group=group)


#: {name: experiment} at the paper's size, the rows of the tables first.
EXPERIMENTS: dict[str, Experiment] = {
    row.name: row
    for part in (
        TABLE3,
        BY_FRAME,
        BEYOND,
        tuple(_trained_on()),
        TABLE1,
        BASELINES,
        _losses(),
        _sweeps(),
        WITH_L1,
        ENCODERS,
        PRECISION,
        CHECKS,
        CHANCE,
        _windows(),
        LIVE,
        _kth(),
        _tune(),
        _trials(),
    )
    for row in part
}


def names(*groups: str) -> list[str]:
    """The names of the experiments of these groups, of all without any, in the order of the catalogue."""
    return [name for name, row in EXPERIMENTS.items() if not groups or row.group in groups]
