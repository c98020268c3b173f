"""The registry: every system of the study by name. :func:`register` adds one."""

from __future__ import annotations

import inspect
from collections.abc import Iterable
from importlib import import_module
from typing import Any, NamedTuple

from vrnn3d.device import out_of_memory
from vrnn3d.models.base import VideoModel
from vrnn3d.settings import one_line


class Entry(NamedTuple):
    """A model of the registry: its class, or "module:Class", and the keyword arguments that make this entry of it."""

    cls: type[VideoModel] | str
    defaults: dict[str, Any]


REGISTRY: dict[str, Entry] = {}


def register(name: str, cls: type[VideoModel] | str, **defaults: Any) -> None:
    """Make a model known to configurations, training, evaluation and the command line.

    Args:
        name: what ``model.name`` calls it.
        cls: its class, or "module:Class" naming it, so that its module is imported when it is first needed. It takes
            keyword arguments only, `window` and `horizon` among them; where it has `channels` or `size`, these are the
            data's.
        defaults: keyword arguments that make this entry of the class.

    Raises:
        ValueError: when another model has that name.
    """
    known = REGISTRY.get(name)
    if known is not None and known.cls != cls:
        raise ValueError(f"a model named {name!r} is registered already; choose another name")
    REGISTRY[name] = Entry(cls, defaults)


register("vrnn3d", "vrnn3d.models.vrnn:VRNN")
register("vrnn2d", "vrnn3d.models.vrnn:VRNN", dimensions=2, window=1, horizon=1, head=0)
register("convlstm2d", "vrnn3d.models.vrnn:VRNN", dimensions=2, window=1, horizon=1, latent=0)
register("predrnnpp", "vrnn3d.models.predrnnpp:PredRNNPP")
register("e3d_lstm", "vrnn3d.models.e3d_lstm:E3DLSTM")
register("improved_vrnn", "vrnn3d.models.improved_vrnn:ImprovedVRNN")
register("copy_last", "vrnn3d.models.baselines:CopyLast")
register("black", "vrnn3d.models.baselines:Black")
register("pixel_mean", "vrnn3d.models.baselines:PixelMean")


def model_class(name: str) -> type[VideoModel]:
    """The class of a model of the registry; ``ValueError`` with the known names for an unknown one."""
    if name not in REGISTRY:
        raise ValueError(f"no model {name!r}; there are: {', '.join(REGISTRY)}")
    cls = REGISTRY[name].cls
    if not isinstance(cls, str):
        return cls
    module, _, member = cls.partition(":")
    return getattr(import_module(module), member)


def networks() -> list[str]:
    """The names of the registry that are networks: the baselines, which know nothing of motion, are left out."""
    return [name for name in REGISTRY if model_class(name).__module__ != "vrnn3d.models.baselines"]


def arguments(name: str) -> list[str]:
    """The keyword arguments that a model of the registry can be built with."""
    return list(inspect.signature(model_class(name)).parameters)


def check_arguments(name: str, overrides: Iterable[str]) -> None:
    """``ValueError`` for arguments that a model of the registry does not have; the known ones are listed."""
    known = arguments(name)
    unknown = [key for key in overrides if key not in known]
    if unknown:
        raise ValueError(f"{name} has no argument {', '.join(unknown)}; its arguments are: {', '.join(known)}")


def build_model(name: str, **overrides) -> VideoModel:
    """A freshly initialised model of the registry, at full size unless `overrides` (its class's arguments) say otherwise.

    Raises:
        ValueError: for an unknown name or argument, where the known ones are listed; and for arguments that the class cannot
            take.
    """
    check_arguments(name, overrides)
    try:
        return model_class(name)(**{**REGISTRY[name].defaults, **overrides})
    except (TypeError, RuntimeError, ArithmeticError, LookupError) as error:  # what a class does not check by itself
        if out_of_memory(error):
            raise
        raise ValueError(
            f"{name} cannot be built with {_listed(overrides)} ({one_line(error)}); change its arguments"
        ) from error


def _listed(arguments: dict[str, Any]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items()) or "its defaults"
