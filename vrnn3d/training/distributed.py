"""The processes of a training that torchrun started."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from vrnn3d.layers.gaussian import set_noise_shard


@dataclass(frozen=True)
class Team:
    """All processes of a training; one process stands alone."""

    rank: int = 0
    world: int = 1

    @staticmethod
    def join(device: torch.device) -> Team:
        """Join the group that torchrun's environment describes, if any."""
        world = int(os.environ.get("WORLD_SIZE", 1))
        if world == 1:
            return Team()
        if not torch.distributed.is_initialized():
            if device.type == "cuda":
                torch.cuda.set_device(device)  # where `gather` puts what it sends
            torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        team = Team(torch.distributed.get_rank(), world)
        set_noise_shard(team.rank, world)
        return team

    @staticmethod
    def current() -> Team:
        """The group this process has joined."""
        distributed = torch.distributed
        if not (distributed.is_available() and distributed.is_initialized()):
            return Team()
        return Team(distributed.get_rank(), distributed.get_world_size())

    @property
    def leads(self) -> bool:
        """Whether this process is the one that writes files and shows progress."""
        return self.rank == 0

    def share(self, batch: int) -> slice:
        """This process's part of a global batch.

        Raises:
            ValueError: when the batch cannot be shared evenly.
        """
        if batch % self.world:
            raise ValueError(f"a batch of {batch} cannot be shared by {self.world} processes; choose a multiple")
        local = batch // self.world
        return slice(self.rank * local, (self.rank + 1) * local)

    def mean_(self, tensors: list[Tensor]) -> None:
        """Replace each tensor by its mean over the processes."""
        if self.world == 1 or not tensors:
            return
        flat = torch.cat([t.reshape(-1) for t in tensors])
        torch.distributed.all_reduce(flat)
        flat /= self.world
        for tensor, part in zip(tensors, flat.split([t.numel() for t in tensors])):
            tensor.copy_(part.view_as(tensor))

    def gather(self, part: Any) -> list[Any]:
        """What every process has, in the order of their ranks, on every process. Tensors should be on the CPU."""
        parts = [part]
        if self.world > 1:
            parts = [None] * self.world
            torch.distributed.all_gather_object(parts, part)
        return parts

    def any(self, flag: bool, device: torch.device) -> bool:
        """Whether any process says so: all must stop at the same step."""
        if self.world == 1:
            return flag
        value = torch.tensor(float(flag), device=device)
        torch.distributed.all_reduce(value)
        return value.item() > 0
