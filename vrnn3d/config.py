"""Configuration: one frozen dataclass per concern, joined by :class:`Experiment`.

Nothing here imports PyTorch. A configuration is plain data: it is written into every record and checkpoint as
JSON, and :func:`config_hash` names it, so that two runs with one hash were asked to do the same thing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from dataclasses import dataclass, field

#: (context frames, predicted frames) of the paper's Table 1, in its column order.
TABLE1_PROTOCOLS = ((5, 10), (5, 15), (10, 10), (10, 20))


@dataclass(frozen=True)
class Data:
    """What the frames are. Pixel units are pixels of the canvas; speeds are pixels a frame."""

    name: str = "moving_mnist"  # "moving_mnist" | "kth" | "video"
    path: str = ""  # "video" only: a folder of clips
    size: int = 64  # canvas: height and width in pixels
    length: int = 20  # frames of a training sequence
    digits: int = 2  # digits per sequence
    digit_size: int = 28  # a digit's height and width in pixels
    speed: str = "uniform"  # "uniform": a speed drawn from `speed_range`; "fixed": a tenth of the free range
    speed_range: tuple[float, float] = (3.0, 5.0)
    train_pool: str = "train"  # which MNIST digits training draws from: "train" | "test"
    test_pools: tuple[str, ...] = ("train", "test")  # every test is run once per pool
    augment: tuple[str, ...] = ()  # "kth" only, training only: of "flip", "crop", "reverse"
    online: bool = False  # True: endless fresh sequences; False: the fixed split of `sequences`
    sequences: tuple[int, int, int] = (10_000, 1_000, 1_000)  # train, validation, test
    seed: int = 0  # of the data, apart from the seed of the training


@dataclass(frozen=True)
class Model:
    """Which network. `options` are keyword arguments of the model's class that this experiment changes."""

    name: str = "vrnn3d"
    window: int = 2  # M, frames going into one step
    horizon: int = 2  # H, how many new frames one step predicts
    options: dict = field(default_factory=dict)


@dataclass(frozen=True)
class Loss:
    """Equation 7. `variant` is a key of ``vrnn3d.losses.VARIANTS``; it is unused by deterministic models."""

    variant: str = "kl_ll"
    l1: float = 1.0  # weight of the absolute error, summed over the pixels of a frame
    l2: float = 1.0  # weight of the squared error, summed over the pixels of a frame
    beta: float = 1.0  # lambda_latent after the warm-up
    beta_warmup: float = 0.2  # fraction of the training over which beta rises linearly from 0


@dataclass(frozen=True)
class Train:
    """How it is trained. Lengths are counted in sequences seen, whatever the batch size."""

    sequences: int = 600_000
    batch: int = 64
    lr: float = 1e-3
    lr_warmup: float = 0.02  # fraction of the training
    lr_decay: str = "none"  # "none" | "cosine"
    ema: float = 0.0  # decay of the weight average that is evaluated; 0: none
    clip: float = 1.0  # bound on the gradient's norm
    context: tuple[int, ...] = (10,)  # context lengths, drawn anew for each batch
    forcing_end: float = 0.6  # scheduled sampling: probability of a true input falls 1 -> 0 over this fraction
    precision: str = "auto"  # "float32" | "bfloat16" | "auto": bfloat16 on a GPU, float32 on a CPU
    compile: str = "auto"  # "yes" | "no" | "auto": yes on a GPU | "graphs": compiled and replayed as CUDA graphs
    validate_every: float = 0.1  # fraction of the training between validations
    checkpoint_minutes: float = 1.0


@dataclass(frozen=True)
class Eval:
    """How it is measured."""

    protocols: tuple[tuple[int, int], ...] = TABLE1_PROTOCOLS
    samples: int = 50  # predictions drawn per test sequence (stochastic models)
    sequences: int = 1_000
    batch: int = 20  # test sequences at a time
    seed: int = 0  # of the noise


@dataclass(frozen=True)
class Experiment:
    """One row of a table or one point of an ablation, at one profile."""

    name: str
    profile: str
    title: str = ""
    data: Data = Data()
    model: Model = Model()
    loss: Loss = Loss()
    train: Train = Train()
    eval: Eval = Eval()


_PARTS = {"data": Data, "model": Model, "loss": Loss, "train": Train, "eval": Eval}


def to_dict(experiment: Experiment) -> dict:
    """The configuration as JSON types (tuples become lists)."""
    return json.loads(json.dumps(dataclasses.asdict(experiment)))


def as_tuples(value):
    """Lists, as JSON has them, to tuples, as the dataclasses have them; nested ones too."""
    if isinstance(value, dict):
        return {key: as_tuples(v) for key, v in value.items()}
    return tuple(as_tuples(v) for v in value) if isinstance(value, list) else value


def from_dict(values: dict) -> Experiment:
    """Rebuild an :class:`Experiment` from :func:`to_dict`; unknown keys raise ``TypeError`` naming them."""
    parts = {k: cls(**{n: as_tuples(v) for n, v in values[k].items()}) for k, cls in _PARTS.items() if k in values}
    rest = {k: v for k, v in values.items() if k not in _PARTS}
    return Experiment(**rest, **parts)


def config_hash(experiment: Experiment) -> str:
    """Twelve hexadecimal digits naming the configuration (title left out: words change no result)."""
    values = to_dict(experiment)
    values.pop("title")
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def override(experiment: Experiment, assignments: dict[str, object]) -> Experiment:
    """A copy with dotted fields replaced, as ``{"train.lr": 3e-4, "model.window": 4}``.

    Raises ``ValueError`` naming the field and the fields that exist, when there is no such field.
    """
    for dotted, value in assignments.items():
        part, _, name = dotted.partition(".")
        if part not in _PARTS or name.partition(".")[0] not in _PARTS[part].__dataclass_fields__:
            known = [f"{p}.{f}" for p, cls in _PARTS.items() for f in cls.__dataclass_fields__]
            raise ValueError(f"no setting {dotted!r}; the settings are: {', '.join(known)}")
        group = getattr(experiment, part)
        if name.startswith("options."):
            value, name = {**group.options, name.removeprefix("options."): value}, "options"
        experiment = dataclasses.replace(experiment, **{part: dataclasses.replace(group, **{name: value})})
    return experiment
