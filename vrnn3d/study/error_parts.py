"""The two parts of an error averaged over samples: that of the mean prediction, and the variance of the samples."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from statistics import mean

from vrnn3d.study.records import Record
from vrnn3d.study.scales import SCALES, words

TOLERANCE = 1e-3  #: of the average; records hold six digits


@dataclass(frozen=True)
class Parts:
    """MSE of a frame of one model on one test set, means over its seeds: average = mean_frame + variance."""

    experiment: str
    title: str
    profile: str
    pool: str
    seeds: int
    average: float  #: over samples, the paper's protocol
    mean_frame: float  #: of the mean of the samples
    variance: float  #: of the samples, summed over the pixels of a frame
    best: float  #: of the best sample
    decoded: str  #: whose sample the 3D or 2D VRNN decodes in training, "z_p" or "z_q"; "" for another model

    @property
    def share(self) -> float:
        """The variance's part of the average, 0 to 1."""
        return self.variance / self.average


def error_parts(records: Iterable[Record], protocol: str = "10->10") -> list[Parts]:
    """The parts for every model that was evaluated with several samples, the lowest average of a profile first.

    Raises:
        ArithmeticError: naming the record whose numbers do not add up.
    """
    found: dict[tuple[str, str, str], list[Record]] = {}
    for record in records:
        for pool in record.evaluation:
            entry = record.measured(pool, protocol)
            if record.usable and entry and entry.samples > 1:
                _check(record, pool, protocol)
                found.setdefault((record.profile, record.experiment, pool), []).append(record)
    parts = [_parts(runs, pool, protocol) for (*_, pool), runs in found.items()]
    return sorted(parts, key=lambda p: (p.profile, p.pool, p.average))


def _check(record: Record, pool: str, protocol: str) -> None:
    average, of_mean = (record.score(pool, protocol, "mse", statistic) for statistic in ("average", "mean_frame"))
    variance = record.score(pool, protocol, "sample_variance")
    if abs(average - of_mean - variance) > TOLERANCE * average:
        raise ArithmeticError(
            f"in {record.name}, {pool}, {protocol}, the average MSE {average:g} is not that of the mean frame, {of_mean:g},"
            f" plus the samples' variance, {variance:g}"
        )


def _parts(runs: list[Record], pool: str, protocol: str) -> Parts:
    def over_seeds(metric: str, statistic: str) -> float:
        return mean(run.score(pool, protocol, metric, statistic) for run in runs)

    return Parts(
        experiment=runs[0].experiment,
        title=runs[0].title,
        profile=runs[0].profile,
        pool=pool,
        seeds=len(runs),
        average=over_seeds("mse", "average"),
        mean_frame=over_seeds("mse", "mean_frame"),
        variance=over_seeds("sample_variance", "average"),
        best=over_seeds("mse", "best"),
        decoded=runs[0].config.model.options.get("wiring", "z_p") if runs[0].config.model.name in _VRNNS else "",
    )


#: Models of the registry whose decoder is given a sample of either Gaussian, as ``model.options.wiring`` says.
_VRNNS = ("vrnn3d", "vrnn2d")


def shares_in_words(parts: Iterable[Parts], titles: Mapping[str, str] | None = None, pool: str = "test") -> str:
    """How much of the average the variance of the samples is at most, for each scale and by what is decoded, in a sentence.

    `titles` says what experiments are called, where that is not their records' title.
    """
    titles = titles or {}
    groups: dict[str, dict[str, list[Parts]]] = {}
    for each in parts:
        if each.pool == pool:
            groups.setdefault(each.profile, {}).setdefault(each.decoded, []).append(each)
    told = []
    for profile in filter(groups.get, SCALES):
        most = {decoded: max(of, key=lambda p: p.share) for decoded, of in groups[profile].items()}
        named = {"z_p": "where $z_p$ is decoded", "z_q": "where $z_q$ is", "": "in other models"}
        shares = [
            f"{most[d].share:.1%} {where} ({titles.get(most[d].experiment, most[d].title)})"
            for d, where in named.items()
            if d in most
        ]
        told.append(f"at {words(profile)} {', '.join(shares)}")
    return f"The variance of the samples is, of the average, at most: {'; '.join(told)}." if told else ""
