"""KTH Actions: the list, windows, splits, the cache, bad clips, zips and downloads; real clips where they are there."""

from __future__ import annotations

import hashlib
import http.server
import json
import os
import re
import shutil
import stat
import threading
import warnings
import zipfile
from pathlib import Path

import numpy as np
import pytest
import torch
import torch.nn.functional as F

from vrnn3d import config
from vrnn3d.data import build
from vrnn3d.data.kth import dataset, cache, fetch, clips
from vrnn3d.data.video import read_video

REAL = Path(os.environ.get("VRNN3D_DATA") or "absent") / "kth"
HAS_CLIPS = (REAL / clips.LIST).is_file() and any(REAL.rglob("person*_boxing_d*_uncomp.avi"))
real = pytest.mark.skipif(not HAS_CLIPS, reason="needs real KTH clips in $VRNN3D_DATA/kth")

# person 1 boxes and runs (train), person 11 waves (validation), person 20 walks (test)
LISTING = {
    "person01_boxing_d1": "1-45, 46-70, 60-95",
    "person01_running_d2": "1-26, 40-60",
    "person11_handwaving_d1": "3-50",
    "person20_walking_d4": "1-30, 31-60",
}
FRAMES = {"person01_boxing_d1": 100, "person01_running_d2": 60, "person11_handwaving_d1": 50, "person20_walking_d4": 60}


def write_clip(path: Path, frames: int, codec: str = "ffv1", base: int = 40) -> Path:
    """A clip of 32 x 24 pixels whose frame t is everywhere `base` + t bright."""
    av = pytest.importorskip("av")
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        stream = container.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, "yuv420p"
        for t in range(frames):
            picture = np.full((24, 32, 3), base + t, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(picture, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def write_list(folder: Path, listing=LISTING) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{name}\t\tframes\t{intervals}\r\n" for name, intervals in listing.items())
    (folder / clips.LIST).write_bytes(f"{text}\r\nperson13_handclapping_d3\t*missing*\r\n".encode())


@pytest.fixture(scope="module")
def written(tmp_path_factory):
    """The synthetic clips, written once."""
    folder = tmp_path_factory.mktemp("written") / "kth"
    write_list(folder)
    for name, frames in FRAMES.items():
        write_clip(folder / "clips" / name.split("_")[1] / f"{name}_uncomp.avi", frames)
    return folder


@pytest.fixture
def data(written, tmp_path, monkeypatch):
    """VRNN3D_DATA/kth of the test's own, an empty cache folder."""
    shutil.copytree(written, tmp_path / "data" / "kth")
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "data" / "kth"


def settings(size: int = 16) -> config.Data:
    return config.Data("kth", size=size, length=10)


# ---- the list -------------------------------------------------------------------------------------------------------


def test_list_with_its_quirks():
    found = clips.parse_sequences(
        "person15_boxing_d4\t\tframes\t1-90, 91-200, 201-294\r\n\r\n"
        "person21_boxing_d2\t\tframes\t1-112, 113-162, 153-254, 255-408\r\n"
        "  person01_jogging_d1  frames  120 - 170,1-50\n"
        "person13_handclapping_d3\t*missing*\r\n"
        "A heading of the list\n"
        "person02_boxing_d1\tframes\t0-10, 20-15, 30-40\n"
        "person03_boxing_d1\tframes\n"
        "person02_boxing_d1\tframes\t1-99\n"
        "person26_boxing_d1\tframes\t1-9\n"
        "person02_hopping_d1\tframes\t1-9\n"
    )
    assert found.intervals == {
        "person15_boxing_d4": ((0, 90), (90, 200), (200, 294)),
        "person21_boxing_d2": ((0, 112), (112, 162), (152, 254), (254, 408)),
        "person01_jogging_d1": ((0, 50), (119, 170)),
        "person02_boxing_d1": ((29, 40),),
    }
    assert found.missing == ("person13_handclapping_d3",)
    assert [re.search(r"line (\d+)", problem)[1] for problem in found.problems] == ["7", "8", "9", "10", "11"]


def test_a_list_of_something_else_is_refused(tmp_path):
    (tmp_path / "list.txt").write_text("<html>404</html>")
    with pytest.raises(ValueError, match="lists no clip of KTH Actions"):
        clips.read_sequences(tmp_path / "list.txt")


@pytest.mark.parametrize(
    "stem", ["person1_boxing_d1", "person00_boxing_d1", "person26_boxing_d1", "person01_boxing_d5", "person01_box_d1"]
)
def test_names_that_are_none(stem):
    assert clips.parse_name(stem) is None
    assert clips.parse_name("person01_boxing_d1") == (1, "boxing", 1)
    assert clips.parse_name("person01_boxing_d1", "_uncomp") is None
    assert clips.parse_name("person25_handwaving_d4_uncomp", "_uncomp").name == "person25_handwaving_d4"


@real
def test_the_official_list_has_599_clips():
    found = clips.read_sequences(REAL / clips.LIST)
    assert len(found.intervals) == clips.TOTAL and not found.problems
    assert found.missing == ("person13_handclapping_d3",)
    assert {len(intervals) for intervals in found.intervals.values()} <= {3, 4}


# ---- windows and splits ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("length", [5, 10, 20, 30])
def test_windows_stay_in_one_interval_and_hold_its_frames(data, length):
    for split in ("train", "validation", "test"):
        source = dataset.build_kth(settings(), split, length)
        assert len(source) == len(source.windows) == len(source.actions) and not source.online
        frames = source.batch(torch.arange(len(source)))
        assert frames.dtype == torch.uint8 and frames.shape == (len(source), length, 1, 16, 16)
        for (name, start), action, video in zip(source.windows, source.actions, frames):
            assert action == name.split("_")[1]
            intervals = [tuple(map(int, pair.split("-"))) for pair in LISTING[name].split(", ")]
            assert any(first - 1 <= start and start + length <= last for first, last in intervals)
            # frame t of a clip is 40 + t bright: these are the right frames of it, in order
            expected = 40 + start + torch.arange(length)
            assert (video.float().mean((1, 2, 3)) - expected).abs().max() <= 2


def test_strides_are_predrnns(data):
    starts = {}
    for name, start in dataset.build_kth(settings(), "train", 20).windows:
        starts.setdefault(name, []).append(start)
    assert starts == {
        "person01_boxing_d1": [0, 20, 45, 59],  # 1-45: 0, 20; 46-70: 45; 60-95: 59
        "person01_running_d2": [0, 3, 6, 39],  # 1-26: 0, 3, 6; 40-60: 39
    }


def test_no_person_is_in_two_splits():
    for present in ({1, 2, 11, 15, 19}, {3, 4, 20}, {11, 15, 17}, {11}, {5}, {17}, set(range(1, 26))):
        split = clips.split_persons(present)
        parts = list(split.values())
        assert set().union(*parts) == present and sum(map(len, parts)) == len(present)
        assert split["train"] | split["validation"] <= set(range(1, 17)) and split["test"] <= set(range(17, 26))
        assert bool(split["validation"]) == (len(present & set(range(1, 17))) > 1)
    assert clips.split_persons(set(range(1, 26)))["validation"] == {11, 15}


def test_splits_of_the_data_set(data):
    parts = {split: dataset.build_kth(settings(), split) for split in ("train", "validation", "test")}
    names = {split: {name for name, _ in part.windows} for split, part in parts.items()}
    assert names == {
        "train": {"person01_boxing_d1", "person01_running_d2"},
        "validation": {"person11_handwaving_d1"},
        "test": {"person20_walking_d4"},
    }
    assert all(part.description.startswith("KTH, 4-clip subset: ") for part in parts.values())
    assert all(part.source == "VRNN3D_DATA" for part in parts.values())
    assert dataset.subset_name(599) == "KTH"


def test_test_windows_are_shuffled_alike_each_time(data, monkeypatch):
    monkeypatch.setattr(dataset, "STRIDE", 1)
    windows = dataset.build_kth(settings(), "test", 10).windows
    assert windows == dataset.build_kth(settings(), "test", 10).windows
    assert windows != sorted(windows) and len(set(windows)) == len(windows) == 42


def test_build_goes_through_the_front_door(data):
    assert len(build(settings(), "test", length=30)) == 2
    with pytest.raises(ValueError, match="no action interval of the 1 test clips .* has 31 frames"):
        build(settings(), "test", length=31)


def test_a_split_without_persons_is_named(data):
    shutil.rmtree(data / "clips" / "walking")
    with pytest.raises(ValueError, match="test split needs clips of persons 17-25"):
        dataset.build_kth(settings(), "test")


# ---- clips that are missing or bad ----------------------------------------------------------------------------------


def test_no_clips_is_one_sentence_with_the_cure(tmp_path, monkeypatch):
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    for call in (lambda: dataset.build_kth(settings(), "train"), lambda: dataset.prepare_kth(16, False, download=False)):
        with pytest.raises(FileNotFoundError, match="no KTH clips in .*`vrnn3d data kth`.*VRNN3D_DATA") as info:
            call()
        assert "\n" not in str(info.value)


def test_a_missing_list_is_named(data):
    (data / clips.LIST).unlink()
    with pytest.raises(FileNotFoundError, match="00sequences.txt is missing"):
        dataset.build_kth(settings(), "train")


def test_bad_clips_are_named_and_skipped(data):
    clips = data / "clips"
    write_list(
        data,
        LISTING
        | {
            "person02_boxing_d1": "1-40",
            "person02_boxing_d2": "1-40",
            "person02_boxing_d3": "1-20, 21-80, 81-90",
            "person02_boxing_d4": "50-80",
        },
    )
    (clips / "person02_boxing_d1_uncomp.avi").write_bytes(b"this is no video" * 50)
    (clips / "person02_boxing_d2_uncomp.avi").write_bytes(b"")
    write_clip(clips / "person02_boxing_d3_uncomp.mp4", 30, "mpeg4")
    write_clip(clips / "person02_boxing_d4_uncomp.mp4", 30, "mpeg4")
    source = clips / "boxing" / "person01_boxing_d1_uncomp.avi"
    shutil.copy(source, clips / "person1_boxing.avi")
    shutil.copy(source, clips / "person03_boxing_d1_uncomp.avi")
    shutil.copy(source, clips / "person13_handclapping_d3_uncomp.avi")
    write_clip(clips / "boxing" / "person01_boxing_d1_uncomp.mp4", 3, "mpeg4")
    with pytest.warns(dataset.KTHWarning) as caught:
        report = dataset.prepare_kth(16, progress=False, download=False)
    reasons = dict((Path(file).name, reason) for file, reason in report.skipped)
    expected = {
        "person02_boxing_d1_uncomp.avi": "cannot be read",
        "person02_boxing_d2_uncomp.avi": "cannot be read",
        "person02_boxing_d4_uncomp.mp4": "it has 30 frames, and its first interval starts at 50",
        "person1_boxing.avi": "misnamed",
        "person03_boxing_d1_uncomp.avi": "unlisted",
        "person13_handclapping_d3_uncomp.avi": "unlisted",
        "person01_boxing_d1_uncomp.mp4": "a second file of one clip: person01_boxing_d1_uncomp.avi",
    }
    assert set(reasons) == set(expected)
    told = " ".join(str(warning.message) for warning in caught)
    for file, reason in expected.items():
        assert reason in reasons[file] and file in told and file in str(report)
    cut = [note for note in report.notes if "person02_boxing_d3" in note]
    assert len(cut) == 2 and "21-80" in cut[0] and "cut at frame 30" in cut[0] and "dropped" in cut[1]
    assert all(note in told for note in cut)
    assert report.clips == 5 and report.by_action["boxing"] == 2 and report.by_person == {1: 2, 2: 1, 11: 1, 20: 1}
    with pytest.warns(dataset.KTHWarning) as again:  # said again when the cache is read
        windows = dataset.build_kth(settings(), "train", 10).windows
    assert {str(warning.message) for warning in again} == {str(warning.message) for warning in caught}
    assert [start for name, start in windows if name == "person02_boxing_d3"] == [0, 20]


def test_a_truncated_clip_is_never_silent(data):
    path = data / "clips" / "boxing" / "person01_boxing_d1_uncomp.avi"
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    with pytest.warns(dataset.KTHWarning, match="person01_boxing_d1"):
        dataset.build_kth(settings(), "train")


# ---- the cache ------------------------------------------------------------------------------------------------------


def test_decoded_once_and_the_data_folder_stays_as_it_is(data, monkeypatch):
    def everything():
        return {path: path.stat().st_mtime_ns for path in data.rglob("*")}

    before = everything()
    first = dataset.prepare_kth(16, progress=False, download=False)
    frames = np.load(first.cache, mmap_mode="r")
    assert frames.shape == (first.frames, 16, 16) and frames.dtype == np.uint8
    assert first.frames == 95 + 26 + 21 + 48 + 60  # the shared frames of overlapping intervals once, the rest not
    assert stat.S_IMODE(first.cache.stat().st_mode) == 0o644
    assert {path.suffix for path in first.cache.parent.iterdir()} == {".npy", ".json"}

    def never(*_):
        raise AssertionError("decoded a second time")

    for path in data.rglob("*.avi"):
        os.utime(path, (0, 0))  # a copy with other times is the same data
    monkeypatch.setattr(cache, "read_video", never)
    assert dataset.prepare_kth(16, progress=False, download=False).cache == first.cache
    monkeypatch.undo()
    assert set(everything()) == set(before)


def test_the_cache_follows_size_files_and_list(data, monkeypatch):
    def path(size=16):
        return dataset.prepare_kth(size, progress=False, download=False).cache

    paths = [path(), path(8)]
    write_list(data, LISTING | {"person20_walking_d4": "1-30"})
    paths.append(path())
    shutil.rmtree(data / "clips" / "boxing")
    paths.append(path())
    write_clip(data / "clips" / "running" / "person01_running_d2_uncomp.avi", 60, base=90)
    paths.append(path())
    assert len(set(paths)) == 5


@pytest.mark.parametrize("damage", ["npy", "json", "no index"])
def test_a_broken_cache_is_made_anew(data, damage):
    path = dataset.prepare_kth(16, progress=False, download=False).cache
    good = path.read_bytes()
    if damage == "npy":
        path.write_bytes(good[: len(good) // 2])
    elif damage == "json":
        path.with_suffix(".json").write_text('{"frames": 3')
    else:
        path.with_suffix(".json").unlink()
    assert dataset.prepare_kth(16, progress=False, download=False).cache == path
    assert path.read_bytes() == good and json.loads(path.with_suffix(".json").read_text())["frames"] == 250


def test_an_interrupted_decoding_leaves_nothing(data, monkeypatch):
    calls = []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 2:
            raise KeyboardInterrupt
        return read_video(*args)

    monkeypatch.setattr(cache, "read_video", interrupted)
    with pytest.raises(KeyboardInterrupt):
        dataset.build_kth(settings(), "train")
    assert list((Path(os.environ["XDG_CACHE_HOME"]) / "vrnn3d" / "kth-decoded").iterdir()) == []


def test_sides_that_shrink_are_resized_by_area():
    video = torch.rand(3, 1, 12, 16)
    assert torch.allclose(cache.resize(video, 4), F.avg_pool2d(video, (3, 4)), atol=1e-6)
    # 12 to 8: a new pixel covers one and a half old ones
    row = torch.tensor([0.0, 0.3, 0.6, 0.9, 0.2, 0.1] * 2)
    shrunk = cache.resize(row.expand(1, 1, 8, 12), 8)[0, 0, 0]
    expected = [(row[0] + row[1] / 2) / 1.5, (row[1] / 2 + row[2]) / 1.5]
    assert torch.allclose(shrunk[:2], torch.stack(expected), atol=1e-6)
    assert torch.allclose(cache.resize(video, 7).mean((-2, -1)), video.mean((-2, -1)), atol=1e-6)
    # 120 x 160 to 128 x 128: the height grows; a slope stays a slope
    slope = torch.linspace(0, 1, 120)[:, None].expand(1, 1, 120, 160)
    grown = cache.resize(slope, 128)
    assert grown.shape == (1, 1, 128, 128) and bool((grown.diff(dim=-2) >= 0).all())
    assert torch.allclose(grown[..., 4:-4, :].diff(dim=-2), torch.tensor(1 / 119 * 120 / 128), atol=1e-5)
    assert torch.equal(cache.resize(video[..., :12], 12), video[..., :12])


def test_every_kept_frame_is_where_its_interval_says():
    generator = np.random.default_rng(0)
    for _ in range(200):
        count = int(generator.integers(5, 60))
        starts = np.sort(generator.integers(0, count, 4))
        listed = [(int(start), int(start + generator.integers(1, 25))) for start in starts]
        kept, intervals, notes = cache._cut("clip", listed, count, 1000)
        assert len(notes) == sum(stop > count for _, stop in listed)
        for (first, last), (start, stop, offset) in zip(listed, intervals):
            assert (start, stop) == (first, min(last, count))
            assert kept[offset - 1000 : offset - 1000 + stop - start].tolist() == list(range(start, stop))


# ---- zips -----------------------------------------------------------------------------------------------------------


def make_zip(path: Path, members: dict[str, bytes], links=()) -> Path:
    with zipfile.ZipFile(path, "w") as archive:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.external_attr = ((stat.S_IFLNK if name in links else stat.S_IFREG) | 0o644) << 16
            archive.writestr(info, content)
    return path


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


# ---- the download ---------------------------------------------------------------------------------------------------


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; the first answer for each name in `broken` breaks off half-way."""

    def __init__(self, files: dict[str, bytes], broken=()):
        super().__init__(("127.0.0.1", 0), Handler)
        self.files, self.broken, self.log = files, set(broken), []


class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        name = self.path.rsplit("/", 1)[-1]
        content = self.server.files.get(name)
        asked = self.headers.get("Range")
        self.server.log.append((name, asked))
        if content is None:
            return self.send_error(404)
        start = int(re.fullmatch(r"bytes=(\d+)-", asked)[1]) if asked else 0
        if start and start >= len(content):
            return self.send_error(416)
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(content) - start))
        self.end_headers()
        if name in self.server.broken:
            self.server.broken.discard(name)
            self.wfile.write(content[start : start + (len(content) - start) // 2])
            self.close_connection = True
        else:
            self.wfile.write(content[start:])

    def log_message(self, *_):
        pass


@pytest.fixture
def serve(monkeypatch, tmp_path):
    pytest.importorskip("requests")
    servers = []

    def start(files, broken=()):
        server = Server(files, broken)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        servers.append(server)
        monkeypatch.setattr(fetch, "ADDRESSES", (f"http://127.0.0.1:{server.server_port}/",))
        return server

    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.delenv("VRNN3D_OFFLINE", raising=False)
    monkeypatch.delenv("VRNN3D_DATA", raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    yield start
    for server in servers:
        server.shutdown()
        server.server_close()


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
    report = dataset.prepare_kth(16, progress=False)
    assert report.clips == 4 and report.source == "cache" and not report.download
    half = len(files["boxing.zip"]) // 2 // 4096 * 4096  # whole chunks are kept
    assert half
    assert [asked for name, asked in server.log if name == "boxing.zip"] == [None, f"bytes={half}-"]
    folder = tmp_path / "cache" / "vrnn3d" / "kth"
    for path in written.rglob("*.avi"):
        assert (folder / path.relative_to(written)).read_bytes() == path.read_bytes()
    notes = json.loads((folder / fetch.NOTES).read_text())
    assert set(notes) == {clips.LIST, "boxing.zip", "running.zip", "handwaving.zip", "walking.zip"}
    assert notes["boxing.zip"]["sha256"] == hashlib.sha256(files["boxing.zip"]).hexdigest()
    assert {path.suffix for path in folder.rglob("*") if path.is_file()} == {".txt", ".json", ".avi"}
    server.log.clear()
    dataset.prepare_kth(16, progress=False)
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
    assert [asked for name, asked in server.log if name == "walking.zip"] == ["bytes=100-"]
    assert [asked for name, asked in server.log if name == "boxing.zip"] == ["bytes=100-", None]
    assert len(list(folder.rglob("*.avi"))) == 4


def test_what_cannot_be_had_is_told(serve, written, tmp_path):
    files = official(written, tmp_path)
    del files["boxing.zip"]  # walking, jogging and running come before it
    serve(files)
    report = dataset.prepare_kth(16, progress=False)
    assert report.clips == 2 and "404" in report.download and "not downloaded: " in str(report)
    serve({})
    shutil.rmtree(tmp_path / "cache")
    with pytest.raises(ConnectionError, match="could not be downloaded .*404"):
        dataset.prepare_kth(16, progress=False)


def test_the_second_address_goes_on_where_the_first_broke_off(serve, written, tmp_path, monkeypatch):
    files = official(written, tmp_path)
    second = serve(files)
    first = serve({name: content for name, content in files.items() if name != "boxing.zip"})
    ports = (first.server_port, second.server_port)
    monkeypatch.setattr(fetch, "ADDRESSES", tuple(f"http://127.0.0.1:{port}/" for port in ports))
    (tmp_path / "kth").mkdir()
    (tmp_path / "kth" / "boxing.zip.part").write_bytes(files["boxing.zip"][:100])
    fetch.fetch_kth(tmp_path / "kth", progress=False)
    assert ("boxing.zip", "bytes=100-") in first.log and second.log == [("boxing.zip", "bytes=100-")]
    assert len(list((tmp_path / "kth").rglob("*.avi"))) == 4


def test_offline_is_obeyed(serve, tmp_path, monkeypatch):
    server = serve({})
    monkeypatch.setenv("VRNN3D_OFFLINE", "1")
    with pytest.raises(ConnectionError, match="VRNN3D_OFFLINE is set"):
        fetch.fetch_kth(tmp_path / "kth", progress=False)
    assert server.log == []


def test_the_users_folder_is_used_alone(serve, data, monkeypatch):
    server = serve({})
    monkeypatch.setenv("VRNN3D_DATA", str(data.parent))
    report = dataset.prepare_kth(16, progress=False)
    assert report.source == "VRNN3D_DATA" and "unset VRNN3D_DATA" in report.download and server.log == []
    lines = str(report).splitlines()
    assert lines[0].startswith("KTH, 4-clip subset: 4 of 599 clips, from ")
    assert "by action: walking 1, jogging 0, running 1, boxing 1, handwaving 1, handclapping 0" in lines


# ---- augmentation ---------------------------------------------------------------------------------------------------


def test_augmentation_depends_on_seed_and_index_alone():
    batch = torch.randint(0, 256, (1, 4, 1, 12, 10), dtype=torch.uint8).expand(64, -1, -1, -1, -1)
    indices = torch.arange(64)
    options = dict(flip=0.5, crop=0.3, reverse=0.5, actions=["handwaving"] * 64)
    whole = dataset.augmented(batch, indices, seed=3, **options)
    assert whole.shape == batch.shape and whole.dtype == torch.uint8
    order = torch.randperm(64, generator=torch.Generator().manual_seed(0))
    assert torch.equal(dataset.augmented(batch, order, seed=3, **options), whole[order])
    assert not torch.equal(dataset.augmented(batch, indices, seed=4, **options), whole)
    last = [dataset.augmented(batch, indices, seed=seed, **options) for seed in (-1, -2)]
    assert not torch.equal(*last)
    assert not torch.equal(dataset.augmented(batch, indices, seed=3, epoch=1, **options), whole)


def test_augmentation_is_an_option_of_a_training_batch(data, monkeypatch):
    monkeypatch.setattr(dataset, "STRIDE", 1)
    source = dataset.build_kth(settings(), "train", 10)
    indices = torch.arange(len(source))
    plain = source.batch(indices)
    assert torch.equal(source.batch(indices), plain) and torch.equal(source.batch(indices, ("reverse",)), plain)
    both = source.batch(indices, ("flip", "crop"))
    assert both.shape == plain.shape and both.dtype == torch.uint8
    expected = dataset.augmented(plain, indices, flip=0.5, crop=0.2)
    assert torch.equal(both, expected) and torch.equal(source.batch(indices[3:5], ("flip", "crop")), both[3:5])
    later = source.batch(indices, ("flip", "crop"), epoch=1)
    assert torch.equal(later, dataset.augmented(plain, indices, flip=0.5, crop=0.2, epoch=1))
    with pytest.raises(ValueError, match="no augmentation blur; known are: flip, crop, reverse"):
        source.batch(indices, ("flip", "blur"))
    with pytest.raises(ValueError, match="augment the train split only"):
        dataset.build_kth(settings(), "test", 10).batch(torch.arange(1), ("flip",))


def test_flips_crops_and_reversals_are_what_they_say():
    batch = torch.rand(400, 3, 1, 6, 8)
    indices = torch.arange(400)
    assert torch.equal(dataset.augmented(batch, indices, flip=0), batch)
    assert torch.equal(dataset.augmented(batch, indices, flip=1), batch.flip(-1))
    half = dataset.augmented(batch, indices, flip=0.5)
    flipped = torch.tensor([torch.equal(new, old.flip(-1)) for new, old in zip(half, batch)])
    same = torch.tensor([torch.equal(new, old) for new, old in zip(half, batch)])
    assert bool((flipped ^ same).all()) and 150 < int(flipped.sum()) < 250
    actions = list(dataset.ACTIONS) * 70
    back = dataset.augmented(batch, indices, flip=0, reverse=1, actions=actions[:400])
    for old, new, action in zip(batch, back, actions):
        assert torch.equal(new, old.flip(0) if action in ("handwaving", "handclapping") else old)
    # every frame is cropped alike, and what is seen is a part of the picture: a ramp stays a ramp in its range
    ramp = torch.linspace(0, 1, 20).expand(400, 2, 1, 20, 20)
    cut = dataset.augmented(ramp, indices, flip=0, crop=0.4)
    assert torch.equal(cut[:, 0], cut[:, 1]) and cut.min() >= 0 and cut.max() <= 1
    span = (cut[:, 0, 0, 0, -1] - cut[:, 0, 0, 0, 0]) * 19 + 1  # columns seen
    assert span.min() < 14 and span.min() > 11.9 and span.max() > 19 and bool((cut.diff(dim=-1) >= 0).all())


@pytest.mark.parametrize("wrong", [dict(flip=1.5), dict(crop=1.0), dict(reverse=-0.1), dict(reverse=0.5)])
def test_augmentation_refuses_nonsense(wrong):
    with pytest.raises(ValueError):
        dataset.augmented(torch.rand(2, 3, 1, 4, 4), torch.arange(2), **wrong)
    with pytest.raises(ValueError, match="B indices"):
        dataset.augmented(torch.rand(2, 3, 1, 4, 4), torch.arange(3))


# ---- real clips -----------------------------------------------------------------------------------------------------


@real
def test_a_real_clip(tmp_path, monkeypatch):
    source = sorted(REAL.rglob("person*_boxing_d*_uncomp.avi"))[0]
    folder = tmp_path / "data" / "kth"
    folder.mkdir(parents=True)
    shutil.copy(source, folder)
    shutil.copy(REAL / clips.LIST, folder)
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # a whole clip needs no warning
        report = dataset.prepare_kth(32, progress=False, download=False)
        loaded = cache.load(32, progress=False)
    name = source.stem.removesuffix("_uncomp")
    listed = clips.read_sequences(REAL / clips.LIST).intervals[name]
    (clip,) = loaded.clips
    assert report.clips == 1 and str(report).startswith("KTH, 1-clip subset")
    assert clip.name == name and clip.frames >= listed[-1][1]
    assert [(interval.start, interval.stop) for interval in clip.intervals] == list(listed)
    whole = read_video(source, max_frames=listed[0][1])
    assert whole.shape[1:] == (1, 120, 160)
    frames = (cache.resize(whole, 32)[:, 0] * 255).round().byte()
    first = clip.intervals[0]
    assert np.array_equal(loaded.frames[first.offset : first.offset + len(frames)], frames.numpy())
    assert frames.float().std() > 10 and (frames[:-1] != frames[1:]).any()
