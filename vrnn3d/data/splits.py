"""The three parts of a data set, which share nothing."""

from __future__ import annotations

SPLITS = ("train", "validation", "test")


def check_split(split: str) -> None:
    """``ValueError`` with the known names for an unknown one."""
    if split not in SPLITS:
        raise ValueError(f"no split {split!r}; there are: {', '.join(SPLITS)}")
