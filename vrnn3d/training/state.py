"""The state of a training: everything that a later call needs to go on as if nothing had happened."""

from __future__ import annotations

import json
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Iterator

import torch
from torch import Tensor

from vrnn3d import checkpoint, config
from vrnn3d.models.base import VideoModel

Weights = dict[str, Tensor]


@dataclass
class State:
    """What changes while a model is trained. `sums` are of the terms since the last point of the curves."""

    model: VideoModel
    optimiser: torch.optim.Optimizer | None
    average: Weights | None  #: the weight average, where one is kept
    step: int = 0
    seconds: float = 0.0
    curves: dict[str, list[float]] = field(default_factory=dict)
    sums: dict[str, Tensor] = field(default_factory=dict)
    summed: int = 0

    @staticmethod
    def start(model: VideoModel, settings: config.Train) -> State:
        """The state before the first update of a model."""
        parameters = [p for p in model.parameters() if p.requires_grad]
        optimiser = torch.optim.Adam(parameters, lr=settings.lr, fused=True) if parameters else None
        average = {name: value.clone() for name, value in model.state_dict().items()} if settings.ema else None
        return State(model, optimiser, average)

    @property
    def parameters(self) -> list[torch.nn.Parameter]:
        """What is trained."""
        return [p for p in self.model.parameters() if p.requires_grad]

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
        """Move the weight average towards the weights; early on it moves faster than `decay` says."""
        if self.average is None:
            return
        share = 1 - min(decay, self.step / (9 + self.step))
        weights = self.model.state_dict()
        moved = [name for name, value in weights.items() if value.is_floating_point() and "running_" not in name]
        torch._foreach_lerp_([self.average[name] for name in moved], [weights[name] for name in moved], share)
        copied = [name for name in weights if name not in set(moved)]
        torch._foreach_copy_([self.average[name] for name in copied], [weights[name] for name in copied])

    @contextmanager
    def evaluated_weights(self) -> Iterator[VideoModel]:
        """The model with the weights that will be evaluated: the average where one is kept."""
        if self.average is None:
            yield self.model
            return
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        try:
            yield self.model
        finally:
            self.model.load_state_dict(kept)

    def save(self, folder: Path, experiment: config.Experiment, seed: int) -> None:
        """Write the checkpoint of a run's folder."""
        checkpoint.save(
            folder,
            {
                "config": json.dumps(config.to_dict(experiment)),
                "seed": seed,
                "model": self.model.state_dict(),
                "ema": self.average,
                "optimiser": self.optimiser.state_dict() if self.optimiser else {},
                "step": self.step,
                "seconds": self.seconds,
                "curves": json.dumps(self.curves),
                "sums": self.sums,
                "summed": self.summed,
            },
        )

    def restore(self, folder: Path, experiment: config.Experiment, seed: int, device: torch.device) -> None:
        """Go on from the checkpoint of a run's folder.

        Raises:
            ValueError: when the folder holds a run with other settings or another seed.
        """
        saved = checkpoint.load_state(folder, device)
        theirs = config.from_dict(json.loads(saved["config"]))
        if config.config_hash(theirs) != config.config_hash(experiment) or saved["seed"] != seed:
            raise ValueError(
                f"{folder} holds a run of {theirs.name} ({theirs.profile}, seed {saved['seed']}) with other settings;"
                " choose another --out, or delete that folder"
            )
        self.model.load_state_dict(saved["model"])
        if self.optimiser is not None:
            self.optimiser.load_state_dict(saved["optimiser"])
        if self.average is not None:
            self.average = saved["ema"]
        self.step, self.seconds, self.curves = saved["step"], saved["seconds"], json.loads(saved["curves"])
        self.sums, self.summed = saved["sums"], saved["summed"]
