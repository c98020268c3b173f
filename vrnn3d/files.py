"""Writing files so that a reader never sees half of one, and a full disk or a missing right is told in one sentence."""

from __future__ import annotations

import errno
import hashlib
import os
import platform
import shutil
import tempfile
from pathlib import Path
from typing import Callable

_HOST = hashlib.sha256(platform.node().encode()).hexdigest()[:6]
_SUFFIX = ".part"


class CannotWrite(OSError):
    """A file cannot be written; the message says which, why and what to do."""


def atomic_write(path: str | os.PathLike, write: Callable[[Path], object]) -> Path:
    """Call `write` with a temporary path in the file's own folder, then move the file to `path` in one step.

    The folder is made where it is missing. When anything fails, `path` stays as it was and nothing is left behind; what a
    killed process left behind is swept by the next one that writes the same file.

    Raises:
        CannotWrite: when the disk is full, a right is missing, or `path` is no regular file.
    """
    path = Path(path)
    if path.exists() and not path.is_file():
        kind = "a folder" if path.is_dir() else "no regular file"
        raise CannotWrite(f"{path} cannot be written, because it is {kind}: choose another name")
    temporary = None
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        sweep(path)
        handle, name = tempfile.mkstemp(dir=path.parent, prefix=_prefix(path), suffix=_SUFFIX)
        os.close(handle)
        temporary = Path(name)
        write(temporary)
        temporary.chmod(0o644)  # mkstemp makes files that only their owner reads
        os.replace(temporary, path)
    except OSError as error:
        raise _told(path, temporary, error) from error
    finally:
        if temporary is not None:
            temporary.unlink(missing_ok=True)
    return path


def check_writable(folder: str | os.PathLike) -> None:
    """Make a folder, and write and remove a small file in it, so that a long run does not end at its first checkpoint.

    Raises:
        CannotWrite: in one sentence, when that cannot be done.
    """
    probe = Path(folder) / ".writable"
    atomic_write(probe, lambda path: path.write_bytes(b"\0" * 4096))
    probe.unlink(missing_ok=True)


def sweep(path: Path) -> None:
    """Remove the temporary files that killed processes of this machine left of earlier attempts to write `path`."""
    for left in path.parent.glob(f".{path.name}.{_HOST}-*{_SUFFIX}"):
        pid = left.name.removeprefix(f".{path.name}.{_HOST}-").partition("-")[0]
        if pid.isdigit() and not _alive(int(pid)):
            left.unlink(missing_ok=True)


def _prefix(path: Path) -> str:
    return f".{path.name}.{_HOST}-{os.getpid()}-"


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:  # it lives, and is not ours
        return True
    return True


def _told(path: Path, temporary: Path | None, error: OSError) -> OSError:
    """An error of the system as a sentence that names the file and what to do; other errors as they are."""
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        needed = temporary.stat().st_size if temporary is not None and temporary.exists() else 0
        free = shutil.disk_usage(path.parent).free if path.parent.exists() else 0
        return CannotWrite(f"{path} cannot be written: the disk is full ({needed:,} bytes were written, {free:,} are free); make room, or choose another folder")
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return CannotWrite(f"{path} cannot be written ({error.strerror}): choose a folder that you may write to")
    if error.errno in (errno.ENOTDIR, errno.EEXIST, errno.ENAMETOOLONG):
        return CannotWrite(f"{path} cannot be written ({error.strerror}): choose another name")
    return error
