"""The ablation's arithmetic on records whose answers are known, and its pictures."""

from __future__ import annotations

import dataclasses

import matplotlib
import pytest
from study.made import digits, record, seeds

from vrnn3d.study import ablation, paper, queue, scales
from vrnn3d.study.catalogue import SWEPT_BETAS, SWEPT_FLOORS, SWEPT_LOSSES, WIRINGS, names
from vrnn3d.study.compare import compare_runs
from vrnn3d.study.figures import ablation as pictures
from vrnn3d.study.wording import percent

pytestmark = pytest.mark.slow  # bootstraps of many records

matplotlib.use("agg")


def curves(validation=20.0, floor=0.9):
    """Training curves as a run of the grid keeps them."""
    return {
        "sequences": (10.0, 20.0),
        "log_std_posterior": (0.0, -1.0),
        "floor_fraction": (0.0, floor),
        "kl_per_frame": (1.0, 0.1),
        "validation_mse": (20.0, validation),
    }


def three(name, values, **kept):
    return seeds(name, values, profile="ablation", curves=curves(**kept))


def test_runs_of_the_chapter_by_name():
    runs = [*three("loss_kl_ll_z_p", [3.0, 4.0]), *three("predrnnpp", [1.0]), record("loss_kl_qp_z_p", profile="paper")]
    found = ablation.runs(runs, "ablation")
    # The row of Table 3 is the same computation as the point of the grid.
    assert set(found) == {"loss_kl_ll_z_p", "vrnn3d_kl_ll", "predrnnpp"}, "others help to tell how far seeds are apart"
    assert [r.seed for r in found["vrnn3d_kl_ll"]] == [0, 1]


def test_the_largest_scale_that_holds_what_is_compared():
    full = [record(name, profile="ablation") for name in names("losses")]
    assert ablation.largest_scale(full) == "ablation"
    assert ablation.largest_scale(full[:-1]) == ablation.largest_scale([]) == "small"


def test_the_grid_compares_with_kl_in_the_same_wiring():
    runs = [*three("loss_kl_pq_z_p", [5.0] * 3), *three("loss_kl_ll_z_p", [4.0] * 3), *three("loss_kl_ll_z_q", [9.0] * 3)]
    cells = {cell.experiment: cell for cell in ablation.grid(ablation.runs(runs, "ablation"))}
    assert cells["loss_kl_ll_z_p"].against_reference.estimate == pytest.approx(-1, abs=0.02)
    assert cells["loss_kl_pq_z_p"].against_reference is None  # itself
    assert cells["loss_kl_ll_z_q"].against_reference is None  # KL was not run in that wiring
    scores = cells["loss_kl_ll_z_p"].scores
    assert scores["best sample"].mean == pytest.approx(scores["average of samples"].mean - 1)
    assert scores["CRPS"].mean == pytest.approx(scores["average of samples"].mean / 2)
    found = ablation.runs(runs, "ablation")
    compared = ablation.against_reference(found, "z_p")
    assert ablation.told_apart(compared) == {"better": {"kl_ll": ["5->10", "5->15", "10->10", "10->20"]}}
    assert ablation.told_apart(ablation.against_reference(found, "z_q")) == {}


def test_single_seeds_of_the_grid_are_judged_by_the_spread_of_others():
    runs = [*three("loss_kl_pq_z_p", [5.0]), *three("loss_kl_ll_z_p", [4.0]), *three("loss_kl_qp_z_p", [1.0, 5.0, 9.0])]
    found = ablation.runs(runs, "ablation")
    (cell,) = (cell for cell in ablation.grid(found) if cell.variant == "kl_ll")
    assert cell.against_reference.pooled and cell.against_reference.outcome == "undecided"
    assert ablation.against_reference(found, "z_p")["kl_ll"]["10->10"] == cell.against_reference


def test_which_losses_end_at_the_floor():
    runs = [*three("loss_kl_pq_z_p", [5.0] * 3, floor=0.1), *three("loss_kl_ll_z_p", [4.0] * 3, floor=0.9)]
    found = ablation.runs(runs, "ablation")
    assert [cell.variant for cell in ablation.at_floor(found, ablation.grid(found))] == ["kl_ll"]
    assert ablation.mean_end(found["loss_kl_pq_z_p"], "kl_per_frame") == pytest.approx(0.1)


def test_the_weight_is_chosen_on_the_validation_set():
    """beta = 0.1 is best there; that beta = 0.01 is better on the test set must not matter."""
    runs = three("loss_kl_ll_z_p", [3.0] * 3, validation=8.0)
    runs += three("sweep_kl_ll_z_p_beta0.1", [2.0] * 3, validation=6.0)
    runs += three("sweep_kl_ll_z_p_beta0.01", [1.0] * 3, validation=7.0)
    points = ablation.sweep(ablation.runs(runs, "ablation"), "kl_ll", "z_p", "beta")
    assert [beta for beta, _ in points] == [0.01, 0.1, 1.0]
    assert ablation.best_on_validation(points)[0] == 0.1
    never = [dataclasses.replace(r, training=dataclasses.replace(r.training, curves={})) for r in points[0][1]]
    assert ablation.best_on_validation([(0.001, never), *points])[0] == 0.1
    assert ablation.best_on_validation([(0.001, never)]) is None
    assert ablation.best_weights(ablation.runs(runs, "ablation"), "z_p") is None  # KL was not swept
    runs += three("loss_kl_pq_z_p", [3.0] * 3, validation=5.0)
    runs += three("sweep_kl_pq_z_p_beta0.1", [9.0] * 3, validation=6.0)
    runs += three("sweep_kl_pq_z_p_beta0.01", [9.0] * 3, validation=6.0)
    best = ablation.best_weights(ablation.runs(runs, "ablation"), "z_p")
    assert (best.weight, best.reference_weight) == (0.1, 1.0)
    assert best.comparison.estimate == pytest.approx(-1, abs=0.02) and best.comparison.outcome == "better"


def test_the_chapters_runs_are_in_the_queue():
    queued = {run.name for run in queue.runs("full") if run.profile == "ablation"}
    for variant in SWEPT_LOSSES:
        for what, values, wirings in (("beta", SWEPT_BETAS, WIRINGS), ("floor", SWEPT_FLOORS, ("z_p",))):
            for wiring in wirings:
                assert {f"sweep_{variant}_{wiring}_{what}{v:g}" for v in values} <= queued
                assert ablation.loss_name(variant, wiring) in queued
    assert ablation.NO_LATENT in queued


def test_steps_of_table_3():
    """All five, beside the paper's, which lacks the row without a latent in 3D."""
    runs = [r for name, mse in zip(ablation.TABLE3, (9, 7, 6, 5, 6), strict=True) for r in three(name, [mse] * 3)]
    found = ablation.runs(runs, "ablation")
    table = pictures.steps_table(ablation.steps(found))
    assert table["the paper"].tolist() == ["−26%", "", "−31%", "", "−5.7%"]
    assert table["the error is"].tolist() == ["lower"] * 4 + ["higher"]
    assert table["seeds"].tolist() == ["3"] * 5
    assert table["the paper's size is"].tolist() == ["ruled out", "", "ruled out", "", "ruled out"]
    for step, comparison in ablation.steps(found):
        assert table.loc[step.what, "here"] == percent(comparison.estimate / comparison.theirs)
        low, high = table.loc[step.what, "95% over seeds"].split("\N{NO-BREAK SPACE}to ")
        assert low == percent(comparison.seed_interval[0] / comparison.theirs) and high.endswith("%")
    missing = pictures.steps_table(ablation.steps({name: found[name] for name in found if name != "vrnn2d"}))
    assert (missing["here"] == "not run").sum() == 2 and missing.loc["a latent in 3D", "the error is"] == "lower"


def test_a_step_of_the_paper_s_size_is_ruled_out_or_not():
    """Table 3 prints -26, -31 and -5.7%: the first happens here too, the second does not, of the third nothing is known."""
    half = [r for name, mse in (("convlstm2d", (7.0, 9.0, 11.0)), ("vrnn2d", (6.5, 6.6, 6.7)), ("vrnn3d_kl", (6.5, 6.6, 6.8)))
            for r in three(name, mse)]  # fmt: skip
    found = ablation.runs([*half, record("vrnn3d_kl_ll", profile="ablation", evaluation={"test": digits(6.0)})], "ablation")
    told = ablation.steps(found)
    paper_size = [c.rules_out(paper.change(s.before, s.after)) for s, c in told if c and paper.change(s.before, s.after)]
    assert paper_size[:2] == [False, True]
    m = "−"
    here = {s.after: percent(c.estimate / c.theirs) for s, c in told if c}
    assert ablation.paper_steps([*told[:4], (told[4][0], None)]) == (
        "a step as large as that of the paper's Table 3 is ruled out for 3D convolutions, with a latent (in the paper"
        f" {m}31%, here {here['vrnn3d_kl']}), and not ruled out for a latent in 2D (in the paper {m}26%, here"
        f" {here['vrnn2d']}), and not tested for the likelihood term (in the paper {m}5.7%)"
    )


def test_the_paper_s_step_has_its_own_scale():
    """Table 3's two losses suffice for it; the grid needs either wiring, and stays at the scale that has all of them."""
    grid_runs = [r for name in ablation.GRID for r in three(name, [5.0] * 3)]
    half = [record(name, profile="half", evaluation={"test": digits(5.0)}) for name in ablation.TERM]
    assert ablation.largest_scale(half) == scales.SCALES[-1] != ablation.largest_scale(half, ablation.TERM) == "half"
    assert ablation.largest_scale([*grid_runs, *half]) == "ablation"


def test_one_training_is_said_to_be_one():
    runs = {seeds: ablation.runs([r for name, mse in (("loss_kl_pq_z_p", 5.0), ("loss_kl_ll_z_p", 6.0))
                                  for r in three(name, [mse] * 3)[:seeds]], "ablation") for seeds in (1, 3)}  # fmt: skip
    assert "by 1.0 (from " in ablation.likelihood_term(runs[3]) and ablation.likelihood_term(runs[3]).endswith("; 3 seeds)")
    assert ablation.likelihood_term(runs[1]).endswith("; one seed: how far other trainings would differ is not known)")


def test_what_the_training_leaves_of_the_gaussians():
    runs = [*three("loss_kl_pq_z_p", [5.0] * 3, floor=0.1), *three("loss_kl_ll_z_p", [4.0] * 3, floor=0.9)]
    text = ablation.gaussians_in_words(ablation.runs(runs, "ablation"))
    assert "Under KL 10% of" in text and "Under KL-LL 90% of" in text and "0.1 nats a frame" in text
    assert ablation.nats_in_words(5.2e-5) == "less than 0.001 nats" and ablation.nats_in_words(12.3) == "12 nats"
    assert "balanced" not in text and ablation.gaussians_in_words({}) == ""


def everything():
    """Every run of the chapter; a few evaluations serve them all."""
    runs = [
        record(name, profile="ablation", seed=seed, curves=curves(), evaluation={"test": digits(3.0 + i % 4 + seed / 10)})
        for i, name in enumerate([*names("losses", "sweeps"), "convlstm3d"])
        for seed in range(3)
    ]
    return ablation.runs(runs, "ablation")


def test_pictures_show_every_run():
    found = everything()
    cells = ablation.grid(found)
    assert len(cells) == 14 and sum(cell.against_reference is None for cell in cells) == 2
    assert [len(axes.get_yticks()) for axes in pictures.forest(cells).axes] == [6, 6]
    assert all(len(axes.lines) == 21 for axes in pictures.traces(found).axes)
    assert len(pictures.ranks(cells).axes[0].lines) == 14
    assert [len(axes.lines) for axes in pictures.pareto(cells, ("no latent", 16.0)).axes] == [15, 14]
    sweeps = pictures.sweeps(found)
    assert [list(axes.lines[0].get_xdata()) for axes in sweeps.axes] == [[0.01, 0.1, 1.0]] * 3
    table = pictures.score_table(cells, found)
    assert len(table) == 14 and not (table == "not run").any(axis=None)
    first = found[cells[0].experiment]
    assert "% of black" not in table.columns, "these records hold no error of a black frame"
    mean = sum(r.score("test", "10->10") for r in first) / 3
    assert pictures.protocol_table(found, cells[0].wiring)["10 → 10"].iloc[0].startswith(f"{mean:.2f} ±")


def test_a_difference_without_test_interval_is_drawn_too():
    found = everything()
    lines = [pictures.Line("CRPS", compare_runs(found["loss_kl_ll_z_p"], found["loss_kl_pq_z_p"], metric="crps"), "kl_ll")]
    (axes,) = pictures.differences({"": lines}, "CRPS").axes
    assert len(axes.lines) == 4  # zero, interval over seeds, seeds, estimate


def test_the_likelihood_term_in_words():
    assert ablation.likelihood_term({}) == "the likelihood term was not run beside KL"
    runs = [*three("loss_kl_pq_z_p", [5.0] * 3), *three("loss_kl_ll_z_p", [7.0] * 3)]
    told = ablation.likelihood_term(ablation.runs(runs, "ablation"))
    assert told.startswith("at weight 1 the likelihood term raises the squared error of a frame, 10 → 10, by 2.0 (from")
    assert "best weight" not in told
    for beta in SWEPT_BETAS:
        # The best of KL-LL is as good as that of KL: the difference at weight 1 was one of weights.
        runs += three(f"sweep_kl_pq_z_p_beta{beta:g}", [5.0] * 3, validation=30.0)
        runs += three(f"sweep_kl_ll_z_p_beta{beta:g}", [5.0] * 3, validation=10.0)
    told = ablation.likelihood_term(ablation.runs(runs, "ablation"))
    assert "with each loss at its own best weight the difference is" in told and told.endswith("undecided")


def test_a_likelihood_term_that_seeds_hide_is_said_to_be_hidden():
    runs = [*three("loss_kl_pq_z_p", [5.0, 6.0, 7.0]), *three("loss_kl_ll_z_p", [6.5, 5.5, 7.5])]
    told = ablation.likelihood_term(ablation.runs(runs, "ablation"))
    assert "the likelihood term changes" in told and "by +0.499 (from" in told
    assert told.endswith("; 3 seeds), which cannot be told from the difference that seeds make"), (
        "the paper's step lies within these intervals"
    )
    close = [*three("loss_kl_pq_z_p", [5.0, 5.1, 4.9]), *three("loss_kl_ll_z_p", [5.05, 5.06, 4.98])]
    told = ablation.likelihood_term(ablation.runs(close, "ablation"))
    assert told.endswith("; 3 seeds), which cannot be told from the difference that seeds make; the paper's −5.7% is ruled out")


def test_the_likelihood_term_is_told_in_either_wiring():
    found = ablation.runs([*three("loss_kl_pq_z_q", [16.0] * 3), *three("loss_kl_ll_z_q", [14.0] * 3)], "ablation")
    assert "at weight 1 the likelihood term lowers" in ablation.likelihood_term(found, "z_q")
    assert ablation.likelihood_term(found) == "the likelihood term was not run beside KL"
    told = ablation.term_in_words(found, "z_q")
    assert told.startswith("From KL to KL-LL, 10 → 10: the MSE from ") and ", better; the SSIM" in told
    assert ablation.term_in_words(found, "z_p") == ""


def with_scores_of(mse, others, variance):
    """Four protocols whose SSIM and CRPS are those of another error."""
    own, other = digits(mse, variance=variance), digits(others)
    taken = {p: {m: other[p].scores[m] for m in ("ssim", "crps")} for p in own}
    return {"test": {p: dataclasses.replace(e, scores={**e.scores, **taken[p]}) for p, e in own.items()}}


@pytest.mark.parametrize(
    ("mse", "others", "variance", "words"),
    [
        (14.0, 20.0, 0.2, "The squared error falls with the spread of the samples, while SSIM and CRPS get worse."),
        (14.0, 14.0, 0.2, "The squared error falls with the spread of the samples, and neither SSIM nor CRPS gets worse."),
        (14.0, 20.0, 2.0, "The squared error falls although the samples spread no less."),
        (18.0, 20.0, 0.2, "The squared error does not fall beyond its uncertainty."),
    ],
)
def test_whether_the_term_takes_noise_away_follows_the_numbers(mse, others, variance, words):
    evaluation = with_scores_of(mse, others, variance)
    with_term = [record("loss_kl_ll_z_q", profile="ablation", seed=seed, evaluation=evaluation) for seed in range(3)]
    found = ablation.runs([*three("loss_kl_pq_z_q", [16.0] * 3), *with_term], "ablation")
    told = ablation.term_in_words(found, "z_q")
    assert words in told
    assert told.endswith(f"that of the mean frame goes from {ablation.mean_frames(found, 'loss_kl_pq_z_q', 'loss_kl_ll_z_q')}.")
    assert ablation.mean_frames(found, "loss_kl_pq_z_q", "loss_kl_qp_z_q") == ""


def test_answers_name_what_was_run():
    runs = [*three("loss_kl_pq_z_p", [5.0] * 3), *three("convlstm3d", [8.0] * 3)]
    (told,) = ablation.answers(ablation.runs(runs, "ablation"), {})
    assert told.startswith("KL at weight 1 minus no latent at all is \N{MINUS SIGN}3") and told.endswith("**better**.")
    assert ablation.answers({}, {}) == []


def test_tables_and_words_of_all_protocols():
    runs = [*three("loss_kl_pq_z_q", [5.0] * 3), *three("loss_kl_ll_balanced_z_q", [4.0] * 3)]
    found = ablation.runs(runs, "ablation")
    table = pictures.protocol_table(found, "z_q")
    assert list(table.columns) == ["seeds", "5 → 10", "5 → 15", "10 → 10", "10 → 20"]
    assert table.loc["balanced", "5 → 15"].endswith(", better") and table.iloc[0, 1].endswith(", the reference")
    told = pictures.better_in_words(found)
    assert told == (
        "none where the network decodes z_p (paper), balanced in 4 of 4 protocols where the network decodes z_q (Chung et al.)"
    )
    two = pictures.better_in_words(ablation.runs([*runs, *three("loss_kl_qp_z_q", [4.5] * 3)], "ablation"))
    assert "KL(q‖p), eq. 8 in 4 of 4 protocols and balanced in 4 of 4 protocols where" in two
    (panel,) = pictures.forest(ablation.grid(found)).axes
    assert panel.get_title() == "decodes z_q (Chung et al.)", "nothing was run in the other wiring"
    assert pictures.ends(ablation.grid(found)) == ("balanced (z_q)", "balanced (z_q)")
    assert pictures.ends([]) == ("none", "none")


def test_the_wirings_of_a_loss_are_compared():
    runs = [*three("loss_kl_pq_z_p", [5.0] * 3), *three("loss_kl_pq_z_q", [6.0] * 3), *three("loss_kl_ll_z_q", [9.0] * 3)]
    found = ablation.runs(runs, "ablation")
    compared = ablation.wirings(found)
    assert list(compared) == ["kl_pq"], "KL-LL was run in one wiring"
    mse = compared["kl_pq"]["mse"]
    assert mse.estimate == pytest.approx(1.0, abs=0.01) and mse.outcome == "worse"
    change = f"{mse.theirs:.1f} to {mse.ours:.1f}, worse"
    assert f"the MSE from {change}" in ablation.wiring_in_words(found)
    assert "(3 seeds); the MSE of the mean frame goes from " in ablation.wiring_in_words(found)
    assert pictures.wiring_table(found).loc["KL(p‖q), eq. 9", "MSE"] == change
    assert ablation.changes({"sample_variance": mse}) == {"sample variance": f"{mse.theirs:.3f} to {mse.ours:.3f}"}
    assert ablation.wiring_in_words({}) == "no loss was trained in both wirings"


def test_table_3_has_percent_of_black_where_it_was_kept():
    found = ablation.runs(three("convlstm2d", [5.0, 6.0]), "ablation")
    table = pictures.table3(found)
    assert list(table.index) == ["2D ConvLSTM"] and table["seeds"].item() == 2
    assert (
        table["% of black 10 → 10"]
        .item()
        .startswith(f"{sum(r.percent_of_black('test', '10->10') for r in found['convlstm2d']) / 2:.1f}")
    )
    assert "% of black 10 → 10" not in pictures.table3(everything())
