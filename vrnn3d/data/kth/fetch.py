"""Download of KTH Actions: six zips and the list of intervals from the official page, resumable, safely unpacked.

No checksums are published, so none are demanded: each file in a zip must agree with the zip's own CRC-32, and the
SHA-256 of every zip is noted in ``downloads.json`` beside the clips, with a warning when it is not the one seen before.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import stat
import warnings
import zipfile
import zlib
from collections.abc import Iterable
from pathlib import Path, PurePosixPath

from tqdm import tqdm

from vrnn3d.data.download import Unavailable, download, offline, sweep
from vrnn3d.data.kth.clips import ACTIONS, LIST, parse_name, read_sequences
from vrnn3d.data.video import CONTAINERS
from vrnn3d.files import atomic_write

#: The page of the data set, and the older name of the same place, asked when the first does not answer.
ADDRESSES = ("https://www.csc.kth.se/cvap/actions/", "http://www.nada.kth.se/cvap/actions/")
NOTES = "downloads.json"
_MOST_BYTES = 256 << 20  # of one unpacked clip; the largest official ones have a few MB


class UnsafeZipError(ValueError):
    """A zip that would write outside its folder, or without bounds."""


def fetch_kth(folder: Path | str, progress: bool = True) -> dict[str, dict]:
    """See to it that `folder` holds the list and all clips, under ``clips/ACTION/``; only what is missing is fetched.

    What arrived before an interruption is kept as ``NAME.part`` and continued. Returns the notes of the downloads:
    by file {"sha256", "bytes", "clips"}.

    Raises:
        ConnectionError: when something cannot be had now; what has been unpacked so far stays.
        UnsafeZipError: for a zip with file names that lead out of the folder.
        ValueError: for a damaged one.
    """
    folder = Path(folder)
    if offline():
        raise ConnectionError("VRNN3D_OFFLINE is set, so nothing was downloaded")
    folder.mkdir(parents=True, exist_ok=True)
    sweep(folder, f".{NOTES}.*", "clips/*/.person*")
    notes = _read_notes(folder)
    try:
        if not (folder / LIST).is_file():
            part = _retrieve(folder, LIST, progress)
            read_sequences(part)
            _note(folder, notes, LIST, part)
            os.replace(part, folder / LIST)
        listed = read_sequences(folder / LIST).intervals
        there = {path.stem for path in (folder / "clips").rglob("*") if path.is_file() and path.stat().st_size}
        for action in ACTIONS:
            if not _is_complete(folder, notes, action, listed, there):
                _fetch_action(folder, notes, f"{action}.zip", progress)
    except Unavailable as error:
        raise ConnectionError(str(error)) from None
    return notes


def _is_complete(folder: Path, notes: dict[str, dict], action: str, listed: Iterable[str], there: set[str]) -> bool:
    """Whether all listed clips of an action are there, or all that its zip held (the list has more)."""
    if {f"{name}_uncomp" for name in listed if f"_{action}_" in name} <= there:
        return True
    held = notes.get(f"{action}.zip", {}).get("clips")
    return (folder / "clips" / action).is_dir() and held == len([stem for stem in there if f"_{action}_" in stem])


def _fetch_action(folder: Path, notes: dict[str, dict], archive: str, progress: bool) -> None:
    """Download and unpack the zip of one action."""
    target = folder / "clips" / Path(archive).stem
    resumed = any((folder / f"{archive}{ending}").exists() for ending in (".part", ".whole"))
    whole = _retrieve(folder, archive, progress)
    try:
        clips = unpack(whole, target, progress)
    except UnsafeZipError:
        raise
    except ValueError:
        if not resumed:
            raise
        whole = _retrieve(folder, archive, progress)  # the old part was the fault: once more from the start
        clips = unpack(whole, target, progress)
    _note(folder, notes, archive, whole, clips)
    whole.unlink()


def _retrieve(folder: Path, name: str, progress: bool) -> Path:
    """The whole file NAME from the first address that has it, as ``NAME.whole`` in `folder`."""
    whole, part = folder / f"{name}.whole", folder / f"{name}.part"
    if whole.is_file():  # fetched, and interrupted before it was unpacked
        return whole
    failed = []
    for address in ADDRESSES:
        try:
            download(address + name, part, f"{name} from {address.split('/')[2]}", progress)
        except Unavailable as error:
            failed.append(str(error))
        else:
            os.replace(part, whole)
            return whole
    raise Unavailable("; ".join(failed))


def _read_notes(folder: Path) -> dict[str, dict]:
    """The notes of earlier downloads; what is damaged of them is as good as none."""
    try:
        notes = json.loads((folder / NOTES).read_text("utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    whole = notes if isinstance(notes, dict) else {}
    return {name: note for name, note in whole.items() if isinstance(note, dict) and {"sha256", "clips"} <= set(note)}


def _note(folder: Path, notes: dict[str, dict], name: str, path: Path, clips: int = 0) -> None:
    with path.open("rb") as stream:
        digest = hashlib.file_digest(stream, "sha256").hexdigest()
    if name in notes and notes[name]["sha256"] != digest:
        warnings.warn(
            f"{name} is not the file fetched before: its SHA-256 was {notes[name]['sha256']}, is {digest}", stacklevel=4
        )
    notes[name] = {"sha256": digest, "bytes": path.stat().st_size, "clips": clips}
    atomic_write(folder / NOTES, lambda path: path.write_text(json.dumps(notes, indent=1) + "\n", encoding="utf-8"))


def unpack(archive: Path, folder: Path, progress: bool = False) -> int:
    """Unpack the clips of a zip into `folder`, flat; returns how many.

    All names are looked at before anything is written. Files that are no KTH clips are skipped with a warning. Each clip
    appears under its name only after its CRC-32 proved right.

    Raises:
        UnsafeZipError: for a name that is absolute, climbs out (``..``) or is a link.
        ValueError: for a zip that is damaged or truncated; it is deleted.
    """
    try:
        with zipfile.ZipFile(archive) as opened:
            members = [info for info in opened.infolist() if not info.is_dir()]
            for info in members:
                _check(archive, info)
            clips = [info for info in members if _is_clip(PurePosixPath(info.filename))]
            if strangers := [info.filename for info in members if info not in clips]:
                warnings.warn(
                    f"{archive.name} holds files that are no KTH clips, skipped: {', '.join(strangers)}", stacklevel=2
                )
            folder.mkdir(parents=True, exist_ok=True)
            for info in tqdm(clips, desc=f"unpacking {archive.stem}", unit="clip", disable=not progress):
                _extract(opened, info, folder / PurePosixPath(info.filename).name)
    except (zipfile.BadZipFile, zlib.error, EOFError, NotImplementedError, RuntimeError) as error:
        archive.unlink()
        raise ValueError(f"{archive.name} is damaged or truncated ({error}): fetch it again") from None
    return len(clips)


def _is_clip(path: PurePosixPath) -> bool:
    return path.suffix.lower() in CONTAINERS and parse_name(path.stem, "_uncomp") is not None


def _check(archive: Path, info: zipfile.ZipInfo) -> None:
    name = info.filename
    parts = PurePosixPath(name.replace("\\", "/")).parts
    if ".." in parts or name[:1] in "/\\" or ":" in name or stat.S_ISLNK(info.external_attr >> 16):
        raise UnsafeZipError(f"{archive.name} was not unpacked: {name!r} in it leads out of the folder; do not use it")
    if info.file_size > _MOST_BYTES:
        raise UnsafeZipError(f"{archive.name} was not unpacked: {name!r} says it has {info.file_size:,} bytes")


def _extract(opened: zipfile.ZipFile, info: zipfile.ZipInfo, path: Path) -> None:
    def write(temporary: Path) -> None:
        with temporary.open("wb") as target, opened.open(info) as source:
            shutil.copyfileobj(source, target, 1 << 20)  # zipfile stops at file_size and compares the CRC at the end

    atomic_write(path, write)
