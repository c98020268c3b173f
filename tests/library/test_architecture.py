"""Imports go one way, the library knows nothing of the study, and importing costs nothing that it need not."""

from __future__ import annotations

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import vrnn3d

pytestmark = pytest.mark.slow  # starts processes

PACKAGE = Path(vrnn3d.__file__).parent

#: The parts of the package, lower ones first: a part imports from parts of its own line and of those above it.
ORDER = [
    ["settings", "files", "frames", "layers", "device"],
    ["data", "show", "models", "losses"],
    ["config", "rollout"],
    ["published", "checkpoint", "export"],
    ["training"],
    ["evaluation"],
    ["study"],
    ["cli", "book"],
    ["__main__"],
]
RANK = {name: rank for rank, names in enumerate(ORDER) for name in names}
#: Calling a model as a function runs it over time; the import stands inside of the method.
EXCEPTIONS = {("models/base.py", "rollout")}


def part(path: Path) -> str:
    """The module or package right below vrnn3d that a file belongs to."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imported(path: Path) -> Iterator[str]:
    """The dotted names below vrnn3d that a file imports, anywhere in it."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module and node.module.split(".")[0] == "vrnn3d":
            below = node.module.partition(".")[2]
            yield from [below] if below else [alias.name for alias in node.names]
        elif isinstance(node, ast.Import):
            yield from (alias.name.removeprefix("vrnn3d.") for alias in node.names if alias.name.startswith("vrnn3d."))


FILES = [path for path in PACKAGE.rglob("*.py") if path != PACKAGE / "__init__.py"]


def test_every_part_of_the_package_has_a_place():
    assert {part(path) for path in FILES} == set(RANK)


def test_imports_go_one_way():
    wrong = [
        f"{path.relative_to(PACKAGE).as_posix()} imports {name}"
        for path in FILES
        for name in imported(path)
        if RANK.get(name.partition(".")[0], -1) > RANK[part(path)]
        and (path.relative_to(PACKAGE).as_posix(), name) not in EXCEPTIONS
    ]
    assert wrong == []


def test_networks_and_data_know_nothing_of_each_other():
    networks, data = {"frames", "layers", "models", "losses", "rollout"}, {"data", "config"}
    for one, other in ((networks, data), (data, networks)):
        for path in (path for path in FILES if part(path) in one):
            assert not {name.partition(".")[0] for name in imported(path)} & other, path


def test_only_the_commands_know_the_study():
    knowing = {part(path) for path in FILES for name in imported(path) if name.partition(".")[0] == "study"}
    assert knowing <= {"study", "cli", "book", "__main__"}


TORCH_FREE = (
    ["", ".settings", ".config", ".files", ".data", ".data.settings", ".cli", ".book"]
    + [f".study.{name}" for name in ("catalogue", "profiles", "queue", "records", "folders", "provenance", "paper")]
    + [f".cli.{path.stem}" for path in (PACKAGE / "cli").glob("*.py") if path.stem != "__init__"]
)


def _is_there(name: str) -> bool:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path.is_dir() or path.with_suffix(".py").is_file()


def test_what_reads_and_lists_does_not_import_torch():
    names = [f"vrnn3d{name}" for name in TORCH_FREE if _is_there(name)]
    code = f"import importlib, sys\nsys.modules['torch'] = None\nfor name in {names!r}:\n    importlib.import_module(name)\n"
    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_front_door_imports_torch_when_it_is_used():
    code = (
        "import sys, vrnn3d\n"
        "assert 'torch' not in sys.modules and 'build_model' in dir(vrnn3d)\n"
        "vrnn3d.build_model, vrnn3d.load\n"
        "assert 'torch' in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = vrnn3d.nothing


#: The machine of the study with a GPU has these and what they bring along.
LIGHT = ("torch", "numpy", "scikit-image", "matplotlib", "pandas", "safetensors", "tqdm", "pytest")

_TRAIN = """
import importlib.metadata as metadata, importlib.machinery as machinery, re, sys

def normal(name):
    return re.sub(r"[-_.]+", "-", name).lower()

def closure(names):
    todo, found = list(names), set()
    while todo:
        name = normal(todo.pop())
        if name in found:
            continue
        found.add(name)
        try:
            lines = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        todo += [re.match(r"[A-Za-z0-9._-]+", line).group() for line in lines if "extra ==" not in line]
    return found

allowed, owners = closure(sys.argv[1].split(",")), metadata.packages_distributions()
blocked = {top for top, names in owners.items() if top != "vrnn3d" and not {normal(n) for n in names} & allowed}
assert {"av", "papermill", "jupytext", "seaborn", "sphinx", "hypothesis"} <= blocked, "blocks what is not there"

class Without(machinery.PathFinder):
    @classmethod
    def find_spec(cls, name, path=None, target=None):
        return None if name.partition(".")[0] in blocked else super().find_spec(name, path, target)

sys.meta_path[:] = [Without if finder is machinery.PathFinder else finder for finder in sys.meta_path]
for name in blocked:
    sys.modules.pop(name, None)
try:
    import av
    raise SystemExit("the others are not blocked")
except ImportError:
    pass
from vrnn3d.cli import main
settings = ["train.sequences=8", "train.batch=4", "data.sequences=[8,4,4]", "eval.sequences=2", "eval.samples=1"]
raise SystemExit(main(["train", "vrnn3d_kl_ll", "--quiet", "--out", sys.argv[2], "--set", *settings]))
"""


@pytest.mark.slow
def test_training_needs_only_the_light_dependencies(tmp_path):
    """The command, from the configuration to the record, without anything but LIGHT."""
    subprocess.run([sys.executable, "-c", _TRAIN, ",".join(LIGHT), str(tmp_path)], check=True)
    assert list(tmp_path.rglob("record.json"))
