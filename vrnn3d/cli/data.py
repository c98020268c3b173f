"""Fetch and check the data. MNIST is 11 MB and takes seconds; KTH is 1.1 GB and takes from minutes to an hour."""

from __future__ import annotations

import argparse

from vrnn3d.cli.options import whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("name", nargs="?", default="mnist", choices=("mnist", "kth"), help="which data")
    parser.add_argument("--size", type=whole_number(8), default=128, help="kth: height and width of the cached frames")
    parser.add_argument("--no-download", action="store_true", help="use only what the data folder holds")


def run(args: argparse.Namespace) -> int:
    """Fetch, and say what is there; 1 where the whole of it was asked for and could not be had."""
    if args.name == "kth":
        from vrnn3d.data.kth.report import prepare_kth

        report = prepare_kth(size=args.size, progress=True, download=not args.no_download)
        print(report)
        if report.download:
            raise OSError(f"not all of KTH Actions is here: {report.download}")
        return 0
    from vrnn3d.data import mnist

    fetched = mnist.fetch(progress=True, download=not args.no_download)
    whole = fetched.source != "excerpt"
    what = "all 70,000 digits" if whole else "only the packaged excerpt of 1,000 digits"
    print(f"MNIST: {what} ({fetched.source}, {fetched.folder})")
    return 0 if whole else 1
