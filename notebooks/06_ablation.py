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
# The paper's central claim is one step of its Table 3: the likelihood term lowers the MSE of the 3D VRNN, 10 → 10, from
# {glue:text}`paper_kl:.1f` to {glue:text}`paper_kl_ll:.1f`. It rests on one training of each. This page asks the same question of
# seven losses, of both wirings, and of several seeds, and then asks what an answer would be due to: the term itself, its
# weight, or the noise that it takes away.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import numpy as np
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d.study import ablation, catalogue, results
from vrnn3d import show
from vrnn3d.study.figures import style
from vrnn3d.study.figures import tables
from vrnn3d.study.figures import ablation as pictures
from vrnn3d.study.figures.loss import NAMES, WIRING_NAMES

style.use_style()
records = results.read_records()
scale = ablation.scale(records)
found = ablation.runs(records, scale)
rows = ablation.grid(found)
assert rows, "no run of the loss grid is recorded: vrnn3d train --next small --record"
one = found[rows[0]["experiment"]][0]
seeds = sorted({r["seed"] for name, rs in found.items() if name.startswith("loss_") for r in rs})
count = sum(len(rs) for name, rs in found.items() if name.startswith(("loss_", "sweep_")))
t, d, e = one["config"]["train"], one["config"]["data"], one["evaluation"]["test"]["10->10"]
missing = [q for q in catalogue.queue("small" if scale == "small" else "full") if q[1] == scale and q[0].startswith(("loss_", "sweep_"))]
missing = [q for q in missing if q[2] not in [r["seed"] for r in found.get(q[0], [])]]
glue("ablation_runs", count, display=False)
glue("paper_kl", results.PAPER["vrnn3d_kl"]["10->10"]["mse"], display=False)
glue("paper_kl_ll", results.PAPER["vrnn3d_kl_ll"]["10->10"]["mse"], display=False)
if scale == "small":
    text = (
        f":::{{admonition}} A small-scale answer\n:class: warning\nNo full-size run of these losses has been recorded: that needs a GPU. "
        f"What follows is the same code at {d['size']} x {d['size']} pixels with {d['digits']} digit of {d['digit_size']} pixels, a network of "
        f"{one['parameters']['total']:,} parameters, {t['sequences']:,} training sequences of {d['length']} frames and L2 alone as the "
        "reconstruction. It compares losses with each other under equal conditions. Its numbers do not stand beside the paper's.\n:::"
    )
else:
    text = f"Full size, the `ablation` profile: {t['sequences']:,} training sequences."
display(Markdown(text))
display(
    Markdown(
        f"{count} runs with seeds {', '.join(map(str, seeds))}; {e['sequences']} test sequences of held-out digits, "
        f"{e['samples']} samples each; $\\lambda_\\mathrm{{latent}}$ is 1 and the floor on both standard deviations 0.1 where nothing "
        f"else is said. {one['machine']['device']}; commit "
        f"{', '.join(sorted({r['code']['commit'][:10] + (' (modified)' if r['code']['dirty'] else '') for rs in found.values() for r in rs}))}."
        f"{' Still to be run: ' + str(len(missing)) + ' of this page.' if missing else ''}"
    )
)

# %% [markdown]
# ## Every loss against KL
#
# The difference to a training with the KL divergence of equation 9 in the same wiring: of the same seed, which shares the order
# of the data, the masks and the noise, and on the same test sequences. Left of the rule is better than KL.

# %% tags=["hide-input"]
pictures.forest(rows)

# %% [markdown]
# *Dot: mean over seeds. Ticks: single seeds. Thick: 95% over test sequences. Thin: Student's 95% over seeds; where it runs out of the panel,
# seeds disagree too much to say.*

# %% tags=["hide-input"]
told = []
for wiring in ablation.WIRINGS:
    outcomes = {r["variant"]: ablation.judge(r["difference"]) for r in rows if r["wiring"] == wiring and r["difference"]}
    better = [NAMES[v] for v, o in outcomes.items() if o == "lower"]
    worse = [NAMES[v] for v, o in outcomes.items() if o == "higher"]
    told.append(
        f"Where the network {WIRING_NAMES[wiring]}, better than KL beyond both intervals: **{'; '.join(better) or 'none'}**; "
        f"worse: **{'; '.join(worse) or 'none'}**; undecided: the other {len(outcomes) - len(better) - len(worse)}."
    )
display(Markdown("\n\n".join(told)))
names = tables.table_html(
    pictures.score_table(rows, found),
    caption="Every loss and wiring: mean over seeds ± standard deviation over seeds; MSE and SSIM are averages over samples",
)
display(names)

# %% [markdown]
# ## Watch them predict
#
# The first three test sequences, of digits that no training saw, under four of the losses. One sample each, seed 0. The
# network saw the first ten frames.

# %% tags=["hide-input"]
shown = {"KL(p‖q)": "loss_kl_pq_z_p", "KL-LL": "loss_kl_ll_z_p", "KL-LL, z_q": "loss_kl_ll_z_q", "no latent": "convlstm3d"}
clips = {label: results.read_clips(found[name][0]) for label, name in shown.items() if name in found}
clips = {label: c for label, c in clips.items() if c is not None}
if clips:
    first = next(iter(clips.values()))
    assert all((c["truth"] == first["truth"]).all() for c in clips.values() if list(c["indices"]) == list(first["indices"]))
    context = int(first["context"])
    strip = {}
    for i in range(2):
        strip[f"truth {i}"] = first["truth"][i]
        strip |= {f"{label}, {i}": c["sample"][i] for label, c in clips.items()}
    display(show.strip(strip, context=context, every=2))
    moving = {"truth": first["truth"][2]} | {
        label: np.concatenate([first["truth"][2][:context], c["sample"][2]]) for label, c in clips.items()
    }
    display(
        show.animation(
            moving,
            alt="One test sequence of a moving digit: the truth and one prediction under each of the losses, side by side; "
            "after the ten frames given, every prediction moves on and blurs.",
            context=context,
            scale=4,
        )
    )
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
# *One line per seed. The divergence in the last row is KL(q‖p) for every loss, whatever it was trained with: how many nats the posterior
# knows that the prior does not.*

# %% tags=["hide-input"]
end = {
    r["experiment"]: {c: np.mean([ablation.last(x, c) for x in found[r["experiment"]]]) for c in ("log_std_prior", "floor_fraction", "kl_per_frame")}
    for r in rows
}
floored = [r for r in rows if end[r["experiment"]]["floor_fraction"] > 0.5]
free = [r for r in rows if r not in floored]
alike = [r for r in rows if r["wiring"] == "z_p" and r["variant"] in ("kl_pq", "kl_qp", "kl_ll_mean")]  # smallest at p = q
nats = [end[r["experiment"]]["kl_per_frame"] for r in alike]
display(
    Markdown(
        f"At the end of training more than half of the latent dimensions lie at the floor in {len(floored)} of {len(rows)} cells: "
        f"{'; '.join(sorted({NAMES[r['variant']] for r in floored})) or 'none'}. Where $z_p$ is decoded, the losses that are smallest at equal "
        f"Gaussians end with posterior and prior at most {max(nats):.1g} nats a frame apart: nothing asks the posterior to know "
        "anything, as point 5 of the audit says. The balanced loss keeps the distance that it is built to keep."
    )
)

# %% [markdown]
# ## Diversity against accuracy
#
# A sampler that spreads its samples pays for it in the paper's score, the error averaged over samples, even where the
# spread is right. The CRPS charges only what is wrong.

# %% tags=["hide-input"]
silent = ("no latent", ablation.mean_over_seeds(found, "convlstm3d", "mse")[0]) if "convlstm3d" in found else None
pictures.pareto(rows, silent)

# %% [markdown]
# *Mean over seeds. Filled: the prior's sample is decoded in training, as the paper has it; hollow: the posterior's.*

# %% tags=["hide-input"]
pictures.ranks(rows)

# %% [markdown]
# *Which loss is best depends on the score. Rank 1 is best; a line that crosses many others changes its place with the question.*
#
# ## The term, its weight, or less noise?
#
# The paper gives no value for $\lambda_\mathrm{latent}$, and the printed loss has no minimum, so its weight decides for how long it pulls at the
# network before it lies at the floor. The floor, in turn, decides how much noise is left in what is decoded. If the printed
# loss helped through less noise, a higher floor would take the help away, and a network without any latent would have it
# for nothing.

# %% tags=["hide-input"]
display(pictures.sweeps(found, silent))

# %% [markdown]
# *Dots: seeds. Lines: their means. Dashed rule: the same network without a latent.*

# %% tags=["hide-input"]
told = []
for wiring in ablation.WIRINGS:
    best = {v: ablation.best_weight(found, v, wiring) for v in catalogue.SWEPT_LOSSES}
    if None in best.values() or len({len(ablation.sweep(found, v, wiring, "beta")) for v in best}) > 1:
        continue
    (b_kl, kl), (b_ll, ll) = best["kl_pq"], best["kl_ll"]
    outcome = ablation.difference(found, ll, kl)
    word = {"lower": "better", "higher": "worse"}.get(ablation.judge(outcome), "not told apart")
    told.append(
        f"- {WIRING_NAMES[wiring]}: with the weight that does best on the validation set for each ($\\lambda$ = {b_ll:g} for KL-LL, {b_kl:g} "
        f"for KL), KL-LL minus KL is {ablation.describe(outcome)}: **{word}**."
    )
if silent:
    for name, label in (("loss_kl_pq_z_p", "KL"), ("loss_kl_ll_z_p", "KL-LL")):
        outcome = ablation.difference(found, name, "convlstm3d")
        if outcome:
            word = {"lower": "better", "higher": "worse"}.get(ablation.judge(outcome), "not told apart")
            told.append(f"- {label} minus no latent at all, $\\lambda$ = 1: {ablation.describe(outcome)}: **{word}**.")
floors = ablation.sweep(found, "kl_ll", "z_p", "floor")
if len(floors) > 1:
    values = {f: np.mean([results.value(r, "test", "10->10", "mse") for r in rs]) for f, rs in floors}
    told.append("- KL-LL at floors " + ", ".join(f"{f:g}: {v:.2f}" for f, v in values.items()) + " (MSE, mean over seeds).")
display(Markdown("\n".join(told) or "*Not run.*"))

# %% [markdown]
# ## Table 3 at this scale
#
# The paper's ablation steps from a 2D ConvLSTM to a variational one, to a 3D one, to the new loss. Between its second and third row two things
# change. Here the row that it lacks stands in between: the 3D network without a latent.

# %% tags=["hide-input"]
import pandas as pd

verdict3, steps = ablation.verdict_steps(found)
table = pd.DataFrame(
    [
        {
            "model": title,
            "parameters": f"{found[name][0]['parameters']['total']:,}",
            "seeds": len(found[name]),
            **{
                f"MSE {results.arrow(p)}": " ± ".join(
                    f"{v:.2f}" for v in ablation.mean_over_seeds(found, name, "mse", protocol=p) if v is not None
                )
                for p in results.PROTOCOLS
            },
        }
        for name, title in ablation.TABLE3
        if name in found
    ]
)
display(tables.table_html(table.set_index("model"), caption=f"The rows of Table 3 at the {scale} profile: mean ± standard deviation over seeds"))
drawn = [(s["what"], s["difference"], s["after"]) for s in steps if s["difference"]]
if drawn:
    display(pictures.differences({"": drawn}, "MSE of a frame, after minus before, 10 → 10"))

# %% [markdown]
# ## The verdicts at this scale

# %% tags=["hide-input"]
titles = dict(ablation.TABLE3)
words = {"lower": "lowers the error", "higher": "raises the error", "undecided": "changes nothing that these runs can tell", "not run": "was not run"}
parts = [
    f"{s['what']} ({titles[s['before']]} to {titles[s['after']]}) {words[s['judgement']]}"
    + (f", {ablation.describe(s['difference'])}" if s["difference"] else "")
    for s in steps
]
verdict4, spread = ablation.verdict_diversity(found)
spans = []
for row in spread:
    for key, label in (("log_std", "mean log std of the prior"), ("variance", "variance between samples")):
        o = row[key]
        span = "one seed" if o["seed_interval"] is None else f"{len(o['by_seed'])} seeds {o['seed_interval'][0]:+.2f} to {o['seed_interval'][1]:+.2f}"
        spans.append(f"{WIRING_NAMES[row['wiring']]}: {label} {o['estimate']:+.2f} ({span})".replace("-", "\N{MINUS SIGN}"))
outcome = ablation.difference(found, "loss_kl_ll_z_p", "loss_kl_pq_z_p")
headline = "the likelihood term was not run"
if outcome:
    verb = {"lower": "lowers", "higher": "raises"}.get(ablation.judge(outcome), "changes, within what seeds change,")
    headline = (
        f"the likelihood term {verb} the squared error of a frame by {abs(outcome['estimate']):.1f}, from "
        f"{ablation.mean_over_seeds(found, 'loss_kl_pq_z_p', 'mse')[0]:.1f} under KL ({len(outcome['by_seed'])} seeds)"
    )
glue("ablation_headline", headline, display=False)
glue("ablation_scale", "At the small scale" if scale == "small" else "At full size", display=False)
glue("ablation_c3", verdict3, display=False)
glue("ablation_c4", verdict4, display=False)
where = "small scale, no verdict on the paper's numbers" if scale == "small" else "full size"
display(
    Markdown(
        f"**C3**, that a latent, 3D convolutions and the likelihood term each lower the error ({where}): **{verdict3}**. {'; '.join(parts)}. "
        "Records: " + ", ".join(f"`{scale}/{name}`" for name, _ in ablation.TABLE3 if name in found) + ".\n\n"
        f"**C4**, that the likelihood term raises the prior's variance and with it diversity ({where}): **{verdict4}**. KL-LL minus KL: {'; '.join(spans)}. "
        "Records: " + ", ".join(f"`{scale}/loss_{v}_{w}`" for w in ablation.WIRINGS for v in ("kl_pq", "kl_ll") if f"loss_{v}_{w}" in found) + "."
    )
)

# %% [markdown]
# ## Run it
#
# ```bash
# vrnn3d train --next small --record   # all of this page on a processor; start it twice to use two cores
# vrnn3d train --next --record         # the full-size runs, on a GPU, in the queue's order
# ```
