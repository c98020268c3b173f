"""Learning curves: the validation error of every system while it was trained, against what the training took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from vrnn3d.show import closed
from vrnn3d.study.catalogue import TRAINED_ON
from vrnn3d.study.figures.curves import as_list, legend_names
from vrnn3d.study.figures.style import colour, seaborn_dashes
from vrnn3d.study.profiles import get
from vrnn3d.study.records import Record
from vrnn3d.study.wording import listed

if TYPE_CHECKING:
    import pandas
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def _cpu_hours(record: Record) -> float:
    """CPU hours of one training sequence: processor time, or where that was not kept, wall time by the threads."""
    device = record.provenance.machine.device
    if not device.startswith("CPU"):
        raise ValueError(f"{record.name} was trained on {device}, not on a processor; leave it out of CPU hours")
    return record.processor_hours / max(1, record.training.sequences)


def _petaflops(record: Record) -> float:
    """1e15 operations of one training sequence."""
    if record.gigaflops is None:
        raise ValueError(f"the operations of {record.name} were not counted; record it again, or leave it out")
    return record.gigaflops / 1e6


@dataclass(frozen=True)
class Length:
    """A way to measure a training."""

    label: str  #: of the axis
    of_a_sequence: Callable[[Record], float]  #: how much one training sequence of a record takes


#: What a training can be measured by.
LENGTHS: dict[str, Length] = {
    "sequences": Length("training sequences", lambda record: 1.0),
    "cpu_hours": Length("CPU hours of training", _cpu_hours),
    "gigaflops": Length("useful operations of the training (PFLOP)", _petaflops),
}


def learning_curves(
    records: Record | Iterable[Record], x: str = "sequences", pool: str = "test", protocol: str = "10->10"
) -> Figure:
    """The validation error of every system while it was trained: MSE, and percent of a black frame, on logarithmic axes.

    What a training gains with every doubling of its length is then a slope, and systems that end close together are told apart.

    Args:
        records: of as many systems and seeds as there are; a line each, a colour per system. The legend begins with the
            system that ends lowest.
        x: what is counted: "sequences" seen, "cpu_hours" spent or "gigaflops" spent (drawn in units of 1e15 operations).
        pool, protocol: the test set of which the records know the MSE of black frames. The axis on the right needs it, and
            is left out where no record has it. What is worse than black frames by a tenth is cut off: the first points of a
            training would press all others together.

    Raises:
        ValueError: naming the record that has no validation curve, or cannot be measured by `x`; for records whose black
            frames differ, which were made on different data.
    """
    import matplotlib.pyplot as plt
    import seaborn
    from matplotlib.ticker import EngFormatter

    records = as_list(records)
    if x not in LENGTHS:
        raise ValueError(f"x is {x!r}, but must be one of: {', '.join(LENGTHS)}")
    names = legend_names(records, seeds=False)
    points = _validation(records, names, x)
    last = points.groupby(["system", "seed"])["mse"].last().groupby("system").mean()
    experiments = {name: record.experiment for record, name in zip(records, names)}
    figure, axes = plt.subplots(figsize=(7.6, 4.6))
    seaborn.lineplot(
        points, x="x", y="mse", hue="system", style="system", units="seed", estimator=None, ax=axes, lw=1.7,
        hue_order=list(last.sort_values().index), style_order=list(last.sort_values().index),
        palette={name: colour(experiment) for name, experiment in experiments.items()}, dashes=seaborn_dashes(experiments),
    )  # fmt: skip
    axes.set(xlabel=LENGTHS[x].label, ylabel="validation MSE of a frame", xscale="log", yscale="log")
    axes.margins(x=0.02)
    _plain_ticks(axes.xaxis, _COARSE, EngFormatter(sep="") if x == "sequences" else None)
    _plain_ticks(axes.yaxis, _FINE)
    if (black := _black(records, pool, protocol)) is not None:
        axes.set_ylim(top=min(axes.get_ylim()[1], 1.1 * black))
        _percent_axis(axes, black)
    seaborn.move_legend(axes, "upper center", bbox_to_anchor=(0.5, -0.16), ncols=3, title="", handlelength=2.6)
    return closed(figure)


def taken_up_in_words(records: Iterable[Record]) -> str:
    """Where curves jump because a training was taken up again from its weights, in a sentence; "" where none was."""
    told = []
    for record in records:
        name, lengths = record.experiment, []
        while name in TRAINED_ON:
            name = TRAINED_ON[name][0]
            lengths.append(TRAINED_ON[name][1] if name in TRAINED_ON else get(name, record.profile).train.sequences)
        if lengths:
            at = listed([f"{length:,}" for length in lengths[::-1]])
            told.append(f"{record.title} jumps where its training was taken up again, at {at}")
    return f"{'; '.join(told)} sequences." if told else ""


def _validation(records: Sequence[Record], names: Sequence[str], x: str) -> pandas.DataFrame:
    import pandas

    parts = []
    for record, name in zip(records, names):
        seen, mse = record.curve("validation_sequences"), record.curve("validation_mse")
        if not len(mse) or len(seen) != len(mse):
            raise ValueError(f"the record {record.name} has no validation curve; leave it out")
        parts.append(
            pandas.DataFrame({"x": seen * LENGTHS[x].of_a_sequence(record), "mse": mse, "system": name, "seed": record.seed})
        )
    return pandas.concat(parts)


def _black(records: Sequence[Record], pool: str, protocol: str) -> float | None:
    """The MSE of black frames on a test set, None where no record has it; ``ValueError`` where they disagree."""
    entries = (record.measured(pool, protocol) for record in records)
    found = [entry.baselines["black"] for entry in entries if entry and "black" in entry.baselines]
    if not found:
        return None
    if max(found) > 1.02 * min(found):
        spread = f"{min(found):.1f} to {max(found):.1f}"
        raise ValueError(f"black frames have an MSE from {spread}: these records are of different data")
    return found[0]


def _percent_axis(axes: Axes, black: float) -> None:
    """The same scale on the right, in percent of the MSE of black frames."""
    percent = 100 / black
    functions: Any = (lambda mse: mse * percent, lambda share: share / percent)
    right = axes.secondary_yaxis("right", functions=functions)
    right.set_ylabel("percent of a black frame")
    _plain_ticks(right.yaxis, _FINE)


#: Ticks of a decade.
_COARSE, _FINE = (1, 2, 5), (1, 1.2, 1.5, 2, 2.5, 3, 4, 5, 6, 8)


def _plain_ticks(axis: Any, subs: Sequence[float], formatter: Any = None) -> None:
    """Ticks of a logarithmic axis as plain numbers, not as powers of ten."""
    from matplotlib.ticker import FuncFormatter, LogLocator, NullLocator

    axis.set_major_locator(LogLocator(subs=subs, numticks=30))
    axis.set_major_formatter(formatter or FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_locator(NullLocator())
