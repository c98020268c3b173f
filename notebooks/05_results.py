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
import pandas as pd
import torch
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d import experiments, figures, results
from vrnn3d.models import build_model

figures.use_style()
records = results.read_records()
paper = [r for r in records if r["profile"] == "paper"]
with torch.device("meta"):
    counts = {
        name: build_model(experiments.get(name).model.name).parameter_breakdown()["total"] for name in results.TABLE1
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
# The rules are code (`vrnn3d.results.verdicts`): one model beats another where the 95% interval of their paired difference
# over the test sequences leaves out zero.

# %% tags=["hide-input"]
verdicts = results.verdicts(records, counts)
table = pd.DataFrame(
    [{"claim": v["claim"], "what the paper says": v["text"], "verdict": v["verdict"], "why": v["why"]} for v in verdicts]
)
shown = figures.table_html(table.set_index("claim"), caption="The claims of the paper and what became of them so far")
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
    display(figures.comparison_html(frame, caption=f"Table 1, {words}"))

# %% [markdown]
# ## Table 3: the ablation

# %% tags=["hide-input"]
frame = results.table1(paper, experiments=results.TABLE3, counts=counts)
display(figures.comparison_html(frame, caption="Table 3, test sequences of training digits"))

# %% tags=["hide-input"]
finished = [r for r in paper if r["status"] == "finished" and r["experiment"] in results.PAPER and r["evaluation"]]
if finished:
    display(figures.per_frame(finished, "mse", "10->20"))
    display(figures.per_frame(finished, "ssim", "10->20"))

# %% [markdown]
# ## Where these numbers would stand today
#
# Published results of other systems on the same task, 10 → 10, as context. Their data protocol differs (see
# [the data chapter](01_data)), so they are neighbours, not competitors in one race.

# %% tags=["hide-input"]
anchors = pd.DataFrame(results.ANCHORS)
anchors["parameters"] = [f"{count / 1e6:.1f}M" for count in anchors["parameters"]]
display(figures.table_html(anchors.set_index(anchors.columns[0]), caption=results.ANCHOR_NOTE))

# %% [markdown]
# (results-small)=
# ## Small scale: what a processor can tell
#
# The same models and code at a quarter of the width, on 32 x 32 pixels with one digit, trained for minutes on a CPU. These
# runs compare systems with each other under equal conditions. They say nothing about the paper's numbers, and no column
# of the paper is shown here.

# %% tags=["hide-input"]
small = [r for r in records if r["profile"] == "small" and r["evaluation"]]
if small:
    rows = []
    for r in sorted(small, key=lambda r: r["evaluation"]["test"]["10->10"]["mse"]["average"]):
        entry = r["evaluation"]["test"]["10->10"]
        low, high = entry["mse"]["interval"]
        rows.append(
            {
                "model": r["title"],
                "seed": r["seed"],
                "parameters": f"{r['parameters']['total']:,}",
                "MSE, average of samples": f"{entry['mse']['average']:.2f} [{low:.2f}, {high:.2f}]",
                "MSE, best sample": f"{entry['mse']['best']:.2f}",
                "MSE, mean frame": f"{entry['mse']['mean_frame']:.2f}",
                "sample variance": f"{entry['sample_variance']['average']:.3f}",
                "SSIM": f"{entry['ssim']['average']:.3f}",
                "sequences seen": f"{r['training']['sequences']:,}",
                "minutes": f"{r['training']['seconds'] / 60:.1f}",
            }
        )
    first = small[0]
    caption = (
        f"The small profile: 10 → 10, held-out digits, {first['evaluation']['test']['10->10']['sequences']} test sequences, "
        f"{first['config']['eval']['samples']} samples where stochastic; 95% intervals over test sequences; "
        f"{first['machine']['device']}"
    )
    display(figures.table_html(pd.DataFrame(rows).set_index("model"), caption=caption))
    scores = {r["title"]: r["evaluation"]["test"]["10->10"]["mse"] for r in small}
    floor = next((r for r in small if r["experiment"] == "pixel_mean"), None)
    if floor:
        mean = floor["evaluation"]["test"]["10->10"]["mse"]["average"]
        early = [title for title, score in scores.items() if score["interval"][1] > mean and title != floor["title"]]
        display(
            Markdown(
                f"The mean of every pixel, which knows nothing of the sequence, scores {mean:.2f}. Not better than that, within the "
                f"interval: {', '.join(early) or 'none'}. So short a training separates models by how soon they leave the "
                "empty prediction, and by little else."
            )
        )
else:
    display(Markdown("*Not run.*"))

# %% tags=["hide-input"]
if small:
    seed0 = [r for r in small if r["seed"] == 0 and not r["experiment"].startswith("loss_")]
    display(figures.per_frame(seed0, "mse", "10->20", pool="test"))
    display(figures.loss_curves([r for r in seed0 if r["training"]["sequences"]], ["reconstruction", "validation_mse"]))

# %% [markdown]
# *Above: squared error per predicted frame with 95% bands over test sequences. Below: training curves. Small-scale runs.*
#
# ## Does the LL term help? The small-scale answer
#
# Every loss of [the loss chapter](03_loss), with either wiring, at the small scale. The question is not settled by this;
# the full-size runs are in the queue.

# %% tags=["hide-input"]
losses = [r for r in small if r["experiment"].startswith("loss_")]
if losses:
    rows = []
    for r in losses:
        entry = r["evaluation"]["test"]["10->10"]["mse"]
        rows.append(
            {
                "label": f"{r['title']}, seed {r['seed']}",
                "estimate": entry["average"],
                "interval": entry["interval"],
                "name": r["config"]["loss"]["variant"],
            }
        )
    display(figures.forest(rows, "MSE of a frame, average over samples (10 → 10, small profile)"))
else:
    display(Markdown("*Not run.*"))

# %% tags=["hide-input"]
if losses:
    import matplotlib.pyplot as plt

    figure, axis = plt.subplots(figsize=(6.4, 3.6))
    for r in losses:
        entry = r["evaluation"]["test"]["10->10"]
        variant, wiring = r["config"]["loss"]["variant"], r["config"]["model"]["options"]["wiring"]
        axis.plot(
            entry["sample_variance"]["average"],
            entry["mse"]["average"],
            "o" if wiring == "z_p" else "s",
            color=figures.colour(variant),
            label=f"{variant}, {wiring}" if r["seed"] == 0 else None,
        )
    axis.set(xscale="symlog", xlabel="variance of the samples, summed over a frame", ylabel="MSE of a frame")
    axis.legend(fontsize=8, ncols=2, loc="center left", bbox_to_anchor=(1.01, 0.5))
    plt.close(figure)
    display(figure)

# %% [markdown]
# ## Records
#
# What these pages were made from.

# %% tags=["hide-input"]
listing = pd.DataFrame(
    [
        {
            "run": f"{r['profile']}/{r['experiment']}/seed{r['seed']}",
            "status": r["status"],
            "sequences": f"{r['training']['sequences']:,}",
            "sequences / s": f"{r['training']['sequences_per_second']:.1f}",
            "device": r["machine"]["device"],
            "commit": (r["code"]["commit"] or "unknown")[:10] + (" (modified)" if r["code"]["dirty"] else ""),
            "date": r["date"],
        }
        for r in records
    ]
)
display(figures.table_html(listing.set_index("run")) if len(listing) else Markdown("*No records.*"))
left = [q for q in experiments.queue() if results.find(q[0], q[1], q[2]) is None]
glue("queue_left", len(left), display=False)
glue("queue_all", len(experiments.queue()), display=False)

# %% [markdown]
# Of the {glue:text}`queue_all` full-size runs in the study's queue, {glue:text}`queue_left` are still to be done
# (`vrnn3d list` names them).
