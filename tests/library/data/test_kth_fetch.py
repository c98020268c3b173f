"""KTH: zips are unpacked safely, downloads continued, and what cannot be had is told."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from pathlib import Path

import pytest
from kth_clips import make_zip
from servers import FileServer

from vrnn3d.data.kth import clips, fetch
from vrnn3d.data.kth.report import prepare_kth

pytestmark = pytest.mark.slow  # decodes clips

GOOD = "person01_boxing_d1_uncomp.avi"


@pytest.mark.parametrize(
    "name", [f"../{GOOD}", f"a/../../{GOOD}", f"/elsewhere/{GOOD}", f"..\\{GOOD}", f"C:\\{GOOD}", "link"], ids=repr
)
def test_a_zip_that_leads_out_is_refused_whole(tmp_path, name):
    archive = make_zip(tmp_path / "boxing.zip", {GOOD: b"good", name: b"/etc/passwd"}, links=("link",))
    before = set(tmp_path.rglob("*"))
    with pytest.raises(fetch.UnsafeZipError, match="leads out of the folder"):
        fetch.unpack(archive, tmp_path / "deep" / "er")
    assert set(tmp_path.rglob("*")) == before


def test_a_zip_is_unpacked_flat_and_strangers_are_named(tmp_path):
    members = {f"boxing/{GOOD}": b"one", "readme.txt": b"x", "person01_boxing_d1_uncomp.exe": b"x"}
    with pytest.warns(UserWarning, match="no KTH clips, skipped: readme.txt, person01_boxing_d1_uncomp.exe"):
        assert fetch.unpack(make_zip(tmp_path / "a.zip", members), tmp_path / "out") == 1
    assert {path.name: path.read_bytes() for path in (tmp_path / "out").iterdir()} == {GOOD: b"one"}


@pytest.mark.parametrize("damage", ["crc", "truncated", "no zip"])
def test_a_damaged_zip_yields_no_damaged_clip(tmp_path, damage):
    archive = make_zip(tmp_path / "a.zip", {GOOD: b"0123456789" * 100})
    content = bytearray(archive.read_bytes())
    if damage == "crc":
        content[200] ^= 1
    archive.write_bytes({"crc": content, "truncated": content[:-30], "no zip": b"<html>"}[damage])
    with pytest.raises(ValueError, match="a.zip is damaged or truncated"):
        fetch.unpack(archive, tmp_path / "out")
    assert not list((tmp_path / "out").glob("*")) and not archive.exists()


@pytest.fixture
def serve(monkeypatch, tmp_path):
    """A function that starts the only address of the data set, with files by name."""
    servers = []

    def start(files, broken=()):
        servers.append(FileServer(files, broken))
        monkeypatch.setattr(fetch, "ADDRESSES", (servers[-1].url,))
        return servers[-1]

    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("VRNN3D_OFFLINE", raising=False)
    monkeypatch.delenv("VRNN3D_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield start
    for server in servers:
        server.stop()


def official(written: Path, tmp_path: Path) -> dict[str, bytes]:
    """The six zips and the list as the address would serve them; two actions have no clip here."""
    files = {clips.LIST: (written / clips.LIST).read_bytes()}
    for action in clips.ACTIONS:
        members = {path.name: path.read_bytes() for path in written.glob(f"clips/{action}/*")}
        files[f"{action}.zip"] = make_zip(tmp_path / f"{action}.zip", members).read_bytes()
    return files


def test_download_breaks_is_continued_and_is_not_repeated(serve, written, tmp_path):
    files = official(written, tmp_path)
    server = serve(files, broken=("boxing.zip",))
    found = prepare_kth(16, progress=False)
    assert found.clips == 4 and found.source == "cache" and not found.download
    assert [first for name, first in server.log if name == "boxing.zip"] == [0, len(files["boxing.zip"]) // 2]
    folder = tmp_path / "cache" / "vrnn3d" / "kth"
    for path in written.rglob("*.avi"):
        assert (folder / path.relative_to(written)).read_bytes() == path.read_bytes()
    notes = json.loads((folder / fetch.NOTES).read_text())
    assert set(notes) == {clips.LIST, "boxing.zip", "running.zip", "handwaving.zip", "walking.zip"}
    assert notes["boxing.zip"]["sha256"] == hashlib.sha256(files["boxing.zip"]).hexdigest()
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".txt", ".json", ".avi"}
    server.log.clear()
    prepare_kth(16, progress=False)
    assert server.log == []
    (folder / "clips" / "walking" / "person20_walking_d4_uncomp.avi").unlink()
    fetch.fetch_kth(folder, progress=False)
    assert [name for name, _ in server.log] == ["walking.zip"]


def test_a_part_of_an_earlier_session_is_continued(serve, written, tmp_path):
    files = official(written, tmp_path)
    server, folder = serve(files), tmp_path / "kth"
    folder.mkdir()
    (folder / "walking.zip.part").write_bytes(files["walking.zip"][:100])
    (folder / "boxing.zip.part").write_bytes(b"x" * 100)  # a wrong beginning: found out by the CRC, fetched anew
    fetch.fetch_kth(folder, progress=False)
    assert [first for name, first in server.log if name == "walking.zip"] == [100]
    assert [first for name, first in server.log if name == "boxing.zip"] == [100, 0]
    assert len(list(folder.rglob("*.avi"))) == 4


def test_what_cannot_be_had_is_told(serve, written, tmp_path):
    files = official(written, tmp_path)
    del files["boxing.zip"]  # walking, jogging and running come before it
    serve(files)
    found = prepare_kth(16, progress=False)
    assert found.clips == 2 and "404" in found.download and "not downloaded: " in str(found)
    serve({})
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ConnectionError, match="could not be downloaded .*404"):
        prepare_kth(16, progress=False)


def test_the_second_address_goes_on_where_the_first_broke_off(serve, written, tmp_path, monkeypatch):
    files = official(written, tmp_path)
    second = serve(files)
    first = serve({name: content for name, content in files.items() if name != "boxing.zip"})
    monkeypatch.setattr(fetch, "ADDRESSES", (first.url, second.url))
    (tmp_path / "kth").mkdir()
    (tmp_path / "kth" / "boxing.zip.part").write_bytes(files["boxing.zip"][:100])
    fetch.fetch_kth(tmp_path / "kth", progress=False)
    assert ("boxing.zip", 100) in first.log and second.log == [("boxing.zip", 100)]
    assert len(list((tmp_path / "kth").rglob("*.avi"))) == 4


def test_offline_is_obeyed(serve, tmp_path, monkeypatch):
    server = serve({})
    monkeypatch.setenv("VRNN3D_OFFLINE", "1")
    with pytest.raises(ConnectionError, match="VRNN3D_OFFLINE is set"):
        fetch.fetch_kth(tmp_path / "kth", progress=False)
    assert server.log == []


def test_the_users_folder_is_used_alone(serve, kth, monkeypatch):
    server = serve({})
    monkeypatch.setenv("VRNN3D_DATA", str(kth.parent))
    found = prepare_kth(16, progress=False)
    assert found.source == "VRNN3D_DATA" and "unset VRNN3D_DATA" in found.download and server.log == []
    lines = str(found).splitlines()
    assert lines[0].startswith("KTH, 4-clip subset: 4 of 599 clips, from ")
    assert "by action: walking 1, jogging 0, running 1, boxing 1, handwaving 1, handclapping 0" in lines


def test_leftovers_of_killed_writers_are_swept(serve, written, tmp_path):
    serve(official(written, tmp_path))
    left = tmp_path / "kth" / "clips" / "boxing" / ".person01_boxing_d1_uncomp.avi.k1ll3d"
    left.parent.mkdir(parents=True)
    left.touch()
    os.utime(left, (0, 0))
    fetch.fetch_kth(tmp_path / "kth", progress=False)
    assert not left.exists()


@pytest.mark.parametrize("text", ["", "[]", "{", "3", '{"walking.zip": 1, "x": {"sha256": "0"}}', '{"walking.zip": []}'])
def test_damaged_notes_are_as_good_as_none(tmp_path, text):
    (tmp_path / fetch.NOTES).write_text(text)
    assert fetch._read_notes(tmp_path) == {}
