"""How the figures of the study look: colours, dashes, matplotlib's defaults, and how a figure gets into a page.

A notebook calls :func:`use_style` once and shows every figure by :func:`figure_html`, with a sentence on what is seen.
"""

from __future__ import annotations

import base64
import hashlib
import io
import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree

import numpy as np

from vrnn3d.show import GREY
from vrnn3d.study.catalogue import WINDOWS, began_as

if TYPE_CHECKING:
    from IPython.display import HTML
    from matplotlib.figure import Figure

#: One colour per experiment and per loss variant, the same in every figure. Shades of the colour-blind safe set of
#: Okabe and Ito, at least 3 : 1 against white and against #14181e; names that meet in one figure also differ in DASHES.
COLOURS: dict[str, str] = {
    "vrnn3d_kl_ll": "#d55e00",
    "vrnn3d_kl": "#b88300",
    "convlstm2d": "#2f93d1",
    "vrnn2d": "#0b6fb0",
    "convlstm3d": "#009e73",
    "predrnnpp": "#a8562f",
    "e3d_lstm": "#8a6fd1",
    "improved_vrnn": "#c4669a",
    "beyond": "#d6336c",
    "beyond_by_frame": "#d94f4f",
    "beyond_by_frame_z_q": "#8f7f00",
    "beyond_by_frame_wide": "#c2387a",
    "vrnn3d_kl_ll_by_frame": "#c25700",
    "vrnn3d_kl_bfloat16": "#b88300",
    "vrnn3d_kl_augmented": "#7a6f1f",
    "simvp": "#4d7c0f",
    "black": "#8c8c8c",
    "copy_last": "#8c8c8c",
    "pixel_mean": "#8c8c8c",
    "kl_pq": "#b88300",
    "kl_qp": "#0b6fb0",
    "kl_ll": "#d55e00",
    "kl_ll_half": "#c4669a",
    "kl_ll_mirror": "#2f93d1",
    "kl_ll_balanced": "#009e73",
    "kl_ll_mean": "#8a6fd1",
}
DASHES: dict[str, Any] = {
    "beyond_by_frame_z_q": (0, (1, 1)),
    "beyond_by_frame": (0, (5, 1.5)),
    "beyond_by_frame_wide": (0, (3, 1, 1, 1)),
    "vrnn3d_kl_ll_by_frame": (0, (7, 1.5, 1.5, 1.5)),
    "vrnn3d_kl_bfloat16": (0, (1, 1)),
    "vrnn3d_kl_augmented": (0, (1, 1)),
    "vrnn3d_kl": (0, (5, 1.5)),
    "vrnn2d": (0, (5, 1.5)),
    "convlstm3d": (0, (3, 1, 1, 1)),
    "predrnnpp": (0, (7, 1.5, 1.5, 1.5)),
    "e3d_lstm": (0, (3, 1, 1, 1)),
    "improved_vrnn": (0, (1, 1)),
    "copy_last": (0, (1, 1)),
    "pixel_mean": (0, (3, 1, 1, 1)),
    "kl_pq": (0, (5, 1.5)),
    "kl_qp": (0, (5, 1.5)),
    "kl_ll_half": (0, (3, 1, 1, 1)),
    "kl_ll_mean": (0, (1, 1)),
}
#: What a figure that has no experiments in it takes its colours from.
BLUE, ORANGE = "#0b6fb0", "#d55e00"
_SPARE = (BLUE, ORANGE, "#009e73", "#8a6fd1", "#c4669a", "#b88300", "#2f93d1")
#: In Figure 6 the colour tells the window M and the dash the horizon H: a whole window, half of it, or one frame of several.
_OF_WINDOW = dict(zip(sorted({m for m, _ in WINDOWS}), _SPARE))
COLOURS |= {name: _OF_WINDOW[m] for (m, _), name in WINDOWS.items()}
DASHES |= {name: (0, (1, 1)) if h == 1 else (0, (5, 1.5)) for (m, h), name in WINDOWS.items() if h < m}


def colour(name: str) -> str:
    """The fixed colour of an experiment or loss variant; an unknown name gets one of seven, always the same.

    What was trained on has the colour of what it began as; figures show the longest training alone.
    """
    name = began_as(name)
    return COLOURS.get(name) or _SPARE[sum(name.encode()) % len(_SPARE)]


def dash(name: str) -> Any:
    """The line style of an experiment or loss variant, as matplotlib wants it; with :func:`colour` it tells lines apart."""
    return DASHES.get(began_as(name), "-")


def seaborn_dashes(names: Mapping[str, str]) -> dict[str, Any]:
    """:func:`dash` as seaborn wants them: for {legend entry: experiment or loss variant}, {legend entry: dash}."""
    return {label: "" if dash(name) == "-" else dash(name)[1] for label, name in names.items()}


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the study."""
    import matplotlib as mpl

    lettering = "text.color axes.edgecolor axes.labelcolor axes.titlecolor xtick.color ytick.color grid.color"
    looks: dict[Any, Any] = {
        "figure.facecolor": "none",
        "axes.facecolor": "none",
        "savefig.facecolor": "none",
        "savefig.dpi": "figure",
        "savefig.bbox": "tight",
        "figure.dpi": 100,
        "figure.figsize": (7.0, 3.6),
        "font.size": 10.5,
        "axes.titlesize": 11,
        "axes.titleweight": "bold",
        "axes.labelsize": 10.5,
        "legend.fontsize": 10,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.grid": True,
        "axes.axisbelow": True,
        "grid.alpha": 0.28,
        "grid.linewidth": 0.7,
        "lines.linewidth": 1.9,
        "image.cmap": "gray",
        "image.interpolation": "nearest",
        **dict.fromkeys(lettering.split(), GREY),
    }
    mpl.rcParams.update(looks)
    try:  # a figure that is shown as it is, not by figure_html, has the pixels that sharp screens have
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")


# --- figures in pages -------------------------------------------------------------------------------------------------

_SVG = "http://www.w3.org/2000/svg"
_LINK = "{http://www.w3.org/1999/xlink}href"
#: A grey picture inside a drawing that is larger than this, in bytes, is of real people: it is kept as a lossy WebP.
PHOTOGRAPH = 100_000
#: Coloured words keep this much of their colour and take the rest from the page's text, so that they read on both themes.
WORDS_OWN_COLOUR = 0.55


def figure_html(figure: Figure, alt: str) -> HTML:
    """A matplotlib figure as a drawing inside the page, lettered in the page's own text colour.

    Args:
        figure: drawn under :func:`use_style`. It is closed, so that a notebook does not show it again.
        alt: what is seen, in a sentence or two, for those who cannot see it. Must not be empty.

    The drawing is SVG. What is ``show.GREY`` becomes the colour of the text around it, on light and on dark pages alike;
    words of another colour are mixed with it, and words in white, which stand on a box, stay white. The same figure always
    gives the same bytes.
    """
    import matplotlib.pyplot as plt
    from IPython.display import HTML

    if not alt.strip():
        raise ValueError("alt is empty; say in a sentence what the figure shows")
    plt.close(figure)
    out = io.BytesIO()
    with plt.rc_context({"svg.hashsalt": alt, "svg.fonttype": "path"}):
        figure.savefig(out, format="svg", metadata=dict.fromkeys(("Creator", "Date", "Format", "Type")))
    drawing = _for_a_page(out.getvalue(), alt)
    return HTML(f'<figure class="vrnn3d-figure" style="overflow-x:auto;margin:1em 0">{drawing}</figure>')


def _for_a_page(svg: bytes, alt: str) -> str:
    """Matplotlib's SVG file as an element of an HTML page."""
    root = ElementTree.fromstring(svg)
    for definitions in root.findall(f"{{{_SVG}}}defs"):
        if definitions.find(f"{{{_SVG}}}style") is not None:  # a style sheet would hold for the whole page
            root.remove(definitions)
    root.attrib |= {"stroke-linejoin": "round", "stroke-linecap": "butt"}
    _recolour(root)
    width = float(root.attrib.pop("width").removesuffix("pt")) * 4 / 3  # CSS has 96 pixels to an inch
    root.attrib.pop("height")
    # On a narrow screen the drawing shrinks until its lettering becomes too small, and is scrolled from there.
    root.set("style", f"width:{width:.0f}px;max-width:100%;min-width:{min(0.75 * width, 620):.0f}px;height:auto;display:block")
    root.set("role", "img")
    root.set("aria-label", alt)
    _rename(root, "f" + hashlib.sha256(svg + alt.encode()).hexdigest()[:8])
    for element in root.iter():
        if "d" in element.attrib:
            element.set("d", _shorter(element.attrib["d"]))
        if element.get("href", "").startswith("data:image/png"):
            element.set("href", _grey_png(element.attrib["href"]))
    ElementTree.register_namespace("", _SVG)
    return re.sub(r">\s+<", "><", ElementTree.tostring(root, encoding="unicode"))


def _recolour(root: ElementTree.Element) -> None:
    """Grey becomes the page's text colour everywhere, and the other colours of words are mixed with it."""
    for group in root.iter(f"{{{_SVG}}}g"):
        if group.get("id", "").startswith("text_"):
            for element in group.iter():
                if "style" in element.attrib:
                    element.set("style", re.sub(r"fill: (#[0-9a-f]{6})", _word_colour, element.attrib["style"]))
    for element in root.iter():
        for key in {"style", "fill", "stroke"} & element.attrib.keys():
            element.set(key, element.attrib[key].replace(GREY, "currentColor"))


def _word_colour(match: re.Match[str]) -> str:
    """The second of the two declarations holds where the browser can mix colours."""
    if match[1] in (GREY, "#ffffff", "#000000"):
        return match[0]
    return f"{match[0]}; fill: color-mix(in srgb, {match[1]} {WORDS_OWN_COLOUR:.0%}, currentColor)"


def _rename(root: ElementTree.Element, prefix: str) -> None:
    """Identifiers that no other figure of the page has; those that nothing refers to are dropped."""
    text = ElementTree.tostring(root, encoding="unicode")
    used = set(re.findall(r'href="#([^"]+)"', text)) | set(re.findall(r"url\(#([^)]+)\)", text))
    for element in root.iter():
        name = element.attrib.pop("id", None)
        if name in used:
            element.set("id", f"{prefix}-{name}")
        if link := element.attrib.pop(_LINK, None):
            element.set("href", f"#{prefix}-{link[1:]}" if link.startswith("#") else link)
        for key, value in element.attrib.items():
            if "url(#" in value:
                element.set(key, value.replace("url(#", f"url(#{prefix}-"))


def _shorter(path: str) -> str:
    """A path with two digits after the point, a hundredth of 1/72 inch, in place of six."""
    return re.sub(r"-?\d+\.\d{3,}", lambda match: f"{float(match[0]):.2f}".rstrip("0").rstrip("."), " ".join(path.split()))


def _grey_png(uri: str) -> str:
    """The same picture with one channel in place of three where it is grey; a large one compressed as photographs are."""
    from PIL import Image

    head, data = uri.split(",", 1)
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    pixels = np.asarray(image.convert("RGBA"))
    if (pixels[..., :1] != pixels[..., 1:3]).any():
        return uri
    out = io.BytesIO()
    image.convert("RGBA").convert("LA").save(out, "PNG", optimize=True)
    if out.tell() > PHOTOGRAPH:
        head, out = "data:image/webp;base64", io.BytesIO()
        image.convert("RGBA").save(out, "WEBP", quality=80, method=6)
    return f"{head},{base64.b64encode(out.getvalue()).decode()}"
