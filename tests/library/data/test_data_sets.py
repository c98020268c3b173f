"""Every registered data set obeys one protocol, works in a DataLoader, and one file adds another."""

from __future__ import annotations

import multiprocessing
import pickle
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import SimpleNamespace
from typing import ClassVar

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from vrnn3d import config, data
from vrnn3d.data import Dataset
from vrnn3d.data.settings import DataSettings, KTHData, MovingMNISTData, VideoData
from vrnn3d.settings import setting

pytestmark = [
    pytest.mark.filterwarnings("ignore::vrnn3d.data.mnist.ExcerptWarning"),
    pytest.mark.slow,  # builds every data set for every test
]

#: Settings to test every data set with, by the name it is registered under; whoever adds one adds a line.
EXAMPLES: dict[str, list[DataSettings]] = {
    "moving_mnist": [
        MovingMNISTData(size=32, digit_size=14, length=6, sequences=(30, 7, 5)),
        MovingMNISTData(size=(40, 32), length=6, sequences=(30, 7, 5), bounce="random", speed="fixed"),
        MovingMNISTData(online=True, length=6, sequences=(1, 7, 5)),
        MovingMNISTData(length=6, test_pools=("train", "file"), sequences=(30, 7, 5)),
    ],
    "kth": [KTHData(size=16, length=6), KTHData(size=(12, 20), length=6, augment=("flip", "crop", "reverse"))],
    "video": [VideoData(size=(16, 24), length=6), VideoData(size=16, length=6, colour=True, fit="pad")],
}
CASES = [
    (settings, split, pool)
    for settings in sum(EXAMPLES.values(), [])
    for split, pool in [("train", None), ("validation", None), *(("test", pool) for pool in settings.pools())]
]


def test_every_registered_data_set_is_tested():
    assert set(EXAMPLES) == set(data.REGISTRY)


@pytest.fixture(params=CASES, ids=lambda case: f"{case[0].NAME}-{case[1]}-{case[2]}")
def case(request, kth, tmp_path, monkeypatch):
    """(settings, split, pool), with a data folder that has all that is needed."""
    settings, split, pool = request.param
    if settings.NAME == "video":
        for number in range(3):
            (tmp_path / "clips").mkdir(exist_ok=True)
            np.save(
                tmp_path / "clips" / f"{number}.npy", np.random.default_rng(number).integers(0, 256, (18, 20, 30, 3), np.uint8)
            )
        settings = VideoData(**{**vars(settings), "path": str(tmp_path / "clips")})
    if pool == "file":
        path = tmp_path / "data" / "moving_mnist" / "mnist_test_seq.npy"
        path.parent.mkdir()
        np.save(path, np.random.default_rng(0).integers(0, 256, (20, 7, 64, 64), np.uint8))
        from vrnn3d.data.moving_mnist_file import MovingMNISTFile

        monkeypatch.setitem(MovingMNISTFile.__init__.__kwdefaults__, "sha256", None)
    return settings, split, pool


def test_the_protocol(case):
    settings, split, pool = case
    made = data.build(settings, split, pool=pool)
    assert isinstance(made, Dataset) and isinstance(len(made), int) and len(made) > 0
    assert (made.length, made.device) == (6, torch.device("cpu"))
    assert made.online is (split == "train" and len(made) == data.ONLINE_COUNT)
    assert isinstance(made.recordable, bool)
    for text in (made.description, made.source, made.identity):
        assert isinstance(text, str) and text and "\n" not in text
    assert ":" in made.description
    last = len(made) - 1
    indices = torch.tensor([last, 0, 1 % len(made), 0])
    frames = made.batch(indices)
    assert frames.dtype == torch.uint8 and frames.shape == (4, 6, settings.channels, *settings.height_width)
    assert torch.equal(frames[1], frames[3]) and torch.equal(made.batch(indices[:1]), frames[:1])
    assert torch.equal(made[last], frames[0]) and torch.equal(made[np.int64(0)], frames[1])
    assert torch.equal(made.batch([last, 0]), frames[:2])  # a plain list will do
    assert torch.equal(torch.stack(made.__getitems__([last, 0])), frames[:2])
    assert made.batch(torch.tensor([], dtype=torch.int64)).shape[0] == 0
    for wrong in (-1, len(made)):
        with pytest.raises(IndexError):
            made[wrong]
        with pytest.raises(IndexError):
            made.batch(torch.tensor([0, wrong]))
    made.batch(indices, epoch=3)
    longer = data.build(settings, split, pool=pool, length=8)
    assert longer.length == 8 and longer[0].shape[0] == 8


def test_identity_is_the_same_each_time_and_leaves_the_settings_out(case):
    settings, split, pool = case
    made = data.build(settings, split, pool=pool)
    again = data.build(type(settings)(**{**vars(settings), "size": 64}), split, pool=pool, length=5)
    assert made.identity == again.identity == made.identity


@pytest.mark.parametrize("workers", [0, 2])
def test_in_a_data_loader(case, workers):
    made = data.build(case[0], case[1], pool=case[2])
    count = min(9, len(made))
    loader = DataLoader(made, batch_size=4, sampler=range(count), num_workers=workers)
    assert torch.equal(torch.cat(list(loader)), made.batch(torch.arange(count)))
    if len(made) < 1000:
        shuffled = torch.cat(list(DataLoader(made, batch_size=4, shuffle=True, num_workers=workers)))
        assert shuffled.shape[0] == len(made)


@pytest.mark.parametrize("case", [case for case in CASES if case[2] == "file" or case[0].NAME == "kth"][::3], indirect=True)
def test_mapped_frames_are_not_copied_into_workers(case):
    """Workers that are started afresh get the data set pickled; of frames on the disk that is a path."""
    made = data.build(case[0], case[1], pool=case[2])
    pickled = pickle.dumps(made)
    assert len(pickled) < 20_000
    assert torch.equal(pickle.loads(pickled)[0], made[0])


@pytest.mark.slow
@pytest.mark.parametrize("case", [CASES[0]], indirect=True)
def test_workers_that_start_afresh(case):
    made = data.build(case[0], case[1], pool=case[2])
    context = multiprocessing.get_context("spawn")
    loader = DataLoader(made, batch_size=5, num_workers=1, multiprocessing_context=context)
    assert torch.equal(torch.cat(list(loader)), made.batch(torch.arange(len(made))))


# ---- one file adds a data set ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class DotsData(DataSettings):
    """A dot that walks down a column."""

    NAME: ClassVar[str] = "dots"

    bright: int = setting(255, "of the dot", low=1, high=255)


class Dots:
    """Knows nothing of this package but the protocol."""

    online, recordable, source = False, True, "made up"

    def __init__(self, settings, split, pool, length, device):
        self.settings, self.length, self.device = settings, length, torch.device(device)
        self.description, self.identity = f"dots: {split} {pool}", "dots"

    def __len__(self):
        return 12

    def __getitem__(self, index):
        if not 0 <= index < len(self):
            raise IndexError(index)
        frames = torch.zeros(self.length, 1, *self.settings.height_width, dtype=torch.uint8)
        frames[range(self.length), 0, range(self.length), index % self.settings.height_width[1]] = self.settings.bright
        return frames

    def batch(self, indices, epoch=0):
        return torch.stack([self[index] for index in torch.as_tensor(indices).tolist()]).to(self.device)


@pytest.fixture
def dots(monkeypatch) -> Iterator[type[DotsData]]:
    monkeypatch.setattr(data, "REGISTRY", dict(data.REGISTRY))
    data.register(DotsData, Dots)
    yield DotsData


def test_one_file_and_one_registration_add_a_data_set(dots):
    made = data.build(dots(size=(30, 8), bright=7), "test", length=10)
    assert isinstance(made, Dataset) and made.description == "dots: test test"
    assert torch.cat(list(DataLoader(made, batch_size=5))).sum() == 12 * 10 * 7
    assert data.build(dots(), "train").length == 20
    experiment = config.from_dict({"name": "x", "profile": "y", "data": {"name": "dots", "bright": 3}})
    assert experiment.data == dots(bright=3) and config.to_dict(experiment)["data"]["name"] == "dots"
    assert config.override(experiment, {"data.bright": 9}).data.bright == 9
    with pytest.raises(ValueError, match="data.bright is 0, but must be a whole number of at least 1"):
        config.override(experiment, {"data.bright": 0})


def test_a_registration_may_name_a_module_that_is_not_imported_yet(dots, tmp_path, monkeypatch):
    (tmp_path / "more_dots.py").write_text(
        "import torch\n"
        "class Dots:\n"
        "    def __init__(self, *asked): self.asked = asked\n"
        "    def batch(self, indices): return torch.zeros(1, self.asked[2], 1, 64, 64, dtype=torch.uint8)\n"
        "def build(settings, split, pool, length, device): return Dots(split, pool, length)\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(data.REGISTRY, "dots", data.REGISTRY["dots"]._replace(builder="more_dots:build"))
    assert data.build(dots(), "test").asked == ("test", "test", 20)


def test_what_cannot_be_registered_or_built(dots):
    @dataclass(frozen=True)
    class Nameless(DataSettings):
        pass

    @dataclass(frozen=True)
    class Taken(DataSettings):
        NAME: ClassVar[str] = "kth"

    with pytest.raises(ValueError, match="Nameless needs a NAME"):
        data.register(Nameless, Dots)
    with pytest.raises(ValueError, match="a data set named 'kth' is registered already"):
        data.register(Taken, Dots)
    data.register(DotsData, Dots)  # twice the same is no harm: modules may be imported again
    with pytest.raises(ValueError, match="data.name is 'dot', but must be one of: moving_mnist, kth, video, dots"):
        data.settings_of("dot")


def test_importing_the_registry_does_not_import_torch():
    code = "import sys, vrnn3d.data, vrnn3d.data.settings; sys.exit('torch' in sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_data_set_whose_batches_are_of_another_kind_is_refused(monkeypatch):
    """Floats in [0, 1] would be divided by 255 a second time, and end in a perfect score."""
    frames = torch.zeros(1, 20, 1, 64, 64, dtype=torch.uint8)
    for wrong in (frames.float(), frames[..., :32], frames[:, :5], frames.expand(-1, -1, 3, -1, -1)):
        fake = SimpleNamespace(batch=lambda indices, epoch=0, wrong=wrong: wrong)
        monkeypatch.setitem(data.REGISTRY, "moving_mnist", data.Entry(MovingMNISTData, lambda *_, fake=fake: fake))
        with pytest.raises(ValueError, match="the data set 'moving_mnist' gives batches of .* must be torch.uint8 with"):
            data.build(MovingMNISTData(), "train")
