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
# # Chance
#
# Digits that are mirrored at the walls have one future. A latent variable has nothing to say about them, so nothing can be
# learned there about the diversity of samples. This page asks the question in a world with chance: Stochastic Moving MNIST
# {cite:p}`denton2018stochastic`, where a digit leaves each wall in a random direction and at a random speed. There the right
# distribution of futures is known, because the generator can be asked for as many as one likes.
#
# :::{admonition} In short
# :class: tip
# - Half scale, one digit, 10 → 20: the generator itself, the *oracle*, has an MSE of {glue:text}`chance_oracle_mse:.1f` where its own
#   mean frame has {glue:text}`chance_mean_mse:.1f` and black frames {glue:text}`chance_black_mse:.1f`. Averaged over samples, as the
#   paper does it, the squared error does not put the true sampler first.
# - Does the paper's protocol see that the oracle is right? {glue:text}`chance_finding`.
# - {glue:text}`chance_diversity`
# - {glue:text}`chance_models`
# - {glue:text}`chance_verdict`
# :::

# %% tags=["hide-input"]
import pandas as pd
import torch
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d import show
from vrnn3d.study import paper, profiles, scales, verdicts
from vrnn3d.study.catalogue import names
from vrnn3d.study.chance import oracle as worlds
from vrnn3d.study.chance import record as kept
from vrnn3d.study.chance import report, tables
from vrnn3d.study.chance.probe import CEILING
from vrnn3d.study.figures import chance as pictures
from vrnn3d.study.figures.style import figure_html, use_style
from vrnn3d.study.figures.tables import table_html
from vrnn3d.study.records import read_records

use_style()
SCALE, PROTOCOL = "half", "10->20"
records = read_records()
oracle = kept.read_oracle(SCALE)
assert oracle is not None, "the oracle has no record: python -m vrnn3d.study.chance --oracle half"
found = report.analyses(records, SCALE)
models = report.model_rows(records, SCALE, PROTOCOL)
missing = [name for name in names("chance") if not scales.runs_at(records, name, SCALE)]
unanalysed = [name for name in names("chance") if name not in found]
samples = oracle.samples

# %% [markdown]
# ## One context, many futures
#
# The same ten frames, continued by the generator. Until the first wall all futures agree; then each goes its own way, and
# each is as likely as what the test set happens to hold.

# %% tags=["hide-input"]
CONTEXT, AHEAD = 10, 20
world = worlds.world_of(profiles.get("chance_no_latent", SCALE), CONTEXT + AHEAD)
futures = world.futures(0, CONTEXT, 5)[:, CONTEXT:]
many = world.futures(0, CONTEXT, 100)[:, CONTEXT:].float().mean(0).round().to(torch.uint8)
rows = {"test sequence 0": world.batch(torch.tensor([0]))[0]}
rows |= {f"another future, {k}": clip for k, clip in enumerate(futures[:4], 1)} | {"mean of a hundred": many}
figure_html(
    show.strip(rows, context=CONTEXT, every=2),
    "A digit flies towards a wall and leaves it in another direction in each of five rows; the sixth, the mean of a hundred "
    "futures, is sharp until then and fades into a grey cloud.",
)

# %% [markdown]
# The oracle knows more than any model can: where the digit is to a fraction of a pixel, and how fast it is. What it does not
# know is where the bounces after the context will send it. It predicts in three ways, beside which stand black frames:
#
# - *samples of the generator*, as many as a model draws: the right answer to "what may happen";
# - *its mean frame*, of a hundred further futures, as one forecast: the least squared error that anyone can have;
# - *one sample, repeated*: sharp, plausible, and without any diversity.
#
# ## Which scores put the oracle first?
#
# A score that is to reward samples from the right distribution must put the first of the three ahead of the other two, and
# of every model.

# %% tags=["hide-input"]
rows = report.oracle_rows(oracle, PROTOCOL)
caption = (
    f"{scales.words(SCALE).capitalize()}, one digit, {paper.arrow(PROTOCOL)}, {oracle.sequences:,} test sequences of held-out "
    f"digits, {samples} samples where a forecaster draws any. Mean over seeds ± standard deviation"
)
display(table_html(pd.DataFrame(tables.score_lines([*rows, *models], missing)).set_index("forecaster"), caption=caption))

# %% tags=["hide-input"]
placed = report.placings([*rows, *models])
caption = (
    f"One digit, {paper.arrow(PROTOCOL)}: where each score puts the oracle; a star marks what the paper reports. Level with: not told "
    "apart at 95% over test sequences, which are paired where their scores were kept. The PSNR of an exact frame counts as 100 dB"
)
display(table_html(pd.DataFrame(tables.placing_lines(placed)).set_index("score"), caption=caption))
by_mse = {row.name: row.mean(report.QUESTIONS[0]) for row in rows}
glue("chance_oracle_mse", by_mse[kept.ORACLE], display=False)
glue("chance_mean_mse", by_mse[kept.ORACLE_MEAN], display=False)
glue("chance_black_mse", by_mse[kept.BLACK], display=False)
words = report.finding(placed)
glue("chance_finding", words[0].upper() + words[1:], display=False)

# %% [markdown]
# The arithmetic behind the first line: for a forecaster that draws from the right distribution, the squared error of a sample is
# the variance of the world twice over, once for the truth and once for the sample; the mean frame pays once. Whoever is ranked by
# the average MSE is paid for predicting the cloud, or nothing at all: a digit in the wrong place is punished twice, where it is and
# where it is not, and black frames once. The average SSIM ranks the cloud low, and black frames high, since most of
# a frame is black. No average over samples sees whether they differ, so that none can tell the oracle from one sample that is
# repeated. The best of several samples can, but its squared error must fall by half before it is below that of the mean frame, and
# few samples over many frames do not get there. That the mean of a few samples is a little worse than that of a hundred says nothing
# of the distribution. The CRPS is made for the question: in expectation nothing is ahead of the right distribution.

# %% tags=["hide-input"]
OTHERS = {
    "Two digits, half scale": kept.read_oracle(SCALE, 2),
    "Two digits in 64 × 64, the paper's size": kept.read_oracle("paper"),
}
for words, other in OTHERS.items():
    if other is None:
        display(Markdown(f"*{words}: not run.*"))
        continue
    lines = tables.placing_lines(report.placings(report.oracle_rows(other, PROTOCOL)))
    counts = f"{other.sequences:,} test sequences, {other.samples} samples, {paper.arrow(PROTOCOL)}"
    display(table_html(pd.DataFrame(lines).set_index("score"), caption=f"{words}, no models: {counts}"))

# %% [markdown]
# ## Samples side by side
#
# Test sequences 0, 1 and 2, whatever they show; every second frame. Models saw what is left of the rule.

# %% tags=["hide-input"]
shown = {"the oracle": kept.read_samples(kept.oracle_path(SCALE))}
for name in names("chance"):
    for run in (r for r in scales.runs_at(records, name, SCALE) if r.seed == 0):
        if (clips := kept.read_samples(kept.analysis_path(run))) is not None:
            shown[scales.title_of(name)] = clips
for number in range(len(shown["the oracle"]["truth"])):
    strip = show.strip(pictures.sample_rows(shown, number), context=CONTEXT, every=2, title=f"Test sequence {number}")
    words = f"Test sequence {number}: the truth, then samples of {', '.join(shown)}, every second frame."
    display(figure_html(strip, words))
if missing:
    display(Markdown(f"*Not run: {'; '.join(map(scales.title_of, missing))}.*"))

# %% [markdown]
# ## Are the samples spread as the truth is?
#
# If a forecaster draws from the right distribution, the truth is one more draw: among S samples of any number its rank is
# equally often 0, 1, ... S. Samples that are too alike leave it outside of them too often, and the histogram is high at both
# ends. Only frames are counted that depend on a bounce after the context. The position of a digit is taken to be the centre of
# the squared brightness of its picture, for truth and samples alike; for the oracle the known position can be ranked too.

# %% tags=["hide-input"]
for quantity, words in (("position", "position of the digit"), ("pixel", "grey level of a pixel")):
    drawn = {(kept.ORACLE, "the oracle"): oracle.calibration[quantity]}
    drawn |= {(name, scales.title_of(name)): report.pooled(each, quantity) for name, each in found.items()}
    figure = pictures.calibration(drawn, words)
    alt = (
        f"Rank histogram and interval coverage of the {words}: the oracle's histogram is flat and its coverage on the diagonal."
    )
    display(figure_html(figure, alt))
told = f"{scales.words(SCALE).capitalize()}, one digit, held-out digits"
display(
    Markdown(
        f"*{told}: of all seeds together. Left, how often the truth has each rank; right, how often it lies within an interval.*"
    )
)

# %% tags=["hide-input"]
known = oracle.calibration["known position"]
lines = tables.calibration_lines(oracle, found, unanalysed)
limits = " and ".join(f"{oracle.calibration[q].noise:.3f} ({q})" for q in tables.QUANTITIES)
caption = (
    "Calibration index: summed distance of the rank histogram from a flat one; a calibrated forecaster stays below "
    f"{limits} in 95% of test sets like this one. And how often the true position lies outside of all {samples} samples, "
    f"{known.expected_outside:.0%} for a calibrated forecaster"
)
display(table_html(pd.DataFrame(lines).set_index("forecaster"), caption=caption))
glue("chance_known_index", known.index, display=False)
glue("chance_known_noise", known.noise, display=False)

# %% [markdown]
# What is left of the oracle's index is the finite test set. By its known positions it is {glue:text}`chance_known_index:.3f`, where
# a calibrated forecaster stays below {glue:text}`chance_known_noise:.3f`; by the centre of brightness it is in the first line above.
#
# ## Do samples spread only where bounces are ahead?
#
# Every predicted frame is decided by the context until the first one that depends on a bounce. Before it a forecaster that knows
# the world has no variance at all, and from then on as much as the world.

# %% tags=["hide-input"]
drawn = {(kept.ORACLE, "the oracle"): oracle.spread}
drawn |= {(name, scales.title_of(name)): each[0].spread for name, each in found.items()}
figure_html(
    pictures.spread(drawn),
    "Sample variance and squared error of the mean frame, by frames from the first that shows a bounce's outcome. The oracle has "
    "none before, and jumps up at it.",
)

# %% tags=["remove-input"]
display(Markdown(f"*{told}, seed 0 of each model; the table below averages over seeds.*"))

# %% tags=["hide-input"]
lines = tables.spread_lines(oracle, found, unanalysed)
glue("chance_diversity", report.variance_told(found, oracle), display=False)
caption = (
    "Sample variance of a frame before and after the first outcome that the context does not decide; over error: variance after it "
    "over the squared error of the mean frame, 1 for calibrated samples; order: how often, of two frames at the same time, "
    "the one after varies more than the one before, 0.5 by chance"
)
display(table_html(pd.DataFrame(lines).set_index("forecaster"), caption=caption))

# %% [markdown]
# ## Does z carry the direction after a bounce?
#
# The posterior sees the frames that are to be predicted, so it can tell the decoder where the digit went; the prior cannot know,
# and serves as a control. A softmax regression on the sample of z around the digit guesses the sector of the new direction, one of
# the four of 45 degrees that lead away from the wall. What it takes off the cross-entropy of guessing by the wall alone, on bounces that it
# was not fitted to, is a lower bound on what z says of the direction. There are {glue:text}`chance_ceiling:.2f` nats to be known; the same
# probe finds {glue:text}`chance_frames:.2f` of them in the frames themselves.

# %% tags=["hide-input"]
glue("chance_ceiling", CEILING, display=False)
glue("chance_frames", oracle.probe["frames"].nats, display=False)
probed = [
    (name, scales.title_of(name), {kind: [a.probe[kind] for a in each] for kind in ("posterior", "prior")})
    for name, each in found.items()
    if all(a.probe for a in each)
]
figure = pictures.probes(probed, oracle.probe["frames"])
told = "; ".join(report.nats_told(found).values()) or "no model was run"
alt = f"Nats about the direction after a bounce, with 95% intervals over held-out bounces. Posterior: {told}."
display(figure_html(figure, alt))
if not probed:
    display(Markdown("*Models: not run.*"))

# %% [markdown]
# *A dot for each seed, with its 95% interval over held-out bounces; filled: the posterior's z, hollow: the prior's.*
#
# ## The verdict on diversity

# %% tags=["hide-input"]
claim = next(v for v in verdicts.verdicts(records) if v.claim == "C4")
here = verdicts.RANDOM_BOUNCES in claim.scale
if not here:
    display(
        Markdown(
            "*Not run here: the verdict needs KL and KL-LL with both wirings, two seeds each. Until then it is the older one, from digits whose motion is determined.*"
        )
    )
display(Markdown(f"**{claim.claim}**, “{claim.text}”, is **{claim.outcome}** ({claim.scale or 'no runs'})."))
display(Markdown("\n".join(f"- {line}" for line in claim.why.splitlines())))
where = "here" if here else f"not run here yet; at {claim.scale or 'no scale'}, without chance, it is"
glue("chance_verdict", f"The claim on sample diversity (C4): {where} {claim.outcome}.", display=False)
glue("chance_models", report.latents_told(found, oracle), display=False)

# %% [markdown]
# ## Run it
#
# ```bash
# vrnn3d train --next chance --record                       # trainings of 20,000 sequences, analysed at their end
# python -m vrnn3d.study.chance --oracle half               # the oracle's rows: minutes on one core
# python -m vrnn3d.study.chance --oracle half --digits 2    # with two digits
# python -m vrnn3d.study.chance --oracle paper              # at the paper's size
# ```
#
# :::{admonition} What to take away
# :class: note
# A score says what it pays for. The average squared error pays for the mean of all futures, which is a picture of none; a claim
# about diversity needs a world in which diversity is right, and a score that notices it: the CRPS, the best SSIM of several samples,
# or the rank of the truth among the samples.
# :::
