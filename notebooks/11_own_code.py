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
# # In your own code
#
# :::{admonition} In short
# :class: tip
# The package is a library first. Three examples, each run while this page was built: a training loop of your own around any
# model of the study, the paper's latent loss inside another variational autoencoder, and the metrics on arrays of yours.
# :::

# %% [markdown]
# ## A training loop of your own
#
# A model is a `torch.nn.Module`; `rollout` runs it over a sequence and returns what it predicted and the latents of each step.
# Data sets hand out `uint8` frames and work in a `DataLoader`. `MovingMNIST` takes any pictures: here are bars instead of
# digits.

# %%
import torch
from torch.utils.data import DataLoader

import vrnn3d
from vrnn3d.data.moving_mnist import MovingMNIST
from vrnn3d.losses import sequence_loss
from vrnn3d.rollout import rollout

bars = torch.zeros(2, 14, 14, dtype=torch.uint8)
bars[0, 5:9], bars[1, :, 5:9] = 255, 255  # one lies, one stands
data = MovingMNIST(bars, size=32, digit_size=14, num_digits=1, length=12, speed_range=(1.5, 2.5), count=480)

torch.manual_seed(0)
model = vrnn3d.build_model("vrnn3d", widths=(8, 16), hidden=16, latent=4, head=16, wiring="z_q", init="glorot")
optimiser = torch.optim.Adam(model.parameters(), lr=5e-3)
errors = []
for batch in DataLoader(data, batch_size=8, shuffle=True):
    frames = batch.float() / 255  # (batch, time, channel, height, width) in [0, 1]
    prediction, latents = rollout(model, frames, context=6, length=12, forcing="teacher", posterior=True)
    loss, terms = sequence_loss(prediction, frames[:, model.window :], latents, variant="kl_qp", l1=0.0)
    optimiser.zero_grad()
    loss.mean().backward()
    torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
    optimiser.step()
    errors.append(terms["l2"].mean().item())

assert errors[-1] < 0.7 * errors[0]
print(f"squared error of a frame: {errors[0]:.1f} at first, {errors[-1]:.1f} after {len(errors)} updates")

# %% [markdown]
# To predict, call the model. What comes back is (batch, samples, time, channel, height, width): the frames after the context.

# %%
with torch.no_grad():
    future = model.eval()(frames, context=6, length=16, samples=5)
print(tuple(future.shape))

# %% [markdown]
# ## The paper's loss in another model
#
# `latent_loss` takes two Gaussians, each a mean and a standard deviation of any shape, and returns nats for each element. It
# needs nothing else of this package. A network that puts out a log-variance passes `(0.5 * log_variance).exp()`.

# %%
from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import latent_loss

encoder = torch.nn.Linear(20, 2 * 3)
x = torch.randn(64, 20)
mean, log_variance = encoder(x).chunk(2, dim=1)
posterior = Gaussian(mean, (0.5 * log_variance).exp())
prior = Gaussian(torch.zeros_like(mean), torch.ones_like(mean))
for variant in ("kl_qp", "kl_pq", "kl_ll"):
    print(f"{variant:15} {latent_loss(posterior, prior, variant).sum(1).mean():.3f} nats")

# %% [markdown]
# A loss of your own is any function of the two, by name or as it is: here KL with *free bits*. Below half a nat per element it is
# constant, so that nothing pushes it lower; each element then counts at least 0.5.


# %%
def free_bits(posterior, prior):
    return latent_loss(posterior, prior, "kl_qp").clamp_min(0.5)


print(f"{'free bits':15} {latent_loss(posterior, prior, free_bits).sum(1).mean():.3f} nats")

# %% [markdown]
# ## The metrics on your own arrays
#
# `sample_metrics` takes samples (batch, samples, time, channel, height, width) and the truth, wherever they come from. Each
# score is one number per sequence and frame, ready for a table.

# %%
import pandas as pd

from vrnn3d.evaluation import metrics

truth = frames[:, 6:12]
scores = metrics.sample_metrics(future[:, :, :6], truth)
table = pd.DataFrame(
    {
        f"{name}, {statistic}": values.mean(0).tolist()
        for name, statistics in scores.items()
        for statistic, values in statistics.items()
        if name in ("mse", "ssim", "crps")
    },
    index=pd.RangeIndex(1, 7, name="frame ahead"),
)
table.round(2)

# %% [markdown]
# :::{admonition} What to take away
# :class: note
# Models, losses, data sets and metrics can be used apart. `CONTRIBUTING.md` in the repository says how to give one of your own a
# name, in a file of yours: `vrnn3d --import mine.py train --set model.name=my_network` then trains it, and evaluates it with all
# metrics.
# :::
