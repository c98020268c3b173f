"""What the machine itself can do: how fast it multiplies matrices, and how fast it copies memory."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable

import torch

REPEATS = 10


def median_seconds(call: Callable[[], object], repeats: int, device: torch.device, warm: bool = True) -> float:
    """Median time of a call; with `warm`, after one that allocates, compiles, and picks algorithms."""
    if warm:
        call()
    times = []
    for _ in range(repeats):
        _synchronize(device)
        start = time.perf_counter()
        call()
        _synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def matrix_product(device: torch.device) -> tuple[float, float]:
    """(seconds, TFLOP/s) of a matrix product: float32 on a CPU, bfloat16 on a GPU.

    On a CPU it is the faster of BLAS's and of oneDNN's, whose convolutions are what the models run on: on some processors
    BLAS picks kernels that a convolution beats.
    """
    cuda = device.type == "cuda"
    n, dtype = (8192, torch.bfloat16) if cuda else (2048, torch.float32)
    a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
    products: list[tuple[int, Callable[[], object]]] = [(2 * n**3, lambda: a @ b)]
    if not cuda:
        x = torch.randn(8, 256, 32, 32).contiguous(memory_format=torch.channels_last)
        w = torch.randn(256, 256, 3, 3).contiguous(memory_format=torch.channels_last)
        products.append((2 * x.numel() * 256 * 9, lambda: torch.nn.functional.conv2d(x, w, padding=1)))
    measured = [(flop, median_seconds(call, REPEATS, device)) for flop, call in products]
    flop, seconds = max(measured, key=lambda one: one[0] / one[1])
    return seconds, flop / seconds / 1e12


def copy(device: torch.device) -> tuple[float, float]:
    """(seconds, GB/s) of a copy, every byte read once and written once; of more than any cache holds."""
    source = torch.ones(2**28 if device.type == "cuda" else 2**26, device=device)  # 1 GiB, 256 MiB
    target = torch.empty_like(source)
    seconds = median_seconds(lambda: target.copy_(source), REPEATS, device)
    return seconds, 2 * source.numel() * source.element_size() / seconds / 1e9
