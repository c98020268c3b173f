"""Configuration: one group of checked settings per concern, joined by :class:`Experiment`.

Nothing here imports PyTorch. A configuration is plain data: it is written into every record and checkpoint as JSON, and
:func:`config_hash` names it, so that two runs with one hash were asked to do the same thing.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from vrnn3d.data import settings_of
from vrnn3d.data.settings import DataSettings, MovingMNISTData
from vrnn3d.settings import Settings, check, setting

#: (context frames, predicted frames) of the paper's Table 1, in its column order.
TABLE1_PROTOCOLS = ((5, 10), (5, 15), (10, 10), (10, 20))


@dataclass(frozen=True)
class Model(Settings):
    """Which network. `options` are keyword arguments of the model's class that this experiment changes."""

    GROUP: ClassVar[str] = "model"

    name: str = setting("vrnn3d", "a model of vrnn3d.models.REGISTRY")
    window: int = setting(2, "M, frames going into one step", low=1)
    horizon: int = setting(2, "H, how many new frames one step predicts", low=1)
    options: dict = setting({}, "keyword arguments of the model's class")


@dataclass(frozen=True)
class Loss(Settings):
    """Equation 7. `variant` names one of ``vrnn3d.losses.LATENT_LOSSES``; deterministic models do not use it."""

    GROUP: ClassVar[str] = "loss"

    variant: str = setting("kl_ll", "the latent loss")
    l1: float = setting(1.0, "weight of the absolute error, summed over the pixels of a frame", low=0)
    l2: float = setting(1.0, "weight of the squared error, summed over the pixels of a frame", low=0)
    beta: float = setting(1.0, "lambda_latent after the warm-up", low=0)
    beta_warmup: float = setting(0.2, "fraction of the training over which beta rises linearly from 0", low=0, high=1)


@dataclass(frozen=True)
class Train(Settings):
    """How it is trained. Lengths are counted in sequences seen, whatever the batch size."""

    GROUP: ClassVar[str] = "train"

    sequences: int = setting(600_000, "sequences seen in all", low=1)
    batch: int = setting(64, "sequences of one update", low=1)
    lr: float = setting(1e-3, "learning rate", above=0)
    lr_warmup: float = setting(0.02, "fraction of the training over which the rate rises linearly from 0", low=0, high=1)
    lr_decay: str = setting("none", "what the rate does after the warm-up", choices=("none", "cosine"))
    optimiser: str = setting("adam", "the paper's, or one that learns more from a sequence", choices=("adam", "muon"))
    ema: float = setting(0.0, "decay of the weight average; 0 keeps none", low=0, below=1)
    weights: str = setting(
        "last",
        "which weights are evaluated: the last, their average, or the best on validation",
        choices=("last", "ema", "best"),
    )
    start: str = setting("", "weights to start from: a run, published weights, or a file with r3d_18's state dict")
    skip: int = setting(0, "sequences of the data's order passed over, as those that the start has seen", low=0)
    clip: float = setting(1.0, "bound on the gradient's norm; 0 sets none", low=0)
    context: tuple[int, ...] = setting((10,), "context lengths, one drawn for each sequence", low=1, items=1)
    forcing_end: float = setting(
        0.6, "scheduled sampling: the probability of a true input falls 1 -> 0 over this fraction", low=0, high=1
    )
    precision: str = setting("auto", "auto is bfloat16 on a GPU and float32 on a CPU", choices=("auto", "float32", "bfloat16"))
    compile: str = setting(
        "auto",
        "torch.compile: auto is yes on a GPU; graphs also replays it as CUDA graphs",
        choices=("auto", "yes", "no", "graphs"),
    )
    validate_every: float = setting(0.1, "fraction of the training between validations; 0: none", low=0, high=1)
    checkpoint_minutes: float = setting(1.0, "minutes between checkpoints", low=0)


@dataclass(frozen=True)
class Eval(Settings):
    """How it is measured."""

    GROUP: ClassVar[str] = "eval"

    protocols: tuple[tuple[int, int], ...] = setting(TABLE1_PROTOCOLS, "(context, predicted) frames", low=1, items=1)
    samples: int = setting(50, "predictions drawn per test sequence (stochastic models)", low=1)
    sequences: int = setting(1_000, "test sequences", low=1)
    batch: int = setting(20, "test sequences at a time; with another number of them other noise is drawn", low=1)
    seed: int = setting(0, "seed of the noise")


@dataclass(frozen=True)
class Experiment:
    """One row of a table or one point of an ablation, at one profile.

    `group` says which part of the study it belongs to ("table1", "losses", ...); name, profile, title and group change
    no result and are not part of the hash.

    Raises:
        ValueError: where settings contradict each other; the message names them.
    """

    name: str
    profile: str
    title: str = ""
    group: str = ""
    data: DataSettings = MovingMNISTData()
    model: Model = dataclasses.field(default_factory=Model)
    loss: Loss = dataclasses.field(default_factory=Loss)
    train: Train = dataclasses.field(default_factory=Train)
    eval: Eval = dataclasses.field(default_factory=Eval)

    def __post_init__(self) -> None:
        longest = max(self.train.context)
        if longest >= self.data.length:
            raise ValueError(
                f"train.context is {self.train.context}, but training sequences have {self.data.length} frames"
                " (data.length): leave at least one frame to predict"
            )

        if self.train.weights == "ema" and not self.train.ema:
            raise ValueError(
                "train.weights is 'ema', but train.ema is 0, so that no average is kept; set it to 0.999 for example"
            )
        if self.train.weights == "best" and not self.train.validate_every:
            raise ValueError("train.weights is 'best', but train.validate_every is 0, so that nothing is validated")

    @staticmethod
    def from_json(values: Any) -> Experiment:
        """What :func:`to_dict` made of one."""
        return from_dict(values)


_GROUPS: dict[str, type[Settings]] = {"model": Model, "loss": Loss, "train": Train, "eval": Eval}
#: What an experiment says of itself besides its settings.
_WORDS = ("name", "profile", "title", "group")
#: Settings that are not part of the hash. The first two change nothing about the result. eval.batch does: a stochastic model is
#: given other noise, so that its scores differ as they do between values of eval.seed. It is left out because it is chosen by
#: the memory there is, and because the hashes of all records were made without it.
_NOT_HASHED = {"data.path", "train.checkpoint_minutes", "eval.batch"}


def to_dict(experiment: Experiment) -> dict[str, Any]:
    """The configuration as JSON types (tuples become lists); "data" also holds the data set's "name"."""
    values = json.loads(json.dumps(dataclasses.asdict(experiment)))
    values["data"] = {"name": experiment.data.NAME, **values["data"]}
    return values


def from_dict(values: Mapping[str, Any]) -> Experiment:
    """Rebuild an :class:`Experiment` from :func:`to_dict`; settings that are missing have their defaults.

    Raises:
        ValueError: for an unknown setting or a value that a setting may not have, in one sentence.
    """
    if not isinstance(values, Mapping):
        raise ValueError("a configuration must be a table of names and values")
    rest = {key: value for key, value in values.items() if key not in (*_GROUPS, "data")}
    unknown = set(rest) - set(_WORDS)
    if unknown:
        raise ValueError(f"a configuration has no part {sorted(unknown)[0]!r}; its parts are: data, {', '.join(_GROUPS)}")
    if not {"name", "profile"} <= set(rest):
        raise ValueError("a configuration must say its name and its profile")
    words = {name: check(name, rest.get(name, ""), str, {}) for name in _WORDS}
    data = dict(_table("data", values.get("data", {})))
    groups = {"data": _group(settings_of(check("data.name", data.pop("name", MovingMNISTData.NAME), str, {})), data)}
    groups |= {name: _group(cls, values[name]) for name, cls in _GROUPS.items() if name in values}
    return Experiment(**words, **groups)


def _table(name: str, values: Any) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"{name} must be a table of names and values, not {values!r:.60}")
    return values


def _group(cls: type[Settings], values: Any) -> Any:
    known = [field.name for field in dataclasses.fields(cls)]
    for name in _table(cls.GROUP, values):
        if name not in known:
            raise ValueError(f"no setting {cls.GROUP}.{name}; there are: {', '.join(known)}")
    return cls(**values)


def different_from_default(experiment: Experiment) -> dict[str, Any]:
    """What a configuration changes: {"train.lr": 0.002, ...}, with "data" and "model.name" always there."""
    changed: dict[str, Any] = {"data": experiment.data.NAME, "model.name": experiment.model.name}
    for name in ("data", *_GROUPS):
        part = getattr(experiment, name)
        default = type(part)()
        for field in dataclasses.fields(part):
            value = getattr(part, field.name)
            if value != getattr(default, field.name):
                changed[f"{name}.{field.name}"] = value
    return changed


def config_hash(experiment: Experiment) -> str:
    """Twelve hexadecimal digits naming what a run is asked to do.

    Made of the settings that differ from their defaults, so that a new setting, whose default is what was done before,
    leaves old hashes as they are; a default must therefore never change (``tests/library/test_config.py`` holds them).
    Names and titles, paths, the seed of the training and eval.batch are left out.
    """
    values = {key: value for key, value in different_from_default(experiment).items() if key not in _NOT_HASHED}
    return hashlib.sha256(json.dumps(values, sort_keys=True).encode()).hexdigest()[:12]


def origin(experiment: Experiment, seed: int = 0) -> str:
    """What the record of a run that started from weights of this experiment, trained with this seed, says of its start."""
    told = f", seed {seed}" if seed else ""
    return f"{experiment.profile}/{experiment.name} ({config_hash(experiment)}{told})"


def known_settings(data: type[DataSettings] = MovingMNISTData) -> dict[str, str]:
    """Every setting, as {"train.lr": what it means and may be}."""
    classes = {"data": data, **_GROUPS}
    return {f"{name}.{field.name}": cls.help(field.name) for name, cls in classes.items() for field in dataclasses.fields(cls)}


def override(experiment: Experiment, assignments: Mapping[str, Any]) -> Experiment:
    """A copy with dotted settings replaced, as ``{"train.lr": 3e-4, "model.options.hidden": 64}``.

    "data.name" changes the data set; the settings that both data sets have are kept.

    Raises:
        ValueError: naming the setting, the value and what it may be, or the settings that exist.
    """
    changes: dict[str, dict[str, Any]] = {}
    for dotted, value in assignments.items():
        group, _, name = dotted.partition(".")
        changes.setdefault(group, {})[name] = value
    parts = {}
    if "name" in changes.get("data", {}):
        experiment = dataclasses.replace(experiment, data=_other_data(experiment.data, changes["data"].pop("name")))
    for group, values in changes.items():
        part = getattr(experiment, group) if group in ("data", *_GROUPS) else None
        known = [field.name for field in dataclasses.fields(part)] if part is not None else []
        for name in values:
            first, dot, option = name.partition(".")
            if first not in known or (dot and not (first == "options" and option)):
                there = ", ".join(known_settings(type(experiment.data)))
                raise ValueError(f"no setting {f'{group}.{name}'.rstrip('.')}; there are: {there}")
        assert part is not None
        options = {name.removeprefix("options."): v for name, v in values.items() if name.startswith("options.")}
        values = {name: v for name, v in values.items() if not name.startswith("options.")}
        if options:
            values["options"] = {**check(f"{group}.options", values.get("options", part.options), dict, {}), **options}
        parts[group] = dataclasses.replace(part, **values)
    return dataclasses.replace(experiment, **parts)


def _other_data(data: DataSettings, name: str) -> DataSettings:
    cls = settings_of(check("data.name", name, str, {}))
    shared = {field.name for field in dataclasses.fields(DataSettings)}
    return cls(**{name: getattr(data, name) for name in shared})
