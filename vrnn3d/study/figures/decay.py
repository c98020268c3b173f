"""Whether a metric decays along a line or an exponential: both fitted, extrapolated and drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from vrnn3d.evaluation.protocols import frames_of
from vrnn3d.show import closed
from vrnn3d.study.decay import FORMS, DecayForm, fit_decay, frames_held_out
from vrnn3d.study.figures.curves import metric_label
from vrnn3d.study.figures.style import BLUE, ORANGE
from vrnn3d.study.records import Record
from vrnn3d.study.tables import two_levels

if TYPE_CHECKING:
    import pandas
    from matplotlib.figure import Figure

_COLOURS = dict(zip(FORMS, (BLUE, ORANGE)))


def forms_table(forms: Mapping[str, DecayForm]) -> pandas.DataFrame:
    """How far a line and an exponential are from each model's curve, and the exponential's time constant.

    Args:
        forms: {model: form}, at least one, of curves of one length.
    """
    last = f"extrapolated to the last {next(iter(forms.values())).held_out}"
    rows = {
        name: {
            ("fitted to all frames", "linear"): form.linear.fitted,
            ("fitted to all frames", "exponential"): form.exponential.fitted,
            (last, "linear"): form.linear.extrapolated,
            (last, "exponential"): form.exponential.extrapolated,
            ("exponential", "time constant"): "none: a line" if form.straight else f"{form.time_constant:.1f} frames",
        }
        for name, form in forms.items()
    }
    return two_levels(rows.items())


def extrapolations(record: Record, metrics: Sequence[str], protocol: str, pool: str = "test") -> Figure:
    """A run's metrics over the predicted frames, each with a line and an exponential fitted to the first two thirds.

    Args:
        record: a run that was evaluated by this protocol.
        metrics: keys of ``metrics.METRICS``, a panel each.
        protocol: frames given and frames predicted, as "10->20".
        pool: which test set.

    Raises:
        ValueError: where the run was not evaluated so.
    """
    import matplotlib.pyplot as plt
    from matplotlib.ticker import MaxNLocator

    entry = record.measured(pool, protocol)
    if entry is None:
        raise ValueError(f"the record {record.name} has nothing of {pool}, {protocol}; evaluate it so")
    figure, panels = plt.subplots(1, len(metrics), figsize=(4.3 * len(metrics), 3.4), squeeze=False)
    for axes, metric in zip(panels.flat, metrics):
        values = np.asarray(entry.scores[metric].per_frame)
        frames = frames_of(protocol)[0] + 1 + np.arange(len(values))
        fitted = len(values) - frames_held_out(len(values))
        axes.plot(frames, values, "o", color="#8c8c8c", ms=5, label="measured")
        for form in FORMS:
            curve, shade = fit_decay(values, form, fitted).curve, _COLOURS[form]
            axes.plot(frames[:fitted], curve[:fitted], color=shade, label=form)
            axes.plot(frames[fitted - 1 :], curve[fitted - 1 :], color=shade, ls=(0, (4, 2)))
        axes.axvspan(frames[fitted] - 0.5, frames[-1] + 0.5, color="#8c8c8c", alpha=0.12, lw=0)
        axes.set_xlabel("frame")
        axes.set_ylabel(metric_label(metric))
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.margins(x=0.02)
    figure.legend(*panels[0, 0].get_legend_handles_labels(), loc="upper center", bbox_to_anchor=(0.5, 1.08), ncols=3)
    figure.tight_layout()
    return closed(figure)
