"""The notebooks as sources: they parse, carry no outputs, are in the book, and import what the project declares.

That they run is what building the book shows: ``make book`` stops at the first cell that fails.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
import yaml

from vrnn3d import book

jupytext = pytest.importorskip("jupytext")

ROOT = Path(__file__).resolve().parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.py"))
each_notebook = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


def toc_files(entry=None) -> list[str]:
    """Every page that _toc.yml names, whatever the nesting."""
    if entry is None:
        entry = yaml.safe_load((ROOT / "_toc.yml").read_text())
    if isinstance(entry, list):
        return [name for item in entry for name in toc_files(item)]
    if not isinstance(entry, dict):
        return []
    own = [entry[key] for key in ("root", "file") if key in entry]
    return own + [name for value in entry.values() for name in toc_files(value) if isinstance(value, list)]


def code_of(path: Path) -> str:
    return "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code")


def imported_modules(code: str) -> set[str]:
    """Top-level names of everything imported anywhere in the code."""
    names = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.Import):
            names |= {alias.name.split(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.split(".")[0])
    return names


def normal(distribution: str) -> str:
    return re.sub(r"[-_.]+", "-", distribution).lower()


def declared() -> set[str]:
    """Distributions that pyproject.toml names, with those of the book's and the developers' extras."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    lines = project["dependencies"] + [line for extra in project["optional-dependencies"].values() for line in extra]
    return {normal(re.match(r"[A-Za-z0-9._-]+", line).group()) for line in lines}


def test_there_are_notebooks_and_they_are_numbered():
    assert NOTEBOOKS
    numbers = [path.stem[:2] for path in NOTEBOOKS]
    assert all(re.fullmatch(r"\d\d_[a-z0-9_]+", path.stem) for path in NOTEBOOKS)
    assert len(set(numbers)) == len(numbers)


@each_notebook
def test_a_notebook_has_a_title(path):
    cells = jupytext.read(path).cells
    assert cells[0].cell_type == "markdown" and re.match(r"# \S", cells[0].source), "the first cell is the title"
    text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
    titles = [line for line in text.splitlines() if line.startswith("# ")]
    assert len(titles) == 1, f"one title, not {titles}"


@each_notebook
def test_parameters_do_something(path):
    """What a notebook declares for papermill is read somewhere else in it."""
    notebook = jupytext.read(path)
    declared = book.declared(notebook)
    code = [c.source for c in notebook.cells if c.cell_type == "code" and "parameters" not in c.metadata.get("tags", [])]
    read = {n.id for n in ast.walk(ast.parse("\n".join(code))) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Load)}
    assert declared <= read
    assert sum("parameters" in cell.metadata.get("tags", []) for cell in notebook.cells) == bool(declared)


@each_notebook
def test_a_notebook_begins_in_short_and_ends_with_what_to_take_away(path):
    text = "\n".join(cell.source for cell in jupytext.read(path).cells if cell.cell_type == "markdown")
    assert ":::{admonition} In short" in text
    assert "What to take away" in text.rsplit("\n## ", 2)[-1] or ":::{admonition} What to take away" in text


@each_notebook
def test_a_notebook_is_a_script_without_outputs(path):
    text = path.read_text(encoding="utf-8")
    notebook = jupytext.reads(text, fmt="py:percent")
    assert "# %%" in text
    assert all(not cell.get("outputs") for cell in notebook.cells)
    assert "data:image" not in text and "base64," not in text
    kernel = notebook.metadata.get("kernelspec", {}).get("name")
    assert kernel == "python3", "papermill on the command line takes the kernel from the header"
    ast.parse(code_of(path))


@each_notebook
def test_a_notebook_imports_only_what_is_declared(path):
    owners = packages_distributions()
    allowed = declared() | {"vrnn3d"}
    for name in imported_modules(code_of(path)) - set(sys.stdlib_module_names):
        assert {normal(owner) for owner in owners.get(name, [name])} & (allowed | _brought_along()), (
            f"{path.name} imports {name}, which pyproject.toml does not declare"
        )


def _brought_along() -> set[str]:
    """What ipykernel cannot do without, and every notebook may use."""
    return {"ipython"}


@each_notebook
def test_numbers_in_tables_are_glued(path):
    """A cell of a Markdown table with decimals typed by hand is a measurement that nothing keeps true."""
    typed = [
        line
        for cell in jupytext.read(path).cells
        if cell.cell_type == "markdown"
        for line in cell.source.splitlines()
        if line.lstrip().startswith("|") and re.search(r"\|\s*\d+\.\d+\s*\|", line)
    ]
    assert typed == []


@each_notebook
def test_a_number_shown_from_this_notebook_is_glued_in_it(path):
    """{glue:text}`key:.1f` needs a glue("key", ...) in the same notebook; only path::key looks into another."""
    shown = {key.split(":")[0] for key in re.findall(r"\{glue:\w*\}`([^`:]+(?::[^`:]+)?)`", path.read_text("utf-8"))}
    plain = set(re.findall(r"glue\(\s*[\"']([^\"']+)[\"']", code_of(path)))
    formatted = re.findall(r"glue\(\s*f[\"']([^\"']+)[\"']", code_of(path))
    patterns = [re.compile(".+".join(map(re.escape, re.split(r"\{[^}]*\}", key)))) for key in formatted]
    assert {key for key in shown - plain if not any(pattern.fullmatch(key) for pattern in patterns)} == set()


def test_every_notebook_is_in_the_book_and_every_page_exists():
    pages = toc_files()
    assert len(set(pages)) == len(pages)
    executed = [name for name in pages if name.startswith("book/executed/")]
    assert sorted(executed) == [f"book/executed/{path.stem}" for path in NOTEBOOKS]
    for name in set(pages) - set(executed):
        assert (ROOT / f"{name}.md").exists(), f"_toc.yml names {name}, and there is no {name}.md"
