"""Extending the package from outside: the examples of CONTRIBUTING.md are registered, trained and evaluated."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest
import torch
import yaml

import extended
from trials import tiny
from vrnn3d import checkpoint, config, data, losses, models
from vrnn3d.cli import main
from vrnn3d.evaluation import metrics
from vrnn3d.evaluation.evaluate import evaluate
from vrnn3d.training.loop import train

pytestmark = pytest.mark.slow  # starts processes

REGISTRIES = (models.REGISTRY, losses.LATENT_LOSSES, data.REGISTRY, metrics.METRICS)


@pytest.fixture(autouse=True)
def registries_as_they_were():
    """What a test registers is gone after it."""
    before = [dict(registry) for registry in REGISTRIES]
    yield
    for registry, entries in zip(REGISTRIES, before):
        registry.clear()
        registry.update(entries)


def trained(tmp_path, **changes):
    """(what two updates came to, its evaluation) of a tiny experiment."""
    experiment = tiny(**changes, **{"train.sequences": 8})
    assert config.from_dict(config.to_dict(experiment)) == experiment
    done = train(experiment, 0, tmp_path, progress=False)
    assert done.finished and done.updates == 2
    model, same, _ = checkpoint.load_run(tmp_path)
    assert same == experiment
    return done, evaluate(model, experiment, progress=False)


def test_a_model(tmp_path):
    extended.execute("A model")
    changes = {"model.name": "residual", "model.window": 1, "model.horizon": 1, "model.options": {"hidden": 4}}
    done, found = trained(tmp_path, **changes)
    assert done.parameters["total"] == 2 * 4 * 25 + 4 + 1
    assert found["test"]["5->5"].scores["mse"].average > 0
    assert type(models.build_model("residual")).TITLE == "Last frame and a residual"
    with pytest.raises(ValueError, match="no argument depth; its arguments are: channels, window, horizon, hidden"):
        models.build_model("residual", depth=2)


def test_a_latent_loss(tmp_path):
    extended.execute("A latent loss")
    done, found = trained(tmp_path, **{"loss.variant": "free_bits"})
    elements = 2 * 1 * 4 * 4  # of the latent of one step, which predicts two frames
    assert all(nats >= 0.5 * elements / 2 for nats in done.curves["latent"])
    assert found["test"]["5->5"].samples == 2


def test_a_latent_loss_may_be_any_function():
    nats = losses.latent_loss((torch.zeros(2), torch.ones(2)), (torch.zeros(2), torch.ones(2)), lambda q, p: q[0] - p[0] + 3)
    assert nats.tolist() == [3, 3]


def test_a_data_set(tmp_path):
    example = extended.execute("A data set")
    changes = {"data.name": "bars", "data.thickness": 2}
    done, found = trained(tmp_path, **changes)
    assert isinstance(done.data, example.Bars) and isinstance(done.data, data.Dataset)
    assert set(found) == {"test"} and found["test"]["5->5"].baselines["black"] == pytest.approx(2 * 16)
    frames = torch.stack(list(torch.utils.data.DataLoader(done.data, batch_size=None)))
    assert frames.shape == (100, 12, 1, 16, 16) and torch.equal(frames[7], done.data[7])
    with pytest.raises(ValueError, match="data.thickness is 0, but must be a whole number of at least 1"):
        tiny(**{"data.name": "bars", "data.thickness": 0})
    hashes = {config.config_hash(tiny(**{**changes, "data.thickness": n})) for n in (2, 3)} | {config.config_hash(tiny())}
    assert len(hashes) == 3


def test_a_metric(tmp_path):
    extended.execute("A metric")
    _, found = trained(tmp_path)
    score = found["test"]["5->5"].scores["brightness"]
    assert 0 <= score.best <= score.average <= 1 and len(score.per_frame) == 5
    assert score.interval[0] <= score.average <= score.interval[1]


def test_a_file_of_one_s_own_by_command(tmp_path):
    """All four in a file anywhere, and never a change of the package."""
    (tmp_path / "mine.py").write_text("".join(map(extended.block, extended.REGISTERING)))
    settings = ["model.name=residual", "model.window=1", "model.horizon=1", "loss.variant=free_bits", "data.name=bars"]
    settings += ["train.sequences=8", "train.batch=4", "eval.sequences=4", "eval.protocols=[[5,5]]"]

    def said(*words: str) -> subprocess.CompletedProcess:
        command = [sys.executable, "-m", "vrnn3d", *words, "--quiet"]
        return subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, env=_with_tests_importable())

    done = said("--import", "mine.py", "train", "vrnn3d_kl", "--set", *settings)
    assert done.returncode == 0, done.stderr
    (record,) = tmp_path.rglob("record.json")
    assert '"brightness"' in record.read_text()
    folder = str(record.parent.relative_to(tmp_path))
    assert said("evaluate", folder, "--import", "mine").returncode == 0, "a module found from here, and anywhere in the line"
    without = said("evaluate", folder)
    assert without.returncode == 1 and "data.name is 'bars', but must be one of" in without.stderr, without.stderr
    assert "of parts of your own that were not imported?" in without.stderr


@pytest.mark.parametrize("name", ["nowhere.py", "nowhere", "nowhere.part"])
def test_what_cannot_be_imported_is_told(name, capsys):
    assert main(["--import", name, "list"]) == 1
    assert capsys.readouterr().err.startswith(f"vrnn3d list: there is no {name} to import: name a .py file")


def test_a_file_with_the_name_of_another_module_is_not_taken_for_it(tmp_path, capsys):
    (tmp_path / "json.py").write_text("raise SystemExit('imported')")
    assert main(["--import", str(tmp_path / "json.py"), "list"]) == 1
    assert "json.py has the name of a module that is imported already, json: give it another" in capsys.readouterr().err


def test_what_goes_wrong_within_a_file_of_one_s_own_is_told_as_it_is(tmp_path, capsys):
    (tmp_path / "fails.py").write_text("import nowhere_at_all")
    assert main(["list", "--import", str(tmp_path / "fails.py")]) == 1
    assert capsys.readouterr().err == "vrnn3d list: No module named 'nowhere_at_all'\n"


@pytest.mark.slow
def test_a_chapter(tmp_path):
    """The script and its line in _toc.yml are all that the driver needs."""
    pytest.importorskip("papermill")
    import nbformat

    from vrnn3d import book

    (tmp_path / "notebooks").mkdir()
    for folder in ("vrnn3d", "results", "weights"):
        (tmp_path / folder).symlink_to(extended.ROOT / folder)
    (tmp_path / "notebooks" / "50_digits.py").write_text(extended.block("A chapter"))
    toc = (extended.ROOT / "_toc.yml").read_text(encoding="utf-8")
    last = list(re.finditer(r"^      - file: book/executed/.*\n", toc, re.M))[-1]
    toc = toc[: last.end()] + extended.block("A chapter", "yaml") + toc[last.end() :]
    chapters = [chapter["file"] for part in yaml.safe_load(toc)["parts"] for chapter in part["chapters"]]
    (source,) = book._chosen(tmp_path, [])
    assert f"book/executed/{source.stem}" in chapters
    assert book.execute([source], root=tmp_path, jobs=1, parameters={"profile": "smoke"}) == ["50_digits"]
    executed = nbformat.read(tmp_path / "book" / "executed" / "50_digits.ipynb", as_version=4)
    assert [output["text"] for cell in executed.cells for output in cell.get("outputs", [])] == ["2\n"]


@pytest.mark.slow
def test_what_is_added_breaks_no_other_test():
    """The tests that look at registries, in a process where all examples are registered."""
    below = ("library/models/test_registry", "library/evaluation/test_metrics", "library/test_config", "study/test_catalogue")
    folders = [f"tests/{name}.py" for name in (*below, "study/test_records", "library/training/test_optimisers")]
    command = [sys.executable, "-m", "pytest", "-q", "-p", "extended", "-p", "no:cacheprovider", "-m", "not slow", *folders]
    done = subprocess.run(command, cwd=extended.ROOT, capture_output=True, text=True, env=_with_tests_importable())
    assert done.returncode == 0, done.stdout[-4000:]
    assert "residual" in subprocess.run(
        [*command[:4], "-p", "extended", "--collect-only", folders[0]],
        cwd=extended.ROOT, capture_output=True, text=True, env=_with_tests_importable(),
    ).stdout, "the example was not registered"  # fmt: skip


def _with_tests_importable() -> dict[str, str]:
    import os

    paths = [str(extended.ROOT / "tests"), str(extended.ROOT), os.environ.get("PYTHONPATH", "")]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))}


def test_contributing_has_an_example_for_each_extension_point():
    for section in (*extended.REGISTERING, "A chapter"):
        assert extended.block(section)
