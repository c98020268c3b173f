"""What protocols are called, and which of them the test data are long enough for: known before a training starts."""

from __future__ import annotations

import dataclasses
import warnings
from collections.abc import Iterable

from vrnn3d.config import Experiment
from vrnn3d.data import build


def name_of(context: int, ahead: int) -> str:
    """What records call a protocol by its frames given and frames predicted: "10->20"."""
    return f"{context}->{ahead}"


def frames_of(protocol: str) -> tuple[int, int]:
    """Frames given and frames predicted of a protocol in :func:`name_of`'s words.

    Raises:
        ValueError: for other words.
    """
    context, arrow, ahead = protocol.partition("->")
    if not (arrow and context.isdecimal() and ahead.isdecimal()):
        raise ValueError(f"{protocol!r} is no protocol; write frames given and frames predicted as 10->20")
    return int(context), int(ahead)


def with_fitting_protocols(experiment: Experiment) -> Experiment:
    """The experiment with those of its protocols whose sequences the test sets have; a warning names the others.

    The test sets are built for that, for the longest sequences first. No random number is drawn.

    Raises:
        ValueError: when no protocol fits: what the test set says of the shortest sequences that were asked for, or that
            every context is shorter than the model's window.
        FileNotFoundError: when the data are not there.
    """
    wanted, window = experiment.eval.protocols, experiment.model.window
    if all(context < window for context, _ in wanted):
        raise ValueError(
            f"eval.protocols gives at most {max(context for context, _ in wanted)} frames, and the model's window has"
            f" {window}: name a protocol with a longer context"
        )
    longest, reason = _longest(experiment)
    fitting = tuple(protocol for protocol in wanted if sum(protocol) <= longest)
    if fitting == wanted:
        return experiment
    dropped = _words(protocol for protocol in wanted if protocol not in fitting)
    warnings.warn(f"only {_words(fitting)} will be measured, and not {dropped}: {reason}", stacklevel=2)
    return dataclasses.replace(experiment, eval=dataclasses.replace(experiment.eval, protocols=fitting))


def _words(protocols: Iterable[tuple[int, int]]) -> str:
    return ", ".join(name_of(*protocol) for protocol in protocols)


def _longest(experiment: Experiment) -> tuple[int, str]:
    """Frames of the longest protocol for which every test set has sequences, and why a longer one has none."""
    window = experiment.model.window
    lengths = sorted({context + ahead for context, ahead in experiment.eval.protocols if context >= window}, reverse=True)
    refused: list[ValueError] = []
    for length in lengths:
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            error = _refusal(experiment, length)
        if error is None or length == lengths[-1]:  # the attempt that counts
            for warning in caught:
                warnings.warn_explicit(warning.message, warning.category, warning.filename, warning.lineno)
        if error is None:
            return length, str(refused[-1]) if refused else ""
        refused.append(error)
    raise refused[-1]


def _refusal(experiment: Experiment, length: int) -> ValueError | None:
    """What a test set says that has no sequences of `length` frames."""
    try:
        for pool in experiment.data.pools():
            build(experiment.data, "test", pool=pool, length=length)
    except ValueError as error:
        return error
    return None
