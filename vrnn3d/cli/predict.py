"""Continue a video of your own: the end of the clip, or any place in it. Takes seconds, for hundreds of frames minutes.

Where the truth is in the clip, scores are printed beside those of repeating the last frame: ``--last`` predicts the frames
at its end, which are known. What is written keeps the clip's frame rate.
"""

from __future__ import annotations

import argparse

from vrnn3d.cli.options import add_device, add_quiet, filled, refuse_source, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("clip", type=filled, help="gif, webp, mp4, avi, npy, npz, or a folder of frames")
    parser.add_argument(
        "--out",
        type=filled,
        default="prediction.webp",
        help="what to write: webp, gif, mp4, npy, npz, or without a suffix a folder",
    )
    parser.add_argument("--apart", action="store_true", help="write an animation of its own for truth, mean and each sample")
    parser.add_argument(
        "--model", type=filled, help="run, checkpoint or published weights (default: published, else the newest run)"
    )
    parser.add_argument("--context", type=whole_number(1), default=10, help="frames given")
    parser.add_argument("--frames", type=whole_number(1), default=10, help="frames predicted")
    parser.add_argument("--samples", type=whole_number(1), default=3, help="predictions drawn")
    place = parser.add_mutually_exclusive_group()
    place.add_argument(
        "--start", type=whole_number(0), help="first frame given, from 0 (default: continue the end of the clip)"
    )
    place.add_argument("--last", action="store_true", help="predict the clip's own last frames, so that they can be scored")
    parser.add_argument("--size", type=whole_number(8), nargs="+", metavar="N", help="height and width (default: as trained)")
    parser.add_argument("--fit", choices=("crop", "pad", "stretch"), default="crop", help="for another aspect ratio")
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the noise")
    add_device(parser)
    add_quiet(parser)


def run(args: argparse.Namespace) -> int:
    """Predict, write what the name says, and print scores where there is a truth."""
    from vrnn3d import checkpoint
    from vrnn3d.data.video import count_frames
    from vrnn3d.device import pick_device
    from vrnn3d.evaluation.predict import continue_video
    from vrnn3d.evaluation.write import check_name, write

    check_name(args.out)
    refuse_source(args.out, args.clip)
    if args.size is not None and len(args.size) > 2:
        raise ValueError(f"--size takes one number, or height and width; it was given {len(args.size)}")
    size = None if args.size is None else (args.size[0], args.size[-1])
    start = args.start
    if args.last:
        start = count_frames(args.clip) - args.frames - args.context
        if start < 0:
            raise ValueError(
                f"{args.clip} is too short to give {args.context} frames and predict its last {args.frames}; lower them"
            )
    source = args.model or checkpoint.default_source()
    model, experiment, _ = checkpoint.load_any(source, pick_device(args.device))
    continued = continue_video(
        model,
        experiment,
        args.clip,
        context=args.context,
        frames=args.frames,
        samples=args.samples,
        start=start,
        size=size,
        fit=args.fit,
        seed=args.seed,
        progress=not args.quiet,
    )
    written = write(continued, args.out, args.apart)
    height, width = continued.given.shape[-2:]
    kind = "colour" if model.channels == 3 else "grey"
    print(f"{args.context} frames given, {args.frames} predicted, {height} x {width}, {kind}; {source}: {experiment.title}")
    for name, values in continued.scores().items():
        told = "  ".join(f"{metric.upper()} {value:.4g}" for metric, value in values.items())
        print(f"  {name:20} {told}  ({len(continued.truth)} frames)")
    print(f"{written[0]}" + (f" and {len(written) - 1} more" if len(written) > 1 else ""))
    return 0
