"""What became of each claim of the paper: one rule, for every page of the book.

A claim rests on comparisons, each of which names the side that the claim says is better. They are judged at the largest
scale whose runs answer all of them; where no scale does, at the one that answers most. A claim is

- "reproduced" where the side that it names is better in every comparison (``compare.Comparison.outcome``),
- "contradicted" where at least one is worse, so surely that it is no accident of making as many comparisons,
- "undecided" where runs cannot tell, or part of the claim has no run,
- "not run" where nothing was measured.

A comparison of which nobody knows how far another training would be off decides nothing, nor does one in which the side that
came out ahead was trained on more. What is contradicted at a larger scale is not overridden by a smaller one. C2 is about the
number of parameters alone, and is judged by counting.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from vrnn3d.evaluation.metrics import METRICS
from vrnn3d.evaluation.protocols import name_of
from vrnn3d.layers.gaussian import SIGMA_MIN
from vrnn3d.study import paper
from vrnn3d.study.catalogue import EXPERIMENTS, STAGES, WINDOWS, WIRINGS, names
from vrnn3d.study.compare import BETTER, UNDECIDED, WORSE, Comparison, compare_curves, compare_runs, describe, rules_out_paper
from vrnn3d.study.decay import forms_in_words, forms_of
from vrnn3d.study.precision import mixed_precision
from vrnn3d.study.records import Record
from vrnn3d.study.scales import SCALES, runs_at, title_of, words
from vrnn3d.study.wording import NOT_RUN, number, percent

REPRODUCED, CONTRADICTED = "reproduced", "contradicted"
#: The scale of a verdict that no run was needed for.
COUNTED = "counted"
#: The systems of the paper's tables on Moving MNIST.
_SYSTEMS = tuple(dict.fromkeys((*paper.TABLE1, *paper.TABLE3)))
#: The paper's model with more stages of ResNet-18 than its two; their number follows.
_STAGES = "encoder_stages"
#: What is added to the scale of a verdict that was reached where digits leave walls at random.
RANDOM_BOUNCES = "one digit, random bounces"
#: Claims are judged on digits that no training saw; KTH's test set is of persons that none saw.
POOL = "test"


@dataclass(frozen=True)
class Asked:
    """One comparison that a claim rests on: `ours` is said to be better than `theirs`, experiments by name.

    `values` is "per_sequence" or "per_sequence_slope" of a metric (``compare.compare_runs``), or "curve": then `metric`
    names a training curve whose end is compared, and more of it is what the claim asks for.
    """

    ours: str
    theirs: str
    protocol: str = "10->10"
    metric: str = "mse"
    values: str = "per_sequence"

    def compare(self, records: Sequence[Record], profile: str) -> Comparison | None:
        """The comparison at a profile; None where a side was not run."""
        ours, theirs = (runs_at(records, name, profile) for name in (self.ours, self.theirs))
        if self.values == "curve":
            return compare_curves(ours, theirs, self.metric, _CURVES[self.metric], larger_is_better=True)
        return compare_runs(ours, theirs, self.protocol, self.metric, POOL, self.values, records)


_CURVES = {"log_std_prior": "mean log std of the prior at the end of training"}


@dataclass(frozen=True)
class Judged:
    """A comparison that a claim rests on, and what it came to."""

    asked: Asked
    comparison: Comparison | None

    @property
    def outcome(self) -> str:
        """ "better", "worse", "undecided" or "not run"; undecided where the side that came out ahead was trained on more."""
        if self.comparison is None:
            return NOT_RUN
        return UNDECIDED if self.unfair else self.comparison.outcome

    @property
    def unfair(self) -> bool:
        """Whether the side that came out ahead was trained on more than the other, so that it is not said to be better."""
        c = self.comparison
        if c is None or c.trained is None or c.outcome == UNDECIDED:
            return False
        ours, theirs = c.trained
        return ours > theirs if c.outcome == BETTER else theirs > ours

    @property
    def p_value(self) -> float:
        """Of the comparison, 1 where there is none."""
        return 1.0 if self.comparison is None else self.comparison.p_value

    @property
    def where(self) -> str:
        """The protocol, to be put behind the quantity; of a training curve nothing."""
        return "" if self.asked.values == "curve" else f", {paper.arrow(self.asked.protocol)}"

    def numbers(self) -> str:
        """What was measured, in words: both sides and their difference; "not run" where nothing was."""
        c = self.comparison
        if c is None:
            return NOT_RUN
        return f"{c.quantity}{self.where}: {number(c.ours)} against {number(c.theirs)}, a difference of {describe(c)}"


@dataclass(frozen=True)
class Verdict:
    """What became of a claim, at which scale, and why."""

    claim: str  #: "C1"
    text: str  #: what the paper says
    where: str  #: where it says so
    outcome: str  #: "reproduced", "contradicted", "undecided" or "not run"
    scale: str  #: "full size", ..., "counted"; "" where nothing was run
    why: str  #: a line for each thing to say
    comparisons: tuple[Judged, ...] = ()

    @property
    def open(self) -> bool:
        """Whether the claim is neither reproduced nor contradicted."""
        return self.outcome not in (REPRODUCED, CONTRADICTED)


def verdicts(records: Iterable[Record], counts: Mapping[str, int] | None = None) -> list[Verdict]:
    """One verdict for each claim of the paper, in their order.

    Args:
        records: any; those that a claim has no use for are ignored.
        counts: {experiment: parameters} of the built models as the paper counts them, by default :func:`count_parameters`.
    """
    records = list(records)
    counts = count_parameters() if counts is None else counts
    return [
        _beats_all(records),
        _fewer_parameters(counts),
        _ablation_steps(records),
        _diversity(records),
        _further_future(records),
        _small_window(records),
        _truncation(records),
    ]


def _verdict(claim: str, outcome: str, scale: str, why: str, judged: Sequence[Judged] = ()) -> Verdict:
    of = paper.CLAIMS[claim]
    return Verdict(claim, of.text, of.where, outcome, scale, why + _sureness(judged), tuple(judged))


# --- the rule ---------------------------------------------------------------------------------------------------------


def outcome_of(judged: Sequence[Judged]) -> str:
    """What comparisons say of the claim that rests on them."""
    outcomes = [each.outcome for each in judged]
    if all(outcome == NOT_RUN for outcome in outcomes):
        return NOT_RUN
    if (surest := _surest_worse(judged)) and surest.p_value < _LEVEL / _answered(judged):
        return CONTRADICTED
    return REPRODUCED if all(outcome == BETTER for outcome in outcomes) else UNDECIDED


#: Chance that a claim which holds is called contradicted at a scale, at most: shared out among its comparisons, of which one is
#: enough (Bonferroni). A claim is reproduced by all of its comparisons together, which needs no such correction.
_LEVEL = 0.05


def _answered(judged: Sequence[Judged]) -> int:
    return sum(each.comparison is not None for each in judged)


def _surest_worse(judged: Sequence[Judged]) -> Judged | None:
    """Of the comparisons that are worse, the one with the smallest p-value."""
    return min((e for e in judged if e.outcome == WORSE), key=lambda e: e.p_value, default=None)


def _sureness(judged: Sequence[Judged]) -> str:
    """How sure it is that a claim is contradicted, in a sentence; "" where nothing is worse, or for a single comparison."""
    surest, count = _surest_worse(judged), _answered(judged)
    if surest is None or count < 2:
        return ""
    p, share, quantity = surest.p_value, _LEVEL / count, surest.comparison.quantity if surest.comparison else ""
    verdict = "below" if p < share else "not below"
    return (
        f"\nThe clearest case against the claim is {title_of(surest.asked.theirs)}, {quantity}{surest.where}:"
        f" p = {p:.1g}, {verdict} {_LEVEL:g} / {count}, which allows for {count} comparisons."
    )


def judge_claim(asked: Sequence[Asked], records: Sequence[Record]) -> tuple[str, list[Judged]]:
    """(scale in words, comparisons) at the largest scale that answers all of it or contradicts it; else at the one that answers
    most.
    """
    scale, best = "", [Judged(each, None) for each in asked]
    most = 0
    for profile in SCALES:
        judged = [Judged(each, each.compare(records, profile)) for each in asked]
        if (answered := _answered(judged)) > most:
            scale, best, most = words(profile), judged, answered
        if most == len(asked) or outcome_of(best) == CONTRADICTED:
            break
    return scale, best


def tally(judged: Sequence[Judged]) -> str:
    """How comparisons came out: "better in all 8 comparisons", "better in 3, worse in 1, undecided in 4 of 8 comparisons"."""
    counts = {o: sum(each.outcome == o for each in judged) for o in (BETTER, WORSE, UNDECIDED, NOT_RUN)}
    for outcome, count in counts.items():
        if count == len(judged):
            return f"{outcome} in all {count} comparisons" if count > 1 else f"{outcome} in the one comparison"
    parts = [f"{outcome} in {count}" for outcome, count in counts.items() if count]
    return f"{', '.join(parts)} of {len(judged)} comparisons"


def _sentences(judged: Sequence[Judged], against: str = "") -> str:
    """What was measured, one sentence for each pair of systems; `against` follows what is worse."""
    pairs: dict[tuple[str, str], list[str]] = {}
    for each in judged:
        if each.comparison is not None:
            parts = pairs.setdefault((each.asked.ours, each.asked.theirs), [])
            parts.append(f"{each.numbers()}, {each.outcome}{against * (each.outcome == WORSE)}")
    return "\n".join(f"{_versus(*pair)}: {'; '.join(parts)}." for pair, parts in pairs.items())


def _unfair(judged: Sequence[Judged]) -> str:
    """Why comparisons with clear differences are undecided, behind a comma; "" where none is so."""
    if not any(each.unfair for each in judged):
        return ""
    return ", since the side with the lower error was trained on more sequences, which is not counted for it"


def _versus(ours: str, theirs: str) -> str:
    return f"{title_of(ours)} against {title_of(theirs)}"


def _titles(names: Iterable[str]) -> str:
    return ", ".join(dict.fromkeys(title_of(name) for name in names))


# --- the claims -------------------------------------------------------------------------------------------------------


def _beats_all(records: Sequence[Record]) -> Verdict:
    rivals = [name for name in paper.TABLE1 if name != paper.OURS]
    scale, judged = judge_claim(_against_all(paper.OURS, rivals), records)
    told, missing = [], []
    for rival in rivals:
        mine = [each for each in judged if each.asked.theirs == rival]
        if outcome_of(mine) == NOT_RUN:
            missing.append(rival)
            continue
        shown = next((e for e in mine if (e.asked.protocol, e.asked.metric) == ("10->10", "mse") and e.comparison), mine[0])
        told.append(
            f"Against {title_of(rival)} {tally(mine)} (MSE and SSIM, four protocols); {shown.numbers()}{_unfair(mine)}."
        )
    if missing:
        told.append(f"Not run against: {_titles(missing)}.")
    told += [*_with_another_window(rivals, records), _own_contradictions()]
    return _verdict("C1", outcome_of(judged), scale, "\n".join(told), judged)


def _against_all(ours: str, rivals: Sequence[str]) -> list[Asked]:
    return [Asked(ours, rival, p, metric) for rival in rivals for p in paper.PROTOCOLS for metric in ("mse", "ssim")]


def _with_another_window(rivals: Sequence[str], records: Sequence[Record]) -> Iterator[str]:
    """The same comparisons with a step for each frame: the paper does not say which window its tables stand for."""
    ours = f"{paper.OURS}_by_frame"
    scale, judged = judge_claim(_against_all(ours, rivals), records)
    by_rival = ((rival, [each for each in judged if each.asked.theirs == rival]) for rival in rivals)
    told = [
        f"against {title_of(rival)} {tally(mine)}{_unfair(mine)}" for rival, mine in by_rival if outcome_of(mine) != NOT_RUN
    ]
    if told:
        shapes = [EXPERIMENTS[name].model for name in (ours, paper.OURS)]
        other, taken = (f"M = {shape.window}, H = {shape.horizon}" for shape in shapes)
        yield f"The paper does not name its window; with {other} in place of {taken}, {scale}: {'; '.join(told)}."


def _own_contradictions() -> str:
    """What the paper's own Table 1 says against its claim."""
    ours = paper.ROWS[paper.OURS].scores
    cells = [
        f"{title_of(rival)} has the higher SSIM for {paper.arrow(p)} ({theirs:.3f} against {ours[p].ssim:.3f})"
        for rival, p in paper.higher_ssim()
        if (theirs := paper.ROWS[rival].scores[p].ssim)
    ]
    black = [
        f"{title_of(name)}, {paper.arrow(p)}: {mse:g}, {paper.percent_of_black(mse):.0f}% of it"
        for name, p, mse in paper.worse_than_black()
    ]
    return f"In the paper's own table {'; '.join(cells)}. Printed there, and worse than a black frame: {'; '.join(black)}."


def count_parameters(names: Iterable[str] = _SYSTEMS) -> dict[str, int]:
    """{experiment: parameters of the model at full size, counted as the paper's own numbers want it}.

    Those of the 3D VRNN are met with the posterior's head and without its encoder; see :func:`count_for_prediction`.
    """
    return {name: _breakdown(name)["total"] for name in names}


def count_for_prediction(names: Iterable[str] = _SYSTEMS) -> dict[str, int]:
    """{experiment: parameters that a prediction needs}, for which no model has a use for its posterior."""
    found = {}
    for name in names:
        parts = _breakdown(name)
        found[name] = sum(parts[part] for part in parts if part != "total" and not part.startswith("posterior"))
    return found


def _breakdown(name: str) -> dict[str, int]:
    import torch

    from vrnn3d.models import build_model

    model = EXPERIMENTS[name].model
    with torch.device("meta"):
        return build_model(model.name, **model.options).parameter_breakdown()


def _fewer_parameters(counts: Mapping[str, int]) -> Verdict:
    rivals = ("predrnnpp", "e3d_lstm", "improved_vrnn")
    have = [r for r in rivals if r in counts]
    if paper.OURS not in counts or not have:
        return _verdict("C2", NOT_RUN, "", "The models have not been counted.")
    ours = counts[paper.OURS]
    each = (f"{title_of(r)} {counts[r] / 1e6:.3f}M (the paper: {paper.ROWS[r].parameters / 1e6:g}M)" for r in have)
    why = f"Counted: ours {ours / 1e6:.3f}M; {', '.join(each)}."
    if "e3d_lstm" in have:
        ratio = paper.ROWS["e3d_lstm"].parameters / counts["e3d_lstm"]
        if abs(ratio - 3) < 0.05:
            why += (
                f" The printed number of E3D-LSTM is {ratio:.2f} times the count, as if Adam's two moments had been"
                " counted with the weights (an inference)."
            )
    if "improved_vrnn" in have:
        why += " The Improved VRNN was chosen to come near its printed size, so its count tests nothing by itself."
    larger = [r for r in have if ours >= counts[r]]
    needed = count_for_prediction((paper.OURS, *larger))
    still = [r for r in larger if needed[paper.OURS] >= needed[r]]
    for rival in larger:
        why += (
            f" Not fewer than the public default of {title_of(rival)}, if that is what was trained; of the parameters that a"
            f" prediction needs, ours are {needed[paper.OURS] / 1e6:.3f}M against {needed[rival] / 1e6:.3f}M."
        )
    if still:
        return _verdict("C2", CONTRADICTED, COUNTED, why)
    if larger:
        why += " Which of the two is the larger hangs on what is counted."
    return _verdict("C2", UNDECIDED if larger or len(have) < len(rivals) else REPRODUCED, COUNTED, why)


def _ablation_steps(records: Sequence[Record]) -> Verdict:
    steps = list(zip(paper.TABLE3, paper.TABLE3[1:]))
    asked = [Asked(after, before, protocol) for before, after in steps for protocol in paper.PROTOCOLS]
    scale, judged = judge_claim(asked, records)
    told = []
    for before, after in steps:
        mine = [each for each in judged if each.asked.ours == after]
        shown = next(each for each in mine if each.asked.protocol == "10->10")
        printed = [paper.ROWS[name].scores["10->10"].mse for name in (after, before)]
        told.append(
            f"{_versus(after, before)}: {shown.numbers()} (the paper: {printed[0]:g} against {printed[1]:g})"
            + (f"; over the protocols {tally(mine)}{_ruled_out(shown.comparison, before, after)}." if shown.comparison else ".")
        )
    told.append("The step from 2D to 3D also changes the network's size, so it is not one of convolutions alone.")
    return _verdict("C3", outcome_of(judged), scale, "\n".join([*told, *_with_the_other_wiring(records)]), judged)


def _with_the_other_wiring(records: Sequence[Record]) -> Iterator[str]:
    """The likelihood term where z_q is decoded in training, as Chung et al. do; the paper's equations 5 and 6 decode z_p."""
    ours, theirs = (f"loss_{loss}_z_q" for loss in ("kl_ll", "kl_pq"))
    scale, judged = judge_claim([Asked(ours, theirs, protocol) for protocol in paper.PROTOCOLS], records)
    shown = next(each for each in judged if each.asked.protocol == "10->10")
    if shown.comparison is not None:
        yield (
            "Where the posterior's sample is decoded in training, which is not what the paper's equations say, KL-LL against"
            f" KL, {scale}: {tally(judged)}; {shown.numbers()}."
        )


def _ruled_out(comparison: Comparison, before: str, after: str) -> str:
    share = paper.change(before, after)
    if share is None or not rules_out_paper(comparison, before, after):
        return ""
    return f", and a change of {percent(share)}, as the paper's, is ruled out"


def _diversity(records: Sequence[Record]) -> Verdict:
    """Judged where there is something to be diverse about, on random bounces, once every comparison there has two seeds."""
    scale, judged = judge_claim(_asked_of_diversity("chance"), records)
    if all(each.comparison is not None and each.comparison.seed_interval is not None for each in judged):
        scale = f"{scale}, {RANDOM_BOUNCES}"
    else:
        scale, judged = judge_claim(_asked_of_diversity("loss"), records)
    derivation = (
        "Derived: the likelihood term does not contain the prior's standard deviation, so the best prior for a given"
        " posterior is the same as under KL; what the term adds is a penalty on the posterior's entropy."
    )
    shown = [each for each in judged if each.asked.values == "curve" or each.asked.protocol == "10->10"]
    measured = _sentences(shown, " for the claim, since it is lower")
    floor = f"The floor that this study sets under a log std is {number(math.log(SIGMA_MIN))}."
    lines = [f"Measured, by seeds: {measured}", floor, f"Altogether {tally(judged)}."] if measured else []
    why = "\n".join([derivation, *lines])
    return _verdict("C4", outcome_of(judged), scale, why, judged)


def _asked_of_diversity(group: str) -> list[Asked]:
    """The prior's standard deviation and the variance of samples, for the experiments whose names begin with `group`."""
    asked = []
    for wiring in WIRINGS:
        pair = (f"{group}_kl_ll_{wiring}", f"{group}_kl_pq_{wiring}")
        asked.append(Asked(*pair, metric="log_std_prior", values="curve"))
        asked += [Asked(*pair, protocol, "sample_variance") for protocol in paper.PROTOCOLS]
    return asked


def _further_future(records: Sequence[Record]) -> Verdict:
    kinds = (("psnr", "per_sequence"), ("ssim", "per_sequence"), ("psnr", "per_sequence_slope"))
    asked = [
        Asked("kth_vrnn3d_kl_ll", "kth_e3d_lstm", protocol, metric, values)
        for protocol in paper.KTH_PROTOCOLS[1:]
        for metric, values in kinds
    ]
    # Runs on different parts of KTH cannot be compared: each part that was used is judged by itself.
    parts = sorted({r.data_name for r in records if r.config.data.NAME == "kth"})
    best: tuple[str, list[Judged]] = ("", [Judged(each, None) for each in asked])
    for part in parts:
        scale, judged = judge_claim(asked, [r for r in records if r.data_name == part])
        if _answered(judged) > _answered(best[1]):
            best = (f"{scale}, {part}", judged)
    why, few = _sentences(best[1]), best[0].endswith("subset")
    if why:
        why += " The windows of a clip overlap, so that intervals over them are too narrow."
        if all(each.comparison is None or each.comparison.seed_interval is None for each in best[1]):
            why += " Nothing there was trained with several seeds: how far another training would be off is not known."
        if few:
            why += " A few clips decide nothing about KTH."
    else:
        why = "The two models have not both been trained on KTH and measured at 40 or 60 frames."
    why += "\nTable 2 of the paper is an image, and the copy that we worked from has its text only."
    outcome = outcome_of(best[1])
    return _verdict("C5", UNDECIDED if few and outcome != NOT_RUN else outcome, best[0], why, best[1])


def _small_window(records: Sequence[Record]) -> Verdict:
    """The smallest window against the largest, for predictions of one frame a step and of a whole window a step."""
    asked = []
    for choose in (lambda m, h: h == 1, lambda m, h: h == m):
        pairs = [(m, h) for m, h in WINDOWS if choose(m, h)]
        small, large = WINDOWS[min(pairs)], WINDOWS[max(pairs)]
        asked += [Asked(small, large, name_of(*p)) for p in EXPERIMENTS[small].eval.protocols]
    scale, judged = judge_claim(asked, records)
    outcome = outcome_of(judged)
    windows = "No two windows have been trained alike."
    if outcome != NOT_RUN:
        windows = f"On Moving MNIST {tally(judged)}.\n{_sentences(judged)}"
    # Parts of the claim have no comparison, so that it is never reproduced as a whole.
    outcome = UNDECIDED if outcome == REPRODUCED else outcome
    rest = "Windows on KTH are not judged by this rule, nor is the form of the decay, which is fitted and has no interval."
    mixed = [mixed_precision(records, WINDOWS.values(), profile) for profile in SCALES if words(profile) == scale]
    return _verdict("C6", outcome, scale, "\n".join([windows, *filter(None, mixed), rest, *_forms_of_decay(records)]), judged)


def _forms_of_decay(records: Sequence[Record]) -> Iterator[str]:
    """For each data set, a sentence on whether the longest predictions decay along a line or an exponential."""
    for what, systems, metrics, protocol in (
        ("Moving MNIST", (*_SYSTEMS, *names("windows")), ("mse", "ssim"), paper.PROTOCOLS[-1]),
        ("KTH", paper.TABLE2, ("psnr", "ssim"), paper.KTH_PROTOCOLS[-1]),
    ):
        for profile in SCALES:
            found = {run.name: run for name in dict.fromkeys(systems) for run in runs_at(records, name, profile)}
            if runs := [run for run in found.values() if run.training.updates and run.measured(POOL, protocol)]:
                told = (f"{METRICS[m].label}, {forms_in_words(forms_of(runs, m, protocol, POOL))}" for m in metrics)
                yield f"On {what}, {words(profile)}, {paper.arrow(protocol)}: {'; '.join(told)}."
                break


def _truncation(records: Sequence[Record]) -> Verdict:
    """The paper's model against the same one with the full ResNet-18. Two stages are enough where they do better; where neither
    is better, it stays open."""
    full, between = f"{_STAGES}4", f"{_STAGES}3"
    ours, whole = (count_parameters([name])[name] / 1e6 for name in (paper.OURS, full))
    counted = (
        f"Counted: all four stages of ResNet-18 in encoder and decoder take {whole:.1f}M parameters in place of {ours:.1f}M,"
        f" {whole - ours:.1f}M more{', so the saving is right' if round((whole - ours) / 10) == 6 else ''}."
    )
    scale, judged = judge_claim(_against_all(paper.OURS, [full]), records)
    if outcome_of(judged) == NOT_RUN:
        return _verdict("C7", UNDECIDED, COUNTED, f"{counted} Whether two stages suffice is open: four have not been trained.")
    told = [_against_encoder(full, scale, judged)]
    at, other = judge_claim(_against_all(paper.OURS, [between]), records)
    if outcome_of(other) != NOT_RUN:
        told.append(_against_encoder(between, at, other))
    told.append(_cells_left(records, scale, full, between))
    return _verdict("C7", outcome_of(judged), scale, "\n".join([counted, *told]), judged)


def _cells_left(records: Sequence[Record], scale: str, full: str, between: str) -> str:
    """What else differs between the encoders, and whom it favours at a scale whose frames are smaller than the paper's."""
    from vrnn3d.study.tables import stages_and_cells

    text = "A further stage also halves the height and width of the hidden state, so more than parameters differs"
    profile = next(p for p in SCALES if words(p) == scale)
    found = [stages_and_cells(runs[0])[1] for name in (full, between) if (runs := runs_at(records, name, profile))]
    usual = EXPERIMENTS[paper.OURS].data.height_width[0] // 16
    if not found or found[0] >= usual:
        return f"{text}."
    text += f": at {scale} all four leave {found[0]} x {found[0]} cells, which favours two"
    if found[1:] == [usual]:
        text += f"; three leave the {usual} x {usual} that all four leave at full size"
    return text.replace(" x ", " \N{MULTIPLICATION SIGN} ") + "."


def _against_encoder(name: str, scale: str, judged: Sequence[Judged]) -> str:
    """How the paper's model came out at a scale against one with more stages of ResNet-18."""
    shown = next(e for e in judged if (e.asked.protocol, e.asked.metric) == ("10->10", "mse"))
    what = f"Two stages against {STAGES[EXPERIMENTS[name].model.options['stages']]}, {scale}"
    return f"{what}: {tally(judged)} (MSE and SSIM, four protocols); {shown.numbers()}."
