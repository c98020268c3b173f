"""The registry: every system of the study by name."""

from __future__ import annotations

import inspect
from importlib import import_module

from vrnn3d.models.base import VideoModel

#: name -> (module, class, keyword arguments that make this entry of the class)
REGISTRY: dict[str, tuple[str, str, dict]] = {
    "vrnn3d": ("vrnn", "VRNN", {}),
    "vrnn2d": ("vrnn", "VRNN", dict(dimensions=2, window=1, horizon=1, head=0)),
    "convlstm2d": ("vrnn", "VRNN", dict(dimensions=2, window=1, horizon=1, latent=0)),
    "predrnnpp": ("predrnnpp", "PredRNNPP", {}),
    "e3d_lstm": ("e3d_lstm", "E3DLSTM", {}),
    "improved_vrnn": ("improved_vrnn", "ImprovedVRNN", {}),
    "copy_last": ("baselines", "CopyLast", {}),
    "black": ("baselines", "Black", {}),
    "pixel_mean": ("baselines", "PixelMean", {}),
}


def _entry(name: str) -> tuple[type[VideoModel], dict]:
    if name not in REGISTRY:
        raise ValueError(f"no model {name!r}; there are: {', '.join(REGISTRY)}")
    module, cls_name, defaults = REGISTRY[name]
    return getattr(import_module(f"vrnn3d.models.{module}"), cls_name), defaults


def arguments(name: str) -> list[str]:
    """The keyword arguments that a model of the registry can be built with."""
    return list(inspect.signature(_entry(name)[0]).parameters)


def build_model(name: str, **overrides) -> VideoModel:
    """A freshly initialised model of the registry, at full size unless `overrides` (its class's arguments) say otherwise.

    Raises:
        ValueError: for an unknown name or argument; the known ones are listed.
    """
    cls, defaults = _entry(name)
    known = arguments(name)
    unknown = [key for key in overrides if key not in known]
    if unknown:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}; its arguments are: {', '.join(known)}")
    return cls(**{**defaults, **overrides})
