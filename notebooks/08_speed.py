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
# The study needs many trainings, so a training has to be cheap. This page shows what one costs, what each step towards the
# fast form gave, and how far that is from what the machine could do. All numbers come from committed records of
# `vrnn3d bench`, which measures the plain and the fast form of every model at full size in one run.
#
# :::{admonition} In short
# :class: tip
# - On {glue:text}`speed_device` a training step of our 3D VRNN is {glue:text}`speed_plain_over_fast:.1f` times as fast in the
#   fast form as in the plain one, with the same results up to rounding; depth folding alone makes it
#   {glue:text}`speed_folding:.1f` times as fast.
# - Fast form against fast form, an E3D-LSTM with as many parameters takes {glue:text}`speed_e3d_fast:.1f` times as long as
#   ours. (Its plain form against our fast one: {glue:text}`speed_e3d_plain:.1f` times.)
# - Our training step reaches {glue:text}`speed_share:.0f`% of the rate of a matrix product on the same machine.
# :::

# %% tags=["hide-input"]
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d.study import cost, paper
from vrnn3d.study.bench import record, report
from vrnn3d.study.bench.jobs import FAST, PLAIN
from vrnn3d.study.figures import costs, speed, style, tables
from vrnn3d.study.figures.style import figure_html
from vrnn3d.study.precision import controls
from vrnn3d.study.records import read_records

style.use_style()

# %%
everything = record.read_all()  # a GPU's before a processor's
assert everything, "no benchmark is recorded: vrnn3d bench --out results/bench/cpu.json"
main = [b for name, b in everything.items() if not name.endswith(("_sweep", "_128", "_bfloat16"))]
large = [b for name, b in everything.items() if name.endswith("_128")]
cpu = main[-1]
printed = {name: row.title for name, row in paper.ROWS.items()}
titles = report.titles_of(list(everything.values()), printed)

# %% tags=["hide-input"]
if not any("H200" in bench.device for bench in main):
    display(
        Markdown(
            ":::{admonition} Not run yet\n:class: note\nNo record of an H200 is committed yet. The target for one (at "
            "least 1,000 training sequences a second at 64 × 64, 10 → 10) is **not measured**; what follows is a "
            "processor.\n:::"
        )
    )

# %% tags=["remove-cell"]
ours, e3d = report.ours_by_form(cpu), {form: report.rows_of(cpu, form)["e3d_lstm"] for form in (PLAIN, FAST)}
glue("speed_plain_over_fast", ours[PLAIN].seconds / ours[FAST].seconds, display=False)
glue("speed_e3d_plain", e3d[PLAIN].seconds / ours[FAST].seconds, display=False)
glue("speed_e3d_fast", e3d[FAST].seconds / ours[FAST].seconds, display=False)
glue("speed_folding", report.folding_gain(cpu), display=False)
glue("speed_e3d_plain_gflop", e3d[PLAIN].useful_gflop_per_sequence, display=False)
glue("speed_e3d_fast_gflop", e3d[FAST].useful_gflop_per_sequence, display=False)
glue("speed_share", 100 * ours[FAST].share_of_matrix_product, display=False)
glue("speed_device", f"{cpu.device}, {cpu.settings.threads} threads, batch {cpu.settings.batch},", display=False)

# %% [markdown]
# ## The table
#
# One training step is forward, backward and Adam on sequences of 20 frames of 64 × 64 pixels, ten of them context, at
# full size. The plain form encodes and decodes step by step, computes all gates of a level in one convolution and every
# convolution with `nn.Conv3d`. On a GPU the fast form is measured as it is, compiled, and replayed as CUDA graphs, and the
# quickest of the three counts.

# %%
for bench in main:
    display(tables.table_html(report.overview(bench, titles), caption=report.caption(bench)))
    if failed := report.failures(bench, titles):
        display(Markdown("Measurements that failed:\n\n- " + "\n- ".join(failed)))

# %% [markdown]
# What a training sequence asks of a machine is counted on shapes, in the fast form:

# %%
caption = "Parameters, and operations and memory traffic of a training sequence"
tables.table_html(report.work(cpu, titles), caption=caption)

# %% [markdown]
# ## What each step gave

# %% tags=["hide-input"]
bars = "; ".join(f"{label} {seconds:.2f} s" for label, seconds in report.waterfall(cpu))
figure_html(speed.waterfall(cpu), f"Bars of seconds per training step: {bars}.")

# %% [markdown]
# *One training step of the full-size 3D VRNN; each bar has everything of the bars above it, from the second on.*

# %% tags=["hide-input"]
said = "\n".join(f"- {text}" for text in report.comparisons(cpu, titles))
memory = ours[FAST].peak_mib / ours[PLAIN].peak_mib
outside = (
    "\n\nThe outside models are those of [OpenSTL](https://github.com/chengtan9907/OpenSTL), its cells and "
    "default sizes as they are, stepped through our time loop by an adapter that is no part of this repository."
)
display(
    Markdown(
        f"In the same run the fast form of the 3D VRNN was\n\n{said}\n\nIts peak memory was {memory:.2f} of the plain form's."
        + outside * bool(report.outside_models([cpu]))
    )
)

# %% [markdown]
# On a processor the gain comes from folding. Batching over time and hoisting the input half of the gates out of the
# recurrence save kernel launches, which cost little here; the 2D models have no depth to fold, and stay about where they were at
# this size.
#
# ## How far from the machine's limit
#
# Useful operations are those of the convolutions without the products with padding along depth. The ceiling is a
# matrix product measured in the same run.

# %% tags=["hide-input"]
shares = [row.share_of_matrix_product for row in report.fastest(cpu).values() if row.share_of_matrix_product]
figure_html(
    speed.useful_rates(cpu, titles),
    "Bars of useful GFLOP/s in training, one per model, beside a dashed line at the rate of a matrix product. The fast forms reach "
    f"between {min(shares):.0%} and {max(shares):.0%} of it.",
)

# %% [markdown]
# *Bars: fast form; marks: plain form of the same model. The two forms of E3D-LSTM do not count the same operations
# ({glue:text}`speed_e3d_plain_gflop:.0f` GFLOP a sequence in the plain form, {glue:text}`speed_e3d_fast_gflop:.0f` in the fast one),
# so its mark can lie to the right of its bar although the fast form takes less time.*
#
# ### Operations or memory?
#
# A step can be limited by arithmetic or by memory. Below, every model stands at its *intensity*, the useful operations
# it does for each byte it moves. Left of the bend a machine cannot do more than its memory feeds it (the slope: a copy,
# measured in the same run), right of it no more than its arithmetic gives (the level: the matrix product). Bytes are
# counted on shapes, as if every operation read its inputs from memory and wrote its outputs there. That is an upper
# bound, since caches and fusing compilers save some of it: the true intensity of a point lies further right, so a point
# may stand above the slope.

# %% tags=["hide-input"]
alt = (
    "Roofline on logarithmic axes: a slope for the memory, then a level for the arithmetic; a filled point for each model in its "
    "fast form and a hollow one in its plain form."
)
for bench in main:
    figure = speed.roofline(bench, titles)
    if figure is None:
        display(Markdown(f"*The record of {bench.device} has no memory bandwidth, or no counted bytes: no roofline.*"))
    else:
        display(Markdown(f"{bench.device}, batch {bench.settings.batch}:"), figure_html(figure, alt))

# %% [markdown]
# *Filled: the fast form; hollow: the plain form of the same model. Points to the left move more bytes for the same
# useful work.*
#
# ## How cost grows

# %% tags=["hide-input"]
figure = speed.growth(list(everything.values()))
alt = "Panels of seconds per training sequence, one for each setting that is varied: batch, M = H, H at M = 4, size and length."
figure_html(figure, alt) if figure else Markdown("*No sweep is recorded.*")

# %% [markdown]
# *Seconds per training sequence of the fast form of the full-size 3D VRNN against one setting at a time; the others stay at batch 2,
# M = H = 2, 64 × 64 pixels and 20 frames. These are other runs than the table's, on machines as fast as they were then, so compare
# the points of a panel with each other only.*

# %% tags=["hide-input"]
for name, bench in everything.items():
    if name.endswith("_sweep"):
        product = bench.matrix_product_tflops
        rate = f" A matrix product ran at {1000 * product:,.0f} GFLOP/s there." if product else ""
        display(Markdown(f"*{report.caption(bench)}.{rate}*"))

# %% [markdown]
# ## At 128 × 128
#
# The paper's KTH has this size; [the KTH runs of this book](09_kth) have 64 × 64. Four times the pixels are four times the operations
# of a convolution. Whether time follows depends on the form and the model; each was timed once here.

# %%
for bench in large:
    rows = report.short_overview(bench, titles)
    display(tables.table_html(rows, caption=report.caption(bench)))
if not large:
    display(Markdown("*Not run yet: `vrnn3d bench --size 128 --out results/bench/cpu_128.json`.*"))

# %% [markdown]
# ## Half precision on a processor
#
# Recent server processors have instructions for bfloat16: some multiply whole tiles of matrices (AMX), several times as fast as in
# float32, others take dot products (AVX-512 BF16). `vrnn3d bench` then measures the fast form in both. A training takes it with
# `--set train.precision=bfloat16`; by default a processor trains in float32, since without such instructions half precision is the
# slower of the two.

# %% tags=["hide-input"]
halves = {name: lines for name, bench in everything.items() if (lines := report.half_precision(bench, titles))}
for name, lines in halves.items():
    display(tables.table_html(lines, caption=report.caption(everything[name])))
    product = everything[name].matrix_product_tflops
    text = f"*A matrix product in float32 ran at {1000 * product:,.0f} GFLOP/s there, on all threads.*" if product else ""
    display(Markdown(text))
effect = "; ".join(controls(read_records(), "half"))
glue("speed_half_precision", effect or "not measured yet", display=False)
if not halves:
    display(Markdown("*Not measured yet: `vrnn3d bench --out results/bench/cpu_bfloat16.json` on such a processor.*"))

# %% [markdown]
# What half precision does to the result of a training was {glue:text}`speed_half_precision`.
#
# ## What the whole study costs
#
# [](../reproduce) has two tables of it, the hours of each part of the full queue and the minutes of each command, training
# alone. They are computed from the rates above (`vrnn3d.study.cost`): hours are sequences divided by the measured sequences
# per second of the model's best row. Where a run has other windows or larger frames than that row, they are multiplied by the
# ratio of the counted useful operations; where there is a record at 128 × 128 of the same machine, it is what a run at that
# size goes by. More than one device is counted as if that many were that many times as fast, which nobody has measured here.
# The column of the target knows our runs only, since there is none for the other models.

# %% tags=["remove-cell"]
devices = cost.devices([*main, *large])
caption = "The full queue, without its one row that needs no training: training on one device, from the measured rates"
glue("study_costs", tables.table_html(costs.study_table(devices), caption=caption, decimals=2), display=False)
glue("study_commands", tables.table_html(costs.command_table(devices), caption="Training time by command"), display=False)

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
#
# ## What to take away
#
# - Count what a network computes before buying a faster machine: here much of the work was multiplication by zero.
# - Compare forms of one model, and models in the same kind of form, in one run on one machine.
