"""A reproducible study of video prediction with a 3D convolutional variational recurrent network.

``vrnn3d.build_model(name, **overrides)`` builds any system of the study, ``vrnn3d.load(name)`` loads trained weights.
"""

from __future__ import annotations

__version__ = "0.2.0"
__all__ = ["__version__", "build_model", "load"]

# Resolved on first use, so that `import vrnn3d` does not wait for torch.
_LAZY = {"build_model": "vrnn3d.models", "load": "vrnn3d.checkpoint"}


def __getattr__(name: str):
    if name not in _LAZY:
        raise AttributeError(f"module 'vrnn3d' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_LAZY[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_LAZY})
