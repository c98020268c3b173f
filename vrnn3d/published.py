"""Published weights: a folder with safetensors, their configuration and a card, as model hubs have it.

``weights/<name>/`` holds ``model.safetensors``, or parts of at most 15 MB with ``model.safetensors.index.json``;
``config.json`` with the experiment, where it came from and a hash of each file; and ``README.md``, the card.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from vrnn3d import config
from vrnn3d.files import Damaged, check_writable, temporary_folder, told

DEFAULT = "beyond_by_frame_550k"  # the published weights that are taken where none are named: those of the lowest error
CONFIG, WEIGHTS, INDEX, CARD = "config.json", "model.safetensors", "model.safetensors.index.json", "README.md"
PART_BYTES = 15_000_000
_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]*")
_SET_ASIDE = re.compile(r"^\.(.+)\.before$")  # the name of a folder while another takes its place
_PACKAGED = Path(__file__).resolve().parent / "weights"
_CHECKOUT = Path(__file__).resolve().parent.parent


def home() -> Path:
    """Where weights are published: weights/ of the checkout, else of the working directory."""
    return (_CHECKOUT if (_CHECKOUT / ".git").exists() else Path.cwd()) / "weights"


def places() -> list[Path]:
    """Where published weights are looked for, the first that has a name wins."""
    return list(dict.fromkeys([Path.cwd() / "weights", home(), _CHECKOUT / "weights", _PACKAGED]))


def names() -> list[str]:
    """The published weights there are."""
    folders = {path.parent.name for place in places() for path in place.glob(f"*/{CONFIG}")}
    found = {_SET_ASIDE.sub(r"\1", folder) for folder in folders}
    return sorted(filter(_NAME.fullmatch, found))  # no folder that is only being written


def find(name: str) -> Path:
    """The folder of published weights, by name or by path; nothing is changed there.

    While others take their place, or after that was interrupted, it is the one in which the weights are set aside.

    Raises:
        FileNotFoundError: naming the published weights there are.
    """
    for folder in (Path(name), *(place / name for place in places())):
        if _NAME.fullmatch(name) is None and folder != Path(name):
            continue
        if (folder / CONFIG).is_file():
            return folder
        if folder.name and not folder.exists() and (_aside(folder) / CONFIG).is_file():
            return _aside(folder)
    there = names()
    listed = f"published weights are: {', '.join(there)}" if there else "no weights are published yet"
    raise FileNotFoundError(
        f"{name!r} is neither a run nor published weights ({listed}); train a model with: vrnn3d train NAME"
    )


def other_run(name: str, experiment: config.Experiment, seed: int, root: Path | None = None) -> str:
    """What a name is published for, as "half/beyond, seed 0", where that is another run; "" where it is free, or this run's."""
    path = (home() if root is None else Path(root)) / name / CONFIG
    if not path.is_file():
        return ""
    known = json.loads(path.read_text(encoding="utf-8"))
    there, here = (
        (known["config"]["profile"], known["config"]["name"], known.get("seed")),
        (experiment.profile, experiment.name, seed),
    )
    return "" if there == here else "{}/{}, seed {}".format(*there)


def publish(
    weights: Mapping[str, Tensor],
    experiment: config.Experiment,
    name: str,
    about: Mapping[str, Any],
    card: str,
    root: Path | None = None,
) -> list[Path]:
    """Write weights as bfloat16 safetensors with their configuration and card; whole or not at all.

    Args:
        weights: a model's state dict. Batch-norm statistics stay float32.
        experiment: what the model is.
        name: a plain name; the folder is made below `root`, by default :func:`home`.
        about: more that ``config.json`` holds, where the weights came from for example.
        card: text of ``README.md``.

    Returns:
        The files written.

    Raises:
        ValueError: when the name is none.
        CannotWrite: when the folder cannot be written, or has no room.
    """
    if not _NAME.fullmatch(name):
        raise ValueError(f"{name!r} is no plain name for weights; use letters, digits, _ . -")
    root = home() if root is None else Path(root)
    check_writable(root / name, sum(tensor.nbytes for tensor in weights.values()))
    new = temporary_folder(root / name)
    try:
        files = _write_parts(_rounded(weights), new)
        hashes = {path.name: _sha256(path) for path in files}
        values = {"config": config.to_dict(experiment), **about, "files": hashes}
        (new / CONFIG).write_text(json.dumps(values, indent=1) + "\n", encoding="utf-8")
        (new / CARD).write_text(card, encoding="utf-8")
        new.chmod(0o755)
        written = sorted(path.name for path in new.iterdir())
        _swap(new, root / name)
    except OSError as error:
        raise told(root / name, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return [root / name / file for file in written]


def _rounded(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    return {
        name: (tensor.to(torch.bfloat16) if "running_" not in name and tensor.is_floating_point() else tensor)
        .detach()
        .cpu()
        .contiguous()
        for name, tensor in weights.items()
    }


def _write_parts(weights: dict[str, Tensor], folder: Path) -> list[Path]:
    """One file, or parts of at most PART_BYTES and an index of them."""
    from safetensors.torch import save

    parts: list[dict[str, Tensor]] = [{}]
    for name, tensor in weights.items():
        if parts[-1] and sum(t.nbytes for t in parts[-1].values()) + tensor.nbytes > PART_BYTES:
            parts.append({})
        parts[-1][name] = tensor
    if len(parts) == 1:
        (folder / WEIGHTS).write_bytes(save(parts[0]))
        return [folder / WEIGHTS]
    files = [folder / f"model-{i:05d}-of-{len(parts):05d}.safetensors" for i in range(1, len(parts) + 1)]
    for part, file in zip(parts, files):
        file.write_bytes(save(part))
    index = {
        "metadata": {"total_size": sum(t.nbytes for t in weights.values())},
        "weight_map": {name: file.name for part, file in zip(parts, files) for name in part},
    }
    (folder / INDEX).write_text(json.dumps(index, indent=1) + "\n", encoding="utf-8")
    return [*files, folder / INDEX]


def _swap(new: Path, target: Path) -> None:
    """Put a finished folder in the place of another; a reader finds the one or the other, see :func:`find`."""
    _recover(target)
    aside = _aside(target)
    if target.exists():
        os.rename(target, aside)
    os.rename(new, target)
    shutil.rmtree(aside, ignore_errors=True)


def _aside(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.before")


def _recover(folder: Path) -> None:
    """Bring back what an interrupted publication had set aside, and sweep what it left. Only for who publishes."""
    aside = _aside(folder)
    if aside.is_dir() and not folder.exists():
        os.rename(aside, folder)
    elif aside.is_dir():
        shutil.rmtree(aside, ignore_errors=True)


def read(folder: Path) -> tuple[dict[str, Tensor], dict[str, Any]]:
    """(weights in float32, what ``config.json`` holds) of a folder of published weights.

    Raises:
        Damaged: naming the file that is missing or not what was written.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load

    about = _about(folder / CONFIG)
    weights: dict[str, Tensor] = {}
    for name, expected in about["files"].items():
        path = folder / name
        if not path.is_file():
            raise Damaged(f"{path} is missing; fetch all files of {folder.name} again")
        content = path.read_bytes()
        if hashlib.sha256(content).hexdigest() != expected:
            raise Damaged(f"{path} is damaged: its SHA-256 is not the one in {CONFIG}; fetch it again")
        if path.suffix == ".safetensors":
            try:
                weights |= load(content)
            except SafetensorError as error:
                raise Damaged(f"{path} is no safetensors file ({str(error)[:80]}); fetch it again") from None
    return {key: value.float() if value.is_floating_point() else value for key, value in weights.items()}, about


def _about(path: Path) -> dict[str, Any]:
    """What ``config.json`` holds; :class:`Damaged` where that does not describe published weights."""
    try:
        about = json.loads(path.read_text(encoding="utf-8"))
        files, described = about["files"], about["config"]
        if not (isinstance(files, dict) and isinstance(described, dict) and all(map(_NAME.fullmatch, files))):
            raise ValueError
    except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
        raise Damaged(f"{path} does not describe published weights ({type(error).__name__}); fetch it again") from None
    return about


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
