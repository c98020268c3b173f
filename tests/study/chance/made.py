"""Analyses with known answers."""

from __future__ import annotations

from dataclasses import replace

from study.made import digits

from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.study.chance.calibration import Calibration
from vrnn3d.study.chance.probe import Probe
from vrnn3d.study.chance.record import BLACK, ORACLE, ORACLE_MEAN, ORACLE_SINGLE, Analysis
from vrnn3d.study.chance.spread import BounceSpread

FLAT, STEEP = (0.25, 0.25, 0.25, 0.25), (0.4, 0.1, 0.1, 0.4)


def scores(mse: float, **changed: float) -> dict[str, Evaluation]:
    """All protocols; `changed` are averages of other metrics than the MSE."""
    found = {}
    for protocol, entry in digits(mse).items():
        table = dict(entry.scores)
        for metric, value in changed.items():
            table[metric] = replace(table[metric], average=value, interval=(value - 0.1, value + 0.1))
        found[protocol] = replace(entry, scores=table)
    return found


def spread(after: float = 10.0, before: float = 0.0) -> BounceSpread:
    return BounceSpread(before, after, 1.0, after, 1.0, (10, 30), (-1, 0, 1), (before, after, after), (1.0, after, after))


def analysis(name: str, seed: int = 0, *, after: float = 10.0, nats: float | None = 0.5, flat: bool = True) -> Analysis:
    frequencies = FLAT if flat else STEEP
    one = Calibration(frequencies, 0.0 if flat else 0.6, 0.1, 100)
    probe = (
        {} if nats is None else {k: Probe(v, (v - 0.1, v + 0.1), 0.5, 900) for k, v in (("posterior", nats), ("prior", 0.0))}
    )
    return Analysis(
        name,
        "half",
        seed,
        "Stochastic Moving MNIST: 1 digit",
        "10->20",
        30,
        3,
        {"position": one, "pixel": one},
        spread(after),
        probe,
    )


def oracle() -> Analysis:
    """Ahead by CRPS, behind its mean frame by MSE, level with one sample by SSIM."""
    rows = {
        ORACLE: scores(20.0, crps=5.0, ssim=0.7),
        ORACLE_MEAN: scores(10.0, crps=9.0, ssim=0.4),
        ORACLE_SINGLE: scores(20.0, crps=9.5, ssim=0.75),
        BLACK: scores(15.0, crps=15.0, ssim=0.1),
    }
    return replace(analysis(ORACLE, nats=None), evaluation=rows, probe={"frames": Probe(0.9, (0.8, 1.0), 0.8, 900)})
