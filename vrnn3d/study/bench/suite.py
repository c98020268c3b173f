"""``vrnn3d bench``: speed and memory of every model, the plain form against the fast one, in one run.

The plain form computes as the equations are written: every step encodes and decodes by itself, nothing is hoisted, every
convolution is ``nn.Conv3d``. Both forms have the same parameters and the same results (tests/test_vrnn.py). Each
measurement runs in a process of its own, so that peak memory is its own, and so that one that fails takes no other with
it; rounds are interleaved, so that a machine whose speed drifts slows all rows alike. Medians are reported.

The record (:func:`run`) holds two ceilings of the machine, a matrix product and a memory copy, and a row per model and
form. A row that failed in every round has "failed", one line that says why, in place of its numbers.
"""

from __future__ import annotations

import argparse
import functools
import importlib
import json
import math
import os
import statistics
import subprocess
import sys
import time
from contextlib import contextmanager
from pathlib import Path
from typing import Iterator

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from tqdm import tqdm

from vrnn3d.study import results
from vrnn3d.layers import depth_folding
from vrnn3d.losses import sequence_loss
from vrnn3d.models import REGISTRY, arguments, build_model
from vrnn3d.rollout import rollout, usable_length
from vrnn3d.training.loop import autocast, compiled

#: What each step from the plain to the fast form adds: (label, plain arithmetic, batched over time, folding, deepest fold)
WATERFALL = [
    ("plain", True, False, "never", 0),
    ("encoder and decoder batched over time", True, True, "never", 0),
    ("input gates and heads hoisted", False, True, "never", 0),
    ("depth 1 folded, channels last", False, True, "auto", 1),
    ("depth 2 folded", False, True, "auto", 2),
]
SWEEPS = {
    "batch": [{"batch": b} for b in (1, 2, 4, 8)],
    "M = H": [{"window": m, "horizon": m} for m in (1, 2, 4, 5, 10)],
    "H at M = 4": [{"window": 4, "horizon": h} for h in (1, 2, 4)],
    "size": [{"size": s} for s in (32, 64, 96, 128)],
    "length": [{"length": n} for n in (12, 20, 30, 40)],
}
#: What the machine itself can do, measured beside the models
CEILINGS = ("matmul", "copy")
#: Settings of a job on which the counts of operations and bytes depend
COUNTED = ("model", "options", "plain", "window", "horizon", "batch", "size", "length", "context", "batched", "folding")
COUNTED += ("deepest", "precision", "device")


def _model(job: dict):
    """The model that a job names: of the registry, or MODULE:FACTORY."""
    if ":" in job["model"]:
        module, _, factory = job["model"].partition(":")
        sys.path.insert(0, os.getcwd())
        return getattr(importlib.import_module(module), factory)()
    options = {k: job[k] for k in ("window", "horizon") if k in job}
    takes = arguments(job["model"])
    if "size" in takes:
        options["size"] = job["size"]
    if "plain" in takes:
        options["plain"] = job.get("plain", False)
    return build_model(job["model"], **options, **job.get("options", {}))


def _synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def _median_seconds(call, repeats: int, device: torch.device, warm: bool = True) -> float:
    if warm:
        call()  # the first call allocates, compiles, and picks algorithms
    times = []
    for _ in range(repeats):
        _synchronize(device)
        start = time.perf_counter()
        call()
        _synchronize(device)
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def gigaflops(job: dict) -> float:
    """Useful GFLOP of one training sequence, forward and backward, counted on shapes alone.

    Counted in folded form, where products with padding along depth do not occur (up to depth 2).
    """
    from torch.utils.flop_counter import FlopCounterMode

    with torch.device("meta"):
        model = _model(job)
        length = usable_length(model, job["length"])
        frames = torch.empty(1, length, model.channels, job["size"], job["size"])
        mode = "always" if getattr(model, "latent_depth", 1) <= 2 else "never"
        with depth_folding.folding(mode), FlopCounterMode(display=False) as counter:
            prediction, latents = rollout(model, frames, job["context"], length, posterior=model.stochastic)
            loss, _ = sequence_loss(prediction, frames[:, model.window :], latents)
            if loss.requires_grad:
                loss.mean().backward()
    return counter.get_total_flops() / 1e9


@contextmanager
def _folding(job: dict, device_type: str):
    """Fold as the job asks for: how, and where it says so, how deep "auto" goes on this device."""
    before = depth_folding.AUTO_MAX_DEPTH.get(device_type, 1)
    usual = depth_folding.AUTO_MAX_DEPTH.get(torch.device(job["device"]).type, 1)
    depth_folding.AUTO_MAX_DEPTH[device_type] = job.get("deepest", usual)
    try:
        with depth_folding.folding(job["folding"]):
            yield
    finally:
        depth_folding.AUTO_MAX_DEPTH[device_type] = before


class _Traffic(TorchDispatchMode):
    """Adds up the bytes that go into and come out of every aten operation, except views and bare allocations."""

    def __init__(self):
        super().__init__()
        self.bytes = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        name = func.overloadpacket.__name__
        if func.namespace == "aten" and not func.is_view and not name.startswith(("empty", "new_empty")):
            tensors = (t for t in tree_leaves((args, kwargs, out)) if isinstance(t, Tensor))
            self.bytes += sum(t.numel() * t.element_size() for t in tensors)
        return out


def gigabytes(job: dict) -> float:
    """Memory traffic of one training sequence in GB (1e9 bytes): a step forward, backward and Adam, over its batch.

    Counted on shapes alone, at the precision and in the form that the job runs in: every operation reads its inputs
    from memory and writes its outputs there. That is what an execution without fusion moves, and so an upper bound:
    caches and compilers save some of it.
    """
    from torch._subclasses.fake_tensor import FakeTensorMode

    half = isinstance(autocast(job.get("precision", "auto"), torch.device(job["device"])), torch.autocast)
    place = torch.device("cpu")
    precision = autocast("bfloat16" if half else "float32", place)
    with torch.device("meta"):
        model = _model(job)
    # Tensors without data that say they are on a CPU: unlike the meta device, that one has an autocast.
    with FakeTensorMode(), _folding(job, "cpu"):
        model._apply(lambda t: torch.empty_strided(t.shape, t.stride(), dtype=t.dtype, device=place))
        parameters = list(model.parameters())
        if not parameters:
            return 0.0
        optimiser = torch.optim.Adam(parameters, fused=True)
        forward = _forward(job, model, _frames(job, model, place))
        with _Traffic() as counter:
            with precision:
                loss = forward()
            loss.backward()
        optimiser.step()  # the first allocates the moments; a later one is counted
        with counter:
            optimiser.step()
    return counter.bytes / job["batch"] / 1e9


def _frames(job: dict, model, device: torch.device) -> Tensor:
    return torch.rand(job["batch"], job["length"], model.channels, job["size"], job["size"], device=device)


def _forward(job: dict, model, frames: Tensor):
    """The function () -> mean training loss of one batch."""
    length = usable_length(model, job["length"])
    mask = torch.zeros(job["batch"], length, dtype=torch.bool, device=frames.device)
    context = max(job["context"], model.window)

    def forward() -> Tensor:
        prediction, latents = rollout(
            model, frames, context, length, forcing=mask, posterior=model.stochastic, batched=job["batched"]
        )
        return sequence_loss(prediction, frames[:, model.window : length], latents)[0].mean()

    return forward


def _training_step(job: dict, model, frames: Tensor, precision):
    """The function () -> None that is timed for a training row: forward, backward, Adam."""
    parameters = list(model.parameters())
    optimiser = torch.optim.Adam(parameters, 1e-4, fused=True) if parameters else None
    forward = compiled(_forward(job, model, frames), job.get("compile", "no"), frames.device)

    def call() -> None:
        if optimiser is not None:
            optimiser.zero_grad(set_to_none=True)
        with precision:
            loss = forward()
        if optimiser is not None:
            loss.backward()
            optimiser.step()

    return call


def _prediction(job: dict, model, frames: Tensor, precision):
    """The function () -> None that is timed for a prediction row: ten frames after the context."""
    model.eval()
    samples = job["samples"] if model.stochastic else 1
    context = max(job["context"], model.window)

    def call() -> None:
        with torch.no_grad(), precision:
            rollout(model, frames, context, context + 10, samples=samples, batched=job["batched"])

    return call


def _ceiling(job: dict, device: torch.device) -> dict:
    """{"seconds", "tflops"} of a matrix product or {"seconds", "gigabytes_per_second"} of a copy.

    On a CPU the product is the faster of BLAS's and of oneDNN's, whose convolutions are what the models run on: on some
    processors BLAS picks kernels that a convolution beats.
    """
    cuda = device.type == "cuda"
    if job["kind"] == "matmul":
        n, dtype = (8192, torch.bfloat16) if cuda else (2048, torch.float32)
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        products = {2 * n**3: lambda: a @ b}
        if not cuda:
            x = torch.randn(8, 256, 32, 32).contiguous(memory_format=torch.channels_last)
            w = torch.randn(256, 256, 3, 3).contiguous(memory_format=torch.channels_last)
            products[2 * x.numel() * 256 * 9] = lambda: torch.nn.functional.conv2d(x, w, padding=1)
        measured = [(flop, _median_seconds(call, 10, device)) for flop, call in products.items()]
        flop, seconds = max(measured, key=lambda one: one[0] / one[1])
        return {"seconds": seconds, "tflops": flop / seconds / 1e12}
    source = torch.ones(2**28 if cuda else 2**26, device=device)  # 1 GiB, 256 MiB: more than any cache holds
    target = torch.empty_like(source)
    seconds = _median_seconds(lambda: target.copy_(source), 10, device)
    moved = 2 * source.numel() * source.element_size()  # read once and written once
    return {"seconds": seconds, "gigabytes_per_second": moved / seconds / 1e9}


def measure(job: dict) -> dict:
    """One measurement in this process: {"seconds": per call, "sequences": per call, "peak_mib", "parameters"}.

    A job of kind "matmul" or "copy" gives {"seconds", "tflops"} or {"seconds", "gigabytes_per_second"}. Whatever the
    model, the compiler or the memory raises goes through.
    """
    device = torch.device(job["device"])
    if device.type == "cpu":
        torch.set_num_threads(job["threads"])
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    if job["kind"] in CEILINGS:
        return _ceiling(job, device)

    torch.manual_seed(0)
    model = _model(job).to(device)
    prepare = _training_step if job["kind"] == "train" else _prediction
    call = prepare(job, model, _frames(job, model, device), autocast(job.get("precision", "auto"), device))
    with _folding(job, device.type):
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = _median_seconds(call, job["repeats"], device, job.get("warm", True))
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    total = model.parameter_breakdown()["total"]
    return {"seconds": seconds, "sequences": job["batch"], "peak_mib": peak, "parameters": total}


def attempt(job: dict) -> dict:
    """:func:`measure`, or {"failed": one line of at most 200 characters} where that raises."""
    try:
        return measure(job)
    except Exception as error:  # whatever it is, the other measurements go on
        return {"failed": _one_line(f"{type(error).__name__}: {error}")}


def _one_line(text: str) -> str:
    return " ".join(text.split())[:200]


def _in_a_process(job: dict) -> dict:
    """:func:`attempt` in a process of its own; one that dies without a word, killed for its memory, has failed too."""
    code = (
        "import json, sys; from vrnn3d.study.bench.suite import attempt; "
        "print('RESULT' + json.dumps(attempt(json.loads(sys.argv[1]))))"
    )
    done = subprocess.run([sys.executable, "-c", code, json.dumps(job)], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT"):
            return json.loads(line.removeprefix("RESULT"))
    said = (done.stderr.strip().splitlines() or ["it wrote nothing"])[-1]
    return {"failed": _one_line(f"the process ended with code {done.returncode}: {said}")}


def _counts(job: dict) -> dict:
    """Of a training row: GFLOP and GB per sequence; without what an outside model does not let count."""
    return dict(_counted(json.dumps({key: job[key] for key in COUNTED if key in job})))


@functools.cache  # the compiled rows and every round ask for the same counts
def _counted(job: str) -> dict:
    found = {}
    for name, count in (("useful_gflop_per_sequence", gigaflops), ("gigabytes_per_sequence", gigabytes)):
        try:
            found[name] = count(json.loads(job))
        except Exception as error:  # a model that needs data, or a device of its own, is timed all the same
            print(f"vrnn3d: {name} not counted: {_one_line(f'{type(error).__name__}: {error}')}", file=sys.stderr)
    return found


def _stochastic(job: dict) -> bool:
    """Whether the job's model draws samples; False for one that cannot be built, whose rows will say why."""
    try:
        with torch.device("meta"):
            return _model(job).stochastic
    except Exception:
        return False


def _jobs(args, device: str) -> list[tuple[str, str, dict]]:
    """(model, form, job) of every row."""
    base = dict(
        device=device,
        threads=args.threads,
        batch=args.batch,
        size=args.size,
        length=args.length,
        context=args.context,
        repeats=args.repeats,
        samples=args.samples,
        precision=args.precision,
        compile="no",
    )
    fast = dict(plain=False, batched=True, folding="auto")
    plain = dict(plain=True, batched=False, folding="never")
    rows = []
    for name in [*args.models, *args.against]:
        job = {**base, "model": name, "options": json.loads(args.options).get(name, {})}
        rows.append((name, "plain", {**job, **plain, "kind": "train"}))
        rows.append((name, "fast", {**job, **fast, "kind": "train"}))
        if device != "cpu":
            rows.append((name, "compiled", {**job, **fast, "kind": "train", "compile": "yes"}))
            rows.append((name, "compiled, CUDA graphs", {**job, **fast, "kind": "train", "compile": "graphs"}))
        rows.append((name, "plain, prediction", {**job, **plain, "kind": "predict", "samples": 1}))
        rows.append((name, "fast, prediction", {**job, **fast, "kind": "predict", "samples": 1}))
        if args.samples > 1 and _stochastic(job):
            one = {**job, **fast, "kind": "predict", "batch": 1, "repeats": 1, "warm": False}
            rows.append((name, f"fast, {args.samples} samples", one))
    if "vrnn3d" in args.models:
        ours = {**base, "model": "vrnn3d", "options": json.loads(args.options).get("vrnn3d", {}), "kind": "train"}
        rows.append(("vrnn3d", "plain, sliding (H = 1)", {**ours, **plain, "horizon": 1, "window": 2}))
        for label, p, b, f, deepest in WATERFALL[1:]:
            rows.append(("vrnn3d", f"step: {label}", {**ours, "plain": p, "batched": b, "folding": f, "deepest": deepest}))
    if args.sweep:
        ours = {**base, **fast, "model": "vrnn3d", "options": json.loads(args.options).get("vrnn3d", {}), "kind": "train"}
        for sweep, changes in SWEEPS.items():
            for change in changes:
                rows.append(("vrnn3d", f"sweep: {sweep}: {json.dumps(change)}", {**ours, **change}))
    return rows


def _row(name: str, form: str, job: dict, runs: list[dict], ceiling: float | None) -> dict:
    """A row of the record: medians over the rounds that succeeded, or why none did."""
    row = {"model": name, "form": form, **{key: job[key] for key in ("kind", "batch", "size", "length")}}
    good = [run for run in runs if "failed" not in run]
    if not good:
        return row | {"failed": runs[-1]["failed"]}
    seconds = [run["seconds"] for run in good]
    row |= {
        "parameters": good[0]["parameters"],
        "rounds": len(good),
        "seconds": statistics.median(seconds),
        "seconds_range": [min(seconds), max(seconds)],
        "sequences_per_second": job["batch"] / statistics.median(seconds),
        "peak_mib": max(run["peak_mib"] for run in good),
    }
    if job["kind"] != "train":
        return row | {"samples": job["samples"]}
    row |= _counts(job)
    if "useful_gflop_per_sequence" in row:
        row["useful_tflops"] = row["useful_gflop_per_sequence"] * row["sequences_per_second"] / 1e3
        if ceiling:
            row["share_of_matrix_product"] = row["useful_tflops"] / ceiling
    return row


def _ceiling_of(runs: list[dict], key: str) -> float | None:
    values = [run[key] for run in runs if key in run]
    return statistics.median(values) if values else None


def run(args) -> Iterator[dict]:
    """Measure what the command line asks for; yields the whole record anew after every round.

    "rounds_measured" counts the rounds that are complete. When ``args.minutes`` are over, the measurement under way is
    finished and the record so far is the last one: rows that were not reached are not in it.
    """
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    rows = _jobs(args, device)
    ceilings = [(kind, "ceiling", dict(kind=kind, device=device, threads=args.threads)) for kind in CEILINGS]
    found: dict[tuple[str, str], list[dict]] = {(name, form): [] for name, form, _ in (*ceilings, *rows)}
    kept = ("batch", "size", "length", "context", "repeats", "rounds", "threads", "samples")
    about = results.provenance(device=device)
    until = math.inf if args.minutes is None else time.monotonic() + 60 * args.minutes
    bar = tqdm(total=args.rounds * len(found), desc="bench", unit=" measurement", disable=args.quiet)
    for _ in range(args.rounds):
        for name, form, job in (*ceilings, *rows):
            bar.set_postfix_str(f"{name}, {form}"[:60])
            outcome = _in_a_process(job)
            found[name, form].append(outcome)
            if job["kind"] == "train" and "failed" not in outcome:
                _counts(job)  # now, so that at the end of the round the record is written at once
            bar.update()
            if time.monotonic() > until:
                break
        ceiling = _ceiling_of(found["matmul", "ceiling"], "tflops")
        yield {
            "schema": 1,
            "kind": "bench",
            **about,
            "settings": {key: getattr(args, key) for key in kept},
            "rounds_measured": min(len(runs) for runs in found.values()),
            "matrix_product_tflops": ceiling,
            "copy_gigabytes_per_second": _ceiling_of(found["copy", "ceiling"], "gigabytes_per_second"),
            "rows": [_row(*row, found[row[:2]], ceiling) for row in rows if found[row[:2]]],
        }
        if time.monotonic() > until:
            break
    bar.close()


def _print_row(row: dict) -> None:
    start = f"{row['model'][:16]:16} {row['form'][:44]:44}"
    if "failed" in row:
        print(f"{start} failed: {row['failed']}")
        return
    rate = f"{row['useful_tflops']:8.3f}" if "useful_tflops" in row else " " * 8
    traffic = f"{row['gigabytes_per_sequence']:8.2f}" if "gigabytes_per_sequence" in row else ""
    speed = f"{row['seconds']:9.3f} {row['sequences_per_second']:9.2f} {row['peak_mib']:7.0f}"
    print(f"{start} {speed} {rate} {traffic}".rstrip())


def main(argv: list[str] | None = None) -> int:
    """The command line; writes a record after every round, then prints a table. 1 if no row could be measured."""
    parser = argparse.ArgumentParser("vrnn3d bench", description=__doc__.split("\n\n")[0])
    trained = [name for name in REGISTRY if name not in ("copy_last", "pixel_mean")]
    parser.add_argument("--models", nargs="*", default=trained, choices=list(REGISTRY), help="default: all that are trained")
    parser.add_argument("--against", nargs="*", default=[], metavar="MODULE:FACTORY", help="outside models with our contract")
    parser.add_argument("--batch", type=int, default=2)
    parser.add_argument("--size", type=int, default=64, help="height and width of the frames")
    parser.add_argument("--length", type=int, default=20, help="frames of a training sequence")
    parser.add_argument("--context", type=int, default=10)
    parser.add_argument("--samples", type=int, default=50, help="predictions per sequence in the evaluation row; 1: none")
    parser.add_argument("--repeats", type=int, default=3, help="timed calls per measurement")
    parser.add_argument("--rounds", type=int, default=2, help="how often everything is measured anew")
    parser.add_argument("--minutes", type=float, help="stop after the measurement that passes these")
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--options", default="{}", help='JSON: arguments per model, {"vrnn3d": {"hidden": 32}}')
    parser.add_argument("--sweep", action="store_true", help="also how the cost of ours grows with batch, M, H, size, length")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--out", default="runs/bench.json", help="record to write (default: runs/bench.json)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    if args.rounds < 1 or args.repeats < 1:
        parser.error("--rounds and --repeats must be at least 1")
    try:
        for record in run(args):
            results.write_json(record, Path(args.out))
    except ValueError as error:
        print(f"vrnn3d: {error}", file=sys.stderr)
        return 1
    print(f"{'model':16} {'form':44} {'s / call':>9} {'seq / s':>9} {'MiB':>7} {'TFLOP/s':>8} {'GB / seq':>8}")
    for row in record["rows"]:
        _print_row(row)
    for key in ("matrix_product_tflops", "copy_gigabytes_per_second"):
        print(f"{key}: {'not measured' if record[key] is None else f'{record[key]:.3f}'}")
    print(f"record: {args.out}, {record['rounds_measured']} of {args.rounds} rounds complete")
    if all("failed" in row for row in record["rows"]):
        print("vrnn3d: nothing could be measured", file=sys.stderr)
        return 1
    return 0
