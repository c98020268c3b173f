"""The model card of published weights, written from the record of the run that made them."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from vrnn3d.data.settings import VideoData
from vrnn3d.study.profiles import PROFILES
from vrnn3d.study.records import Record
from vrnn3d.training.optimisers import TITLES


def model_card(name: str, record: Record) -> str:
    """What someone should know who comes upon published weights, in Markdown: all of it from the run's record."""
    height, width = record.config.data.height_width
    return _CARD.format(
        name=name,
        title=record.title,
        experiment=record.experiment,
        profile=record.profile,
        seed=record.seed,
        origin=_origin(record),
        clips=" --clips my_clips/" if isinstance(record.config.data, VideoData) else "",
        channels=record.config.data.channels,
        height=height,
        width=width,
        data=record.config.data.NAME.replace("_", "-"),
        facts=_table(("", ""), _facts(record)),
        scores=_scores(record),
        limits="\n".join(f"- {limit}" for limit in _limits(record)),
    )


def _origin(record: Record) -> str:
    """Who trained the weights, and from what."""
    who = "that a user of vrnn3d trained" if record.group == "own" else "that this repository's study trained"
    return f"{who} on from others" if record.config.train.start else f"{who} from scratch"


_CARD = """\
---
library_name: vrnn3d
license: mit
tags: [video-prediction, variational-recurrent-network, {data}]
---
# {title}

Weights {origin}: experiment `{experiment}`, profile `{profile}`, seed {seed}.
They are not the weights of the paper's authors. This card was written from the run's record by `vrnn3d publish`.

{facts}

## Scores

{scores}

## Use

```bash
vrnn3d predict my_clip.mp4 --model {name} --out future.webp
vrnn3d evaluate {name}{clips}
```

```python
import torch, vrnn3d

model = vrnn3d.load("{name}")
frames = torch.rand(1, 10, {channels}, {height}, {width})  # (batch, time, channel, height, width), values in [0, 1]
with torch.no_grad():
    future = model(frames, context=10, length=20, samples=5)  # (batch, samples, time, channel, height, width)
```

## Limits

{limits}

## Licence

MIT, as the code.
"""


def _table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _facts(record: Record) -> list[tuple[str, str]]:
    model, loss, train = record.config.model, record.config.loss, record.config.train
    trained, origin = record.training, record.provenance
    options = "".join(f", {key} = {value}" for key, value in model.options.items())
    started = [("started from", f"`{train.start}`")] if train.start else []
    latent = f"{loss.variant}, weight {loss.beta:g}; " if record.parameters.get("prior") else ""
    return [
        ("model", f"`{model.name}`, M = {model.window}, H = {model.horizon}{options}"),
        ("parameters", f"{record.parameters['total']:,}"),
        ("data", record.data.description),
        ("loss", f"{latent}L1 weight {loss.l1:g}, L2 weight {loss.l2:g}"),
        *started,
        ("training", f"{trained.sequences:,} sequences in {trained.updates:,} updates of {train.batch};"
         f" {TITLES[train.optimiser]}, learning rate {train.lr:g}" + ("" if record.finished else "; **cut** before its end")),
        ("time", f"{trained.seconds / 60:.1f} minutes, {trained.precision}"),
        ("machine", f"{origin.machine.device}; PyTorch {origin.versions['torch']}"),
        ("code", f"commit {origin.code.commit or 'unknown'}" + (" (modified)" if origin.code.dirty else "")),
        ("configuration", f"`{record.config_hash}`, whole in `config.json`"),
        ("date", origin.date),
    ]  # fmt: skip


def _scores(record: Record) -> str:
    if not record.evaluation:
        return "The run was not evaluated."
    rows = []
    for pool, protocols in record.evaluation.items():
        for protocol, entry in protocols.items():
            mse, ssim = entry.scores["mse"], entry.scores["ssim"]
            rows.append(
                (
                    pool,
                    protocol,
                    f"{entry.sequences:,}",
                    str(entry.samples),
                    "{:.2f} [{:.2f}, {:.2f}]".format(mse.average, *mse.interval),
                    f"{record.percent_of_black(pool, protocol):.0f}%" if "black" in entry.baselines else "",
                    f"{entry.baselines['copy_last']:.2f}" if "copy_last" in entry.baselines else "",
                    f"{mse.mean_frame:.2f}",
                    f"{ssim.average:.3f}",
                    f"{entry.scores['psnr'].average:.2f}",
                )
            )
    head = (
        "test set",
        "given->predicted",
        "sequences",
        "samples",
        "MSE",
        "of a black frame",
        "MSE of the last frame, repeated",
        "MSE, mean frame",
        "SSIM",
        "PSNR (dB)",
    )
    return _table(head, rows) + (
        "\n\nMSE is summed over the pixels of a frame and averaged over frames, sequences and samples, with the 95%"
        " interval over test sequences. Test set `train`: of the digits (or persons) that training drew from; `test`: of"
        " held-out ones. Measured with the run's own weights, before they were rounded to bfloat16."
    )


def _limits(record: Record) -> list[str]:
    data, train = record.config.data, record.config.train
    contexts = " or ".join(map(str, train.context))
    height, width = data.height_width
    limits = [
        "Grey frames: a colour video is turned to grey." if data.channels == 1 else "Colour frames.",
        f"Trained on frames of {height} x {width} pixels, with {contexts} frames of context in sequences of"
        f" {data.length}. Other sizes, and other lengths than those under Scores, run too and were not measured.",
        "Trained on the data named above and on nothing else: of any other video it knows nothing.",
    ]
    if not PROFILES[record.profile].comparable if record.profile in PROFILES else True:
        limits.append(f"A run of the `{record.profile}` profile: its scores do not compare with any published ones.")
    return limits
