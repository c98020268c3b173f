"""``python -m vrnn3d.study.toy``: the longer recorded run of the toy experiment."""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Sequence

from vrnn3d.layers.gaussian import SIGMA_MIN
from vrnn3d.study import toy
from vrnn3d.study.provenance import provenance


def main(arguments: Sequence[str] | None = None) -> None:
    """Train every variant, wiring and seed, without and with the floor on the standard deviations, and write one JSON file."""
    parser = argparse.ArgumentParser(
        prog="python -m vrnn3d.study.toy",
        description=main.__doc__,
        epilog="With the defaults 140 networks are trained, in a quarter of an hour on one core.",
        formatter_class=argparse.ArgumentDefaultsHelpFormatter,
    )
    parser.add_argument("--out", required=True, help="the JSON file to write")
    parser.add_argument("--steps", type=int, default=4_000, help="updates of the training")
    parser.add_argument("--seeds", type=int, default=5, help="how many seeds, 0, 1, ...")
    parser.add_argument("--batch", type=int, default=32, help="balls per update")
    parser.add_argument("--test-sequences", type=int, default=500, help="test sequences")
    chosen = parser.parse_args(arguments)
    settings = toy.Settings(steps=chosen.steps, batch=chosen.batch, test_sequences=chosen.test_sequences)
    trained = toy.train(toy.grid(seeds=range(chosen.seeds), floors=(0.0, SIGMA_MIN)), settings)
    record = dataclasses.replace(toy.measure(trained, toy.held_out(settings.test_sequences)), provenance=provenance())
    print(f"wrote {toy.write(record, chosen.out)}: {len(record.runs)} runs in {record.seconds:.0f} s")


if __name__ == "__main__":
    main()
