"""Records that no training made, for the tests of figures and tables."""

from __future__ import annotations

from dataclasses import replace

from vrnn3d.config import config_hash
from vrnn3d.evaluation.scores import Evaluation, Score
from vrnn3d.study import profiles
from vrnn3d.study.provenance import Code, Machine, Provenance
from vrnn3d.study.records import DataUsed, Record, Training


def score(average: float = 30.0, frames: int = 3) -> Score:
    """`average` at the middle of three frames, ten less and more at its sides; intervals of one either way."""
    values = tuple(average + 10 * (i - (frames - 1) / 2) for i in range(frames))
    return Score(average, (average - 1, average + 1), values, tuple((v - 1, v + 1) for v in values))


def record(
    experiment: str = "vrnn3d_kl_ll",
    seed: int = 0,
    profile: str = "paper",
    curves: dict | None = None,
    title: str = "",
    black: float | None = None,
    device: str = "CPU (made up)",
    **training,
) -> Record:
    """One finished run, evaluated on 10 -> 3; keywords go into its training."""
    config = replace(profiles.get(experiment, "paper"), profile=profile)
    curves = {"sequences": (0.0, 100.0), "loss": (9.0, 5.0), "beta": (0.0, 1.0)} if curves is None else curves
    settings: dict = {"sequences": 1000, "updates": 125, "seconds": 3600.0, "sequences_per_second": 0.3, "precision": "float32"}
    evaluation = Evaluation(3, 2, {"mse": score(), "sample_variance": score(20.0)}, {} if black is None else {"black": black})
    return Record(
        experiment=experiment,
        profile=profile,
        seed=seed,
        title=title or config.title,
        status="finished",
        config=config,
        config_hash=config_hash(config),
        provenance=Provenance(Code(None, None), Machine(device, 2, 2), {"torch": "0"}, "2026-01-01"),
        parameters={"total": 7},
        training=Training(**settings | training, curves=curves),
        data=DataUsed("made up", "nowhere"),
        evaluation={"test": {"10->3": evaluation}},
        gigaflops=2.0,
    )
