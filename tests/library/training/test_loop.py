"""Training: it learns, it can be cut anywhere, and it knows what it was asked."""

from __future__ import annotations

from types import SimpleNamespace

import pytest
import torch

from trials import tiny
from vrnn3d import checkpoint
from vrnn3d.files import CannotWrite
from vrnn3d.training import loop
from vrnn3d.training.loop import train
from vrnn3d.training.state import State

pytestmark = pytest.mark.slow  # every test trains


def weights(folder, which: str = "model") -> dict[str, torch.Tensor]:
    return checkpoint.load_state(folder)[which]


def assert_equal_bit_for_bit(a: dict, b: dict) -> None:
    assert a.keys() == b.keys()
    assert [name for name in a if not torch.equal(a[name], b[name])] == []


@pytest.mark.parametrize(
    "model, changes",
    [
        ("vrnn3d", {}),
        ("vrnn3d", {"data.online": True, "model.options.norm": "group"}),
        ("vrnn3d", {"train.optimiser": "muon"}),
        ("convlstm2d", {"train.ema": 0.9, "train.weights": "ema"}),
        ("convlstm2d", {"train.weights": "best", "train.validate_every": 0.2}),
        ("convlstm2d", {"train.ema": 0.9, "train.weights": "best", "train.optimiser": "muon"}),
    ],
    ids=lambda value: value if isinstance(value, str) else " ".join(f"{k}={v}" for k, v in value.items()) or "plain",
)
def test_resumed_equals_uninterrupted_bit_for_bit(tmp_path, model, changes):
    experiment = tiny(model, **changes)
    whole = train(experiment, 3, tmp_path / "whole", progress=False)
    first = train(experiment, 3, tmp_path / "cut", max_steps=2, progress=False)
    train(experiment, 3, tmp_path / "cut", max_steps=1, progress=False)
    second = train(experiment, 3, tmp_path / "cut", progress=False)
    assert not first.finished and first.updates == 2 and second.finished
    for which in ("model", "evaluated"):
        assert_equal_bit_for_bit(weights(tmp_path / "whole", which), weights(tmp_path / "cut", which))
    if experiment.train.ema:
        assert_equal_bit_for_bit(weights(tmp_path / "whole", "ema"), weights(tmp_path / "cut", "ema"))
    assert second.curves == whole.curves


def test_where_the_loss_is_looked_at_seldom_a_cut_comes_after_just_as_many_updates(tmp_path, monkeypatch):
    """As on a GPU, but with looks so close that a short training has some: validations too come at a look."""
    monkeypatch.setattr(loop, "_look_every", lambda place: 4)
    experiment = tiny("convlstm2d", **{"train.sequences": 36, "train.validate_every": 0.33})
    whole = train(experiment, 0, tmp_path / "whole", progress=False)
    assert whole.curves["sequences"] == whole.curves["validation_sequences"] == [16, 32, 36]
    steps = [train(experiment, 0, tmp_path / "cut", max_steps=count, progress=False).updates for count in (1, 2, 1)]
    assert steps == [1, 3, 4]
    assert train(experiment, 0, tmp_path / "cut", progress=False).curves == whole.curves
    assert_equal_bit_for_bit(weights(tmp_path / "whole"), weights(tmp_path / "cut"))


def test_a_gpu_is_looked_at_seldom():
    assert loop._look_every(torch.device("cpu")) == 1 < loop._look_every(torch.device("cuda:0"))


def test_which_weights_are_evaluated(tmp_path):
    state = {}
    for which, changes in (("last", {}), ("ema", {"train.ema": 0.9}), ("best", {"train.validate_every": 0.2})):
        train(tiny("convlstm2d", **changes, **{"train.weights": which}), 0, tmp_path / which, progress=False)
        state[which] = checkpoint.load_state(tmp_path / which)
    assert_equal_bit_for_bit(state["last"]["evaluated"], state["last"]["model"])
    assert_equal_bit_for_bit(state["ema"]["evaluated"], state["ema"]["ema"])
    assert_equal_bit_for_bit(state["best"]["evaluated"], state["best"]["best"])
    model, experiment, _ = checkpoint.load_run(tmp_path / "ema")
    assert experiment.train.weights == "ema"
    assert_equal_bit_for_bit(model.state_dict(), state["ema"]["ema"])


def test_the_best_weights_are_those_of_the_lowest_validation_error(tmp_path):
    """The rate grows until it spoils what was learnt: the best weights are those before."""
    changes = {"train.weights": "best", "train.validate_every": 0.15, "train.lr": 0.5, "train.lr_warmup": 1.0}
    done = train(tiny("convlstm2d", **changes), 0, tmp_path, progress=False)
    errors = done.curves["validation_mse"]
    state = checkpoint.load_state(tmp_path)
    assert state["best_mse"] == pytest.approx(min(errors), rel=1e-5) and min(errors) < errors[-1]
    assert any(not torch.equal(state["best"][name], state["model"][name]) for name in state["model"])


def test_a_finished_run_trains_no_further(tmp_path):
    done = train(tiny(), 0, tmp_path, progress=False)
    again = train(tiny(), 0, tmp_path, progress=False)
    assert again.finished and again.seconds == done.seconds and again.curves == done.curves


def test_the_loss_falls_and_updates_are_counted(tmp_path):
    experiment = tiny("convlstm2d", **{"train.sequences": 238, "data.sequences": (8, 4, 4)})
    done = train(experiment, 0, tmp_path, progress=False)
    assert done.updates == 60 and done.sequences == 240 and done.processes == 1 and done.precision == "float32"
    curves = done.curves
    assert curves["reconstruction"][-1] < 0.6 * curves["reconstruction"][0]
    assert curves["validation_sequences"][-1] == 240
    assert len(curves["seen_mse"]) == len(curves["validation_mse"]), "the training set was seen more than once"
    assert set(curves["clipped"]) <= {0.0, 1.0} and all(norm > 0 for norm in curves["gradient_norm"])
    assert done.parameters["total"] > 0


def test_the_share_of_bounded_updates_is_a_curve(tmp_path):
    for bound, share in ((1e-6, 1.0), (1e6, 0.0), (0.0, 0.0)):
        done = train(tiny("convlstm2d", **{"train.clip": bound}), 0, tmp_path / str(bound), max_steps=2, progress=False)
        assert done.curves["clipped"] == [share, share]


def test_seeds_differ(tmp_path):
    for seed in (0, 1):
        train(tiny(), seed, tmp_path / str(seed), max_steps=1, progress=False)
    a, b = weights(tmp_path / "0"), weights(tmp_path / "1")
    assert not torch.equal(a["level1.gates.weight"], b["level1.gates.weight"])


def test_a_model_without_parameters_is_trained_at_once(tmp_path):
    done = train(tiny("copy_last"), 0, tmp_path, progress=False)
    assert done.finished and done.updates == 0 and done.curves == {}
    assert checkpoint.load_run(tmp_path).experiment == tiny("copy_last")


def test_another_experiment_or_seed_in_the_folder_is_refused(tmp_path):
    train(tiny("convlstm2d"), 0, tmp_path, max_steps=1, progress=False)
    with pytest.raises(ValueError, match=r"other settings \(train.lr is 0.003 there and 0.5 here\)"):
        train(tiny("convlstm2d", **{"train.lr": 0.5}), 0, tmp_path, progress=False)
    with pytest.raises(ValueError, match="of seed 0, not 1"):
        train(tiny("convlstm2d"), 1, tmp_path, progress=False)


class Elsewhere:
    """A data set that calls itself another one."""

    identity, description = "0123456789ab", "Other digits: found elsewhere"

    def __init__(self, data):
        self.data = data

    def __len__(self):
        return len(self.data)

    def __getattr__(self, name):
        return getattr(self.data, name)


def test_a_run_of_other_data_is_refused_and_both_are_named(tmp_path, monkeypatch):
    before = train(tiny("convlstm2d"), 0, tmp_path, max_steps=1, progress=False).data
    build = loop.build
    monkeypatch.setattr(loop, "build", lambda *arguments, **options: Elsewhere(build(*arguments, **options)))
    with pytest.raises(ValueError) as told:
        train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    for words in (before.identity, before.description, Elsewhere.identity, Elsewhere.description, "choose another --out"):
        assert words in str(told.value)
    assert checkpoint.load_state(tmp_path)["step"] == 1


def test_what_is_no_checkpoint_is_named(tmp_path):
    train(tiny("convlstm2d"), 0, tmp_path, max_steps=1, progress=False)
    path = tmp_path / checkpoint.CHECKPOINT
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match=f"{path} is no checkpoint of vrnn3d, or is damaged"):
        train(tiny("convlstm2d"), 0, tmp_path, progress=False)
    with pytest.raises(FileNotFoundError, match="vrnn3d train"):
        checkpoint.load_run(tmp_path / "nowhere")


def test_a_time_budget_stops_cleanly(tmp_path):
    done = train(tiny("convlstm2d"), 0, tmp_path, max_minutes=0.0, progress=False)
    assert not done.finished and done.updates == 1
    assert checkpoint.load_state(tmp_path)["step"] == 1


@pytest.mark.slow
def test_bf16_training_ends_where_float32_does(tmp_path):
    """Within the spread that other seeds give."""
    ends = {}
    for precision, seeds in (("float32", (0, 1, 2)), ("bfloat16", (0,))):
        changes = {"train.precision": precision, "train.sequences": 160, "train.validate_every": 0.0, "data.length": 8}
        for seed in seeds:
            done = train(tiny("convlstm2d", **changes), seed, tmp_path / f"{precision}{seed}", progress=False)
            assert done.precision == precision
            ends[precision, seed] = sum(done.curves["loss"][-10:]) / 10
    others = [ends["float32", seed] for seed in (0, 1, 2)]
    assert abs(ends["bfloat16", 0] - ends["float32", 0]) <= max(others) - min(others)


def test_a_folder_that_cannot_be_written_is_found_before_the_data_are_loaded(tmp_path, monkeypatch):
    monkeypatch.setattr(loop, "build", lambda *_, **__: pytest.fail("data are loaded"))
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(CannotWrite, match="file/run cannot be written"):
        train(tiny("convlstm2d"), 0, tmp_path / "file" / "run", progress=False)
    free = SimpleNamespace(free=1000)
    monkeypatch.setattr("shutil.disk_usage", lambda path: free)
    with pytest.raises(CannotWrite, match="the disk is full .at least [0-9,]+ bytes are needed, 1,000 are free"):
        train(tiny("convlstm2d"), 0, tmp_path / "run", progress=False)
    assert not (tmp_path / "run").exists()


@pytest.mark.parametrize("changes", [{}, {"train.ema": 0.9, "train.weights": "ema"}, {"train.weights": "best"}])
def test_the_room_that_is_looked_for_is_that_of_a_checkpoint(tmp_path, changes):
    experiment = tiny("convlstm2d", **{"model.options": {"widths": (8, 16), "hidden": 64}, **changes})
    train(experiment, 0, tmp_path, progress=False)
    needed = State.bytes_of(checkpoint.model_of(experiment), experiment.train)
    assert (tmp_path / checkpoint.CHECKPOINT).stat().st_size == pytest.approx(needed, rel=0.1)


@pytest.mark.parametrize(
    "spoil",
    [
        lambda state: state["model"].popitem(),
        lambda state: state["model"].update({next(iter(state["model"])): torch.zeros(3)}),
        lambda state: state.update(optimiser={"state": {}}),
        lambda state: state.update(config="{"),
        lambda state: state.update(ema=None),
        lambda state: state["ema"].popitem(),
        lambda state: state.update(best={"x": torch.zeros(3)}),
    ],
)
def test_a_checkpoint_whose_parts_do_not_fit_is_named_when_a_run_goes_on(tmp_path, spoil):
    experiment = tiny("convlstm2d", **{"train.ema": 0.9})
    train(experiment, 0, tmp_path, max_steps=2, progress=False)
    state = checkpoint.load_state(tmp_path)
    spoil(state)
    checkpoint.save(tmp_path, state)
    with pytest.raises(ValueError, match="checkpoint.pt do not fit a model of this program") as told:
        train(experiment, 0, tmp_path, progress=False)
    assert "\n" not in str(told.value)
