"""Put a playground into a page: ``{playground} loss`` and ``{playground} try``, all that they need inside the page.

Pages must work when they are opened from disk, so scripts and styles are inlined and the models' weights are scripts in
_static/web that the page loads by itself. The sources are in book/web.
"""

from __future__ import annotations

import base64
import html
import io
import json
import posixpath
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import matplotlib
import numpy as np
import torch
import torch.nn.functional as F
from docutils import nodes
from docutils.parsers.rst import directives
from sphinx.errors import ExtensionError
from sphinx.util.docutils import SphinxDirective

from vrnn3d import checkpoint, config, published, show
from vrnn3d.config import Experiment
from vrnn3d.data.mnist import EXCERPT, Digits
from vrnn3d.data.moving_mnist import MovingMNIST
from vrnn3d.data.settings import MovingMNISTData
from vrnn3d.layers.gaussian import SIGMA_MIN, Gaussian
from vrnn3d.losses import VARIANTS, latent_loss
from vrnn3d.models.vrnn import VRNN
from vrnn3d.rollout import rollout
from vrnn3d.study import profiles, web
from vrnn3d.study.figures.loss import NAMES
from vrnn3d.study.figures.style import colour

SOURCES = Path(__file__).parent.parent / "web"
STATIC = "_static/web"
MODELS = 4  # offered at most: one for each latent loss, and one without a latent
NO_LATENT = "no latent"
MOST_BYTES = 4_000_000  # of a page with all its models
MOST_PARAMETERS = 1_000_000  # of a model: with more, a browser takes seconds for a prediction
SPRITES_OF_A_CLASS = 4

# ---- the fragments ---------------------------------------------------------------------------------------------------


def _text(name: str, **values: Any) -> str:
    """A source with its {{places}} filled."""
    text = (SOURCES / name).read_text(encoding="utf-8")
    for place, value in values.items():
        text = text.replace(f"{{{{{place}}}}}", html.escape(str(value)))
    return text


def fragment(name: str, scripts: tuple[str, ...], start: str, data: dict, fallback: str, **values: Any) -> str:
    """A playground as HTML: what shows without JavaScript, its style, its body, its scripts and the call that starts it.

    `scripts` are its own; ``page.js`` comes before them.
    """
    given = json.dumps(data, separators=(",", ":")).replace("</", "<\\/")
    return "\n".join(
        [
            f"<noscript>{fallback}</noscript>",
            f"<style>{_text('play.css')}{_text(f'{name}.css')}</style>",
            _text(f"{name}.html", **values),
            f"<script>{''.join(map(_text, ('page.js', *scripts)))}",
            f'{start}(document.getElementById("vrnn3d-{name}"), {given});</script>',
        ]
    )


# ---- the losses ------------------------------------------------------------------------------------------------------

#: Where the two Gaussians stand at first: apart, one too narrow and one too wide, as in the chapter's pictures.
START = {"mp": 1.0, "sp": 1.3, "mq": -1.0, "sq": 0.7}


def loss_data() -> dict[str, Any]:
    """What the script of the losses is given: the coefficients and names of all variants."""
    fields = ("a", "b", "c", "w", "mirrored", "constant")
    variants = {
        name: {**dict(zip(fields, weights)), "label": NAMES.get(name, name), "colour": colour(name)}
        for name, weights in VARIANTS.items()
    }
    return {"variants": variants, "start": START, "chosen": "kl_ll"}


def _loss_fallback() -> str:
    """The seven losses of the start as a table, for those without JavaScript."""
    numbers = {name: torch.tensor(value, dtype=torch.float64) for name, value in START.items()}
    q, p = Gaussian(numbers["mq"], numbers["sq"]), Gaussian(numbers["mp"], numbers["sp"])
    rows = "".join(
        f"<tr><td>{html.escape(NAMES.get(name, name))}</td><td>{float(latent_loss(q, p, name)):.3f}</td></tr>"
        for name in VARIANTS
    )
    return (
        "<p>With JavaScript there are two Gaussians to drag here. Without, the losses in nats of the prior "
        f"N({START['mp']}, {START['sp']}²) and the posterior N({START['mq']}, {START['sq']}²):</p>"
        f'<table class="vrnn3d-table"><tbody>{rows}</tbody></table>'
    )


def loss_fragment() -> str:
    """The playground of the losses."""
    return fragment("loss", ("loss.js",), "vrnn3dLossPage", loss_data(), _loss_fallback(), floor=SIGMA_MIN)


# ---- the models ------------------------------------------------------------------------------------------------------


def offered(sources: Iterable[str | Path] | None = None) -> list[tuple[str, Experiment, VRNN]]:
    """(name, experiment, model) of the published models that the page can run, digits at half scale: one for each latent loss,
    and the last published one of those without a latent. Those that are too large for a browser are left out.

    `sources` are names or folders of published weights, by default all there are.
    """
    found: dict[str, tuple[str, Experiment, VRNN]] = {}
    for source in published.names() if sources is None else sources:
        folder = published.find(str(source))
        experiment = config.from_dict(json.loads((folder / published.CONFIG).read_text(encoding="utf-8"))["config"])
        if not _fits(experiment):
            continue
        model = checkpoint.load_any(folder).model
        if isinstance(model, VRNN) and model.parameter_breakdown()["total"] <= MOST_PARAMETERS:
            kind = experiment.loss.variant if model.stochastic else NO_LATENT
            if kind == NO_LATENT or kind not in found:
                found[kind] = (folder.name, experiment, model)
    order = [*VARIANTS, *(kind for kind in found if kind not in (*VARIANTS, NO_LATENT))]
    losses = [found[kind] for kind in order if kind in found][: MODELS - 1]
    return [*losses, found[NO_LATENT]] if NO_LATENT in found else losses


def _fits(experiment: Experiment) -> bool:
    """Whether a model's frames are the page's: digits of half scale that bounce as a mirror has it."""
    data, ours = experiment.data, profiles.get("vrnn3d_kl", "half").data
    return isinstance(data, MovingMNISTData) and data.height_width == ours.height_width and data.bounce == "mirror"


def _excerpt() -> Digits:
    """Forty held-out digits of the packaged excerpt, four of a class, class after class within each row of ten."""
    with np.load(EXCERPT, allow_pickle=False) as excerpt:
        images, labels = excerpt["test_images"], excerpt["test_labels"]
    rows = [np.flatnonzero(labels == label)[:SPRITES_OF_A_CLASS] for label in range(10)]
    chosen = np.stack(rows).T.ravel()
    return Digits(torch.from_numpy(images[chosen]), torch.from_numpy(labels[chosen]), "test", "excerpt")


def sprite(side: int) -> tuple[np.ndarray, list[int]]:
    """Those digits at side x side pixels, resized as Moving MNIST resizes them: (uint8 (40, side, side), their labels)."""
    digits = _excerpt()
    small = F.interpolate(digits.images[:, None].float(), size=(side, side), mode="bilinear", antialias=True)
    return small[:, 0].round().clamp(0, 255).to(torch.uint8).numpy(), digits.labels.tolist()


def scene_data(experiment: Experiment) -> dict[str, Any]:
    """What the page is given about the frames: sizes, speeds, digits to choose from, and the scene it starts with."""
    settings: Any = experiment.data  # of Moving MNIST
    pixels, labels = sprite(settings.digit_size)
    low, high = settings.speed_range
    free, speed = settings.size - settings.digit_size, (low + high) / 2
    ways = ((0.7, 0.2, 0.81, 0.59), (0.3, 0.9, -0.62, -0.79), (0.4, 0.5, -0.8, 0.6), (0.9, 0.2, -0.6, 0.8))  # start, direction
    start = [
        {"sprite": (13, 25, 8, 31)[n % 4], "y": y * free, "x": x * free, "vy": vy * speed, "vx": vx * speed}
        for n, (y, x, vy, vx) in zip(range(settings.digits), ways)
    ]
    return {
        "size": settings.size,
        "side": settings.digit_size,
        "digits": len(start),
        "context": max(experiment.train.context),
        "length": settings.length,
        "low": low,
        "high": high,
        "sprite": base64.b64encode(pixels.tobytes()).decode(),
        "labels": labels,
        "start": start,
    }


def _strip(experiment: Experiment, model: VRNN) -> str:
    """A sequence, its samples and their mean as a picture, for those without JavaScript."""
    data: Any = experiment.data  # of Moving MNIST
    context = max(experiment.train.context)
    moving = MovingMNIST(
        _excerpt(), size=data.size, length=data.length, num_digits=data.digits, digit_size=data.digit_size,
        speed=data.speed, speed_range=data.speed_range, stream="test", count=1,
    )  # fmt: skip
    frames = moving[0][None].float() / 255
    with torch.no_grad(), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        drawn, _ = rollout(model, frames, context, data.length, samples=3)
    drawn = drawn[:, -(data.length - context) :, 0].clamp(0, 1)
    rows = {"what happens": frames[0, :, 0]} | {f"sample {k + 1}": sample for k, sample in enumerate(drawn)}
    out = io.BytesIO()
    grey: Any = dict.fromkeys(("text.color", "xtick.color", "ytick.color"), show.GREY)  # reads on both themes
    with matplotlib.rc_context(grey):
        figure = show.strip({**rows, "mean": drawn.mean(0)}, context=context, every=2)
        figure.savefig(out, format="png", dpi=110, bbox_inches="tight", transparent=True, metadata={"Software": None})
    source = "data:image/png;base64," + base64.b64encode(out.getvalue()).decode()
    return (
        f"<p>With JavaScript you can throw digits here. Without, one sequence and what {html.escape(experiment.title)} makes of"
        f" its first {context} frames:</p>"
        f'<img src="{source}" style="max-width:100%" alt="Rows of frames of two moving digits: what happens, three samples of'
        ' the model beginning after the given frames, and their mean.">'
    )


def try_fragment(place: Path, link: str, sources: Iterable[str | Path] | None = None) -> str:
    """The playground of the models, whose weights go to the folder `place`, which the page reaches as `link`.

    `sources` as for :func:`offered`.
    Where no weights are published it says so and holds the playground of the losses.

    Raises:
        ExtensionError: when page and models together weigh more than 4 MB.
    """
    models = offered(sources)
    if not models:
        return (
            "<p><strong>No trained half-scale model is published in this repository yet.</strong> Until there is one, here is"
            " what such a model is trained with: two Gaussians to drag, and the latent losses between them.</p>"
            + loss_fragment()
        )
    files: list[dict[str, Any]] = []
    for name, experiment, model in models:
        web.write(model, experiment, place / f"{name}.js")
        size = (place / f"{name}.js").stat().st_size
        label = NAMES.get(experiment.loss.variant, experiment.loss.variant) if model.stochastic else NO_LATENT
        label += ", beyond the paper" if experiment.group in ("beyond", "trained_on") else ""
        about = {"name": name, "label": label, "latent": model.stochastic, "bytes": size, "file": f"{link}/{name}.js"}
        files.append(about)
    _, experiment, model = models[0]
    data = {**scene_data(experiment), "models": files}
    values = {name: data[name] for name in ("size", "length", "low", "high")}
    values |= dict(first=data["context"] + 1, given=show.CONTEXT, predicted=show.PREDICTED)
    text = fragment("try", ("engine.js", "scene.js", "try.js"), "vrnn3dTry", data, _strip(experiment, model), **values)
    if (total := len(text.encode()) + sum(file["bytes"] for file in files)) > MOST_BYTES:
        raise ExtensionError(
            f"the page and its models weigh {total / 1e6:.1f} MB, over {MOST_BYTES / 1e6:.0f}: publish fewer of them"
        )
    return text


# ---- the directive ---------------------------------------------------------------------------------------------------


class Playground(SphinxDirective):
    """``{playground} loss`` or ``{playground} try``."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        kind = directives.choice(self.arguments[0], ("loss", "try"))
        for path in SOURCES.iterdir():
            self.env.note_dependency(str(path))
        if kind == "loss":
            text = loss_fragment()
        else:
            page = posixpath.dirname(self.env.docname)
            text = try_fragment(Path(self.env.app.outdir) / STATIC, posixpath.relpath(STATIC, page or "."))
        return [nodes.raw("", text, format="html")]


def setup(app) -> dict:
    app.add_directive("playground", Playground)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
