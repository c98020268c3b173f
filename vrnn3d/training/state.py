"""The state of a training: everything that a later call needs to go on as if nothing had happened."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vrnn3d import checkpoint, config
from vrnn3d.data import Dataset
from vrnn3d.models.base import VideoModel
from vrnn3d.training import optimisers

Weights = dict[str, Tensor]


class TrainingDiverged(RuntimeError):
    """A loss, gradient or weight is NaN or infinite; the message says where, what was kept and what to do.

    `changes` are the settings to go on with, as ``--set`` takes them.
    """

    def __init__(self, message: str, changes: Mapping[str, str] | None = None):
        super().__init__(message)
        self.changes = dict(changes or {})


@dataclass
class State:
    """What changes while a model is trained. `sums` are of the terms since the last point of the curves."""

    model: VideoModel
    optimiser: torch.optim.Optimizer | None
    average: Weights | None  #: the weight average, where one is kept
    parent: str = ""  #: what the training started from
    step: int = 0
    seconds: float = 0.0
    cpu_seconds: float = 0.0  #: of this process, all its threads together
    curves: dict[str, list[float]] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)
    summed: int = 0
    best: Weights | None = None  #: the weights with the lowest validation error, where these are asked for
    best_mse: float = math.inf

    @staticmethod
    def start(model: VideoModel, settings: config.Train, parent: str = "") -> State:
        """The state before the first update of a model."""
        trainable = any(p.requires_grad for p in model.parameters())
        optimiser = optimisers.build(settings.optimiser, model, settings.lr) if trainable else None
        return State(model, optimiser, copied(model) if settings.ema else None, parent)

    @staticmethod
    def bytes_of(model: VideoModel, settings: config.Train) -> int:
        """About how large a checkpoint will be: weights, two moments of each, their average and the best."""
        weights = sum(value.nbytes for value in model.state_dict().values())
        return weights * (3 + (settings.ema > 0) + (settings.weights == "best"))

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """What is trained."""
        return [p for p in self.model.parameters() if p.requires_grad]

    def set_rate(self, rate: float) -> None:
        """Set the learning rate of the next update."""
        assert self.optimiser is not None
        for group in self.optimiser.param_groups:
            group["lr"] = rate * group["scale"]

    def add(self, terms: dict[str, Tensor]) -> None:
        """Add the terms of an update to the sums. A sum is a new tensor, which no replay of a CUDA graph overwrites."""
        for name, value in terms.items():
            self.sums[name] = self.sums[name] + value if name in self.sums else 0 + value
        self.summed += 1

    def clear_sums(self) -> None:
        """Start the next point of the curves."""
        self.sums, self.summed = {}, 0

    def note(self, **values: float) -> None:
        """Append a point to the curves of these names."""
        for name, value in values.items():
            self.curves.setdefault(name, []).append(float(f"{value:.6g}"))

    @torch.no_grad()
    def move_average(self, decay: float) -> None:
        """Move the weight average towards the weights; early on it moves faster than `decay` says.

        The statistics of batch norms are averaged as the weights are: the last ones belong to other weights.
        """
        if self.average is None:
            return
        share = 1 - min(decay, self.step / (9 + self.step))
        weights = self.model.state_dict()
        moved = [name for name, value in weights.items() if value.is_floating_point()]
        torch._foreach_lerp_([self.average[name] for name in moved], [weights[name] for name in moved], share)
        counters = [name for name in weights if name not in set(moved)]
        torch._foreach_copy_([self.average[name] for name in counters], [weights[name] for name in counters])

    @contextmanager
    def validated_weights(self) -> Iterator[VideoModel]:
        """The model with the weights that are validated: the average where one is kept."""
        if self.average is None:
            yield self.model
            return
        kept = copied(self.model)
        self.model.load_state_dict(self.average)
        try:
            yield self.model
        finally:
            self.model.load_state_dict(kept)

    def keep_best(self, mse: float) -> None:
        """Keep the weights that were just validated, where their error is the lowest so far."""
        if mse < self.best_mse:
            self.best_mse = mse
            self.best = copied(self.model) if self.average is None else {k: v.clone() for k, v in self.average.items()}

    def check_finite(self) -> None:
        """Raise :class:`TrainingDiverged` where a weight is NaN or infinite, so that it never reaches a checkpoint."""
        weights = [value for value in self.model.state_dict().values() if value.is_floating_point()]
        if weights and not torch.stack(torch._foreach_norm(weights)).isfinite().all():
            raise TrainingDiverged(f"a weight is no finite number after update {self.step}")

    def save(self, folder: Path, experiment: config.Experiment, seed: int, data: Dataset) -> None:
        """Write the checkpoint of a run's folder.

        Raises:
            TrainingDiverged: when a weight is not finite; the checkpoint before it stays.
        """
        self.check_finite()
        chosen = {"last": self.model.state_dict(), "ema": self.average, "best": self.best}[experiment.train.weights]
        checkpoint.save(
            folder,
            {
                "config": json.dumps(config.to_dict(experiment)),
                "seed": seed,
                "data": {"identity": data.identity, "source": data.source, "description": data.description},
                "parent": self.parent,
                "evaluated": chosen or self.model.state_dict(),
                "model": self.model.state_dict(),
                "ema": self.average,
                "best": self.best,
                "best_mse": self.best_mse,
                "optimiser": self.optimiser.state_dict() if self.optimiser else {},
                "step": self.step,
                "seconds": self.seconds,
                "cpu_seconds": self.cpu_seconds,
                "curves": json.dumps(self.curves),
                "sums": self.sums,
                "summed": self.summed,
            },
        )

    def restore(self, folder: Path, experiment: config.Experiment, seed: int, data: Dataset, device: torch.device) -> None:
        """Go on from the checkpoint of a run's folder.

        Raises:
            ValueError: when the folder holds a run with other settings, another seed or other data.
        """
        saved = checkpoint.load_state(folder, device)
        check_same(folder, experiment, saved_experiment(folder, saved), seed, saved["seed"])
        _check_data(folder, data, saved["data"])
        with checkpoint.fitting(folder / checkpoint.CHECKPOINT):
            _check_copy("ema", saved["ema"], self.model, needed=self.average is not None)
            _check_copy("best", saved["best"], self.model, needed=False)
            self.model.load_state_dict(saved["model"])
            if self.optimiser is not None:
                self.optimiser.load_state_dict(saved["optimiser"])
            self.curves = json.loads(saved["curves"])
        self.average, self.best, self.best_mse = saved["ema"], saved["best"], saved["best_mse"]
        self.step, self.seconds = saved["step"], saved["seconds"]
        self.cpu_seconds = saved["cpu_seconds"]
        self.sums, self.summed, self.parent = saved["sums"], saved["summed"], saved["parent"]


def copied(model: VideoModel) -> Weights:
    """A copy of a model's weights and statistics."""
    return {name: value.clone() for name, value in model.state_dict().items()}


def _check_copy(name: str, copy: Weights | None, model: VideoModel, needed: bool) -> None:
    """``ValueError`` where a copy of the weights is missing, or is another model's."""
    if copy is None and needed:
        raise ValueError(f"its part {name!r} is missing")
    shapes = {key: value.shape for key, value in model.state_dict().items()}
    if copy is not None and {key: value.shape for key, value in copy.items()} != shapes:
        raise ValueError(f"its part {name!r} has other weights or shapes than the model")


def saved_experiment(folder: Path, saved: dict[str, Any]) -> config.Experiment:
    """The experiment that a folder's checkpoint is of; ``ValueError`` where this program does not know its settings."""
    with checkpoint.fitting(folder / checkpoint.CHECKPOINT):
        return config.from_dict(json.loads(saved["config"]))


def check_same(folder: Path, experiment: config.Experiment, theirs: config.Experiment, seed: int, their_seed: int) -> None:
    """``ValueError`` where a folder's run was asked to do something else, or with another seed."""
    if config.config_hash(theirs) != config.config_hash(experiment):
        before, now = (config.different_from_default(e) for e in (theirs, experiment))
        differing = [name for name in {**before, **now} if before.get(name) != now.get(name)]
        told = "; ".join(f"{n} is {before.get(n, 'the default')} there and {now.get(n, 'the default')} here" for n in differing)
        raise ValueError(f"{folder} holds a run of {theirs.name} with other settings ({told}); choose another --out")
    if their_seed != seed:
        raise ValueError(f"{folder} holds a run of seed {their_seed}, not {seed}; choose another --out")


def _check_data(folder: Path, data: Dataset, theirs: Mapping[str, str]) -> None:
    """``ValueError`` where a folder's run was trained on other data; both are named."""
    if theirs["identity"] != data.identity:
        raise ValueError(
            f"{folder} holds a run that was trained on other data: {theirs['description']} [{theirs['identity']}];"
            f" here there are: {data.description} [{data.identity}];"
            " bring those data back, or choose another --out"
        )
