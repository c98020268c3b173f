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
# # Does the likelihood term help?
#
# The second of the paper's contributions rests on one step of its Table 3: the likelihood term (LL) lowers the MSE of the 3D VRNN,
# 10 → 10, from {glue:text}`paper_kl:.1f` to {glue:text}`paper_kl_ll:.1f`. The table prints one number for each. This page repeats
# that step, asks the same question of seven losses, of both wirings and of several seeds, and then asks what the effect is
# due to: the term itself, its weight, or the noise that it takes away.
#
# :::{admonition} In short
# :class: tip
# - **The paper's step.** {glue:text}`ablation_rows`.
# - **With the other wiring.** {glue:text}`ablation_posterior`.
# - **In the grid of losses.** {glue:text}`ablation_headline`.
# - **Better than KL.** {glue:text}`ablation_best` (each comparison by itself at 95%, without a correction for their number).
# - **Which sample is decoded.** {glue:text}`ablation_wiring`.
# - **The standard deviations.** {glue:text}`ablation_floor`, as [the loss chapter](03_loss) derives for losses whose two log terms have different weights.
# :::

# %% tags=["hide-input"]
import numpy as np
from IPython.display import HTML, Markdown, display
from myst_nb import glue

from vrnn3d import show
from vrnn3d.study import ablation, paper, profiles, queue, scales, spread
from vrnn3d.study.catalogue import EXPERIMENTS, WIRINGS
from vrnn3d.study.figures import ablation as pictures
from vrnn3d.study.figures.loss import NAMES, WIRING_NAMES
from vrnn3d.study.figures.style import figure_html, use_style
from vrnn3d.study.figures.tables import table_html
from vrnn3d.study.records import read_clips, read_records

use_style()
records = read_records()
scale, rows_scale = ablation.largest_scale(records), ablation.largest_scale(records, ablation.TERM)
found, rows = ablation.runs(records, scale), ablation.runs(records, rows_scale)
cells, rows_cells = ablation.grid(found), ablation.grid(rows)
assert cells, "no run of the loss grid is recorded: vrnn3d train --next half --record"
one = found[cells[0].experiment][0]
glue("paper_kl", paper.ROWS["vrnn3d_kl"].scores["10->10"].mse, display=False)
glue("paper_kl_ll", paper.ROWS["vrnn3d_kl_ll"].scores["10->10"].mse, display=False)
glue("ablation_rows", f"At {scales.words(rows_scale)}, {ablation.likelihood_term(rows)}", display=False)
posterior = f"Where the posterior's sample is decoded in training, at {scales.words(rows_scale)}, {ablation.likelihood_term(rows, 'z_q')}"
glue("ablation_posterior", posterior, display=False)
glue("ablation_headline", f"At {scales.words(scale)}, {ablation.likelihood_term(found)}", display=False)
best = f"At {scales.words(scale)}: {pictures.better_in_words(found)}"
if scale != rows_scale:
    share = f"with {len(rows_cells)} of the grid's {len(ablation.GRID)} cells run"
    best += f". At {scales.words(rows_scale)}, {share}: {pictures.better_in_words(rows)}"
glue("ablation_best", best, display=False)
wired = rows_scale if ablation.wirings(rows) else scale
glue("ablation_wiring", f"At {scales.words(wired)}, {ablation.wiring_in_words(ablation.runs(records, wired))}", display=False)

# %% [markdown]
# ## The paper's step
#
# The paper's ablation steps from a 2D ConvLSTM to a variational one, to a 3D one, to the new loss. From its second to its
# third row the kernels change and so does the size of the network (2.9M to 12.9M parameters). Here the row that it lacks
# stands in between: the 3D network without a latent.

# %% tags=["hide-input"]
CHANGES = "What each step does to the MSE of a frame, 10 → 10, in percent of the MSE before it, and what it does in the paper"
FIGURE = "The change of the MSE with each step of the ablation: a dot with both intervals, and a dashed line at zero."


def show_steps(profile: str, runs: ablation.Runs) -> None:
    """The rows of Table 3 at a scale, and what each step between them does to the error."""
    caption = f"The rows of Table 3, {scales.words(profile)}, held-out digits: mean ± standard deviation over seeds"
    display(Markdown(scales.conditions(runs["vrnn3d_kl_ll"][0])))
    display(table_html(pictures.table3(runs), caption=caption))
    steps = ablation.steps(runs)
    drawn = [pictures.Line(step.what, c, step.after) for step, c in steps if c is not None]
    display(figure_html(pictures.differences({"": drawn}, "MSE of a frame, after minus before, 10 → 10"), FIGURE))
    display(table_html(pictures.steps_table(steps), caption=f"{CHANGES}; {scales.words(profile)}, held-out digits"))
    display(Markdown(f"At {scales.words(profile)}, {ablation.paper_steps(steps)}."))


show_steps(rows_scale, rows)

# %% [markdown]
# *Dot: mean over seeds. Ticks: single seeds. Thick: 95% over test sequences. Thin: 95% over seeds, by the spread of all experiments
# of the scale that have several, which counts the less the more unlike they are, and of those compared. What is lower, higher or
# ruled out lies outside of both together, which add as variances. The two scales differ in more than size, so this says what the
# step does here, not at full size.*
#
# The first three test sequences, of digits that no training saw; one sample each, seed 0. The network saw the first ten
# frames. The network of the row *KL, z_q* was trained with the posterior's sample decoded; the others that have a latent, with the
# prior's, as in the paper.

# %% tags=["hide-input"]
SHOWN = {
    "KL": "vrnn3d_kl",
    "KL-LL": "vrnn3d_kl_ll",
    "balanced": ablation.loss_name("kl_ll_balanced", "z_p"),
    "KL, z_q": ablation.loss_name("kl_pq", "z_q"),
    "no latent": ablation.NO_LATENT,
}
kept = {label: read_clips(rows[name][0]) for label, name in SHOWN.items() if name in rows}
clips = {label: arrays for label, arrays in kept.items() if arrays is not None}
if clips:
    first = next(iter(clips.values()))
    truth, context = first["truth"], int(first["context"])
    assert all((c["truth"][:3] == truth[:3]).all() for c in clips.values()), "all models are shown on the same sequences"
    strip = {}
    for i in range(2):
        strip |= {f"truth {i}": truth[i]} | {f"{label}, {i}": c["sample"][i] for label, c in clips.items()}
    alt = "Two test sequences: the truth and one prediction under each loss, every second frame."
    display(figure_html(show.strip(strip, context=context, every=2), alt))
    given = {label: np.concatenate([truth[2][:context], c["sample"][2]]) for label, c in clips.items()}
    alt = (
        "One test sequence of moving digits: the truth and one prediction under each of the losses, side by side; "
        "after the ten frames given, every prediction moves on by itself."
    )
    display(show.animation({"truth": truth[2]} | given, alt=alt, context=context, scale=4))
    display(Markdown("*Test sequences 0 and 1 (stills, every second frame) and 2 (moving).*"))
else:
    display(Markdown("*No pictures were kept.*"))

# %% tags=["hide-input"]
display(Markdown(ablation.gaussians_in_words(rows)))

# %% [markdown]
# The verdict on this claim, C3, stands on [the page of results](05_results) and weighs all four protocols; C4, on diversity, is judged
# where there is something to be diverse about, [with digits that leave walls at random](10_chance).
#
# ## Seven losses in both wirings
#
# The rest of this page takes the loss apart, which takes many runs: every variant that
# [the loss chapter](03_loss) derives, in both wirings, with several weights, floors and seeds.

# %% tags=["hide-input"]
grid_runs = {r.name: r for name, runs in found.items() if EXPERIMENTS[name].group in ("losses", "sweeps") for r in runs}
seeds = scales.seeds_text(r.seed for r in grid_runs.values())
waiting = [run for run in queue.unfinished("full", records) if EXPERIMENTS[run.name].group in ("losses", "sweeps")]
measured = one.measured("test", "10->10")
text = (
    f"{scales.conditions(one)} {len(grid_runs)} runs, {seeds}, on {one.provenance.machine.device}, commit "
    f"{scales.commits(grid_runs.values())}. Measured on {measured.sequences} test sequences of held-out digits, "
    f"{measured.samples} samples each. $\\lambda_\\mathrm{{latent}}$ is 1 and the floor under both standard deviations 0.1 "
    f"where nothing else is said. Predictions of more than {scales.longest_trained(one)} frames go beyond what was trained."
)
head = ":::{admonition} What these runs are\n:class: warning\n"
small = (
    " These MSEs compare losses with each other; they do not stand beside the paper's." if scale in ("half", "small") else ""
)
if scale not in profiles.PROFILES:
    small += f" The package no longer has this scale; commit {scales.commits([one])} does."
display(Markdown(f"{head}{text}{small} At full size {len(waiting)} runs of this page are still to be done.\n:::"))

# %% [markdown]
# ## Every loss against KL
#
# The difference to a training with the KL divergence of equation 9 in the same wiring, on the same test sequences. Runs of
# one seed share the order of the data, the masks and the noise, so that their differences are shown too. Left of the dashed line is
# better than KL.

# %% tags=["hide-input"]
lowest, highest = pictures.ends(cells)
figure_html(
    pictures.forest(cells),
    "Two panels, one per wiring: for each loss the MSE at 10 → 10 minus that of KL, a dot with both intervals and a dashed "
    f"line at zero. Farthest left: {lowest}; farthest right: {highest}.",
)

# %% [markdown]
# *Dot: mean over seeds. Ticks: single seeds. Thick: 95% over test sequences. Thin: 95% over seeds, as above; where it runs out of
# the panel, the seeds disagree too much to say.*
#
# One protocol is not enough. Here are all four; "better" and "worse" mean that the paired difference lies beyond both uncertainties
# together, and everything else is undecided:


# %% tags=["hide-input"]
def show_protocols(profile: str, runs: ablation.Runs, cells: list[ablation.Cell]) -> None:
    """The MSE of every loss by protocol, at a scale, a table for each wiring that has runs."""
    for wiring in WIRINGS:
        if any(cell.wiring == wiring for cell in cells):
            caption = (
                f"MSE of a frame where the network {WIRING_NAMES[wiring]}, {scales.words(profile)}: mean ± standard deviation"
                " over seeds, against KL(p‖q)"
            )
            display(table_html(pictures.protocol_table(runs, wiring), caption=caption))


show_protocols(scale, found, cells)
inside = table_html(pictures.score_table(cells, found), caption="The other scores at 10 → 10").data
display(
    HTML(f"<details><summary>The other scores at 10 → 10: best sample, mean frame, variance, CRPS</summary>{inside}</details>")
)

# %% [markdown]
# ### The losses at the scale of the paper's step
#
# Does the order of the losses hold at the scale of the first section of this page? Only some cells of the grid have been trained
# there, and not all of them with several seeds; how far others would be off is told by the spread of all experiments of that scale.

# %% tags=["hide-input"]
if scale == rows_scale:
    display(Markdown("*The grid above is at that scale.*"))
else:
    show_protocols(rows_scale, rows, rows_cells)
    if any(cell.against_reference for cell in rows_cells):
        alt = (
            f"At {scales.words(rows_scale)}, for each loss that was run, the MSE at 10 → 10 minus that of KL in the same wiring: "
            "a dot with both intervals and a dashed line at zero."
        )
        display(figure_html(pictures.forest(rows_cells), alt))
    untrained = [name for name in ablation.GRID if name not in rows]
    display(Markdown(f"*{len(untrained)} of {len(ablation.GRID)} cells are not run at {scales.words(rows_scale)}.*"))

# %% [markdown]
# ### Which sample is decoded
#
# The same loss, with the other sample decoded in training. The paper decodes the prior's ($z_p$): nothing that the decoder is given
# knows the future, and it may as well ignore the noise. Chung et al. decode the posterior's ($z_q$), which has seen the frames that
# are to come, so that the latent is worth listening to; at test time the prior's sample takes its place.

# %% tags=["hide-input"]
for profile, runs in {rows_scale: rows, scale: found}.items():
    if ablation.wirings(runs):
        caption = (
            f"From z_p to z_q decoded in training, {scales.words(profile)}, 10 → 10: averages over samples; better or worse where"
            " the difference lies beyond its uncertainty"
        )
        display(table_html(pictures.wiring_table(runs), caption=caption))

# %% [markdown]
# Digits that are mirrored at walls have one future, but a network that is not sure of it blurs. Where the posterior's sample is
# decoded it can settle what the network is not sure of, and samples differ from each other. A sample that commits itself can be
# sharper, which the SSIM sees, and pays twice in the MSE where it errs. The CRPS charges only what is wrong with the distribution, so that it
# can tell whether the spread was worth it. [The chapter on chance](10_chance) asks the same where there is more than one future.
#
# In this wiring there is noise for the likelihood term to take away:

# %% tags=["hide-input"]
display(Markdown(ablation.term_in_words(ablation.runs(records, wired), "z_q") or "*Not run.*"))

# %% [markdown]
# ## What the Gaussians do
#
# [The loss chapter](03_loss) derives that the printed loss rewards a small standard deviation without end, whatever the
# data. In training the variants whose weights on the two log terms differ should then fall to the floor and stay there, and those
# that are bounded from below should not.

# %% tags=["hide-input"]
floored = ablation.at_floor(found, cells)
names = "; ".join(sorted({NAMES[cell.variant] for cell in floored})) or "none"
figure_html(
    pictures.traces(found),
    "Eight panels against the training sequences seen, one column per wiring: log standard deviations of prior and posterior, "
    f"fraction at the floor, KL(q‖p). The fraction at the floor ends above one half under {names} and stays lower elsewhere.",
)

# %% [markdown]
# *One line per seed. The divergence in the last row is KL(q‖p) for every loss, whatever it was trained with. Under the balanced
# loss {glue:text}`ablation_built_in` nats of it per dimension of the latent are built in, since its best prior is wider than the
# posterior; only what exceeds them is something that the posterior knows and the prior does not.*

# %% tags=["hide-input"]
alike = [c for c in cells if c.wiring == "z_p" and c.variant in ("kl_pq", "kl_qp", "kl_ll_mean")]  # smallest at p = q
nats = max(ablation.mean_end(found[c.experiment], "kl_per_frame") for c in alike)
text = (
    f"At the end of training more than half of the latent dimensions lie at the floor in {len(floored)} of {len(cells)} "
    f"cells: {names}. Where $z_p$ is decoded, the losses that are smallest at equal Gaussians end with posterior and prior "
    f"{ablation.nats_in_words(nats)} a frame apart: nothing asks the posterior to know anything (finding 5 of "
    "[the loss chapter](03_loss))."
)
display(Markdown(text))
told = f"At {scales.words(scale)} the standard deviations end at their floor under {names}"
glue("ablation_floor", told, display=False)
glue("ablation_built_in", f"{ablation.BUILT_IN['kl_ll_balanced']:.2f}", display=False)

# %% [markdown]
# ## Diversity against accuracy
#
# A sampler that spreads its samples pays for it in the paper's score, the error averaged over samples, even where the
# spread is right. The CRPS charges only what is wrong.

# %% tags=["hide-input"]
without = spread.seed_spread(found.get(ablation.NO_LATENT, []))
silent = None if without is None else ("no latent", without.mean)
figure_html(
    pictures.pareto(cells, silent),
    "Two scatter plots against the variance between samples on a logarithmic axis: the MSE averaged over samples, and the "
    "CRPS; one point per loss and wiring, and in the first a dashed line for the network without a latent.",
)

# %% [markdown]
# *Mean over seeds. Filled: the prior's sample is decoded in training, as the paper has it; hollow: the posterior's.*

# %% tags=["hide-input"]
figure_html(
    pictures.ranks(cells),
    "Lines of ranks, one per loss and wiring, over four scores: average of samples, best sample, mean frame and CRPS.",
)

# %% [markdown]
# *Rank 1 is best. Ranks compare means over seeds, without their uncertainty; a line that crosses many others belongs to a
# loss whose place depends on the score.*
#
# ## The term, its weight, or less noise?
#
# The paper gives no value for $\lambda_\mathrm{latent}$. A larger weight pulls the standard deviations down earlier, and the
# floor decides how much noise is left in what is decoded. If the printed loss helped by taking noise away, a higher floor
# would undo the help, and a network without any latent would have it for nothing.

# %% tags=["hide-input"]
figure_html(
    pictures.sweeps(found, silent),
    "Three panels of the MSE at 10 → 10 under KL and equation 13: against the weight of the latent loss in either wiring, and "
    "against the floor, on logarithmic axes; a dashed line for the network without a latent.",
)

# %% [markdown]
# *Dots: seeds. Lines: their means. Dashed: the same network without a latent.*

# %% tags=["hide-input"]
told = ablation.answers(found, WIRING_NAMES)
display(Markdown(f"MSE of a frame, 10 → 10, {scales.words(scale)}:"))
display(Markdown("\n".join(f"- {sentence}" for sentence in told) or "*Not run.*"))

# %% [markdown]
# ## The paper's step in the grid
#
# The rows of Table 3 once more, at the scale of the grid:

# %% tags=["hide-input"]
if scale == rows_scale:
    display(Markdown("*The same runs as above.*"))
else:
    show_steps(scale, found)

# %% [markdown]
# ## Exercises
#
# **1. Undecided.** A loss is better than KL in each of three seeds, and the table still calls it undecided. How can that be?
# Would a hundred thousand test sequences change it?
#
# :::{admonition} Solution
# :class: dropdown
# Student's interval over three seeds is wide: with two degrees of freedom it reaches 4.3 standard errors to either side. More test
# sequences narrow the other interval only. More seeds would help, and so would other experiments whose seeds are about as far
# apart: they have a say in how far these are.
# :::
#
# **2. Many comparisons.** Six losses, two wirings and four protocols make 48 comparisons with KL. How many would you expect
# to be told apart by one 95% interval if all losses were equal? Why would this page's rule be likely to mark fewer by accident?
#
# :::{admonition} Solution
# :class: dropdown
# $48 \cdot 0.05 \approx 2.4$. Intervals over seeds that are widened by the uncertainty over test sequences, and by how unlike
# experiments are, leave out zero more rarely than that. That the protocols share their runs does not change the expected number,
# only how much it varies. The tables above mark more.
# :::
#
# **3. Tuning.** Suppose that each loss is given the best of five weights by its error on the *test* set. Which side gains,
# and why is the validation set used here?
#
# :::{admonition} Solution
# :class: dropdown
# Both errors come out too low, and that of the loss with more spread between its runs by more: the lowest of five noisy
# numbers lies below their mean. Choosing on the validation set leaves the test error of the chosen weight unbiased.
# :::

# %% [markdown]
# ## Run it
#
# ```bash
# vrnn3d train --next half --record  # half scale, on a processor
# vrnn3d train --next --record       # full size, on a GPU
# ```
#
# Each takes the first run of its queue that is not done; start it twice to use two cores.
#
# ## What to take away
#
# - Compare losses with each at its own best weight: a new term also changes the weight of what was there before.
# - Say how many seeds there are, and give the uncertainty over seeds next to that over test sequences.
# - Look at every protocol and at more than one score before calling a loss better.
