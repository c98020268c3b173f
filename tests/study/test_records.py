"""Records: what is written comes back, and every kind of bad record ends in one sentence that names file and key."""

from __future__ import annotations

import dataclasses
import json
import math

import numpy as np
import pytest
import torch
from study.made import record

from vrnn3d import config
from vrnn3d.study import records
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.provenance import checkout


def committed():
    """One record of each kind that the repository holds."""
    root = checkout()
    found = sorted((root / "results").glob("*/*/seed*.json")) if root else []
    kinds = {path.parent.name.split("_")[0]: path for path in found}
    return list(kinds.values())


def assert_holds(new, old, where=""):
    """All that `old` holds is in `new`, which may say more: settings that were added since, at their defaults."""
    if isinstance(old, dict):
        for key, value in old.items():
            assert key in new, f"{where}.{key} is gone"
            assert_holds(new[key], value, f"{where}.{key}")
    else:
        assert new == old, where


@pytest.mark.parametrize("path", committed(), ids=lambda path: path.parent.name)
def test_a_committed_record_comes_back(path, tmp_path):
    """Reading a record and writing it again loses and changes nothing, however often."""
    read = records.read(path)
    again = records.write_record(read, tmp_path)
    assert again.relative_to(tmp_path).parts == path.parts[-3:]
    assert_holds(json.loads(again.read_text()), json.loads(path.read_text()))
    assert records.read(again) == read
    text = again.read_text()
    assert records.write_record(records.read(again), tmp_path).read_text() == text


def test_a_record_comes_back_as_it_went(tmp_path):
    written = record()
    path = records.write_record(written, tmp_path)
    assert path == tmp_path / "paper" / "vrnn3d_kl_ll" / "seed0.json"
    assert [p.name for p in path.parent.iterdir()] == ["seed0.json"]  # no temporary left
    (read,) = records.read_records(tmp_path)
    assert read.config == written.config and read.training == written.training and read.provenance == written.provenance
    ours, theirs = (r.evaluation["train"]["10->10"].scores["mse"].per_frame for r in (read, written))
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)
    assert records.read(records.write_record(read, tmp_path)) == read  # rounded once, and then never again


# --- bad records ------------------------------------------------------------------------------------------------------

MSE = "evaluation.train.10->10.scores.mse"


def broken(tmp_path, path, value):
    """A record's file with one value replaced, or left out where `value` is ``...``."""
    target = records.write_record(record(), tmp_path)
    values = json.loads(target.read_text())
    *parents, last = path.split(".")
    at = values
    for key in parents:
        at = at[key]
    if value is ...:
        del at[last]
    else:
        at[last] = value
    target.write_text(json.dumps(values))  # NaN and Infinity go through, as Python's json writes them
    return target


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("surprise", 1, "there is no surprise; known are: experiment"),
        ("training.steps", 1, r"there is no training.steps; known are: sequences"),
        ("training.seconds", ..., "training.seconds is missing"),
        ("provenance.code.commit", 7, "provenance.code.commit is 7, but must be text"),
        (f"{MSE}.average", ..., "scores.mse.average is missing"),
        ("seed", "0", "seed is '0', but must be a whole number"),
        ("seed", True, "seed is True, but must be a whole number"),
        ("training", [], "training must be a table of names and values"),
        ("training.seconds", -1.0, "training.seconds is -1.0, but must be a number of at least 0"),
        ("training.precision", "float8", "training.precision is 'float8', but must be one of: float32, bfloat16"),
        ("status", "done", "status is 'done', but must be one of: finished, cut"),
        ("weights", "first", "weights is 'first', but must be one of: last, ema, best"),
        ("schema", 1, "has schema 1; this version of vrnn3d reads schema 2"),
        ("schema", ..., "has schema None"),
        ("experiment", "../x", "cannot be a folder's name"),
        ("config_hash", "0" * 12, "config_hash is '000000000000', but its configuration has"),
        ("config.train.lr", 0.5, "but its configuration has"),
        ("config.train.lr", -1, "config: train.lr is -1, but must be a number above 0"),
        ("config.train.speed", 1, "config: no setting train.speed; there are: sequences"),
        ("evaluation.train.ten", {"sequences": 1, "samples": 1}, "evaluation.train.ten: that is no protocol"),
        ("evaluation.train.10->0", {"sequences": 1, "samples": 1}, "evaluation.train.10->0: that is no protocol"),
        (f"{MSE}.average", -0.1, "mse is negative, which that metric cannot be"),
        (f"{MSE}.per_frame", [1.0], "mse.per_frame has 1 values, but must have 10"),
        (f"{MSE}.per_sequence", [1.0, 2.0], "mse.per_sequence has 2 values, but must have 30"),
        (f"{MSE}.average", math.nan, "scores.mse.average is nan"),
        (f"{MSE}.per_frame", [math.inf] * 10, "scores.mse.per_frame is "),
        ("training.curves.loss", [1.0, math.nan], "training.curves.loss is "),
        ("training.seconds", math.inf, "training.seconds is inf"),
    ],
)
def test_a_bad_record_is_refused_with_its_file_and_key(tmp_path, path, value, message):
    target = broken(tmp_path, path, value)
    with pytest.raises(ValueError, match=message) as problem:
        records.read(target)
    text = str(problem.value)
    assert text.startswith(str(target)) and "\n" not in text


@pytest.mark.parametrize("text", ["{", "[1, 2]", '"text"', ""])
def test_what_is_no_record_at_all_is_refused(tmp_path, text):
    path = tmp_path / "seed0.json"
    path.write_text(text)
    with pytest.raises(ValueError, match=r"seed0\.json is not a (JSON file|record)"):
        records.read(path)


def test_a_record_in_the_wrong_place_is_refused(tmp_path):
    path = records.write_record(record(), tmp_path)
    path.rename(path.with_name("seed3.json"))
    with pytest.raises(ValueError, match=r"seed3\.json says it is paper/vrnn3d_kl_ll/seed0; move it there"):
        records.read_records(tmp_path)


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_numbers_that_are_not_finite_are_not_written(tmp_path, value):
    bad = record(curves={"sequences": (1.0, 2.0), "loss": (1.0, value)})
    with pytest.raises(ValueError, match=r"training\.curves\.loss\[1\] is (nan|inf); a record holds finite numbers only"):
        records.write_record(bad, tmp_path)
    assert not list(tmp_path.rglob("*.json"))


# --- use --------------------------------------------------------------------------------------------------------------


def test_records_are_selected_and_sorted(tmp_path):
    for name, profile, seed in (("vrnn2d", "paper", 1), ("vrnn2d", "paper", 0), ("beyond", "smoke", 0), ("beyond", "paper", 0)):
        records.write_record(record(name, profile=profile, seed=seed, evaluation={}), tmp_path)
    found = [r.name for r in records.read_records(tmp_path)]
    assert found == ["paper/beyond/seed0", "paper/vrnn2d/seed0", "paper/vrnn2d/seed1", "smoke/beyond/seed0"]
    assert len(records.read_records(tmp_path, profile="smoke")) == 1
    assert len(records.read_records(tmp_path, experiment="vrnn2d")) == 2
    assert records.read_records(tmp_path / "nowhere") == []


def test_runs_are_those_of_a_configuration():
    asked = EXPERIMENTS["vrnn3d_kl_ll"]
    same = record("loss_kl_ll_z_p", seed=1)
    others = [record(changes={"train.lr": 1.0}), record(status="cut"), record("vrnn3d_kl")]
    assert records.runs_of([same, *others, record(seed=0)], asked) == [record(seed=0), same]


def test_numbers_of_a_record():
    found = record(mse=40.0, black=200.0)
    assert found.score("test", "10->10") == found.evaluation["test"]["10->10"].scores["mse"].average
    assert found.score("test", "10->10", "mse", "best") == pytest.approx(found.score("test", "10->10") - 1)
    assert found.percent_of_black("test", "10->10") == pytest.approx(found.score("test", "10->10") / 2)
    assert found.measured("file", "10->10") is None
    for missing in (("file", "10->10"), ("test", "10->30"), ("test", "10->10", "nats"), ("test", "10->10", "crps", "best")):
        assert math.isnan(found.score(*missing))
    assert math.isnan(record(black=None).percent_of_black("test", "10->10"))
    assert found.data_name == "Moving MNIST"
    assert list(found.curve("loss")) == [900.0, 80.0] and len(found.curve("latent")) == 0


def test_the_hash_leaves_out_names():
    renamed = dataclasses.replace(EXPERIMENTS["vrnn3d_kl"], name="x", title="y", group="z", profile="other")
    assert config.config_hash(renamed) == config.config_hash(EXPERIMENTS["vrnn3d_kl"])


def test_numbers_are_rounded_and_arrays_become_lists(tmp_path):
    path = records.write_json(
        {"a": np.float32(1 / 3), "b": torch.tensor([1, 2]), "c": (1.23456789, True, None), "d": {"e": "ü"}},
        tmp_path / "new" / "x.json",
    )
    assert path.read_text(encoding="utf-8") == (
        '{\n "a": 0.333333,\n "b": [1, 2],\n "c": [1.23457, true, null],\n "d": {\n  "e": "ü"\n }\n}\n'
    )
    assert records.read_json(path)["c"] == [1.23457, True, None]
    with pytest.raises(ValueError, match="a is a set, which JSON cannot hold"):
        records.write_json({"a": {1, 2}}, path)


def test_a_configuration_comes_back_digit_by_digit(tmp_path):
    """It is known by its hash, which a rounded learning rate would change."""
    made = record(changes={"train.lr": 0.0001234567, "loss.beta": 1 / 3})
    path = records.write(made, tmp_path / "record.json")
    assert records.read(path).config == made.config and '"lr": 0.0001234567' in path.read_text()


def test_clips_lie_beside_their_record(tmp_path):
    found = record()
    assert records.read_clips(found, tmp_path) is None
    records.write_arrays({"sample": np.arange(6, dtype=np.uint8)}, records.clips_path(found, tmp_path))
    assert list(records.read_clips(found, tmp_path)["sample"]) == [0, 1, 2, 3, 4, 5]


def test_the_folder_of_records(monkeypatch, tmp_path):
    assert records.folder("x").name == "x"
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path))
    assert records.folder() == tmp_path
    monkeypatch.delenv("VRNN3D_RESULTS")
    assert records.folder().name == "results"
    monkeypatch.setattr(records, "checkout", lambda: None)
    monkeypatch.chdir(tmp_path)
    assert records.folder() == tmp_path / "results"


def test_damaged_records_are_named_and_left_out_where_that_is_asked_for(tmp_path):
    records.write_record(record(), tmp_path)
    bad = records.write_record(record(seed=1), tmp_path)
    for text in ("{}", "[" * 100_000, ""):
        bad.write_text(text)
        with pytest.raises(ValueError, match="seed1.json"):
            records.read_records(tmp_path)
        with pytest.warns(UserWarning, match=f"{bad} .*; it is left out"):
            assert [r.seed for r in records.read_records(tmp_path, skip_damaged=True)] == [0]


@pytest.mark.parametrize("content", [b"", b"junk", b"PK\x03\x04junk"])
def test_damaged_pictures_are_named(tmp_path, content):
    made = record()
    path = records.clips_path(made, tmp_path)
    assert records.read_clips(made, tmp_path) is None
    path.parent.mkdir(parents=True)
    path.write_bytes(content)
    with pytest.raises(ValueError, match="seed0.npz is damaged .*; restore it from a copy, or delete it"):
        records.read_clips(made, tmp_path)
