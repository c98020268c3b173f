"""``vrnn3d bench``: speed and memory of every model, the plain form against the fast one, in one run.

The plain form computes as the equations are written: every step encodes and decodes by itself, nothing is hoisted, every
convolution is ``nn.Conv3d``. Both forms have the same parameters and the same results (tests/test_vrnn.py). Each
measurement runs in a process of its own, so that peak memory is its own; rounds are interleaved, so that a machine whose
speed drifts slows all rows alike. Medians are reported.
"""

from __future__ import annotations

import argparse
import importlib
import json
import os
import statistics
import subprocess
import sys
import time
from contextlib import nullcontext
from pathlib import Path

import torch
from tqdm import tqdm

from vrnn3d import results
from vrnn3d.layers import depth_folding
from vrnn3d.losses import sequence_loss
from vrnn3d.models import REGISTRY, arguments, build_model
from vrnn3d.rollout import rollout, usable_length
from vrnn3d.train import autocast

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


def measure(job: dict) -> dict:
    """One measurement in this process: {"seconds": per call, "sequences": per call, "peak_mib": ...}."""
    device = torch.device(job["device"])
    if device.type == "cpu":
        torch.set_num_threads(job["threads"])
    else:
        torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
        torch.backends.cudnn.benchmark = True
    if job["kind"] == "matmul":
        n, dtype = (8192, torch.bfloat16) if device.type == "cuda" else (2048, torch.float32)
        a, b = (torch.randn(n, n, device=device, dtype=dtype) for _ in range(2))
        seconds = _median_seconds(lambda: a @ b, 10, device)
        return {"seconds": seconds, "tflops": 2 * n**3 / seconds / 1e12}

    torch.manual_seed(0)
    model = _model(job).to(device)
    if "deepest" in job:
        depth_folding.AUTO_MAX_DEPTH[device.type] = job["deepest"]
    batch, size = job["batch"], job["size"]
    frames = torch.rand(batch, job["length"], model.channels, size, size, device=device)
    precision = autocast(job.get("precision", "auto"), device)
    context = max(job["context"], model.window)

    if job["kind"] == "train":
        length = usable_length(model, job["length"])
        mask = torch.zeros(batch, length, dtype=torch.bool, device=device)
        parameters = list(model.parameters())
        optimiser = torch.optim.Adam(parameters, 1e-4, fused=True) if parameters else None

        def forward():
            prediction, latents = rollout(
                model,
                frames,
                context,
                length,
                forcing=mask,
                posterior=model.stochastic,
                batched=job["batched"],
            )
            return sequence_loss(prediction, frames[:, model.window : length], latents)[0].mean()

        forward_fast = torch.compile(forward, dynamic=False) if job.get("compile") else forward

        def call():
            with precision:
                loss = forward_fast()
            if optimiser is not None:
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()

    else:
        model.eval()
        samples = job["samples"] if model.stochastic else 1

        def call():
            with torch.no_grad(), precision:
                rollout(model, frames, context, context + 10, samples=samples, batched=job["batched"])

    with depth_folding.folding(job["folding"]) if job["folding"] else nullcontext():
        if device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(device)
        seconds = _median_seconds(call, job["repeats"], device, job.get("warm", True))
    if device.type == "cuda":
        peak = torch.cuda.max_memory_allocated(device) / 2**20
    else:
        import resource

        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (2**20 if sys.platform == "darwin" else 2**10)
    return {"seconds": seconds, "sequences": batch, "peak_mib": peak, "parameters": model.parameter_breakdown()["total"]}


def _in_a_process(job: dict) -> dict:
    code = "import json, sys; from vrnn3d.bench import measure; print('RESULT' + json.dumps(measure(json.loads(sys.argv[1]))))"
    done = subprocess.run([sys.executable, "-c", code, json.dumps(job)], capture_output=True, text=True)
    for line in done.stdout.splitlines():
        if line.startswith("RESULT"):
            return json.loads(line.removeprefix("RESULT"))
    reason = (done.stderr.strip().splitlines() or ["no output"])[-1]
    raise RuntimeError(f"the measurement of {job['model']} failed: {reason}")


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
        compile=False,
    )
    fast = dict(plain=False, batched=True, folding="auto")
    plain = dict(plain=True, batched=False, folding="never")
    rows = []
    for name in [*args.models, *args.against]:
        job = {**base, "model": name, "options": json.loads(args.options).get(name, {})}
        rows.append((name, "plain", {**job, **plain, "kind": "train"}))
        rows.append((name, "fast", {**job, **fast, "kind": "train"}))
        if device != "cpu":
            rows.append((name, "compiled", {**job, **fast, "kind": "train", "compile": True}))
        rows.append((name, "plain, prediction", {**job, **plain, "kind": "predict", "samples": 1}))
        rows.append((name, "fast, prediction", {**job, **fast, "kind": "predict", "samples": 1}))
        with torch.device("meta"):
            stochastic = _model(job).stochastic
        if args.samples > 1 and stochastic:
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


def run(args) -> dict:
    """Measure everything that the command line asks for; the record."""
    device = args.device or ("cuda" if torch.cuda.is_available() else "cpu")
    rows = _jobs(args, device)
    found: dict[tuple[str, str], list[dict]] = {(name, form): [] for name, form, _ in rows}
    ceilings = []
    bar = tqdm(total=args.rounds * (len(rows) + 1), desc="bench", unit=" measurement", disable=args.quiet)
    for _ in range(args.rounds):
        ceilings.append(_in_a_process({"kind": "matmul", "device": device, "threads": args.threads, "model": "matmul"}))
        bar.update()
        for name, form, job in rows:
            bar.set_postfix_str(f"{name}, {form}"[:60])
            found[(name, form)].append(_in_a_process(job))
            bar.update()
    bar.close()
    ceiling = statistics.median(c["tflops"] for c in ceilings)
    out = []
    for name, form, job in rows:
        runs = found[(name, form)]
        seconds = [r["seconds"] for r in runs]
        row = {
            "model": name,
            "form": form,
            "kind": job["kind"],
            "parameters": runs[0]["parameters"],
            "batch": job["batch"],
            "size": job["size"],
            "length": job["length"],
            "seconds": statistics.median(seconds),
            "seconds_range": [min(seconds), max(seconds)],
            "sequences_per_second": job["batch"] / statistics.median(seconds),
            "peak_mib": max(r["peak_mib"] for r in runs),
        }
        if job["kind"] == "train":
            row["useful_gflop_per_sequence"] = gigaflops(job)
            row["useful_tflops"] = row["useful_gflop_per_sequence"] * row["sequences_per_second"] / 1e3
            row["share_of_matrix_product"] = row["useful_tflops"] / ceiling
        else:
            row["samples"] = job["samples"]
        out.append(row)
    settings = {k: getattr(args, k) for k in ("batch", "size", "length", "context", "repeats", "rounds", "threads", "samples")}
    return {
        "schema": 1,
        "kind": "bench",
        **results.provenance(device=device),
        "settings": settings,
        "matrix_product_tflops": ceiling,
        "rows": out,
    }


def main(argv: list[str] | None = None) -> int:
    """The command line; prints a table and writes a record."""
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
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="CPU threads")
    parser.add_argument("--precision", default="auto", choices=("auto", "float32", "bfloat16"))
    parser.add_argument("--options", default="{}", help='JSON: arguments per model, {"vrnn3d": {"hidden": 32}}')
    parser.add_argument("--sweep", action="store_true", help="also how the cost of ours grows with batch, M, H, size, length")
    parser.add_argument("--device", help="cpu or cuda (default: a GPU if there is one)")
    parser.add_argument("--out", default="runs/bench.json", help="record to write (default: runs/bench.json)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")
    args = parser.parse_args(argv)
    try:
        record = run(args)
    except (ValueError, RuntimeError, ImportError, AttributeError) as error:
        print(f"vrnn3d: {error}", file=sys.stderr)
        return 1
    results.write_json(record, Path(args.out))
    print(f"{'model':16} {'form':44} {'s / call':>9} {'seq / s':>9} {'MiB':>7} {'TFLOP/s':>8}")
    for row in record["rows"]:
        rate = f"{row['useful_tflops']:8.3f}" if "useful_tflops" in row else " " * 8
        print(
            f"{row['model'][:16]:16} {row['form'][:44]:44} {row['seconds']:9.3f} {row['sequences_per_second']:9.2f}"
            f" {row['peak_mib']:7.0f} {rate}"
        )
    print(f"matrix product: {record['matrix_product_tflops']:.3f} TFLOP/s; record: {args.out}")
    return 0
