"""How the figures of the study look: colours, dashes and matplotlib's defaults."""

from __future__ import annotations

from typing import Any

from vrnn3d.show import GREY

#: One colour per experiment and per loss variant, the same in every figure. Shades of the colour-blind safe set of
#: Okabe and Ito, at least 3 : 1 against white and against #14181e; names that meet in one figure also differ in DASHES.
COLOURS: dict[str, str] = {
    "vrnn3d_kl_ll": "#d55e00",
    "vrnn3d_kl": "#b88300",
    "convlstm2d": "#2f93d1",
    "vrnn2d": "#0b6fb0",
    "convlstm3d": "#009e73",
    "predrnnpp": "#009e73",
    "e3d_lstm": "#8a6fd1",
    "improved_vrnn": "#c4669a",
    "beyond": "#d6336c",
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
    "vrnn3d_kl": (0, (5, 1.5)),
    "vrnn2d": (0, (5, 1.5)),
    "convlstm3d": (0, (3, 1, 1, 1)),
    "e3d_lstm": (0, (3, 1, 1, 1)),
    "improved_vrnn": (0, (1, 1)),
    "copy_last": (0, (1, 1)),
    "pixel_mean": (0, (3, 1, 1, 1)),
    "kl_pq": (0, (5, 1.5)),
    "kl_qp": (0, (5, 1.5)),
    "kl_ll_half": (0, (3, 1, 1, 1)),
    "kl_ll_mean": (0, (1, 1)),
}
_SPARE = ("#0b6fb0", "#d55e00", "#009e73", "#8a6fd1", "#c4669a", "#b88300", "#2f93d1")

def colour(name: str) -> str:
    """The fixed colour of an experiment or loss variant; an unknown name gets one of seven, always the same."""
    return COLOURS.get(name) or _SPARE[sum(name.encode()) % len(_SPARE)]


def use_style() -> None:
    """Set matplotlib's defaults for every figure of the study; in a notebook, also the pixels sharp screens have."""
    import matplotlib as mpl

    mpl.rcParams.update(
        {
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
            **{
                key: GREY
                for key in (
                    "text.color axes.edgecolor axes.labelcolor axes.titlecolor xtick.color ytick.color grid.color"
                ).split()
            },
        }
    )
    try:
        from IPython import get_ipython
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:
        return
    if get_ipython() is not None:
        set_matplotlib_formats("retina")
