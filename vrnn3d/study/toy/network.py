"""The networks of the toy experiment: Gaussian VRNNs on positions, stacked along an axis of runs.

Equations 1 to 6 on vectors, with an LSTM in place of the ConvLSTM. Parameters of all runs are stacked along a leading axis and
multiplied with ``baddbmm``, so that 42 trainings side by side cost a minute on one core.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import latent_loss
from vrnn3d.study.toy.settings import Run, Settings

ENCODED = 16  #: features of a position


class Ensemble:
    """One Gaussian VRNN per run; every parameter (runs, in, out) or (runs, 1, out)."""

    def __init__(self, runs: Sequence[Run], settings: Settings | None = None):
        self.runs, self.settings = list(runs), settings or Settings()
        if not self.runs:
            raise ValueError("no runs to train; give at least one variant, wiring and seed")
        h, z, e = self.settings.hidden, self.settings.latent, ENCODED
        shapes = {  # layer: (inputs, outputs)
            "encode": (2, e),
            "prior": (h, h),  # eq. 1
            "prior_head": (h, 2 * z),
            "posterior": (h + e, h),  # eq. 2
            "posterior_head": (h, 2 * z),
            "decode": (h + z, h),  # eq. 5
            "decode_head": (h, 2),
            "lstm": (e + z + h, 4 * h),  # eq. 6
        }
        drawn = {seed: self._draw(shapes, seed) for seed in {run.seed for run in self.runs}}
        self.parameters = {
            name: torch.stack([drawn[run.seed][name] for run in self.runs]).requires_grad_()
            for name in drawn[self.runs[0].seed]
        }
        self.unit = 1.0  # length of the latent space's unit: scales both Gaussians; the decoder can undo it
        self.floor = torch.tensor([run.sigma_min for run in self.runs])[:, None, None]
        self.decodes_prior = torch.tensor([run.wiring == "z_p" for run in self.runs])[:, None, None]

    @staticmethod
    def _draw(shapes: dict[str, tuple[int, int]], seed: int) -> dict[str, Tensor]:
        """PyTorch's default initialisation of linear layers, from a seed."""
        generator = torch.Generator().manual_seed(seed)
        drawn: dict[str, Tensor] = {}
        for name, (fan_in, fan_out) in shapes.items():
            bound = fan_in**-0.5
            drawn[name] = bound * (2 * torch.rand(fan_in, fan_out, generator=generator) - 1)
            drawn[name + "_bias"] = bound * (2 * torch.rand(1, fan_out, generator=generator) - 1)
        return drawn

    def subset(self, where: slice) -> Ensemble:
        """Some of the runs, parameters shared."""
        part = Ensemble.__new__(Ensemble)
        part.runs, part.settings, part.unit = self.runs[where], self.settings, self.unit
        part.parameters = {name: t[where] for name, t in self.parameters.items()}
        part.floor, part.decodes_prior = self.floor[where], self.decodes_prior[where]
        return part

    def in_units_of(self, unit: float) -> Ensemble:
        """The same networks with the latent space measured in another unit: both Gaussians are multiplied by `unit`,
        the weights on z divided by it, so that every prediction stays what it was."""
        same = self.subset(slice(None))
        same.unit, h, z = self.unit * unit, self.settings.hidden, self.settings.latent
        same.parameters = {name: t.detach().clone() for name, t in self.parameters.items()}
        same.parameters["decode"][:, h:] /= unit  # inputs: (h, z)
        same.parameters["lstm"][:, -h - z : -h] /= unit  # inputs: (encoding, z, h)
        return same

    def linear(self, name: str, *inputs: Tensor) -> Tensor:
        """(runs, batch, in) -> (runs, batch, out)."""
        joined = inputs[0] if len(inputs) == 1 else torch.cat(inputs, -1)
        return torch.baddbmm(self.parameters[name + "_bias"], joined, self.parameters[name])

    def _gaussian(self, name: str, *inputs: Tensor) -> Gaussian:
        mean, raw = self.linear(name + "_head", self.linear(name, *inputs).tanh()).chunk(2, -1)
        return Gaussian(self.unit * mean, self.unit * (self.floor + F.softplus(raw)))

    def _encoded(self, frame: Tensor) -> Tensor:
        return self.linear("encode", frame).tanh()

    def _updated(self, encoded: Tensor, z: Tensor, hidden: Tensor, cell: Tensor) -> tuple[Tensor, Tensor]:
        """Eq. 6: hidden state and cell after a frame and a latent."""
        i, f, g, o = self.linear("lstm", encoded, z, hidden).chunk(4, -1)
        cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
        return o.sigmoid() * cell.tanh(), cell

    def rollout(self, frames: Tensor, length: int, noise: Tensor, training: bool) -> tuple[Tensor, Gaussian | None, Gaussian]:
        """Equations 1 to 6 over time; where `frames` ends, the network's own predictions take their place.

        Args:
            frames: (runs, batch, time, 2) true positions.
            length: frames in all, known and predicted.
            noise: (length - 1, 2, runs or 1, batch, latent) draws for the posterior and the prior.
            training: True: the posterior sees the frame to be predicted, and each run decodes the sample that its
                wiring names. False: there is no posterior and every run decodes the prior's.

        Returns:
            predictions (runs, batch, length - 1, 2) of frames 1 .. length - 1, and the posterior (None in the test)
            and the prior, stacked over the steps: (length - 1, runs, batch, latent).
        """
        runs, batch, known, _ = frames.shape
        predictions, posteriors, priors = [], [], []
        zeros, before = frames.new_zeros(runs, batch, self.settings.hidden), frames[:, :, 0]
        # The first frame sets the state going; there is nothing to predict it from
        z = frames.new_zeros(runs, batch, self.settings.latent)
        hidden, cell = self._updated(self._encoded(before), z, zeros, zeros)
        for t in range(1, length):
            p = self._gaussian("prior", hidden)  # eq. 1
            priors.append(p)
            z = p.sample(noise[t - 1, 1])  # eq. 3
            encoded = self._encoded(frames[:, :, t]) if t < known else None
            if training and encoded is not None:
                q = self._gaussian("posterior", hidden, encoded)  # eq. 2
                posteriors.append(q)
                z = torch.where(self.decodes_prior, z, q.sample(noise[t - 1, 0]))  # eq. 4, and the wiring
            # Eq. 5; the decoder gives the step from the last position
            prediction = before + self.linear("decode_head", self.linear("decode", hidden, z).tanh())
            predictions.append(prediction)
            before = prediction if encoded is None else frames[:, :, t]
            hidden, cell = self._updated(self._encoded(before) if encoded is None else encoded, z, hidden, cell)
        return torch.stack(predictions, 2), _stacked(posteriors) if posteriors else None, _stacked(priors)

    def losses(self, frames: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Gaussian, Gaussian]:
        """Of each run (runs,), in nats per frame: reconstruction and latent loss; and the two Gaussians.

        With the Gaussian decoder of standard deviation `noise`, `kl_qp` and z_q their sum is the negative ELBO.
        """
        prediction, q, p = self.rollout(frames, frames.shape[2], noise, training=True)
        if q is None:
            raise ValueError(f"sequences of {frames.shape[2]} frames leave nothing to predict; give at least 2")
        error = (prediction - frames[:, :, 1:]).square().sum(-1).mean((1, 2))
        # Runs of one variant lie side by side: one call each, on slices along the axis of runs.
        parts, start = [], 0
        for variant, group in itertools.groupby(run.variant for run in self.runs):
            where = slice(start, start := start + len(list(group)))
            posterior, prior = (Gaussian(g.mean[:, where], g.std[:, where]) for g in (q, p))
            parts.append(latent_loss(posterior, prior, variant).sum(-1).mean((0, 2)))
        return error / (2 * self.settings.noise**2), torch.cat(parts), q, p


def _stacked(gaussians: list[Gaussian]) -> Gaussian:
    return Gaussian(torch.stack([g.mean for g in gaussians]), torch.stack([g.std for g in gaussians]))
