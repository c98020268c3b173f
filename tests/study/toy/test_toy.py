"""The toy experiment: its ball, its stacked networks, its scores, its record, and what the chapter says of it."""

from __future__ import annotations

import dataclasses
import math

import pytest
import torch

from vrnn3d.layers.gaussian import SIGMA_MIN
from vrnn3d.losses import VARIANTS
from vrnn3d.study import toy
from vrnn3d.study.catalogue import WIRINGS
from vrnn3d.study.records import folder, read_json, write_json
from vrnn3d.study.toy.__main__ import main

SMALL = toy.Settings(steps=3, batch=4, length=6, hidden=8, latent=3, test_sequences=5, samples=6)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


# --- the ball ---------------------------------------------------------------------------------------------------------


def test_the_ball_stays_in_the_box_and_keeps_its_speed():
    path, velocity = toy.fly(*toy.launch(500, generator()), 200, generator(1))
    assert path.shape == (500, 200, 2) and path.abs().max() <= 1
    assert torch.allclose(velocity.norm(dim=-1), torch.full((500,), toy.SPEED), atol=1e-6)


def test_the_ball_flies_straight_between_walls_and_bounces_at_random():
    position, velocity = torch.zeros(2000, 2), torch.tensor([[toy.SPEED, 0.0]]).expand(2000, 2)
    straight, same = toy.fly(position, velocity, 4, generator())
    assert torch.allclose(straight[:, -1], torch.tensor([4 * toy.SPEED, 0.0])) and torch.equal(same, velocity)
    _, after = toy.fly(position, velocity, 5, generator())  # now it has met the right wall
    angle = torch.atan2(after[:, 1], -after[:, 0])  # from the inward normal
    assert angle.abs().max() <= toy.SPREAD + 1e-5
    # uniform on (-SPREAD, SPREAD): variance SPREAD^2 / 3
    assert float(angle.var()) == pytest.approx(toy.SPREAD**2 / 3, rel=0.1)


def test_a_corner_sends_the_ball_inward():
    position = torch.full((300, 2), 0.99)
    velocity = torch.full((300, 2), toy.SPEED / 2**0.5)
    path, after = toy.fly(position, velocity, 1, generator())
    assert (after < 0).all() and path.abs().max() <= 1


def test_the_held_out_set_is_fixed_and_the_state_continues_it():
    one, two = toy.held_out(20), toy.held_out(20)
    assert torch.equal(one.frames, two.frames) and one.frames.shape == (20, toy.CONTEXT + toy.HORIZON, 2)
    assert torch.equal(one.frames[:, toy.CONTEXT - 1], one.position)
    inside = ((one.position + one.velocity).abs() < 1).all(-1)
    assert inside.sum() > 3
    assert torch.allclose(one.frames[inside, toy.CONTEXT], (one.position + one.velocity)[inside])


# --- the networks -----------------------------------------------------------------------------------------------------


def plain_rollout(ensemble, run, frames, noise, training):
    """One run, one sequence at a time, no stacking: equations 1 to 6 once more."""
    P = {name: t[run] for name, t in ensemble.parameters.items()}
    floor, wiring = ensemble.runs[run].sigma_min, ensemble.runs[run].wiring
    h = ensemble.settings.hidden

    def linear(name, x):
        return x @ P[name] + P[name + "_bias"][0]

    def gaussian(name, x):
        mean, raw = linear(name + "_head", torch.tanh(linear(name, x))).chunk(2)
        return mean, floor + torch.log1p(raw.exp())

    out, latents = [], []
    for b in range(frames.shape[0]):
        hidden, cell = torch.zeros(h), torch.zeros(h)
        z = torch.zeros(ensemble.settings.latent)
        for t in range(frames.shape[1]):
            encoded = torch.tanh(linear("encode", frames[b, t]))
            if t:
                p, q = gaussian("prior", hidden), gaussian("posterior", torch.cat([hidden, encoded]))
                use = 1 if wiring == "z_p" or not training else 0
                mean, std = (q, p)[use]
                z = mean + std * noise[t - 1, use, b]
                step = linear("decode_head", torch.tanh(linear("decode", torch.cat([hidden, z]))))
                out.append(frames[b, t - 1] + step)
                latents.append(torch.stack([*q, *p]))
            i, f, g, o = linear("lstm", torch.cat([encoded, z, hidden])).chunk(4)
            cell = torch.sigmoid(f) * cell + torch.sigmoid(i) * torch.tanh(g)
            hidden = torch.sigmoid(o) * torch.tanh(cell)
    shape = (frames.shape[0], frames.shape[1] - 1)
    return torch.stack(out).unflatten(0, shape), torch.stack(latents).unflatten(0, shape)


@pytest.mark.parametrize("training", [True, False])
def test_stacked_networks_equal_plain_ones(training):
    runs = [toy.Run("kl_ll", "z_p", 0), toy.Run("kl_qp", "z_q", 1, 0.1)]
    ensemble = toy.Ensemble(runs, SMALL)
    frames = toy.fly(*toy.launch(4, generator()), 6, generator(1))[0]
    noise = torch.randn(5, 2, 1, 4, SMALL.latent, generator=generator(2))
    with torch.no_grad():
        prediction, q, p = ensemble.rollout(frames.expand(2, 4, 6, 2), 6, noise, training)
        for run in range(2):
            expected, latents = plain_rollout(ensemble, run, frames, noise[:, :, 0], training)
            assert torch.allclose(prediction[run], expected, atol=1e-5)
            assert torch.allclose(p.std[:, run].transpose(0, 1), latents[:, :, 3], atol=1e-5)
            if training:
                assert torch.allclose(q.mean[:, run].transpose(0, 1), latents[:, :, 0], atol=1e-5)
    assert (q is None) == (not training)


def test_after_the_context_the_networks_see_their_own_predictions_only():
    ensemble = toy.Ensemble([toy.Run("kl_ll", "z_q", 0)], SMALL)
    test = toy.held_out(4)
    changed = test._replace(frames=torch.cat([test.frames[:, : toy.CONTEXT], torch.zeros(4, toy.HORIZON, 2)], 1))
    one, two = (toy.futures(ensemble, t, 3) for t in (test, changed))
    assert torch.equal(one, two) and one.shape == (1, 4, 3, toy.HORIZON, 2)


@pytest.mark.parametrize("wiring", WIRINGS)
def test_the_posterior_gets_data_gradient_under_z_q_only(wiring):
    ensemble = toy.Ensemble([toy.Run("kl_ll", wiring, 0)], SMALL)
    frames = toy.fly(*toy.launch(4, generator()), 6, generator(1))[0][None]
    reconstruction, latent, _, _ = ensemble.losses(frames, torch.randn(5, 2, 1, 4, 3, generator=generator(2)))
    weight = ensemble.parameters["posterior"]
    (data,) = torch.autograd.grad(reconstruction.sum(), weight, retain_graph=True)
    (own,) = torch.autograd.grad(latent.sum(), weight)
    assert own.abs().sum() > 0 and (float(data.abs().sum()) == 0) == (wiring == "z_p")


def test_a_run_trains_the_same_alone_as_among_others():
    together = toy.train(toy.grid(("kl_qp", "kl_ll"), seeds=(0, 1)), SMALL, progress=False)
    alone = toy.train([toy.Run("kl_ll", "z_q", 1)], SMALL, progress=False)
    i = together.ensemble.runs.index(alone.ensemble.runs[0])
    for name, t in alone.ensemble.parameters.items():
        assert torch.allclose(t[0], together.ensemble.parameters[name][i], atol=1e-5), name


def test_runs_of_one_seed_start_alike_and_each_gets_its_own_loss():
    ensemble = toy.Ensemble(toy.grid(("kl_pq", "kl_ll"), ("z_p",), (0, 1)), SMALL)
    weights = ensemble.parameters["lstm"]
    assert torch.equal(weights[0], weights[2]) and not torch.equal(weights[0], weights[1])
    frames = toy.fly(*toy.launch(4, generator()), 6, generator(1))[0].expand(4, 4, 6, 2)
    _, latent, q, p = ensemble.losses(frames, torch.randn(5, 2, 1, 4, 3, generator=generator(2)))
    difference = latent[2:] - latent[:2]  # eq. 13 minus eq. 9 is eq. 11
    expected = (q.std.log() + ((p.mean - q.mean) / q.std) ** 2).sum(-1).mean((0, 2))[:2]
    assert torch.allclose(difference, expected, rtol=1e-4)


def test_another_unit_changes_the_loss_by_a_minus_b_log_unit_and_no_prediction():
    ensemble = toy.Ensemble(toy.grid(("kl_pq", "kl_ll"), ("z_q",), (0,)), SMALL)
    other = ensemble.in_units_of(1e-2)
    test = toy.held_out(3)
    assert torch.allclose(toy.futures(ensemble, test, 4), toy.futures(other, test, 4), atol=1e-4)
    frames = toy.fly(*toy.launch(4, generator()), 6, generator(1))[0].expand(2, 4, 6, 2)
    noise = torch.randn(5, 2, 1, 4, 3, generator=generator(2))
    change = other.losses(frames, noise)[1] - ensemble.losses(frames, noise)[1]
    assert change.tolist() == pytest.approx([0, SMALL.latent * math.log(1e-2)], abs=1e-3)


@pytest.mark.slow
def test_training_learns_the_motion_and_equation_13_narrows_the_prior():
    settings = toy.Settings(steps=150, batch=16, test_sequences=40, samples=10)
    trained = toy.train(toy.grid(("kl_qp", "kl_ll"), ("z_q",), (0,)), settings, progress=False)
    record = toy.measure(trained, toy.held_out(40))
    kl, ll = record.runs.values()
    assert kl.scores["mean_frame"].mean < 0.7 * record.references["copy last"]["mean_frame"].mean
    assert ll.curves["log_std_prior"][-1] < kl.curves["log_std_prior"][-1] - 1
    assert ll.scores["variance"].mean < 0.1 * kl.scores["variance"].mean


@pytest.mark.parametrize("arguments, message", [
    (dict(variants=("kl",)), "no 'kl'; there are: kl_pq"),
    (dict(wirings=("z",)), "no 'z'; there are: z_p, z_q"),
])  # fmt: skip
def test_unknown_names_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        toy.grid(**arguments)


def test_settings_are_checked():
    with pytest.raises(ValueError, match="toy.lr is 0, but must be a number above 0"):
        toy.Settings(lr=0)


def test_no_runs_is_refused():
    with pytest.raises(ValueError, match="no runs to train"):
        toy.Ensemble([])


# --- scores -----------------------------------------------------------------------------------------------------------


def test_average_is_mean_frame_plus_variance():
    predictions, truth = torch.randn(3, 4, 9, 5, 2, generator=generator()), torch.randn(4, 5, 2, generator=generator(1))
    table = toy.scores(predictions, truth)
    assert torch.allclose(table["average"], table["mean_frame"] + table["variance"], rtol=1e-5)
    assert (table["best"] <= table["average"]).all()
    distances = (predictions - truth[:, None]).square().sum(-1).mean(-1)
    assert torch.allclose(table["best"], distances.min(-1).values)


def test_crps_against_its_definition():
    predictions, truth = torch.randn(2, 5, 4, 2, generator=generator()), torch.randn(2, 4, 2, generator=generator(1))
    first, second = predictions[:, :, None], predictions[:, None]
    expected = (predictions - truth[:, None]).abs().mean(1) - (first - second).abs().sum((1, 2)) / (2 * 5 * 4)
    assert torch.allclose(toy.scores(predictions, truth)["crps"], expected.mean((1, 2)), atol=1e-6)
    single = toy.scores(predictions[:, :1], truth)
    assert torch.allclose(single["crps"], (predictions[:, 0] - truth).abs().mean((1, 2)))


def test_the_true_sampler_pays_twice_and_wins_where_it_should():
    test = toy.held_out(600)
    truth = test.frames[:, toy.CONTEXT :]
    table = {
        name: {k: float(v.mean()) for k, v in toy.scores(p, truth).items()} for name, p in toy.references(test, 50).items()
    }
    sampler, mean = table["true sampler"], table["true mean"]
    assert sampler["average"] / mean["average"] == pytest.approx(2, rel=0.1)
    assert sampler["variance"] == pytest.approx(mean["average"], rel=0.1)
    assert sampler["crps"] < 0.8 * mean["crps"] and sampler["best"] < 0.2 * mean["best"]


# --- the record -------------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def record():
    trained = toy.train(toy.grid(seeds=(0, 1), floors=(0.0, SIGMA_MIN)), SMALL, progress=False)
    return toy.measure(trained, toy.held_out(5))


def test_the_command_writes_a_complete_record(tmp_path, capsys):
    path = tmp_path / "ball.json"
    main(["--out", str(path), "--steps", "2", "--seeds", "1", "--batch", "2", "--test-sequences", "4"])
    written = toy.read(path)
    assert "28 runs" in capsys.readouterr().out and len(written.runs) == 28
    assert written.settings.steps == 2 and written.settings.speed == toy.SPEED and written.steps == (1, 2)
    assert written.provenance is not None and written.provenance.versions["torch"]
    run = written.runs["kl_ll z_q floor 0.1 seed 0"]
    assert run.sigma_min == SIGMA_MIN and len(run.curves["floor_fraction"]) == 2


def test_predictions_at_hand_are_scored_as_those_drawn_anew():
    trained = toy.train(toy.grid(("kl_ll",), seeds=(0,)), SMALL, progress=False)
    test = toy.held_out(5)
    assert toy.measure(trained, test) == toy.measure(trained, test, toy.futures(trained.ensemble, test, SMALL.samples))


def test_the_committed_record_is_whole_and_keeps_the_identity():
    written = toy.read(folder() / "toy" / "ball.json")
    expected = {run.label for run in toy.grid(seeds=written.seeds, floors=(0.0, SIGMA_MIN))}
    assert set(written.runs) == expected
    assert written.provenance is not None and written.provenance.code.dirty is False
    for run in written.runs.values():
        mean = {name: entry.mean for name, entry in run.scores.items()}
        assert mean["average"] == pytest.approx(mean["mean_frame"] + mean["variance"], rel=1e-3)
        assert all(entry.interval[0] <= entry.mean <= entry.interval[1] for entry in run.scores.values())


def test_a_record_comes_back_as_it_was(record, tmp_path):
    rounded = toy.read(toy.write(record, tmp_path / "ball.json"))
    assert toy.read(toy.write(rounded, tmp_path / "again.json")) == rounded
    assert rounded.mean("crps", "kl_ll", "z_q") == pytest.approx(record.mean("crps", "kl_ll", "z_q"), rel=1e-5)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda values: values.update(schema=1), "has schema 1; this version of vrnn3d reads schema 2"),
        (lambda values: values["settings"].update(steps=0), "settings.steps is 0, but must be a whole number of at least 1"),
        (lambda values: values.pop("runs"), "runs is missing"),
    ],
)
def test_a_file_that_is_no_record_is_told(record, tmp_path, change, message):
    values = read_json(toy.write(record, tmp_path / "ball.json"))
    change(values)
    with pytest.raises(ValueError, match=message):
        toy.read(write_json(values, tmp_path / "ball.json"))


# --- what the chapter says --------------------------------------------------------------------------------------------


def scored(record, score, **values):
    """The record with that mean of a score for variants (by name) and references (as "true sampler")."""

    def changed(scores, value):
        return scores | {score: dataclasses.replace(scores[score], mean=value)}

    runs = {
        key: dataclasses.replace(run, scores=changed(run.scores, values[run.variant])) if run.variant in values else run
        for key, run in record.runs.items()
    }
    truth = changed(record.references["true sampler"], values.get("truth", record.references["true sampler"][score].mean))
    return dataclasses.replace(record, runs=runs, references=record.references | {"true sampler": truth})


def test_scores_are_averaged_over_seeds(record):
    both = record.by_seed("average", "kl_qp", "z_q", SIGMA_MIN)
    assert set(both) == {0, 1} and record.mean("average", "kl_qp", "z_q", SIGMA_MIN) == pytest.approx(sum(both.values()) / 2)
    assert len(record.select(0.0, wiring="z_p")) == 2 * len(VARIANTS) and record.seeds == [0, 1]


def test_seeds_in_which_one_loss_beats_another_are_counted(record):
    rows = toy.wins(scored(record, "best", kl_ll=1.0, kl_qp=2.0), "kl_ll", "kl_qp", (0.0, SIGMA_MIN))
    assert [(row["decoded"], row["floor"]) for row in rows] == [
        ("z_p", "none"),
        ("z_q", "none"),
        ("z_p", "0.1"),
        ("z_q", "0.1"),
    ]
    assert {row["best of 50"] for row in rows} == {"2 of 2"}


def test_the_truth_is_ranked_among_the_networks(record):
    others = {variant: 1.0 + i for i, variant in enumerate(VARIANTS)}
    made = scored(record, "average", truth=2.5, **others)  # two losses score lower
    assert toy.rank_of_truth(made, "z_q", 0.0) == (3, 1 + len(VARIANTS))
    assert toy.rank_of_truth(made, None, 0.0) == (5, 1 + 2 * len(VARIANTS))
    rows = toy.ranking(made, {name: name for name in VARIANTS}, "z_q", 0.0)
    assert [row[""] for row in rows][:4] == ["kl_pq", "kl_qp", "true sampler", "kl_ll"]
    assert rows[2]["average of 50"] == "2.500 (3)" and "(" not in rows[0]["sample variance"]


def test_shares_and_gaps(record):
    made = scored(record, "variance", truth=2.0, **dict.fromkeys(VARIANTS, 0.5))
    assert toy.variance_share(made, "z_p") == pytest.approx(25)
    run = record.select(0.0, "kl_ll", "z_q")[1]
    gap = run.curves["log_std_posterior"][-1] - run.curves["log_std_prior"][-1]
    assert toy.final_gaps(record, "kl_ll", "z_q")[1] == gap
