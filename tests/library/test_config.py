"""Configurations: what they refuse, what names them, and that their defaults stay."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from dataclasses import replace

import pytest

from vrnn3d import config
from vrnn3d.cli import main
from vrnn3d.config import Eval, Experiment, Loss, Model, Train, config_hash, from_dict, override, to_dict
from vrnn3d.data.settings import KTHData, MovingMNISTData, VideoData

BASE = Experiment("base", "test")

#: (settings, what each sentence must say besides the name of the setting)
WRONG = [
    ({"train.lr": "abc"}, "train.lr is 'abc', but must be a number above 0"),
    ({"train.lr": 0}, "train.lr is 0, but must be a number above 0"),
    ({"train.batch": 0}, "train.batch is 0, but must be a whole number of at least 1"),
    ({"train.batch": 2.5}, "train.batch is 2.5, but must be a whole number of at least 1"),
    ({"train.sequences": 0}, "train.sequences is 0, but must be a whole number of at least 1"),
    ({"train.context": 10}, "train.context is 10, but must be a list of at least 1, each item a whole number"),
    ({"train.context": []}, "train.context is [], but must be a list of at least 1"),
    ({"train.context": [20], "data.length": 20}, "train.context is (20,), but training sequences have 20 frames"),
    ({"train.ema": 2}, "train.ema is 2, but must be a number of at least 0 and below 1"),
    ({"train.ema": 1}, "train.ema is 1, but must be a number of at least 0 and below 1"),
    ({"train.precision": "float16"}, "train.precision is 'float16', but must be one of: auto, float32, bfloat16"),
    ({"train.compile": True}, "train.compile is True, but must be one of: auto, yes, no, graphs"),
    ({"train.optimiser": "sgd"}, "train.optimiser is 'sgd', but must be one of: adam, muon"),
    ({"train.lr_decay": None}, "train.lr_decay is None, but must be one of: none, cosine"),
    ({"train.weights": "ema"}, "train.weights is 'ema', but train.ema is 0"),
    ({"train.weights": "best", "train.validate_every": 0}, "train.weights is 'best', but train.validate_every is 0"),
    ({"train.weights": "first"}, "train.weights is 'first', but must be one of: last, ema, best"),
    ({"train.start": 5}, "train.start is 5, but must be text"),
    ({"train.clip": -1}, "train.clip is -1, but must be a number of at least 0"),
    ({"train.forcing_end": 1.5}, "train.forcing_end is 1.5, but must be a number of at least 0 and at most 1"),
    ({"eval.samples": 0}, "eval.samples is 0, but must be a whole number of at least 1"),
    ({"eval.protocols": []}, "eval.protocols is [], but must be a list of at least 1"),
    ({"eval.protocols": [[10]]}, "eval.protocols is [[10]], but must be a list of at least 1, each item a list of 2"),
    ({"eval.protocols": [[10, 0]]}, "eval.protocols is [[10, 0]]"),
    ({"data.sequences": -5}, "data.sequences is -5, but must be a list of 3, each item a whole number of at least 1"),
    ({"data.sequences": [8, 4]}, "data.sequences is [8, 4], but must be a list of 3"),
    ({"data.size": 0}, "data.size is 0, but must be a whole number of at least 1"),
    ({"data.length": 1}, "data.length is 1, but must be a whole number of at least 2"),
    ({"data.test_pools": ["nobody"]}, "data.test_pools is ['nobody'], but must be any of: train, test, file"),
    ({"data.speed": "fast"}, "data.speed is 'fast', but must be one of: uniform, fixed"),
    ({"model.window": 0}, "model.window is 0, but must be a whole number of at least 1"),
    ({"model.options": 3}, "model.options is 3, but must be a table of names and values"),
    ({"loss.beta": -0.5}, "loss.beta is -0.5, but must be a number of at least 0"),
    ({"loss.variant": 1}, "loss.variant is 1, but must be text"),
    ({"data.name": "nothing"}, "data.name is 'nothing', but must be one of: moving_mnist, kth, video"),
]
each_wrong = pytest.mark.parametrize("changes, told", WRONG, ids=[" ".join(f"{k}={v}" for k, v in c.items()) for c, _ in WRONG])

#: What the sentence says where the name of a setting is wrong.
UNKNOWN = [
    ("train.speed", "no setting train.speed; there are: "),
    ("train.lr.high", "no setting train.lr.high; there are: "),
    ("trains.lr", "no setting trains.lr; there are: "),
    ("train", "no setting train; there are: "),
    ("model.options.", "no setting model.options; there are: "),
]


def refused(call) -> str:
    with pytest.raises(ValueError) as error:
        call()
    assert "\n" not in str(error.value)
    return str(error.value)


@each_wrong
def test_override_names_setting_value_and_what_it_may_be(changes, told):
    assert told in refused(lambda: override(BASE, changes))


@each_wrong
def test_a_file_s_values_are_checked_in_the_same_words(changes, told):
    values = to_dict(BASE)
    for name, value in changes.items():
        group, _, key = name.partition(".")
        values[group][key] = value
    assert told.replace("(20,)", "[20]").partition(",")[0] in refused(lambda: from_dict(values)).replace("(20,)", "[20]")


@pytest.mark.parametrize("name, told", UNKNOWN)
def test_an_unknown_setting_is_told_with_those_there_are(name, told):
    sentence = refused(lambda: override(BASE, {name: 1}))
    assert told in sentence and "train.lr, " in sentence and "data.digits, " in sentence


def test_a_file_with_unknown_parts_is_refused():
    values = to_dict(BASE)
    assert "no part 'trains'" in refused(lambda: from_dict(values | {"trains": {}}))
    assert "no setting train.speed; there are: sequences, batch" in refused(lambda: from_dict(values | {"train": {"speed": 1}}))
    assert "must be a table" in refused(lambda: from_dict([1]))


def test_the_command_line_refuses_all_of_them_before_torch_is_imported():
    """Every value through ``--set`` in a process without PyTorch: exit 1, one line on stderr."""
    cases = [[f"{name}={json.dumps(value)}" for name, value in changes.items()] for changes, _ in WRONG]
    cases += [[f"{name}=1"] for name, _ in UNKNOWN]
    code = (
        "import contextlib, io, json, sys\n"
        "sys.modules['torch'] = None\n"
        "from vrnn3d.cli import main\n"
        "for words in json.load(sys.stdin):\n"
        "    said = io.StringIO()\n"
        "    with contextlib.redirect_stderr(said):\n"
        "        status = main(['train', 'vrnn3d_kl_ll', '--set', *words])\n"
        "    print(json.dumps([status, said.getvalue()]))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], input=json.dumps(cases), capture_output=True, text=True, check=True)
    answers = [json.loads(line) for line in done.stdout.splitlines()]
    assert len(answers) == len(cases)
    for (status, said), (_, told) in zip(answers, [*WRONG, *UNKNOWN]):
        assert status == 1 and len(said.splitlines()) == 1, said
        assert said.startswith("vrnn3d train: ") and told in said


def test_values_that_are_no_json_are_text(tmp_path, capsys):
    assert main(["train", "vrnn3d_kl_ll", "--out", str(tmp_path), "--set", "train.lr=abc"]) == 1
    assert "train.lr is 'abc'" in capsys.readouterr().err
    assert not list(tmp_path.iterdir()), "nothing is written before the values are checked"


def test_override_replaces_and_keeps():
    changed = override(BASE, {"model.options.hidden": 4, "train.lr": 1, "train.context": [5, 10], "data.size": [32, 48]})
    assert changed.model.options == {"hidden": 4} and changed.train.lr == 1.0 and changed.train.context == (5, 10)
    assert changed.data.height_width == (32, 48)
    assert override(changed, {"model.options.latent": 0}).model.options == {"hidden": 4, "latent": 0}
    assert override(changed, {"model.options": {"latent": 0}}).model.options == {"latent": 0}
    assert BASE.model.options == {}


def test_another_data_set_keeps_what_both_have():
    video = override(BASE, {"data.name": "video", "data.path": "clips", "data.size": 32}).data
    assert video == VideoData(path="clips", size=32, length=BASE.data.length)
    assert "no setting data.digits" in refused(lambda: override(BASE, {"data.name": "kth", "data.digits": 2}))


@pytest.mark.parametrize(
    "data", [MovingMNISTData(size=(32, 48)), KTHData(augment=("flip",)), VideoData(path="here", colour=True)]
)
def test_json_and_back_is_the_same(data):
    experiment = Experiment(
        "e", "p", "title", "group", data, Model("predrnnpp", 1, 1, {"hidden": (4, 5), "kernel": 3}), Loss("kl_qp", beta=2),
        Train(context=(5, 10), ema=0.5, weights="ema"), Eval(protocols=((3, 4),)),
    )  # fmt: skip
    assert from_dict(json.loads(json.dumps(to_dict(experiment)))) == experiment


# --- the hash ---------------------------------------------------------------------------------------------------------


def test_names_and_places_are_not_part_of_the_hash():
    for changed in (
        replace(BASE, name="other"),
        replace(BASE, title="other words"),
        replace(BASE, group="other"),
        replace(BASE, profile="other"),
        override(BASE, {"train.checkpoint_minutes": 5}),
        override(BASE, {"eval.batch": 3}),
    ):
        assert config_hash(changed) == config_hash(BASE)
    video = override(BASE, {"data.name": "video", "data.path": "here"})
    assert config_hash(override(video, {"data.path": "there"})) == config_hash(video)


def test_every_other_setting_is_part_of_the_hash():
    other = {
        "data.size": 32, "data.length": 19, "data.seed": 1, "data.digits": 1, "data.digit_size": 14, "data.speed": "fixed",
        "data.speed_range": (1.0, 2.0), "data.bounce": "random",
        "data.train_pool": "test", "data.test_pools": ("test",), "data.online": True,
        "data.sequences": (8, 4, 4), "data.name": "kth", "model.name": "vrnn2d", "model.window": 4, "model.horizon": 1,
        "model.options": {"hidden": 4}, "loss.variant": "kl_qp", "loss.l1": 0.0, "loss.l2": 0.0, "loss.beta": 2.0,
        "loss.beta_warmup": 0.5, "train.sequences": 8, "train.batch": 8, "train.lr": 0.5, "train.lr_warmup": 0.5,
        "train.lr_decay": "cosine", "train.optimiser": "muon", "train.ema": 0.5, "train.weights": "best", "train.start": "x",
        "train.skip": 3,
        "train.clip": 0.0, "train.context": (5,), "train.forcing_end": 0.0, "train.precision": "float32", "train.compile": "no",
        "train.validate_every": 0.5, "eval.protocols": ((1, 1),), "eval.samples": 1, "eval.sequences": 1, "eval.seed": 1,
    }  # fmt: skip
    hashes = {name: config_hash(override(BASE, {name: value})) for name, value in other.items()}
    assert len({config_hash(BASE), *hashes.values()}) == len(other) + 1
    here = {f"{group}.{f.name}" for group in ("data", "model", "loss", "train", "eval")
            for f in dataclasses.fields(getattr(BASE, group))}  # fmt: skip
    assert here - set(other) == {"train.checkpoint_minutes", "eval.batch"}, "try the new setting here too"


def test_hashes_of_known_configurations_stay():
    assert config_hash(BASE) == "fb6b9b486284"


#: What every setting is where nobody says otherwise.
DEFAULTS = {
    "data.size": 64,
    "data.length": 20,
    "data.seed": 0,
    "data.digits": 2,
    "data.digit_size": 28,
    "data.speed": "uniform",
    "data.speed_range": (3.0, 5.0),
    "data.bounce": "mirror",
    "data.train_pool": "train",
    "data.test_pools": ("train", "test"),
    "data.online": False,
    "data.sequences": (10000, 1000, 1000),
    "data.augment": (),
    "data.path": "",
    "data.colour": False,
    "data.fit": "crop",
    "data.use": "shared",
    "model.name": "vrnn3d",
    "model.window": 2,
    "model.horizon": 2,
    "model.options": {},
    "loss.variant": "kl_ll",
    "loss.l1": 1.0,
    "loss.l2": 1.0,
    "loss.beta": 1.0,
    "loss.beta_warmup": 0.2,
    "train.sequences": 600000,
    "train.batch": 64,
    "train.lr": 0.001,
    "train.lr_warmup": 0.02,
    "train.lr_decay": "none",
    "train.optimiser": "adam",
    "train.ema": 0.0,
    "train.weights": "last",
    "train.start": "",
    "train.skip": 0,
    "train.clip": 1.0,
    "train.context": (10,),
    "train.forcing_end": 0.6,
    "train.precision": "auto",
    "train.compile": "auto",
    "train.validate_every": 0.1,
    "train.checkpoint_minutes": 1.0,
    "eval.protocols": ((5, 10), (5, 15), (10, 10), (10, 20)),
    "eval.samples": 50,
    "eval.sequences": 1000,
    "eval.batch": 20,
    "eval.seed": 0,
}


def test_no_default_changes():
    now = {
        f"{cls.GROUP}.{f.name}": getattr(cls(), f.name)
        for cls in (MovingMNISTData, KTHData, VideoData, Model, Loss, Train, Eval)
        for f in dataclasses.fields(cls)
    }
    changed = {name: (value, now.get(name)) for name, value in DEFAULTS.items() if now.get(name) != value}
    assert not changed, (
        f"defaults changed, as (before, now): {changed}. A default must never change: hashes are made of what differs from the"
        " defaults, so the records of every run that relied on it would then claim another configuration. Give experiments"
        " the new value instead."
    )
    assert not set(now) - set(DEFAULTS), f"add these new settings to the table above: {sorted(set(now) - set(DEFAULTS))}"


def test_known_settings_explain_themselves():
    known = config.known_settings()
    assert known["train.lr"] == "learning rate (a number above 0)"
    assert "other noise is drawn" in known["eval.batch"], "it is not part of the hash, though it changes scores a little"
    assert [name for name, words in known.items() if words.startswith(" (")] == [], "these settings lack a sentence"


@pytest.mark.parametrize(
    "change, message",
    [
        ({"data": 5}, "data must be a table of names and values, not 5"),
        ({"data": {"name": []}}, "data.name is [], but must be text"),
        ({"model": None}, "model must be a table of names and values, not None"),
        ({"train": [1]}, "train must be a table"),
        ({"name": 3}, "name is 3, but must be text"),
        ({"title": None}, "title is None, but must be text"),
        ({"profile": ...}, "must say its name and its profile"),
    ],
)
def test_parts_of_a_configuration_that_are_of_another_kind_are_told(change, message):
    values = {**to_dict(Experiment("x", "test")), **change}
    assert message in refused(lambda: from_dict({key: value for key, value in values.items() if value is not ...}))


def test_options_of_another_kind_are_told():
    changes = {"model.options": "", "model.options.hidden": 4}
    assert "model.options is '', but must be" in refused(lambda: override(Experiment("x", "test"), changes))
