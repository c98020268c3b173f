"""Checkpoints of a training: written atomically, with a digest that is checked when they are read."""

from __future__ import annotations

import hashlib
import io
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor

from vrnn3d import config, published
from vrnn3d.device import out_of_memory
from vrnn3d.files import Damaged, atomic_write
from vrnn3d.models import arguments, build_model
from vrnn3d.models.base import VideoModel
from vrnn3d.settings import one_line

CHECKPOINT = "checkpoint.pt"
_DIGEST = "digest"
_OPTIONAL = (dict, type(None))
#: What a checkpoint holds.
_PARTS: dict[str, type | tuple[type, ...]] = {
    "config": str, "seed": int, "data": dict, "parent": str, "evaluated": dict, "model": dict, "ema": _OPTIONAL,
    "best": _OPTIONAL, "best_mse": float, "optimiser": dict, "step": int, "seconds": float, "cpu_seconds": float,
    "curves": str, "sums": dict, "summed": int,
}  # fmt: skip


def save(folder: Path, state: dict[str, Any]) -> None:
    """Write `state` (tensors and plain types) as the checkpoint of a run's folder."""
    buffer = io.BytesIO()  # PyTorch's own file writer tells a full disk in words that nobody understands
    torch.save({**state, _DIGEST: digest(state)}, buffer)
    atomic_write(Path(folder) / CHECKPOINT, lambda path: path.write_bytes(buffer.getbuffer()), buffer.getbuffer().nbytes)


def digest(state: Any) -> str:
    """SHA-256 of tensors and plain values, nested in tables and lists."""
    total = hashlib.sha256()
    for part in _parts(state):
        total.update(part)
    return total.hexdigest()


def _parts(value: Any) -> Iterator[bytes]:
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            yield repr(key).encode()
            yield from _parts(value[key])
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _parts(item)
    elif isinstance(value, Tensor):
        yield repr((value.dtype, tuple(value.shape))).encode()
        yield value.detach().cpu().contiguous().view(-1).view(torch.uint8).numpy().tobytes() if value.numel() else b""
    else:
        yield repr(value).encode()


def load_state(path: str | os.PathLike, device: Any = "cpu") -> dict[str, Any]:
    """Read a checkpoint file or a run's folder.

    Raises:
        FileNotFoundError: when there is none.
        Damaged: when the file is no checkpoint of this package, or not what was written.
        OSError: when it cannot be read, or the memory is too small; it is not damaged then.
    """
    path = Path(path)
    path = path / CHECKPOINT if path.is_dir() else path
    if not path.exists():
        raise FileNotFoundError(f"there is no checkpoint at {path}: name a run's folder, or train one with: vrnn3d train NAME")
    data = path.read_bytes()
    try:
        state = torch.load(io.BytesIO(data), map_location="cpu", weights_only=True)
        written, found = state.pop(_DIGEST), digest(state)
        _check_parts(state)
    except Exception as error:  # whatever a damaged archive makes PyTorch raise
        if out_of_memory(error):
            raise OSError(f"{path} cannot be read: it needs more memory than there is; end other programs") from None
        if path.name != CHECKPOINT:  # most likely a file of another kind, which nobody should be told to delete
            raise Damaged(
                f"{path} is no checkpoint of vrnn3d, or is damaged: name a run's folder, its {CHECKPOINT} or published weights"
            ) from None
        raise Damaged(
            f"{path} is no checkpoint of vrnn3d, or is damaged ({one_line(error)}); delete it to train anew"
        ) from None
    if written != found:
        raise Damaged(f"{path} is damaged: it is not what was written; delete it to train anew, or restore it from a copy")
    return _moved(state, torch.device(device))


def _check_parts(state: dict[str, Any]) -> None:
    """``ValueError`` for what no training has written, though its digest is right."""
    wrong = [name for name, kind in _PARTS.items() if not isinstance(state.get(name), kind)]
    if wrong:
        raise ValueError(f"its part {wrong[0]!r} is missing or of another kind")
    if missing := {"identity", "source", "description"} - set(state["data"]):
        raise ValueError(f"its part 'data' lacks {sorted(missing)[0]!r}")
    if min(state["step"], state["summed"]) < 0:
        raise ValueError(f"its number of updates is {min(state['step'], state['summed'])}")
    if not all(isinstance(value, Tensor) and value.numel() == 1 for value in state["sums"].values()):
        raise ValueError("its part 'sums' holds what is no number")
    curves = json.loads(state["curves"])
    if not isinstance(curves, dict) or not all(map(_is_curve, curves.values())):
        raise ValueError("its part 'curves' is no table of lists of numbers")


def _is_curve(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(point, (int, float)) for point in value)


def _moved(value: Any, device: torch.device) -> Any:
    if isinstance(value, dict):
        return {key: _moved(item, device) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return type(value)(_moved(item, device) for item in value)
    return value.to(device) if isinstance(value, Tensor) else value


def model_of(experiment: config.Experiment) -> VideoModel:
    """The freshly initialised model that an experiment describes.

    Raises:
        ValueError: for an unknown model or option, for one that has a setting of its own, and for a window or horizon that
            the model does not have.
    """
    m, d = experiment.model, experiment.data
    known = arguments(m.name)
    settings = {  # {argument: (value, what sets it)}
        "window": (m.window, "model.window"),
        "horizon": (m.horizon, "model.horizon"),
        "size": (d.size, "data.size"),
        "channels": (d.channels, "the data"),
    }
    for name in m.options:
        if name in settings:
            raise ValueError(f"model.options.{name} is set by {settings[name][1]}; leave it out of the options")
    model = build_model(m.name, **{name: value for name, (value, _) in settings.items() if name in known}, **m.options)
    for name in ("window", "horizon"):
        value, sets = settings[name]
        if getattr(model, name) != value:
            raise ValueError(f"{m.name} has a {name} of {getattr(model, name)} and no other: set {sets} to it, not to {value}")
    return model


def is_run(path: str | os.PathLike) -> bool:
    """Whether a path is a file, or a folder that holds a checkpoint."""
    path = Path(path)
    return path.is_file() or (path / CHECKPOINT).is_file()


class Loaded(NamedTuple):
    """A trained model and where it is from."""

    model: VideoModel  #: ready for prediction
    experiment: config.Experiment
    seed: int  #: that it was trained with; 0 where published weights do not tell it


def load_run(path: str | os.PathLike, device: Any = "cpu") -> Loaded:
    """The model of a run with the weights that ``train.weights`` asks for, ready for prediction."""
    return loaded(load_state(path), path, device)  # the weights alone are moved: the optimiser's state is twice as large


def loaded(state: dict[str, Any], path: str | os.PathLike, device: Any = "cpu") -> Loaded:
    """The same of a checkpoint that :func:`load_state` read from `path`."""
    with fitting(path):
        experiment = config.from_dict(json.loads(state["config"]))
        model = model_of(experiment)
        model.load_state_dict(state["evaluated"])
    return Loaded(model.to(device).eval(), experiment, state["seed"])


@contextmanager
def fitting(path: str | os.PathLike) -> Iterator[None]:
    """Within it, what is wrong with a model's description or weights is a ``ValueError`` that names the file they are from.

    It does not advise to delete that: the file is what was written, by another version, or with models of one's own.
    """
    try:
        yield
    except (RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
        if out_of_memory(error):
            raise
        raise ValueError(
            f"the weights in {path} do not fit a model of this program ({one_line(error)}); are they another version's,"
            " or of parts of your own that were not imported?"
        ) from None


def load_any(source: str | os.PathLike, device: Any = "cpu") -> Loaded:
    """A model ready for prediction, its experiment and seed: of a run's folder, a checkpoint file, or published weights.

    Raises:
        FileNotFoundError: when there is nothing of that name; the published weights there are are listed.
        Damaged: when a file is not what was written.
    """
    if is_run(source):
        return load_run(source, device)
    folder = published.find(str(source))
    weights, about = published.read(folder)
    with fitting(folder):
        experiment = config.from_dict(about["config"])
        model = model_of(experiment)
        model.load_state_dict(weights)
    return Loaded(model.to(device).eval(), experiment, about.get("seed", 0))


def default_source(runs: str | os.PathLike = "runs") -> str:
    """What is loaded where nothing is named: the published weights, else the newest run below `runs`.

    Raises:
        ValueError: when several are published and none has the name that is taken by default.
    """
    there = published.names()
    if published.DEFAULT in there or len(there) == 1:
        return published.DEFAULT if published.DEFAULT in there else there[0]
    if there:
        raise ValueError(f"several models are published: {', '.join(there)}; name one of them with --model")
    newest = sorted(Path(runs).rglob(CHECKPOINT), key=lambda path: path.stat().st_mtime)
    return str(newest[-1]) if newest else published.DEFAULT


def folder_of(source: str | os.PathLike) -> Path:
    """Where files about a run go: its folder; for published weights the working directory."""
    path = Path(source)
    if not is_run(path):
        return Path()
    return path if path.is_dir() else path.parent


def load(name: str | os.PathLike, device: Any = "cpu") -> VideoModel:
    """A trained model by the name of its published weights, or by the path of a run's folder or checkpoint file."""
    return load_any(name, device).model
