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
# # The 3D VRNN
#
# A clip of $M$ frames goes in, the clip $H$ frames further on comes out. In between, a recurrent state remembers what
# happened and a random latent $z$ stands for what cannot be known. Every convolution is three-dimensional: it looks
# along time as well as along height and width.

# %% tags=["parameters"]
profile = "smoke"

# %% tags=["hide-input"]
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import torch
from IPython.display import display
from myst_nb import glue

from vrnn3d.study.figures import style
from vrnn3d.study.figures import tables
from vrnn3d.study.figures.diagrams import picture
from vrnn3d.layers.depth_folding import Conv3d, folding
from vrnn3d.models import build_model
from vrnn3d.rollout import rollout

style.use_style()
_ = torch.manual_seed(0)

# %% tags=["hide-input"]
picture("vrnn3d")

# %% [markdown]
# *One step of the model. Dashed lines exist in training only.*
#
# The equations are the paper's 1 to 6, written for one step. $x_t$ is a clip of $M$ frames and $\hat x_{t+1}$ the clip
# $H$ frames later:
#
# $$
# \begin{aligned}
# h_t &= \mathrm{ConvLSTM}\big([\,f_\mathrm{enc}(x_t),\, z_{t-1}],\; h_{t-1}\big) && \text{(eq. 6)}\\
# \mu_{p},\sigma_{p} &= f_p(h_t), \qquad z_{p} \sim N(\mu_p, \sigma_p^2) && \text{(eqs. 1, 3)}\\
# \mu_{q},\sigma_{q} &= f_q\big(h_t,\, f'_\mathrm{enc}(x_{t+1})\big), \qquad z_{q} \sim N(\mu_q, \sigma_q^2)
#   && \text{(eqs. 2, 4; training only)}\\
# \hat x_{t+1} &= f_\mathrm{dec}(z_t, h_t) && \text{(eq. 5)}
# \end{aligned}
# $$
#
# Equations 5 and 6 use $z_p$, the prior's sample, also in training. What that does to the posterior is the subject of
# [the loss chapter](03_loss). Both wirings, `z_p` and `z_q`, are options of the model.

# %% [markdown]
# ## Shapes
#
# The table is read off a real forward pass of the full-size network with $M = 4$, so that the depth of the latent clip
# can be seen; the paper's Figure 2 gives the same shapes, [M/2, H/4, W/4, channels].

# %% tags=["hide-input"]
model = build_model("vrnn3d", window=4, horizon=4).eval()
shapes = []


def note(name):
    def hook(module, inputs, output):
        first = output[0] if isinstance(output, tuple) else output
        shapes.append({"part": name, "channels, depth, height, width": " x ".join(map(str, first.shape[1:]))})

    return hook


for name in ("encoder.stem", "encoder.layer1", "encoder.layer2", "level1", "level2", "prior", "decoder.layer2", "decoder"):
    model.get_submodule(name).register_forward_hook(note(name))
with torch.no_grad():
    model.step(torch.rand(1, 4, 1, 64, 64), model.initial_state(1, 64, 64))
display(tables.table_html(pd.DataFrame(shapes).set_index("part"), caption="Shapes of one step, 64 x 64 frames, M = 4"))

# %% [markdown]
# ## Where the 12.9 million parameters are

# %% tags=["hide-input"]
with torch.device("meta"):
    full = build_model("vrnn3d")
breakdown = full.parameter_breakdown()
what = {
    "encoder": "truncated 3D ResNet-18: stem, layer1, layer2",
    "level1": "first 3D ConvLSTM level, 128 channels",
    "level2": "second 3D ConvLSTM level, 128 channels",
    "prior": "two convolutions, two heads of 16 channels in one",
    "posterior": "the same on features and hidden state; training only",
    "posterior_encoder": "a second encoder for the posterior; training only, not counted",
    "decoder": "the encoder mirrored, taking z and h",
    "total": "without the posterior's encoder",
}
table = pd.DataFrame([{"part": k, "parameters": f"{breakdown[k]:,}", "what": v} for k, v in what.items()])
glue("model_total_m", breakdown["total"] / 1e6, display=False)
glue("model_levels_m", (breakdown["level1"] + breakdown["level2"]) / 1e6, display=False)
glue("model_test_time_m", (breakdown["total"] - breakdown["posterior"]) / 1e6, display=False)
glue("model_with_posterior_m", (breakdown["total"] + breakdown["posterior_encoder"]) / 1e6, display=False)
display(tables.table_html(table.set_index("part"), caption="Parameters of the full-size model, counted"))

# %% [markdown]
# The total, {glue:text}`model_total_m:.3f` million, is the paper's 12.9M. It rests on one reading of the text: the two
# ConvLSTM levels together have {glue:text}`model_levels_m:.2f` million parameters where the paper says "7m parameters per
# level", and the posterior's own encoder is left out (with it, {glue:text}`model_with_posterior_m:.2f` million; counting
# only what runs at test time, {glue:text}`model_test_time_m:.2f`). The total alone proves little: many other variants
# round to 12.9M too. This one fits every sentence.
#
# ## Windows: how a clip walks through a sequence
#
# With $H = M$ the clips do not overlap; with $H = 1$ they slide by a frame. Where the truth has run out, the model's own
# frames take its place. The picture is drawn from the frames that the rollout really fed to a model.

# %% tags=["hide-input"]
from vrnn3d.models.base import VideoModel


class Watcher(VideoModel):
    """Marks each frame it predicts, and keeps the clips it was given."""

    def __init__(self, window, horizon):
        super().__init__()
        self.window, self.horizon, self.clips = window, horizon, []

    def initial_state(self, batch, height, width, device=None, dtype=None):
        return ()

    def advance(self, features, state, target=None):
        self.clips.append(features[0, :, 0, 0, 0])
        return torch.full_like(features, -1.0), state, ()


def fed(window, horizon, context=5, length=11):
    watcher = Watcher(window, horizon)
    rollout(watcher, torch.ones(1, length, 1, 4, 4), context, length)
    return [clip.tolist() for clip in watcher.clips]


choices = [(2, 2), (2, 1), (5, 5)]
figure, axes = plt.subplots(1, 3, figsize=(10, 3), sharey=False)
for axis, (m, h) in zip(axes, choices):
    clips = fed(m, h)
    for s, clip in enumerate(clips):
        for i, value in enumerate(clip):
            colour = "#2f93d1" if value > 0 else "#d55e00"
            axis.add_patch(plt.Rectangle((s * h + i + 0.05, s + 0.15), 0.9, 0.7, color=colour, lw=0))
        for j in range(h):
            axis.add_patch(
                plt.Rectangle((m + s * h + j + 0.05, s + 0.15), 0.9, 0.7, fill=False, ec="#8a8a8a", lw=1.2)
            )
    axis.axvline(5, color="#8a8a8a", lw=1, ls="--")
    axis.set(xlim=(0, 12), ylim=(len(clips), 0), title=f"M = {m}, H = {h}", xlabel="frame", ylabel="step")
    axis.set_xticks(np.arange(0.5, 12), range(1, 13))
    axis.set_yticks(np.arange(0.5, len(clips)), range(1, len(clips) + 1))
figure.tight_layout()
plt.close(figure)
figure

# %% [markdown]
# *Blue: true frames going in. Orange: predicted frames going in. Outlined: the new frames that come out. Dashed: the end
# of a context of five frames. At M = H = 2 the third clip mixes a true and a predicted frame.*
#
# The paper never states its default $M$ and $H$. Ours is $M = H = 2$; other values are measured, not assumed.
#
# ## Depth folding: the same numbers, less work
#
# At $M = 2$ the latent clip has depth 1. A $3 \times 3 \times 3$ kernel there meets one slice of data and two of padding,
# so two thirds of its weights never multiply anything but zeros. A 3D convolution of depth $D$ is exactly a 2D
# convolution over $D \times C$ channels with a block-banded kernel, and that is how we compute it:

# %%
conv = Conv3d(8, 8, 3, padding=1)
difference = {}
for depth in (1, 2, 3, 5):
    x = torch.randn(2, 8, depth, 16, 16)
    with folding("never"):
        plain = conv(x)
    with folding("always"):
        folded = conv(x)
    difference[depth] = (plain - folded).abs().max().item()
print("largest difference by depth:", {d: f"{v:.1e}" for d, v in difference.items()})
assert max(difference.values()) < 1e-5


# %% [markdown]
# It is also a finding about the model. The cell below counts the weights that can never matter, by asking autograd which
# of them ever get a gradient.


# %% tags=["hide-input"]
def dead_weights(window):
    torch.manual_seed(0)
    net = build_model("vrnn3d", window=window, horizon=window, wiring="z_q")  # z_q: so that every part has a gradient
    frames = torch.rand(2, 3 * window, 1, 16, 16)
    with folding("never"):
        prediction, _ = rollout(net, frames, 2 * window, 3 * window, posterior=True)
    prediction.square().sum().backward()
    dead, count = 0, 0
    for module in net.modules():
        if isinstance(module, Conv3d) and module.kernel_size[0] == 3:
            gradient = module.weight.grad
            if gradient is not None:
                used = (gradient != 0).any(0).any(0).any(-1).any(-1)  # which depth taps were ever used
                dead += int((~used).sum()) * gradient[:, :, 0].numel()
                count += gradient.numel()
    return dead / count


dead = {window: dead_weights(window) for window in (1, 2, 4)}
glue("model_dead_percent_2", 100 * dead[2], display=False)
glue("model_dead_percent_4", 100 * dead[4], display=False)
shares = pd.DataFrame({"M": dead.keys(), "share of 3D kernel weights that never matter": [f"{v:.0%}" for v in dead.values()]})
tables.table_html(shares.set_index("M"))

# %% [markdown]
# With $M = 2$, {glue:text}`model_dead_percent_2:.0f`% of the weights in kernels of depth 3 are dead: the "3D" ConvLSTM is a
# 2D one, and its 12.9M parameters do the work of far fewer. With $M = 4$ it is
# {glue:text}`model_dead_percent_4:.0f`%. (Counted on the full-size network in training, the posterior's encoder included.)
