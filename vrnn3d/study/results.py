"""Records of runs: what was run, on what, and what came out; and their comparison with the paper.

A record is one JSON file, ``results/<profile>/<experiment>/seed<k>.json``. Numbers in the book come from records only.
"""

from __future__ import annotations

import datetime
import importlib.metadata
import json
import math
import os
import platform
import re
import subprocess
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from vrnn3d import config
from vrnn3d.files import atomic_write

SCHEMA = 1
PROTOCOLS = tuple(f"{context}->{length}" for context, length in config.TABLE1_PROTOCOLS)
#: Profiles whose numbers may stand beside the paper's; the others are too short or too small to mean anything there.
COMPARABLE = ("paper", "ablation")


# --- published numbers ------------------------------------------------------------------------------------------------


def _row(title: str, parameters: float, *cells: tuple[float, float]) -> dict:
    columns = {protocol: {"ssim": ssim, "mse": mse} for protocol, (ssim, mse) in zip(PROTOCOLS, cells, strict=True)}
    return {"title": title, "parameters": parameters, **columns}


#: The paper's Tables 1 and 3: {experiment: {"title", "parameters", "5->10": {"ssim", "mse"}, ...}}. MSE is summed over
#: the 64 x 64 pixels of a frame in [0, 1]; parameters as printed. Table 1 prints 47.54 where Table 3 prints 47.5.
PAPER: dict[str, dict] = {
    "convlstm2d": _row("2D ConvLSTM", 2.8e6, (0.662, 111.1), (0.482, 154.3), (0.763, 82.2), (0.660, 112.3)),
    "predrnnpp": _row("PredRNN++", 15.4e6, (0.793, 66.2), (0.769, 79.2), (0.870, 47.9), (0.821, 57.7)),
    "e3d_lstm": _row("E3D-LSTM", 38.7e6, (0.853, 53.4), (0.801, 64.1), (0.910, 41.3), (0.872, 47.6)),
    "vrnn2d": _row("Variational 2D ConvLSTM", 2.9e6, (0.733, 91.1), (0.564, 126.4), (0.816, 60.7), (0.773, 83.5)),
    "improved_vrnn": _row("Improved VRNN", 62e6, (0.772, 123.1), (0.728, 162.2), (0.776, 129.2), (0.699, 194.3)),
    "vrnn3d_kl": _row("Variational 3D ConvLSTM", 12.9e6, (0.857, 52.1), (0.797, 63.8), (0.887, 41.8), (0.868, 49.7)),
    "vrnn3d_kl_ll": _row("Variational 3D ConvLSTM + LL", 12.9e6, (0.864, 51.4), (0.805, 63.2), (0.896, 39.4), (0.874, 47.5)),
}
TABLE1 = ("convlstm2d", "predrnnpp", "e3d_lstm", "vrnn2d", "improved_vrnn", "vrnn3d_kl_ll")
TABLE3 = ("convlstm2d", "vrnn2d", "vrnn3d_kl", "vrnn3d_kl_ll")

ANCHOR_NOTE = (
    "OpenSTL's Moving MNIST benchmark, 10 -> 10: 10,000 training and 10,000 fixed test sequences of the public"
    " generator, another protocol than the paper's. Its SSIM was computed from floats with scikit-image's former"
    " default range of 2, which flatters; it is not comparable with ours."
)
#: Modern results to place beside ours; read ANCHOR_NOTE with them.
ANCHORS: tuple[dict, ...] = tuple(
    {"model": model, "parameters": parameters * 1e6, "epochs": epochs, "mse": mse, "ssim": ssim, "source": "OpenSTL"}
    for model, parameters, epochs, mse, ssim in (
        ("ConvLSTM", 15.0, 200, 29.80, 0.9288),
        ("PredRNN++", 38.6, 200, 22.06, 0.9509),
        ("E3D-LSTM", 51.0, 200, 35.97, 0.9320),
        ("SimVP+gSTA", 46.8, 200, 26.69, 0.9402),
        ("TAU", 44.7, 200, 24.60, 0.9454),
        ("PhyDNet", 3.1, 200, 28.19, 0.9374),
        ("PredRNN++", 38.6, 2000, 14.07, 0.9698),
        ("MIM", 38.0, 2000, 14.73, 0.9678),
        ("SimVP+gSTA", 46.8, 2000, 15.05, 0.9675),
    )
)
#: Published KTH results of others (their full data set and protocols), SSIM and PSNR in dB. The paper's own Table 2 is
#: an image that its text lost, so it is not here.
KTH_ANCHORS: tuple[dict, ...] = tuple(
    {"protocol": protocol, "model": model, "ssim": ssim, "psnr": psnr}
    for protocol, model, ssim, psnr in (
        ("10->20", "ConvLSTM", 0.712, 23.58),
        ("10->20", "MCnet", 0.804, 25.95),
        ("10->20", "SAVP-VAE", 0.852, 27.77),
        ("10->20", "PredRNN++", 0.865, 28.47),
        ("10->20", "E3D-LSTM", 0.879, 29.31),
        ("10->30", "SVG-LP", 0.844, 28.06),
        ("10->30", "SRVP (best of 100)", 0.870, 29.69),
        ("10->30", "MCVD", 0.835, 27.5),
        ("10->40", "SVG-LP", 0.800, 23.91),
        ("10->40", "SAVP-VAE", 0.806, 26.00),
        ("10->40", "Grid-keypoints", 0.837, 27.11),
    )
)


# --- provenance -------------------------------------------------------------------------------------------------------


def checkout() -> Path | None:
    """The repository this package runs from, or None where it is installed elsewhere."""
    folder = Path(__file__).resolve().parents[2]
    return folder if (folder / ".git").exists() else None


def _git(*arguments: str) -> str | None:
    folder = checkout()
    if folder is None:
        return None
    try:
        done = subprocess.run(["git", "-C", str(folder), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _cpu_name() -> str:
    try:
        found = re.search(r"model name\s*:\s*(.+)", Path("/proc/cpuinfo").read_text())
    except OSError:
        found = None
    return found.group(1).strip() if found else platform.processor() or platform.machine()


def provenance(device: Any = "cpu") -> dict:
    """The record's "code", "machine", "versions" and "date", for a run on `device` ("cpu", "cuda:0", torch.device).

    "dirty" says that the package differs from the commit. Commit and dirty are None outside a git checkout.
    """
    import torch

    device = torch.device(device)
    affinity = getattr(os, "sched_getaffinity", None)
    status = _git("status", "--porcelain", "--", "vrnn3d")
    return {
        "code": {"commit": _git("rev-parse", "HEAD"), "dirty": None if status is None else bool(status)},
        "machine": {
            "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"CPU ({_cpu_name()})",
            "cores": len(affinity(0)) if affinity else os.cpu_count() or 1,
            "threads": torch.get_num_threads(),
        },
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "numpy": np.__version__,
            "vrnn3d": _version("vrnn3d"),
        },
        "date": datetime.date.today().isoformat(),
    }


# --- reading and writing ----------------------------------------------------------------------------------------------

_NUMBER, _LIST, _TEXT = (int, float), list, str
_REQUIRED: dict[str, Any] = {
    "schema": int,
    "experiment": _TEXT,
    "profile": _TEXT,
    "seed": int,
    "title": _TEXT,
    "status": _TEXT,
    "config": dict,
    "config_hash": _TEXT,
    "code.commit": (str, type(None)),
    "code.dirty": (bool, type(None)),
    "machine.device": _TEXT,
    "machine.cores": int,
    "machine.threads": int,
    "versions.python": _TEXT,
    "versions.torch": _TEXT,
    "versions.numpy": _TEXT,
    "date": _TEXT,
    "parameters.total": int,
    "training.sequences": int,
    "training.steps": int,
    "training.seconds": _NUMBER,
    "training.sequences_per_second": _NUMBER,
    "training.precision": _TEXT,
    "training.curves": dict,
    "data.description": _TEXT,
    "data.source": _TEXT,
    "evaluation": dict,
}
_REQUIRED_EVALUATION: dict[str, Any] = {
    "sequences": int,
    "samples": int,
    **{f"{metric}.average": _NUMBER for metric in ("mse", "mae", "ssim", "psnr", "ssim_uint8")},
    **{f"{metric}.{name}": _NUMBER for metric in ("mse", "mae", "ssim", "psnr") for name in ("best", "mean_frame")},
    **{f"{metric}.{name}": _LIST for metric in ("mse", "mae", "ssim", "psnr") for name in ("interval", "per_frame")},
    **{f"{metric}.{name}": _LIST for metric in ("mse", "ssim") for name in ("per_frame_interval", "per_sequence")},
    "sample_variance.average": _NUMBER,
    "crps.average": _NUMBER,
}
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.+-]*")


def _require(values: Mapping, required: Mapping[str, Any], who: str, where: str = "") -> None:
    for dotted, kind in required.items():
        at: Any = values
        for key in dotted.split("."):
            if not isinstance(at, Mapping) or key not in at:
                raise ValueError(f"{who} lacks {where}{dotted}; write it again with this version of vrnn3d")
            at = at[key]
        kinds = kind if isinstance(kind, tuple) else (kind,)
        if not isinstance(at, kinds) or (isinstance(at, bool) and bool not in kinds):
            expected = " or ".join("null" if k is type(None) else k.__name__ for k in kinds)
            raise ValueError(f"{who}: {where}{dotted} is {at!r}, but must be {expected}")


def validate(record: Mapping) -> None:
    """Raise ``ValueError`` naming the key, when a record lacks something of the schema or holds the wrong type."""
    who = "the record {}/{}/seed{}".format(*(record.get(key, "?") for key in ("profile", "experiment", "seed")))
    _require(record, _REQUIRED, who)
    if record["schema"] != SCHEMA:
        raise ValueError(f"{who} has schema {record['schema']}; this version of vrnn3d reads schema {SCHEMA}")
    for key in ("experiment", "profile"):
        if not _NAME.fullmatch(record[key]):
            raise ValueError(f"{who}: {key} {record[key]!r} cannot be a folder's name; use letters, digits, _ . + -")
    if record["status"] not in ("finished", "cut"):
        raise ValueError(f"{who}: status is {record['status']!r}, but must be 'finished' or 'cut'")
    for pool, protocols in record["evaluation"].items():
        for protocol, entry in protocols.items():
            where = f"evaluation.{pool}.{protocol}."
            _require(entry, _REQUIRED_EVALUATION, who, where)
            if len(entry["mse"]["per_frame"]) != int(protocol.split("->")[1]):
                raise ValueError(f"{who}: {where}mse.per_frame has {len(entry['mse']['per_frame'])} values for {protocol}")


def _plain(value: Any, where: str) -> Any:
    """JSON types only, floats with 6 significant digits; NaN and infinity are refused."""
    if hasattr(value, "tolist"):  # numpy and torch, scalars and arrays
        value = value.tolist()
    if isinstance(value, Mapping):
        return {str(key): _plain(item, f"{where}.{key}" if where else str(key)) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item, f"{where}[{i}]") for i, item in enumerate(value)]
    if isinstance(value, float):
        if not math.isfinite(value):
            raise ValueError(f"{where} is {value}; a record holds finite numbers only, so look for where it came from")
        return float(f"{value:.6g}")
    if value is None or isinstance(value, (str, bool, int)):
        return value
    raise ValueError(f"{where} is a {type(value).__name__}, which JSON cannot hold; convert it to numbers or text")


def _dump(value: Any, indent: str = "") -> str:
    """JSON, one key a line, with lists of plain values on one line: small, and readable in a diff."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        body = ",\n".join(f"{inner}{json.dumps(key)}: {_dump(item, inner)}" for key, item in value.items())
        return f"{{\n{body}\n{indent}}}"
    return json.dumps(value, ensure_ascii=False, allow_nan=False)


def folder(root: str | os.PathLike | None = None) -> Path:
    """Where records are: `root`, else $VRNN3D_RESULTS, else results/ of the checkout, else ./results."""
    chosen = root or os.environ.get("VRNN3D_RESULTS")
    return Path(chosen) if chosen else (checkout() or Path.cwd()) / "results"


def write_json(values: Mapping, path: str | os.PathLike) -> Path:
    """Write any mapping as JSON, whole or not at all: floats with 6 significant digits, arrays and tensors as lists.

    Raises ``ValueError`` for NaN, infinite numbers and what JSON cannot hold, naming their place.
    """
    text = _dump(_plain(values, "")) + "\n"
    return atomic_write(path, lambda temporary: temporary.write_text(text, encoding="utf-8"))


def read_json(path: str | os.PathLike) -> dict:
    """What :func:`write_json` wrote; ``ValueError`` with a sentence where the file is not JSON."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except ValueError as problem:
        raise ValueError(f"{path} is not a JSON file ({problem}); delete it and make it again") from None


def write_record(record: Mapping, root: str | os.PathLike | None = None) -> Path:
    """Check a record and write it to <root>/<profile>/<experiment>/seed<k>.json, whole or not at all.

    Raises ``ValueError`` for what :func:`validate` refuses, and for NaN or infinite numbers, naming their place.
    """
    plain = _plain(record, "")
    validate(plain)
    order = [key.split(".")[0] for key in _REQUIRED]
    plain = {key: plain[key] for key in (*dict.fromkeys(order), *sorted(set(plain) - set(order)))}
    return write_json(plain, folder(root) / plain["profile"] / plain["experiment"] / f"seed{plain['seed']}.json")


def write_arrays(arrays: Mapping[str, np.ndarray], path: str | os.PathLike) -> Path:
    """Write arrays as a compressed ``.npz``, whole or not at all."""

    def save(temporary: Path) -> None:
        with open(temporary, "wb") as file:
            np.savez_compressed(file, **arrays)

    return atomic_write(path, save)


def clips_path(record: Mapping, root: str | os.PathLike | None = None) -> Path:
    """Where the predictions to look at of a record lie (``vrnn3d.evaluation.evaluate.examples``): beside it, as seed<k>.npz."""
    return folder(root) / record["profile"] / record["experiment"] / f"seed{record['seed']}.npz"


def read_clips(record: Mapping, root: str | os.PathLike | None = None) -> dict[str, np.ndarray] | None:
    """The predictions to look at of a record, or None where none were kept."""
    path = clips_path(record, root)
    if not path.exists():
        return None
    with np.load(path, allow_pickle=False) as arrays:
        return dict(arrays)


def _read(path: Path) -> dict:
    record = read_json(path)
    try:
        validate(record)
    except (ValueError, AttributeError) as problem:
        raise ValueError(f"{path} is not a record: {problem}") from None
    if path.parts[-3:] != (record["profile"], record["experiment"], f"seed{record['seed']}.json"):
        raise ValueError(f"{path} says it is {record['profile']}/{record['experiment']}/seed{record['seed']}; move it there")
    return record


def read_records(
    root: str | os.PathLike | None = None, profile: str | None = None, experiment: str | None = None
) -> list[dict]:
    """All records under `root` (see :func:`folder`), of one profile or experiment if named; sorted, possibly none."""
    paths = folder(root).glob(f"{profile or '*'}/{experiment or '*'}/seed*.json")
    return sorted((_read(p) for p in paths), key=lambda r: (r["profile"], r["experiment"], r["seed"]))


def find(experiment: str, profile: str, seed: int = 0, root: str | os.PathLike | None = None) -> dict | None:
    """One record, or None where it was not run."""
    path = folder(root) / profile / experiment / f"seed{seed}.json"
    return _read(path) if path.exists() else None


# --- comparison -------------------------------------------------------------------------------------------------------


def arrow(protocol: str) -> str:
    """A protocol as it is printed: "10->10" with a proper arrow between spaces."""
    return protocol.replace("->", " \N{RIGHTWARDS ARROW} ")


def data_name(record: Mapping) -> str:
    """What the numbers of a record are called after its data: the description up to its first colon."""
    return record["data"]["description"].split(":")[0]


def value(record: Mapping, pool: str, protocol: str, metric: str, statistic: str = "average") -> float:
    """One number of a record's evaluation; NaN where it was not measured."""
    return record["evaluation"].get(pool, {}).get(protocol, {}).get(metric, {}).get(statistic, math.nan)


def _finished(records: Iterable[Mapping], experiment: str, profile: str = "paper") -> list[Mapping]:
    return [r for r in records if r["experiment"] == experiment and r["profile"] == profile and r["status"] == "finished"]


def seed_spread(
    records: Iterable[Mapping],
    protocol: str = "10->10",
    metric: str = "mse",
    pool: str = "train",
    statistic: str = "average",
) -> dict[tuple[str, str], dict]:
    """Spread over training seeds: {(profile, experiment): {"mean", "std", "min", "max", "seeds"}}.

    "std" is the sample standard deviation, None for a single seed. Finished runs only. This is the uncertainty of
    training again; the record's "interval" is that of the test set. They are different things and never mixed.
    """
    groups: dict[tuple[str, str], dict[int, float]] = {}
    for r in records:
        number = value(r, pool, protocol, metric, statistic)
        if r["status"] == "finished" and not math.isnan(number):
            groups.setdefault((r["profile"], r["experiment"]), {})[r["seed"]] = number
    return {
        key: {
            "mean": float(np.mean(list(by_seed.values()))),
            "std": float(np.std(list(by_seed.values()), ddof=1)) if len(by_seed) > 1 else None,
            "min": min(by_seed.values()),
            "max": max(by_seed.values()),
            "seeds": sorted(by_seed),
        }
        for key, by_seed in sorted(groups.items())
    }


def paired_difference(
    ours: list[Mapping],
    theirs: list[Mapping],
    protocol: str = "10->10",
    metric: str = "mse",
    pool: str = "train",
    resamples: int = 1000,
    values: str = "per_sequence",
) -> dict | None:
    """Mean of ours - theirs over the test sequences both were measured on: {"estimate", "interval", "seeds"}.

    Each argument is a list of records of one experiment; per-sequence values are averaged over its seeds first. The
    interval is the 95% bootstrap over test sequences. None where one side was not measured. ``values`` is the key of
    what is compared: "per_sequence", or "per_sequence_slope" (PSNR of 40 frames and more: decay in dB a frame).

    Raises:
        ValueError: when the two were measured on different test sets.
    """
    from vrnn3d.evaluation.metrics import bootstrap

    sides = []
    for records in (ours, theirs):
        entries = [(r, r["evaluation"].get(pool, {}).get(protocol, {}).get(metric, {})) for r in records]
        have = [r for r, entry in entries if values in entry]
        if not have:
            return None
        sides.append((have, [entry[values] for _, entry in entries if values in entry]))
    tests = {json.dumps(_test_set(r), sort_keys=True) for have, _ in sides for r in have}
    lengths = {len(one) for _, each in sides for one in each}
    if len(tests) > 1 or len(lengths) > 1:
        names = " and ".join(f"{have[0]['profile']}/{have[0]['experiment']}" for have, _ in sides)
        raise ValueError(f"{names} were measured on different test sequences, so their difference cannot be paired")
    a, b = (np.mean(each, axis=0) for _, each in sides)
    low, high = bootstrap(a - b, resamples)
    return {
        "estimate": float((a - b).mean()),
        "interval": [float(low), float(high)],
        "seeds": [len(each) for _, each in sides],
    }


def _test_set(record: Mapping) -> dict:
    """What decides which test sequences a run was measured on."""
    data = record["config"].get("data", {})
    training = ("train_pool", "test_pools", "online", "length", "sequences", "augment")
    test = {k: v for k, v in data.items() if k not in training}
    # Which clips of KTH a machine holds is no setting, and decides the windows all the same.
    return test | ({"clips": data_name(record)} if data.get("name") == "kth" else {})


def _refuse_incomparable(records: Iterable[Mapping], profile: str) -> None:
    if profile not in COMPARABLE:
        raise ValueError(
            f"{profile!r} records cannot stand beside the paper's numbers: the runs are too short or too small;"
            f" use one of {', '.join(COMPARABLE)}"
        )
    for r in records:
        who = f"{r['profile']}/{r['experiment']}/seed{r['seed']}"
        if r["profile"] != profile:
            raise ValueError(f"record {who} is not of profile {profile!r}; pass read_records(profile={profile!r})")
        if r["data"]["source"] == "excerpt":
            raise ValueError(f"record {who} was trained on the 1,000-digit excerpt; train it again on all of MNIST")


def table1(
    records: Iterable[Mapping],
    profile: str = "paper",
    pool: str = "train",
    metrics: tuple[str, ...] = ("ssim", "mse"),
    protocols: tuple[str, ...] = PROTOCOLS,
    experiments: tuple[str, ...] = TABLE1,
    counts: Mapping[str, int] | None = None,
):
    """The paper's Table 1 (or, with ``experiments=TABLE3``, its ablation) with ours beside it, a pandas DataFrame.

    Rows are the paper's models; columns have three levels: protocol, metric, and "paper" / "ours" / "difference" (ours
    minus the paper's). First come the parameters in millions and the number of seeds that "ours" averages. What was
    not run is NaN, which ``figures.table_html`` shows as "not run". Cut runs are left out.

    Args:
        records: of one profile.
        profile: "paper", or "ablation" where a heading says so.
        pool: which digits the test sequences are made of: "train" as in the paper, or "test".
        counts: {experiment: parameters} of the built models, shown also where nothing was run.

    Raises:
        ValueError: for records of other profiles, or trained on the excerpt: they never join the paper's numbers.
    """
    import pandas

    records = list(records)
    _refuse_incomparable(records, profile)
    counted = {r["experiment"]: r["parameters"]["total"] for r in records} | dict(counts or {})
    rows, titles = [], []
    for experiment in experiments:
        mine = _finished(records, experiment, profile)
        theirs = PAPER.get(experiment, {})
        titles.append(theirs.get("title") or (mine[0]["title"] if mine else experiment))
        row = {
            ("parameters", "million", "paper"): theirs.get("parameters", math.nan) / 1e6,
            ("parameters", "million", "ours"): counted.get(experiment, math.nan) / 1e6,
            ("", "", "seeds"): len(mine),
        }
        for protocol in protocols:
            head = arrow(protocol)
            for metric in metrics:
                numbers = [x for x in (value(r, pool, protocol, metric) for r in mine) if not math.isnan(x)]
                ours = float(np.mean(numbers)) if numbers else math.nan
                paper = theirs.get(protocol, {}).get(metric, math.nan)
                row[head, metric.upper(), "paper"] = paper
                row[head, metric.upper(), "ours"] = ours
                row[head, metric.upper(), "difference"] = ours - paper
        rows.append(row)
    frame = pandas.DataFrame(rows, index=pandas.Index(titles, name="model"))
    frame.columns = pandas.MultiIndex.from_tuples(frame.columns)
    return frame


# --- verdicts ---------------------------------------------------------------------------------------------------------

NOT_TESTED = "not tested yet"
#: The paper's claims: {name: (claim, where it is made)}.
CLAIMS: dict[str, tuple[str, str]] = {
    "C1": ("The 3D VRNN beats every compared model on Moving MNIST.", "Table 1"),
    "C2": ("It does so with fewer parameters: 12.9M against 15.4M, 38.7M and 62M.", "Table 1"),
    "C3": (
        "Stochasticity lowers the MSE from 82.2 to 60.7, 3D convolutions to 41.8, the likelihood term to 39.4.",
        "Table 3",
    ),
    "C4": ("The KL-LL loss puts more emphasis on sample diversity and raises the prior's variance.", "section 3.2"),
    "C5": (
        "It is better than E3D-LSTM further into the future and degrades more slowly on KTH at 40 and 60 frames.",
        "Table 2, Fig. 4",
    ),
    "C6": (
        "A small window is better on Moving MNIST, without a clear difference on KTH; the decay over time is linear on"
        " the one and exponential on the other.",
        "Fig. 6",
    ),
    "C7": ("An encoder truncated to two blocks suffices and saves about 60 million parameters.", "section 3.3"),
}


def verdicts(records: Iterable[Mapping], counts: Mapping[str, int] | None = None, pool: str = "train") -> list[dict]:
    """What became of each claim of the paper: a list of {"claim", "text", "where", "verdict", "why"}.

    Computed from finished runs of the `paper` profile (C4 to C6: also of the `ablation` profile); all others are
    ignored. One model beats another where the 95% interval of their paired difference over the test sequences leaves
    out zero.

    Args:
        records: any records.
        counts: {experiment: parameters at test time} of the built models, for C2; by default those of the records.
        pool: the digits of the test sequences.

    Verdicts begin with "reproduced", "partly", "not reproduced", "supported so far", "contradicted", or
    "not tested yet".
    """
    usable = [r for r in records if r["status"] == "finished" and r["profile"] in COMPARABLE]
    usable = [r for r in usable if r["data"]["source"] != "excerpt"]
    paper = [r for r in usable if r["profile"] == "paper"]
    counted = {r["experiment"]: r["parameters"]["total"] for r in paper} | dict(counts or {})
    found = {
        "C1": _beats_all(paper, pool),
        "C2": _fewer_parameters(counted),
        "C3": _ablation_steps(paper, pool),
        "C4": _diversity(usable, pool),
        "C5": _further_future(usable),
        "C6": _small_window(usable, pool),
        "C7": _truncation(),
    }
    return [
        {"claim": name, "text": text, "where": where, "verdict": found[name][0], "why": found[name][1]}
        for name, (text, where) in CLAIMS.items()
    ]


def _better(records: list[Mapping], ours: str, theirs: str, protocol: str, metric: str, pool: str) -> int | None:
    """1 where `ours` is better beyond the interval, -1 where worse, 0 where undecided, None where not measured."""
    from vrnn3d.evaluation.metrics import LARGER_IS_BETTER

    difference = paired_difference(_finished(records, ours), _finished(records, theirs), protocol, metric, pool)
    if difference is None:
        return None
    low, high = difference["interval"]
    sign = (low > 0) - (high < 0)
    return sign if LARGER_IS_BETTER[metric] else -sign


def _titles(experiments: Iterable[str]) -> str:
    return ", ".join(PAPER[e]["title"] for e in experiments)


def _beats_all(records: list[Mapping], pool: str) -> tuple[str, str]:
    ours, rivals = "vrnn3d_kl_ll", [e for e in TABLE1 if e != "vrnn3d_kl_ll"]
    own = [
        f"{PAPER[r]['title']} has the higher SSIM for {arrow(p)} ({PAPER[r][p]['ssim']:.3f} against"
        f" {PAPER[ours][p]['ssim']:.3f})"
        for r in rivals
        for p in PROTOCOLS
        if PAPER[r][p]["ssim"] > PAPER[ours][p]["ssim"]
    ]
    aside = f" In the paper's own table {'; '.join(own)}."
    outcome = {(r, p, m): _better(records, ours, r, p, m, pool) for r in rivals for p in PROTOCOLS for m in ("mse", "ssim")}
    done = {key: won for key, won in outcome.items() if won is not None}
    run = [r for r in rivals if any(key[0] == r for key in done)]
    if not done:
        return NOT_TESTED, "The 3D VRNN and its rivals have not been trained at full length and compared." + aside
    won, missed = sum(w == 1 for w in done.values()), sorted({key[0] for key, w in done.items() if w != 1})
    why = f"Better in {won} of {len(done)} comparisons (MSE and SSIM, four protocols) with {_titles(run)}."
    if missed:
        why += f" Not better everywhere than {_titles(missed)}."
    open_ = [r for r in rivals if r not in run]
    if open_:
        why += f" Not run: {_titles(open_)}."
    if won == 0:
        return "not reproduced", why + aside
    if missed:
        return "partly", why + aside
    return ("supported so far" if len(done) < len(outcome) else "reproduced"), why + aside


def _fewer_parameters(counts: Mapping[str, int]) -> tuple[str, str]:
    ours, rivals = "vrnn3d_kl_ll", ("predrnnpp", "e3d_lstm", "improved_vrnn")
    have = [r for r in rivals if r in counts]
    if ours not in counts or not have:
        return NOT_TESTED, "The models have not been counted."
    smaller = [r for r in have if counts[ours] < counts[r]]
    why = f"Counted: ours {counts[ours] / 1e6:.3f}M; " + ", ".join(
        f"{PAPER[r]['title']} {counts[r] / 1e6:.3f}M (the paper: {PAPER[r]['parameters'] / 1e6:g}M)" for r in have
    )
    why += "."
    if "e3d_lstm" in have:
        ratio = PAPER["e3d_lstm"]["parameters"] / counts["e3d_lstm"]
        if abs(ratio - 3) < 0.05:
            why += (
                f" The printed number of E3D-LSTM is {ratio:.2f} times the count, as if Adam's two moments had been"
                " counted with the weights (an inference)."
            )
    if "improved_vrnn" in have:
        why += " The Improved VRNN was chosen for its printed size, so its count tests nothing by itself."
    if len(smaller) == len(have):
        return ("reproduced" if len(have) == len(rivals) else "supported so far"), why
    larger = [r for r in have if r not in smaller]
    return ("partly" if smaller else "not reproduced"), why + f" Not fewer than {_titles(larger)}."


def _ablation_steps(records: list[Mapping], pool: str) -> tuple[str, str]:
    steps, outcome = [], []
    spread = seed_spread(records, "10->10", "mse", pool)
    for before, after in zip(TABLE3, TABLE3[1:]):
        won = _better(records, after, before, "10->10", "mse", pool)
        if won is None:
            continue
        outcome.append(won)
        ours = [spread["paper", e]["mean"] for e in (before, after)]
        paper = [PAPER[e]["10->10"]["mse"] for e in (before, after)]
        verb = {1: "lowers", 0: "leaves", -1: "raises"}[won]
        steps.append(
            f"{PAPER[after]['title']} {verb} the MSE from {ours[0]:.1f} to {ours[1]:.1f}"
            f" (the paper: {paper[0]:g} to {paper[1]:g})"
        )
    caveat = " The step from 2D to 3D also changes the network's size, so it is not one of convolutions alone."
    if not outcome:
        return NOT_TESTED, "No two neighbouring rows of Table 3 have been trained at full length." + caveat
    why = "; ".join(steps) + "." + caveat
    good = sum(won == 1 for won in outcome)
    if good == len(outcome):
        return ("reproduced" if good == 3 else "supported so far"), why
    return ("partly" if good else "not reproduced"), why


def _diversity(records: list[Mapping], pool: str) -> tuple[str, str]:
    derivation = (
        "The likelihood term does not contain the prior's standard deviation, so the best prior for a given posterior"
        " is the same as under KL; what the term adds is a penalty on the posterior's entropy."
    )
    pairs = [("paper", "vrnn3d_kl", "vrnn3d_kl_ll")]
    pairs += [("ablation", f"loss_kl_pq_{wiring}", f"loss_kl_ll_{wiring}") for wiring in ("z_p", "z_q")]
    spread = seed_spread(records, "10->10", "sample_variance", pool)
    told, higher = [], []
    for profile, kl, ll in pairs:
        if (profile, kl) not in spread or (profile, ll) not in spread:
            continue
        a, b = spread[profile, kl]["mean"], spread[profile, ll]["mean"]
        higher.append(b > a)
        told.append(f"{ll} ({profile} profile): variance between samples {b:.3g} against {a:.3g} with KL")
        stds = [
            [r["training"]["curves"]["log_std_prior"][-1] for r in _finished(records, e, profile)
             if r["training"]["curves"].get("log_std_prior")]
            for e in (kl, ll)
        ]  # fmt: skip
        if all(stds):
            a, b = map(float, map(np.mean, stds))
            higher.append(b > a)
            told[-1] += f", mean log std of the prior at the end {b:.2f} against {a:.2f}"
    if not higher:
        return "contradicted by derivation; empirical test pending", derivation
    verdict = "reproduced" if all(higher) else "partly" if any(higher) else "not reproduced"
    return verdict, f"{derivation} Measured: {'; '.join(told)}."


def _further_future(records: list[Mapping]) -> tuple[str, str]:
    told, outcome = [], []
    for profile in COMPARABLE:
        both = [_finished(records, name, profile) for name in ("kth_vrnn3d_kl_ll", "kth_e3d_lstm")]
        for about in sorted({data_name(r) for side in both for r in side}):
            ours, theirs = ([r for r in side if data_name(r) == about] for side in both)
            for p in (40, 60):
                for what, values, unit in (
                    ("PSNR", "per_sequence", "dB"),
                    ("slope of the PSNR", "per_sequence_slope", "dB a frame"),
                ):
                    difference = paired_difference(ours, theirs, f"10->{p}", "psnr", "test", values=values)
                    if difference is None:
                        continue
                    low, high = difference["interval"]
                    outcome.append(low > 0)
                    told.append(
                        f"{about}, {profile} profile, {p} frames: {what} minus that of E3D-LSTM is"
                        f" {difference['estimate']:+.3g} {unit} ({low:+.3g} to {high:+.3g})"
                    )
    if not outcome:
        return NOT_TESTED, (
            "The two models have not both been trained on KTH at full size and measured at 40 or 60 frames; the paper's"
            " Table 2 is an image, its numbers are not in the text we have."
        )
    verdict = "reproduced" if all(outcome) else "partly" if any(outcome) else "not reproduced"
    return verdict, f"{'; '.join(told)}."


def _small_window(records: list[Mapping], pool: str) -> tuple[str, str]:
    rest = " The KTH half and the form of the decay are not judged here."
    groups: dict[str, dict[int, list[Mapping]]] = {}
    for r in records:
        data, model = r["config"].get("data", {}), r["config"].get("model", {})
        if data.get("name") != "moving_mnist" or model.get("name") != "vrnn3d":
            continue
        same = {k: r["config"].get(k) for k in ("data", "loss", "train")} | {"options": model.get("options")}
        horizons = {f"H = {model['horizon']}"} | ({"H = M"} if model["horizon"] == model["window"] else set())
        for horizon in horizons:
            key = json.dumps([r["profile"], horizon, same], sort_keys=True)
            groups.setdefault(key, {}).setdefault(model["window"], []).append(r)
    told, outcome = [], []
    for key, windows in sorted(groups.items()):
        small, large = min(windows), max(windows)
        if small == large:
            continue
        difference = paired_difference(windows[small], windows[large], "10->10", "mse", pool)
        if difference is None:
            continue
        low, high = difference["interval"]
        outcome.append(high < 0)
        profile, horizon, _ = json.loads(key)
        told.append(
            f"{horizon}, {profile} profile: MSE with M = {small} minus that with M = {large} is"
            f" {difference['estimate']:.1f} ({low:.1f} to {high:.1f})"
        )
    if not outcome:
        return NOT_TESTED, "No two windows have been trained alike." + rest
    return ("partly" if any(outcome) else "not reproduced"), "; ".join(told) + "." + rest


def residual_stage_parameters(inputs: int, outputs: int) -> int:
    """Parameters of one later stage of a 3D ResNet-18: two basic blocks of 3 x 3 x 3 convolutions with batch norms, the
    first block with stride 2 and a 1 x 1 x 1 shortcut."""
    convolutions = 27 * (inputs * outputs + 3 * outputs * outputs) + inputs * outputs
    return convolutions + 5 * 2 * outputs


def _truncation() -> tuple[str, str]:
    saved = residual_stage_parameters(128, 256) + residual_stage_parameters(256, 512)
    return (
        "parameters: reproduced; sufficiency: not tested yet",
        f"Stages 3 and 4 of a 3D ResNet-18 hold {saved / 1e6:.1f}M parameters; left out of the encoder and of a"
        f" mirrored decoder they save {2 * saved / 1e6:.1f}M. No run with the full encoder has been made.",
    )
