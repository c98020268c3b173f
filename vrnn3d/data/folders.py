"""Where data lie: the user's folder, or the cache that downloads go to."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def cache_folder() -> Path:
    """Where downloads are kept: the platform's cache directory, then ``vrnn3d`` (it need not exist yet)."""
    if base := os.environ.get("XDG_CACHE_HOME"):
        return Path(base) / "vrnn3d"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "vrnn3d"
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local") / "vrnn3d" / "Cache"
    return Path.home() / ".cache" / "vrnn3d"


def given_folder() -> Path | None:
    """The folder that ``VRNN3D_DATA`` names, or None; ``NotADirectoryError`` when it names no folder."""
    if not (value := os.environ.get("VRNN3D_DATA")):
        return None
    path = Path(value).expanduser()
    if not path.is_dir():
        raise NotADirectoryError(f"VRNN3D_DATA names {path}, which is not a folder: correct the variable or unset it")
    return path


def folder() -> Path:
    """The data folder: ``$VRNN3D_DATA`` where that is set, else :func:`cache_folder`."""
    return given_folder() or cache_folder()
