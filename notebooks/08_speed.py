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
# gave, and how far that is from what the machine could do. All numbers come from committed records of `vrnn3d bench`,
# which measures the plain and the fast form of every model in one run.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import functools
import json

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib.ticker import LogLocator, NullFormatter
from myst_nb import glue

from vrnn3d.study.bench import suite
from vrnn3d.study import catalogue, results
from vrnn3d.study.figures import style
from vrnn3d.study.figures import tables

style.use_style()
found = {p.stem: results.read_json(p) for p in sorted((results.folder() / "bench").glob("*.json"))}
sweep_records = {name: found.pop(name) for name in list(found) if name.endswith("_sweep")}
large_records = {name: found.pop(name) for name in list(found) if name.endswith("_128")}
order = sorted(found, key=lambda name: not name.startswith("h200"))
assert order, "no benchmark is recorded: vrnn3d bench --out results/bench/cpu.json"
names = {name: record["machine"]["device"] for name, record in {**found, **large_records}.items()}
if not any("H200" in names[name] for name in order):
    display(
        Markdown(
            ":::{admonition} Not run yet\n:class: note\nNo GPU record is committed yet. The targets for one H200 (at"
            " least 1,000 training sequences a second at 64 x 64, 10 -> 10) are **not measured**; what follows is a"
            " CPU.\n:::"
        )
    )

# %% [markdown]
# ## The table
#
# One training step is forward, backward and Adam on sequences of 20 frames of 64 x 64 pixels, ten of them context, at
# full size. The plain form encodes and decodes step by step, computes every gate of a level in one go and every
# convolution with `nn.Conv3d`. What counts as fast on a GPU is the fast form as it is, compiled, or replayed as CUDA
# graphs, whichever took least.

# %% tags=["hide-input"]
OTHERS = ("convlstm2d", "vrnn2d", "predrnnpp", "e3d_lstm", "improved_vrnn")
TITLES = {name: results.PAPER[name]["title"] for name in OTHERS}
TITLES["vrnn3d"] = "3D VRNN (ours), M = H = 2"
OUTSIDE = {r["model"]: r["model"].split(":")[1] for name in order for r in found[name]["rows"] if ":" in r["model"]}
TITLES |= {name: f"{factory} (outside code)" for name, factory in OUTSIDE.items()}
STOCHASTIC = ("vrnn3d", "vrnn2d", "improved_vrnn")  # the others need one prediction per sequence
FAST = ("fast", "compiled", "compiled, CUDA graphs")


def rows_of(record, form):
    """{model: row} of one form; without those that failed."""
    return {r["model"]: r for r in record["rows"] if r["form"] == form and "failed" not in r}


def fastest(record, forms=FAST):
    """{model: its row with the most sequences a second}."""
    best = {}
    for row in (row for form in forms for row in rows_of(record, form).values()):
        if row["model"] not in best or row["sequences_per_second"] > best[row["model"]]["sequences_per_second"]:
            best[row["model"]] = row
    return best


def number(row, key, form):
    return form.format(row[key]) if row and key in row else "not measured"


def seconds_of(row):
    return number(row, "seconds", "{:.2f}" if row and row["seconds"] >= 0.1 else "{:.4f}")


def caption_of(name, record):
    s, commit = record["settings"], record["code"]["commit"]
    measured = record.get("rounds_measured", s["rounds"])  # the first records do not count them: they hold all
    rounds = f"{s['rounds']} round{'s' if s['rounds'] > 1 else ''} of {s['repeats']} call{'s' if s['repeats'] > 1 else ''}"
    if measured < s["rounds"]:
        rounds = f"up to {rounds}, stopped by a time budget"
    return (
        f"{names[name]}, {s['threads']} threads; batch {s['batch']}, medians of {rounds};"
        f" commit {commit[:10] if commit else 'unknown'}, {record['date']}"
    )


def overview(record):
    plain, eager, best = rows_of(record, "plain"), rows_of(record, "fast"), fastest(record)
    sampled = {r["model"]: r for r in record["rows"] if r["form"].endswith(" samples") and "failed" not in r}
    rows = []
    for name in dict.fromkeys(r["model"] for r in record["rows"] if r["form"] in ("plain", *FAST)):
        row, slow = best.get(name), plain.get(name)
        columns = {
            "model": TITLES.get(name, name),
            "parameters (M)": f"{(row or slow)['parameters'] / 1e6:.1f}" if row or slow else "not measured",
            "GFLOP / sequence": number(row, "useful_gflop_per_sequence", "{:.0f}"),
            "plain (s / step)": seconds_of(slow),
            "fast (s / step)": seconds_of(eager.get(name)),
        }
        for form in FAST[1:]:
            if any(r["form"] == form for r in record["rows"]):
                columns[f"{form} (s / step)"] = seconds_of(rows_of(record, form).get(name))
        columns["plain / fast"] = f"{slow['seconds'] / row['seconds']:.2f}" if row and slow else "not measured"
        columns["sequences / s"] = number(row, "sequences_per_second", "{:.2f}")
        columns["share of a matrix product"] = number(row, "share_of_matrix_product", "{:.0%}")
        columns["peak memory (MiB)"] = number(row, "peak_mib", "{:.0f}")
        evaluation = "not run" if name in STOCHASTIC else "deterministic"
        if name in sampled and name in STOCHASTIC:
            evaluation = seconds_of(sampled[name])
        columns[f"{record['settings']['samples']}-sample evaluation (s / sequence)"] = evaluation
        rows.append(columns)
    return pd.DataFrame(rows).set_index("model")


def show_failures(record):
    failed = [row for row in record["rows"] if "failed" in row]
    lines = [f"{TITLES.get(r['model'], r['model'])}, {r['form']}: `{r['failed'].replace('`', '')}`" for r in failed]
    if lines:
        display(Markdown("Measurements that failed:\n\n- " + "\n- ".join(lines)))


for name in order:
    display(tables.table_html(overview(found[name]), caption=caption_of(name, found[name])))
    show_failures(found[name])

# %% [markdown]
# ## What each trick gave

# %% tags=["hide-input"]
cpu = found[order[-1]]
ours = {r["form"]: r for r in cpu["rows"] if r["model"] == "vrnn3d" and "failed" not in r}
steps = [("plain, sliding by one frame", "plain, sliding (H = 1)"), ("plain, in windows", "plain")]
steps += [(form.removeprefix("step: "), form) for form in ours if form.startswith("step: ")]
steps = [(label, ours[form]["seconds"]) for label, form in steps if form in ours]
if steps:
    labels, seconds = zip(*steps)
    figure, axis = plt.subplots(figsize=(7.4, 0.55 * len(steps) + 0.6))
    colours = ["#8c8c8c" if label.startswith("plain") else "#0b6fb0" for label in labels[:-1]] + ["#d55e00"]
    axis.barh(range(len(steps)), seconds, color=colours, height=0.62)
    for i, value in enumerate(seconds):
        axis.text(value, i, f" {value:.2f} s", va="center")
    axis.set_yticks(range(len(steps)), labels)
    axis.invert_yaxis()
    axis.set(xlabel=f"seconds per training step, batch {cpu['settings']['batch']}", xlim=(0, max(seconds) * 1.15))
    plt.close(figure)
    display(figure)

# %% [markdown]
# *One training step of the full-size 3D VRNN; each bar has everything of the bars above it, from the second on.*

# %% tags=["hide-input"]
plain_e3d = rows_of(cpu, "plain").get("e3d_lstm")
compared = [
    (ours.get("plain"), "the plain form in the same windows", 1.9),
    (ours.get("plain, sliding (H = 1)"), "the plain form sliding by one frame", 3.5),
    (plain_e3d, "a plain E3D-LSTM of the same 12.9M parameters", 5),
]
said = [
    f"{row['seconds'] / ours['fast']['seconds']:.2f} times as fast as {what} (target: {target})"
    for row, what, target in compared
    if row and "fast" in ours
]
said += [
    f"{row['seconds'] / ours['fast']['seconds']:.2f} times as fast as the outside {OUTSIDE[name]} ({row['parameters'] / 1e6:.1f}M)"
    for name, row in fastest(cpu, ("plain", *FAST)).items()  # theirs in whichever form took least
    if name in OUTSIDE and "fast" in ours
]
text = f"In the same run the fast form was {', '.join(said)}." if said else "*This record compares no two forms.*"
if OUTSIDE:
    text += (
        " The outside models are those of [OpenSTL](https://github.com/chengtan9907/OpenSTL), its cells and default sizes as they "
        "are, stepped through our time loop by an adapter that is no part of this repository."
    )
if "fast" in ours and "plain" in ours:
    text += f" Its peak memory was {ours['fast']['peak_mib'] / ours['plain']['peak_mib']:.2f} of the plain form's."
display(Markdown(text))

# %% [markdown]
# On a processor the gain is the folding. Batching over time and hoisting save launches, which cost little here; the 2D
# models have no depth to fold, and stay about where they were.
#
# ## How far from the machine's limit
#
# Useful operations are those of the convolutions without the products with padding along depth. The ceiling is a
# matrix product measured in the same run.

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(7, 3.2))
best, plains = fastest(cpu), rows_of(cpu, "plain")
share = sorted((row for row in best.values() if "useful_tflops" in row), key=lambda row: -row["useful_tflops"])
for i, row in enumerate(share):
    axis.barh(i, row["useful_tflops"] * 1e3, color="#d55e00" if row["model"] == "vrnn3d" else "#0b6fb0", height=0.6)
    if "useful_tflops" in plains.get(row["model"], {}):
        axis.plot(plains[row["model"]]["useful_tflops"] * 1e3, i, "|", ms=16, mew=2, color="#8a8a8a")
if cpu["matrix_product_tflops"]:
    axis.axvline(cpu["matrix_product_tflops"] * 1e3, color="#8a8a8a", ls="--", lw=1)
    axis.text(cpu["matrix_product_tflops"] * 1e3, -0.75, "matrix product", ha="right", va="bottom")
axis.set_yticks(range(len(share)), [TITLES.get(row["model"], row["model"]) for row in share])
axis.invert_yaxis()
axis.set(xlabel="useful GFLOP/s in training", xlim=(0, None))
plt.close(figure)
figure

# %% [markdown]
# *Bars: fast form; grey marks: plain form of the same model.*
#
# ### Operations or memory?
#
# A step can be held up by arithmetic or by memory. Below, every model stands at its *intensity*, the useful operations
# it does for each byte it moves. Left of the bend a machine cannot do more than its memory feeds it (the slope: a copy,
# measured in the same run), right of it no more than its arithmetic gives (the level: the matrix product). Bytes are
# counted on shapes, as if every operation read its inputs from memory and wrote its outputs there. That is an upper
# bound, since caches and fusing compilers save some of it: the true intensity of a point lies further right, so a point
# may stand above the slope.

# %% tags=["hide-input"]
def roofline(record):
    """The figure of a record that has both ceilings and counted bytes, else None."""
    peak, bandwidth = record["matrix_product_tflops"], record.get("copy_gigabytes_per_second")
    points = []  # (model, fast or plain, FLOP per byte, GFLOP/s)
    for fast, rows in ((True, fastest(record)), (False, rows_of(record, "plain"))):
        for model, row in rows.items():
            if row.get("gigabytes_per_sequence") and "useful_tflops" in row:
                intensity = row["useful_gflop_per_sequence"] / row["gigabytes_per_sequence"]
                points.append((model, fast, intensity, row["useful_tflops"] * 1e3))
    if not (peak and bandwidth and points):
        return None
    figure, axis = plt.subplots(figsize=(7.4, 4.6))
    bend = peak * 1e3 / bandwidth
    across = [p[2] for p in points]
    x = np.array([min(*across, bend) / 3, bend, max(*across, bend) * 2])
    axis.loglog(x, np.minimum(x * bandwidth, peak * 1e3), color="#8a8a8a", lw=1.2)
    axis.text(x[-1], peak * 1e3 * 1.05, f"matrix product, {peak * 1e3:,.0f} GFLOP/s", ha="right", va="bottom")
    slope = np.degrees(np.arctan(bandwidth))  # of the line, in units of the axes
    along = {"rotation": slope, "rotation_mode": "anchor", "transform_rotates_text": True}
    middle = (x[0] * bend) ** 0.5
    axis.text(middle, middle * bandwidth * 1.05, f"copy, {bandwidth:,.0f} GB/s", ha="center", va="bottom", **along)
    for model in dict.fromkeys(p[0] for p in points):
        colour = "#d55e00" if model == "vrnn3d" else "#0b6fb0"
        mine = {fast: (i, rate) for m, fast, i, rate in points if m == model}
        if len(mine) == 2:
            axis.plot(*zip(mine[False], mine[True]), color=colour, lw=0.8, alpha=0.6)
        for fast, place in mine.items():
            fill = colour if fast else "none"
            axis.plot(*place, "o", ms=6, mec=colour, mfc=fill, mew=1.4, zorder=4 if model == "vrnn3d" else 3)
    axis.set(xlabel="useful operations per byte moved (FLOP / byte)", ylabel="useful GFLOP/s in training")
    axis.set_ylim(min(x[0] * bandwidth, *(p[3] for p in points)) / 1.5, peak * 1e3 * 1.8)
    for side in (axis.xaxis, axis.yaxis):
        side.set_major_locator(LogLocator(subs=(1, 2, 5)))
        side.set_major_formatter("{x:,.10g}")
        side.set_minor_formatter(NullFormatter())
    label_beside(axis, {p[0]: p[2:] for p in reversed(points)}, x[-1])
    plt.close(figure)
    return figure


def label_beside(axis, places, right):
    """Names in a column at the right edge, each at its point's height or as near as leaves room for a line of text."""
    ordered = sorted(places, key=lambda model: places[model][1])
    low, high = np.log10(axis.get_ylim())
    gap = 0.062 * (high - low)
    heights = np.log10([places[model][1] for model in ordered])
    for i in range(1, len(heights)):
        heights[i] = max(heights[i], heights[i - 1] + gap)
    heights += np.mean(np.log10([places[model][1] for model in ordered]) - heights)  # as much below as above
    for model, height in zip(ordered, heights):
        colour = "#d55e00" if model == "vrnn3d" else "#0b6fb0"
        axis.annotate(
            TITLES.get(model, model),
            places[model],
            (right * 1.12, 10**height),
            annotation_clip=False,
            va="center",
            color=colour,
            arrowprops={"arrowstyle": "-", "color": colour, "lw": 0.5, "alpha": 0.5, "shrinkB": 5, "relpos": (0, 0.5)},
        )


for name in order:
    figure = roofline(found[name])
    if figure is None:
        display(Markdown(f"*The record of {names[name]} has no memory bandwidth, or no counted bytes: no roofline.*"))
    else:
        display(Markdown(f"{names[name]}, batch {found[name]['settings']['batch']}:"), figure)

# %% [markdown]
# *Filled: the fast form; hollow: the plain form of the same model. Points to the left move more bytes for the same
# useful work.*
#
# ## How cost grows

# %% tags=["hide-input"]
sweeps = {}
for row in [row for record in sweep_records.values() for row in record["rows"]]:
    if row["form"].startswith("sweep: ") and "failed" not in row:
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
# *Cost of a training sequence of the full-size model against one setting at a time; the others stay at batch 2,
# M = H = 2, 64 x 64 pixels and 20 frames.*
#
# ## At 128 x 128
#
# KTH is learned at this size ([](09_kth)): four times the pixels, so four times the operations of a convolution.

# %% tags=["hide-input"]
def at_128(record):
    rows = []
    for name, row in fastest(record, ("plain", *FAST)).items():
        rows.append(
            {
                "model": TITLES.get(name, name),
                "plain (s / step)": seconds_of(rows_of(record, "plain").get(name)),
                "fastest (s / step)": seconds_of(row),
                "form": row["form"],
                "sequences / s": number(row, "sequences_per_second", "{:.2f}"),
                "peak memory (MiB)": number(row, "peak_mib", "{:.0f}"),
            }
        )
    return pd.DataFrame(rows).set_index("model")


if not large_records:
    display(
        Markdown(
            ":::{admonition} Not run yet\n:class: note\nNo record at this size is committed: `vrnn3d bench --size 128"
            " --models vrnn3d vrnn2d convlstm2d e3d_lstm --batch 1 --out results/bench/cpu_128.json`.\n:::"
        )
    )
for name, record in large_records.items():
    display(tables.table_html(at_128(record), caption=caption_of(name, record)))
    show_failures(record)

# %% [markdown]
# ## What the whole study costs
#
# The full-size runs of the queue (`vrnn3d list`), training alone; the rows that only copy a frame are left out. Hours
# are sequences divided by the measured sequences per second of the model's best row above. Where a run has other
# windows or larger frames than that row, they are multiplied by the ratio of the counted useful operations; where there
# is a record at 128 x 128 of the same machine, it is what a run at that size goes by.

# %% tags=["hide-input"]
from vrnn3d.study import cost
from vrnn3d.study.bench.record import read_all

devices = cost.devices(read_all().values())
target_column = f"TARGET, not measured: hours at {cost.TARGET:,} a second"
table = pd.DataFrame(
    {"runs of": c.part, "model": c.whose, "runs": c.runs, "sequences (millions)": c.sequences / 1e6}
    | {f"hours, {device}": cost.amount(hours) for device, hours in c.hours.items()}
    | {target_column: cost.amount(c.at_target, "")}
    for c in cost.study_costs(devices)
)
caption = "The full queue: training on one device, from the measured rates"
study_costs = tables.table_html(table.set_index("runs of"), caption=caption, decimals=2)
glue("study_costs", study_costs, display=False)
study_costs

# %% [markdown]
# By command, in minutes. More than one device is counted as if that many were that many times as fast, which nobody has
# measured here. The column of the target knows our runs only, since there is none for the other models.

# %% tags=["hide-input"]
target_column = f"TARGET, not measured: minutes, our runs at {cost.TARGET:,} a second"
table = pd.DataFrame(
    {"command": c.command.command, "what": c.command.what}
    | {f"minutes, {device}": cost.amount(minutes) for device, minutes in c.minutes.items()}
    | {target_column: cost.amount(c.ours_at_target)}
    for c in cost.command_costs(devices)
)
study_commands = tables.table_html(table.set_index("command"), caption="Training time by command")
glue("study_commands", study_commands, display=False)
study_commands

# %% [markdown]
# Evaluation comes on top: 50 samples of each of 1,000 test sequences, four protocols and two digit pools (see the last
# column of the first table for one sequence).
#
# ## Measure it yourself
#
# ```bash
# vrnn3d bench                                   # every model, this machine
# vrnn3d bench --models vrnn3d --sweep           # how the cost of ours grows
# vrnn3d bench --minutes 9                       # stop in time; what was measured is kept
# vrnn3d bench --against mypackage:make_model    # your model, same run, same contract
# ```
