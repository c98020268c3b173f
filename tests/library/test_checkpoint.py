"""Checkpoints and published weights: what comes back is what was written, or the file is named that is not."""

from __future__ import annotations

import json
import os
import pickle
import random
import shutil
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch

from trials import tiny
from vrnn3d import checkpoint, models, published
from vrnn3d.files import CannotWrite, Damaged
from vrnn3d.models.base import VideoModel
from vrnn3d.training.loop import train

ROOT = Path(published.__file__).parents[1]


def model_and_experiment():
    torch.manual_seed(0)
    return checkpoint.model_of(tiny()), tiny()


@pytest.mark.parametrize("option, place", [("window", "model.window"), ("channels", "the data"), ("size", "data.size")])
def test_an_option_with_a_setting_of_its_own_is_named(option, place):
    experiment = tiny("pixel_mean" if option == "size" else "vrnn3d", **{f"model.options.{option}": 1})
    with pytest.raises(ValueError, match=f"model.options.{option} is set by {place}; leave it out"):
        checkpoint.model_of(experiment)


def test_a_window_that_the_model_does_not_have_is_no_setting_of_it(monkeypatch):
    class Fixed(VideoModel):
        window, horizon = 1, 1

    monkeypatch.setitem(models.REGISTRY, "fixed", models.Entry(Fixed, {}))
    with pytest.raises(ValueError, match="fixed has a window of 1 and no other: set model.window to it, not to 2"):
        checkpoint.model_of(tiny("fixed", **{"model.window": 2, "model.horizon": 1, "model.options": {}}))
    assert isinstance(checkpoint.model_of(tiny("fixed", **{"model.window": 1, "model.horizon": 1, "model.options": {}})), Fixed)


@pytest.fixture
def weights(tmp_path, monkeypatch):
    """A function that publishes a small model as "mine" below the working directory, and returns its folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(published, "places", lambda: [tmp_path / "weights"])
    model, experiment = model_and_experiment()

    def publish():
        published.publish(model.state_dict(), experiment, "mine", {"seed": 3}, "# A card\n", tmp_path / "weights")
        return tmp_path / "weights" / "mine"

    return publish


# --- checkpoints ------------------------------------------------------------------------------------------------------

TENSORS = {"a": torch.arange(6.0).view(2, 3), "n": torch.tensor(3)}
STATE = {
    "config": "{}",
    "seed": 0,
    "data": dict.fromkeys(("identity", "source", "description"), "x"),
    "parent": "",
    "evaluated": TENSORS,
    "model": TENSORS,
    "ema": None,
    "best": None,
    "best_mse": 1.0,
    "optimiser": {},
    "step": 4,
    "seconds": 1.5,
    "cpu_seconds": 1.5,
    "curves": "{}",
    "sums": {},
    "summed": 0,
}


def test_a_state_comes_back(tmp_path):
    checkpoint.save(tmp_path, STATE)
    for path in (tmp_path, tmp_path / checkpoint.CHECKPOINT, str(tmp_path)):
        state = checkpoint.load_state(path)
        assert state.keys() == STATE.keys() and state["step"] == 4 and state["best"] is None
        assert all(torch.equal(value, STATE["model"][name]) for name, value in state["model"].items())


def test_a_digest_covers_names_shapes_types_and_values():
    digests = {
        checkpoint.digest(state)
        for state in (
            STATE,
            {**STATE, "step": 5},
            {**STATE, "model": {"b": STATE["model"]["a"]}},
            {**STATE, "model": {"a": STATE["model"]["a"].double(), "n": STATE["model"]["n"]}},
            {**STATE, "model": {"a": STATE["model"]["a"].view(3, 2), "n": STATE["model"]["n"]}},
            {**STATE, "model": {"a": -STATE["model"]["a"], "n": STATE["model"]["n"]}},
        )
    }
    assert len(digests) == 6
    assert checkpoint.digest(dict(reversed(STATE.items()))) == checkpoint.digest(STATE)


@pytest.mark.parametrize("seed", range(40))
def test_a_flipped_bit_is_found_or_changes_nothing(tmp_path, seed):
    checkpoint.save(tmp_path, STATE)
    path = tmp_path / checkpoint.CHECKPOINT
    content = bytearray(path.read_bytes())
    chance = random.Random(seed)
    content[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    path.write_bytes(content)
    try:
        state = checkpoint.load_state(path)
    except Damaged as error:
        assert str(path) in str(error) and "delete it to train anew" in str(error) and "\n" not in str(error)
    else:
        assert checkpoint.digest(state) == checkpoint.digest(STATE)


class Bomb:
    def __reduce__(self):
        return os.system, ("touch exploded",)


@pytest.mark.parametrize(
    "content",
    [b"", b"junk", pickle.dumps(Bomb()), b"PK\x03\x04" + b"\0" * 100],
    ids=["empty", "junk", "pickle", "archive"],
)
def test_what_is_no_checkpoint_is_named_and_not_run(tmp_path, monkeypatch, content):
    monkeypatch.chdir(tmp_path)
    path = tmp_path / "file.pt"
    path.write_bytes(content)
    with pytest.raises(Damaged, match="file.pt is no checkpoint of vrnn3d, or is damaged"):
        checkpoint.load_state(path)
    torch.save({"model": {}}, path)  # of another program
    with pytest.raises(Damaged, match="file.pt is no checkpoint of vrnn3d"):
        checkpoint.load_state(path)
    assert os.listdir(tmp_path) == ["file.pt"]


def test_a_fault_of_the_machine_is_not_called_damage(tmp_path, monkeypatch):
    """Advice to delete a file follows a failed check of its content only."""
    checkpoint.save(tmp_path, STATE)
    with monkeypatch.context() as patch:

        def refuse(path):
            raise PermissionError(13, "Permission denied", str(path))

        patch.setattr("pathlib.Path.read_bytes", refuse)
        with pytest.raises(PermissionError):
            checkpoint.load_state(tmp_path)
    with pytest.raises(
        FileNotFoundError, match="there is no checkpoint at .*: name a run's folder, or train one with: vrnn3d train"
    ):
        checkpoint.load_state(tmp_path / "nowhere")


def test_a_run_comes_back_ready_for_prediction(tmp_path):
    train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    for source in (tmp_path, tmp_path / checkpoint.CHECKPOINT):
        model, experiment, _ = checkpoint.load_any(source)
        assert not model.training and experiment == tiny("convlstm2d")
        assert checkpoint.folder_of(source) == tmp_path
    state = checkpoint.load_state(tmp_path)
    assert all(torch.equal(value, state["evaluated"][name]) for name, value in checkpoint.load(tmp_path).state_dict().items())


def test_only_the_weights_of_a_run_are_moved_to_the_device(tmp_path, monkeypatch):
    train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    moved, move = set(), checkpoint._moved
    monkeypatch.setattr(checkpoint, "_moved", lambda value, device: moved.add(device.type) or move(value, device))
    model = checkpoint.load_run(tmp_path, "meta").model
    assert moved == {"cpu"} and {value.device.type for value in model.state_dict().values()} == {"meta"}


def test_where_nothing_is_named_the_newest_run_is_taken(tmp_path, weights):
    assert checkpoint.default_source() == published.DEFAULT, "and what that lacks is told when it is loaded"
    for name, age in (("old", 100), ("new", 50)):
        folder = tmp_path / "runs" / name
        checkpoint.save(folder, STATE)
        os.utime(folder / checkpoint.CHECKPOINT, (age and 10**9 - age,) * 2)
    assert checkpoint.default_source() == str(tmp_path.joinpath("runs", "new", checkpoint.CHECKPOINT).relative_to(tmp_path))
    shutil.copytree(weights(), tmp_path / "weights" / published.DEFAULT)
    assert checkpoint.default_source() == published.DEFAULT


# --- published weights ------------------------------------------------------------------------------------------------


def test_published_weights_are_found_by_name_and_by_path(weights):
    folder = weights()
    assert published.names() == ["mine"]
    model, experiment = model_and_experiment()
    for source in ("mine", str(folder)):
        again, same, _ = checkpoint.load_any(source)
        assert same == experiment and again.state_dict().keys() == model.state_dict().keys()
    about = json.loads((folder / published.CONFIG).read_text())
    assert about["seed"] == 3 and set(about["files"]) == {published.WEIGHTS}
    assert (folder / published.CARD).read_text() == "# A card\n"
    with pytest.raises(FileNotFoundError, match="'yours' is neither a run nor published weights .published weights are: mine."):
        checkpoint.load("yours")


def test_large_weights_are_published_in_parts(weights, monkeypatch):
    monkeypatch.setattr(published, "PART_BYTES", 5_000)
    folder = weights()
    parts = sorted(folder.glob("*.safetensors"))
    assert len(parts) > 2 and all(path.name.endswith(f"-of-{len(parts):05d}.safetensors") for path in parts)
    index = json.loads((folder / published.INDEX).read_text())["weight_map"]
    assert set(index.values()) == {path.name for path in parts}
    again = checkpoint.load_any("mine").model
    assert set(index) == set(again.state_dict())
    monkeypatch.undo()


def test_publishing_again_leaves_nothing_of_the_larger_model(weights, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setattr(published, "PART_BYTES", 5_000)
        weights()
    folder = weights()
    assert {path.name for path in folder.iterdir()} == {published.WEIGHTS, published.CONFIG, published.CARD}
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_an_interrupted_publication_leaves_the_one_before(weights, monkeypatch):
    folder = weights()
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    for step in ("_write_parts", "_sha256", "_swap"):
        with monkeypatch.context() as patch:

            def stop(*_):
                raise KeyboardInterrupt

            patch.setattr(published, step, stop)
            with pytest.raises(KeyboardInterrupt):
                weights()
        assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
        assert [path.name for path in folder.parent.iterdir()] == ["mine"]


@pytest.mark.parametrize("by_path", [False, True])
def test_weights_set_aside_by_a_killed_publication_are_read_where_they_are(weights, by_path):
    folder = weights()
    aside = folder.rename(published._aside(folder))
    assert published.names() == ["mine"]
    checkpoint.load_any(folder if by_path else "mine")
    assert list(folder.parent.iterdir()) == [aside], "reading moves nothing"
    weights()
    assert list(folder.parent.iterdir()) == [folder], "the next publication does"


def test_looking_for_weights_removes_nothing(weights, tmp_path):
    folder = weights()
    for place in (folder, tmp_path / "mine"):
        (place.parent / f".{place.name}.before").mkdir(parents=True)
        place.mkdir(exist_ok=True)
    checkpoint.load_any("mine")
    with pytest.raises(FileNotFoundError):
        checkpoint.load_any("yours")
    assert (tmp_path / ".mine.before").is_dir() and (folder.parent / ".mine.before").is_dir()


def test_a_reader_between_the_two_steps_of_a_publication_finds_the_weights(weights, monkeypatch):
    folder, rename = weights(), os.rename

    def read_before(source, target):
        assert checkpoint.load_any("mine").seed == 3 and published.names() == ["mine"]
        rename(source, target)

    monkeypatch.setattr(os, "rename", read_before)
    weights()
    assert list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize("path", [".", "", "..", "/", "empty"])
def test_a_folder_without_a_model_is_told(weights, tmp_path, path):
    weights()
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileNotFoundError, match="is neither a run nor published weights .published weights are: mine."):
        checkpoint.load(path)


@pytest.mark.parametrize(
    "spoil, told",
    [
        (lambda folder: (folder / published.WEIGHTS).unlink(), "model.safetensors is missing; fetch all files of mine again"),
        (lambda folder: (folder / published.WEIGHTS).write_bytes(b""), "model.safetensors is damaged: its SHA-256"),
        (lambda folder: (folder / published.CONFIG).write_text("{}"), "config.json does not describe published weights"),
        (lambda folder: (folder / published.CONFIG).write_text("{"), "config.json does not describe published weights"),
        (lambda folder: (folder / published.CONFIG).write_text('{"config": {}, "files": []}'), "config.json"),
    ],
)
def test_damaged_weights_are_named(weights, spoil, told):
    folder = weights()
    spoil(folder)
    with pytest.raises(ValueError, match=told) as error:
        checkpoint.load_any("mine")
    assert "\n" not in str(error.value)


def test_a_flipped_byte_is_found(weights):
    folder = weights()
    path = folder / published.WEIGHTS
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)
    with pytest.raises(Damaged, match="model.safetensors is damaged"):
        checkpoint.load_any("mine")


def test_weights_of_another_model_are_told(weights):
    folder = weights()
    about = json.loads((folder / published.CONFIG).read_text())
    about["config"]["model"]["options"]["hidden"] = 12
    (folder / published.CONFIG).write_text(json.dumps(about))
    with pytest.raises(ValueError, match="the weights in .*mine do not fit a model of this program .*size mismatch"):
        checkpoint.load_any("mine")


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden", "a b", "-x"])
def test_a_name_is_a_plain_one(weights, tmp_path, name):
    model, experiment = model_and_experiment()
    with pytest.raises(ValueError, match="is no plain name"):
        published.publish(model.state_dict(), experiment, name, {}, "", tmp_path / "weights")


def test_what_a_killed_publication_left_is_swept(weights, monkeypatch):
    folder = weights()
    code = (
        "import os, signal, sys; from pathlib import Path; from vrnn3d.files import temporary_folder\n"
        "(temporary_folder(Path(sys.argv[1])) / 'half').write_text('x'); os.kill(os.getpid(), signal.SIGKILL)"
    )
    subprocess.run([sys.executable, "-c", code, str(folder)], env={**os.environ, "PYTHONPATH": str(ROOT)})
    assert len(list(folder.parent.iterdir())) == 2
    weights()
    assert [path.name for path in folder.parent.iterdir()] == ["mine"]


def test_a_full_disk_is_found_before_anything_is_published(weights, monkeypatch):
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(CannotWrite, match="mine cannot be written: the disk is full .at least"):
        weights()
    assert not Path("weights").exists()


@pytest.mark.parametrize(
    "part, value, told",
    [
        ("step", -16, "its number of updates is -16"),
        ("step", "many", "its part 'step' is missing or of another kind"),
        ("data", {"source": "x", "description": "x"}, "its part 'data' lacks 'identity'"),
        ("evaluated", None, "its part 'evaluated' is missing or of another kind"),
        ("curves", '"black"', "its part 'curves' is no table of lists of numbers"),
        ("curves", '{"loss": ["low"]}', "its part 'curves' is no table of lists of numbers"),
        ("curves", "{", "Expecting"),
        ("sums", {"loss": torch.zeros(3)}, "its part 'sums' holds what is no number"),
    ],
)
def test_what_no_training_writes_is_told(tmp_path, part, value, told):
    checkpoint.save(tmp_path, {**STATE, part: value})
    with pytest.raises(Damaged, match=told):
        checkpoint.load_state(tmp_path)


def test_too_little_memory_is_not_called_damage(tmp_path, monkeypatch):
    checkpoint.save(tmp_path, STATE)

    def refuse(*_, **__):
        raise RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 99 bytes")

    monkeypatch.setattr(torch, "load", refuse)
    with pytest.raises(OSError, match="checkpoint.pt cannot be read: it needs more memory than there is"):
        checkpoint.load_state(tmp_path)


def test_a_model_that_this_program_does_not_know_is_no_reason_to_delete_its_run(tmp_path):
    train(tiny("copy_last"), 0, tmp_path, progress=False)
    state = checkpoint.load_state(tmp_path)
    checkpoint.save(tmp_path, {**state, "config": state["config"].replace("copy_last", "my_own")})
    with pytest.raises(ValueError, match="no model 'my_own'") as told:
        checkpoint.load_run(tmp_path)
    assert str(tmp_path) in str(told.value) and "delete" not in str(told.value)


def test_files_of_published_weights_lie_in_their_folder(weights):
    folder = weights()
    about = json.loads((folder / published.CONFIG).read_text())
    (folder.parent / "outside.safetensors").write_bytes((folder / published.WEIGHTS).read_bytes())
    about["files"] = {"../outside.safetensors": about["files"][published.WEIGHTS]}
    (folder / published.CONFIG).write_text(json.dumps(about))
    with pytest.raises(Damaged, match="config.json does not describe published weights"):
        checkpoint.load_any("mine")
