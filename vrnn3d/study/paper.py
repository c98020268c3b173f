"""What the paper and other papers printed: the numbers of its tables, its claims, and results to place beside ours."""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

from vrnn3d import config
from vrnn3d.evaluation.protocols import name_of

#: The protocols of Tables 1 and 3, in their column order: frames given -> frames predicted.
PROTOCOLS = tuple(name_of(*protocol) for protocol in config.TABLE1_PROTOCOLS)
#: Those of Table 2, on KTH.
KTH_PROTOCOLS = ("10->20", "10->40", "10->60")

#: MSE of a black frame, two digits in 64 x 64 pixels, summed over its pixels, the convention that Table 1's numbers fit. It is
#: measured, with our generator at the paper's size: 170.9 over 1,000 test sequences of training digits, 174.5 over 1,000 of
#: held-out digits (``tests/study/test_paper.py`` repeats it). The paper does not print it.
BLACK_64 = 172.5


def percent_of_black(mse: float) -> float:
    """An MSE of the paper in percent of that of a black frame: the unit in which other frame sizes compare with it."""
    return 100 * mse / BLACK_64


def arrow(protocol: str) -> str:
    """A protocol as it is printed: "10->10" with a proper arrow between spaces."""
    return protocol.replace("->", " \N{RIGHTWARDS ARROW} ")


# --- Tables 1 and 3 ---------------------------------------------------------------------------------------------------


class Published(NamedTuple):
    """Two printed numbers: SSIM, and MSE summed over the 64 x 64 pixels of a frame in [0, 1]."""

    ssim: float
    mse: float


@dataclass(frozen=True)
class Row:
    """One system of Tables 1 and 3, with its printed parameters; `scores` is {protocol: what is printed there}."""

    title: str
    parameters: float
    scores: dict[str, Published]


def _row(title: str, parameters: float, *cells: tuple[float, float]) -> Row:
    return Row(title, parameters, {p: Published(*cell) for p, cell in zip(PROTOCOLS, cells, strict=True)})


#: {experiment: its row}. Table 1 prints an MSE of 47.54 where Table 3 prints 47.5.
ROWS: dict[str, Row] = {
    "convlstm2d": _row("2D ConvLSTM", 2.8e6, (0.662, 111.1), (0.482, 154.3), (0.763, 82.2), (0.660, 112.3)),
    "predrnnpp": _row("PredRNN++", 15.4e6, (0.793, 66.2), (0.769, 79.2), (0.870, 47.9), (0.821, 57.7)),
    "e3d_lstm": _row("E3D-LSTM", 38.7e6, (0.853, 53.4), (0.801, 64.1), (0.910, 41.3), (0.872, 47.6)),
    "vrnn2d": _row("Variational 2D ConvLSTM", 2.9e6, (0.733, 91.1), (0.564, 126.4), (0.816, 60.7), (0.773, 83.5)),
    "improved_vrnn": _row("Improved VRNN", 62e6, (0.772, 123.1), (0.728, 162.2), (0.776, 129.2), (0.699, 194.3)),
    "vrnn3d_kl": _row("Variational 3D ConvLSTM", 12.9e6, (0.857, 52.1), (0.797, 63.8), (0.887, 41.8), (0.868, 49.7)),
    "vrnn3d_kl_ll": _row("Variational 3D ConvLSTM + LL", 12.9e6, (0.864, 51.4), (0.805, 63.2), (0.896, 39.4), (0.874, 47.5)),
}
#: The paper's own system, and the experiments of its tables in their order.
OURS = "vrnn3d_kl_ll"
TABLE1 = ("convlstm2d", "predrnnpp", "e3d_lstm", "vrnn2d", "improved_vrnn", OURS)
TABLE3 = ("convlstm2d", "vrnn2d", "vrnn3d_kl", OURS)
#: Table 2 is an image, which the text of the paper lost: its rows are known, its numbers are not.
TABLE2 = (
    "kth_convlstm2d",
    "kth_e3d_lstm",
    "kth_vrnn2d",
    "kth_vrnn3d_kl",
    "kth_vrnn3d_kl_ll",
    "kth_copy_last",
)


def change(before: str, after: str, protocol: str = "10->10") -> float | None:
    """How the printed MSE changes from one row to another, relative to the first; None where the tables lack one."""
    if after not in ROWS or before not in ROWS:
        return None
    return ROWS[after].scores[protocol].mse / ROWS[before].scores[protocol].mse - 1


def worse_than_black() -> list[tuple[str, str, float]]:
    """(experiment, protocol, MSE) of the printed numbers that a black frame would beat."""
    return [
        (name, protocol, cell.mse) for name, row in ROWS.items() for protocol, cell in row.scores.items() if cell.mse > BLACK_64
    ]


def higher_ssim(name: str = OURS) -> list[tuple[str, str]]:
    """(rival, protocol) of the cells of Table 1 in which a rival's printed SSIM is above that of `name`."""
    return [
        (rival, protocol)
        for rival in TABLE1
        for protocol, cell in ROWS[rival].scores.items()
        if cell.ssim > ROWS[name].scores[protocol].ssim
    ]


# --- claims -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Claim:
    """What the paper says, and where it says so."""

    text: str
    where: str
    short: str  #: what it is about, in a few words


CLAIMS: dict[str, Claim] = {
    "C1": Claim("The 3D VRNN beats every compared model on Moving MNIST.", "Table 1", "the best on Moving MNIST"),
    "C2": Claim("It does so with fewer parameters: 12.9M against 15.4M, 38.7M and 62M.", "Table 1", "fewer parameters"),
    "C3": Claim(
        "Stochasticity lowers the MSE from 82.2 to 60.7, 3D convolutions to 41.8, the likelihood term to 39.4.",
        "Table 3",
        "each part lowers the error",
    ),
    "C4": Claim(
        "The KL-LL loss puts more emphasis on sample diversity and raises the prior's variance.",
        "section 3.2",
        "more diverse samples",
    ),
    "C5": Claim(
        "It is better than E3D-LSTM further into the future and degrades more slowly on KTH at 40 and 60 frames.",
        "Table 2, Fig. 4",
        "better further into the future",
    ),
    "C6": Claim(
        "A small window is better on Moving MNIST, without a clear difference on KTH; the decay over time is exponential on"
        " KTH and more linear on Moving MNIST.",
        "Fig. 6",
        "a small window",
    ),
    "C7": Claim(
        "An encoder truncated to two blocks suffices and saves about 60 million parameters.",
        "sections 3.3 and 5",
        "a truncated encoder suffices",
    ),
}


# --- other papers -----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Anchor:
    """A published result on Moving MNIST, 10 -> 10."""

    model: str
    parameters: float
    epochs: int
    mse: float
    ssim: float
    source: str = "OpenSTL"


ANCHOR_NOTE = (
    f"OpenSTL's Moving MNIST benchmark, {arrow('10->10')}: 10,000 training and 10,000 fixed test sequences of the public"
    " generator, another protocol than the paper's. Its SSIM was computed from floats with scikit-image's former"
    " default range of 2, which flatters; it is not comparable with ours."
)
#: Modern results to place beside ours; read ANCHOR_NOTE with them.
ANCHORS = (
    Anchor("ConvLSTM", 15.0e6, 200, 29.80, 0.9288),
    Anchor("PredRNN++", 38.6e6, 200, 22.06, 0.9509),
    Anchor("E3D-LSTM", 51.0e6, 200, 35.97, 0.9320),
    Anchor("SimVP+gSTA", 46.8e6, 200, 26.69, 0.9402),
    Anchor("TAU", 44.7e6, 200, 24.60, 0.9454),
    Anchor("PhyDNet", 3.1e6, 200, 28.19, 0.9374),
    Anchor("PredRNN++", 38.6e6, 2000, 14.07, 0.9698),
    Anchor("MIM", 38.0e6, 2000, 14.73, 0.9678),
    Anchor("SimVP+gSTA", 46.8e6, 2000, 15.05, 0.9675),
)


@dataclass(frozen=True)
class KTHAnchor:
    """A published result on the full KTH data set under its authors' protocol; PSNR in dB."""

    protocol: str
    model: str
    ssim: float
    psnr: float
    source: str  #: the paper that printed it


#: Compared with the list "Video Prediction on KTH" of Papers with Code (as OpenCodePapers keeps it), which has all but MCVD.
KTH_ANCHORS = (
    KTHAnchor("10->20", "ConvLSTM", 0.712, 23.58, "Wang et al. 2019, E3D-LSTM"),
    KTHAnchor("10->20", "MCnet", 0.804, 25.95, "Wang et al. 2019, E3D-LSTM"),
    KTHAnchor("10->20", "SAVP-VAE", 0.852, 27.77, "listed with Lee et al. 2018, arXiv:1804.01523"),
    KTHAnchor("10->20", "PredRNN++", 0.865, 28.47, "Wang et al. 2019, E3D-LSTM"),
    KTHAnchor("10->20", "E3D-LSTM", 0.879, 29.31, "Wang et al. 2019, E3D-LSTM"),
    KTHAnchor("10->20", "STMFANet", 0.893, 29.85, "Jin et al. 2020, arXiv:2002.09905"),
    KTHAnchor("10->30", "SVG-LP", 0.844, 28.06, "Franceschi et al. 2020, arXiv:2002.09219"),
    KTHAnchor("10->30", "SRVP (best of 100)", 0.870, 29.69, "Franceschi et al. 2020, arXiv:2002.09219"),
    KTHAnchor("10->30", "SLAMP", 0.865, 29.39, "Akan et al. 2021, arXiv:2108.02760"),
    KTHAnchor("10->30", "MCVD", 0.835, 27.5, "Voleti et al. 2022, arXiv:2205.09853"),
    KTHAnchor("10->40", "Struct-VRNN", 0.766, 24.29, "Gao et al. 2021, arXiv:2107.13170"),
    KTHAnchor("10->40", "SVG-LP", 0.800, 23.91, "Gao et al. 2021, arXiv:2107.13170"),
    KTHAnchor("10->40", "SAVP-VAE", 0.806, 26.00, "Gao et al. 2021, arXiv:2107.13170"),
    KTHAnchor("10->40", "Grid-keypoints", 0.837, 27.11, "Gao et al. 2021, arXiv:2107.13170"),
)
