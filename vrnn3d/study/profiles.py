"""The sizes at which experiments are run: each profile is a table of settings that it changes.

A profile changes settings of all experiments, of those on one data set, of one model, of one group, or of one
experiment, each taking precedence over the ones before. ``model.options`` are the exception: an experiment's own options
stay, and the profile only adds to them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from vrnn3d.config import Experiment, config_hash, override
from vrnn3d.study.catalogue import EXPERIMENTS, TRAINED_ON, TRIALS, began_as, trial_name

Changes = dict[str, Any]


@dataclass(frozen=True)
class Profile:
    """What a profile changes, as {"train.lr": 3e-3, ...}; `groups` are the experiments it has, all where it is empty."""

    summary: str
    scale: str  #: what its numbers are called in the book
    everything: Changes = field(default_factory=dict)
    by_data: dict[str, Changes] = field(default_factory=dict)
    by_model: dict[str, Changes] = field(default_factory=dict)
    by_group: dict[str, Changes] = field(default_factory=dict)
    by_experiment: dict[str, Changes] = field(default_factory=dict)
    groups: tuple[str, ...] = ()
    comparable: bool = False  #: whether its numbers may stand beside the paper's


#: 32 x 32 pixels and digits of 14: every length of Moving MNIST halved.
_HALF_DIGITS: Changes = {"data.size": 32, "data.digit_size": 14, "data.speed_range": (1.5, 2.5)}

_SMOKE = Profile(
    summary="seconds on a CPU: 32 x 32, tiny widths; proves that it runs, its numbers mean nothing",
    scale="smoke run",
    everything={
        "loss.l1": 0.0,  # under L1 the median of a pixel, black, holds a narrow network for its first thousands of updates
        "train.sequences": 400,
        "train.batch": 8,
        "train.lr": 3e-3,
        "train.lr_warmup": 0.1,
        "train.forcing_end": 0.3,
        "train.validate_every": 0.5,
        "eval.samples": 3,
        "eval.sequences": 16,
        "eval.batch": 8,
    },
    by_data={"moving_mnist": _HALF_DIGITS, "kth": {"data.size": 64}},
    by_model={
        "vrnn3d": {"model.options": dict(widths=(8, 16), hidden=16, latent=4, head=16)},
        "vrnn2d": {"model.options": dict(widths=(8, 16), hidden=16, latent=4)},
        "convlstm2d": {"model.options": dict(widths=(8, 16), hidden=16)},
        "predrnnpp": {"model.options": dict(hidden=(8, 8, 8, 8), kernel=3)},
        "e3d_lstm": {"model.options": dict(hidden=(8, 8), kernel=3)},
        "improved_vrnn": {"model.options": dict(hidden=4, levels=5, latent=3, context=3)},
        "pixel_mean": {"train.lr": 1e-2},
    },
    by_group={"chance": {"data.digits": 1}},
    by_experiment={
        # Long enough to show something, short enough for a page that waits for it
        "live": {
            "data.digits": 1,
            "data.length": 12,
            "model.options": dict(widths=(8, 16), hidden=32, latent=8, head=16, init="glorot"),
            "train.sequences": 8_000,
            "train.batch": 16,
            "train.lr": 4e-3,
            "train.lr_warmup": 0.05,
            "train.lr_decay": "cosine",
            "train.validate_every": 0.125,
        },
    },
)

#: Every network narrowed until a training sequence costs a hundred-and-fiftieth of its GFLOP at full size, as nearly as
#: whole channels allow (``tests/study/test_profiles.py`` counts). A quarter of that is the frame's; the rest is width.
_NARROWED: dict[str, Changes] = {
    "vrnn3d": {"model.options": dict(widths=(8, 16), hidden=32, latent=4, head=32, init="glorot")},
    "vrnn2d": {"model.options": dict(widths=(10, 20), hidden=20, latent=4, init="glorot")},
    "convlstm2d": {"model.options": dict(widths=(10, 20), hidden=20, init="glorot")},
    "predrnnpp": {"model.options": dict(hidden=(20, 10, 10, 10))},
    "e3d_lstm": {"model.options": dict(hidden=(10, 10, 10, 10))},
    "improved_vrnn": {"model.options": dict(hidden=5, levels=5, latent=3)},
}

#: One digit: a network of this size then knows after a fifth of the training where it flies, so that what is left of its
#: error is the bounces' doing; and the middle of the picture's mass is where the digit is.
_CHANCE: Changes = {
    "data.digits": 1,
    "data.test_pools": ("test",),
    "train.sequences": 20_000,
    "train.validate_every": 0.1,
    "eval.sequences": 500,
    "eval.samples": 10,  # what is measured there is their spread
}

#: For the longest trainings: two processes share a batch of 16 at the speed at which each alone takes one of 8.
_SHARED: Changes = {"train.batch": 16, "train.lr": 3e-3}

#: Two cores see 36,000 sequences an hour with Improved VRNN, so that three quarters of the training take two hours.
_SHARED_SHORTER: Changes = _SHARED | {"train.sequences": 75_000}

#: What would take too long otherwise: up to half as fast again on a processor that multiplies half precision in tiles (AMX).
_HALF_PRECISION: Changes = {"train.precision": "bfloat16"}

#: Twice the channels: tiles are full only with larger batches.
_WIDE: Changes = _HALF_PRECISION | _SHARED | {"model.options": dict(widths=(16, 32), hidden=64, init="glorot")}

#: Of every row at half scale that is not named otherwise.
_SEQUENCES = 100_000


def _trained_on() -> dict[str, Changes]:
    """What each of ``TRAINED_ON`` adds to what it starts from, in which the true frames were taken away already.

    The first of a chain began its data's order anew, before there was ``train.skip``; what follows one goes on in that order.
    """
    found = {}
    for name, (before, total) in TRAINED_ON.items():
        _, done = TRAINED_ON.get(before, ("", _SEQUENCES))
        skip = done - _SEQUENCES  # what the chain has seen since
        found[name] = (_WIDE if began_as(name) == "beyond_by_frame_wide" else _SHARED) | {
            "train.start": before,
            "train.forcing_end": 0.0,
            "train.sequences": total - done,
            "train.skip": skip,
        }
    found["beyond_by_frame_550k"] |= _HALF_PRECISION
    return found


_HALF = Profile(
    summary="half scale, 100,000 sequences (Improved VRNN 75,000): from half an hour to five hours of a CPU core",
    scale="half scale",
    everything={
        # Under L1 the best guess is the median of a pixel, which is black: it holds these networks at the mean picture for
        # their first ten thousand sequences (profile half_short, "with L1").
        "loss.l1": 0.0,
        "train.sequences": _SEQUENCES,
        "train.batch": 8,
        "train.lr": 2e-3,
        "train.forcing_end": 0.4,
        "train.clip": 30.0,  # near the median norm, so that about half of the updates are bounded
        "train.validate_every": 0.05,
        "train.checkpoint_minutes": 3.0,
        "eval.samples": 5,  # 1,000 sequences of both pools under four protocols then take six minutes
        "eval.batch": 50,
    },
    by_data={"moving_mnist": _HALF_DIGITS, "kth": {"data.size": 64, "train.sequences": 20_000, "eval.batch": 4}},
    by_model=_NARROWED | {"pixel_mean": {"train.lr": 1e-2, "train.sequences": 20_000}},
    by_group={"l1": {"loss.l1": 1.0}, "chance": _CHANCE},
    by_experiment={
        "beyond": _SHARED,
        "beyond_by_frame_wide": _WIDE,
        "improved_vrnn": _SHARED_SHORTER,
        "window_M4_H1": _HALF_PRECISION,
    }
    | _trained_on(),
    groups=(
        "table3",
        "by_frame",
        "l1",
        "table1",
        "baselines",
        "beyond",
        "wide",
        "trained_on",
        "losses",
        "windows",
        "encoders",
        "precision",
        "chance",
        "kth",
    ),
)

_HALF_SHORT = replace(
    _HALF,
    summary="half scale, 20,000 sequences: about a quarter of an hour on one CPU core; settings to try before the long runs",
    scale="half scale, a fifth of the training",
    everything=_HALF.everything
    | {
        "train.sequences": 20_000,
        "train.validate_every": 0.1,
        "eval.protocols": ((10, 10),),
        "eval.samples": 4,
        "eval.sequences": 200,
    },
    by_experiment={trial_name(title): changes for title, changes in TRIALS.items()},
    groups=("recipe", "ideas"),
)

PROFILES: dict[str, Profile] = {
    "smoke": _SMOKE,
    "half": _HALF,
    "half_short": _HALF_SHORT,
    "tune": Profile(
        summary="full size, 8,192 sequences: one GPU; settings to try before the long runs",
        scale="full size, short",
        everything={
            "data.test_pools": ("train",),
            "train.sequences": 8_192,
            "train.lr_warmup": 0.1,  # a fiftieth of so few updates would be no warm-up, and punish large rates
            "eval.protocols": ((10, 10),),
            "eval.samples": 2,
            "eval.sequences": 20,
        },
        groups=("tune",),
    ),
    "ablation": Profile(
        summary="full size, 150,000 sequences: one GPU",
        scale="full size, a quarter of the training",
        everything={"train.sequences": 150_000},
        comparable=True,
    ),
    "paper": Profile(summary="full size, 600,000 sequences: one GPU", scale="full size", comparable=True),
}


#: Groups that exist at the profiles which name them alone.
_OF_ONE_PROFILE = ("tune", "recipe", "ideas", "l1", "trained_on", "wide", "precision")


def get(name: str, profile: str = "paper") -> Experiment:
    """The experiment of that name at that profile.

    Raises:
        ValueError: for an unknown name or profile, or a name unknown at that profile; the known ones are listed.
    """
    if profile not in PROFILES:
        raise ValueError(f"no profile {profile!r}; there are: {', '.join(PROFILES)}")
    known = names(profile)
    if name not in known:
        at = f" at profile {profile!r}" if name in EXPERIMENTS else ""
        raise ValueError(f"no experiment {name!r}{at}; there are: {', '.join(known)}")
    row, chosen = EXPERIMENTS[name], PROFILES[profile]
    changes: Changes = {}
    for table in (
        chosen.everything,
        chosen.by_data.get(row.data.NAME, {}),
        chosen.by_model.get(row.model.name, {}),
        chosen.by_group.get(row.group, {}),
        chosen.by_experiment.get(name, {}),
    ):
        changes |= table
    changes["model.options"] = {**changes.get("model.options", {}), **row.model.options}
    return override(replace(row, profile=profile), changes)


def customised(experiment: Experiment, changes: Changes) -> Experiment:
    """An experiment with settings of the user's own: where they change what is done, it gets a name of its own.

    The name ends in the hash of the configuration, so that neither the run's folder nor a queue takes it for the
    experiment it was made of; and where it uses clips of the user's own in a hash of these, so that the runs of two folders
    of clips never share a folder, and a folder of clips may be moved.

    Raises:
        ValueError: for settings that make no sense, and where there are no such clips.
        FileNotFoundError: where nothing has the name of the clips.
    """
    if changes.get("model.name", experiment.model.name) != experiment.model.name:
        changes = {"model.options": {}, **changes}  # those of the other model mean nothing to this one
    changed = override(experiment, changes)
    if config_hash(changed) == config_hash(experiment):
        return changed
    told = ", ".join(f"{name} = {value}" for name, value in changes.items() if name not in ("data.name", "data.path"))
    title = f"{experiment.title}, {told}" if told else experiment.title
    name = f"{experiment.name}+{config_hash(changed)[:8]}"
    contents = changed.data.contents()[:8]
    return replace(changed, name=f"{name}-{contents}" if contents else name, title=title, group="own")


def names(profile: str = "paper") -> list[str]:
    """The name of every experiment that exists at a profile, the rows of the tables first."""
    groups = PROFILES[profile].groups
    return [name for name, row in EXPERIMENTS.items() if (row.group in groups if groups else row.group not in _OF_ONE_PROFILE)]
