"""What a table of forecasters says: who is first by which score, and seeds that are put together."""

from __future__ import annotations

from dataclasses import replace

import pytest
from study.chance.made import analysis, oracle, scores
from study.made import record as made

from vrnn3d.study import records
from vrnn3d.study.chance import record, report, tables
from vrnn3d.study.chance.probe import CEILING

PROTOCOL = "10->20"


def placed(*models):
    rows = [*report.oracle_rows(oracle(), PROTOCOL), *report.model_rows(models, "half", PROTOCOL)]
    return {p.question.label: p for p in report.placings(rows)}


def model(name="chance_kl_ll_z_q", seed=0, mse=30.0, **changed):
    return made(name, profile="half", seed=seed, evaluation={"test": scores(mse, **changed)})


def test_the_three_ways_in_which_a_score_places_the_oracle():
    found = placed()
    assert found["CRPS"].oracle_first and found["CRPS"].outcome == "first"
    behind, level = found["average MSE"], found["average SSIM"]
    assert not behind.oracle_first and behind.outcome == f"behind {record.TITLES[record.ORACLE_MEAN]}"
    assert not level.oracle_first and level.outcome == f"level with {record.TITLES[record.ORACLE_SINGLE]}"
    assert found["MSE of the best sample"].outcome.endswith(" (without an interval)")
    assert report.finding(list(found.values())).endswith("; it is first by the CRPS")


def test_a_model_that_is_ahead_of_the_oracle_is_named():
    found = placed(model(crps=3.0))
    assert found["CRPS"].outcome == "behind KL-LL, z_q decoded"
    assert found["average MSE"].best.name == record.ORACLE_MEAN, "the model is no better by that"


def test_seeds_of_a_model_make_one_row_and_what_was_not_run_makes_none():
    rows = report.model_rows([model(seed=0, crps=6.0), model(seed=1, crps=8.0)], "half", PROTOCOL)
    assert [row.name for row in rows] == ["chance_kl_ll_z_q"] and rows[0].seeds == (0, 1)
    crps = rows[0].scores["crps", "average"]
    assert crps.mean == 7.0 and crps.std == pytest.approx(2**0.5)
    assert report.model_rows([], "half", PROTOCOL) == []


def test_analyses_are_found_beside_the_records(tmp_path, monkeypatch):
    monkeypatch.setenv("VRNN3D_RESULTS", str(tmp_path))
    runs = [model(seed=0), model(seed=1), model("chance_no_latent")]
    assert report.analyses(runs, "half") == {}
    for run in runs[:2]:
        record.write(analysis(run.experiment, run.seed), record.analysis_path(run))
        records.write_record(run)
    found = report.analyses(runs, "half")
    assert list(found) == ["chance_kl_ll_z_q"] and [a.seed for a in found["chance_kl_ll_z_q"]] == [0, 1]
    assert len(records.read_records()) == 2, "an analysis is not taken for a record"
    assert record.read_oracle("half") is None
    record.write(oracle(), record.oracle_path("half"))
    assert record.read_oracle("half").calibration == oracle().calibration


def test_seeds_are_put_together():
    each = [analysis("chance_kl_ll_z_q", 0), analysis("chance_kl_ll_z_q", 1, flat=False, after=5.0, nats=0.7)]
    pooled = report.pooled(each, "position")
    assert pooled.frequencies == pytest.approx((0.325, 0.175, 0.175, 0.325)) and pooled.index == pytest.approx(0.3)
    assert report.calibration_spread(each, "position").mean == pytest.approx(0.3)
    assert report.probe_spread(each, "posterior").mean == pytest.approx(0.6)
    assert report.probe_spread([analysis("chance_no_latent", nats=None)], "posterior") is None
    assert report.share_of_oracle(each, oracle()).mean == pytest.approx(0.75)


def test_models_with_a_latent_are_told_in_a_sentence():
    found = {
        "chance_kl_ll_z_q": [analysis("chance_kl_ll_z_q", 0), analysis("chance_kl_ll_z_q", 1, after=5.0, nats=0.7)],
        "chance_no_latent": [analysis("chance_no_latent", nats=None)],
    }
    assert report.variance_told(found, oracle()).endswith("in percent of the true one: KL-LL, z_q decoded 75%.")
    assert list(report.nats_told(found)) == ["chance_kl_ll_z_q"]
    seeing = replace(oracle(), probe={"frames": replace(found["chance_kl_ll_z_q"][0].probe["posterior"], nats=0.88)})
    told = report.latents_told(found, seeing)
    assert f"There are {CEILING:.2f} nats to be known" in told and "no latent" not in told
    assert (
        "a linear probe finds 0.88 of them in the frames themselves, and in the posterior's z: KL-LL, z_q decoded 0.6" in told
    )
    assert "probe finds in the posterior's z" in report.latents_told(found, replace(oracle(), probe={}))
    alone = {"chance_kl_ll_z_q": found["chance_kl_ll_z_q"][:1]}
    assert "z_q decoded 0.50 (one seed)" in report.latents_told(alone, seeing)
    assert report.variance_told(alone, oracle()).endswith("z_q decoded 100% (one seed).")
    assert report.variance_told({}, oracle()) == "No model was run."
    assert report.latents_told({}, oracle()).startswith("No model has been trained here yet")


def test_tables_have_a_line_for_every_forecaster_and_say_what_was_not_run():
    rows = [*report.oracle_rows(oracle(), PROTOCOL), *report.model_rows([model(crps=6.0)], "half", PROTOCOL)]
    lines = tables.score_lines(rows, ["chance_no_latent"])
    assert [line["forecaster"] for line in lines][:1] == ["the oracle"] and len(lines) == 4 + 1 + 1
    assert lines[4]["forecaster"] == "KL-LL, z_q decoded" and lines[4]["seeds"] == "1" and lines[4]["CRPS"] == "6.00"
    assert lines[5] == {"forecaster": "no latent", "seeds": "", **dict.fromkeys(list(lines[0])[2:], "not run")}
    starred = [line["score"] for line in tables.placing_lines(report.placings(rows)) if line["score"].endswith("*")]
    assert starred == ["average MSE *", "average SSIM *"]


@pytest.mark.parametrize("made_by", [tables.calibration_lines, tables.spread_lines])
def test_tables_of_analyses_begin_with_the_oracle(made_by):
    each = [analysis("chance_kl_ll_z_q", 0), analysis("chance_kl_ll_z_q", 1, after=5.0)]
    lines = made_by(oracle(), {"chance_kl_ll_z_q": each}, ["chance_no_latent"])
    assert [line["forecaster"] for line in lines] == ["the oracle", "KL-LL, z_q decoded", "no latent"]
    assert set(list(lines[2].values())[1:]) == {"not run"} and all(set(line) == set(lines[0]) for line in lines)
    if made_by is tables.spread_lines:
        assert (lines[0]["of the oracle's"], lines[1]["of the oracle's"]) == ("100%", "75%")
        assert lines[1]["variance after"] == "7.50 ± 3.54"


@pytest.mark.parametrize("after, order, shown", [(5.0, 0.0, "0.00"), (5.0, None, ""), (0.001, 0.4, "")])
def test_the_order_is_shown_where_samples_vary_at_all(after, order, shown):
    one = analysis("chance_kl_ll_z_q", 0, after=after)
    one = replace(one, spread=replace(one.spread, order=order))
    assert tables.spread_lines(oracle(), {"chance_kl_ll_z_q": [one]}, [])[1]["order"] == shown
