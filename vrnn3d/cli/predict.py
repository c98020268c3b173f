"""Continue a video of your own. Takes seconds."""

from __future__ import annotations

import argparse

from vrnn3d.cli.options import add_device, filled, whole_number


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("clip", type=filled, help="gif, webp, mp4, avi, npy, or a folder of frames")
    parser.add_argument("--out", type=filled, default="prediction.webp", help="animation to write")
    parser.add_argument("--model", help="run folder, checkpoint or published weights (default: published, else newest run)")
    parser.add_argument("--context", type=whole_number(1), default=10, help="frames given")
    parser.add_argument(
        "--start", type=whole_number(0), help="first frame given, from 0 (default: so that the clip's end is continued)"
    )
    parser.add_argument("--frames", type=whole_number(1), default=10, help="frames predicted")
    parser.add_argument("--samples", type=whole_number(1), default=3, help="predictions drawn")
    parser.add_argument(
        "--size", type=whole_number(8), help="resize the video to this (default: the size the model was trained at)"
    )
    parser.add_argument(
        "--fit", choices=("crop", "pad", "stretch"), default="crop", help="where the clip has another aspect ratio"
    )
    parser.add_argument("--seed", type=whole_number(0), default=0, help="of the noise")
    add_device(parser)


def run(args: argparse.Namespace) -> int:
    """Predict, write the animation, and print scores where the clip says what really came."""
    from vrnn3d import checkpoint, show
    from vrnn3d.device import pick_device
    from vrnn3d.evaluation.predict import continue_video

    model, experiment = checkpoint.load_any(args.model or checkpoint.default_source(), pick_device(args.device))
    found = continue_video(
        model,
        experiment,
        args.clip,
        context=args.context,
        frames=args.frames,
        samples=args.samples,
        start=args.start,
        size=args.size,
        fit=args.fit,
        seed=args.seed,
    )
    show.save_animation({name: row.numpy() for name, row in found.rows().items()}, args.out, found.rate, context=args.context)
    print(f"{args.out}: {args.context} frames given, {args.frames} predicted by {experiment.title} ({experiment.profile})")
    for forecast, scores in found.scores().items():
        print(f"  {forecast}: MSE {scores['mse']:.2f}  SSIM {scores['ssim']:.4f}  PSNR {scores['psnr']:.2f}")
    return 0
