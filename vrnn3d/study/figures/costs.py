"""Tables of what the study costs (``vrnn3d.study.cost``), as the book shows them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from vrnn3d.study import cost

if TYPE_CHECKING:
    import pandas


def study_table(devices: Sequence[cost.Device]) -> pandas.DataFrame:
    """The parts of the full queue: runs, sequences, and hours of training on each device and at the target."""
    import pandas

    target = f"TARGET, not measured: hours at {cost.TARGET:,} a second"
    table = pandas.DataFrame(
        {"runs of": c.part, "model": c.whose, "runs": c.runs, "sequences (millions)": c.sequences / 1e6}
        | {f"hours, {device}": cost.amount(hours) for device, hours in c.hours.items()}
        | {target: cost.amount(c.at_target, "")}
        for c in cost.study_costs(devices)
    )
    return table.set_index("runs of")


def command_table(devices: Sequence[cost.Device]) -> pandas.DataFrame:
    """The commands that run the study: minutes of training on each device, and of our runs at the target."""
    import pandas

    target = f"TARGET, not measured: minutes, our runs at {cost.TARGET:,} a second"
    table = pandas.DataFrame(
        {"command": c.command.command, "what": c.command.what}
        | {f"minutes, {device}": cost.amount(minutes) for device, minutes in c.minutes.items()}
        | {target: cost.amount(c.ours_at_target)}
        for c in cost.command_costs(devices)
    )
    return table.set_index("command")
