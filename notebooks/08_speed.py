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
# # Speed
#
# The study needs some forty trainings, so a training has to be cheap. This page shows what one costs, what each trick
# gave, and how far that is from what the machine could do. All numbers come from committed records of `vrnn3d bench`, which
# measures the plain and the fast form of every model in one run.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d import figures, results

figures.use_style()
found = {p.stem: results.read_json(p) for p in sorted((results.folder() / "bench").glob("*.json"))}
sweep_records = {name: found.pop(name) for name in list(found) if name.endswith("_sweep")}
order = sorted(found, key=lambda name: not name.startswith("h200"))
assert order, "no benchmark is recorded: vrnn3d bench --out results/bench/cpu.json"
names = {name: found[name]["machine"]["device"] for name in order}
if not any("H200" in device for device in names.values()):
    display(
        Markdown(
            ":::{admonition} Not run yet\n:class: note\nNo GPU record is committed yet. The targets for one H200 "
            "(at least 1,000 training sequences a second at 64 x 64, 10 -> 10) are **not measured**; what follows is a CPU.\n:::"
        )
    )

# %% [markdown]
# ## The table
#
# One training step is forward, backward and Adam on sequences of 20 frames of 64 x 64 pixels, ten of them context, at full
# size. The plain form encodes and decodes step by step, computes every gate of a level in one go and every
# convolution with `nn.Conv3d`.

# %% tags=["hide-input"]
TITLES = {name: results.PAPER[name]["title"] for name in ("convlstm2d", "vrnn2d", "predrnnpp", "e3d_lstm", "improved_vrnn")}
TITLES["vrnn3d"] = "3D VRNN (ours), M = H = 2"
STOCHASTIC = ("vrnn3d", "vrnn2d", "improved_vrnn")  # the others need one prediction per sequence


def rows_of(record, form):
    return {r["model"]: r for r in record["rows"] if r["form"] == form}


def overview(record):
    plain, fast = rows_of(record, "plain"), rows_of(record, "fast")
    sampled = {r["model"]: r for r in record["rows"] if r["form"].endswith(" samples") and r["model"] in STOCHASTIC}
    rows = []
    for name, row in fast.items():
        rows.append(
            {
                "model": TITLES.get(name, name),
                "parameters (M)": f"{row['parameters'] / 1e6:.1f}",
                "GFLOP / sequence": f"{row['useful_gflop_per_sequence']:.0f}",
                "plain (s / step)": f"{plain[name]['seconds']:.2f}",
                "fast (s / step)": f"{row['seconds']:.2f}",
                "plain / fast": f"{plain[name]['seconds'] / row['seconds']:.2f}",
                "sequences / s": f"{row['sequences_per_second']:.2f}",
                "share of a matrix product": f"{row['share_of_matrix_product']:.0%}",
                "peak memory (MiB)": f"{row['peak_mib']:.0f}",
                "50-sample evaluation (s / sequence)": f"{sampled[name]['seconds']:.1f}" if name in sampled else "deterministic" if name not in STOCHASTIC else "not run",
            }
        )
    return pd.DataFrame(rows).set_index("model")


for name in order:
    record = found[name]
    s = record["settings"]
    caption = (
        f"{names[name]}, {s['threads']} threads; batch {s['batch']}, medians of {s['rounds']} rounds of {s['repeats']} calls; "
        f"commit {record['code']['commit'][:10] if record['code']['commit'] else 'unknown'}, {record['date']}"
    )
    display(figures.table_html(overview(record), caption=caption))

# %% [markdown]
# ## What each trick gave

# %% tags=["hide-input"]
cpu = found[order[-1]]
steps = [("plain, sliding by one frame", "plain, sliding (H = 1)"), ("plain, in windows", "plain")]
steps += [(r["form"].removeprefix("step: "), r["form"]) for r in cpu["rows"] if r["form"].startswith("step: ")]
ours = {r["form"]: r["seconds"] for r in cpu["rows"] if r["model"] == "vrnn3d"}
seconds = [ours[form] for _, form in steps]
figure, axis = plt.subplots(figsize=(7.4, 0.55 * len(steps) + 0.6))
colours = ["#8c8c8c", "#8c8c8c"] + ["#0b6fb0"] * (len(steps) - 3) + ["#d55e00"]
axis.barh(range(len(steps)), seconds, color=colours, height=0.62)
for i, value in enumerate(seconds):
    axis.text(value, i, f" {value:.2f} s", va="center")
axis.set_yticks(range(len(steps)), [label for label, _ in steps])
axis.invert_yaxis()
axis.set(xlabel=f"seconds per training step, batch {cpu['settings']['batch']}", xlim=(0, max(seconds) * 1.15))
plt.close(figure)
fast = ours["fast"]
glue("speed_windows", ours["plain"] / fast, display=False)
glue("speed_sliding", ours["plain, sliding (H = 1)"] / fast, display=False)
e3d = rows_of(cpu, "plain").get("e3d_lstm")
glue("speed_e3d", e3d["seconds"] / fast if e3d else float("nan"), display=False)
memory = {form: rows_of(cpu, form)["vrnn3d"]["peak_mib"] for form in ("plain", "fast")}
glue("speed_memory", memory["fast"] / memory["plain"], display=False)
figure

# %% [markdown]
# *One training step of the full-size 3D VRNN; each bar has everything of the bars above it, from the second on.* In the same run the fast form
# was {glue:text}`speed_windows:.2f` times as fast as the plain form in the same windows (target: 1.9),
# {glue:text}`speed_sliding:.2f` times as fast as the plain form sliding by one frame (target: 3.5), and
# {glue:text}`speed_e3d:.2f` times as fast as a plain E3D-LSTM of the same 12.9M parameters (target: 5). Its peak memory was
# {glue:text}`speed_memory:.2f` of the plain form's.
#
# On a processor the gain is the folding. Batching over time and hoisting save launches, which cost nothing here; the 2D
# models, which have no depth to fold, gain nothing and pay a little for them.
#
# ## How far from the machine's limit
#
# Useful operations are those of the convolutions without the products with padding along depth. The ceiling is a
# matrix product measured in the same run.

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 3.2))
share = {TITLES.get(r["model"], r["model"]): r for r in cpu["rows"] if r["form"] == "fast"}
share = dict(sorted(share.items(), key=lambda item: -item[1]["useful_tflops"]))
plains = rows_of(cpu, "plain")
for i, (title, row) in enumerate(share.items()):
    axis.barh(i, row["useful_tflops"] * 1e3, color="#d55e00" if row["model"] == "vrnn3d" else "#0b6fb0", height=0.6)
    axis.plot(plains[row["model"]]["useful_tflops"] * 1e3, i, "|", ms=16, mew=2, color="#8a8a8a")
axis.axvline(cpu["matrix_product_tflops"] * 1e3, color="#8a8a8a", ls="--", lw=1)
axis.text(cpu["matrix_product_tflops"] * 1e3, -0.75, "matrix product", ha="right", va="bottom")
axis.set_yticks(range(len(share)), share)
axis.invert_yaxis()
axis.set(xlabel="useful GFLOP/s in training", xlim=(0, None))
plt.close(figure)
figure

# %% [markdown]
# *Bars: fast form; grey marks: plain form of the same model.*
#
# ## How cost grows

# %% tags=["hide-input"]
import json

sweeps = {}
for row in [row for record in sweep_records.values() for row in record["rows"]]:
    if row["form"].startswith("sweep: "):
        _, name, change = row["form"].split(": ", 2)
        value = list(json.loads(change).values())[-1]
        sweeps.setdefault(name, []).append((value, row["seconds"] / row["batch"], row["peak_mib"]))
if sweeps:
    figure, axes = plt.subplots(1, len(sweeps), figsize=(2.3 * len(sweeps), 2.5), sharey=True)
    for axis, (name, points) in zip(np.atleast_1d(axes), sweeps.items()):
        values, cost, _ = zip(*points)
        axis.plot(range(len(values)), cost, "o-", color="#d55e00")
        axis.set_xticks(range(len(values)), values)
        axis.set_xlabel(name)
    np.atleast_1d(axes)[0].set_ylabel("s per training sequence")
    np.atleast_1d(axes)[0].set_ylim(bottom=0)  # shared, and so only after all of them are drawn
    figure.tight_layout()
    plt.close(figure)
    display(figure)
else:
    display(Markdown("*Not run in this record.*"))

# %% [markdown]
# *Cost of a training sequence of the full-size model against one setting at a time; the others stay at batch 2, M = H = 2,
# 64 x 64 pixels and 20 frames.*
#
# ## Measure it yourself
#
# ```bash
# vrnn3d bench                                   # every model, this machine
# vrnn3d bench --models vrnn3d --sweep           # how the cost of ours grows
# vrnn3d bench --against mypackage:make_model    # your model, same run, same contract
# ```
