"""Every row of the tables and every point of the ablations, by name, at every profile; and the order of the queue.

The profiles:

- ``smoke``, seconds on a CPU: 32 x 32, tiny widths. Proves that it runs; its numbers mean nothing.
- ``small``, minutes on a CPU: 32 x 32, one digit, narrow. Small-scale answers, labelled as such.
- ``ablation``, full size, 150,000 sequences: one GPU.
- ``paper``, full size, 600,000 sequences: one GPU.
"""

from __future__ import annotations

from dataclasses import replace

from vrnn3d.config import Data, Eval, Experiment, Loss, Model, Train

PROFILES = ("smoke", "small", "ablation", "paper")

LATENT_VARIANTS = ("kl_pq", "kl_qp", "kl_ll", "kl_ll_half", "kl_ll_mirror", "kl_ll_balanced", "kl_ll_mean")

_OURS = Model("vrnn3d", window=2, horizon=2)
_FRAME = dict(window=1, horizon=1)


def _catalogue() -> dict[str, Experiment]:
    """Every experiment at the `paper` profile."""
    paper = Train(context=(5, 10))
    rows = [
        # Table 3 (and the rows of Table 1 that it shares)
        Experiment("vrnn3d_kl_ll", "paper", "3D VRNN, KL-LL (the paper's)", model=_OURS, loss=Loss("kl_ll"), train=paper),
        Experiment("vrnn3d_kl", "paper", "3D VRNN, KL", model=_OURS, loss=Loss("kl_pq"), train=paper),
        Experiment("convlstm2d", "paper", "2D ConvLSTM", model=Model("convlstm2d", **_FRAME), train=paper),
        Experiment(
            "vrnn2d", "paper", "Variational 2D ConvLSTM", model=Model("vrnn2d", **_FRAME), loss=Loss("kl_pq"), train=paper
        ),
        # The best recipe at the same size
        Experiment(
            "beyond",
            "paper",
            "3D VRNN, beyond the paper",
            data=Data(speed="fixed", online=True),
            model=replace(_OURS, options={"wiring": "z_q"}),
            loss=Loss("kl_ll_balanced", beta=0.01),
            train=replace(paper, lr_decay="cosine", ema=0.999, context=(10,), forcing_end=0.5),
        ),
        # The rest of Table 1, in the settings of their own papers (80,000 steps)
        Experiment(
            "predrnnpp", "paper", "PredRNN++", model=Model("predrnnpp", **_FRAME), train=replace(paper, sequences=640_000)
        ),
        Experiment(
            "e3d_lstm",
            "paper",
            "E3D-LSTM",
            model=Model("e3d_lstm", window=2, horizon=1),
            train=replace(paper, sequences=320_000),
        ),
        Experiment(
            "improved_vrnn",
            "paper",
            "Improved VRNN",
            model=Model("improved_vrnn", **_FRAME),
            loss=Loss("kl_qp"),
            train=paper,
        ),
        Experiment("copy_last", "paper", "Copy the last frame", model=Model("copy_last", **_FRAME), train=paper),
        Experiment(
            "pixel_mean",
            "paper",
            "Mean of every pixel",
            model=Model("pixel_mean", **_FRAME),
            loss=Loss(l1=0.0),  # under L1 it would go towards the median, which is black
            train=replace(paper, lr=1e-2),
        ),
    ]
    # The loss, taken apart: every variant with either wiring
    for variant in LATENT_VARIANTS:
        for wiring in ("z_p", "z_q"):
            rows.append(
                Experiment(
                    f"loss_{variant}_{wiring}",
                    "paper",
                    f"{variant}, {wiring} decoded",
                    model=replace(_OURS, options={"wiring": wiring}),
                    loss=Loss(variant),
                    train=paper,
                )
            )
    # Figure 6: windows and horizons
    for window, horizon in ((1, 1), (2, 1), (4, 1), (4, 2), (4, 4), (5, 5), (10, 5), (10, 10)):
        rows.append(
            Experiment(
                f"window_M{window}_H{horizon}",
                "paper",
                f"M = {window}, H = {horizon}",
                model=Model("vrnn3d", window, horizon),
                loss=Loss("kl_ll"),
                train=replace(paper, context=(10,)),
                eval=Eval(protocols=((10, 10), (10, 20))),
            )
        )
    # What the book trains while it is built
    rows.append(
        Experiment(
            "live", "paper", "Live training", model=_OURS, loss=Loss("kl_pq", beta=0.01), train=replace(paper, context=(6,))
        )
    )
    # Table 2: KTH
    kth = Data("kth", size=128, length=20)
    for name in ("vrnn3d_kl_ll", "vrnn3d_kl", "vrnn2d", "convlstm2d", "e3d_lstm", "copy_last"):
        row = next(r for r in rows if r.name == name)
        rows.append(
            replace(
                row,
                name=f"kth_{name}",
                title=f"KTH: {row.title}",
                data=kth,
                train=replace(row.train, context=(10,), batch=32),
                eval=Eval(protocols=((10, 20), (10, 40), (10, 60)), sequences=500, batch=4),
            )
        )
    return {row.name: row for row in rows}


#: Constructor arguments that shrink each model for the profiles that run on a CPU.
_NARROW = {
    "smoke": {
        "vrnn3d": dict(widths=(8, 16), hidden=16, latent=4, head=16),
        "vrnn2d": dict(widths=(8, 16), hidden=16, latent=4),
        "convlstm2d": dict(widths=(8, 16), hidden=16),
        "predrnnpp": dict(hidden=(8, 8, 8, 8), kernel=3),
        "e3d_lstm": dict(hidden=(8, 8), kernel=3),
        "improved_vrnn": dict(hidden=4, levels=5, latent=3, context=3),
        "copy_last": {},
        "pixel_mean": {},
    },
    "small": {
        "vrnn3d": dict(widths=(16, 32), hidden=32, latent=8, head=32),
        "vrnn2d": dict(widths=(16, 32), hidden=32, latent=8),
        "convlstm2d": dict(widths=(16, 32), hidden=32),
        "predrnnpp": dict(hidden=(32, 16, 16, 16), kernel=3),
        "e3d_lstm": dict(hidden=(16, 16, 16, 16), kernel=3),
        "improved_vrnn": dict(hidden=8, levels=5, latent=4, context=3),
        "copy_last": {},
        "pixel_mean": {},
    },
}


def _shrunk(row: Experiment, profile: str) -> Experiment:
    smoke = profile == "smoke"
    kth = row.data.name == "kth"
    data = replace(row.data, size=64 if kth else 32)
    if not kth:
        data = replace(data, digit_size=14, speed_range=(1.5, 2.5), digits=2 if smoke else 1)
    model = replace(row.model, options={**_NARROW[profile][row.model.name], **row.model.options})
    train = replace(
        row.train,
        sequences=400 if smoke else 8_000,
        batch=8 if smoke else 16,
        lr=row.train.lr if row.model.name == "pixel_mean" else 3e-3 if smoke else 2e-3,
        lr_warmup=0.1 if smoke else row.train.lr_warmup,
        forcing_end=0.3 if smoke else row.train.forcing_end,
        validate_every=0.5 if smoke else 0.1,
    )
    if row.name == "live":  # long enough to show something, short enough for a page that waits for it
        data = replace(data, digits=1, length=12)
        train = replace(train, sequences=8_000, validate_every=0.125)
    evaluation = replace(
        row.eval,
        samples=3 if smoke else 10,
        sequences=16 if smoke else 100,
        batch=8 if smoke else 20,
    )
    # Under L1 the median of a pixel, black, holds a narrow network for its first thousand steps (measured): L2 alone here.
    loss = replace(row.loss, l1=0.0)
    return replace(row, profile=profile, data=data, model=model, loss=loss, train=train, eval=evaluation)


def names() -> list[str]:
    """Every experiment's name, the table rows first."""
    return list(_catalogue())


def get(name: str, profile: str = "paper") -> Experiment:
    """The experiment of that name at that profile.

    Raises:
        ValueError: for an unknown name or profile; the known ones are listed.
    """
    catalogue = _catalogue()
    if name not in catalogue:
        raise ValueError(f"no experiment {name!r}; there are: {', '.join(catalogue)}")
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are: {', '.join(PROFILES)}")
    row = catalogue[name]
    if profile == "paper":
        return row
    if profile == "ablation":
        return replace(row, profile=profile, train=replace(row.train, sequences=150_000))
    return _shrunk(row, profile)


def queue() -> list[tuple[str, str, int]]:
    """(experiment, profile, seed) of every run of the study that needs a GPU, in the order in which they are run."""
    table3 = ("vrnn3d_kl_ll", "vrnn3d_kl", "convlstm2d", "vrnn2d")
    everything = names()
    runs = [(name, "paper", 0) for name in (*table3, "beyond")]
    runs += [(name, "ablation", seed) for seed in range(3) for name in everything if name.startswith("loss_")]
    runs += [(name, "ablation", 0) for name in everything if name.startswith("window_")]
    runs += [(name, "paper", 0) for name in ("predrnnpp", "e3d_lstm", "improved_vrnn")]
    runs += [(name, "paper", seed) for seed in (1, 2) for name in table3]
    runs += [(name, "ablation", 0) for name in everything if name.startswith("kth_")]
    return runs
