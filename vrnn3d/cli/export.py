"""Write a trained model in a form that other programs run. Takes seconds for web pages, half a minute for the others."""

from __future__ import annotations

import argparse
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from vrnn3d.cli.options import filled
from vrnn3d.files import check_file

if TYPE_CHECKING:
    from vrnn3d.export import Prepared


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("model", type=filled, help="run folder, checkpoint or published weights")
    parser.add_argument("--web", type=filled, metavar="FILE", help="a .js file for a web page, in half precision")
    parser.add_argument("--onnx", type=filled, metavar="FILE", help="one step in time as an ONNX model, .onnx")
    parser.add_argument("--torch", type=filled, metavar="FILE", help="one step in time as a PyTorch program, .pt2")


def run(args: argparse.Namespace) -> int:
    """Export, and print each file written with its size."""
    if not (args.web or args.onnx or args.torch):
        raise ValueError("nothing to write: name a file with --web, --onnx or --torch")
    for file, kind in ((args.web, ".js"), (args.onnx, ".onnx"), (args.torch, ".pt2")):
        if file:
            check_file(file)
            if Path(file).suffix.lower() != kind:
                raise ValueError(f"{file} does not end in {kind}: name a file that does")
    if args.onnx and not find_spec("onnxscript"):
        raise ValueError("--onnx needs the packages onnx and onnxscript: pip install onnx onnxscript")
    from vrnn3d import checkpoint, export
    from vrnn3d.study import web

    model, experiment, _ = checkpoint.load_any(args.model)
    size, what = experiment.data.height_width, f"{experiment.title} ({experiment.profile})"
    if args.web:
        rounding = web.write(model, experiment, args.web)
        print(f"{_told(args.web)}: {what} in half precision, which moves a pixel by {rounding:.0e} on average")
    if args.onnx:
        export.export_onnx(model, args.onnx, *size)
        print(f"{_told(args.onnx)}: one step of {what}, for ONNX runtimes")
    if args.torch:
        export.export_program(model, args.torch, *size)
        print(f"{_told(args.torch)}: one step of {what}, for torch.export.load")
    if args.onnx or args.torch:
        _print_signature(export.prepare(model, *size))
    return 0


def _print_signature(prepared: Prepared) -> None:
    """What goes into a step, in this order, and what comes out of it."""
    model = prepared.step.model
    meanings = {
        "clip": f"the last {_frames(model.window)}, values in [0, 1]",
        "noise": "numbers of N(0, 1); zeros give the mean",
        "state": "zeros at first",
        "prediction": f"the clip {_frames(model.horizon)} further on; feed it back",
        "next": "the state of the next step",
    }
    outputs = {name: prepared.inputs[name.replace("next", "state").replace("prediction", "clip")] for name in prepared.outputs}
    for title, tensors in (("inputs", prepared.inputs), ("outputs", outputs)):
        print(f"  {title}, float32:")
        for name, tensor in tensors.items():
            print(f"    {name:10}  {' x '.join(map(str, tensor.shape)):20}  {meanings[name.partition('_')[0]]}")


def _frames(count: int) -> str:
    return f"{count} frames" if count > 1 else "one frame"


def _told(file: str) -> str:
    return f"{file} ({Path(file).stat().st_size / 1e6:.2f} MB)"
