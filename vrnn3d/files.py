"""Writing files so that a reader never sees half of one, and a full disk or a missing right is told in one sentence."""

from __future__ import annotations

import errno
import glob
import hashlib
import os
import platform
import secrets
import shutil
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_SUFFIX = ".part"
#: Age in seconds from which a temporary file is taken for one whose writer was killed, where processes cannot be asked.
_STALE_SECONDS = 3600.0


class Damaged(ValueError):
    """A file does not hold what was written into it."""


class CannotWrite(OSError):
    """A file cannot be written; the message says which, why and what to do."""


def atomic_write(path: str | os.PathLike, write: Callable[[Path], object], needed: int = 0) -> Path:
    """Call `write` with a temporary path in the file's own folder, then move the file to `path` in one step.

    The folder is made where it is missing. When anything fails, `path` stays as it was and nothing is left behind; what a
    killed process left behind is swept by the next one that writes the same file. A file that is replaced hands on its
    permissions. What was written is on the disk when this returns, so that a power failure does not lose it.

    Args:
        path: the file.
        write: writes the file it is given.
        needed: bytes that it will write, where they are known; said where the disk is full.

    Raises:
        CannotWrite: when the disk is full, a right is missing, or `path` is no regular file.
    """
    path = Path(path)
    temporary = None
    try:
        _refuse_irregular(path)
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        # Not by mkstemp, whose files only their owner may read: a new file gets the permissions that the user's umask says.
        fresh = path.with_name(f"{_prefix(path)}{secrets.token_hex(4)}{_SUFFIX}")
        fresh.touch(exist_ok=False)
        temporary = fresh
        write(temporary)
        _send_to_disk(temporary)
        if path.exists():
            shutil.copymode(path, temporary)
        os.replace(temporary, path)
        _send_folder_to_disk(path.parent)
    except OSError as error:
        raise told(path, error, needed or (temporary.stat().st_size if temporary and temporary.exists() else 0)) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def _send_to_disk(path: Path) -> None:
    """Wait until the disk has what was written into a file: else a power failure after the move could leave it empty."""
    with path.open("rb+") as file:
        os.fsync(file.fileno())


def _send_folder_to_disk(folder: Path) -> None:
    """Wait until the disk knows of a move. Windows opens no folders, and some network drives refuse: then it may come later."""
    if os.name == "nt":
        return
    with suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _refuse_irregular(path: Path) -> None:
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise CannotWrite(f"{path} cannot be written, because it is {kind}: choose another name")


def check_file(path: str | os.PathLike, needed: int = 0) -> None:
    """Find out before anything long begins whether a file can be written in the end. Arguments, errors: `check_writable`."""
    path = Path(path)
    try:
        _refuse_irregular(path)
    except OSError as error:
        raise told(path, error) from error
    _check(path.parent, path, needed)


def check_writable(folder: str | os.PathLike, needed: int = 0) -> None:
    """Find out before anything long begins whether files can be written into a folder in the end.

    A small file without a name is written there, or where the folder is missing, in the nearest one above it that exists;
    nothing is left of it.

    Args:
        folder: where files will be written.
        needed: bytes of the largest of them, where it is known.

    Raises:
        CannotWrite: in one sentence, when the disk is too full, a right is missing, or a file is in the way.
    """
    _check(Path(folder), Path(folder), needed)


def _check(folder: Path, target: Path, needed: int) -> None:
    """`check_writable` of a folder, for the sake of a target in it, which messages name."""
    try:
        there = next((path for path in (folder, *folder.parents) if path.exists()), None)
        if there is None:  # on Windows, where a drive may be missing
            raise CannotWrite(f"{target} cannot be written: there is no {folder.anchor}; choose another folder")
        with tempfile.TemporaryFile(dir=there) as probe:
            probe.write(b"\0" * 4096)
        free = shutil.disk_usage(there).free
    except OSError as error:
        raise told(target, error, needed or 4096) from error
    if free < needed:
        raise told(target, OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)), needed)


def sweep(path: Path) -> None:
    """Remove the temporary files and folders that killed processes of this machine left of attempts to write `path`."""
    for left in path.parent.glob(f"{glob.escape(f'.{path.name}.{_HOST}-')}*{_SUFFIX}"):
        pid = left.name.removeprefix(f".{path.name}.{_HOST}-").partition("-")[0]
        with suppress(OSError):  # another writer was faster, or Windows keeps a file that is still open
            if not pid.isdigit() or _in_use(left, int(pid)):
                continue
            if left.is_dir():
                shutil.rmtree(left, ignore_errors=True)
            else:
                left.unlink()


def temporary_folder(path: Path) -> Path:
    """A new folder beside `path`, to be filled and then moved there; what killed processes left of such is swept."""
    path.parent.mkdir(parents=True, exist_ok=True)
    sweep(path)
    return Path(tempfile.mkdtemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX))


def _prefix(path: Path) -> str:
    return f".{path.name}.{_HOST}-{os.getpid()}-"


def _in_use(left: Path, pid: int) -> bool:
    """Whether the process that made a temporary file or folder may still be writing it."""
    if os.name == "nt":  # there os.kill would send the process Ctrl-C instead of asking after it
        return time.time() - left.stat().st_mtime < _STALE_SECONDS
    return _alive(pid)


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it lives, and is not ours
        pass
    try:  # a killed process whose parent is slow to collect it (in a container: for ever) still has its number
        return Path(f"/proc/{pid}/stat").read_text(errors="replace").rpartition(")")[2].split()[0] not in ("Z", "X")
    except (OSError, IndexError):  # no Linux: the number must do
        return True


def told(path: Path, error: OSError, needed: int = 0) -> OSError:
    """What the system refused, as a sentence that names the file and what to do; other errors as they are.

    Args:
        path: what was to be written.
        error: as the system raised it.
        needed: bytes that are needed, as far as they are known.
    """
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        there = next((folder for folder in (path, *path.parents) if folder.exists()), Path())
        return CannotWrite(
            f"{path} cannot be written: the disk is full (at least {needed:,} bytes are needed,"
            f" {shutil.disk_usage(there).free:,} are free); make room, or choose another folder"
        )
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CannotWrite(f"{path} cannot be written ({error.strerror}): choose a folder that you may write to")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG, errno.ELOOP):
        return CannotWrite(f"{path} cannot be written ({error.strerror}): choose another name")
    if error.errno == errno.EFBIG:
        return CannotWrite(f"{path} cannot be written: files here may not be so large; choose another folder")
    return error
