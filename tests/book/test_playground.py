"""The playgrounds in a real browser: they compute what the package computes, and answer mouse, keyboard and narrow screens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from browser import Browser, needs_chromium
from lively import lively

from vrnn3d import checkpoint, published
from vrnn3d.config import override
from vrnn3d.data import motion
from vrnn3d.data.moving_mnist import MovingMNIST
from vrnn3d.layers.gaussian import Gaussian, given_noise
from vrnn3d.losses import VARIANTS, latent_loss
from vrnn3d.rollout import rollout
from vrnn3d.study import profiles

pytestmark = pytest.mark.slow  # a browser

ROOT = Path(__file__).resolve().parents[2]
TRY, LOSS = "document.querySelector('#vrnn3d-try').vrnn3d", "document.querySelector('#vrnn3d-loss').vrnn3d"
#: A page as bare as it gets, but with the theme's variables.
PAGE = """<!doctype html><html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<style>body {{ margin: 0; padding: 0 12px }}</style><body>{body}</body></html>"""


@pytest.fixture(scope="module")
def playground():
    """The extension's module."""
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        import playground
    finally:
        sys.path.pop(0)
    return playground


@pytest.fixture(scope="module")
def weights(tmp_path_factory):
    """Folders of published weights: three models at half scale, one without a latent, and others that the page cannot show."""
    root = tmp_path_factory.mktemp("weights")

    def publish(name, model, experiment):
        published.publish(model.state_dict(), experiment, name, {}, "# A card\n", root)

    for name, seed in (("vrnn3d_kl", 0), ("vrnn3d_kl_ll", 1)):
        publish(f"half_{name}", lively(seed=seed), profiles.get(name, "half"))
    certain = lively(seed=2, latent=0, norm="group", recurrent_kernel=(1, 5, 5))
    publish("half_certain", certain, profiles.get("beyond", "half"))
    bouncing = override(profiles.get("vrnn3d_kl", "half"), {"data.bounce": "random"})
    others = {"kth": profiles.get("kth_vrnn3d_kl", "half"), "certain": profiles.get("convlstm2d", "half"), "bouncing": bouncing}
    for name, experiment in others.items():
        publish(name, checkpoint.model_of(experiment), experiment)
    return sorted(root.iterdir())


@pytest.fixture(scope="module")
def kl(weights):
    """The first of the two, as the book loads it."""
    return checkpoint.load(next(folder for folder in weights if folder.name == "half_vrnn3d_kl"))


@pytest.fixture(scope="module")
def pages(playground, weights, tmp_path_factory):
    """Both playgrounds on bare pages, and their models beside them."""
    folder = tmp_path_factory.mktemp("pages")
    bodies = {"loss": playground.loss_fragment(), "try": playground.try_fragment(folder / "static", "static", weights)}
    for name, body in bodies.items():
        (folder / f"{name}.html").write_text(PAGE.format(body=body), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def browser():
    with Browser() as running:
        yield running


# ---- the losses ------------------------------------------------------------------------------------------------------


@needs_chromium
def test_losses_and_slopes_are_those_of_training(browser, pages):
    draw = np.random.default_rng(0)
    count = 200
    mp, mq = draw.uniform(-3, 3, (2, count))
    sp, sq = np.exp(draw.uniform(np.log(0.1), np.log(3), (2, count)))
    browser.open(pages / "loss.html")
    given = json.dumps([dict(mp=a, sp=b, mq=c, sq=d) for a, b, c, d in zip(mp, sp, mq, sq)])
    for name in VARIANTS:
        ours = browser.evaluate(f"{given}.map((x) => Object.values({LOSS}.losses.at('{name}', x)).slice(0, 4))")
        means = [torch.tensor(x, requires_grad=True) for x in (mp, mq)]
        logs = [torch.tensor(np.log(x), requires_grad=True) for x in (sp, sq)]
        value = latent_loss(Gaussian(means[1], logs[1].exp()), Gaussian(means[0], logs[0].exp()), name)
        across, _, *narrower = torch.autograd.grad(value.sum(), [*means, *logs])
        expected = torch.stack([value, across, *narrower], 1).detach().numpy()
        np.testing.assert_allclose(ours, expected, rtol=1e-9, atol=1e-6, err_msg=name)


@needs_chromium
@pytest.mark.parametrize("moves", ["both", "p", "q"])
@pytest.mark.parametrize("floor", [0.0, 0.1])
def test_descent_is_gradient_flow(browser, pages, moves, floor):
    """Against scipy, for means and log(s - floor): as softplus with a floor behaves where it is small."""
    from scipy.integrate import solve_ivp

    start, until = dict(mp=1.0, sp=1.3, mq=-1.0, sq=0.7), 1.5
    mask = {"both": [1, 1, 1, 1], "p": [1, 1, 0, 0], "q": [0, 0, 1, 1]}[moves]
    browser.open(pages / "loss.html")
    for name in ("kl_pq", "kl_ll", "kl_ll_mirror", "kl_ll_balanced"):

        def downhill(_, state, name=name):
            x = torch.tensor(state, requires_grad=True)
            value = latent_loss(Gaussian(x[2], floor + x[3].exp()), Gaussian(x[0], floor + x[1].exp()), name)
            return -torch.autograd.grad(value, x)[0].numpy() * mask

        begin = [start["mp"], np.log(start["sp"] - floor), start["mq"], np.log(start["sq"] - floor)]
        end = solve_ivp(downhill, (0, until), begin, "LSODA", rtol=1e-8, atol=1e-10).y[:, -1]
        expected = [end[0], floor + np.exp(end[1]), end[2], floor + np.exp(end[3])]
        options = json.dumps(dict(moves=moves, floor=floor))
        ours = browser.evaluate(f"{LOSS}.losses.descend('{name}', {json.dumps(start)}, {until}, {options})")
        np.testing.assert_allclose([ours[key] for key in start], expected, rtol=2e-3, atol=2e-3, err_msg=name)


@needs_chromium
def test_equation_13_runs_away_while_the_divergence_settles(browser, pages):
    browser.open(pages / "loss.html", media={"prefers-reduced-motion": "reduce"})  # no animation: the end at once
    told = "document.querySelector('.vl-now').textContent"

    def run(name):
        browser.evaluate(f"document.querySelector('[name=vl-loss][value={name}]').click()")
        browser.evaluate("document.querySelector('.vl-run').click()")
        return browser.evaluate(told), browser.evaluate(f"{LOSS}.state.pair")

    text, pair = run("kl_pq")
    assert (
        "settled" in text
        and pair["mp"] == pytest.approx(pair["mq"], abs=1e-2)
        and pair["sp"] == pytest.approx(pair["sq"], rel=1e-2)
    )
    text, pair = run("kl_ll")
    assert "without end" in text and pair["sp"] < 2e-3
    browser.evaluate("document.querySelector('[name=vl-moves][value=q]').click()")
    text, pair = run("kl_ll")
    assert "settled" in text
    assert pair["sq"] == pytest.approx(((1.3**2 + 3 * (pair["mp"] - pair["mq"]) ** 2) / 2) ** 0.5, rel=1e-2)
    browser.evaluate("document.querySelector('[name=vl-moves][value=both]').click()")
    browser.evaluate("document.querySelector('[name=vl-floor]:not([value=\"0\"])').click()")
    text, pair = run("kl_ll")
    assert (
        "Only the floor holds them" in text
        and pair["sp"] == pytest.approx(0.1, abs=0.02)
        and pair["sq"] == pytest.approx(0.1, abs=0.02)
    )


@needs_chromium
def test_gaussians_follow_mouse_and_keyboard(browser, pages):
    browser.open(pages / "loss.html", 800, 900)
    before = browser.evaluate(f"{LOSS}.state.pair")
    values = "[...document.querySelectorAll('#vrnn3d-loss tbody td:nth-child(2)')].map((e) => e.textContent).join()"
    table = browser.evaluate(values)
    x, y = browser.place(".vl-plot g.vl-push ~ .vl-room")  # the first handle: the prior's mean
    unit = browser.evaluate("document.querySelector('.vl-plot').clientWidth / 8")
    browser.drag((x, y), (x - unit / 2, y), (x - unit, y))
    after = browser.evaluate(f"{LOSS}.state.pair")
    assert after["mp"] == pytest.approx(before["mp"] - 1, abs=0.03)
    assert {**after, "mp": 0} == {**before, "mp": 0}, "nothing else moves"
    assert browser.evaluate(values) != table
    browser.evaluate("document.querySelector('.vl-numbers input[aria-label=\"deviation of the posterior q\"]').focus()")
    browser.press("ArrowRight")
    assert browser.evaluate(f"{LOSS}.state.pair.sq") > after["sq"]
    browser.evaluate("document.querySelector('.vl-back').click()")
    assert browser.evaluate(f"{LOSS}.state.pair") == before
    assert browser.errors == []


@needs_chromium
def test_running_can_be_paused(browser, pages):
    browser.open(pages / "loss.html")
    browser.evaluate("document.querySelector('.vl-run').click()")
    browser.wait(f"{LOSS}.state.time > 0.2")
    browser.evaluate("document.querySelector('.vl-run').click()")
    time = browser.evaluate(f"{LOSS}.state.time")
    browser.evaluate("new Promise((go) => requestAnimationFrame(() => requestAnimationFrame(go)))")
    assert browser.evaluate(f"{LOSS}.state.time") == time


def test_the_coefficients_stand_in_no_script(playground):
    """They exist once, in vrnn3d.losses."""
    assert not any(name in (ROOT / "book" / "web" / "loss.js").read_text("utf-8") for name in VARIANTS)
    assert set(playground.loss_data()["variants"]) == set(VARIANTS)


# ---- the models ------------------------------------------------------------------------------------------------------


def fixed(model, seed=3):
    """A random sequence, noise for each step, and what PyTorch makes of them: ten frames (10, H * W)."""
    generator = torch.Generator().manual_seed(seed)
    frames = torch.rand(1, 10, 1, 32, 32, generator=generator)
    with torch.no_grad(), torch.random.fork_rng(devices=[]), given_noise() as noise:
        torch.manual_seed(seed)
        prediction, _ = rollout(model, frames, 10, 20)
    return frames[0].flatten(1).tolist(), [n.flatten().tolist() for n in noise], prediction[0, -10:].flatten(1).numpy()


def ten_frames(browser, name, frames, noise):
    """The same by the page's own engine."""
    browser.wait(f"self.vrnn3dModels?.['{name}']")
    return np.array(
        browser.evaluate(
            f"(() => {{ const engine = vrnn3dEngine(), noise = {json.dumps(noise)}, frames = {json.dumps(frames)};"
            f" const net = engine.network(vrnn3dModels['{name}']);"
            " return [...engine.rollout(net, frames, 10, 20, (step) => noise[step])].map((f) => [...f]); })()"
        )
    )


@needs_chromium
def test_ten_frames_are_those_of_pytorch(browser, pages, kl):
    browser.open(pages / "try.html")
    frames, noise, expected = fixed(kl)
    ours = ten_frames(browser, "half_vrnn3d_kl", frames, noise)
    assert np.abs(expected).max() > 1, "the model does something"
    assert np.abs(ours - expected).mean() < 1e-3


@needs_chromium
@pytest.mark.parametrize(
    "options",
    [
        dict(norm="group"),
        dict(recurrent_kernel=(1, 5, 5)),
        dict(window=5, horizon=5),
        dict(name="vrnn2d", window=1, horizon=1, head=0),
    ],
    ids=str,
)
def test_other_networks_too(browser, pages, tmp_path, options):
    from vrnn3d.study.web import write

    model = lively(**options)
    write(model, profiles.get("vrnn3d_kl", "half"), tmp_path / "net.js")
    browser.open(pages / "try.html")
    browser.evaluate((tmp_path / "net.js").read_text() + "undefined")
    frames, noise, expected = fixed(model)
    ours = ten_frames(browser, "net", frames, noise)
    assert np.abs(ours - expected).mean() < 1e-3 * max(1, np.abs(expected).max())


@needs_chromium
def test_digits_move_as_in_training(browser, pages, playground):
    draw = np.random.default_rng(1)
    start, velocity = draw.uniform(0, 18, (50, 2)), draw.uniform(-3, 3, (50, 2))
    start[:4] = [[0, 0], [18, 18], [0, 18], [9, 0]]
    paths = motion.paths(*(torch.tensor(x)[:, None] for x in (start, velocity)), torch.tensor([18.0, 18.0]).double(), 20)
    browser.open(pages / "try.html")
    digits = json.dumps([dict(y=y, x=x, vy=vy, vx=vx) for (y, x), (vy, vx) in zip(start.tolist(), velocity.tolist())])
    assert browser.evaluate(f"{digits}.map((d) => {TRY}.world.track(d))") == paths[:, :, 0].long().tolist()


def test_sprites_are_the_digits_of_moving_mnist(playground):
    pixels, labels = playground.sprite(14)
    assert pixels.shape == (40, 14, 14) and labels == [*range(10)] * 4
    moving = MovingMNIST(playground._excerpt(), size=32, digit_size=14, num_digits=1, count=200, length=1)
    tracks, frames = moving.tracks(torch.arange(200)), moving.batch(torch.arange(200))
    seen = tracks.digit[:, 0].tolist()
    assert len(set(seen)) > 30
    for which, (y, x), frame in zip(seen, tracks.corner[:, 0, 0].tolist(), frames[:, 0, 0].numpy()):
        np.testing.assert_array_equal(frame[y : y + 14, x : x + 14], pixels[which])


@needs_chromium
def test_the_page_shows_the_worker_s_predictions_and_their_errors(browser, pages):
    browser.open(pages / "try.html", media={"prefers-reduced-motion": "reduce"})
    done = f"{TRY}.samples().every((sample) => sample.length === 10)"
    browser.wait(done)
    truth, samples = (np.array(browser.evaluate(f"{TRY}.{what}")) for what in (
        "truth().map((f) => [...f])", "samples().map((s) => s.map((f) => [...f]))"))  # fmt: skip
    assert truth.shape == (20, 1024) and samples.shape == (3, 10, 1024)
    assert np.abs(samples[0] - samples[1]).max() > 0.01, "each sample has its own noise"
    rows = browser.evaluate(f"{TRY}.errors().rows.map((row) => row[1])")
    clipped = samples.clip(0, 1)
    expected = [
        ((clipped - truth[10:]) ** 2).sum(-1).mean(0),
        ((clipped.mean(0) - truth[10:]) ** 2).sum(-1),
        (truth[10:] ** 2).sum(-1),
        ((truth[9] - truth[10:]) ** 2).sum(-1),
    ]
    np.testing.assert_allclose(rows, expected, rtol=1e-5)
    shown = browser.evaluate(
        "[...document.querySelectorAll('#vrnn3d-try tbody tr')].map((r) => [...r.cells].slice(1).map((c) => c.textContent))"
    )
    np.testing.assert_allclose(np.array(shown, float), [[row[-1], row.mean()] for row in expected], atol=0.06)
    browser.evaluate(
        "(() => { const s = document.querySelector('.vt-noise'); s.value = 0; s.dispatchEvent(new Event('input')); })()"
    )
    browser.wait(done)
    still = np.array(browser.evaluate(f"{TRY}.samples().map((s) => s.map((f) => [...f]))"))
    np.testing.assert_array_equal(still[0], still[1])
    browser.evaluate("document.querySelector('[name=vt-model]:not(:checked)').click()")
    browser.wait(f"{TRY}.state.ready === 'half_vrnn3d_kl_ll' && {done}")
    other = np.array(browser.evaluate(f"{TRY}.samples().map((s) => s.map((f) => [...f]))"))
    assert np.abs(other - still).mean() > 0.01
    assert browser.errors == []


@needs_chromium
def test_a_model_without_a_latent_has_one_prediction(browser, pages, weights):
    browser.open(pages / "try.html", media={"prefers-reduced-motion": "reduce"})
    shown = "[...document.querySelectorAll('.vt-film figure, #vrnn3d-try tbody tr')].filter((e) => e.offsetParent).length"
    assert browser.evaluate(shown) == 5 + 4
    browser.evaluate("document.querySelector('[name=vt-model][value=half_certain]').click()")
    browser.wait(f"{TRY}.state.ready === 'half_certain' && {TRY}.samples().every((sample) => sample.length === 10)")
    truth, samples = (np.array(browser.evaluate(f"{TRY}.{what}")) for what in (
        "truth().map((f) => [...f])", "samples().map((s) => s.map((f) => [...f]))"))  # fmt: skip
    model = checkpoint.load(next(folder for folder in weights if folder.name == "half_certain"))
    frames = torch.tensor(truth, dtype=torch.float32).reshape(1, 20, 1, 32, 32)
    with torch.no_grad():
        expected = rollout(model, frames, 10, 20)[0][0, -10:].flatten(1).numpy()
    assert samples.shape == (1, 10, 1024) and np.abs(samples[0] - expected).mean() < 1e-3 * max(1, np.abs(expected).max())
    assert browser.evaluate(shown) == 2 + 3, "what happens and the prediction; no mean of samples"
    assert browser.evaluate("document.querySelector('.vt-noise').disabled && document.querySelector('.vt-seed').disabled")
    browser.evaluate("document.querySelector('[name=vt-model][value=half_vrnn3d_kl]').click()")
    browser.wait(f"{TRY}.state.ready === 'half_vrnn3d_kl' && {TRY}.samples().length === 3")
    assert browser.evaluate(shown) == 5 + 4 and not browser.evaluate("document.querySelector('.vt-noise').disabled")
    assert browser.errors == []


@needs_chromium
def test_a_digit_is_drawn_with_the_mouse(browser, pages):
    browser.open(pages / "try.html", 1000, 900)
    before = browser.evaluate(f"{TRY}.truth().map((f) => [...f])")
    points = [browser.place(".vt-pad canvas", 0.6, 0.1 + 0.08 * k) for k in range(11)]
    browser.drag(*points)
    pixels = np.array(browser.evaluate(f"[...{TRY}.state.digits[0].pixels]")).reshape(14, 14)
    assert pixels.max() > 200 and (pixels.sum(0) > 0).sum() in (2, 3), "one upright stroke, as thick as MNIST's"
    rows = np.flatnonzero(pixels.sum(1))
    assert 9 <= len(rows) <= 11, "in 20 of 28 pixels, whatever the size of the drawing"
    middle = (pixels * (np.arange(14) + 0.5)).sum() / pixels.sum()
    assert middle == pytest.approx(7, abs=0.3), "its ink is in the middle, wherever it was drawn"
    after = browser.evaluate(f"{TRY}.truth().map((f) => [...f])")
    assert after != before
    browser.wait(f"{TRY}.samples().every((sample) => sample.length === 10)")
    assert browser.errors == []


@needs_chromium
def test_a_digit_is_placed_thrown_and_steered(browser, pages):
    browser.open(pages / "try.html", 1000, 900)
    digit = f"(({{ y, x, vy, vx }}) => ({{ y, x, vy, vx }}))({TRY}.state.digits[1])"
    before = browser.evaluate(digit)
    x, y = browser.place(".vt-digit:nth-of-type(2) .vt-body", 0.15, 0.85)
    unit = browser.evaluate("document.querySelector('.vt-stage').clientWidth / 32")
    browser.drag((x, y), *[(x - k * unit, y - k * unit / 2) for k in range(1, 7)])
    after = browser.evaluate(digit)
    assert after["x"] == pytest.approx(max(0, before["x"] - 6), abs=0.3)
    speed = np.hypot(after["vy"], after["vx"])
    assert 1.5 - 1e-6 <= speed <= 2.5 + 1e-6 and after["vx"] < 0 and after["vy"] < 0, "thrown at a speed that training knows"
    assert browser.evaluate("document.activeElement.getAttribute('aria-label')").startswith("digit 2, a ")
    browser.press("ArrowRight")
    browser.press("ArrowDown", shift=True)
    steered = browser.evaluate(digit)
    assert steered["x"] == pytest.approx(min(18, after["x"] + 1)) and steered["vy"] == pytest.approx(after["vy"] + 0.25)
    assert f"row {steered['y']:.0f}" in browser.evaluate("document.activeElement.getAttribute('aria-label')")


@needs_chromium
def test_a_digit_is_chosen_from_the_keyboard(browser, pages):
    browser.open(pages / "try.html", 1000, 900)
    browser.evaluate("document.querySelector('.vt-palette [tabindex=\"0\"]').focus()")
    was = browser.evaluate(f"{TRY}.state.digits[0].sprite")
    browser.press("ArrowRight")
    browser.press("Enter")
    assert browser.evaluate(f"{TRY}.state.digits[0].sprite") == was + 1
    assert browser.evaluate("document.querySelectorAll('.vt-palette [aria-pressed=true]').length") == 1
    assert browser.evaluate("document.querySelectorAll('.vt-palette [tabindex=\"0\"]').length") == 1


@needs_chromium
def test_nothing_moves_by_itself_for_readers_who_ask_for_calm(browser, pages):
    browser.open(pages / "try.html")
    assert browser.evaluate(f"{TRY}.state.playing") is True
    browser.open(pages / "try.html", media={"prefers-reduced-motion": "reduce"})
    assert browser.evaluate(f"{TRY}.state.playing") is False
    browser.evaluate("document.querySelector('.vt-play').click()")
    assert browser.evaluate(f"{TRY}.state.playing") is True, "unless they ask for it"


@needs_chromium
@pytest.mark.parametrize("name, seen", [("try", "img"), ("loss", "table")])
def test_without_javascript_there_is_something_to_see(browser, pages, name, seen):
    browser.open(pages / f"{name}.html", scripts=False)
    visible = "(selector) => [...document.querySelectorAll(selector)].some((e) => e.getClientRects().length > 0)"
    assert browser.evaluate(f"({visible})('noscript {seen}')") is True
    assert browser.evaluate(f"({visible})('#vrnn3d-{name}')") is False
    if seen == "img":
        assert browser.evaluate("document.querySelector('noscript img').naturalWidth") > 400


@needs_chromium
@pytest.mark.parametrize("name", ["try", "loss"])
def test_everything_fits_a_narrow_screen(browser, pages, name):
    browser.open(pages / f"{name}.html", 390, 800)
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    every = f"[...document.querySelectorAll('#vrnn3d-{name} :is(button, input, canvas, table, label)')]"
    out = browser.evaluate(
        f"{every}.map((e) => e.getBoundingClientRect()).filter((r) => r.width && (r.left < 0 || r.right > 390)).length"
    )
    assert out == 0


@needs_chromium
@pytest.mark.parametrize("name", ["try", "loss"])
def test_every_control_has_a_name(browser, pages, name):
    browser.open(pages / f"{name}.html")
    nameless = (
        f"[...document.querySelectorAll('#vrnn3d-{name} :is(button, input, [tabindex], [role=img])')].filter((e) =>"
        " !(e.getAttribute('aria-label') || e.textContent || e.labels?.[0]?.textContent).trim()).length"
    )
    assert browser.evaluate(nameless) == 0


def test_only_models_that_the_page_can_run_are_offered(playground, weights):
    assert [name for name, *_ in playground.offered(weights)] == ["half_vrnn3d_kl", "half_vrnn3d_kl_ll", "half_certain"]
    assert playground.offered([]) == []


def test_a_model_too_large_for_a_browser_is_not_offered(playground, weights, monkeypatch):
    large = max(model.parameter_breakdown()["total"] for _, _, model in playground.offered(weights))
    monkeypatch.setattr(playground, "MOST_PARAMETERS", large - 1)
    assert 0 < len(playground.offered(weights)) < 3


def test_without_published_weights_the_page_says_so(playground, tmp_path):
    text = playground.try_fragment(tmp_path / "static", "static", [])
    assert "published in this repository yet" in text and 'id="vrnn3d-loss"' in text and 'id="vrnn3d-try"' not in text
    assert not (tmp_path / "static").exists()


def test_pages_are_light_and_load_nothing_from_elsewhere(playground, pages):
    assert len(playground.loss_fragment().encode()) < 30_000
    total = sum(path.stat().st_size for path in pages.rglob("*") if path.name != "loss.html" and path.is_file())
    assert total < playground.MOST_BYTES
    for name in ("loss.html", "try.html"):
        text = (pages / name).read_text("utf-8")
        assert set(re.findall(r"https?://[^\"'\s]+", text)) <= {"http://www.w3.org/2000/svg"}  # the name of SVG, not a place


def test_models_that_are_too_heavy_stop_the_build(playground, weights, tmp_path, monkeypatch):
    from sphinx.errors import ExtensionError

    monkeypatch.setattr(playground, "MOST_BYTES", 1_000_000)
    with pytest.raises(ExtensionError, match="weigh 2.[0-9] MB, over 1: publish fewer"):
        playground.try_fragment(tmp_path, "static", weights)


CONF = """
import sys
sys.path.insert(0, {ext!r})
from vrnn3d import published
published.names = lambda: {weights!r}
extensions = ["myst_nb", "playground"]
html_theme = "sphinx_book_theme"
nb_execution_mode = "off"
"""
CELL = {"cell_type": "markdown", "id": "a", "metadata": {}, "source": "# Loss\n\n```{playground} loss\n```\n"}


@needs_chromium
@pytest.mark.slow
def test_the_built_book_has_both(browser, weights, kl, tmp_path):
    """The page of this repository, and a notebook with the losses, built by Sphinx in the book's theme and opened from disk."""
    source, out = tmp_path / "source", tmp_path / "html"
    (source / "book").mkdir(parents=True)
    page = (ROOT / "book" / "try.md").read_text("utf-8")
    page = re.sub(r"\[\]\(executed/.*?\)", "the chapter on the model", page)  # which is not built here
    (source / "conf.py").write_text(CONF.format(ext=str(ROOT / "book" / "_ext"), weights=list(map(str, weights))))
    (source / "index.md").write_text("# A book\n\n```{toctree}\nbook/try\nbook/loss\n```\n")
    (source / "book" / "try.md").write_text(page, "utf-8")
    (source / "book" / "loss.ipynb").write_text(
        json.dumps({"cells": [CELL], "metadata": {}, "nbformat": 4, "nbformat_minor": 5})
    )
    command = [sys.executable, "-m", "sphinx", "-W", "--keep-going", "-q", "-b", "html", str(source), str(out)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    frames, noise, expected = fixed(kl)
    browser.open(out / "book" / "try.html", 390, 900)
    assert np.abs(ten_frames(browser, "half_vrnn3d_kl", frames, noise) - expected).mean() < 1e-3
    browser.wait(f"{TRY}.samples().every((sample) => sample.length === 10)")
    assert browser.errors == []
    assert browser.evaluate("document.documentElement.scrollWidth") == 390
    browser.open(out / "book" / "loss.html", 390, 900)
    assert len(browser.evaluate(f"Object.keys({LOSS}.state.pair)")) == 4 and browser.errors == []
    assert "vrnn3dEngine" not in (out / "book" / "loss.html").read_text("utf-8"), "the model is loaded on its own page only"
