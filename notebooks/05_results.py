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
# Every number on this page is read from a committed record: a JSON file that names its configuration, commit, seed, device
# and library versions. A cell without a record says *not run*. Runs that are too short or too small to compare never
# stand beside the paper's numbers.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
import torch
from IPython.display import HTML, Markdown, display
from myst_nb import glue

from vrnn3d import config
from vrnn3d.study import catalogue, results, tuning
from vrnn3d.study.figures import curves
from vrnn3d import show
from vrnn3d.study.figures import style
from vrnn3d.study.figures import tables
from vrnn3d.evaluation import metrics
from vrnn3d.models import build_model

style.use_style()
records = results.read_records()
paper = [r for r in records if r["profile"] == "paper"]
with torch.device("meta"):
    counts = {
        name: build_model(catalogue.get(name).model.name).parameter_breakdown()["total"] for name in results.TABLE1
    }
counts["vrnn3d_kl"] = counts["vrnn3d_kl_ll"]
if not any(r["status"] == "finished" for r in paper):
    display(
        Markdown(
            ":::{admonition} State of the study\n:class: warning\nNo run of the `paper` profile has been finished yet: it needs "
            "a GPU. All cells of ours below are therefore empty, and the verdicts rest on counting and derivation "
            "alone. Small-scale runs stand further down, labelled as what they are.\n:::"
        )
    )

# %% [markdown]
# ## Verdicts on the paper's claims
#
# The rules are code (`vrnn3d.study.results.verdicts`): one model beats another where the 95% interval of their paired difference
# over the test sequences leaves out zero.

# %% tags=["hide-input"]
verdicts = results.verdicts(records, counts)
table = pd.DataFrame(
    [{"claim": v["claim"], "what the paper says": v["text"], "verdict": v["verdict"], "why": v["why"]} for v in verdicts]
)
shown = tables.table_html(table.set_index("claim"), caption="The claims of the paper and what became of them so far")
glue("verdicts_table", shown, display=False)
glue("verdicts_open", sum(v["verdict"].startswith("not tested") for v in verdicts), display=False)
display(shown)

# %% [markdown]
# ## Table 1: Moving MNIST
#
# SSIM (higher is better) and MSE (summed over the 64 x 64 pixels of a frame, lower is better), averaged over frames, test
# sequences and 50 samples. "5 → 10" is 5 frames of context and 10 to predict.

# %% tags=["hide-input"]
for pool, words in (("train", "test sequences of training digits, as in the paper"), ("test", "held-out test digits")):
    frame = results.table1(paper, pool=pool, counts=counts)
    display(tables.comparison_html(frame, caption=f"Table 1, {words}"))

# %% [markdown]
# ## Table 3: the ablation

# %% tags=["hide-input"]
frame = results.table1(paper, experiments=results.TABLE3, counts=counts)
display(tables.comparison_html(frame, caption="Table 3, test sequences of training digits"))

# %% tags=["hide-input"]
finished = [r for r in paper if r["status"] == "finished" and r["experiment"] in results.PAPER and r["evaluation"]]
if finished:
    display(curves.per_frame(finished, "mse", "10->20"))
    display(curves.per_frame(finished, "ssim", "10->20"))

# %% [markdown]
# ## What the models predict
#
# The form of the paper's Figure 5: test sequences 0, 1 and 2, whatever they show, and what each model makes of them.

# %% tags=["hide-input"]
SHOWN = ("convlstm2d", "vrnn2d", "convlstm3d", "vrnn3d_kl", "vrnn3d_kl_ll")
FOCUS = "vrnn3d_kl_ll"
# At the small scale the 3D rows of Table 3 are runs of the loss grid: the same computation, so it was not done twice.
SAME = {"loss_kl_pq_z_p": "vrnn3d_kl", "loss_kl_ll_z_p": "vrnn3d_kl_ll"}


def as_row(record):
    """A small-scale run under the name of the row of Table 3 that it is."""
    name = SAME.get(record["experiment"]) if record["profile"] == "small" else None
    title = name and catalogue.get(name).title.removesuffix(" (the paper's)")
    return {**record, "experiment": name, "title": title} if name else record


def with_clips(records):
    """[(record, clips)] of the models in SHOWN that kept pictures."""
    found = {as_row(r)["experiment"]: (as_row(r), results.read_clips(r)) for r in records if r["seed"] == 0}
    return [found[name] for name in SHOWN if name in found and found[name][1] is not None]


def show_predictions(shown):
    """Three strips and a moving picture; curves.predictions makes sure that all models saw the same sequence."""
    runs, clips = zip(*shown)
    first, context = int(clips[0]["first"]), int(clips[0]["context"])
    numbers = [int(n) for n in clips[0]["indices"][:first]]
    for number in numbers:
        rows = curves.predictions(runs, clips, number, means=(FOCUS,))
        display(show.strip(rows, context=context, every=2, title=f"Test sequence {number}"))
    moving = curves.predictions(runs, clips, numbers[0], means=(FOCUS,), given=True)
    titles = ", ".join(r["title"] for r in runs)
    alt = f"Test sequence {numbers[0]}, moving: the truth, then one prediction each of {titles}."
    display(show.animation(moving, alt=alt, context=context))


def show_failures(shown):
    """The worst test sequences of the model in focus, with their scores."""
    run, clip = next(pair for pair in shown if pair[0]["experiment"] == FOCUS)
    pool, context = run["config"]["data"]["test_pools"][-1], int(clip["context"])
    entry = run["evaluation"][pool][f"{context}->{clip['sample'].shape[1]}"]
    worst = [int(n) for n in clip["indices"][int(clip["first"]) :]]
    for number in worst:
        videos = curves.predictions([run], [clip], number, means=(FOCUS,)).values()
        rows = dict(zip(("truth", "one sample", "mean of all samples"), videos, strict=True))
        title = f"Test sequence {number}: MSE of a frame {entry['mse']['per_sequence'][number]:.1f}"
        display(show.strip(rows, context=context, every=2, title=title))
    display(
        Markdown(
            f"*{run['title']}, {run['profile']} profile: the {len(worst)} of {entry['sequences']} test sequences with the "
            "largest MSE, chosen by that score and by nothing else. The average over all of them is "
            f"{entry['mse']['average']:.1f}.*"
        )
    )


large = with_clips(paper)
if large:
    show_predictions(large)
    lacking = [catalogue.get(name).title for name in SHOWN if name not in [r["experiment"] for r, _ in large]]
    display(Markdown(f"*Full size. Not run, or without pictures: {', '.join(lacking) or 'none'}.*"))
else:
    display(Markdown("*Not run at full size.* The small-scale form stands [below](results-small)."))

# %% [markdown]
# ### Failures

# %% tags=["hide-input"]
if any(r["experiment"] == FOCUS for r, _ in large):
    show_failures(large)
else:
    display(Markdown("*Not run at full size.*"))

# %% [markdown]
# ## Where a number is worse than the paper's
#
# A reproduction that falls short may be wrong, or the paper may have left something out. The reasons below are the ones
# that runs of this study tell apart; each is listed with these runs and what they came to.

# %% tags=["hide-input"]
done = [r for r in paper if r["status"] == "finished"]
worse = tuning.worse(done)
compared = {r["experiment"] for r in done if r["experiment"] in results.PAPER and r["evaluation"]}
for name, cells in worse.items():
    trained = [r for r in done if r["experiment"] == name]
    numbers = "; ".join(f"{results.arrow(p)}: {ours:.1f} against {theirs:g}" for p, (ours, theirs) in cells.items())
    frame = pd.DataFrame(tuning.reasons(trained[0]["config"], records, trained)).set_index("possible reason")
    display(tables.table_html(frame, caption=f"{trained[0]['title']}, MSE, ours against the paper's: {numbers}"))
if compared and not worse:
    display(Markdown(f"No MSE of the {len(compared)} models that were run is worse than the paper's."))
if not compared:
    values = config.to_dict(catalogue.get(FOCUS))
    told = [(reason.name, tuning.telling(values, reason)[0]) for reason in tuning.REASONS]
    lines = "\n".join(f"- {name}: {tuning.runs_text(runs) or 'no run of the queues'}" for name, runs in told)
    display(
        Markdown(
            ":::{admonition} Nothing to compare yet\n:class: note\nNo run of the `paper` profile has been finished and "
            f"measured. What these runs of the queues would tell about *{catalogue.get(FOCUS).title}*:\n\n{lines}\n:::"
        )
    )

# %% tags=["hide-input"]
tuned = tuning.ranking(records)
if tuned:
    length = catalogue.get(catalogue.names("tune")[0], "tune").train.sequences
    caption = f"Tuning: the paper's model at full size, best first after {length:,} sequences; validation MSE, one seed"
    display(tables.table_html(pd.DataFrame(tuned).set_index("settings"), caption=caption))
long = [r for r in records if r["profile"] in results.COMPARABLE and tuning.last_fifth(r)]
if long:
    rows = [
        {
            "run": f"{r['profile']}/{r['experiment']}/seed{r['seed']}",
            "sequences": f"{r['training']['sequences']:,}",
            "validation MSE at the end": tuning.last_fifth(r)["level"],
            "the end": tuning.falling(r),
        }
        for r in long
    ]
    caption = "Does the validation error still fall at the end of a training?"
    display(tables.table_html(pd.DataFrame(rows).set_index("run"), caption=caption))

# %% [markdown]
# ## Where these numbers would stand today
#
# Published results of other systems on the same task, 10 → 10, as context. Their data protocol differs (see
# [the data chapter](01_data)), so they are neighbours, not competitors in one race.

# %% tags=["hide-input"]
anchors = pd.DataFrame(results.ANCHORS)
anchors["parameters"] = [f"{count / 1e6:.1f}M" for count in anchors["parameters"]]
display(tables.table_html(anchors.set_index(anchors.columns[0]), caption=results.ANCHOR_NOTE))

# %% [markdown]
# (results-small)=
# ## Small scale: what a processor can tell
#
# The same models and code, narrow, on 32 x 32 pixels with one digit, trained for minutes on a CPU. These
# runs compare systems with each other under equal conditions. They say nothing about the paper's numbers, and no column
# of the paper is shown here.

# %% tags=["hide-input"]
ELSEWHERE = ("loss_", "sweep_", "window_", "kth_")  # the subjects of other chapters
small = [as_row(r) for r in records if r["profile"] == "small" and r["status"] == "finished"]
small = [r for r in small if r["evaluation"] and not r["experiment"].startswith(ELSEWHERE)]


def average(runs, metric, statistic="average"):
    """Mean over seeds of one number, 10 -> 10."""
    return np.mean([results.value(r, "test", "10->10", metric, statistic) for r in runs])


def test_interval(runs):
    """95% bootstrap over test sequences of the MSE, averaged over seeds first."""
    return metrics.bootstrap(np.mean([r["evaluation"]["test"]["10->10"]["mse"]["per_sequence"] for r in runs], axis=0))


def small_row(runs, spread):
    low, high = test_interval(runs)
    return {
        "model": runs[0]["title"],
        "parameters": f"{runs[0]['parameters']['total']:,}",
        "seeds": len(spread["seeds"]),
        "MSE": f"{spread['mean']:.2f}",
        "± over seeds": "" if spread["std"] is None else f"{spread['std']:.2f}",
        "95% over test sequences": f"{low:.2f} to {high:.2f}",
        "MSE, best sample": f"{average(runs, 'mse', 'best'):.2f}",
        "MSE, mean frame": f"{average(runs, 'mse', 'mean_frame'):.2f}",
        "sample variance": f"{average(runs, 'sample_variance'):.3f}",
        "SSIM": f"{average(runs, 'ssim'):.3f}",
        "sequences seen": f"{runs[0]['training']['sequences']:,}",
        "minutes": f"{np.mean([r['training']['seconds'] for r in runs]) / 60:.1f}",
    }


if small:
    spreads = results.seed_spread(small, pool="test")
    groups = {name: [r for r in small if r["experiment"] == name] for _, name in spreads}
    ranked = sorted(groups, key=lambda name: spreads["small", name]["mean"])
    table = pd.DataFrame([small_row(groups[name], spreads["small", name]) for name in ranked])
    entry, settings = small[0]["evaluation"]["test"]["10->10"], small[0]["config"]["eval"]
    devices = ", ".join(sorted({r["machine"]["device"] for r in small}))
    caption = (
        f"The small profile: 10 → 10, held-out digits, {entry['sequences']} test sequences, {settings['samples']} samples "
        "where stochastic. MSE is averaged over samples; means over seeds. Two uncertainties, never mixed: the standard "
        f"deviation over seeds, and the 95% interval over test sequences of the mean over seeds. {devices}"
    )
    display(tables.table_html(table.set_index("model"), caption=caption))
    if "pixel_mean" in groups:
        mean = spreads["small", "pixel_mean"]["mean"]
        early = [groups[n][0]["title"] for n in ranked if n != "pixel_mean" and test_interval(groups[n])[1] > mean]
        display(
            Markdown(
                f"The mean of every pixel, which knows nothing of the sequence, scores {mean:.2f}. Not better than that, within the "
                f"interval: {', '.join(early) or 'none'}. All of these trainings are short: the validation error still falls at the "
                "end, and a longer one may order the models anew."
            )
        )
else:
    display(Markdown("*Not run.*"))

# %% [markdown]
# The other losses, wirings, weights and floors of the small study are the subject of [the next chapter](06_ablation).

# %% tags=["hide-input"]
seed0 = [r for r in small if r["seed"] == 0]
if seed0:
    display(curves.per_frame(seed0, "mse", "10->20", pool="test"))

# %% [markdown]
# *Small-scale runs, seed 0: squared error per predicted frame with 95% bands over test sequences.*

# %% tags=["hide-input"]
curved = [r for r in seed0 if r["training"]["sequences"]]
if curved:
    display(curves.loss_curves(curved, ["reconstruction", "validation_mse"]))

# %% [markdown]
# *Small-scale runs, seed 0: training curves.*
#
# ### What the small models predict
#
# Test sequences 0, 1 and 2 again, of digits that no training saw: one sample each, and the mean frame of all samples of
# the last model. Every second frame; the models saw what is left of the rule.

# %% tags=["hide-input"]
pictured = with_clips([r for r in records if r["profile"] == "small"])
if pictured:
    show_predictions(pictured)
else:
    display(Markdown("*Not run.*"))

# %% [markdown]
# *Small-scale runs, seed 0: 32 x 32 pixels, one digit, narrow networks.*
#
# ### Failures of the small model

# %% tags=["hide-input"]
if any(r["experiment"] == FOCUS for r, _ in pictured):
    show_failures(pictured)
else:
    display(Markdown("*Not run.*"))

# %% [markdown]
# ## Records
#
# What these pages were made from.

# %% tags=["hide-input"]
def joined(values):
    return ", ".join(dict.fromkeys(values))


def commit(record):
    return (record["code"]["commit"] or "unknown")[:10] + (" (modified)" if record["code"]["dirty"] else "")


grouped = {}
for r in records:
    grouped.setdefault(f"{r['profile']}/{r['experiment']}", []).append(r)
listing = pd.DataFrame(
    [
        {
            "run": name,
            "seeds": tuning.seeds_text(r["seed"] for r in runs).split(" ", 1)[1],
            "status": joined(r["status"] for r in runs),
            "sequences": joined(f"{r['training']['sequences']:,}" for r in runs),
            "sequences / s": joined(f"{r['training']['sequences_per_second']:.1f}" for r in runs),
            "device": joined(r["machine"]["device"] for r in runs),
            "commit": joined(commit(r) for r in runs),
            "date": joined(r["date"] for r in runs),
        }
        for name, runs in grouped.items()
    ]
)
if len(listing):
    folded = tables.table_html(listing.set_index("run")).data
    summary = f"{len(records)} records of {len(grouped)} experiments and profiles"
    scrolled = f'<div style="max-height:32em;overflow:auto">{folded}</div>'
    display(HTML(f"<details><summary>{summary}</summary>{scrolled}</details>"))
else:
    display(Markdown("*No records.*"))
left = [q for q in catalogue.queue() if results.find(q[0], q[1], q[2]) is None]
glue("queue_left", len(left), display=False)
glue("queue_all", len(catalogue.queue()), display=False)

# %% [markdown]
# Of the {glue:text}`queue_all` full-size runs in the study's queue, {glue:text}`queue_left` are still to be done
# (`vrnn3d list` names them).
