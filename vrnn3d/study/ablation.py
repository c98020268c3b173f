"""What the records say about the latent loss: every variant, wiring, weight and floor, over seeds and test sequences.

Two uncertainties are kept apart. The "interval" of a difference is the bootstrap over test sequences, of the mean over
seeds: would other test sequences say the same? Its "seed_interval" is Student's over the seeds: would another training
say the same? With three seeds the second is wide, as it should be.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

import numpy as np

from vrnn3d.layers.gaussian import SIGMA_MIN
from vrnn3d.study import results
from vrnn3d.study.catalogue import LATENT_LOSSES, SWEPT_BETAS, SWEPT_FLOORS, SWEPT_LOSSES

WIRINGS = ("z_p", "z_q")
REFERENCE = "kl_pq"  # the loss that the paper adds its term to (eq. 9)
#: The rows of Table 3 and the one it lacks, as experiments whose 3D rows are runs of the loss grid: (experiment, title).
TABLE3 = (
    ("convlstm2d", "2D ConvLSTM"),
    ("vrnn2d", "2D, with z"),
    ("convlstm3d", "3D, no z"),
    ("loss_kl_pq_z_p", "3D, with z (KL)"),
    ("loss_kl_ll_z_p", "3D, with z (KL-LL)"),
)
#: The changes between them that the paper's claim C3 is about: (before, after, what changes).
STEPS = (
    ("convlstm2d", "vrnn2d", "a latent in 2D"),
    ("convlstm2d", "convlstm3d", "3D convolutions, without a latent"),
    ("vrnn2d", "loss_kl_pq_z_p", "3D convolutions, with a latent"),
    ("convlstm3d", "loss_kl_pq_z_p", "a latent in 3D"),
    ("loss_kl_pq_z_p", "loss_kl_ll_z_p", "the likelihood term"),
)
#: What is measured of the samples: label -> (metric, statistic) of a record's evaluation.
SCORES = {
    "average of samples": ("mse", "average"),
    "best sample": ("mse", "best"),
    "mean frame": ("mse", "mean_frame"),
    "CRPS": ("crps", "average"),
    "sample variance": ("sample_variance", "average"),
}

Runs = dict[str, list[dict]]


def runs(records: Iterable[dict], profile: str) -> Runs:
    """{experiment: finished, evaluated records by seed} of one profile."""
    found: Runs = {}
    for record in sorted(records, key=lambda r: r["seed"]):
        if record["profile"] == profile and record["status"] == "finished" and record["evaluation"]:
            found.setdefault(record["experiment"], []).append(record)
    return found


def scale(records: Iterable[dict]) -> str:
    """The profile that can answer: "ablation" as soon as it holds KL and the printed loss with either wiring, else "small"."""
    full = runs(records, "ablation")
    needed = [f"loss_{variant}_{wiring}" for variant in SWEPT_LOSSES for wiring in WIRINGS]
    return "ablation" if all(name in full for name in needed) else "small"


def mean_over_seeds(
    found: Runs, experiment: str, metric: str, statistic: str = "average", protocol: str = "10->10", pool: str = "test"
) -> tuple[float, float | None]:
    """(mean, sample standard deviation over seeds) of a score; the second is None for one seed. NaN where not run."""
    spread = results.seed_spread(found.get(experiment, []), protocol, metric, pool, statistic)
    for entry in spread.values():  # of one experiment and profile there is one at most
        return entry["mean"], entry["std"]
    return math.nan, None


def seed_interval(values: Iterable[float]) -> list[float] | None:
    """Student's 95% interval of the mean of a few seeds' values; None for fewer than two."""
    from scipy.stats import t  # scikit-image brings it

    values = np.asarray(list(values), float)
    n = len(values)
    if n < 2:
        return None
    half = t.ppf(0.975, n - 1) * values.std(ddof=1) / math.sqrt(n)
    return [float(values.mean() - half), float(values.mean() + half)]


def difference(
    found: Runs, ours: str, theirs: str, metric: str = "mse", protocol: str = "10->10", pool: str = "test"
) -> dict | None:
    """Ours minus theirs: {"estimate", "interval", "by_seed", "seed_interval"}, or None where one was not run.

    Seeds are paired (they share order of the data, masks and noise), and so are test sequences.
    """
    a, b = ({r["seed"]: r for r in found.get(name, [])} for name in (ours, theirs))
    shared = sorted(a.keys() & b.keys())
    if not shared:
        return None
    pair = [[side[seed] for seed in shared] for side in (a, b)]
    outcome = results.paired_difference(*pair, protocol, metric, pool)
    if outcome is None:
        return None
    by_seed = [results.value(x, pool, protocol, metric) - results.value(y, pool, protocol, metric) for x, y in zip(*pair)]
    return {
        "estimate": outcome["estimate"],
        "interval": outcome["interval"],
        "by_seed": by_seed,
        "seed_interval": seed_interval(by_seed),
    }


def judge(outcome: Mapping | None) -> str:
    """ "lower", "higher" where both intervals leave out zero on one side; "undecided" else; "not run" for None.

    With one seed there is no interval over seeds, and nothing is decided.
    """
    if outcome is None:
        return "not run"
    both = (outcome["interval"], outcome["seed_interval"])
    if None in both:
        return "undecided"
    if all(high < 0 for _, high in both):
        return "lower"
    return "higher" if all(low > 0 for low, _ in both) else "undecided"


def grid(found: Runs, pool: str = "test") -> list[dict]:
    """One row per variant and wiring that was run: its scores (means over seeds), their spreads, and the difference to KL.

    Rows are {"experiment", "variant", "wiring", "seeds", "scores": {label: (mean, std)}, "difference"}; the difference of
    the MSE, 10 -> 10, to ``REFERENCE`` in the same wiring is None for that itself.
    """
    rows = []
    for wiring in WIRINGS:
        for variant in LATENT_LOSSES:
            name = f"loss_{variant}_{wiring}"
            if name not in found:
                continue
            rows.append(
                {
                    "experiment": name,
                    "variant": variant,
                    "wiring": wiring,
                    "seeds": len(found[name]),
                    "scores": {label: mean_over_seeds(found, name, *what, pool=pool) for label, what in SCORES.items()},
                    "difference": None
                    if variant == REFERENCE
                    else difference(found, name, f"loss_{REFERENCE}_{wiring}", pool=pool),
                }
            )
    return rows


def last(record: Mapping, curve: str) -> float:
    """Mean of a training curve over its last tenth; NaN where it was not recorded."""
    values = record["training"]["curves"].get(curve, [])
    return float(np.mean(values[-max(1, len(values) // 10) :])) if values else math.nan


def sweep(found: Runs, variant: str, wiring: str, what: str, pool: str = "test") -> list[tuple[float, list[dict]]]:
    """[(value, records by seed)] of a sweep in rising order: `what` is "beta" or "floor"; the middle is the grid's own run."""
    own, others = {"beta": (1.0, SWEPT_BETAS), "floor": (SIGMA_MIN, SWEPT_FLOORS)}[what]
    names = {own: f"loss_{variant}_{wiring}"} | {v: f"sweep_{variant}_{wiring}_{what}{v:g}" for v in others}
    return [(value, found[names[value]]) for value in sorted(names) if names[value] in found]


def best_weight(found: Runs, variant: str, wiring: str) -> tuple[float, str] | None:
    """(beta, experiment) with the lowest mean validation error at the end of training, of those run; None for none.

    Chosen on the validation set, so that the test set can still judge.
    """
    points = sweep(found, variant, wiring, "beta")
    if not points:
        return None
    beta, chosen = min(points, key=lambda p: np.mean([r["training"]["curves"]["validation_mse"][-1] for r in p[1]]))
    return beta, chosen[0]["experiment"]


def describe(outcome: Mapping, unit: str = "") -> str:
    """An estimate with both of its intervals, in words."""

    def number(value: float) -> str:
        return f"{value:+.3g}".replace("-", "\N{MINUS SIGN}")

    def span(pair) -> str:
        return f"{number(pair[0])} to {number(pair[1])}"

    words = f"{number(outcome['estimate'])}{unit} (test sequences {span(outcome['interval'])}"
    if outcome["seed_interval"] is None:
        return f"{words}; one seed)"
    return f"{words}; {len(outcome['by_seed'])} seeds {span(outcome['seed_interval'])})"


def verdict_steps(found: Runs, pool: str = "test") -> tuple[str, list[dict]]:
    """Claim C3 at one scale: (verdict, rows {"before", "after", "what", "difference", "judgement"}) for ``STEPS``.

    The paper's chain is a latent in 2D, 3D convolutions, the likelihood term; the verdict is about those three.
    """
    rows = []
    for before, after, what in STEPS:
        outcome = difference(found, after, before, pool=pool)
        rows.append({"before": before, "after": after, "what": what, "difference": outcome, "judgement": judge(outcome)})
    chain = [r["judgement"] for r in rows if r["what"] in (STEPS[0][2], STEPS[2][2], STEPS[4][2])]
    if "not run" in chain:
        return results.NOT_TESTED, rows
    good = chain.count("lower")
    return ("reproduced" if good == len(chain) else "partly" if good else "not reproduced"), rows


def verdict_diversity(found: Runs, pool: str = "test") -> tuple[str, list[dict]]:
    """Claim C4 at one scale: does the likelihood term raise the prior's std and the spread of the samples?

    (verdict, one row per wiring: {"wiring", "log_std", "variance"}), each a difference KL-LL minus KL over seeds:
    {"estimate", "by_seed", "seed_interval"}.
    """
    rows, signs = [], []
    for wiring in WIRINGS:
        a, b = ({r["seed"]: r for r in found.get(f"loss_{v}_{wiring}", [])} for v in ("kl_ll", REFERENCE))
        shared = sorted(a.keys() & b.keys())
        if not shared:
            continue
        by_seed = {
            "log_std": [last(a[s], "log_std_prior") - last(b[s], "log_std_prior") for s in shared],
            "variance": [
                results.value(a[s], pool, "10->10", "sample_variance") - results.value(b[s], pool, "10->10", "sample_variance")
                for s in shared
            ],
        }
        row: dict = {"wiring": wiring}
        for key, values in by_seed.items():
            span = seed_interval(values)
            row[key] = {"estimate": float(np.mean(values)), "by_seed": values, "seed_interval": span}
            signs.append(0 if span is None else (span[0] > 0) - (span[1] < 0))
        rows.append(row)
    if not rows:
        return results.NOT_TESTED, rows
    if all(sign > 0 for sign in signs):
        return "reproduced", rows
    return ("partly" if any(sign > 0 for sign in signs) else "not reproduced"), rows
