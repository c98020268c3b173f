"""What the records say about the latent loss: every variant, wiring, weight and floor, compared with KL and with no latent."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from vrnn3d.layers.gaussian import SIGMA_MIN
from vrnn3d.study import paper
from vrnn3d.study.catalogue import EXPERIMENTS, LATENT_LOSSES, SWEPT_BETAS, SWEPT_FLOORS, WIRINGS
from vrnn3d.study.compare import BETTER, WORSE, Comparison, compare_runs, describe, rules_out_paper, seeds_in_words
from vrnn3d.study.records import Record
from vrnn3d.study.scales import SCALES, runs_at, validation_error, was_validated
from vrnn3d.study.spread import Spread, end_of, seed_spread
from vrnn3d.study.wording import listed, percent, signed

#: The loss that the paper adds its term to (eq. 9): the one that others are compared with.
REFERENCE = "kl_pq"
#: The rows of Table 3 and the one it lacks: {experiment: its title here}.
TABLE3 = {
    "convlstm2d": "2D ConvLSTM",
    "vrnn2d": "2D, with z",
    "convlstm3d": "3D, no z",
    "vrnn3d_kl": "3D, with z (KL)",
    "vrnn3d_kl_ll": "3D, with z (KL-LL)",
}
NO_LATENT = "convlstm3d"
#: Above this share of latent dimensions at the floor on their standard deviation, a loss is said to lie there.
AT_FLOOR = 0.5

#: Nats of KL(q || p) for each dimension of the latent that a loss has at its best: the balanced one's best prior has twice the
#: posterior's variance, for equal means.
BUILT_IN = {"kl_ll_balanced": math.log(2) / 2 - 1 / 4}

_NOT_TESTED = "not tested"
#: {experiment: its runs by seed} at one scale.
Runs = Mapping[str, list[Record]]


@dataclass(frozen=True)
class TableStep:
    """Two rows of Table 3 that differ in one thing."""

    before: str
    after: str
    what: str


STEPS = (
    TableStep("convlstm2d", "vrnn2d", "a latent in 2D"),
    TableStep("convlstm2d", "convlstm3d", "3D convolutions, without a latent"),
    TableStep("vrnn2d", "vrnn3d_kl", "3D convolutions, with a latent"),
    TableStep("convlstm3d", "vrnn3d_kl", "a latent in 3D"),
    TableStep("vrnn3d_kl", "vrnn3d_kl_ll", "the likelihood term"),
)
#: What is measured of the samples: {label: (metric, statistic)}.
SCORES = {
    "average of samples": ("mse", "average"),
    "best sample": ("mse", "best"),
    "mean frame": ("mse", "mean_frame"),
    "CRPS": ("crps", "average"),
    "sample variance": ("sample_variance", "average"),
}


def loss_name(variant: str, wiring: str) -> str:
    """The experiment of a loss variant with either wiring."""
    return f"loss_{variant}_{wiring}"


def runs(records: Iterable[Record], profile: str) -> dict[str, list[Record]]:
    """All runs of a profile, without experiments that have none.

    The chapter is about losses, sweeps and the rows of Table 3; the others help to tell how far seeds are apart.
    """
    records = list(records)
    found = {name: runs_at(records, name, profile) for name in EXPERIMENTS}
    return {name: of_name for name, of_name in found.items() if of_name}


#: What a scale must have for the page's grid of losses to be shown there, and for the step of the paper: both losses.
GRID = tuple(loss_name(variant, wiring) for variant in LATENT_LOSSES for wiring in WIRINGS)
TERM = ("vrnn3d_kl", "vrnn3d_kl_ll")


def largest_scale(records: Iterable[Record], needed: Sequence[str] = GRID) -> str:
    """The largest profile that has runs of all experiments needed; the smallest profile where none has."""
    records = list(records)
    return next((p for p in SCALES if all(runs_at(records, name, p) for name in needed)), SCALES[-1])


# --- the grid ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Cell:
    """A loss variant with one wiring: its scores over seeds, and its MSE (10 -> 10) against ``REFERENCE`` in that wiring."""

    experiment: str
    variant: str
    wiring: str
    seeds: int
    scores: dict[str, Spread]  #: by the labels of ``SCORES``
    against_reference: Comparison | None  #: None for the reference itself, and where it was not run


def grid(found: Runs, pool: str = "test") -> list[Cell]:
    """One cell per variant and wiring that was run, 10 -> 10."""
    return [
        _cell(found, variant, wiring, pool)
        for wiring in WIRINGS
        for variant in LATENT_LOSSES
        if loss_name(variant, wiring) in found
    ]


def _cell(found: Runs, variant: str, wiring: str, pool: str) -> Cell:
    name = loss_name(variant, wiring)
    spreads = {
        label: seed_spread(found[name], "10->10", metric, pool, statistic) for label, (metric, statistic) in SCORES.items()
    }
    reference = found.get(loss_name(REFERENCE, wiring), [])
    return Cell(
        experiment=name,
        variant=variant,
        wiring=wiring,
        seeds=len(found[name]),
        scores={label: spread for label, spread in spreads.items() if spread is not None},
        against_reference=None if variant == REFERENCE else _compared(found, found[name], reference, pool=pool),
    )


def against_reference(found: Runs, wiring: str, pool: str = "test") -> dict[str, dict[str, Comparison]]:
    """{variant: {protocol: MSE compared with ``REFERENCE`` in the same wiring}} of what was run, all four protocols."""
    reference = found.get(loss_name(REFERENCE, wiring), [])
    compared = {}
    for variant in LATENT_LOSSES:
        runs_of_it = found.get(loss_name(variant, wiring), [])
        each = {p: _compared(found, runs_of_it, reference, p, pool) for p in paper.PROTOCOLS}
        if variant != REFERENCE and (known := {p: c for p, c in each.items() if c is not None}):
            compared[variant] = known
    return compared


#: What is compared between the wirings: {metric: (its name in a sentence, decimals)}.
WIRING_SCORES = {"mse": ("MSE", 1), "ssim": ("SSIM", 3), "crps": ("CRPS", 1), "sample_variance": ("sample variance", 3)}


def wirings(found: Runs, pool: str = "test") -> dict[str, dict[str, Comparison]]:
    """{variant: {metric: z_q decoded in training minus z_p decoded}} of losses that were run in both wirings, 10 -> 10."""
    prior, posterior = WIRINGS
    compared = {v: _in_all_scores(found, loss_name(v, prior), loss_name(v, posterior), pool) for v in LATENT_LOSSES}
    return {variant: scores for variant, scores in compared.items() if scores}


def _in_all_scores(found: Runs, before: str, after: str, pool: str = "test") -> dict[str, Comparison]:
    """{metric: after minus before, 10 -> 10} of WIRING_SCORES; empty where one was not run."""
    theirs, ours = found.get(before, []), found.get(after, [])
    compared = {metric: _compared(found, ours, theirs, pool=pool, metric=metric) for metric in WIRING_SCORES}
    return {metric: comparison for metric, comparison in compared.items() if comparison is not None}


def changes(compared: Mapping[str, Comparison]) -> dict[str, str]:
    """{score: "14.6 to 16.3, worse"}; of the sample variance, which is neither good nor bad, the two values alone."""
    told = {}
    for metric, comparison in compared.items():
        score, decimals = WIRING_SCORES[metric]
        values = f"{comparison.theirs:.{decimals}f} to {comparison.ours:.{decimals}f}"
        told[score] = values if metric == "sample_variance" else f"{values}, {comparison.outcome}"
    return told


def _changes_in_words(compared: Mapping[str, Comparison]) -> str:
    """All changes of scores in one phrase, and how many trainings they rest on."""
    seeds = _trainings(next(iter(compared.values())))
    return f"{'; '.join(f'the {score} from {change}' for score, change in changes(compared).items())} ({seeds})"


def term_in_words(found: Runs, wiring: str) -> str:
    """What the likelihood term does to the scores in one wiring, and whether that looks like less noise; "" if not run."""
    compared = _in_all_scores(found, loss_name(REFERENCE, wiring), loss_name("kl_ll", wiring))
    if not compared:
        return ""
    told = f"From KL to KL-LL, {paper.arrow('10->10')}: {_changes_in_words(compared)}. {_noise_in_words(compared)}"
    of_mean = mean_frames(found, loss_name(REFERENCE, wiring), loss_name("kl_ll", wiring))
    if not of_mean:
        return told
    return f"{told} The MSE is that of the mean frame plus the samples' variance; that of the mean frame goes from {of_mean}."


def mean_frames(found: Runs, before: str, after: str, pool: str = "test") -> str:
    """ "14.35 to 14.64", the MSE of the samples' mean, 10 -> 10, in two experiments; "" where it was not kept."""
    spreads = [seed_spread(found.get(name, []), pool=pool, statistic="mean_frame") for name in (before, after)]
    return " to ".join(f"{each.mean:.2f}" for each in spreads if each) if all(spreads) else ""


def _noise_in_words(compared: Mapping[str, Comparison]) -> str:
    """Whether a change of the MSE comes with less spread of the samples, and what the other scores say of it."""
    if compared["mse"].outcome != BETTER:
        return "The squared error does not fall beyond its uncertainty."
    variance = compared.get("sample_variance")
    if variance is None or variance.estimate >= 0:
        return "The squared error falls although the samples spread no less."
    worse = [WIRING_SCORES[m][0] for m in ("ssim", "crps") if m in compared and compared[m].outcome == WORSE]
    if not worse:
        return "The squared error falls with the spread of the samples, and neither SSIM nor CRPS gets worse."
    return (
        f"The squared error falls with the spread of the samples, while {' and '.join(worse)} {'get' if worse[1:] else 'gets'}"
        " worse. That is what taking noise away looks like: the average squared error charges any spread, right or wrong."
    )


def wiring_in_words(found: Runs) -> str:
    """What decoding the posterior's sample in training does to the scores under ``REFERENCE``, in words."""
    compared = wirings(found).get(REFERENCE)
    if not compared:
        return "no loss was trained in both wirings"
    of_mean = mean_frames(found, *(loss_name(REFERENCE, wiring) for wiring in WIRINGS))
    return (
        "decoding the posterior's sample in training, as Chung et al. do, in place of the prior's takes, under KL,"
        f" {paper.arrow('10->10')}, {_changes_in_words(compared)}"
        + (f"; the MSE of the mean frame goes from {of_mean}" if of_mean else "")
    )


def told_apart(compared: Mapping[str, Mapping[str, Comparison]]) -> dict[str, dict[str, list[str]]]:
    """{"better": {variant: protocols}, "worse": ..., "undecided": ...} of what :func:`against_reference` found."""
    found: dict[str, dict[str, list[str]]] = {}
    for variant, by_protocol in compared.items():
        for protocol, comparison in by_protocol.items():
            found.setdefault(comparison.outcome, {}).setdefault(variant, []).append(protocol)
    return found


def mean_end(runs_of_one: Iterable[Record], curve: str) -> float:
    """The end of a training curve, mean over seeds; NaN where it was not kept."""
    ends = [end for r in runs_of_one if not math.isnan(end := end_of(r, curve))]
    return float(np.mean(ends)) if ends else math.nan


def at_floor(found: Runs, cells: Iterable[Cell]) -> list[Cell]:
    """The cells whose training ended with most latent dimensions at the floor on their standard deviation."""
    return [cell for cell in cells if mean_end(found[cell.experiment], "floor_fraction") > AT_FLOOR]


# --- weights and floors -----------------------------------------------------------------------------------------------


def sweep(found: Runs, variant: str, wiring: str, what: str) -> list[tuple[float, list[Record]]]:
    """[(value, runs by seed)] of a sweep in rising order.

    `what` is "beta", the weight of the latent loss, or "floor", that on its standard deviations. The value that all
    other runs have is that of the grid's own run.
    """
    own, others = {"beta": (1.0, SWEPT_BETAS), "floor": (SIGMA_MIN, SWEPT_FLOORS)}[what]
    points = {own: loss_name(variant, wiring)} | {v: f"sweep_{variant}_{wiring}_{what}{v:g}" for v in others}
    return [(value, found[points[value]]) for value in sorted(points) if points[value] in found]


@dataclass(frozen=True)
class BestWeights:
    """KL-LL against KL in one wiring, each with the weight that does best on the validation set."""

    wiring: str
    weight: float  #: of KL-LL
    reference_weight: float  #: of KL
    comparison: Comparison


def best_weights(found: Runs, wiring: str) -> BestWeights | None:
    """None where the two losses were not swept over the same weights, or not compared."""
    ours, theirs = (sweep(found, variant, wiring, "beta") for variant in ("kl_ll", REFERENCE))
    if len(ours) < 2 or [value for value, _ in ours] != [value for value, _ in theirs]:
        return None
    best, reference = best_on_validation(ours), best_on_validation(theirs)
    if best is None or reference is None:
        return None
    comparison = _compared(found, best[1], reference[1])
    return None if comparison is None else BestWeights(wiring, best[0], reference[0], comparison)


def best_on_validation(points: list[tuple[float, list[Record]]]) -> tuple[float, list[Record]] | None:
    """The point of a sweep with the lowest validation error at the end, mean over seeds: the test set chooses nothing.

    None where none was validated.
    """
    validated = [point for point in points if was_validated(point[1])]
    return min(validated, key=lambda point: validation_error(point[1]), default=None)


# --- Table 3 ----------------------------------------------------------------------------------------------------------


def steps(found: Runs, pool: str = "test") -> list[tuple[TableStep, Comparison | None]]:
    """What each step between rows of Table 3 does to the MSE, 10 -> 10, after minus before; None where not run."""
    return [(step, _compared(found, found.get(step.after, []), found.get(step.before, []), pool=pool)) for step in STEPS]


def _compared(
    found: Runs,
    ours: Sequence[Record],
    theirs: Sequence[Record],
    protocol: str = "10->10",
    pool: str = "test",
    metric: str = "mse",
) -> Comparison | None:
    """The runs of two experiments in one score; all runs found tell how far one or two seeds may be off."""
    every = [run for runs_of_one in found.values() for run in runs_of_one]
    return compare_runs(ours, theirs, protocol, metric, pool=pool, others=every)


def paper_steps(told: Iterable[tuple[TableStep, Comparison | None]]) -> str:
    """Which steps of the paper's Table 3, as large as printed relative to the error before them, the runs rule out."""
    words = {True: "ruled out", False: "not ruled out", None: "not decided by one training each"}
    named: dict[str, list[str]] = {word: [] for word in (*words.values(), _NOT_TESTED)}
    for step, comparison in told:
        if (share := paper.change(step.before, step.after)) is not None:
            here = "" if comparison is None else f", here {percent(comparison.estimate / comparison.theirs)}"
            word = _NOT_TESTED if comparison is None else words[rules_out_paper(comparison, step.before, step.after)]
            named[word].append(f"{step.what} (in the paper {percent(share)}{here})")
    parts = [f"{word} for {listed(steps)}" for word, steps in named.items() if steps]
    return f"a step as large as that of the paper's Table 3 is {', and '.join(parts)}"


# --- in words ---------------------------------------------------------------------------------------------------------


def likelihood_term(found: Runs, wiring: str = "z_p") -> str:
    """What the likelihood term does to the MSE, 10 -> 10, in one wiring: at weight 1, and at each loss's best."""
    at_one = _compared(found, found.get(loss_name("kl_ll", wiring), []), found.get(loss_name(REFERENCE, wiring), []))
    if at_one is None:
        return "the likelihood term was not run beside KL"
    verb = {BETTER: "lowers", WORSE: "raises"}.get(at_one.outcome)
    amount = f"{abs(at_one.estimate):.1f}" if verb else signed(at_one.estimate)
    text = (
        f"at weight 1 the likelihood term {verb or 'changes'} the squared error of a frame, {paper.arrow('10->10')}, by"
        f" {amount} (from {at_one.theirs:.1f}; {_trainings(at_one)})"
    )
    if not verb and at_one.interval is not None:
        share = paper.change(*TERM)
        assert share is not None, "both are rows of the paper's tables"
        text += ", which cannot be told from the difference that seeds make"
        text += f"; the paper's {percent(share)} is ruled out" if rules_out_paper(at_one, *TERM) else ""
    best = best_weights(found, wiring)
    if best is None:
        return text
    difference = signed(best.comparison.estimate)
    return f"{text}; with each loss at its own best weight the difference is {difference}, {best.comparison.outcome}"


def gaussians_in_words(found: Runs) -> str:
    """How the training left the Gaussians where z_p is decoded: how many lie at the floor, how far they are apart."""
    told = []
    for variant, label in {"kl_pq": "KL", "kl_ll": "KL-LL", "kl_ll_balanced": "the balanced loss"}.items():
        if runs_of_it := found.get(loss_name(variant, "z_p"), []):
            floor, nats = (mean_end(runs_of_it, curve) for curve in ("floor_fraction", "kl_per_frame"))
            built_in = BUILT_IN.get(variant, 0) * _latent_dimensions(runs_of_it[0])
            share = f", of which {nats_in_words(built_in)} are built into that loss" if built_in else ""
            told.append(
                f"Under {label} {100 * floor:.0f}% of the standard deviations lie at their floor, and posterior and prior"
                f" are {nats_in_words(nats)} a frame apart{share}."
            )
    return " ".join(["What the training leaves of the Gaussians:", *told]) if told else ""


def _latent_dimensions(run: Record) -> float:
    """How many dimensions the latent of a 3D VRNN has for each frame that is predicted."""
    import torch

    from vrnn3d.checkpoint import model_of
    from vrnn3d.models.vrnn import VRNN

    with torch.device("meta"):
        model = model_of(run.config)
    assert isinstance(model, VRNN)
    height, width = run.config.data.height_width
    return model.latent * model.latent_depth * (height // model.cell) * (width // model.cell) / model.horizon


def nats_in_words(nats: float) -> str:
    """A divergence to two digits; what is too small to matter is said to be so."""
    return "less than 0.001 nats" if nats < 1e-3 else f"{nats:.2g} nats"


def _trainings(comparison: Comparison) -> str:
    """How many trainings a comparison rests on, and what one alone cannot tell."""
    if comparison.seed_interval is None:
        return f"{seeds_in_words(comparison)}: how far other trainings would differ is not known"
    return seeds_in_words(comparison)


def answers(found: Runs, wiring_names: Mapping[str, str]) -> list[str]:
    """Is it the term, its weight, or the noise? One sentence for each comparison that was run, MSE of a frame at 10 -> 10."""
    told = []
    for best in filter(None, (best_weights(found, wiring) for wiring in WIRINGS)):
        least = min(SWEPT_BETAS)
        edge = f" {least:g} is the least weight tried." if least in (best.weight, best.reference_weight) else ""
        told.append(
            f"Where the network {wiring_names[best.wiring]}, each loss with the weight that is best for it on the validation"
            f" set ({best.weight:g} for KL-LL, {best.reference_weight:g} for KL): KL-LL minus KL is"
            f" {describe(best.comparison)}, **{best.comparison.outcome}**.{edge}"
        )
    for variant, label in ((REFERENCE, "KL"), ("kl_ll", "KL-LL")):
        comparison = _compared(found, found.get(loss_name(variant, "z_p"), []), found.get(NO_LATENT, []))
        if comparison is not None:
            told.append(f"{label} at weight 1 minus no latent at all is {describe(comparison)}, **{comparison.outcome}**.")
    floors = {f: spread for f, runs_of_it in sweep(found, "kl_ll", "z_p", "floor") if (spread := seed_spread(runs_of_it))}
    if len(floors) > 1:
        values = ", ".join(f"{spread.mean:.2f} at {floor:g}" for floor, spread in floors.items())
        told.append(f"KL-LL with other floors on the standard deviations, mean over seeds: {values}.")
    return told
