"""``--import MODULE``: models, losses, data sets and metrics of the user's own, for every command."""

from __future__ import annotations

import argparse
import sys
from importlib import import_module
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path


def add_import(parser: argparse.ArgumentParser) -> None:
    """``--import``, which may stand anywhere in a command line."""
    parser.add_argument(
        "--import",
        dest="own",
        action="append",
        default=[],
        metavar="MODULE",
        help="import this first: a .py file, or a module found from here, that registers models, losses, data sets or metrics"
        " of your own; for several, several --import",
    )


def importing(modules: list[str]) -> list[str]:
    """The words of a command line that import these modules."""
    return [word for module in modules for word in ("--import", module)]


def import_own(module: str) -> None:
    """Import a module, or a .py file, of the user's own.

    Raises:
        ImportError: when there is none of that name. What goes wrong within it is raised as it is.
    """
    missing = f"there is no {module} to import: name a .py file, or a module that is found from here"
    file = Path(module).expanduser()
    if file.suffix == ".py":
        if not file.is_file():
            raise ImportError(missing)
        _import_file(file)
        return
    sys.path.insert(0, str(Path().resolve()))
    try:
        import_module(module)
    except ModuleNotFoundError as error:
        if error.name and error.name in (module, module.partition(".")[0]):
            raise ImportError(missing) from None
        raise


def _import_file(file: Path) -> None:
    """Import a file under its own name, from the folder that it lies in, so that it finds its neighbours."""
    if file.stem in sys.modules:
        raise ImportError(f"{file} has the name of a module that is imported already, {file.stem}: give it another")
    sys.path.insert(0, str(file.parent.resolve()))
    spec = spec_from_file_location(file.stem, file)
    assert spec is not None and spec.loader is not None  # its suffix is .py
    sys.modules[file.stem] = module_from_spec(spec)  # first, as an import statement does: dataclasses look there
    spec.loader.exec_module(sys.modules[file.stem])
