"""How a figure gets into a page: lettered in the page's colour, readable on both themes, the same bytes every time."""

from __future__ import annotations

import base64
import io
import re
from xml.etree import ElementTree

import matplotlib
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from vrnn3d.show import GREY, strip
from vrnn3d.study.catalogue import BEYOND, TABLE1, TABLE3, WINDOWS
from vrnn3d.study.figures import canvas, style

matplotlib.use("Agg")
PAGES = {"#ffffff": "#222832", "#14181e": "#ced6dd"}  # of the book's theme: page, and its text


def linear(colour):
    rgb = np.array(matplotlib.colors.to_rgb(colour))
    return np.where(rgb <= 0.04045, rgb / 12.92, ((rgb + 0.055) / 1.055) ** 2.4) @ [0.2126, 0.7152, 0.0722]


def contrast(a, b):
    high, low = sorted((linear(a), linear(b)), reverse=True)
    return (high + 0.05) / (low + 0.05)


@pytest.fixture(autouse=True)
def clean():
    with matplotlib.rc_context():
        style.use_style()
        yield
    plt.close("all")


def draw(**text):
    """A figure with a curve, an axis and a word."""
    figure, axes = plt.subplots(figsize=(4, 3))
    axes.plot([0.123456789, 1], [0, 1.23456789], color=style.ORANGE)
    axes.text(0.5, 0.5, "word", **text)
    return figure


def words(page: str) -> str:
    """The style of the group that holds the word: the last of the drawing that paints glyphs."""
    return re.findall(r'<g style="([^"]*fill[^"]*)" transform', page)[-1]


@pytest.mark.parametrize("page", PAGES)
def test_every_colour_of_a_curve_reads_on_light_and_on_dark_pages(page):
    for name, colour in style.COLOURS.items():
        assert contrast(colour, page) >= 3, name


@pytest.mark.parametrize("page", PAGES)
def test_every_coloured_word_reads_on_light_and_on_dark_pages(page):
    own = style.WORDS_OWN_COLOUR
    boxes = (canvas.MEMORY, canvas.CONV, canvas.CODEC, canvas.LATENT)
    for colour in {*style.COLOURS.values(), *boxes, style.BLUE, style.ORANGE}:
        mixed = own * np.array(matplotlib.colors.to_rgb(colour)) + (1 - own) * np.array(matplotlib.colors.to_rgb(PAGES[page]))
        assert contrast(mixed, page) >= 4.5, colour


@pytest.mark.parametrize("box", [canvas.MEMORY, canvas.CONV, canvas.CODEC, canvas.LATENT, canvas.FRAME])
def test_white_words_read_on_their_boxes(box):
    assert contrast("#ffffff", box) >= 4.5


def test_grey_becomes_the_colour_of_the_text_around_the_figure():
    page = style.figure_html(draw(), "a curve").data
    assert GREY not in page and "currentColor" in page and style.ORANGE in page


def test_coloured_words_are_mixed_with_it_and_white_ones_stay():
    assert f"color-mix(in srgb, {style.BLUE} 55%, currentColor)" in words(style.figure_html(draw(color=style.BLUE), "x").data)
    assert words(style.figure_html(draw(color="white"), "x").data) == "fill: #ffffff"


def test_alternative_text_is_wanted_and_escaped():
    assert 'role="img"' in (page := style.figure_html(draw(), 'a "curve" < b').data)
    assert 'aria-label="a &quot;curve&quot; &lt; b"' in page
    with pytest.raises(ValueError, match="alt is empty; say in a sentence what the figure shows"):
        style.figure_html(draw(), " ")


def test_the_drawing_stands_alone_and_disturbs_nothing_else_of_the_page():
    one, two = (style.figure_html(draw(), alt).data for alt in ("one", "two"))
    names = [set(re.findall(r'\bid="([^"]+)"', page)) for page in (one, two)]
    assert names[0] and not names[0] & names[1], "identifiers are one per page"
    for page, known in zip((one, two), names):
        assert set(re.findall(r'href="#([^"]+)"', page)) | set(re.findall(r"url\(#([^)]+)\)", page)) == known
        assert "<style" not in page and "<metadata" not in page and "<?xml" not in page
        ElementTree.fromstring(page)


def test_the_same_figure_gives_the_same_bytes_and_numbers_are_short():
    page = style.figure_html(draw(), "a curve").data
    assert page == style.figure_html(draw(), "a curve").data
    assert not re.search(r' d="[^"]*\d\.\d{3}', page)


def test_a_figure_is_shown_once():
    style.figure_html(draw(), "a curve")
    assert plt.get_fignums() == []


def test_it_shrinks_to_the_page_and_scrolls_before_it_cannot_be_read():
    page = style.figure_html(draw(), "a curve").data
    width, least = (int(re.search(rf"[\";]{name}:(\d+)px", page).group(1)) for name in ("width", "min-width"))
    assert "max-width:100%" in page and "height:auto" in page and "overflow-x:auto" in page
    assert 0.7 * width < least < width


def test_videos_keep_their_pixels():
    video = np.random.default_rng(0).random((4, 16, 16)).astype(np.float32)
    page = style.figure_html(strip({"a": video}), "noise").data
    (picture,) = re.findall(r'href="data:image/png;base64,([^"]+)"', page)
    assert "image-rendering:pixelated" in page
    image = Image.open(io.BytesIO(base64.b64decode(picture)))
    assert image.mode == "LA" and image.size == (4 * 18 - 2, 16), "one channel for grey, and no pixel but the video's"
    np.testing.assert_array_equal(np.asarray(image)[:, 18:34, 0], np.round(video[1] * 255))


def test_no_two_windows_of_figure_6_look_alike():
    assert len({(style.colour(name), style.dash(name)) for name in WINDOWS.values()}) == len(WINDOWS)


def test_no_two_systems_of_a_figure_look_alike():
    rows = [row.name for row in (*TABLE3, *TABLE1, *BEYOND)] + ["vrnn3d_kl_ll_by_frame", "vrnn3d_kl_bfloat16", "simvp"]
    assert len({(style.colour(name), style.dash(name)) for name in rows}) == len(rows)
    assert style.dash("beyond_by_frame_400k") == style.dash("beyond_by_frame") != "-", "what was trained on keeps its look"


def test_colours_are_fixed():
    assert style.colour("vrnn3d_kl_ll") == style.COLOURS["vrnn3d_kl_ll"]
    assert style.colour("something new") == style.colour("something new")
    assert style.seaborn_dashes({"KL": "kl_pq", "KL-LL": "kl_ll"}) == {"KL": (5, 1.5), "KL-LL": ""}
