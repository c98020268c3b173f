"""How the toy networks are trained and measured, and which of them there are."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, NamedTuple

from vrnn3d import settings
from vrnn3d.losses import VARIANTS
from vrnn3d.settings import setting
from vrnn3d.study.catalogue import WIRINGS


class Run(NamedTuple):
    """One training of the ensemble."""

    variant: str
    wiring: str
    seed: int
    sigma_min: float = 0.0

    @property
    def label(self) -> str:
        """A key for records."""
        return f"{self.variant} {self.wiring} floor {self.sigma_min:g} seed {self.seed}"


@dataclass(frozen=True)
class Settings(settings.Settings):
    """How the runs are trained and measured; the same for all of them."""

    GROUP: ClassVar[str] = "toy"

    steps: int = setting(600, "updates of the training", low=1)
    batch: int = setting(16, "balls per update", low=1)
    length: int = setting(16, "frames of a training sequence", low=2)
    lr: float = setting(5e-3, "Adam's step size", above=0)
    lr_decay_from: float = setting(0.7, "the rate falls linearly to a tenth over the rest of the training", low=0, below=1)
    beta_warmup: float = setting(
        0.2, "fraction of the training over which the latent loss's weight rises from 0 to 1", low=0, high=1
    )
    noise: float = setting(0.05, "standard deviation of the decoder's Gaussian, half-widths of the box", above=0)
    clip: float = setting(5.0, "bound on each run's gradient norm", above=0)
    hidden: int = setting(32, "units of the LSTM", low=1)
    latent: int = setting(4, "dimensions of z", low=1)
    test_sequences: int = setting(100, "test sequences", low=1)
    samples: int = setting(50, "predictions of each of them", low=1)


def grid(
    variants: Sequence[str] = tuple(VARIANTS),
    wirings: Sequence[str] = WIRINGS,
    seeds: Sequence[int] = (0, 1, 2),
    floors: Sequence[float] = (0.0,),
) -> list[Run]:
    """Every combination, variant slowest. Raises ``ValueError`` for an unknown variant or wiring."""
    for names, known in ((variants, tuple(VARIANTS)), (wirings, WIRINGS)):
        for name in names:
            if name not in known:
                raise ValueError(f"no {name!r}; there are: {', '.join(known)}")
    return [Run(v, w, s, f) for v, f, w, s in itertools.product(variants, floors, wirings, seeds)]
