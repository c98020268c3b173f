"""Downloads that crawl or stall are given up, what arrived is kept, and what killed writers left is removed."""

from __future__ import annotations

import os
import sys

import pytest
from servers import FileServer

from vrnn3d.data import download as downloads
from vrnn3d.data.download import Unavailable, download, offline, sweep

CONTENT = bytes(range(256)) * 40


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = FileServer({"file": CONTENT})
    yield made
    made.stop()


def fetch(server, part):
    download(f"{server.url}file", part, "file from a test", progress=False)


def test_a_whole_file_and_the_rest_of_one(server, tmp_path):
    part = tmp_path / "new" / "file.part"
    fetch(server, part)
    assert part.read_bytes() == CONTENT
    part.write_bytes(CONTENT[:100])
    fetch(server, part)
    assert part.read_bytes() == CONTENT and server.log == [("file", 0), ("file", 100)]


def test_a_line_that_drips_is_given_up_and_what_came_is_kept(server, tmp_path, monkeypatch):
    """A byte each 10 ms never lets the read time-out pass, and would take minutes."""
    monkeypatch.setattr(downloads, "RATE_SECONDS", 0.2)
    server.drip = 0.01
    with pytest.raises(Unavailable, match=r"only \d+ bytes a second came, fewer than 16,000"):
        fetch(server, tmp_path / "part")
    came = (tmp_path / "part").read_bytes()
    assert 0 < len(came) < 200 and CONTENT.startswith(came)
    server.drip = None
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT and server.log[-1] == ("file", len(came))


def test_a_slow_line_that_is_fast_enough_is_waited_for(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "RATE_SECONDS", 0.05)
    monkeypatch.setattr(downloads, "SLOWEST_RATE", 100)
    server.drip, server.piece = 0.02, 1024
    fetch(server, tmp_path / "part")
    assert (tmp_path / "part").read_bytes() == CONTENT


def test_a_file_has_a_time_limit(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "LONGEST_SECONDS", 0.1)
    server.drip, server.piece = 0.02, 64
    with pytest.raises(Unavailable, match="not done after"):
        fetch(server, tmp_path / "part")
    assert len((tmp_path / "part").read_bytes()) < len(CONTENT)


def test_a_time_limit_holds_for_all_attempts_together(server, tmp_path, monkeypatch):
    """Each attempt brings a few bytes, so that none is a failure of its own."""
    monkeypatch.setattr(downloads, "LONGEST_SECONDS", 0.1)
    server.break_after, server.drip, server.piece = 8, 0.02, 8
    with pytest.raises(Unavailable, match="not done after"):
        fetch(server, tmp_path / "part")


def test_a_line_that_stalls_is_given_up(server, tmp_path, monkeypatch):
    monkeypatch.setattr(downloads, "READ_SECONDS", 0.1)
    server.drip, server.piece = 2.0, 64
    with pytest.raises(Unavailable, match="broke off at 0 bytes"):
        fetch(server, tmp_path / "part")


def test_refusals_and_silence_are_told(server, tmp_path):
    with pytest.raises(Unavailable, match="nothing from a test: the mirror answered 404"):
        download(f"{server.url}nothing", tmp_path / "part", "nothing from a test", progress=False)
    server.stop()
    with pytest.raises(Unavailable, match="no network or no answer"):
        fetch(server, tmp_path / "part")


def test_without_requests_it_is_unavailable(tmp_path, monkeypatch):
    for name in ("requests", "requests.exceptions"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(Unavailable, match="needs requests"):
        download("http://127.0.0.1:9/file", tmp_path / "part", "file", progress=False)


def test_a_part_that_cannot_be_written_is_no_broken_line(server, tmp_path):
    (tmp_path / "part").mkdir()
    with pytest.raises(OSError):
        fetch(server, tmp_path / "part")


@pytest.mark.parametrize("value, expected", [("1", True), ("yes", True), ("0", False), ("", False), (None, False)])
def test_the_switch(monkeypatch, value, expected):
    if value is None:
        monkeypatch.delenv("VRNN3D_OFFLINE", raising=False)
    else:
        monkeypatch.setenv("VRNN3D_OFFLINE", value)
    assert offline() is expected


def test_only_old_leftovers_of_the_patterns_are_swept(tmp_path):
    old = [tmp_path / name for name in (".a.1", ".b.1", "a.part")]
    for path in (*old, tmp_path / ".a.2"):
        path.touch()
    for path in old:
        os.utime(path, (0, 0))
    sweep(tmp_path, ".a.*")
    assert sorted(path.name for path in tmp_path.iterdir()) == [".a.2", ".b.1", "a.part"]
    sweep(tmp_path / "nowhere", "*")
