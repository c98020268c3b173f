"""Pictures of the world with chance: samples side by side, calibration, spread around bounces, and the probe on z."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from vrnn3d.show import GREY, closed
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.chance import spread as spreads
from vrnn3d.study.chance.calibration import Calibration
from vrnn3d.study.chance.probe import CEILING, Probe
from vrnn3d.study.chance.record import ORACLE
from vrnn3d.study.figures.style import colour

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_WITHOUT = "#8c8c8c"
#: Of the losses, so that no two lines differ in colour alone.
_MARKERS = {"kl_pq": "o", "kl_ll": "s", "kl_qp": "^", "kl_ll_balanced": "D"}


def look(name: str) -> dict[str, Any]:
    """How a forecaster's line looks: the oracle in the page's text colour, a loss in its own with its marker, z_q dashed."""
    if name not in EXPERIMENTS:
        return {"color": GREY, "lw": 2.8 if name == ORACLE else 1.5, "ls": "-" if name == ORACLE else ":"}
    row = EXPERIMENTS[name]
    if row.model.options.get("latent") == 0:
        return {"color": _WITHOUT, "ls": (0, (1, 1))}
    return {
        "color": colour(row.loss.variant),
        "ls": (0, (5, 1.5)) if row.model.options.get("wiring") == "z_q" else "-",
        "marker": _MARKERS.get(row.loss.variant, "o"),
        "ms": 4.5,
    }


def sample_rows(samples: Mapping[str, Mapping[str, np.ndarray]], number: int, draws: int = 3) -> dict[str, np.ndarray]:
    """Rows for ``show.strip``: the truth of one test sequence, and a few samples of each forecaster.

    Args:
        samples: {title: what ``record.read_samples`` returned}.
        number: of the sequence in these.
        draws: how many samples of each; of a forecaster whose samples are all equal one is shown.

    Raises:
        ValueError: where two forecasters show different sequences.
    """
    rows: dict[str, np.ndarray] = {}
    for title, arrays in samples.items():
        truth = arrays["truth"][number]
        if not np.array_equal(rows.setdefault("truth", truth), truth):
            raise ValueError(f"{title} shows another sequence than those before as sequence {number}; analyse the runs again")
        some = arrays["sample"][number][:draws]
        equal = all(np.array_equal(one, some[0]) for one in some)
        for k, one in enumerate(some[:1] if equal else some, 1):
            rows[title if equal else f"{title}, {k}"] = one
    return rows


def calibration(found: Mapping[tuple[str, str], Calibration], what: str) -> Figure:
    """Rank histograms, and how often the truth lies in the central intervals of the samples.

    Args:
        found: {(name, title): rank histogram of one quantity}.
        what: the quantity, for the labels.
    """
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(8.6, 3.5), layout="constrained", width_ratios=(1.25, 1))
    bins = len(next(iter(found.values())).frequencies)
    left.axhline(1 / bins, color=GREY, lw=1, ls=":")
    right.plot([0, 1], [0, 1], color=GREY, lw=1, ls=":")
    for (name, title), one in found.items():
        left.plot(range(bins), one.frequencies, label=title, **look(name))
        right.plot(*one.coverage(), **look(name))
    left.set(xlabel=f"rank of the true {what} among {bins - 1} samples", ylabel="share of test values")
    left.set_ylim(0, 1.15 * max(max(one.frequencies) for one in found.values()))
    right.set(xlabel="central interval of the samples", ylabel="truth within it", xlim=(0, 1.02), ylim=(0, 1.02))
    figure.legend(loc="outside upper center", ncols=min(3, len(found)), fontsize=9)
    return closed(figure)


def spread(found: Mapping[tuple[str, str], spreads.BounceSpread]) -> Figure:
    """Sample variance, and squared error of the mean frame, around the first frame that shows a bounce's outcome."""
    import matplotlib.pyplot as plt

    figure, grid = plt.subplots(1, 2, figsize=(8.6, 3.5), layout="constrained", sharey=True)
    panels = (("variance", "sample variance of a frame"), ("error", "squared error of the mean frame"))
    for axes, (part, words) in zip(grid, panels):
        axes.axvline(-0.5, color=GREY, lw=1, ls=":")
        for (name, title), one in found.items():
            label = title if part == "variance" else None
            axes.plot(one.offsets, getattr(one, part), label=label, markevery=4, **look(name))
        axes.set(title=words, xlabel="frames from the first that shows the outcome")
    grid[0].set_ylim(bottom=0)
    figure.legend(loc="outside upper center", ncols=min(3, len(found)), fontsize=9)
    return closed(figure)


def probes(found: Sequence[tuple[str, str, Mapping[str, Sequence[Probe]]]], frames: Probe | None) -> Figure:
    """What a linear probe on z says of the direction after a bounce, a dot for each seed with its interval.

    Args:
        found: (name, title, {"posterior": a probe of each seed, "prior": ...}) of each model with a latent.
        frames: the probe on the frames themselves.
    """
    import matplotlib.pyplot as plt

    rows = [(title, name, latent, each) for name, title, kinds in found for latent, each in kinds.items() if each]
    figure, axes = plt.subplots(figsize=(8.2, 0.34 * (len(rows) + 1) + 1.1), layout="constrained")
    if frames is not None:
        _dots(axes, 0, [frames], GREY, filled=True)
    for y, (_, name, latent, each) in enumerate(rows, 1):
        _dots(axes, y, each, look(name)["color"], filled=latent == "posterior")
    labels = ["the frames themselves", *(f"{title}: {latent}" for title, _, latent, _ in rows)]
    axes.set_yticks(range(len(labels)), labels, fontsize=9)
    axes.set_ylim(len(labels) - 0.4, -0.6)
    axes.axvline(0, color=GREY, lw=1)
    axes.axvline(CEILING, color=GREY, lw=1, ls=":")
    axes.annotate(
        "all there is to know", (CEILING, 1.01), xycoords=("data", "axes fraction"), ha="right", va="bottom", fontsize=9
    )
    axes.set_xlabel("nats about the direction after a bounce, at least")
    axes.grid(axis="y", visible=False)
    return closed(figure)


def _dots(axes: Axes, y: float, each: Sequence[Probe], shade: str, filled: bool) -> None:
    for k, one in enumerate(each):
        at = y + 0.5 * ((k + 0.5) / len(each) - 0.5)
        axes.plot(one.interval, [at, at], color=shade, lw=1.2, alpha=0.7)
        axes.plot(one.nats, at, "o", color=shade, ms=4.5, mfc=shade if filled else "none")
