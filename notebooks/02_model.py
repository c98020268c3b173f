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
# A clip of $M$ frames goes in, and the clip $H$ frames further on comes out. In between, a recurrent state remembers
# what has happened, and a random latent $z$ stands for what cannot be known. Every convolution is three-dimensional: it
# looks along time as well as along height and width.
#
# :::{admonition} In short
# :class: tip
# - The network has {glue:text}`model_total_m:.1f` million parameters, as the paper says, in the reading that fits most of
#   its sentences. Two statements fit no reading that we found.
# - With clips of two frames ($M = 2$) the latent clip is one frame deep. Then {glue:text}`model_dead_percent_2:.0f`% of the
#   weights in kernels of depth 3 can never matter, and the 3D ConvLSTM is a 2D one.
# - A 3D convolution over few frames can be computed as a 2D one, exactly and faster.
# :::
#
# This page is about the network at full size, with 64 × 64 pixels. Nothing is trained here.

# %% tags=["hide-input"]
import torch
from IPython.display import display
from myst_nb import glue

from vrnn3d.layers.depth_folding import Conv3d, folding
from vrnn3d.models import build_model
from vrnn3d.study import inspection
from vrnn3d.study.figures.diagrams import picture
from vrnn3d.study.figures.style import figure_html, use_style
from vrnn3d.study.figures.tables import table_html
from vrnn3d.study.figures.windows import windows

use_style()
_ = torch.manual_seed(0)

# %% tags=["hide-input"]
picture("vrnn3d")

# %% [markdown]
# *One step of the model. Dashed lines exist in training only.*
#
# The equations are the paper's 1 to 6 in the order of its section 3.3 and Figure 2, where the ConvLSTM comes first and the
# prior is computed from its new state. As printed, equations 1, 2 and 5 have $h_{t-1}$ for $h_t$, equations 2 and 5 have $x_t$ for
# $x_{t+1}$, equation 2 has $f_\mathrm{enc}$ for $f'_\mathrm{enc}$, and equation 6 has $z_{p,t}$ for $z_{t-1}$. $x_t$ is a clip
# of $M$ frames and $x_{t+1}$ the clip $H$ frames later; $f'_\mathrm{enc}$ is the posterior's own encoder:
#
# $$
# \begin{aligned}
# h_t &= \mathrm{ConvLSTM}\big([\,f_\mathrm{enc}(x_t),\, z_{t-1}],\; h_{t-1}\big) && \text{(eq. 6)}\\
# \mu_{p},\sigma_{p} &= f_p(h_t), \qquad z_{p,t} \sim N(\mu_p, \sigma_p^2) && \text{(eqs. 1, 3)}\\
# \mu_{q},\sigma_{q} &= f_q\big(h_t,\, f'_\mathrm{enc}(x_{t+1})\big), \qquad z_{q,t} \sim N(\mu_q, \sigma_q^2)
#   && \text{(eqs. 2, 4; training only)}\\
# \hat x_{t+1} &= f_\mathrm{dec}(z_t, h_t) && \text{(eq. 5)}
# \end{aligned}
# $$
#
# In equations 5 and 6 the latent $z_t$ is $z_{p,t}$, the prior's sample, also in training. What that does to the posterior is
# the subject of [the loss chapter](03_loss). Both wirings, `z_p` and `z_q`, are options of the model. [](../background)
# explains all symbols.

# %% [markdown]
# ## Shapes
#
# The table is read off a forward pass of the full-size network with $M = 4$, so that the depth of the latent clip can be
# seen. Section 3.3 of the paper gives the same sizes, [M/2, H/4, W/4] (H and W are height and width there), for the encoder's output, the states and the latent. The
# C/4 channels that it gives beside them cannot be meant: frames have one or three.

# %%
shapes = inspection.step_shapes(window=4, size=64)
columns = ("channels", "depth", "height", "width")
rows = [{"part": part, **dict(zip(columns, shape))} for part, shape in shapes.items()]
table_html(rows, caption="What the parts of one step put out: 64 × 64 frames, M = 4")

# %% [markdown]
# ## Where the 12.9 million parameters are

# %%
with torch.device("meta"):  # shapes without memory: enough to count
    breakdown = build_model("vrnn3d").parameter_breakdown()
    whole = build_model("vrnn3d", stages=4).parameter_breakdown()["total"]

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
rows = [{"part": k, "parameters": breakdown[k], "what it is": words} for k, words in what.items()]
table_html(rows, caption="Parameters of the full-size model, counted")

# %% tags=["remove-cell"]
for key, count in {
    "total": breakdown["total"],
    "levels": breakdown["level1"] + breakdown["level2"],
    "test_time": breakdown["total"] - breakdown["posterior"],
    "with_posterior": breakdown["total"] + breakdown["posterior_encoder"],
    "whole": whole,
}.items():
    glue(f"model_{key}_m", count / 1e6, display=False)

# %% [markdown]
# The total, {glue:text}`model_total_m:.3f` million, is the paper's 12.9M. It leaves out the posterior's own encoder; with it
# the total is {glue:text}`model_with_posterior_m:.2f` million, and the parts that run at test time have
# {glue:text}`model_test_time_m:.2f` million.
#
# One more statement does not fit. The paper gives the ConvLSTM "7m parameters per level"; two such levels alone would
# exceed the total. Our two levels *together* have {glue:text}`model_levels_m:.2f` million, and we take that to be what is
# meant. The total alone identifies no network, because many other combinations of parts round to 12.9M too.
#
# The paper keeps two of ResNet-18's four stages. With all four in encoder and decoder (`stages=4`) there would be
# {glue:text}`model_whole_m:.1f` million; [the results](does-a-truncated-encoder-suffice) tell what they are good for.
#
# ## Windows: how a clip walks through a sequence
#
# With $H = M$ the clips do not overlap; with $H = 1$ they slide by a frame. Where the truth has run out, the model's own
# frames take its place. The figure is drawn from the frames that the rollout really fed to a model.

# %% tags=["hide-input"]
figure_html(
    windows([(2, 2), (2, 1), (5, 5)]),
    "Three grids of steps against frames. With M = H = 2 each clip of two begins where the last one ended; with M "
    "= 2 and H = 1 each clip shares a frame with the last one; with M = H = 5 two clips cover ten frames. Behind "
    "the fifth frame the clips consist of predicted frames.",
)

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
# convolution over $D \times C$ channels with a block-banded kernel, and that is how it is computed here:

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
# The same count says something about the model. `inspection.unused_kernel_share` asks autograd which weights ever get a
# gradient; those that never get one cannot matter.

# %%
unused = {window: inspection.unused_kernel_share(window) for window in (1, 2, 4)}
column = "weights of 3D kernels that never matter"
caption = "Full-size network in training, the posterior's encoder included: weights in kernels of depth 3"
display(table_html([{"M = H": str(m), column: f"{share:.0%}"} for m, share in unused.items()], caption=caption))
glue("model_dead_percent_2", 100 * unused[2], display=False)
glue("model_dead_percent_4", 100 * unused[4], display=False)

# %% [markdown]
# With $M = 2$, {glue:text}`model_dead_percent_2:.0f`% of the weights in kernels of depth 3 do nothing, and the "3D" ConvLSTM
# computes what a 2D one would. With $M = 4$ it is {glue:text}`model_dead_percent_4:.0f`%. The first layers, which still see
# $M$ frames, are three-dimensional either way.
#
# ## Exercises
#
# **1. Count a level.** A ConvLSTM level takes the features of the encoder (128 channels), the latent (16) and its own state
# (128), and computes four gates of 128 channels with one $3 \times 3 \times 3$ convolution. How many parameters has it? And
# the second level, which takes the state of the first and its own?
#
# :::{admonition} Solution
# :class: dropdown
# $(128 + 16 + 128) \cdot 4 \cdot 128 \cdot 27 + 4 \cdot 128 = 3{,}760{,}640$, and
# $(128 + 128) \cdot 4 \cdot 128 \cdot 27 + 4 \cdot 128 = 3{,}539{,}456$. The table above counts the same.
# :::
#
# **2. Depth 2.** At $M = 4$ the latent clip is two frames deep. Which of the three slices of a kernel multiply something
# other than padding? What share of all multiplications is still by zero?
#
# :::{admonition} Solution
# :class: dropdown
# The first output frame uses the middle and the last slice, the second one the first and the middle: all three slices work,
# so no weight is idle. But each output frame uses two slices of three, and a third of the multiplications is by zero.
# :::
#
# **3. How many steps?** How many times is the network applied for 10 → 10 at $M = H = 2$, and at $M = 2$, $H = 1$?
#
# :::{admonition} Solution
# :class: dropdown
# The first clip is frames 1 and 2, and every step moves on by $H$ until frame 20 is predicted: $(20 - M)/H = 9$ steps, and 18.
# :::
#
# ## What to take away
#
# - Count a network's parameters part by part. A total can be reached in many ways.
# - A kernel that reaches beyond its data multiplies padding. Ask which weights get a gradient before paying for them.
# - The window decides how three-dimensional a 3D model is.
