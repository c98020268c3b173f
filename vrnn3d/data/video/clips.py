"""Which clips there are in a folder as people have them, and which of them are for training, validation and test.

Taken are: a folder of clips (files, or sub-folders of numbered pictures), also in sub-folders, one for each class for
example; the same below ``train``, ``val`` and ``test``, which are then the splits; a folder of pictures, which is one
clip; a single file; and an array that holds several clips. Folders of runs of this package below them are left out.
"""

from __future__ import annotations

import hashlib
import re
import warnings
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

from vrnn3d.data.splits import SPLITS
from vrnn3d.data.video.arrays import clips_in
from vrnn3d.data.video.errors import UnreadableError
from vrnn3d.data.video.sources import ANIMATIONS, ARRAYS, CONTAINERS, PICTURES, natural_order, pictures

_KINDS = ANIMATIONS + ARRAYS + CONTAINERS
#: What folders (and arrays) are called that hold the clips of one split.
SPLIT_NAMES = {
    **dict.fromkeys(("train", "training"), "train"),
    **dict.fromkeys(("val", "valid", "validation"), "validation"),
    **dict.fromkeys(("test", "testing"), "test"),
}
#: Where a clip is cut in time when there are too few to share out, in percent of its frames.
CUTS = {"train": (0, 80), "validation": (80, 90), "test": (90, 100)}
WHOLE = (0, 100)
#: A folder that holds one of these is a run, and the pictures and arrays in it show clips that were held out.
_OF_A_RUN = ("checkpoint.pt", "calls.json", "record.json")
_HELD_OUT = 10  # one clip in so many is for validation, and another for the test


class Clip(NamedTuple):
    """One clip, or a part of it in time."""

    path: Path  #: a file or a folder of pictures
    name: str  #: its path below the folder of the data, with "/"; "NAME[3]" for the fourth clip of an array
    number: int | None = None  #: which of several clips in an array, else None
    part: tuple[int, int] = WHOLE  #: from where to where it is used, in percent of its frames


def list_clips(path: Path | str) -> list[Clip]:
    """All clips at a place, sorted by name, frame10 after frame2; none is opened but arrays, to count what they hold.

    Raises:
        FileNotFoundError: when there is nothing of that name.
        ValueError: when there is no clip; the message says what was found instead.
    """
    path = Path(path).expanduser()
    if not path.exists():
        raise FileNotFoundError(f"{path} does not exist: data.path must name a folder of clips, or a clip")
    clips = _clips(path, path.name if path.is_file() else "")
    if not clips:
        raise ValueError(
            f"there are no clips in {path}, which holds {_contents(path)}; a clip is a folder of pictures "
            f"({' '.join(PICTURES)}) or one of {' '.join(_KINDS)}"
        )
    return sorted(clips, key=_by_name)


def _by_name(clip: Clip) -> tuple[list[Any], str]:
    return natural_order(clip.name)


def _clips(path: Path, name: str, above: tuple[Path, ...] = ()) -> list[Clip]:
    """The clips at `path`, which is called `name`; pictures are a clip only where nothing else is."""
    if path.is_file():
        return _of_file(path, name) if path.suffix.lower() in _KINDS else []
    if not path.is_dir() or (here := path.resolve()) in above:  # a link to nothing, or back to where we come from
        return []
    if above and any((path / run).is_file() for run in _OF_A_RUN):
        warnings.warn(f"{path} is the folder of a run of vrnn3d and is left out of the clips", stacklevel=4)
        return []
    found = []
    for entry in path.iterdir():
        if not entry.name.startswith("."):
            found += _clips(entry, f"{name}/{entry.name}" if name else entry.name, (*above, here))
    shown = pictures(path)
    if not shown:
        return found
    if not found:
        _warn_of_series(path, shown)
        return [Clip(path, name or path.absolute().name)]
    warnings.warn(
        f"{path} holds clips and {len(shown)} pictures beside them ({shown[0].name} ...); the pictures are ignored",
        stacklevel=4,
    )
    return found


def _warn_of_series(path: Path, shown: list[Path]) -> None:
    """Say it where the names of the pictures in a folder look like those of several clips."""
    counts = Counter(re.sub(r"\d+(?=\D*$)", "*", picture.name) for picture in shown)
    series = [name for name, count in counts.items() if count > 1]
    if len(series) > 1:
        warnings.warn(
            f"{path} holds {len(shown)} pictures of {len(series)} series ({', '.join(series[:3])}), which are read as one clip;"
            " if they are several, put each into a folder of its own",
            stacklevel=5,
        )


def _of_file(path: Path, name: str) -> list[Clip]:
    if path.suffix.lower() in ARRAYS:
        try:
            count = clips_in(path)
        except UnreadableError:  # said when it is read, by whoever wants it
            count = None
        if count is not None:
            return [Clip(path, f"{name}[{number}]", number) for number in range(count)]
    return [Clip(path, name)]


def _contents(path: Path) -> str:
    """What a folder holds, in words."""
    if path.is_file():
        return f"a file of kind {path.suffix or '(no suffix)'}"
    counts = Counter("folder" if entry.is_dir() else entry.suffix or "file without suffix" for entry in path.iterdir())
    return ", ".join(f"{count} x {kind}" for kind, count in sorted(counts.items())) or "nothing"


def find_clips(path: Path | str, seed: int = 0) -> dict[str, list[Clip]]:
    """The clips of "train", "validation" and "test"; no frame is in two splits.

    Folders (or arrays) called train, val and test are the splits; a missing one is held out of train, with a warning.
    Else the clips are shared out by :func:`split_clips`.

    Raises:
        FileNotFoundError: when there is nothing of that name.
        ValueError: when there is no clip, or one of the split folders has none.
    """
    path = Path(path).expanduser()
    folders = _split_folders(path) if path.is_dir() else {}
    if "train" not in folders or len(folders) < 2:
        return split_clips(list_clips(path), seed)
    parts = {split: _of_folders(path, places) for split, places in folders.items()}
    if strangers := [e.name for e in path.iterdir() if _is_clip_beside(e) and not any(e in p for p in folders.values())]:
        warnings.warn(f"{path} has folders for the splits; {', '.join(sorted(strangers))} beside them is ignored", stacklevel=3)
    for split in SPLITS:
        if split not in parts:
            if len(parts["train"]) < 2:
                raise ValueError(f"{path} has no clips for {split}: add a folder {path.name}/{split} with one at least")
            held = _in_order(parts["train"], seed)[: _held(len(parts["train"]))]
            parts[split], parts["train"] = held, [clip for clip in parts["train"] if clip not in held]
            warnings.warn(f"{path} has no folder {split}: {len(held)} clips of train are held out for it", stacklevel=3)
    return parts


def _split_folders(path: Path) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    for entry in sorted(path.iterdir()):
        name = entry.name if entry.is_dir() else entry.stem if entry.suffix.lower() in ARRAYS else ""
        if split := SPLIT_NAMES.get(name.lower()):
            found.setdefault(split, []).append(entry)
    return found


def _is_clip_beside(entry: Path) -> bool:
    return not entry.name.startswith(".") and (entry.is_dir() or entry.suffix.lower() in _KINDS)


def _of_folders(path: Path, places: list[Path]) -> list[Clip]:
    """The clips of one split, named from the folder of the data on."""
    return [
        clip._replace(name=clip.name if place.is_file() else f"{place.name}/{clip.name}")
        for place in places
        for clip in list_clips(place)
    ]


def split_clips(clips: list[Clip], seed: int = 0) -> dict[str, list[Clip]]:
    """Clips to "train", "validation" and "test", in the order of a hash of name and seed.

    The last two get a tenth each, at least one; no clip is in two splits. Fewer than three clips are each cut in time:
    the first 80% for training, then 10% for validation and 10% for the test.
    """
    if len(clips) < len(SPLITS):
        return {split: [clip._replace(part=CUTS[split]) for clip in clips] for split in SPLITS}
    order, held = _in_order(clips, seed), _held(len(clips))
    parts = {"validation": order[:held], "test": order[held : 2 * held], "train": order[2 * held :]}
    return {split: sorted(parts[split], key=_by_name) for split in SPLITS}


def _in_order(clips: list[Clip], seed: int) -> list[Clip]:
    return sorted(clips, key=lambda clip: hashlib.sha256(f"{seed}/{clip.name}".encode()).digest())


def _held(count: int) -> int:
    return max(1, round(count / _HELD_OUT))
