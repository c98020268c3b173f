"""The toy experiment of the loss chapter: a ball whose future is uncertain in a way that can be computed.

A point flies straight through the square [-1, 1]^2 and leaves each wall in a random direction. A Gaussian VRNN
(equations 1-6 on vectors: an LSTM with 32 units, 4 latent dimensions) is trained on its positions with every latent
loss and both wirings. All runs train side by side in one process: parameters are stacked along a leading axis of
runs and multiplied with ``baddbmm``, so that 42 trainings cost a minute on one core. Runs of one seed share initial
weights, data and noise, so that they differ in the loss and the wiring alone.

    python -m vrnn3d.study.toy --out results/toy/ball.json

The true sampler is the simulator itself (:func:`oracle_futures`): the yardstick that no video data set offers.
"""

from __future__ import annotations

import argparse
import itertools
import math
import time
from dataclasses import asdict, dataclass
from typing import NamedTuple, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from vrnn3d.layers.gaussian import Gaussian
from vrnn3d.losses import VARIANTS, latent_loss
from vrnn3d.evaluation.metrics import bootstrap

WIRINGS = ("z_p", "z_q")  # which sample is decoded and fed back in training: the prior's or the posterior's
SPEED = 0.25  # of the ball, half-widths of the box per frame
SPREAD = math.radians(75)  # a wall sends the ball off within this angle of its inward normal, uniformly
CONTEXT, HORIZON = 8, 12  # frames seen and frames predicted in the test


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
class Settings:
    """How the runs are trained and measured; the same for all of them."""

    steps: int = 600
    batch: int = 16
    length: int = 16  # frames of a training sequence
    lr: float = 5e-3
    lr_decay_from: float = 0.7  # the rate falls linearly to a tenth over the rest of the training
    beta_warmup: float = 0.2  # fraction of the training over which the latent loss's weight rises from 0 to 1
    noise: float = 0.05  # standard deviation of the decoder's Gaussian, half-widths of the box
    clip: float = 5.0  # bound on each run's gradient norm
    hidden: int = 32
    latent: int = 4
    test_sequences: int = 100
    samples: int = 50


def grid(
    variants: Sequence[str] = tuple(VARIANTS),
    wirings: Sequence[str] = WIRINGS,
    seeds: Sequence[int] = (0, 1, 2),
    floors: Sequence[float] = (0.0,),
) -> list[Run]:
    """Every combination, variant slowest. Raises ``ValueError`` for an unknown variant or wiring."""
    for names, known in ((variants, VARIANTS), (wirings, WIRINGS)):
        for name in names:
            if name not in known:
                raise ValueError(f"no {name!r}; there are: {', '.join(known)}")
    return [Run(v, w, s, f) for v, f, w, s in itertools.product(variants, floors, wirings, seeds)]


# The ball ---------------------------------------------------------------------------------------------------------


def launch(n: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """Positions and velocities (n, 2) of n balls: uniform in the box, direction uniform on the circle."""
    angle = 2 * math.pi * torch.rand(n, generator=generator)
    return 2 * torch.rand(n, 2, generator=generator) - 1, SPEED * torch.stack([angle.cos(), angle.sin()], -1)


def fly(position: Tensor, velocity: Tensor, frames: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
    """The next `frames` positions (n, frames, 2), in [-1, 1], and the velocities (n, 2) after the last of them."""
    path = []
    for _ in range(frames):
        position = position + velocity
        for axis in (0, 1):
            side = position[:, axis].sign()
            hit = position[:, axis].abs() > 1
            angle = SPREAD * (2 * torch.rand(len(position), generator=generator) - 1)
            away, along = -side * SPEED * angle.cos(), SPEED * angle.sin()
            # In a corner the second bounce must not send the ball back through the first wall.
            along = torch.where(position[:, 1 - axis].abs() > 1, -position[:, 1 - axis].sign() * along.abs(), along)
            bounced = torch.stack([away, along] if axis == 0 else [along, away], -1)
            velocity = torch.where(hit[:, None], bounced, velocity)
        position = torch.where(position.abs() > 1, 2 * position.sign() - position, position)
        path.append(position)
    return torch.stack(path, 1), velocity


def oracle_futures(position: Tensor, velocity: Tensor, samples: int, generator: torch.Generator) -> Tensor:
    """The true sampler: (n, samples, HORIZON, 2) futures of balls whose state is known."""
    n = len(position)
    states = (t.repeat_interleave(samples, 0) for t in (position, velocity))
    return fly(*states, HORIZON, generator)[0].view(n, samples, HORIZON, 2)


class HeldOut(NamedTuple):
    """Sequences of CONTEXT + HORIZON positions, and the ball's true state where the context ends."""

    frames: Tensor  # (n, CONTEXT + HORIZON, 2)
    position: Tensor  # (n, 2)
    velocity: Tensor  # (n, 2)


def held_out(n: int, seed: int = 10_000) -> HeldOut:
    """`n` test sequences; `seed` is far from those of the trainings."""
    generator = torch.Generator().manual_seed(seed)
    seen, velocity = fly(*launch(n, generator), CONTEXT, generator)
    future, _ = fly(seen[:, -1], velocity, HORIZON, generator)
    return HeldOut(torch.cat([seen, future], 1), seen[:, -1], velocity)


# The network, stacked ---------------------------------------------------------------------------------------------


class Ensemble:
    """One Gaussian VRNN per run; every parameter (runs, in, out) or (runs, 1, out)."""

    def __init__(self, runs: Sequence[Run], settings: Settings = Settings()):
        self.runs, self.settings = list(runs), settings
        if not self.runs:
            raise ValueError("no runs to train; give at least one variant, wiring and seed")
        h, z, e = settings.hidden, settings.latent, 16
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
    def _draw(shapes: dict, seed: int) -> dict[str, Tensor]:
        """PyTorch's default initialisation of linear layers, from a seed."""
        generator, drawn = torch.Generator().manual_seed(seed), {}
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

    def rollout(
        self, frames: Tensor, length: int, noise: torch.Generator | Tensor, training: bool
    ) -> tuple[Tensor, Gaussian | None, Gaussian]:
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
        hidden = cell = frames.new_zeros(runs, batch, self.settings.hidden)
        predictions, posteriors, priors = [], [], []
        before = frames[:, :, 0]
        for t in range(length):
            if t == 0:  # the first frame sets the state going; there is nothing to predict it from
                z, frame = frames.new_zeros(runs, batch, self.settings.latent), before
                encoded = self.linear("encode", frame).tanh()
            else:
                draws = (
                    noise[t - 1]
                    if isinstance(noise, Tensor)
                    else torch.randn(2, runs, batch, self.settings.latent, generator=noise)
                )
                p = self._gaussian("prior", hidden)  # eq. 1
                priors.append(p)
                z = p.sample(draws[1])  # eq. 3
                frame = frames[:, :, t] if t < known else None
                encoded = None if frame is None else self.linear("encode", frame).tanh()
                if training:
                    q = self._gaussian("posterior", hidden, encoded)  # eq. 2
                    posteriors.append(q)
                    z = torch.where(self.decodes_prior, z, q.sample(draws[0]))  # eq. 4, and the wiring
                # Eq. 5; the decoder gives the step from the last position
                prediction = before + self.linear("decode_head", self.linear("decode", hidden, z).tanh())
                predictions.append(prediction)
                if frame is None:
                    frame = prediction
                    encoded = self.linear("encode", frame).tanh()
            i, f, g, o = self.linear("lstm", encoded, z, hidden).chunk(4, -1)  # eq. 6
            cell = f.sigmoid() * cell + i.sigmoid() * g.tanh()
            hidden = o.sigmoid() * cell.tanh()
            before = frame
        stack = lambda gs: Gaussian(*(torch.stack(t) for t in zip(*gs))) if gs else None  # noqa: E731
        return torch.stack(predictions, 2), stack(posteriors), stack(priors)

    def losses(self, frames: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Gaussian, Gaussian]:
        """Of each run (runs,), in nats per frame: reconstruction and latent loss; and the two Gaussians.

        With the Gaussian decoder of standard deviation `noise`, `kl_qp` and z_q their sum is the negative ELBO.
        """
        prediction, q, p = self.rollout(frames, frames.shape[2], noise, training=True)
        error = (prediction - frames[:, :, 1:]).square().sum(-1).mean((1, 2))
        # Runs of one variant lie side by side: one call each, on slices along the axis of runs.
        parts, start = [], 0
        for variant, group in itertools.groupby(run.variant for run in self.runs):
            where = slice(start, start := start + len(list(group)))
            pair = (Gaussian(*(t[:, where] for t in g)) for g in (q, p))
            parts.append(latent_loss(*pair, variant).sum(-1).mean((0, 2)))
        return error / (2 * self.settings.noise**2), torch.cat(parts), q, p


@dataclass
class Trained:
    """What training leaves: the networks, curves (points, runs), and the seconds it took."""

    ensemble: Ensemble
    steps: list[int]
    curves: dict[str, Tensor]
    seconds: float


def train(runs: Sequence[Run], settings: Settings = Settings(), progress: bool = True) -> Trained:
    """Train all `runs` side by side with Adam. Each run is what it would be alone: nothing is shared between runs
    but the random numbers of their seed, and gradients are clipped run by run."""
    ensemble = Ensemble(runs, settings)
    parameters = list(ensemble.parameters.values())
    optimiser = torch.optim.Adam(parameters, lr=settings.lr, foreach=True)
    seeds = sorted({run.seed for run in runs})
    row = torch.tensor([seeds.index(run.seed) for run in runs])
    generators = [torch.Generator().manual_seed(1_000 + seed) for seed in seeds]
    steps, curves, begun = [], {}, time.perf_counter()
    for step in tqdm(range(settings.steps), desc="toy", disable=not progress, mininterval=5):
        data, noise = [], []
        for generator in generators:
            data.append(fly(*launch(settings.batch, generator), settings.length, generator)[0])
            noise.append(torch.randn(settings.length - 1, 2, settings.batch, settings.latent, generator=generator))
        frames, draws = torch.stack(data)[row], torch.stack(noise, 2)[:, :, row]
        for group in optimiser.param_groups:
            group["lr"] = settings.lr * _rate(step / settings.steps, settings.lr_decay_from)
        beta = min(1.0, (step + 1) / max(1, settings.beta_warmup * settings.steps))
        reconstruction, latent, q, p = ensemble.losses(frames, draws)
        optimiser.zero_grad()
        (reconstruction + beta * latent).sum().backward()
        norm = sum(t.grad.square().sum((1, 2)) for t in parameters).sqrt()
        scale = (settings.clip / norm).clamp(max=1)[:, None, None]
        for t in parameters:
            t.grad.mul_(scale)
        optimiser.step()
        if step % max(1, settings.steps // 70) == 0 or step == settings.steps - 1:
            steps.append(step + 1)
            with torch.no_grad():
                point = {
                    "reconstruction": reconstruction,
                    "latent": latent,
                    "log_std_prior": p.std.log().mean((0, 2, 3)),
                    "log_std_posterior": q.std.log().mean((0, 2, 3)),
                    # at the floor: within 5% of it, as in the training of the video models
                    "floor_fraction": (p.std < 1.05 * ensemble.floor).float().mean((0, 2, 3)),
                }
            for name, value in point.items():
                curves.setdefault(name, []).append(value.detach())
    curves = {name: torch.stack(values) for name, values in curves.items()}
    if bad := [runs[i] for i in (~curves["latent"][-1].isfinite()).nonzero().flatten()]:
        raise FloatingPointError(f"these runs ended with a loss that is not finite: {bad}; lower the learning rate")
    return Trained(ensemble, steps, curves, time.perf_counter() - begun)


def _rate(progress: float, decay_from: float) -> float:
    return 1.0 if progress < decay_from else 1 - 0.9 * (progress - decay_from) / (1 - decay_from)


# Measuring --------------------------------------------------------------------------------------------------------


@torch.no_grad()
def futures(ensemble: Ensemble, test: HeldOut, samples: int, seed: int = 0) -> Tensor:
    """Free runs after the context: (runs, n, samples, HORIZON, 2). Every run gets the same noise."""
    n, length = test.frames.shape[:2]
    context = test.frames[:, :CONTEXT].repeat_interleave(samples, 0)
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(length - 1, 2, 1, n * samples, ensemble.settings.latent, generator=generator)
    free = []
    for start in range(0, len(ensemble.runs), 7):  # a few runs at a time: bounded memory, and faster
        part = ensemble.subset(slice(start, start + 7))
        predictions, _, _ = part.rollout(context.expand(len(part.runs), *context.shape), length, noise, training=False)
        free.append(predictions[:, :, -HORIZON:].reshape(-1, n, samples, HORIZON, 2).clone())
    return torch.cat(free)


def scores(predictions: Tensor, truth: Tensor) -> dict[str, Tensor]:
    """Of each test sequence (..., n), squared half-widths of the box summed over the two coordinates, averaged over
    frames: `average` over samples, `best` of the samples, `mean_frame`, `variance` of the samples (divisor S); and
    `crps`, the fair estimate of the continuous ranked probability score per coordinate (half-widths of the box).

    predictions (..., n, samples, frames, 2), truth (n, frames, 2). average = mean_frame + variance, exactly.
    """
    error = (predictions - truth[:, None]).square().sum(-1).mean(-1)  # (..., n, samples)
    mean = predictions.mean(-3)
    samples = predictions.shape[-3]
    ordered = predictions.sort(dim=-3).values
    weight = (2 * torch.arange(samples) - samples + 1.0) / (samples * max(1, samples - 1))
    spread = (ordered * weight[:, None, None]).sum(-3)  # half the mean distance between two samples
    crps = (predictions - truth[:, None]).abs().mean(-3) - spread
    return {
        "average": error.mean(-1),
        "best": error.amin(-1),
        "mean_frame": (mean - truth).square().sum(-1).mean(-1),
        "variance": predictions.var(-3, correction=0).sum(-1).mean(-1),
        "crps": crps.mean((-1, -2)),
    }


def references(test: HeldOut, samples: int, seed: int = 0) -> dict[str, Tensor]:
    """Predictions that need no training, (n, samples or 1, HORIZON, 2): the true sampler, the mean of 1,000 of its
    draws (nothing deterministic has a lower expected squared error), and the last frame kept."""
    generator = torch.Generator().manual_seed(20_000 + seed)
    return {
        "true sampler": oracle_futures(test.position, test.velocity, samples, generator),
        "true mean": oracle_futures(test.position, test.velocity, 1_000, generator).mean(1, keepdim=True),
        "copy last": test.position[:, None, None].expand(-1, 1, HORIZON, 2),
    }


def measure(trained: Trained, test: HeldOut, predictions: Tensor | None = None) -> dict:
    """A record: settings, curves, and per run the scores with their intervals; plain Python types.

    `predictions` are :func:`futures` of all runs where the caller has them; else they are drawn here, a few at a time.
    """
    settings, runs = trained.ensemble.settings, trained.ensemble.runs
    truth = test.frames[:, CONTEXT:]

    def summary(values: dict[str, Tensor]) -> dict:
        return {name: {"mean": float(v.mean()), "interval": bootstrap(v).tolist()} for name, v in values.items()}

    rows = []
    for i in range(0, len(runs), 7):
        where = slice(i, i + 7)
        part = (
            futures(trained.ensemble.subset(where), test, settings.samples)
            if predictions is None
            else predictions[where]
        )
        table = scores(part, truth)
        rows += [summary({name: v[k] for name, v in table.items()}) for k in range(len(table["average"]))]
    return {
        "schema": 1,
        "experiment": "toy_ball",
        "settings": {**asdict(settings), "speed": SPEED, "context": CONTEXT, "horizon": HORIZON},
        "seconds": round(trained.seconds, 1),
        "references": {name: summary(scores(p, truth)) for name, p in references(test, settings.samples).items()},
        "steps": trained.steps,
        "runs": {
            run.label: {
                **run._asdict(),
                "scores": row,
                "curves": {name: v[:, i].tolist() for name, v in trained.curves.items()},
            }
            for i, (run, row) in enumerate(zip(runs, rows))
        },
    }


def main(arguments: Sequence[str] | None = None) -> None:
    """The longer recorded run: every variant, wiring and seed, without and with the floor; one JSON file."""
    from vrnn3d.layers.gaussian import SIGMA_MIN
    from vrnn3d.study.results import provenance, write_json

    parser = argparse.ArgumentParser(prog="python -m vrnn3d.study.toy", description=main.__doc__)
    parser.add_argument("--out", required=True, help="the JSON file to write")
    parser.add_argument("--steps", type=int, default=4_000)
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, 0, 1, ...")
    parser.add_argument("--batch", type=int, default=32)
    parser.add_argument("--test-sequences", type=int, default=500)
    chosen = parser.parse_args(arguments)
    settings = Settings(steps=chosen.steps, batch=chosen.batch, test_sequences=chosen.test_sequences)
    trained = train(grid(seeds=range(chosen.seeds), floors=(0.0, SIGMA_MIN)), settings)
    record = {**measure(trained, held_out(settings.test_sequences)), **provenance()}
    print(f"wrote {write_json(record, chosen.out)}: {len(record['runs'])} runs in {record['seconds']:.0f} s")


if __name__ == "__main__":
    main()
