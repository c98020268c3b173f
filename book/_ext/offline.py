"""Make the built book readable without a network: MathJax comes from an installed package, nothing from a CDN."""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

from sphinx.errors import ExtensionError

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-chtml.js"  # TeX in, HTML and CSS out
# The script, its fonts, and what \boldsymbol, \cancel and the like load when they are first met
PARTS = (SCRIPT, "output/chtml/fonts", "input/tex/extensions")


def mathjax() -> Path:
    """The folder with MathJax's files in the installed package."""
    for file in distribution(PACKAGE).files or ():
        if file.name == SCRIPT:
            return Path(file.locate()).parent
    raise ExtensionError(f"{PACKAGE} holds no {SCRIPT}: install the version of constraints.txt")


def copy_mathjax(app, error) -> None:
    """Put MathJax into the built pages' _static."""
    if error or app.builder.format != "html":
        return
    source, target = mathjax(), Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        if (source / part).is_dir():
            shutil.copytree(source / part, target / part, dirs_exist_ok=True)
        else:
            target.mkdir(parents=True, exist_ok=True)
            shutil.copy(source / part, target / part)


def setup(app) -> dict:
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
