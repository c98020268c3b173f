"""Every row of the tables and every point of the ablations, by name, at every profile; and the order of the queue.

The profiles:

- ``smoke``, seconds on a CPU: 32 x 32, tiny widths. Proves that it runs; its numbers mean nothing.
- ``small``, a minute or two on one CPU core: 32 x 32, one digit, narrow (KTH: 64 x 64). Small-scale answers, labelled so.
- ``tune``, full size, 8,192 sequences: one GPU. Settings to try before the long runs; they exist nowhere else.
- ``ablation``, full size, 150,000 sequences: one GPU.
- ``paper``, full size, 600,000 sequences: one GPU.
"""

from __future__ import annotations

from dataclasses import replace

from vrnn3d.config import Data, Eval, Experiment, Loss, Model, Train

PROFILES = ("smoke", "small", "tune", "ablation", "paper")

LATENT_VARIANTS = ("kl_pq", "kl_qp", "kl_ll", "kl_ll_half", "kl_ll_mirror", "kl_ll_balanced", "kl_ll_mean")

SWEPT_VARIANTS = ("kl_pq", "kl_ll")  # the two losses of Table 3
SWEPT_BETAS = (0.1, 0.01)  # besides 1, that of all other experiments
SWEPT_FLOORS = (0.01, 1.0)  # besides 0.1

TUNED_RATES = (3e-4, 1e-3, 3e-3)
TUNED_BATCHES = (32, 64, 128)

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
        # The best recipe at the same size, as far as the small study tells: a bounded loss, which with z_q is the best of
        # that wiring there and at a small weight leaks the target; forget gates that start open; no L1, whose median is black
        Experiment(
            "beyond",
            "paper",
            "3D VRNN, beyond the paper",
            data=Data(speed="fixed", online=True),
            model=replace(_OURS, options={"wiring": "z_q", "init": "glorot"}),
            loss=Loss("kl_ll_balanced", l1=0.0),
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
    # Is it the LL term, its weight, or the noise it takes away? The printed loss and KL at other weights and floors
    for variant in SWEPT_VARIANTS:
        for wiring in ("z_p", "z_q"):
            for beta in SWEPT_BETAS:
                rows.append(
                    Experiment(
                        f"sweep_{variant}_{wiring}_beta{beta:g}",
                        "paper",
                        f"{variant}, {wiring} decoded, beta = {beta:g}",
                        model=replace(_OURS, options={"wiring": wiring}),
                        loss=Loss(variant, beta=beta),
                        train=paper,
                    )
                )
        for floor in SWEPT_FLOORS:
            rows.append(
                Experiment(
                    f"sweep_{variant}_z_p_floor{floor:g}",
                    "paper",
                    f"{variant}, z_p decoded, std at least {floor:g}",
                    model=replace(_OURS, options={"wiring": "z_p", "sigma_min": floor}),
                    loss=Loss(variant),
                    train=paper,
                )
            )
    # No noise at all: what Table 3 lacks between its 2D and its variational 3D rows
    rows.append(
        Experiment(
            "convlstm3d", "paper", "3D ConvLSTM (ours without z)", model=replace(_OURS, options={"latent": 0}), train=paper
        )
    )
    # What one training for both context lengths costs, and which speeds the digits have
    ours = next(r for r in rows if r.name == "vrnn3d_kl_ll")
    rows.append(replace(ours, name="context_10", title="KL-LL, contexts of 10 alone", train=replace(paper, context=(10,))))
    rows.append(replace(ours, name="speed_fixed", title="KL-LL, digits of one speed", data=replace(ours.data, speed="fixed")))
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
            "live", "paper", "Live training", model=_OURS, loss=Loss("kl_pq"), train=replace(paper, context=(6,))
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
    for window, horizon in ((1, 1), (4, 1), (4, 4), (10, 10)):  # Figure 6, second row
        row = next(r for r in rows if r.name == "kth_vrnn3d_kl_ll")
        rows.append(
            replace(
                row,
                name=f"kth_window_M{window}_H{horizon}",
                title=f"KTH: M = {window}, H = {horizon}",
                model=Model("vrnn3d", window, horizon),
            )
        )
    augmented = next(r for r in rows if r.name == "kth_vrnn3d_kl")
    rows.append(
        replace(
            augmented,
            name="kth_vrnn3d_kl_augmented",
            title=f"{augmented.title}, augmented",
            data=replace(kth, augment=("flip", "crop", "reverse")),
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
        "vrnn3d": dict(widths=(8, 16), hidden=32, latent=8, head=16, init="glorot"),
        "vrnn2d": dict(widths=(8, 16), hidden=32, latent=8, init="glorot"),
        "convlstm2d": dict(widths=(8, 16), hidden=32, init="glorot"),
        "predrnnpp": dict(hidden=(32, 16, 16, 16), kernel=3),
        "e3d_lstm": dict(hidden=(32, 32), kernel=3, patch=8),
        "improved_vrnn": dict(hidden=8, levels=5, latent=4, context=3),
        "copy_last": {},
        "pixel_mean": {},
    },
}


def _shrunk(row: Experiment, profile: str) -> Experiment:
    kth = row.data.name == "kth"
    model = replace(row.model, options={**_NARROW[profile][row.model.name], **row.model.options})
    # Under L1 the median of a pixel, black, holds a narrow network for its first thousands of steps (measured): L2 alone.
    loss = replace(row.loss, l1=0.0)
    row = replace(row, profile=profile, model=model, loss=loss, data=replace(row.data, size=64 if kth else 32))
    return _smoke(row, kth) if profile == "smoke" else _small(row, kth)


def _smoke(row: Experiment, kth: bool) -> Experiment:
    data, train = row.data, row.train
    if not kth:
        data = replace(data, digit_size=14, speed_range=(1.5, 2.5))
    pixel_mean = row.model.name == "pixel_mean"
    train = replace(
        train, sequences=400, batch=8, lr=train.lr if pixel_mean else 3e-3, lr_warmup=0.1, forcing_end=0.3, validate_every=0.5
    )
    row = replace(row, data=data, train=train, eval=replace(row.eval, samples=3, sequences=16, batch=8))
    if row.name != "live":
        return row
    # Long enough to show something, short enough for a page that waits for it: the recipe of the small profile
    return replace(
        row,
        data=replace(data, digits=1, length=12),
        model=replace(row.model, options=_NARROW["small"]["vrnn3d"]),
        train=replace(train, sequences=8_000, batch=16, lr=4e-3, lr_warmup=0.05, lr_decay="cosine", validate_every=0.125),
    )


def _small(row: Experiment, kth: bool) -> Experiment:
    data, train, evaluation = row.data, row.train, replace(row.eval, samples=10, sequences=100, batch=20)
    train = replace(train, forcing_end=0.3)
    if row.model.name != "pixel_mean":
        lr = 4e-3 if row.model.name in ("vrnn3d", "vrnn2d", "convlstm2d") else 2e-3
        train = replace(train, lr=lr, lr_warmup=0.05, lr_decay="cosine")
    if kth:
        train = replace(train, sequences=4_000, batch=8)
        evaluation = replace(evaluation, samples=5, sequences=50, batch=4)
    else:
        data = replace(data, digits=1, digit_size=14, speed_range=(1.5, 2.5), test_pools=("test",))
        train = replace(train, sequences=8_000, batch=16)
        if row.model.window + row.model.horizon <= 4:  # larger windows need the whole length
            data, train = replace(data, length=12), replace(train, context=(6,))
    return replace(row, data=data, train=train, eval=evaluation)


def _tuned() -> dict[str, Experiment]:
    """The paper's model with other settings, trained just long enough to rank them by validation error."""
    row = _catalogue()["vrnn3d_kl_ll"]
    row = replace(
        row,
        profile="tune",
        data=replace(row.data, test_pools=("train",)),
        # A fiftieth of so few steps would be no warm-up at all, and the sweep would only punish large rates
        train=replace(row.train, sequences=8_192, lr_warmup=0.1),
        eval=Eval(protocols=((10, 10),), samples=2, sequences=20),
    )
    l2, glorot = replace(row.loss, l1=0.0), replace(row.model, options={"init": "glorot"})
    tried: dict[str, tuple[str, dict]] = {}
    for lr in TUNED_RATES:
        for batch in TUNED_BATCHES:
            train = replace(row.train, lr=lr, batch=batch)
            tried[f"tune_lr{lr:g}_batch{batch}"] = (f"lr = {lr:g}, batch = {batch}", {"train": train})
    # Under L1 the median of a pixel, black, holds narrow networks for thousands of steps: does it hold this one?
    tried["tune_l2"] = ("reconstruction without L1", {"loss": l2})
    tried["tune_glorot"] = ("Glorot initialisation", {"model": glorot})
    tried["tune_l2_glorot"] = ("without L1, Glorot initialisation", {"loss": l2, "model": glorot})
    return {name: replace(row, name=name, title=title, **changes) for name, (title, changes) in tried.items()}


def names(profile: str = "paper") -> list[str]:
    """The name of every experiment that exists at a profile, the table rows first."""
    return list(_tuned() if profile == "tune" else _catalogue())


def get(name: str, profile: str = "paper") -> Experiment:
    """The experiment of that name at that profile.

    Raises:
        ValueError: for an unknown name or profile, or a name unknown at that profile; the known ones are listed.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are: {', '.join(PROFILES)}")
    catalogue = _tuned() if profile == "tune" else _catalogue()
    if name not in catalogue:
        at = f" at profile {profile!r}" if name in (*names("paper"), *names("tune")) else ""
        raise ValueError(f"no experiment {name!r}{at}; there are: {', '.join(catalogue)}")
    row = catalogue[name]
    if profile in ("tune", "paper"):
        return row
    if profile == "ablation":
        return replace(row, profile=profile, train=replace(row.train, sequences=150_000))
    return _shrunk(row, profile)


QUEUES = ("full", "small", "tune", "kth")


def queue(which: str = "full") -> list[tuple[str, str, int]]:
    """(experiment, profile, seed) of every run of the study, in the order in which they are run.

    "full" is what needs a GPU. "small" is the same study where a processor can answer it: losses, wirings, weights and
    floors of three seeds, the rows of Table 3, KTH. "tune" is what to run before "full", a few minutes on a GPU. "kth"
    is all of Table 2 at the paper's length.

    Raises:
        ValueError: for another queue.
    """
    if which not in QUEUES:
        raise ValueError(f"no queue {which!r}; there are: {', '.join(QUEUES)}")
    if which == "tune":
        return [(name, "tune", 0) for name in names("tune")]
    everything = names()
    losses = [name for name in everything if name.startswith("loss_")]
    sweeps = [name for name in everything if name.startswith("sweep_")]
    kth = [name for name in everything if name.startswith("kth_")]
    kth_windows = [name for name in kth if name.startswith("kth_window_")]
    if which == "kth":
        return [(name, "paper", 0) for name in kth if name not in kth_windows]
    if which == "small":
        # The two 3D rows of Table 3 are loss_kl_pq_z_p and loss_kl_ll_z_p under other names.
        rows = ["convlstm2d", "vrnn2d", "convlstm3d"]
        runs = [(name, "small", 0) for name in ("copy_last", "pixel_mean", *rows, *losses, *kth) if name not in kth_windows]
        runs += [(name, "small", seed) for seed in (1, 2) for name in (*rows, *losses)]
        return runs + [(name, "small", seed) for seed in range(3) for name in sweeps]
    table3 = ("vrnn3d_kl_ll", "vrnn3d_kl", "convlstm2d", "vrnn2d")
    runs = [(name, "paper", 0) for name in (*table3, "beyond")]
    runs += [(name, "ablation", seed) for seed in range(3) for name in losses]
    # The textbook's loss in Chung's wiring, the printed one there, and the two that would make the paper's words true
    telling = ("loss_kl_qp_z_q", "loss_kl_ll_z_q", "loss_kl_ll_balanced_z_q", "loss_kl_ll_mirror_z_q")
    runs += [(name, "paper", 0) for name in (*telling, "convlstm3d")]
    runs += [(name, "ablation", 0) for name in (*sweeps, "convlstm3d", "context_10", "speed_fixed")]
    runs += [(name, "ablation", 0) for name in everything if name.startswith("window_")]
    runs += [(name, "paper", 0) for name in ("predrnnpp", "e3d_lstm", "improved_vrnn")]
    runs += [(name, "paper", seed) for seed in (1, 2) for name in table3]
    runs += [(name, "ablation", 0) for name in kth]
    return runs
