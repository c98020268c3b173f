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
# # Does the LL term help?
#
# The paper's central claim is one step of its Table 3: the likelihood term lowers the MSE of the 3D VRNN, 10 → 10,
# from {glue:text}`paper_kl:.1f` to {glue:text}`paper_kl_ll:.1f`. It rests on one training of each. This page asks the
# same question of seven losses, of both wirings, and of several seeds, and then asks what the effect would be due to:
# the term itself, its weight, or the noise that it takes away.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d import show
from vrnn3d.study import ablation, compare, paper, queue, scales, verdicts
from vrnn3d.study.catalogue import EXPERIMENTS, WIRINGS
from vrnn3d.study.figures import ablation as pictures
from vrnn3d.study.figures import style, tables
from vrnn3d.study.figures.loss import NAMES, WIRING_NAMES
from vrnn3d.study.records import read_clips, read_records

style.use_style()
records = read_records()
scale = ablation.largest_scale(records)
found = ablation.runs(records, scale)
cells = ablation.grid(found)
assert cells, "no run of the loss grid is recorded: vrnn3d train --next half --record"
glue("paper_kl", paper.ROWS["vrnn3d_kl"].scores["10->10"].mse, display=False)
glue("paper_kl_ll", paper.ROWS["vrnn3d_kl_ll"].scores["10->10"].mse, display=False)

# %% tags=["hide-input"]
one = found[cells[0].experiment][0]
measured, settings, data = one.measured("test", "10->10"), one.config.train, one.config.data
if scale in ("half", "small"):
    text = (
        f":::{{admonition}} Not at full size\n:class: warning\nNo full-size run of these losses has been recorded: "
        f"that needs a GPU. "
        f"What follows is the same code at {scales.words(scale)}: {data.size} x {data.size} pixels, {data.digits} digit(s) of "
        f"{data.digit_size} pixels, a network of {one.parameters['total']:,} parameters, {settings.sequences:,} "
        f"training sequences of "
        f"{data.length} frames, L1 weight {one.config.loss.l1:g}. It compares losses with each other under equal "
        f"conditions. Its MSE "
        "does not stand beside the paper's.\n:::"
    )
else:
    text = f"{scales.words(scale).capitalize()}: {settings.sequences:,} training sequences."
display(Markdown(text))
grid_runs = {r.name: r for name, runs in found.items() if EXPERIMENTS[name].group in ("losses", "sweeps") for r in runs}
seeds = scales.seeds_text(r.seed for r in grid_runs.values())
waiting = [run for run in queue.unfinished("full", records) if EXPERIMENTS[run.name].group in ("losses", "sweeps")]
display(
    Markdown(
        f"{len(grid_runs)} runs, {seeds}; {measured.sequences} test sequences of held-out digits, {measured.samples} "
        f"samples each; "
        "$\\lambda_\\mathrm{latent}$ is 1 and the floor on both standard deviations 0.1 where nothing else is said. "
        f"{one.provenance.machine.device}; commit {scales.commits(grid_runs.values())}. "
        f"At full size {len(waiting)} runs of this page are still to be done."
    )
)

# %% [markdown]
# ## Every loss against KL
#
# The difference to a training with the KL divergence of equation 9 in the same wiring: of the same seed, which shares the order
# of the data, the masks and the noise, and on the same test sequences. Left of the rule is better than KL.

# %% tags=["hide-input"]
pictures.forest(cells)

# %% [markdown]
# *Dot: mean over seeds. Ticks: single seeds. Thick: 95% over test sequences. Thin: Student's 95% over seeds; where it
# runs out of the panel, seeds disagree too much to say.*

# %% tags=["hide-input"]
for wiring in WIRINGS:
    apart = {word: [NAMES[v] for v in variants] for word, variants in ablation.told_apart(cells, wiring).items()}
    better, worse = ("; ".join(apart.get(word, ())) or "none" for word in (compare.BETTER, compare.WORSE))
    undecided = len(apart.get(compare.UNDECIDED, ()))
    text = f"Where the network {WIRING_NAMES[wiring]}, better than KL beyond both intervals: **{better}**; worse: **{worse}**"
    display(Markdown(f"{text}; undecided: the other {undecided}."))
caption = "Every loss and wiring: mean over seeds ± standard deviation over seeds; MSE and SSIM are averages over samples"
display(tables.table_html(pictures.score_table(cells, found), caption=caption))

# %% [markdown]
# ## Watch them predict
#
# The first three test sequences, of digits that no training saw, under four of the losses. One sample each, seed 0. The
# network saw the first ten frames.

# %% tags=["hide-input"]
SHOWN = {
    "KL(p‖q)": "loss_kl_pq_z_p",
    "KL-LL": "loss_kl_ll_z_p",
    "KL-LL, z_q": "loss_kl_ll_z_q",
    "no latent": ablation.NO_LATENT,
}
kept = {label: read_clips(found[name][0]) for label, name in SHOWN.items() if name in found}
clips = {label: arrays for label, arrays in kept.items() if arrays is not None}
if clips:
    first = next(iter(clips.values()))
    truth, context = first["truth"], int(first["context"])
    assert all((c["truth"][:3] == truth[:3]).all() for c in clips.values()), "all models are shown on the same sequences"
    strip = {}
    for i in range(2):
        strip |= {f"truth {i}": truth[i]} | {f"{label}, {i}": c["sample"][i] for label, c in clips.items()}
    display(show.strip(strip, context=context, every=2))
    given = {label: np.concatenate([truth[2][:context], c["sample"][2]]) for label, c in clips.items()}
    alt = (
        "One test sequence of moving digits: the truth and one prediction under each of the losses, side by side; "
        "after the ten frames given, every prediction moves on and blurs."
    )
    display(show.animation({"truth": truth[2]} | given, alt=alt, context=context, scale=4))
else:
    display(Markdown("*No pictures were kept.*"))

# %% [markdown]
# *Test sequences 0, 1 (strip, every second frame) and 2 (animation).*
#
# ## What the Gaussians do
#
# [The loss chapter](03_loss) derives that the printed loss rewards a small standard deviation without end, whatever the
# data. In training this happens at once: the variants whose weights on the two log terms differ fall to the
# floor and stay there; those that are bounded from below do not.

# %% tags=["hide-input"]
pictures.traces(found)

# %% [markdown]
# *One line per seed. The divergence in the last row is KL(q‖p) for every loss, whatever it was trained with: how many
# nats the posterior knows that the prior does not.*

# %% tags=["hide-input"]
floored = ablation.at_floor(found, cells)
names = "; ".join(sorted({NAMES[cell.variant] for cell in floored})) or "none"
alike = [c for c in cells if c.wiring == "z_p" and c.variant in ("kl_pq", "kl_qp", "kl_ll_mean")]  # smallest at p = q
nats = max(ablation.mean_end(found[c.experiment], "kl_per_frame") for c in alike)
display(
    Markdown(
        f"At the end of training more than half of the latent dimensions lie at the floor in {len(floored)} of "
        f"{len(cells)} cells: "
        f"{names}. Where $z_p$ is decoded, the losses that are smallest at equal Gaussians end with posterior and "
        f"prior at most "
        f"{nats:.1g} nats a frame apart: nothing asks the posterior to know anything, as point 5 of the audit says. "
        f"The balanced "
        "loss keeps the distance that it is built to keep."
    )
)

# %% [markdown]
# ## Diversity against accuracy
#
# A sampler that spreads its samples pays for it in the paper's score, the error averaged over samples, even where the
# spread is right. The CRPS charges only what is wrong.

# %% tags=["hide-input"]
without = compare.seed_spread(found.get(ablation.NO_LATENT, []))
silent = None if without is None else ("no latent", without.mean)
pictures.pareto(cells, silent)

# %% [markdown]
# *Mean over seeds. Filled: the prior's sample is decoded in training, as the paper has it; hollow: the posterior's.*

# %% tags=["hide-input"]
pictures.ranks(cells)

# %% [markdown]
# *Which loss is best depends on the score. Rank 1 is best; a line that crosses many others changes its place with the
# question.*
#
# ## The term, its weight, or less noise?
#
# The paper gives no value for $\lambda_\mathrm{latent}$, and the printed loss has no minimum, so its weight decides
# for how long it pulls at the network before it lies at the floor. The floor, in turn, decides how much noise is left
# in what is decoded. If the printed loss helped through less noise, a higher floor would take the help away, and a
# network without any latent would have it for nothing.

# %% tags=["hide-input"]
pictures.sweeps(found, silent)

# %% [markdown]
# *Dots: seeds. Lines: their means. Dashed rule: the same network without a latent.*

# %% tags=["hide-input"]
lines = []
for best in filter(None, (ablation.best_weights(found, wiring) for wiring in WIRINGS)):
    lines.append(
        f"- {WIRING_NAMES[best.wiring]}: with the weight that does best on the validation set for each ($\\lambda$ = "
        f"{best.weight:g} for "
        f"KL-LL, {best.reference_weight:g} for KL), KL-LL minus KL is {compare.describe(best.comparison)}: "
        f"**{best.comparison.outcome}**."
    )
for name, label in (("loss_kl_pq_z_p", "KL"), ("loss_kl_ll_z_p", "KL-LL")):
    c = compare.compare_runs(found.get(name, []), found.get(ablation.NO_LATENT, []))
    if c is not None:
        lines.append(f"- {label} minus no latent at all, $\\lambda$ = 1: {compare.describe(c)}: **{c.outcome}**.")
floors = {floor: compare.seed_spread(runs).mean for floor, runs in ablation.sweep(found, "kl_ll", "z_p", "floor")}
if len(floors) > 1:
    lines.append("- KL-LL at floors " + ", ".join(f"{f:g}: {v:.2f}" for f, v in floors.items()) + " (MSE, mean over seeds).")
display(Markdown("\n".join(lines) or "*Not run.*"))

# %% [markdown]
# ## Table 3 at this scale
#
# The paper's ablation steps from a 2D ConvLSTM to a variational one, to a 3D one, to the new loss. Between its second
# and third row two things change. Here the row that it lacks stands in between: the 3D network without a latent.

# %% tags=["hide-input"]
table = pd.DataFrame(
    {
        "model": title,
        "parameters": found[name][0].parameters["total"],
        "seeds": len(found[name]),
        **{f"MSE {paper.arrow(p)}": pictures.text(compare.seed_spread(found[name], p)) for p in paper.PROTOCOLS},
        "% of black 10 → 10": pictures.text(compare.black_spread(found[name]), 0, missing=""),
    }
    for name, title in ablation.TABLE3.items()
    if name in found
)
caption = f"The rows of Table 3, {scales.words(scale)}: mean ± standard deviation over seeds"
display(tables.table_html(table.set_index("model"), caption=caption))
steps = ablation.steps(found)
drawn = [pictures.Line(step.what, c, step.after) for step, c in steps if c is not None]
if drawn:
    display(pictures.differences({"": drawn}, "MSE of a frame, after minus before, 10 → 10"))
titles = ablation.TABLE3
effects = [
    f"- {s.what} ({titles[s.before]} to {titles[s.after]}) "
    f"{ablation.effect_in_words(c)}{', ' + compare.describe(c) if c else ''}"
    for s, c in steps
]
display(Markdown("\n".join(effects)))

# %% [markdown]
# ## The verdicts
#
# The same as on [the page of results](05_results), by the same rule, over all four protocols.

# %% tags=["hide-input"]
judged = {v.claim: v for v in verdicts.verdicts(records)}
for claim in ("C3", "C4"):
    v = judged[claim]
    display(Markdown(f"**{claim}** ({v.scale or 'no runs'}), *{v.text}* **{v.outcome}**. {v.why}"))
likelihood = next(c for step, c in steps if step.after == paper.OURS)
headline = "the likelihood term was not run"
if likelihood:
    verb = {compare.BETTER: "lowers", compare.WORSE: "raises"}.get(likelihood.outcome, "changes, within what seeds change,")
    headline = (
        f"the likelihood term {verb} the squared error of a frame by {abs(likelihood.estimate):.1f}, from "
        f"{likelihood.theirs:.1f} "
        f"under KL ({len(likelihood.seeds)} seeds)"
    )
glue("ablation_headline", headline, display=False)
glue("ablation_scale", f"At {scales.words(scale)}", display=False)

# %% [markdown]
# ## Run it
#
# ```bash
# vrnn3d train --next half --record    # at half scale, on a processor; start it twice to use two cores
# vrnn3d train --next --record         # the full-size runs, on a GPU, in the queue's order
# ```
