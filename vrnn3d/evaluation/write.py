"""Write a continued video as what its name says: an animation, arrays, or a folder of pictures."""

from __future__ import annotations

import os
import re
import shutil
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from vrnn3d import show
from vrnn3d.evaluation.predict import Continued
from vrnn3d.files import atomic_write, check_file, check_writable, temporary_folder, told

ARRAYS = (".npy", ".npz")
#: The folders of pictures that are written, as :meth:`Continued.rows` names them.
_ROW = re.compile(r"truth|mean|prediction|sample_[0-9]+")


def check_name(path: str | Path) -> Path:
    """Refuse a name whose suffix says nothing that can be written, or that cannot be written, before anything is predicted.

    Raises:
        ValueError: naming what there is.
        CannotWrite: when the place cannot be written.
    """
    path = Path(path)
    known = (*show.ANIMATIONS, *ARRAYS)
    if path.suffix and path.suffix.lower() not in known:
        raise ValueError(
            f"{path.name} ends in {path.suffix}; known are {' '.join(known)}, and a name without a suffix: a folder of pictures"
        )
    if path.suffix:
        check_file(path)
    else:
        check_writable(path)
    return path


def write(continued: Continued, path: str | Path, apart: bool = False) -> list[Path]:
    """Write what :func:`~vrnn3d.evaluation.predict.continue_video` returned; the files written.

    Args:
        path: ``.webp``, ``.gif`` and ``.mp4`` show truth, mean and samples side by side, at the source's rate; ``.npy`` holds
            the samples, float32 (samples, time, channel, height, width); ``.npz`` also "given", "truth" and "rate"; without a
            suffix a folder is made, with a folder of PNG pictures for each row; numbered pictures of an earlier prediction
            in it are replaced, and those of rows that this one does not have are removed.
        apart: an animation of its own for each row, NAME-sample_1.webp for example.
    """
    path = check_name(path)
    suffix, rows, context = path.suffix.lower(), continued.rows(), len(continued.given)
    if suffix in ARRAYS:
        return [atomic_write(path, lambda temporary: _arrays(continued, temporary, suffix))]
    if not suffix:
        return _folder({name.replace(" ", "_"): video for name, video in rows.items()}, path)
    if apart:
        names = {name: path.with_name(f"{path.stem}-{name.replace(' ', '_')}{suffix}") for name in rows}
        return [show.save_animation({name: rows[name]}, names[name], continued.rate, context=context) for name in rows]
    return [show.save_animation(rows, path, continued.rate, context=context)]


def _arrays(continued: Continued, path: Path, suffix: str) -> None:
    samples = continued.samples.numpy()
    with path.open("wb") as file:
        if suffix == ".npy":
            np.save(file, samples)
        else:
            np.savez_compressed(
                file,
                samples=samples,
                given=continued.given.numpy(),
                truth=continued.truth.numpy(),
                rate=np.array(continued.rate),
            )


def _folder(rows: dict[str, Tensor], path: Path) -> list[Path]:
    """A folder of pictures for each row, made beside `path` and moved there when all are written."""
    new = temporary_folder(path)
    try:
        for name, video in rows.items():
            _pictures(video, new / name)
        written = [path / picture.relative_to(new) for picture in sorted(new.rglob("*.png"))]
        if path.exists():
            _remove_rows(path, keep=set(rows))
            for row in new.iterdir():
                _replace_pictures(row, path / row.name)
        else:
            new.chmod(0o755)
            os.rename(new, path)
    except OSError as error:
        raise told(path, error) from error
    finally:
        shutil.rmtree(new, ignore_errors=True)
    return written


def _remove_rows(path: Path, keep: set[str]) -> None:
    """Remove the pictures of rows that only an earlier prediction had; what somebody put beside them stays."""
    for row in path.iterdir():
        if row.name not in keep and _ROW.fullmatch(row.name) and row.is_dir() and not row.is_symlink():
            _remove_pictures(row)
            if not any(row.iterdir()):
                row.rmdir()


def _remove_pictures(row: Path) -> None:
    for picture in row.glob("[0-9][0-9][0-9][0-9].png"):
        picture.unlink()


def _replace_pictures(row: Path, target: Path) -> None:
    """Move numbered pictures into a folder that may hold those of another prediction, longer ones perhaps."""
    target.mkdir(exist_ok=True)
    _remove_pictures(target)
    for picture in row.iterdir():
        os.replace(picture, target / picture.name)


def _pictures(video: Tensor, folder: Path) -> None:
    """Frames (T, C, H, W) as numbered PNG files."""
    folder.mkdir()
    frames = (video.clamp(0, 1) * 255).round().to(torch.uint8).permute(0, 2, 3, 1).numpy()
    for number, frame in enumerate(frames, 1):
        Image.fromarray(frame[..., 0] if frame.shape[-1] == 1 else frame).save(folder / f"{number:04d}.png")
