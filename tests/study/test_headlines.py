"""The sentences and the table of the first screen, on records whose answers are known."""

from __future__ import annotations

from dataclasses import replace

from study.made import record, seeds

from vrnn3d.study import headlines, tables, verdicts

COUNTS = {"vrnn3d_kl_ll": 12_942_000, "predrnnpp": 15_375_000, "e3d_lstm": 12_899_000, "improved_vrnn": 65_300_000}


def test_state_counts_outcomes_and_names_scales():
    found = verdicts.verdicts([], COUNTS)
    told = headlines.state(found)
    assert told == "Of 7 claims that we took from the paper: 2 undecided, 5 not run. Judged so far: C2, C7 by counting."
    found[0] = replace(found[0], outcome="reproduced", scale="half scale")
    assert headlines.state(found).startswith(
        "Of 7 claims that we took from the paper: 1 reproduced (C1: the best on Moving MNIST), 2 undecided, 4 not run."
    )
    assert headlines.state(found).endswith("Judged so far: C1 at half scale; C2, C7 by counting.")


def test_each_table_of_the_paper_has_an_answer():
    nothing = headlines.tables(verdicts.verdicts([], COUNTS))
    heads = ["Table 1, Moving MNIST", "Table 2, KTH", "Table 3, ablation"]
    assert [row["of the paper"].split(":")[0] for row in nothing] == heads
    assert {(row["so far"], row["how sure"]) for row in nothing} == {("not run", "nothing measured")}
    steps = [("convlstm2d", 80.0), ("vrnn2d", 60.0), ("vrnn3d_kl", 42.0), ("vrnn3d_kl_ll", 39.0)]
    runs = [run for name, mse in steps for run in seeds(name, [mse, mse + 0.1], profile="half")]
    judged = verdicts.verdicts(runs, COUNTS)
    answered = headlines.tables(judged)[2]
    assert {v.claim: headlines.seeds_of(v) for v in judged if v.claim in ("C3", "C5")} == {"C3": "2 seeds", "C5": ""}
    assert answered["so far"] == "reproduced"
    assert answered["how sure"] == "half scale: better in all 12 comparisons; 2 seeds"


def test_the_systems_in_a_sentence():
    assert headlines.systems([], "half").startswith("The paper's model has not been trained at half scale yet")
    runs = [*seeds("vrnn3d_kl_ll", [40.0], profile="half"), *seeds("vrnn2d", [30.0], profile="half")]
    told = headlines.systems(runs, "half")
    assert "the paper's number to 23% of one measured here" in told
    assert "the lowest error of the 2 systems of the paper trained there is Variational 2D ConvLSTM's" in told
    assert headlines.systems(runs[:1], "half").endswith("No other system of the paper has been trained there yet.")


def trained(name, sequences, updates=10):
    (run,) = seeds(name, [40.0], profile="half")
    return replace(run, training=replace(run.training, sequences=sequences, updates=updates))


def test_who_was_trained_on_more_or_fewer_sequences_is_named():
    runs = [trained("vrnn2d", 1000), trained("convlstm2d", 1000), trained("black", 0, 0)]

    def told(runs):
        return headlines.training_lengths(tables.systems(runs, ["vrnn2d", "convlstm2d", "e3d_lstm", "black"], "half"))

    assert told([]) == "" and told(runs) == "Each was trained on 1,000 sequences."
    assert told([*runs, trained("e3d_lstm", 750)]) == "Each was trained on 1,000 sequences, except E3D-LSTM (750)."


def test_a_length_in_a_name_needs_no_other_word():
    runs = [trained("convlstm3d", 1000), trained("vrnn2d", 1000), trained("beyond_200k", 200_000)]
    found = tables.systems(runs, ["convlstm3d", "vrnn2d", "beyond_200k"], "half")
    assert headlines.training_lengths(found) == "Each was trained on 1,000 sequences unless its name says otherwise."


def test_the_lowest_and_the_highest_window_in_a_sentence():
    runs = [record(f"window_M{m}_H{h}", mse, profile="half") for m, h, mse in ((4, 4, 40.0), (1, 1, 30.0), (10, 10, 50.0))]
    assert headlines.windows(runs[:1], "half") == "At half scale no two windows have been trained yet"
    told = headlines.windows(runs, "half")
    assert "of a black frame with M = 1, H = 1, and to" in told
    assert told.endswith("with M = 10, H = 10, the lowest and the highest of the 3 windows trained so far")


def test_a_window_that_does_not_divide_the_context_predicts_without_the_last_frames_given():
    even, uneven, long = (record(f"window_{name}", profile="half") for name in ("M4_H2", "M4_H4", "M10_H10"))
    assert headlines.window_notes([even], "10->20") == []
    told = (
        "With M = 4, H = 4 the steps do not end where the 10 given frames end: the first 2 predictions belong to a step that"
        " reads frames 5 to 8, without the last 2 frames given"
    )
    assert headlines.window_notes([with_curve(uneven, "10->20", (12.0, 13.0, *18 * (14.0,)))], "10->20") == [f"{told}."]
    falls = f"{told}; the MSE falls from 14.0 at frame 12 to 13.0 at the next."
    assert headlines.window_notes([with_curve(uneven, "10->20", (12.0, 14.0, *18 * (13.0,)))], "10->20") == [falls]
    (told,) = headlines.window_notes([long], "10->20")
    assert told.startswith("With M = 10, H = 10 the first step ends where the training sequences end: from frame 21 on")
    assert headlines.window_notes([long], "10->10") == []
    (one,) = headlines.window_notes([even], "9->10")
    assert "the first prediction belongs to a step that reads frames 5 to 8, without the last frame given" in one


def with_curve(run, protocol, errors):
    """The run with these errors of its predicted frames on test digits."""
    entry = run.measured("test", protocol)
    scores = entry.scores | {"mse": replace(entry.scores["mse"], per_frame=errors)}
    return replace(
        run, evaluation=run.evaluation | {"test": run.evaluation["test"] | {protocol: replace(entry, scores=scores)}}
    )
