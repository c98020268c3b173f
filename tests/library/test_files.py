"""Files: whole or not at all, debris swept, and what cannot be written told in one sentence."""

from __future__ import annotations

import errno
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vrnn3d import files
from vrnn3d.files import CannotWrite, atomic_write, check_file, check_writable


def test_a_file_appears_whole_and_replaces_the_one_before(tmp_path):
    path = tmp_path / "new" / "folder" / "file.txt"
    for text in ("first", "second"):
        assert atomic_write(path, lambda temporary, text=text: temporary.write_text(text)) == path
        assert path.read_text() == text and [p.name for p in path.parent.iterdir()] == ["file.txt"]


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_a_new_file_follows_the_umask_and_a_replaced_one_keeps_its_permissions(tmp_path):
    before = os.umask(0o027)
    try:
        path = atomic_write(tmp_path / "new.txt", lambda temporary: temporary.write_text("x"))
    finally:
        os.umask(before)
    assert path.stat().st_mode & 0o777 == 0o640
    for mode in (0o600, 0o664, 0o444):
        path.chmod(mode)
        atomic_write(path, lambda temporary, mode=mode: temporary.write_text(str(mode)))
        assert path.stat().st_mode & 0o777 == mode and path.read_text() == str(mode)


@pytest.mark.skipif(os.name == "nt", reason="Windows opens no folders")
def test_the_disk_has_a_file_before_it_is_moved_and_the_move_before_the_call_returns(tmp_path, monkeypatch):
    steps, fsync, replace = [], os.fsync, os.replace

    def sent(handle):
        steps.append("folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else f"file of {os.fstat(handle).st_size} bytes")
        fsync(handle)

    monkeypatch.setattr(os, "fsync", sent)
    monkeypatch.setattr(os, "replace", lambda *paths: (steps.append("move"), replace(*paths)))
    atomic_write(tmp_path / "file.txt", lambda temporary: temporary.write_text("12345"))
    assert steps == ["file of 5 bytes", "move", "folder"]


def test_a_folder_that_cannot_be_sent_to_the_disk_does_no_harm(tmp_path, monkeypatch):
    fsync = os.fsync

    def refuse_folders(handle):
        if stat.S_ISDIR(os.fstat(handle).st_mode):
            raise OSError(errno.EINVAL, os.strerror(errno.EINVAL))
        fsync(handle)

    monkeypatch.setattr(os, "fsync", refuse_folders)
    path = atomic_write(tmp_path / "file.txt", lambda temporary: temporary.write_text("x"))
    assert path.read_text() == "x"


@pytest.mark.parametrize("error", [RuntimeError("no"), KeyboardInterrupt(), OSError("odd")])
def test_when_anything_fails_the_file_before_stays(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("before")

    def fail(temporary):
        temporary.write_text("half")
        raise error

    with pytest.raises(type(error)):
        atomic_write(path, fail)
    assert path.read_text() == "before" and [p.name for p in tmp_path.iterdir()] == ["file.txt"]


def test_only_regular_files_are_replaced(tmp_path):
    (tmp_path / "folder").mkdir()
    for path, kind in ((tmp_path / "folder", "a folder"), (os.devnull, "no regular file")):
        with pytest.raises(CannotWrite, match=f"cannot be written, because it is {kind}: choose another name"):
            atomic_write(path, lambda temporary: temporary.write_text("x"))
    assert not os.path.isfile(os.devnull)


@pytest.mark.parametrize(
    "number, told",
    [
        (
            errno.ENOSPC,
            r"the disk is full \(at least 3 bytes are needed, [\d,]+ are free\); make room, or choose another folder",
        ),
        (errno.EDQUOT, "the disk is full"),
        (errno.EACCES, "choose a folder that you may write to"),
        (errno.EROFS, "choose a folder that you may write to"),
        (errno.ENAMETOOLONG, "choose another name"),
    ],
)
def test_what_the_system_refuses_is_told_with_the_file_and_what_to_do(tmp_path, number, told):
    def refuse(temporary):
        temporary.write_text("123")
        raise OSError(number, os.strerror(number))

    with pytest.raises(CannotWrite, match=told) as error:
        atomic_write(tmp_path / "file.txt", refuse)
    assert str(tmp_path / "file.txt") in str(error.value) and "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []


def test_a_file_in_the_way_of_a_folder_is_told(tmp_path):
    (tmp_path / "file").write_text("x")
    with pytest.raises(CannotWrite, match="choose another name"):
        atomic_write(tmp_path / "file" / "below.txt", lambda temporary: temporary.write_text("x"))


def test_what_a_killed_writer_left_is_swept_by_the_next_one(tmp_path):
    code = (
        "import os, signal, sys\n"
        "from vrnn3d.files import atomic_write\n"
        "atomic_write(sys.argv[1], lambda path: (path.write_text('half'), os.kill(os.getpid(), signal.SIGKILL)))\n"
    )
    path = tmp_path / "file.txt"
    done = subprocess.run([sys.executable, "-c", code, str(path)])
    assert done.returncode == -9 and len(list(tmp_path.iterdir())) == 1 and not path.exists()
    other = tmp_path / f".other.txt.{files._HOST}-{os.getpid()}-x.part"
    other.write_text("another file's, and its writer lives")
    atomic_write(path, lambda temporary: temporary.write_text("whole"))
    assert {p.name for p in tmp_path.iterdir()} == {"file.txt", other.name}


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="a process that nobody collects is told by /proc")
def test_what_a_killed_writer_left_is_swept_although_nobody_has_collected_the_process(tmp_path):
    path = tmp_path / "file.txt"
    writer = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
    left = tmp_path / f".file.txt.{files._HOST}-{writer.pid}-x.part"
    left.write_text("half")
    atomic_write(path, lambda temporary: temporary.write_text("while it lives"))
    assert left.exists()
    writer.kill()
    os.waitid(os.P_PID, writer.pid, os.WEXITED | os.WNOWAIT)  # it has ended, and keeps its number until it is collected
    os.kill(writer.pid, 0)
    atomic_write(path, lambda temporary: temporary.write_text("whole"))
    assert not left.exists()
    writer.wait()


@pytest.mark.parametrize("age, stays", [(60, True), (2 * 3600, False)])
def test_windows_is_not_asked_for_a_process_which_would_send_it_ctrl_c(tmp_path, monkeypatch, age, stays):
    """There the age of what was left decides."""
    left = tmp_path / f".file.txt.{files._HOST}-{os.getpid()}-x.part"
    left.write_text("half")
    os.utime(left, (time.time() - age,) * 2)
    monkeypatch.setattr(files.os, "kill", lambda *_: pytest.fail("a signal is sent"))
    with monkeypatch.context() as patch:
        patch.setattr(files.os, "name", "nt")
        files.sweep(tmp_path / "file.txt")
    assert left.exists() is stays


def test_what_cannot_be_swept_stands_in_nobody_s_way(tmp_path, monkeypatch):
    """On Windows a file that is still open cannot be removed."""
    left = tmp_path / f".file.txt.{files._HOST}-999999999-x.part"
    left.write_text("half")
    unlink = Path.unlink

    def refuse(path, missing_ok=False):
        if path == left:
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        unlink(path, missing_ok)

    monkeypatch.setattr(Path, "unlink", refuse)
    atomic_write(tmp_path / "file.txt", lambda temporary: temporary.write_text("whole"))
    assert (tmp_path / "file.txt").read_text() == "whole"


def test_what_a_living_writer_holds_is_left_alone(tmp_path):
    path = tmp_path / "file.txt"
    held = tmp_path / f".file.txt.{files._HOST}-{os.getpid()}-x.part"
    held.write_text("half")
    atomic_write(path, lambda temporary: temporary.write_text("whole"))
    assert held.exists()


def test_a_folder_is_tried_before_a_long_run_and_left_as_it_was(tmp_path):
    check_writable(tmp_path / "runs" / "below")
    check_file(tmp_path / "runs" / "file.txt")
    check_writable("")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "file").write_text("x")
    for check in (check_writable, check_file):
        with pytest.raises(CannotWrite, match="choose another name"):
            check(tmp_path / "file" / "below")
        with pytest.raises(CannotWrite, match="choose another name"):
            check(tmp_path / ("long" * 100) / "x")
    with pytest.raises(CannotWrite, match="choose another name"):
        check_writable(tmp_path / "file")
    with pytest.raises(CannotWrite, match="it is no regular file: choose another name"):
        check_file(os.devnull)
    with pytest.raises(CannotWrite, match="it is a folder: choose another name"):
        check_file(tmp_path)
    check_file(tmp_path / "file")
    assert (tmp_path / "file").read_text() == "x"


def test_a_drive_that_is_missing_is_told(monkeypatch):
    """As on Windows, where not even the root of a path need be there."""
    monkeypatch.setattr(Path, "exists", lambda path, **_: False)
    for check in (check_writable, check_file):
        with pytest.raises(CannotWrite, match="/runs/below cannot be written: there is no /; choose another folder"):
            check("/runs/below")


def test_room_is_looked_for_before_a_long_run(tmp_path):
    check_writable(tmp_path / "runs", 1000)
    with pytest.raises(CannotWrite, match=r"runs cannot be written: the disk is full \(at least 1(,000){6} bytes are needed"):
        check_writable(tmp_path / "runs", 10**18)


def test_no_right_to_write_is_found_before_a_long_run(tmp_path, monkeypatch):
    def refuse(**_):
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr("tempfile.TemporaryFile", refuse)
    with pytest.raises(CannotWrite, match="runs cannot be written .Read-only file system.: choose a folder that you may"):
        check_writable(tmp_path / "runs")
