"""Imports go one way, and importing the package costs nothing that it need not."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

PACKAGE = Path(__file__).resolve().parent.parent / "vrnn3d"

#: Lower layers first; a module may import from its own and lower ones only.
LAYERS = [
    ["config", "files"],
    ["data"],
    ["layers"],
    ["models"],
    ["rollout", "schedules"],
    ["losses", "metrics"],
    ["checkpoint", "experiments"],
    ["train"],
    ["evaluate"],
    ["predict", "results"],
    ["ablation", "run", "toy", "tune"],
    ["ablation_figures", "figures", "loss_figures", "kth_figures", "diagrams"],
    ["bench", "book"],
    ["cli", "__main__"],
]
RANK = {name: rank for rank, names in enumerate(LAYERS) for name in names}
#: losses is imported by nothing below it but needs the Gaussian of the layers; figures may read records.
LAZY_EVERYWHERE = {"__init__"}


def part(path: Path) -> str:
    relative = path.relative_to(PACKAGE)
    return relative.parts[0].removesuffix(".py")


def imported(path: Path):
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vrnn3d":
            names = node.module.split(".")[1:2] or [alias.name for alias in node.names]
            yield from names
        elif isinstance(node, ast.Import):
            yield from (a.name.split(".")[1] for a in node.names if a.name.startswith("vrnn3d."))


def modules():
    return [p for p in PACKAGE.rglob("*.py") if part(p) not in LAZY_EVERYWHERE and not part(p).startswith("_sphinx")]


def test_every_module_has_a_place():
    assert {part(p) for p in modules()} - set(RANK) == set()


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(PACKAGE)} imports {name}"
        for path in modules()
        for name in imported(path)
        if name in RANK and RANK[name] > RANK[part(path)]
    ]
    assert wrong == []


def test_importing_the_package_does_not_import_torch():
    code = "import sys, vrnn3d; assert 'torch' not in sys.modules; vrnn3d.build_model; assert 'torch' in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)


def test_training_needs_only_the_light_dependencies():
    """The GPU machine of the study has no pandas, seaborn, pooch, av or papermill."""
    blocked = ["pandas", "seaborn", "pooch", "av", "papermill", "jupytext", "myst_nb", "imageio", "sympy"]
    code = (
        "import sys\n"
        f"for name in {blocked!r}: sys.modules[name] = None\n"
        "import vrnn3d.cli, vrnn3d.study.run, vrnn3d.study.catalogue, vrnn3d.evaluation.evaluate, vrnn3d.study.results, vrnn3d.study.figures.common\n"
        "from vrnn3d.models import REGISTRY, build_model\n"
        "for name in REGISTRY:\n"
        "    build_model(name, **({'size': 64} if name == 'pixel_mean' else {}))\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=PACKAGE.parent)
