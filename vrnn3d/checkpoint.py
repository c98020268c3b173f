"""Checkpoints of a training, and published weights: written atomically, read with clear errors."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Iterable, Mapping, Sequence

import torch
from torch import nn

from vrnn3d import config
from vrnn3d.files import atomic_write
from vrnn3d.models import arguments, build_model
from vrnn3d.models.base import VideoModel

CHECKPOINT = "checkpoint.pt"
PUBLISHED = Path(__file__).resolve().parent.parent / "weights"
PART_BYTES = 15_000_000
CARD = "README.md"


def save(folder: Path, state: dict) -> None:
    """Write `state` (tensors and plain types) as the checkpoint of a run's folder."""
    atomic_write(Path(folder) / CHECKPOINT, lambda path: torch.save(state, path))


def load_state(path: Path, device="cpu") -> dict:
    """Read a checkpoint file or a run's folder.

    Raises:
        FileNotFoundError: when there is none.
        ValueError: when the file is not a checkpoint of this package.
    """
    path = Path(path)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"no checkpoint at {path}; train one with: vrnn3d train NAME --out {path.parent}")
    try:
        state = torch.load(path, map_location=device, weights_only=True)
        state["config"], state["model"]
    except Exception as error:
        raise ValueError(f"{path} is not a checkpoint of vrnn3d, or is damaged ({error}); delete it to start anew") from error
    return state


def model_of(experiment: config.Experiment) -> VideoModel:
    """The freshly initialised model that an experiment describes."""
    m, d = experiment.model, experiment.data
    options = {"size": d.size} if "size" in arguments(m.name) else {}
    return build_model(m.name, window=m.window, horizon=m.horizon, **{**options, **m.options})


def load_run(path: Path, device="cpu") -> tuple[VideoModel, config.Experiment]:
    """The model of a run (its weight average where one was kept), ready for prediction, and its experiment."""
    state = load_state(path, device)
    experiment = config.from_dict(json.loads(state["config"]))
    model = model_of(experiment).to(device)
    model.load_state_dict(state["ema"] or state["model"])
    return model.eval(), experiment


def publish(model: nn.Module, experiment: config.Experiment, folder: Path, about: dict) -> list[Path]:
    """Write a model's inference weights as bfloat16 safetensors in parts of at most 15 MB, with `about` beside them.

    Batch-norm statistics stay float32. Returns the files written.
    """
    from safetensors.torch import save_file

    folder = Path(folder)
    parts: list[dict] = [{}]
    size = 0
    for name, tensor in model.state_dict().items():
        if "running_" not in name and tensor.is_floating_point():
            tensor = tensor.to(torch.bfloat16)
        tensor = tensor.detach().cpu().contiguous()
        if size + tensor.nbytes > PART_BYTES and parts[-1]:
            parts.append({})
            size = 0
        parts[-1][name] = tensor
        size += tensor.nbytes
    files = []
    for i, part in enumerate(parts, 1):
        files.append(folder / f"model-{i:05d}-of-{len(parts):05d}.safetensors")
        atomic_write(files[-1], lambda path, part=part: save_file(part, str(path)))
    files.append(folder / "model.json")
    text = json.dumps({"config": config.to_dict(experiment), **about}, indent=1)
    atomic_write(files[-1], lambda path: path.write_text(text + "\n"))
    for stale in set(folder.glob("model-*.safetensors")) - set(files):  # parts of a larger model of the same name
        stale.unlink()
    return files


def publish_card(record: Mapping, folder: Path) -> Path:
    """Write the model card of a run beside its published weights, whole or not at all; returns its path."""
    text = model_card(Path(folder).name, record)
    return atomic_write(Path(folder) / CARD, lambda path: path.write_text(text, encoding="utf-8"))


def model_card(name: str, record: Mapping) -> str:
    """What someone should know who comes upon published weights, in Markdown: all of it from the run's record."""
    return _CARD.format(
        name=name,
        title=record["title"],
        experiment=record["experiment"],
        profile=record["profile"],
        seed=record["seed"],
        size=record["config"]["data"]["size"],
        facts=_table(("", ""), _card_facts(record)),
        scores=_card_scores(record),
        limits="\n".join(f"- {limit}" for limit in _card_limits(record)),
    )


_CARD = """\
# {title}

Weights that this repository's study trained from scratch: experiment `{experiment}`, profile `{profile}`, seed {seed}.
They are not the weights of the paper's authors. This card was written from the run's record by `vrnn3d publish`.

{facts}

## Scores

{scores}

## Use

```bash
vrnn3d predict my_clip.mp4 --model {name} --out future.webp
vrnn3d evaluate {name}
```

```python
import torch, vrnn3d
from vrnn3d.rollout import rollout

model = vrnn3d.load("{name}")
frames = torch.rand(1, 10, 1, {size}, {size})  # (batch, time, channel, height, width), values in [0, 1]
with torch.no_grad():
    prediction, latents = rollout(model, frames, context=10, length=20, samples=5)
```

## Limits

{limits}

## Licence

MIT, as the code.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _card_facts(record: Mapping) -> list[tuple[str, str]]:
    settings, trained, code = record["config"], record["training"], record["code"]
    model, loss, train = settings["model"], settings["loss"], settings["train"]
    options = "".join(f", {key} = {value}" for key, value in model["options"].items())
    latent = f"{loss['variant']}, weight {loss['beta']:g}; " if record["parameters"].get("prior") else ""
    return [
        ("model", f"`{model['name']}`, M = {model['window']}, H = {model['horizon']}{options}"),
        ("parameters", f"{record['parameters']['total']:,}"),
        ("data", record["data"]["description"]),
        ("loss", f"{latent}L1 weight {loss['l1']:g}, L2 weight {loss['l2']:g}"),
        ("training", f"{trained['sequences']:,} sequences in {trained['steps']:,} steps of {train['batch']},"
         f" Adam at {train['lr']:g}" + ("" if record["status"] == "finished" else "; **cut** before its end")),
        ("time", f"{trained['seconds'] / 60:.1f} minutes, {trained['precision']}"),
        ("machine", f"{record['machine']['device']}; PyTorch {record['versions']['torch']}"),
        ("code", f"commit {code['commit'] or 'unknown'}" + (" (modified)" if code["dirty"] else "")),
        ("configuration", f"`{record['config_hash']}`, whole in `model.json`"),
        ("date", record["date"]),
    ]  # fmt: skip


def _card_scores(record: Mapping) -> str:
    if not record["evaluation"]:
        return "The run was not evaluated."
    rows = []
    for pool, protocols in record["evaluation"].items():
        for protocol, entry in protocols.items():
            mse, ssim = entry["mse"], entry["ssim"]
            rows.append(
                (
                    pool,
                    protocol,
                    f"{entry['sequences']:,}",
                    str(entry["samples"]),
                    "{:.2f} [{:.2f}, {:.2f}]".format(mse["average"], *mse["interval"]),
                    f"{mse['mean_frame']:.2f}",
                    f"{ssim['average']:.3f}",
                    f"{entry['psnr']['average']:.2f}",
                )
            )
    head = ("test set", "given->predicted", "sequences", "samples", "MSE", "MSE, mean frame", "SSIM", "PSNR (dB)")
    return _table(head, rows) + (
        "\n\nMSE is summed over the pixels of a frame and averaged over frames, sequences and samples, with the 95%"
        " interval over test sequences. Test set `train`: of the digits (or persons) that training drew from; `test`: of"
        " held-out ones. Measured with the run's own weights, before they were rounded to bfloat16."
    )


def _card_limits(record: Mapping) -> list[str]:
    data, train = record["config"]["data"], record["config"]["train"]
    contexts = " or ".join(map(str, train["context"]))
    limits = [
        "Grey frames: a colour video is turned to grey.",
        f"Trained on {data['size']} x {data['size']} pixels, with {contexts} frames of context in sequences of"
        f" {data['length']}. Other sizes, and other lengths than those under Scores, run too and were not measured.",
        "Trained on the data named above and on nothing else: of any other video it knows nothing.",
    ]
    if record["profile"] not in ("paper", "ablation"):
        limits.append(f"A run of the `{record['profile']}` profile: its scores do not compare with any published ones.")
    return limits


def load_published(name: str, device="cpu", root: Path | None = None) -> tuple[VideoModel, config.Experiment]:
    """A published model, ready for prediction, and its experiment; from `root`, by default the repository's weights/.

    Raises:
        FileNotFoundError: naming the published models there are, when `name` is not among them.
        ValueError: when a part is missing.
    """
    from safetensors.torch import load_file

    root = Path(root or PUBLISHED)
    folder = root / name
    if not (folder / "model.json").exists():
        there = sorted(path.parent.name for path in root.glob("*/model.json"))
        raise FileNotFoundError(
            f"no published weights {name!r} ({'there are: ' + ', '.join(there) if there else 'none are published yet'});"
            " train a model with: vrnn3d train NAME"
        )
    experiment = config.from_dict(json.loads((folder / "model.json").read_text())["config"])
    files = sorted(folder.glob("model-*.safetensors"))
    if not files or len(files) != int(files[0].stem.rpartition("-")[2]):
        raise ValueError(f"{folder} does not hold all parts of its weights; fetch the repository's weights/ again")
    state = {key: value.float() if value.is_floating_point() else value for f in files for key, value in load_file(f).items()}
    model = model_of(experiment)
    model.load_state_dict(state)
    return model.to(device).eval(), experiment


def load(name: str | os.PathLike, device="cpu") -> VideoModel:
    """A trained model by the name of its published weights, or by the path of a run's folder or checkpoint file."""
    if Path(name).exists():
        return load_run(Path(name), device)[0]
    return load_published(str(name), device)[0]
