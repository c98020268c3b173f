"""Checkpoints of a training, and published weights: written atomically, read with clear errors."""

from __future__ import annotations

import json
import os
from pathlib import Path

import torch
from torch import nn

from vrnn3d import config
from vrnn3d.files import atomic_write
from vrnn3d.models import arguments, build_model
from vrnn3d.models.base import VideoModel

CHECKPOINT = "checkpoint.pt"
PUBLISHED = Path(__file__).resolve().parent.parent / "weights"
PART_BYTES = 15_000_000
DEFAULT = "vrnn3d"  # the published weights that are taken where none are named


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
        state["config"], state["evaluated"]
    except Exception as error:
        raise ValueError(f"{path} is not a checkpoint of vrnn3d, or is damaged ({error}); delete it to start anew") from error
    return state


def model_of(experiment: config.Experiment) -> VideoModel:
    """The freshly initialised model that an experiment describes."""
    m, d = experiment.model, experiment.data
    known = arguments(m.name)
    options = {name: value for name, value in {"size": d.size, "channels": d.channels}.items() if name in known}
    return build_model(m.name, window=m.window, horizon=m.horizon, **{**options, **m.options})


def load_run(path: Path, device="cpu") -> tuple[VideoModel, config.Experiment]:
    """The model of a run with the weights that ``train.weights`` asks for, ready for prediction, and its experiment."""
    state = load_state(path, device)
    experiment = config.from_dict(json.loads(state["config"]))
    model = model_of(experiment).to(device)
    model.load_state_dict(state["evaluated"])
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


def is_run(path: str | os.PathLike) -> bool:
    """Whether a path is a checkpoint file, or a folder that holds one."""
    path = Path(path)
    return path.is_file() or (path / CHECKPOINT).is_file()


def load_any(source: str | os.PathLike, device="cpu") -> tuple[VideoModel, config.Experiment]:
    """A model ready for prediction, and its experiment: of a run's folder, a checkpoint file, or published weights by name."""
    if is_run(source):
        return load_run(Path(source), device)
    if os.sep in str(source) or Path(source).suffix == ".pt":
        raise FileNotFoundError(f"{source} is neither a checkpoint nor a folder that holds one; train one with: vrnn3d train NAME")
    return load_published(str(source), device)


def folder_of(source: str | os.PathLike) -> Path:
    """Where files about a run go: its folder; for published weights the working directory."""
    path = Path(source)
    if not is_run(path):
        return Path()
    return path if path.is_dir() else path.parent


def default_source(runs: str | os.PathLike = "runs") -> str:
    """What is loaded where nothing is named: the published weights, else the newest run below `runs`."""
    newest = sorted(Path(runs).rglob(CHECKPOINT), key=lambda path: path.stat().st_mtime)
    published = (PUBLISHED / DEFAULT / "model.json").exists()
    return DEFAULT if published or not newest else str(newest[-1])


def load(name: str | os.PathLike, device="cpu") -> VideoModel:
    """A trained model by the name of its published weights, or by the path of a run's folder or checkpoint file."""
    return load_any(name, device)[0]
