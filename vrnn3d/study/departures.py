"""What the paper says of its model and training, sentence by sentence, and what this code does.

Sections 3.3 and 4.1. What can be read off a configuration is read off it, so that the table holds for every profile.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vrnn3d.config import Experiment
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.study.catalogue import EXPERIMENTS
from vrnn3d.training.optimisers import TITLES

SAME, DIFFERENT, LACKING, LEFT_OPEN = "as the paper", "different", "not available", "left open"


@dataclass(frozen=True)
class Departure:
    """One statement of the paper beside what is done here; `kind` is SAME, DIFFERENT, LACKING or, of a choice that the paper
    does not state, LEFT_OPEN.
    """

    section: str
    paper: str
    here: str
    kind: str
    why: str = ""


@dataclass(frozen=True)
class _Statement:
    """A statement, and functions of a configuration that say what is done here and whether it is the same."""

    section: str
    paper: str
    here: Callable[[Experiment], str]
    same: Callable[[Experiment], bool]
    why: str = ""
    otherwise: str = DIFFERENT  #: what it is where it is not the same


def departures(experiment: Experiment) -> list[Departure]:
    """Every statement of the paper about model and training beside what an experiment does."""
    rows = []
    for s in STATEMENTS:
        same = s.same(experiment)
        kind = SAME if same else s.otherwise
        rows.append(Departure(s.section, s.paper, s.here(experiment), kind, "" if same else s.why))
    return rows


def _always(value: bool) -> Callable[[Experiment], bool]:
    return lambda e: value


def _option(e: Experiment, name: str, default: object) -> object:
    return e.model.options.get(name, default)


def _full_width(e: Experiment) -> bool:
    return _option(e, "widths", (64, 128)) == (64, 128) and _option(e, "hidden", 128) == 128


def _digits(e: Experiment) -> MovingMNISTData:
    if not isinstance(e.data, MovingMNISTData):
        raise ValueError(f"the paper's sentences on digits are compared with Moving MNIST, not with {e.data.NAME}")
    return e.data


STATEMENTS: tuple[_Statement, ...] = (
    _Statement(
        "3.3",
        "The encoder turns a clip [M, H, W, C] into [M/2, H/4, W/4, C/4] (H and W here are height and width).",
        lambda e: f"{_option(e, 'widths', (64, 128))[1]} channels in the last stage, M = {e.model.window}; odd M rounds up",  # type: ignore[index]
        _full_width,
        "C/4 cannot be meant: with one or three channels it is no whole number. The truncated 3D ResNet-18 ends in 128"
        " channels; smaller profiles narrow it.",
    ),
    _Statement(
        "3.3",
        "A 2-block 3D ResNet-18 is the encoder and, mirrored, the decoder.",
        lambda e: f"{_option(e, 'stages', 2)} stages of it",
        lambda e: _option(e, "stages", 2) == 2,
        "Whether two suffice is asked by training with three and with all four (claim C7).",
    ),
    _Statement(
        "3.3",
        "A 3D ConvLSTM of two layers with 128 hidden units that contains 7M parameters per level.",
        lambda e: f"two levels of {_option(e, 'hidden', 128)} channels; at full size 3.76M and 3.54M",
        _always(False),
        "3 × 3 × 3 kernels give 7.3M for both levels together; 7M for each would exceed the paper's total of 12.9M.",
    ),
    _Statement(
        "3.3",
        "A shallow 3D CNN with two heads gives the prior's parameters, [M/2, H/4, W/4, 16].",
        lambda e: f"one hidden layer of {_option(e, 'head', 128)} channels, heads of {_option(e, 'latent', 16)}",
        lambda e: _option(e, "latent", 16) == 16,
        "Narrowed with the rest of the network.",
    ),
    _Statement(
        "3.3",
        "The standard deviation is an output of the network.",
        lambda e: f"softplus, and at least {_option(e, 'sigma_min', 0.1)}",
        lambda e: _option(e, "sigma_min", 0.1) == 0,
        "Equation 13 has no minimum: without a floor it falls for ever as both deviations shrink.",
    ),
    _Statement(
        "3.1",
        "The prior's sample is decoded and fed back, in training too (equations 5 and 6).",
        lambda e: f"decodes {_option(e, 'wiring', 'z_p')}",
        lambda e: _option(e, "wiring", "z_p") == "z_p",
        "Chung et al. decode the posterior's sample in training; both are options here.",
    ),
    _Statement(
        "3.3",
        "The model is applied recursively, with its own frames as input where the truth is not available.",
        lambda e: "the same",
        _always(True),
    ),
    _Statement(
        "3.3",
        "M and H can be chosen; their default is not stated.",
        lambda e: f"M = {e.model.window}, H = {e.model.horizon}",
        _always(False),
        "M = H = 2 is the smallest window that an encoder to depth M/2 halves, and the one with the fewest operations;"
        " M = H = 1 has rows of its own.",
        LEFT_OPEN,
    ),
    _Statement(
        "Fig. 3",
        "Each filter output, with the exception of the decoder, is followed by a 3D batch norm and ReLU.",
        lambda e: (
            f"{_option(e, 'norm', 'batch')} norm and ReLU in the decoder's blocks too, none after its last convolution; running"
            " statistics are updated once a training step from all time steps"
        ),
        _always(False),
        "The sentence can mean the whole decoder or its output. Group norm is an option.",
        LEFT_OPEN,
    ),
    _Statement(
        "4.1",
        "Encoder and decoder start from weights pre-trained on Kinetics-400.",
        lambda e: e.train.start or "random weights",
        lambda e: bool(e.train.start) and e.train.start not in EXPERIMENTS,  # an experiment's own weights are not Kinetics'
        "The weights cannot be had on the machines of this study. Anyone who has torchvision's r3d_18 can start from its state"
        " dict: train.start=FILE.",
        LACKING,
    ),
    _Statement(
        "4.1",
        "All other components use PyTorch's default initialiser.",
        lambda e: {"pytorch": "PyTorch's default", "glorot": "Glorot's, forget gates open"}[str(_option(e, "init", "pytorch"))],
        lambda e: _option(e, "init", "pytorch") == "pytorch",
        "PyTorch's default is three times smaller in variance, which leaves the hidden state faint at first; a trial of it is"
        " below.",
    ),
    _Statement(
        "4.1",
        "Adam with default hyperparameters, no weight decay.",
        lambda e: {"adam": "Adam, defaults"}.get(e.train.optimiser, TITLES[e.train.optimiser]),
        lambda e: e.train.optimiser == "adam",
        "Trials of Muon are below.",
    ),
    _Statement(
        "4.1",
        "A learning rate of 0.001.",
        lambda e: f"{e.train.lr:g}, warmed up over {100 * e.train.lr_warmup:g}% of the training, decay: {e.train.lr_decay}",
        lambda e: e.train.lr == 1e-3 and not e.train.lr_warmup and e.train.lr_decay == "none",
        "No schedule is named in the paper; a cosine decay is used for every system alike.",
    ),
    _Statement(
        "4.1", "A batch size of 6.", lambda e: f"{e.train.batch}", lambda e: e.train.batch == 6, "Cost on the hardware at hand."
    ),
    _Statement(
        "4.1",
        "L1 + L2 reconstruction loss.",
        lambda e: (
            f"L1 weight {e.loss.l1:g}, L2 weight {e.loss.l2:g}; summed over pixels, averaged over predicted frames,"
            " the known ones too"
        ),
        lambda e: e.loss.l1 == e.loss.l2 == 1,
        "Under L1 the best single guess is the median of a pixel, which is black where a digit's place is uncertain.",
    ),
    _Statement(
        "4.1",
        "Beta warm-up; the weights in equation 7 are not stated.",
        lambda e: (
            f"linear over the first {100 * e.loss.beta_warmup:g}% of the training, up to {e.loss.beta:g} per predicted frame"
        ),
        _always(False),
        "Equation 7 leaves both weights open.",
        LEFT_OPEN,
    ),
    _Statement(
        "4.1",
        "The model gradually predicts from its own predictions (scheduled sampling).",
        lambda e: f"the probability of a true frame falls to 0 over the first {100 * e.train.forcing_end:g}%",
        lambda e: e.train.forcing_end > 0,
        "Own predictions from the start.",
    ),
    _Statement(
        "4.1",
        "Gradient clipping is not mentioned.",
        lambda e: f"norm bounded by {e.train.clip:g}" if e.train.clip else "none",
        lambda e: e.train.clip == 0,
        "Early steps have far larger gradients; at this bound more than half of the late updates are bounded too. Every record"
        " has the share as a curve.",
        LEFT_OPEN,
    ),
    _Statement(
        "4.1",
        "Two digits of 28 × 28 in 64 × 64.",
        lambda e: f"{_digits(e).digits} of {_digits(e).digit_size} in {e.data.size}",
        lambda e: (_digits(e).digits, _digits(e).digit_size, e.data.size) == (2, 28, 64),
        "Every length halved.",
    ),
    _Statement(
        "4.1",
        "Speeds are drawn from a fixed range, which is not stated.",
        lambda e: (
            "{:g} to {:g} pixels a frame".format(*_digits(e).speed_range)
            if _digits(e).speed == "uniform"
            else "one speed, a tenth of the free range a frame"
        ),
        lambda e: _digits(e).speed == "uniform",
        "The public generator has one speed.",
    ),
    _Statement(
        "4.1",
        "10,000 training, 1,000 validation and 1,000 test sequences of 20 frames.",
        lambda e: "endless fresh sequences" if _digits(e).online else "{:,}, {:,} and {:,}".format(*_digits(e).sequences),
        lambda e: not _digits(e).online and _digits(e).sequences == (10_000, 1_000, 1_000) and e.data.length == 20,
        "Sequences are generated while training.",
    ),
    _Statement(
        "4.1",
        "Trained to predict the next 10 frames given the first 5 or 10.",
        lambda e: f"one training for contexts of {' and '.join(map(str, e.train.context))}, loss on every predicted frame",
        lambda e: e.train.context == (5, 10),
        "Measured at both all the same.",
    ),
    _Statement(
        "4.1",
        "50 predictions per test sequence, metrics averaged.",
        lambda e: f"{e.eval.samples} predictions, {e.eval.sequences:,} test sequences; average, best, mean frame and CRPS",
        lambda e: e.eval.samples == 50,
        "Fewer samples, so that a run is measured within minutes; the expected average does not depend on their number.",
    ),
    _Statement(
        "4.1",
        "The number of training steps is not stated.",
        lambda e: f"{e.train.sequences:,} sequences, {-(-e.train.sequences // e.train.batch):,} updates",
        _always(False),
        "What the hardware allows; a system that had fewer or more is named below its table.",
        LEFT_OPEN,
    ),
)
