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
# # KTH: real people
#
# The paper's second data set shows six actions by 25 persons: boxing, hand clapping, hand waving, jogging, running and
# walking. It asks a harder question than bouncing digits do: what will a person be doing forty frames from now?

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import warnings

import pandas as pd
import torch
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d import experiments, figures, results
from vrnn3d.data import kth

figures.use_style()
data = experiments.get("kth_vrnn3d_kl", "small").data
try:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", kth.KTHWarning)  # the table below names what is missing
        sets = {split: kth.build_kth(data, split, length=20) for split in ("train", "validation", "test")}
except (OSError, ValueError) as reason:
    sets = {}
    display(
        Markdown(
            f":::{{admonition}} No KTH clips here\n:class: warning\nThis book was built without the clips, so the pictures are missing. "
            f"{str(reason)[:1].upper()}{str(reason)[1:]}\n:::"
        )
    )

# %% [markdown]
# ## What there is
#
# Persons 1 to 16 are for training, 17 to 25 for the test, as in the paper; two of the sixteen are held out for validation. A
# window never crosses the end of an action's interval, and so never a person. The full set has 599 clips; whatever part
# of it a machine holds is named with every number.

# %% tags=["hide-input"]
if sets:
    rows = []
    for split, found in sets.items():
        actions = pd.Series(found.actions).value_counts()
        rows.append({"split": split, "persons": ", ".join(map(str, found.persons)), "windows of 20 frames": len(found)} | actions.to_dict())
    table = pd.DataFrame(rows).set_index("split").fillna(0)
    table[table.columns[1:]] = table[table.columns[1:]].astype(int).astype(str)
    display(figures.table_html(table, caption=sets["train"].description.split(":")[0]))

# %% tags=["hide-input"]
if sets:
    chosen = {}
    for action in sorted(set(sets["train"].actions)):
        index = sets["train"].actions.index(action)
        chosen[action] = sets["train"].batch(torch.tensor([index]))[0]
    display(figures.strip(chosen, every=2))

# %% [markdown]
# *The first training window of each action, every second frame, decoded at 64 x 64 pixels.*

# %% tags=["hide-input"]
if sets:
    display(
        figures.animation(
            {name: video[:, 0] for name, video in chosen.items()},
            alt="Six grey videos of single persons: boxing, hand clapping, hand waving, jogging, running and walking.",
            scale=2,
            fps=12,
        )
    )

# %% [markdown]
# ## How long people stay
#
# The paper predicts up to 60 frames after a context of ten. Walkers and runners leave the picture; a window of seventy
# frames exists only where an interval is that long.

# %% tags=["hide-input"]
if sets:
    lengths = (20, 30, 50, 70)
    longer = {n: {s: kth.build_kth(data, s, length=n) for s in ("train", "test")} for n in lengths}
    table = pd.DataFrame(
        [
            {"frames": n, "training windows": str(len(found["train"])), "test windows": str(len(found["test"]))}
            | {"test actions": ", ".join(sorted(set(found["test"].actions)))}
            for n, found in longer.items()
        ]
    )
    display(figures.table_html(table.set_index("frames"), caption="Windows by length"))

# %% [markdown]
# ## Results
#
# The paper's Table 2 is an image that its text does not hold, so there is no number of the paper to stand beside ours.
# Runs on a part of the data are called by that part's name.

# %% tags=["hide-input"]
records = [r for r in results.read_records() if r["experiment"].startswith("kth_") and r["evaluation"]]
if records:
    rows = []
    for r in records:
        for protocol, entry in r["evaluation"]["test"].items():
            rows.append(
                {
                    "model": r["title"].removeprefix("KTH: "),
                    "profile": r["profile"],
                    "data": r["data"]["description"].split(":")[0],
                    "protocol": protocol,
                    "PSNR (dB)": f"{entry['psnr']['average']:.2f}",
                    "SSIM": f"{entry['ssim']['average']:.3f}",
                    "sequences seen": f"{r['training']['sequences']:,}",
                }
            )
    display(figures.table_html(pd.DataFrame(rows).set_index("model"), caption="Measured"))
    for profile_name in sorted({r["profile"] for r in records}):
        mine = [r for r in records if r["profile"] == profile_name]
        longest = max(mine[0]["evaluation"]["test"], key=lambda p: int(p.split("->")[1]))
        display(figures.per_frame(mine, "psnr", longest, pool="test"))
else:
    display(Markdown(":::{admonition} Not run yet\n:class: note\nNo training on KTH has been recorded. `vrnn3d list` names the runs that are waiting.\n:::"))

# %% [markdown]
# ## What others published on the full set
#
# For orientation only: other splits of the same idea, other resolutions of the details, all 599 clips.

# %% tags=["hide-input"]
anchors = pd.DataFrame(results.KTH_ANCHORS)
display(figures.table_html(anchors.set_index(anchors.columns[0]), caption="Published on KTH: SSIM and PSNR"))
