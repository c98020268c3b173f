"""Make the analyses: of the oracle at a profile, and of finished runs that have none yet.

With the half profile the oracle takes about two minutes on one core, a run three.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

from vrnn3d import checkpoint
from vrnn3d.config import override
from vrnn3d.study import profiles, records
from vrnn3d.study.catalogue import names
from vrnn3d.study.chance import measure, record
from vrnn3d.study.folders import CHANCE, CHANCE_GROUP, CHANCE_SAMPLES, RECORD, commit_record


def analyse_run(folder: str | Path, device: str | None = None) -> record.Analysis:
    """Analyse the model of a finished run, and write ``chance.json`` and ``chance.npz`` into its folder."""
    folder = Path(folder)
    run = records.read(folder / RECORD)
    if not run.finished:
        raise ValueError(f"the run in {folder} was cut; finish it first: vrnn3d train {run.experiment} --seed {run.seed}")
    model, experiment, _ = checkpoint.load_run(folder)
    found, shown = measure.measure_model(model, experiment, run.seed, device=device)
    records.write_arrays(shown, folder / CHANCE_SAMPLES)
    record.write(found, folder / CHANCE)
    return found


def analyse_oracle(profile: str, digits: int | None = None, sequences: int | None = None) -> Path:
    """Analyse the oracle on the test set of a profile's experiments, and write it into results/; the path.

    Args:
        profile: of the group "chance".
        digits: another number of digits than the profile's.
        sequences: another number of test sequences than the profile's.
    """
    experiment = profiles.get(names(CHANCE_GROUP)[0], profile)
    changes = {"data.digits": digits, "eval.sequences": sequences}
    experiment = override(experiment, {name: value for name, value in changes.items() if value is not None})
    found, shown = measure.measure_oracle(experiment)
    path = record.oracle_path(profile, digits, sequences=sequences)
    records.write_arrays(shown, path.with_suffix(".npz"))
    return record.write(found, path)


def main(arguments: Sequence[str] | None = None) -> None:
    """Analyse forecasters in a world with chance; see the module."""
    parser = argparse.ArgumentParser(prog="python -m vrnn3d.study.chance", description=__doc__)
    parser.add_argument("runs", nargs="*", help="folders of finished runs of the group 'chance'")
    parser.add_argument(
        "--oracle", metavar="PROFILE", choices=list(profiles.PROFILES), help="analyse the oracle at this profile"
    )
    parser.add_argument("--digits", type=int, help="with --oracle: so many digits instead of the profile's")
    parser.add_argument("--sequences", type=int, help="with --oracle: so many test sequences instead of the profile's")
    parser.add_argument("--record", action="store_true", help="also copy what was found about runs into results/")
    chosen = parser.parse_args(arguments)
    if not (chosen.oracle or chosen.runs):
        parser.error("name the folders of runs, or a profile with --oracle")
    if not chosen.oracle and (chosen.digits or chosen.sequences):
        parser.error("--digits and --sequences are for --oracle")
    for folder in map(Path, chosen.runs):
        if not (folder / RECORD).is_file():
            parser.error(f"{folder} holds no {RECORD}: name the folder of a finished run")
    if chosen.oracle:
        print(f"wrote {analyse_oracle(chosen.oracle, chosen.digits, chosen.sequences)}")
    for folder in map(Path, chosen.runs):
        found = analyse_run(folder)
        print(f"wrote {folder / CHANCE} in {found.seconds:.0f} s")
        if chosen.record:
            print(f"recorded: {commit_record(records.read(folder / RECORD), folder)}")
