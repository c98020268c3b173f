"""What is wrong with a clip, in one sentence."""

from __future__ import annotations

from pathlib import Path

from PIL import UnidentifiedImageError


class UnreadableError(ValueError):
    """A clip or a frame of it cannot be read; the message names it and says why."""


def unreadable(path: Path, error: Exception) -> UnreadableError:
    """The error of a library as one of ours."""
    if isinstance(error, UnidentifiedImageError):  # its message only repeats the path
        return UnreadableError(f"{path} cannot be read: it is no picture or video of the kind its name says")
    return UnreadableError(f"{path} cannot be read ({error}): it may be damaged or truncated")
