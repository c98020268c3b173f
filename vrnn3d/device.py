"""Where and in which precision tensors are computed."""

from __future__ import annotations

import os
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor


def pick_device(name: str | torch.device | None = None) -> torch.device:
    """The device asked for, else this process's GPU, else the CPU. "cuda" is this process's GPU too.

    Raises:
        ValueError: for a device that this machine does not have; the message lists what there is. Also where torchrun
            started more processes than there are GPUs.
    """
    if name is None:
        return _own_gpu() if torch.cuda.is_available() else torch.device("cpu")
    device = _existing(str(name))
    return _own_gpu() if device == torch.device("cuda") else device


def _own_gpu() -> torch.device:
    """The GPU of this process: each process that torchrun starts on a machine has one of its own."""
    rank, there = int(os.environ.get("LOCAL_RANK", 0)), torch.cuda.device_count()
    processes = max(rank + 1, int(os.environ.get("LOCAL_WORLD_SIZE", 1)))
    if processes > there:
        raise ValueError(
            f"torchrun started {processes} processes here, more than there are GPUs ({there}): start it with"
            f" --nproc-per-node {there}, or say --device cpu"
        )
    return torch.device("cuda", rank)


def devices() -> list[str]:
    """The devices of this machine, as ``--device`` takes them."""
    found = ["cpu", *(f"cuda:{i}" for i in range(torch.cuda.device_count() if torch.cuda.is_available() else 0))]
    return found + (["mps"] if torch.backends.mps.is_available() else [])


def _existing(name: str) -> torch.device:
    there = devices()
    try:
        device = torch.device(name)
    except RuntimeError:
        device = None
    known = device is not None and (name in there or (device.index is None and f"{device.type}:0" in there))
    if device is None or not known:
        raise ValueError(f"there is no device {name!r} here; there are: {', '.join(there)}")
    return device


def out_of_memory(error: BaseException) -> bool:
    """Whether an error says that the memory is too small. On a CPU PyTorch has no class of its own for it."""
    return isinstance(error, (MemoryError, torch.OutOfMemoryError)) or "allocate memory" in str(error)


def autocast(precision: str, device: torch.device) -> AbstractContextManager[Any]:
    """The context in which forward passes run; "auto" is bfloat16 on a GPU and float32 elsewhere."""
    return torch.autocast(device.type, torch.bfloat16) if uses_bfloat16(precision, device) else nullcontext()


def uses_bfloat16(precision: str, device: torch.device) -> bool:
    """What :func:`autocast` decides."""
    return precision == "bfloat16" or (precision == "auto" and device.type == "cuda")


def has_bfloat16_instructions() -> bool:
    """Whether this processor has instructions for bfloat16: tiles of matrices (AMX), or dot products (AVX-512 BF16).

    On a processor without them bfloat16 is slower than float32. False where PyTorch is too old to tell.
    """
    if not hasattr(torch.cpu, "get_capabilities"):
        return False
    there = torch.cpu.get_capabilities()
    return bool(there.get("amx_bf16") or there.get("avx512_bf16"))


def compiled(compute: Callable, setting: str, device: torch.device, alone: bool = True) -> Callable:
    """`compute` as ``Train.compile`` asks for it: "auto", "yes", "no" or "graphs".

    "graphs" replays the compiled function as CUDA graphs: a call overwrites what the call before returned, so whoever
    keeps a result must copy it first. "auto" compiles on a GPU that trains `alone`, and never takes graphs.
    """
    if setting == "no" or (setting == "auto" and not (device.type == "cuda" and alone)):
        return compute
    if setting != "graphs":
        return torch.compile(compute, dynamic=False)
    replayed = torch.compile(compute, dynamic=False, mode="reduce-overhead")

    def step(*arguments):
        torch.compiler.cudagraph_mark_step_begin()
        return replayed(*arguments)

    return step


def fast_matrix_products(device: torch.device) -> None:
    """Let a GPU multiply float32 matrices in TF32 and choose its convolutions by measurement, as training wants it."""
    if device.type == "cuda":
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True


def to_device(tensor: Tensor, device: torch.device) -> Tensor:
    """Send a small tensor to the device without waiting for what the device is doing."""
    return tensor.pin_memory().to(device, non_blocking=True) if device.type == "cuda" else tensor
