"""The toy experiment of the loss chapter: a ball whose future is uncertain in a way that can be computed.

A point flies straight through a box and leaves each wall in a random direction. A small Gaussian VRNN is trained on its
positions with every latent loss and both wirings. The true sampler is the simulator itself: the yardstick that no video data
set offers.

    python -m vrnn3d.study.toy --out results/toy/ball.json
"""

from vrnn3d.study.toy.ball import CONTEXT, HORIZON, SPEED, SPREAD, HeldOut, fly, held_out, launch, true_futures
from vrnn3d.study.toy.network import Ensemble
from vrnn3d.study.toy.record import MeasuredRun, ToyRecord, measure, read, write
from vrnn3d.study.toy.report import PREDICTED_GAPS, final_gaps, rank_of_truth, ranking, variance_share, wins
from vrnn3d.study.toy.scoring import SCORE_NAMES, futures, references, scores
from vrnn3d.study.toy.settings import Run, Settings, grid
from vrnn3d.study.toy.training import Trained, train

__all__ = [
    "CONTEXT", "HORIZON", "PREDICTED_GAPS", "SCORE_NAMES", "SPEED", "SPREAD", "Ensemble", "HeldOut", "MeasuredRun", "Run",
    "Settings", "ToyRecord", "Trained", "final_gaps", "fly", "futures", "grid", "held_out", "launch", "measure",
    "rank_of_truth", "ranking", "read", "references", "scores", "train", "true_futures", "variance_share", "wins", "write",
]  # fmt: skip
