"""The command ``vrnn3d``: data | list | train | evaluate | predict | publish | bench | book."""

from __future__ import annotations

import argparse
import json
import os
import sys
from contextlib import nullcontext
from pathlib import Path

EXAMPLES = """examples:
  vrnn3d train vrnn3d_kl_ll --profile smoke          a run of seconds, on a CPU
  vrnn3d train vrnn3d_kl_ll --profile paper          the paper's model at full size, on a GPU
  vrnn3d train --next --max-minutes 26               the next unfinished run of the study's queue
  vrnn3d predict my_clip.mp4 --out future.webp       continue your own video
  vrnn3d book                                        execute the notebooks and build the book
"""


def _value(text: str):
    from vrnn3d.config import as_tuples

    try:
        value = json.loads(text)
    except json.JSONDecodeError:
        return text
    return as_tuples(value)


def _settings(pairs: list[str]) -> dict:
    for pair in pairs:
        if "=" not in pair:
            raise ValueError(f"--set takes NAME=VALUE, as in --set train.lr=3e-4, not {pair!r}")
    return {name: _value(value) for name, _, value in (pair.partition("=") for pair in pairs)}


def _run_options(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--device", help="cpu, cuda, cuda:1 ... (default: a GPU if there is one)")
    parser.add_argument("--quiet", action="store_true", help="no progress bar")


def parser() -> argparse.ArgumentParser:
    """The command line, as argparse has it."""
    top = argparse.ArgumentParser(
        "vrnn3d", description=__doc__.split(":")[0], epilog=EXAMPLES, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")

    data = commands.add_parser("data", help="fetch and check the data")
    data.add_argument("name", nargs="?", default="mnist", choices=("mnist", "kth"), help="default: mnist")
    data.add_argument("--size", type=int, default=128, help="kth: height and width of the cached frames (default: 128)")
    data.add_argument("--no-download", action="store_true", help="kth: use only what the data folder holds")

    commands.add_parser("list", help="list experiments, profiles and the state of the queue").add_argument(
        "--out", default="runs", help="root of the runs (default: runs)"
    )

    train = commands.add_parser("train", help="train one run, or continue it; then evaluate it and write its record")
    train.add_argument("name", nargs="?", default="vrnn3d_kl_ll", help="experiment (default: vrnn3d_kl_ll); see: vrnn3d list")
    train.add_argument("--profile", default="smoke", help="smoke | small | tune | ablation | paper (default: smoke)")
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--out", default="runs", help="root of the runs (default: runs)")
    train.add_argument("--max-minutes", type=float, help="stop cleanly at a checkpoint after this long")
    train.add_argument(
        "--next",
        nargs="?",
        const="full",
        metavar="QUEUE",
        help="take the first unfinished run of the queue that no other process trains, then the next; QUEUE: full (default,"
        " what needs a GPU) | small (the small-scale study, for a processor) | tune (learning rates, batch sizes and"
        " other settings to try before the long runs, on a GPU) | kth (all of Table 2 at full length, on a GPU)",
    )
    train.add_argument("--evaluate-cut", action="store_true", help="evaluate also a training that was stopped early")
    train.add_argument("--record", action="store_true", help="also write the record into the repository's results/")
    train.add_argument("--clips", help="train on your own videos: a folder of clips")
    train.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE", help="change settings, as train.lr=3e-4")
    _run_options(train)

    evaluate = commands.add_parser("evaluate", help="evaluate a run's checkpoint or published weights again")
    evaluate.add_argument("run", help="a run's folder, a checkpoint file, or the name of published weights")
    evaluate.add_argument("--out", help="write the metrics here as JSON (default: the run's folder/evaluation.json)")
    evaluate.add_argument("--samples", type=int, help="predictions per sequence")
    evaluate.add_argument("--sequences", type=int, help="test sequences")
    evaluate.add_argument("--at-once", type=int, default=1000, help="predictions side by side; lower it to save memory")
    _run_options(evaluate)

    predict = commands.add_parser("predict", help="continue a video of your own")
    predict.add_argument("clip", help="gif, webp, mp4, avi, npy, or a folder of frames")
    predict.add_argument("--out", default="prediction.webp", help="animation to write (default: prediction.webp)")
    predict.add_argument("--model", help="run folder, checkpoint or published weights (default: published, else newest run)")
    predict.add_argument("--context", type=int, default=10, help="frames given (default: 10)")
    predict.add_argument("--frames", type=int, default=10, help="frames predicted (default: 10)")
    predict.add_argument("--samples", type=int, default=3, help="predictions drawn (default: 3)")
    predict.add_argument("--size", type=int, help="resize the video to this (default: the size the model was trained at)")
    predict.add_argument("--seed", type=int, default=0)
    predict.add_argument("--device", help="cpu, cuda ... (default: a GPU if there is one)")

    publish = commands.add_parser("publish", help="write a run's weights, and a card about them, under weights/")
    publish.add_argument("run", help="a run's folder")
    publish.add_argument("--name", default="vrnn3d", help="name of the published weights (default: vrnn3d)")

    bench = commands.add_parser("bench", help="measure speed and memory", add_help=False)
    bench.add_argument("rest", nargs=argparse.REMAINDER)
    book = commands.add_parser("book", help="execute the notebooks and build the book", add_help=False)
    book.add_argument("rest", nargs=argparse.REMAINDER)
    return top


def _data(args) -> None:
    if args.name == "mnist":
        from vrnn3d.data import mnist

        print(mnist.fetch(progress=True))
    else:
        from vrnn3d.data.kth import dataset

        print(dataset.prepare_kth(size=args.size, progress=True, download=not args.no_download))


def _list(args) -> None:
    from vrnn3d.study import catalogue, results
    from vrnn3d.study.run import unfinished

    for profile in ("paper", "tune"):  # between them they hold every name
        for name in catalogue.names(profile):
            print(f"{name:32} {catalogue.get(name, profile).title}")
    print(f"\nprofiles: {', '.join(catalogue.PROFILES)}")
    recorded = results.read_records()
    for which in catalogue.QUEUES:
        queue = catalogue.queue(which)
        left = {(e.name, e.profile, seed) for e, seed in unfinished(args.out, recorded, which)}
        print(f"\nqueue {which} ({len(left)} of {len(queue)} runs to do):")
        for key in queue:
            print(f"  {'to do' if key in left else 'done ':6} {key[0]:32} {key[1]:9} seed {key[2]}")


def _train(args) -> None:
    import shutil
    import time

    from vrnn3d import config
    from vrnn3d.study import catalogue, results
    from vrnn3d.files import atomic_write
    from vrnn3d.study.run import CLIPS, claim, is_finished, run, run_folder, unfinished
    from vrnn3d.training.loop import Team

    started = time.monotonic()
    settings = _settings(args.set)
    if args.record and (settings or args.clips):
        raise ValueError("--record is for the study's own runs; with --set or --clips the record stays in --out")
    if args.clips:
        settings |= {"data.name": "video", "data.path": args.clips}

    def one(experiment: config.Experiment, seed: int) -> bool:
        experiment = config.override(experiment, settings)
        minutes = None if args.max_minutes is None else args.max_minutes - (time.monotonic() - started) / 60
        if minutes is not None and minutes <= 0:
            return False
        record = run(
            experiment,
            seed,
            args.out,
            device=args.device,
            max_minutes=minutes,
            evaluate_cut=args.evaluate_cut,
            progress=not args.quiet,
        )
        if Team.current().rank > 0:
            return record["status"] == "finished"
        folder = run_folder(args.out, experiment, seed)
        print(f"{record['status']}: {record['training']['sequences']} sequences; {folder / 'record.json'}")
        for pool, protocols in record["evaluation"].items():
            for protocol, entry in protocols.items():
                print(f"  {pool} {protocol}: MSE {entry['mse']['average']:.2f}  SSIM {entry['ssim']['average']:.4f}")
        if args.record:
            print(f"recorded: {results.write_record(record)}")
            clips = folder / CLIPS
            if record["seed"] == 0 and clips.exists():  # pictures of one seed are enough to carry around
                atomic_write(results.clips_path(record), lambda path: shutil.copyfile(clips, path))
        return record["status"] == "finished"

    if not args.next:
        one(catalogue.get(args.name, args.profile), args.seed)
        return
    left = unfinished(args.out, results.read_records(), args.next)
    if not left:
        print("the queue is done")
    alone = int(os.environ.get("WORLD_SIZE", 1)) == 1  # the processes of torchrun train one run together
    for experiment, seed in left:
        with claim(args.out, experiment, seed) if alone else nullcontext(True) as mine:
            # Another process may have finished it since the list was made.
            if mine and not is_finished(args.out, experiment, seed) and not one(experiment, seed):
                return


def _load(source: str, device):
    from vrnn3d import checkpoint

    if Path(source).exists():
        return checkpoint.load_run(Path(source), device)
    return checkpoint.load_published(source, device)


def _evaluate(args) -> None:
    import dataclasses

    from vrnn3d.study import results
    from vrnn3d.evaluation.evaluate import evaluate
    from vrnn3d.training.loop import pick_device

    model, experiment = _load(args.run, pick_device(args.device))
    changed = {k: v for k, v in (("samples", args.samples), ("sequences", args.sequences)) if v is not None}
    experiment = dataclasses.replace(experiment, eval=dataclasses.replace(experiment.eval, **changed))
    entry = evaluate(model, experiment, device=args.device, progress=not args.quiet, at_once=args.at_once)
    folder = Path(args.run) if Path(args.run).is_dir() else Path(args.run).parent if Path(args.run).exists() else Path()
    out = Path(args.out) if args.out else folder / "evaluation.json"
    results.write_json({"experiment": experiment.name, "profile": experiment.profile, "evaluation": entry}, out)
    for pool, protocols in entry.items():
        for protocol, values in protocols.items():
            print(f"{pool} {protocol}: MSE {values['mse']['average']:.2f}  SSIM {values['ssim']['average']:.4f}")
    print(out)


def _predict(args) -> None:
    from vrnn3d import checkpoint
    from vrnn3d import show
    from vrnn3d.evaluation.predict import predict_video
    from vrnn3d.training.loop import pick_device

    source = args.model
    if source is None:
        newest = sorted(Path("runs").rglob(checkpoint.CHECKPOINT), key=lambda path: path.stat().st_mtime)
        published = (checkpoint.PUBLISHED / "vrnn3d" / "model.json").exists()
        source = "vrnn3d" if published or not newest else str(newest[-1])
    model, experiment = _load(source, pick_device(args.device))
    rows = predict_video(
        model,
        args.clip,
        context=args.context,
        frames=args.frames,
        samples=args.samples,
        size=args.size or experiment.data.size,
        seed=args.seed,
    )
    show.save_animation({name: row.numpy() for name, row in rows.items()}, args.out, context=args.context)
    print(f"{args.out}: {args.context} frames given, {args.frames} predicted by {experiment.title} ({experiment.profile})")


def _publish(args) -> None:
    from vrnn3d import checkpoint
    from vrnn3d.study import results
    from vrnn3d.study.run import RECORD

    model, experiment = checkpoint.load_run(Path(args.run))
    record = results.read_json(Path(args.run) / RECORD)
    about = {key: record[key] for key in ("seed", "status", "code", "machine", "date")}
    about["sequences"] = record["training"]["sequences"]
    folder = checkpoint.PUBLISHED / args.name
    for path in (*checkpoint.publish(model, experiment, folder, about), checkpoint.publish_card(record, folder)):
        print(path)


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 on success, 1 after an error that is the user's to mend (one sentence on stderr)."""
    argv = sys.argv[1:] if argv is None else argv
    # These two have command lines of their own.
    if argv[:1] == ["bench"]:
        from vrnn3d.study.bench import suite

        return suite.main(argv[1:])
    if argv[:1] == ["book"]:
        from vrnn3d import book

        return book.main(argv[1:])
    args = parser().parse_args(argv)
    command = {
        "data": _data,
        "list": _list,
        "train": _train,
        "evaluate": _evaluate,
        "predict": _predict,
        "publish": _publish,
    }[args.command]
    try:
        command(args)
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except (ValueError, OSError, RuntimeError) as error:
        if type(error) is RuntimeError:  # PyTorch's own: the traceback tells more than its message
            raise
        print(f"vrnn3d: {error}", file=sys.stderr)
        return 1
    return 0
