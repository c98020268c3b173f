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
# # Training
#
# This page trains a model while the book is being built: the same function, loss and time loop as the runs of the
# results chapter, at a size that a laptop's processor finishes in minutes. Nothing here stands beside the paper's numbers.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import tempfile

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from myst_nb import glue

from vrnn3d import checkpoint, config
from vrnn3d.study import catalogue
from vrnn3d.study.figures import curves
from vrnn3d import show
from vrnn3d.study.figures import style
from vrnn3d.study.figures import tables
from vrnn3d.evaluation import metrics
from vrnn3d.training import schedules
from vrnn3d.data import build
from vrnn3d.evaluation.evaluate import predict
from vrnn3d.rollout import rollout
from vrnn3d.training.loop import train

style.use_style()

# %% [markdown]
# ## What is minimised
#
# Equation 7 of the paper: reconstruction plus a weighted latent loss,
# $L = \lambda_\mathrm{rec} L_\mathrm{rec} + \lambda_\mathrm{latent} L_\mathrm{latent}$. The reconstruction is L1 + L2,
# summed over the pixels of a frame; the latent loss is summed over the latent dimensions; both are averaged over time and
# over the batch. The small profiles, this page's among them, leave L1 out: its optimum is the median of a pixel, which is
# black, and it holds a narrow network there for more steps than a page can wait for.
#
# Three schedules run over a training, all of them functions of its progress alone. Beta warm-up lets the latent loss in
# gradually; scheduled sampling replaces true input frames by the model's own predictions, until it lives on its own.

# %% tags=["hide-input"]
experiment = catalogue.get("live", profile)
progress = np.linspace(0, 1, 400)
t, loss = experiment.train, experiment.loss
figure, axes = plt.subplots(1, 3, figsize=(9, 2.3), sharex=True)
axes[0].plot(progress, [schedules.beta(p, loss.beta, loss.beta_warmup) for p in progress], color="#d55e00")
axes[0].set_title("weight of the latent loss")
axes[1].plot(progress, [schedules.forcing_probability(p, t.forcing_end) for p in progress], color="#0b6fb0")
axes[1].set_title("probability of a true input")
axes[2].plot(progress, [schedules.learning_rate(p, t.lr, t.lr_warmup, t.lr_decay) for p in progress], color="#009e73")
axes[2].set_title("learning rate")
for axis in axes:
    axis.set(xlabel="progress", ylim=(0, None))
figure.tight_layout()
plt.close(figure)
figure

# %% [markdown]
# ## A live training
#
# One digit in 32 x 32 pixels and a narrow copy of the network; the settings are one entry of the catalogue,
# `catalogue.get("live", profile)`, as every run of the study is.

# %%
run = tempfile.mkdtemp()
done = train(experiment, seed=0, out=run, progress=False)
trained = done["training"]
print(f"{trained['sequences']} sequences in {trained['seconds']:.0f} s")

# %% tags=["hide-input"]
curves = trained["curves"]
first, last = curves["reconstruction"][0], float(np.mean(curves["reconstruction"][-10:]))
assert last < 0.7 * first, "the live training did not learn"
glue("live_sequences", trained["sequences"], display=False)
glue("live_seconds", trained["seconds"], display=False)
glue("live_first", first, display=False)
glue("live_last", last, display=False)
glue("live_parameters", f"{done['parameters']['total']:,}", display=False)
record = {"experiment": "live", "profile": profile, "seed": 0, "title": "live training", "training": trained}
figure = curves.loss_curves(record, ["l2", "latent", "validation_mse"])
figure.axes[1].set_yscale("symlog", linthresh=0.01)
figure.axes[1].set_ylim(bottom=0)
figure

# %% [markdown]
# *Smoke run. Each curve against the training sequences seen.* In {glue:text}`live_seconds:.0f` seconds and
# {glue:text}`live_sequences` sequences the reconstruction error of this narrow model
# ({glue:text}`live_parameters` parameters) fell from {glue:text}`live_first:.1f`, that of the black frame it starts from, to
# {glue:text}`live_last:.1f`.
#
# ## What it predicts
#
# Test sequences 0, 1 and 2, whatever they show, made of digits from MNIST's test set that no training sequence contains. The model
# sees the frames left of the rule. So short a training teaches it where a digit goes, walls included, and not yet what it looks like.

# %% tags=["hide-input"]
model, _ = checkpoint.load_run(run)
context = max(experiment.train.context)
ahead = experiment.data.length - context
test = build(experiment.data, "test", pool="test", length=experiment.data.length)
frames = test.batch(torch.arange(3)).float() / 255
torch.manual_seed(0)
samples = predict(model, frames, context, ahead, samples=10)
rows = {}
for i in range(3):
    rows[f"truth {i}"] = frames[i, :, 0]
    rows[f"one sample, {i}"] = samples[i, 0, :, 0]
strip = show.strip(rows, context=context)
glue("live_strip", strip, display=False)
strip

# %% [markdown]
# Two forecasts that nobody should lose to: the last frame given, repeated, and black.

# %% tags=["hide-input"]
many = test.batch(torch.arange(200)).float() / 255
truth = many[:, context:]
torch.manual_seed(0)
guesses = {
    "the model, one sample": predict(model, many, context, ahead)[:, 0],
    "the model, mean of 10": predict(model, many, context, ahead, samples=10).mean(1),
    "last frame repeated": many[:, context - 1 : context].expand_as(truth),
    "black": torch.zeros_like(truth),
}
scores = {name: metrics.mse(guess, truth).mean().item() for name, guess in guesses.items()}
assert scores["the model, one sample"] < min(scores["last frame repeated"], scores["black"])
table = pd.DataFrame({"forecast": scores.keys(), "MSE of a frame": [f"{v:.2f}" for v in scores.values()]})
tables.table_html(table.set_index("forecast"), caption="Smoke run: 200 held-out test sequences, 6 frames ahead")

# %% tags=["hide-input"]
moving = {}
for i in range(2):
    moving[f"truth {i}"] = frames[i, :, 0]
    moving[f"predicted {i}"] = torch.cat([frames[i, :context, 0], samples[i].mean(0)[:, 0]])
picture = show.animation(
    moving,
    alt="Two test sequences of a moving digit, each beside what a model trained for minutes predicts: the digit "
    "moves on in both; the prediction has its place but only a blurred shape.",
    context=context,
    scale=4,
)
glue("live_animation", picture, display=False)
picture

# %% [markdown]
# ## Cut and continue
#
# A training writes a checkpoint every minute and whenever it is told to stop. Data order, masks and noise of every step are
# drawn from the seed and the step's number alone, so on one processor an interrupted training ends with the same
# weights, bit for bit. Here is the proof on a few steps:

# %%
few = config.override(experiment, {"train.sequences": 6 * t.batch, "train.validate_every": 0.0})
whole, cut = tempfile.mkdtemp(), tempfile.mkdtemp()
train(few, seed=1, out=whole, progress=False)
train(few, seed=1, out=cut, progress=False, max_steps=2)
train(few, seed=1, out=cut, progress=False)
a, b = (checkpoint.load_state(folder)["model"] for folder in (whole, cut))
assert all(torch.equal(a[key], b[key]) for key in a)
print("identical:", len(a), "tensors")

# %% [markdown]
# ## What goes in after the context
#
# Scheduled sampling is a mask, one number per sequence and frame, so that nothing in the network branches on it. With a
# mask of ones the rollout is teacher forcing; with zeros it is the free run of the test:

# %%
one = frames[:1]
outputs = {}
for name, forcing in (("true frames fed", "teacher"), ("own predictions fed", None)):
    torch.manual_seed(0)
    with torch.no_grad():
        outputs[name] = rollout(model, one, context, experiment.data.length, forcing=forcing)[0]
error = {k: (v[:, context - model.window :] - one[:, context:]).square().sum((2, 3, 4))[0] for k, v in outputs.items()}

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6, 2.6))
for (name, values), colour in zip(error.items(), ("#0b6fb0", "#d55e00")):
    axis.plot(range(context + 1, context + 1 + len(values)), values, label=name, color=colour)
axis.set(xlabel="frame", ylabel="squared error of the frame", ylim=(0, None))
axis.legend()
plt.close(figure)
figure

# %% [markdown]
# *One test sequence of the smoke model. The errors agree at the first predicted clip, where both have seen only true
# frames, and part from there.*
