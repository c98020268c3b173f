"""One measurement: in this process, or in a process of its own.

A process of its own has a peak memory of its own, and when it fails, or is killed for its memory, it takes no other measurement
with it.
"""

from __future__ import annotations

import dataclasses
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import torch

from vrnn3d.device import autocast, fast_matrix_products
from vrnn3d.settings import parse
from vrnn3d.study.bench import ceiling
from vrnn3d.study.bench.counting import LINE, one_line
from vrnn3d.study.bench.jobs import Job
from vrnn3d.study.bench.workload import build, folding, prediction, random_frames, training_step

_RESULT = "RESULT"  # begins the line of a process's output that is meant for us


@dataclass(frozen=True)
class Outcome:
    """What was measured, or why nothing could be: then `failed` is one line, and the rest says nothing."""

    seconds: float = 0.0  #: per call
    peak_mib: float = 0.0
    parameters: int = 0
    rate: float = 0.0  #: of a ceiling: TFLOP/s or GB/s
    failed: str = ""


def measure(job: Job) -> Outcome:
    """One measurement in this process. Whatever the model, the compiler or the memory raises goes through."""
    device = torch.device(job.device)
    if device.type == "cpu":
        torch.set_num_threads(job.threads)
    fast_matrix_products(device)
    if job.kind == "matmul":
        return _ceiling(*ceiling.matrix_product(device))
    if job.kind == "copy":
        return _ceiling(*ceiling.copy(device))

    torch.manual_seed(0)
    model = build(job).to(device)
    prepare = training_step if job.kind == "train" else prediction
    call = prepare(job, model, random_frames(job, model, device), autocast(job.precision, device))
    with folding(job, device.type):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = ceiling.median_seconds(call, job.repeats, device, job.warm)
    return Outcome(seconds, _peak_mib(device), model.parameter_breakdown()["total"])


def _ceiling(seconds: float, rate: float) -> Outcome:
    return Outcome(seconds=seconds, rate=rate)


def _peak_mib(device: torch.device) -> float:
    """The most memory that was in use: of the GPU, or of this process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device) / 2**20
    import resource

    unit = 2**20 if sys.platform == "darwin" else 2**10
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / unit


def attempt(job: Job) -> Outcome:
    """:func:`measure`, or why it failed."""
    try:
        return measure(job)
    except Exception as error:  # whatever it is, the other measurements go on
        return Outcome(failed=one_line(error))


def in_a_process(job: Job) -> Outcome:
    """:func:`attempt` in a process of its own; one that dies without a word has failed too."""
    command = [sys.executable, "-m", "vrnn3d.study.bench.measure", json.dumps(dataclasses.asdict(job))]
    # The package of this process, whatever another PYTHONPATH or the working directory would lead to.
    found_in = [str(Path(__file__).parents[3]), *filter(None, [os.environ.get("PYTHONPATH")])]
    done = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "PYTHONPATH": os.pathsep.join(found_in)})
    for line in done.stdout.splitlines():
        if line.startswith(_RESULT):
            return parse(Outcome, json.loads(line.removeprefix(_RESULT)), "the measurement")
    said = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
    return Outcome(failed=" ".join(f"the process ended with code {done.returncode}: {said}".split())[:LINE])


if __name__ == "__main__":
    print(_RESULT + json.dumps(dataclasses.asdict(attempt(Job(**json.loads(sys.argv[1]))))))
