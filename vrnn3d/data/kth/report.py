"""What of KTH Actions is there: fetch it, decode it, and say so."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from vrnn3d.data.folders import cache_folder
from vrnn3d.data.kth.cache import Cache, clips_folder, load
from vrnn3d.data.kth.clips import ACTIONS, TOTAL, split_persons
from vrnn3d.data.kth.dataset import clip_windows, subset_name
from vrnn3d.data.kth.fetch import fetch_kth
from vrnn3d.data.sequences import pixels

_WINDOW = 20  # frames of the windows that are counted


@dataclass(frozen=True)
class KTHReport:
    """What of KTH Actions is there; ``str()`` of it is a few lines for a reader."""

    clips: int  # that can be used, of TOTAL
    frames: int  # in the cache
    size: tuple[int, int]
    by_action: dict[str, int]  # clips
    by_person: dict[int, int]
    persons: dict[str, set[int]]  # by split
    windows: dict[str, int]  # of _WINDOW frames, by split
    skipped: tuple[tuple[str, str], ...]  # (file, reason)
    notes: tuple[str, ...]
    download: str  # why something could not be fetched; empty when nothing went wrong
    source: str
    folder: Path
    cache: Path

    def __str__(self) -> str:
        lines = [
            f"{subset_name(self.clips)}: {self.clips} of {TOTAL} clips, from {self.folder} ({self.source})",
            "by action: " + ", ".join(f"{action} {count}" for action, count in self.by_action.items()),
            "by person: " + ", ".join(f"{person}: {count}" for person, count in self.by_person.items()),
        ]
        for split, persons in self.persons.items():
            named = ", ".join(map(str, sorted(persons))) or "none"
            lines.append(f"{split}: persons {named}; {self.windows[split]:,} windows of {_WINDOW} frames")
        lines.append(f"{self.frames:,} frames of {pixels(self.size)} in {self.cache}")
        lines += [f"skipped: {file}: {reason}" for file, reason in self.skipped]
        lines += [f"note: {note}" for note in self.notes]
        if self.download:
            lines.append(f"not downloaded: {self.download}")
        return "\n".join(lines)


def prepare_kth(size: int | tuple[int, int] = 128, progress: bool = True, download: bool = True) -> KTHReport:
    """Download what is missing, decode, and report what is there.

    Clips in ``$VRNN3D_DATA/kth`` are used alone and never added to. A download that fails is told in the report when
    there are clips to go on with.

    Args:
        size: of the decoded frames.
        progress: show bars.
        download: False: use what is there.

    Raises:
        ConnectionError: when there are no clips and they cannot be downloaded now.
        FileNotFoundError: when there are no clips.
    """
    source, folder = clips_folder()
    failed = ""
    if download and source == "VRNN3D_DATA":
        failed = f"{folder} is used as it is; unset VRNN3D_DATA to download the whole data set to {cache_folder()}"
    elif download:
        try:
            fetch_kth(folder, progress)
        except (ValueError, OSError) as error:
            failed = str(error)
    try:
        cache = load(size, progress)
    except FileNotFoundError:
        if not failed or source == "VRNN3D_DATA":
            raise
        raise ConnectionError(
            f"KTH Actions could not be downloaded ({failed}) and there are no clips of it: run `vrnn3d data kth` again "
            "later (it continues where it broke off), or set VRNN3D_DATA to the folder that holds kth/ with the clips"
        ) from None
    return _report(cache, failed)


def _report(cache: Cache, failed: str) -> KTHReport:
    persons = split_persons({clip.person for clip in cache.clips})
    actions = Counter(clip.action for clip in cache.clips)
    return KTHReport(
        clips=len(cache.clips),
        frames=len(cache.frames),
        size=cache.size,
        by_action={action: actions[action] for action in ACTIONS},
        by_person=dict(sorted(Counter(clip.person for clip in cache.clips).items())),
        persons=persons,
        windows={
            split: sum(len(clip_windows(clip, _WINDOW)) for clip in cache.clips if clip.person in chosen)
            for split, chosen in persons.items()
        },
        skipped=cache.skipped,
        notes=cache.notes,
        download="" if len(cache.clips) >= TOTAL else failed,
        source=cache.source,
        folder=cache.folder,
        cache=cache.path,
    )
