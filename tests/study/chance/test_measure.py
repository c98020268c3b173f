"""Models in a world with chance: where their latents are taken from, and a run that is analysed at its end."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from vrnn3d import checkpoint
from vrnn3d.layers.gaussian import Gaussian, set_noise_shard
from vrnn3d.models.base import VideoModel
from vrnn3d.study import records
from vrnn3d.study.chance import measure, record
from vrnn3d.study.chance.command import main
from vrnn3d.study.chance.probe import Bounces
from vrnn3d.study.folders import commit_record, run_folder
from vrnn3d.study.profiles import get
from vrnn3d.study.run import run


class Teller(VideoModel):
    """Its posterior's mean is the first new frame of the target clip, its prior's the last frame it was given."""

    stochastic = True

    def __init__(self, window: int, horizon: int):
        super().__init__()
        self.window, self.horizon, self.channels = window, horizon, 1

    def initial_state(self, batch, height, width, device=None, dtype=None):
        return ()

    def encode_target(self, clip):
        return clip

    def advance(self, features, state, target=None):
        tiny = torch.full_like(features[:, :1], 1e-6)
        known = Gaussian(features[:, -1:], tiny)
        told = None if target is None else Gaussian(target[:, self.window - self.horizon :][:, :1], tiny)
        return features, state, ((told, known),)


@pytest.mark.parametrize(("window", "horizon"), [(1, 1), (2, 2), (4, 1), (4, 2)])
def test_latents_are_those_of_the_step_that_predicts_the_frame_after_a_bounce(window, horizon):
    frames = (torch.arange(12, dtype=torch.uint8)[None, :, None, None, None] * 10).expand(3, -1, 1, 4, 4)
    sequence, frame = torch.tensor([0, 0, 1, 2]), torch.tensor([window - 1, 7, 8, 9])
    bounces = Bounces(sequence, frame, torch.zeros(4, 2).long(), torch.zeros(4).long(), torch.zeros(4).long())
    found = measure.latents_at(Teller(window, horizon), frames, bounces, torch.device("cpu"))
    seen = (found["posterior"][:, 0, 0, 0] * 25.5).round().long()  # the number of the first frame of the step
    assert ((seen <= frame + 1) & (frame + 1 < seen + horizon)).all()
    last = (found["prior"][:, 0, 0, 0] * 25.5).round().long()
    assert torch.equal(last, seen - 1), "the prior knows what came before"


def little(name: str):
    """A run of seconds, without sense."""
    found = get(name, "smoke")
    return replace(
        found,
        train=replace(found.train, sequences=16, validate_every=0.0),
        eval=replace(found.eval, sequences=12, samples=3),
    )


@pytest.mark.slow
def test_a_run_of_the_group_is_analysed_at_its_end_and_recorded(tmp_path, monkeypatch, capsys):
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path / "results"))
    monkeypatch.setattr(measure, "PROBED", 20)
    experiment = little("chance_kl_ll_z_q")
    done = run(experiment, 0, tmp_path, progress=False)
    folder = run_folder(tmp_path, experiment, 0)
    found = record.read(folder / "chance.json")
    assert (found.forecaster, found.samples, found.sequences) == (experiment.name, 3, 12)
    assert set(found.probe) == {"posterior", "prior"} and found.spread is not None
    commit_record(done, folder)
    assert record.read_runs([done]) == [found]
    samples = record.read_samples(record.analysis_path(done))
    assert samples is not None and samples["sample"].shape == (3, 3, 20, 1, 32, 32)
    (folder / "chance.json").unlink()
    main([str(folder)])
    assert "wrote" in capsys.readouterr().out
    again = record.read(folder / "chance.json")
    assert replace(again, seconds=0.0) == replace(found, seconds=0.0)


def test_a_model_without_a_latent_gives_one_forecast_that_stands_for_many():
    experiment = little("chance_no_latent")
    model = checkpoint.model_of(experiment)
    found, shown = measure.measure_model(model, experiment)
    assert found.probe == {} and found.samples == 3
    assert found.spread is not None and found.spread.after < 1e-9
    assert found.calibration["position"].outside > 0.8
    assert np.array_equal(shown["sample"][:, 0], shown["sample"][:, 2])


def test_an_analysis_draws_the_same_noise_within_a_training_of_several_processes(monkeypatch):
    experiment = little("chance_kl_ll_z_q")
    experiment = replace(experiment, eval=replace(experiment.eval, sequences=2, seed=2**70))
    torch.manual_seed(0)
    model = checkpoint.model_of(experiment)
    monkeypatch.setattr(measure, "probe_latents", lambda *_: {})
    found = []
    try:
        for shard in ((0, 1), (0, 2)):
            set_noise_shard(*shard)
            found.append(measure.measure_model(model, experiment)[1]["sample"])
    finally:
        set_noise_shard(0, 1)
    assert np.array_equal(*found)


@pytest.mark.parametrize(
    ("words", "told"),
    [
        ([], "name the folders of runs, or a profile with --oracle"),
        (["--digits", "3"], "name the folders of runs"),
        (["somewhere", "--sequences", "3"], "--digits and --sequences are for --oracle"),
        (["nowhere"], "nowhere holds no record.json: name the folder of a finished run"),
    ],
)
def test_a_command_line_that_asks_for_nothing_is_told(words, told, capsys):
    with pytest.raises(SystemExit):
        main(words)
    assert told in capsys.readouterr().err


def test_an_oracle_on_other_sequences_has_a_file_of_its_own():
    paths = [record.oracle_path("half", digits, sequences=n) for digits in (None, 2) for n in (None, 7)]
    assert len(set(paths)) == 4 and paths[0].name == "oracle.json" and paths[3].name == "oracle_2_digits_7_sequences.json"


def test_a_cut_run_is_not_analysed(tmp_path):
    from study.made import record as made

    records.write(made("chance_kl_ll_z_q", profile="half", status="cut"), tmp_path / "record.json")
    with pytest.raises(ValueError, match="was cut; finish it first: vrnn3d train chance_kl_ll_z_q"):
        main([str(tmp_path)])
