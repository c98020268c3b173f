"""Data sets by name, and the one protocol that all of them obey. Nothing here imports PyTorch.

A data set is a group of settings (``vrnn3d.data.settings``) and a function that builds the :class:`Dataset` of a split
from them. :func:`register` makes it known to configurations, training, evaluation and the command line.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, runtime_checkable

from vrnn3d.data.settings import DataSettings, KTHData, MovingMNISTData, VideoData
from vrnn3d.data.splits import check_split

if TYPE_CHECKING:
    import torch
    from torch import Tensor

__all__ = ["ONLINE_COUNT", "REGISTRY", "Dataset", "build", "register", "settings_of"]

#: Sequences of an online stream: room for the streams of 2**30 seeds, each of 2**32 sequences (``vrnn3d.training.order``).
ONLINE_COUNT = 2**62


@runtime_checkable
class Dataset(Protocol):
    """Sequences of frames. Works in ``torch.utils.data.DataLoader`` as it is.

    Frames are uint8, 0 to 255, with the axes (time, channel, height, width), a batch before them. With workers leave
    `device` the CPU. An online stream is too long to be shuffled: give the loader a sampler, ``range(60_000)`` for
    example. Single sequences ``[i]`` are those of epoch 0.
    """

    length: int  #: frames of a sequence
    device: torch.device  #: where batches are put; not every data set can make them where they were asked for
    online: bool  #: every index is a fresh sequence, and the length is only a bound (``ONLINE_COUNT``)
    description: str  #: one line for a reader; what stands before its first colon names the data
    source: str  #: where the frames came from, "mirror" or "excerpt" for example
    identity: str  #: what decides the frames besides the settings: a hash, or a list of clips
    recordable: bool  #: whether frames may be copied into records: False where they show real people

    def __len__(self) -> int: ...

    def __getitem__(self, index: int) -> Tensor:
        """One sequence, (T, C, H, W); ``IndexError`` for a number that is not in 0 .. len - 1."""
        ...

    def batch(self, indices: Tensor, epoch: int = 0) -> Tensor:
        """Sequences (B, T, C, H, W) of a LongTensor (B,) of numbers. `epoch` tells augmented data how often they were seen."""
        ...


Builder = Callable[..., Dataset]  # (settings, split, pool, length, device)


class Entry(NamedTuple):
    """A data set of the registry: the class of its settings, and the function that builds a split, or "module:function"."""

    settings: type[DataSettings]
    builder: Builder | str


REGISTRY: dict[str, Entry] = {}


def register(settings: type[DataSettings], builder: Builder | str) -> None:
    """Make a data set known under ``settings.NAME``.

    Args:
        settings: a frozen dataclass derived from :class:`~vrnn3d.data.settings.DataSettings` with a ``NAME``.
        builder: ``builder(settings, split, pool, length, device) -> Dataset``, or "module:function" naming it, so that
            its module is imported when it is first needed.

    Raises:
        ValueError: when the settings have no NAME, or another data set has it.
    """
    if not settings.NAME:
        raise ValueError(f"{settings.__name__} needs a NAME, by which configurations call the data set")
    known = REGISTRY.get(settings.NAME)
    if known is not None and known.settings is not settings:
        raise ValueError(f"a data set named {settings.NAME!r} is registered already; choose another NAME")
    REGISTRY[settings.NAME] = Entry(settings, builder)


register(MovingMNISTData, "vrnn3d.data.moving_mnist:build")
register(KTHData, "vrnn3d.data.kth.dataset:build")
register(VideoData, "vrnn3d.data.video.dataset:build")


def settings_of(name: str) -> type[DataSettings]:
    """The class of a data set's settings; ``ValueError`` with the known names for an unknown one."""
    if name not in REGISTRY:
        raise ValueError(f"data.name is {name!r}, but must be one of: {', '.join(REGISTRY)}")
    return REGISTRY[name].settings


def build(
    settings: DataSettings,
    split: str,
    *,
    pool: str | None = None,
    length: int | None = None,
    device: Any = "cpu",
) -> Dataset:
    """The dataset of one split.

    Args:
        settings: of a registered data set.
        split: "train", "validation" or "test".
        pool: which test set, one of ``settings.pools()``; training and validation ignore it.
        length: frames of a sequence, by default ``settings.length``.
        device: where batches are put.

    Raises:
        ValueError: for an unknown split or pool; the known ones are named.
    """
    check_split(split)
    if split == "test":
        pool = settings.pools()[-1] if pool is None else pool
        if pool not in settings.pools():
            raise ValueError(f"no test set {pool!r} in data.{settings.NAME}; there are: {', '.join(settings.pools())}")
    builder = REGISTRY[settings_of(settings.NAME).NAME].builder
    if isinstance(builder, str):
        module, _, name = builder.partition(":")
        builder = getattr(import_module(module), name)
    length = settings.length if length is None else length
    found = builder(settings, split, pool, length, device)
    _check_batch(found, settings, length)
    return found


def _check_batch(data: Dataset, settings: DataSettings, length: int) -> None:
    """``ValueError`` where a data set, a user's own perhaps, does not give what trainings and evaluations take."""
    import torch

    batch = data.batch(torch.tensor([0]))
    wanted = (1, length, settings.channels, *settings.height_width)
    if batch.dtype != torch.uint8 or tuple(batch.shape) != wanted:
        raise ValueError(
            f"the data set {settings.NAME!r} gives batches of {batch.dtype}, {tuple(batch.shape)} for one sequence; they must"
            f" be torch.uint8 with values 0 to 255, {wanted}"
        )
