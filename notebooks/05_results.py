# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Results
#
# ## What became of the paper's claims

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import pandas as pd
from IPython.display import HTML, Markdown, display
from myst_nb import glue

from vrnn3d import show
from vrnn3d.study import compare, paper, profiles, queue, scales, tuning, verdicts
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.study.figures import curves, style, tables
from vrnn3d.study.records import read_records

style.use_style()
records = read_records()
counts = verdicts.count_parameters()
judged = verdicts.verdicts(records, counts)
table = pd.DataFrame(
    {"claim": v.claim, "what the paper says": v.text, "verdict": v.outcome, "scale": v.scale, "why": v.why} for v in judged
)
shown = tables.table_html(table.set_index("claim"), caption="The claims of the paper and what became of them so far")
glue("verdicts_table", shown, display=False)
glue("verdicts_open", verdicts.open_claims(judged), display=False)
display(shown)

# %% [markdown]
# One rule for all of them (`vrnn3d.study.verdicts`): a claim rests on comparisons, over all four protocols. One side is
# better where the 95% interval of the paired difference over test sequences leaves out zero and, where there are several
# seeds, that over seeds does too. *Reproduced*: better in every comparison. *Contradicted*: worse in at least one.
# *Undecided*: the runs cannot tell, or part of the claim has none. The scale is the largest whose runs answer all of the
# claim. Test digits are ones that no training saw.
#
# Every number on this page is read from a committed record: a JSON file that names its configuration, commit, seed, device
# and library versions. A cell without a record says *not run*. Runs that are too short or too small to compare never
# stand beside the paper's MSE. What stands beside it at every scale is the MSE in percent of that of a black frame
# ({glue:text}`black_64:.1f` at 64 x 64 pixels, two digits); smaller frames and networks remain smaller all the same.

# %% tags=["hide-input"]
glue("black_64", paper.BLACK_64, display=False)
if not any(r.profile == "paper" and r.finished for r in records):
    display(
        Markdown(
            ":::{admonition} State of the study\n:class: warning\nNo full-size run has been finished yet: it needs a GPU. "
            "Cells of ours in the tables of full size are therefore empty. What a processor can tell stands "
            "[further down](results-small).\n:::"
        )
    )

# %% [markdown]
# ## Table 1: Moving MNIST
#
# SSIM (higher is better) and MSE (summed over the 64 x 64 pixels of a frame, lower is better), averaged over frames, test
# sequences and 50 samples. "5 → 10" is 5 frames of context and 10 to predict.

# %% tags=["hide-input"]
for pool, words in (("train", "test sequences of training digits, as in the paper"), ("test", "held-out test digits")):
    frame = compare.paper_table(records, pool=pool, counts=counts)
    display(tables.comparison_html(frame, caption=f"Table 1, {words}"))

# %% [markdown]
# ## Table 3: the ablation

# %% tags=["hide-input"]
frame = compare.paper_table(records, paper.TABLE3, counts=counts)
display(tables.comparison_html(frame, caption="Table 3, test sequences of training digits"))
large = scales.shown_at(records, paper.ROWS, "paper")
for metric in ("mse", "ssim") if large else ():
    display(curves.per_frame(large, metric, "10->20"))

# %% [markdown]
# ## What the models predict
#
# The form of the paper's Figure 5: test sequences 0, 1 and 2, whatever they show, and what each model makes of them.

# %% tags=["hide-input"]
SHOWN = ("convlstm2d", "vrnn2d", "convlstm3d", "vrnn3d_kl", "vrnn3d_kl_ll")
FOCUS = paper.OURS


def show_predictions(pictured):
    """Three strips and a moving picture; curves.predictions makes sure that all models saw the same sequence."""
    runs, clips = zip(*pictured)
    first, context = int(clips[0]["first"]), int(clips[0]["context"])
    numbers = [int(n) for n in clips[0]["indices"][:first]]
    for number in numbers:
        rows = curves.predictions(runs, clips, number, means=(FOCUS,))
        display(show.strip(rows, context=context, every=2, title=f"Test sequence {number}"))
    moving = curves.predictions(runs, clips, numbers[0], means=(FOCUS,), given=True)
    titles = ", ".join(r.title for r in runs)
    alt = f"Test sequence {numbers[0]}, moving: the truth, then one prediction each of {titles}."
    display(show.animation(moving, alt=alt, context=context))


def show_failures(pictured):
    """The worst test sequences of the paper's model, chosen by their MSE and by nothing else."""
    run, clip = next(pair for pair in pictured if pair[0].experiment == FOCUS)
    context = int(clip["context"])
    entry = run.measured(run.config.data.pools()[-1], f"{context}->{clip['sample'].shape[1]}")
    worst = [int(n) for n in clip["indices"][int(clip["first"]) :]]
    for number in worst:
        videos = curves.predictions([run], [clip], number, means=(FOCUS,)).values()
        rows = dict(zip(("truth", "one sample", "mean of all samples"), videos, strict=True))
        title = f"Test sequence {number}: MSE of a frame {entry.scores['mse'].per_sequence[number]:.1f}"
        display(show.strip(rows, context=context, every=2, title=title))
    text = (
        f"*{run.title}, {scales.words(run.profile)}: the {len(worst)} of {entry.sequences} test sequences with the largest "
        f"MSE. The average over all of them is {entry.scores['mse'].average:.1f}.*"
    )
    display(Markdown(text))


pictured = scales.pictured_at(records, SHOWN, "paper")
if pictured:
    show_predictions(pictured)
    if FOCUS in [r.experiment for r, _ in pictured]:
        show_failures(pictured)
else:
    display(Markdown("*Not run at full size.* The form at reduced scale stands [below](results-small)."))

# %% [markdown]
# ## Above the paper's numbers
#
# A reproduction that falls short may be wrong, or the paper may have left something out. The reasons below are the ones
# that runs of this study tell apart; each is listed with these runs and what they came to.

# %% tags=["hide-input"]
COLUMNS = {
    "reason": "possible reason",
    "here": "here",
    "runs": "runs that change this alone (MSE)",
    "counterparts": "to compare with",
}


def reasons_table(name, trained=()):
    """What may make the number of an experiment worse than the paper's."""
    rows = tuning.possibilities(EXPERIMENTS[name], records, trained)
    return pd.DataFrame(rows).rename(columns=COLUMNS).set_index("possible reason")


above = tuning.above_paper(records)
for name, cells in above.items():
    numbers = "; ".join(f"{paper.arrow(p)}: {ours:.1f} against {theirs:g}" for p, (ours, theirs) in cells.items())
    caption = f"{scales.title_of(name)}, MSE, ours against the paper's: {numbers}"
    display(tables.table_html(reasons_table(name, scales.runs_at(records, name, "paper")), caption=caption))
if not above and large:
    display(Markdown(f"No MSE of the {len(large)} models that were run is above the paper's."))
if not large:
    caption = f"Nothing to compare yet: what runs of the queues would tell about {scales.title_of(FOCUS)}"
    display(tables.table_html(reasons_table(FOCUS), caption=caption))

# %% tags=["hide-input"]
ranked = [
    {
        "settings": r.title,
        "updates": r.training.updates,
        "validation MSE at the end": tail.level,
        "the end": tuning.falling(r),
        "sequences / s": r.training.sequences_per_second,
    }
    for r, tail in tuning.ranking(records)
]
if ranked:
    caption = f"Tuning: the paper's model, {profiles.PROFILES['tune'].scale}, best first; validation MSE, one seed"
    display(tables.table_html(pd.DataFrame(ranked).set_index("settings"), caption=caption))
ends = [
    {"run": r.name, "sequences": r.training.sequences, "validation MSE at the end": tail.level, "the end": tuning.falling(r)}
    for r in records
    if r.profile in ("paper", "half") and (tail := tuning.last_fifth(r))
]
if ends:
    caption = "Does the validation error still fall at the end of a training?"
    display(tables.table_html(pd.DataFrame(ends).set_index("run"), caption=caption))

# %% [markdown]
# ## Where these numbers would stand today
#
# Published results of other systems on the same task, 10 → 10, as context. Their data protocol differs (see
# [the data chapter](01_data)), so they are neighbours, not competitors in one race.

# %% tags=["hide-input"]
anchors = pd.DataFrame(paper.ANCHORS)
anchors["parameters"] = [f"{count / 1e6:.1f}M" for count in anchors["parameters"]]
display(tables.table_html(anchors.set_index("model"), caption=paper.ANCHOR_NOTE, decimals={"mse": 2, "ssim": 4}))

# %% [markdown]
# (results-small)=
# ## Reduced scale: what a processor can tell
#
# The same models and code, narrower, on 32 x 32 pixels. These runs compare systems with each other under equal
# conditions. No MSE of the paper is shown here; the column in percent of a black frame is the one that compares.

# %% tags=["hide-input"]
SYSTEMS = (*paper.ROWS, "convlstm3d", "beyond", "black", "copy_last", "pixel_mean")
reduced = next((scale for scale in ("half", "small") if compare.systems(records, SYSTEMS, scale)), "small")
found = compare.systems(records, SYSTEMS, reduced)
seed0 = scales.shown_at(records, [s.name for s in found], reduced)
if found:
    entry, settings = seed0[0].measured("test", "10->10"), seed0[0].config.eval
    caption = (
        f"{scales.words(reduced).capitalize()}: 10 → 10, held-out digits, {entry.sequences} test sequences, {settings.samples} "
        "samples where stochastic. MSE is averaged over samples; mean over seeds ± standard deviation over seeds, and "
        "apart from "
        f"it the 95% interval over test sequences. {seed0[0].provenance.machine.device}"
    )
    display(tables.table_html(compare.system_table(found), caption=caption))
    own = ", ".join(
        f"{paper.ROWS[n].title} {paper.percent_of_black(paper.ROWS[n].scores['10->10'].mse):.0f}%" for n in paper.ROWS
    )
    display(Markdown(f"The paper's own numbers, 10 → 10, in percent of a black frame: {own}."))
else:
    display(Markdown("*Not run.*"))

# %% tags=["hide-input"]
mean = next((s for s in found if s.name == "pixel_mean"), None)
if mean is not None:
    others = [s for s in found if s.name != mean.name and s.test_interval]
    no_better = ", ".join(s.title for s in others if s.test_interval[1] > mean.mse.mean)
    text = (
        f"The mean of every pixel, which knows nothing of the sequence, scores {mean.mse.mean:.2f}. Not better than "
        f"that, within "
        f"the interval: {no_better or 'none'}. Other losses, wirings, weights and floors are the subject of "
        "[the next chapter](06_ablation)."
    )
    display(Markdown(text))
    display(curves.per_frame(seed0, "mse", "10->20", pool="test"))
trained = [r for r in seed0 if len(r.curve("reconstruction"))]
if trained:
    display(curves.loss_curves(trained, ["reconstruction", "validation_mse"]))

# %% [markdown]
# *Seed 0: squared error per predicted frame with 95% bands over test sequences, and training curves.*
#
# ### What these models predict
#
# Test sequences 0, 1 and 2 again, of digits that no training saw: one sample each, and the mean frame of all samples of
# the last model, every second frame. Then the worst sequences of that model.

# %% tags=["hide-input"]
pictured = scales.pictured_at(records, SHOWN, reduced)
if pictured:
    show_predictions(pictured)
    if FOCUS in [r.experiment for r, _ in pictured]:
        show_failures(pictured)
else:
    display(Markdown("*Not run.*"))

# %% [markdown]
# ## Records
#
# What these pages were made from.

# %% tags=["hide-input"]
listing = pd.DataFrame(scales.inventory(records))
if len(listing):
    folded = tables.table_html(listing.rename(columns={"sequences_per_second": "sequences / s"}).set_index("run")).data
    summary = f"{len(records)} records of {len(listing)} experiments and profiles"
    scrolled = f'<div style="max-height:32em;overflow:auto">{folded}</div>'
    display(HTML(f"<details><summary>{summary}</summary>{scrolled}</details>"))
else:
    display(Markdown("*No records.*"))
glue("queue_left", len(queue.unfinished("full", records)), display=False)
glue("queue_all", len(queue.runs("full")), display=False)

# %% [markdown]
# Of the {glue:text}`queue_all` full-size runs in the study's queue, {glue:text}`queue_left` are still to be done
# (`vrnn3d list` names them).
