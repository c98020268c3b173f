"""Records whose comparisons have known answers, for the tests of the study."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import torch

from vrnn3d.config import Experiment, config_hash, override
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.scores import Evaluation
from vrnn3d.study import profiles
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.provenance import Code, Machine, Provenance
from vrnn3d.study.records import DataUsed, Record, Training

SEQUENCES = 30
CURVES = {"sequences": (64.0, 600_000.0), "loss": (900.0, 80.0)}
ORIGIN = Provenance(Code("a" * 40, False), Machine("CPU (test)", 1, 1), {"torch": "2.6", "numpy": "2.0"}, "2026-01-01")


def experiment_of(name: str, profile: str, changes: dict[str, Any] | None = None) -> Experiment:
    """The catalogue's experiment; a profile that does not exist any more has the full size's settings."""
    found = profiles.get(name, profile) if profile in profiles.PROFILES else replace(EXPERIMENTS[name], profile=profile)
    return override(found, changes or {})


def record(
    name: str = "vrnn3d_kl_ll",
    mse: float = 40.0,
    profile: str = "paper",
    seed: int = 0,
    *,
    variance: float = 1.0,
    log_std: float | None = -2.0,
    black: float | None = 200.0,
    curves: dict[str, tuple[float, ...]] | None = None,
    changes: dict[str, Any] | None = None,
    parameters: int = 12_942_000,
    source: str = "VRNN3D_DATA",
    description: str = "Moving MNIST: two digits",
    evaluation: dict[str, dict[str, Evaluation]] | None = None,
    status: str = "finished",
) -> Record:
    """A run whose MSE is `mse` above what makes each test sequence hard, the same for all models."""
    experiment = experiment_of(name, profile, changes)
    precision = "float32" if experiment.train.precision == "auto" else experiment.train.precision
    if evaluation is None:
        own = sum(name.encode()) + seed
        evaluation = {pool: digits(mse, own, variance, black) for pool in ("train", "test")}
    kept = dict(CURVES) if curves is None else curves
    if log_std is not None:
        kept |= {"log_std_prior": (0.0, log_std)}
    return Record(
        experiment=name,
        profile=profile,
        seed=seed,
        title=experiment.title,
        status=status,
        config=experiment,
        config_hash=config_hash(experiment),
        provenance=ORIGIN,
        parameters={"encoder": 1, "total": parameters},
        training=Training(600_000, 9375, 600.0, 1000.0, precision, curves=kept),
        data=DataUsed(description, source),
        evaluation=evaluation,
        group=experiment.group,
    )


def seeds(name: str, values: list[float], **changes: Any) -> list[Record]:
    """One record for each value, with seeds 0, 1, ..."""
    return [record(name, value, seed=seed, **changes) for seed, value in enumerate(values)]


@cache
def digits(mse: float, own: int = 0, variance: float = 1.0, black: float | None = None) -> dict[str, Evaluation]:
    """All four protocols; made by ``metrics.summarise``, as an evaluation makes it."""
    return {f"{c}->{t}": _digits(mse, own, variance, t, black) for c, t in ((5, 10), (5, 15), (10, 10), (10, 20))}


def _digits(mse: float, own: int, variance: float, frames: int, black: float | None) -> Evaluation:
    shape = (SEQUENCES, frames)
    hard = 3 * torch.rand(shape, generator=torch.Generator().manual_seed(99))
    average = mse + hard + 0.02 * torch.randn(shape, generator=torch.Generator().manual_seed(own))
    each = {"average": average, "best": average - 1, "mean_frame": average - 2}
    values = {
        "mse": each,
        "mae": each,
        "ssim": {key: 1 - value / 500 for key, value in each.items()},
        "psnr": {key: 30 - value / 10 for key, value in each.items()},
        "ssim_uint8": {"average": 1 - average / 500},
        "sample_variance": {"average": torch.full(shape, variance)},
        "crps": {"average": average / 2},
    }
    return metrics.summarise(values, samples=3, resamples=20, baselines={} if black is None else {"black": black})


def people(
    name: str = "kth_vrnn3d_kl_ll",
    start: float = 28.0,
    slope: float = -0.1,
    profile: str = "ablation",
    *,
    clips: str = "KTH, 20-clip subset",
    frames: tuple[int, ...] = (20, 40, 60),
    seen: float = 0.0,
    **changes: Any,
) -> Record:
    """A KTH run whose PSNR falls by `slope` dB a frame from `start`; on persons seen it is `seen` dB better.

    The windows differ in level and slope, alike for all models; between models there is a hundredth of that.
    """
    windows = torch.Generator().manual_seed(7)
    level, steeper = torch.randn(23, 1, generator=windows), 0.02 * torch.randn(23, 1, generator=windows)
    own = torch.Generator().manual_seed(sum(name.encode()))
    entries: dict[str, dict[str, Evaluation]] = {"test": {}, "train": {}}
    for pool, above in (("test", 0.0), ("train", seen)):
        for length in frames:
            noise = 0.01 * torch.randn(23, length, generator=own)
            psnr = start + above + level + (slope + steeper) * torch.arange(length) + noise
            values = {"mse": psnr, "psnr": psnr, "ssim": psnr / 50}
            table = {metric: {"average": value} for metric, value in values.items()}
            entries[pool][f"10->{length}"] = metrics.summarise(table, samples=1, resamples=20)
    return record(name, profile=profile, description=f"{clips}: some clips of persons 1, 2", evaluation=entries, **changes)
