"""What tells two folders of clips apart, wherever they lie: a hash of what their files hold."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from pathlib import Path
from typing import Any

from vrnn3d.data.splits import SPLITS
from vrnn3d.data.video.clips import Clip, list_clips
from vrnn3d.data.video.sources import pictures

_HASHED_WHOLE = 1 << 24  # bytes of a file up to which all of it goes into the identity
_BLOCKS, _BLOCK = 16, 1 << 20  # of a longer one so many blocks of so many bytes, evenly spaced


def identity(path: Path | str) -> str:
    """Sixteen hexadecimal digits of the contents of all clips at a place; none is decoded.

    Where the clips are shared out by their names, these count too. Errors: :func:`~vrnn3d.data.video.clips.list_clips`.
    """
    digest, clips = hashlib.sha256(), list_clips(path)
    for clip in clips:
        if len(clips) >= len(SPLITS):
            digest.update(clip.name.encode())
        try:
            add_clip(digest, clip)
        except OSError:  # said when it is read, and left out
            digest.update(b"?")
    return digest.hexdigest()[:16]


def add_clip(digest: Any, clip: Clip) -> None:
    """Add what the files of a clip hold, and which part of it is used, to a hash."""
    for path in pictures(clip.path) if clip.path.is_dir() else [clip.path]:
        digest.update(_hash_file(path, path.stat().st_mtime))
    digest.update(f"{clip.number} {clip.part}".encode())


@lru_cache(maxsize=1)  # of an array, which holds many clips, once
def _hash_file(path: Path, changed: float) -> bytes:
    """A hash of a file's contents, or if it is long of its length and blocks of it."""
    size = path.stat().st_size
    digest = hashlib.sha256(str(size).encode())
    with path.open("rb") as stream:
        if size <= _HASHED_WHOLE:
            digest.update(stream.read())
        for block in range(_BLOCKS if size > _HASHED_WHOLE else 0):
            stream.seek(block * (size - _BLOCK) // (_BLOCKS - 1))
            digest.update(stream.read(_BLOCK))
    return digest.digest()
