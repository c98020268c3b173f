"""Sphinx extension: MathJax from the installed package ``sphinx-mathjax-offline``, so that the book reads offline.

Only the TeX input, the CommonHTML output and its fonts are copied (about 1.6 MB), into the built book's _static.
"""

from __future__ import annotations

import importlib.util
import shutil
from pathlib import Path

PARTS = ("tex-chtml.js", "output/chtml/fonts", "input/tex/extensions")


def _source() -> Path:
    spec = importlib.util.find_spec("sphinx-mathjax-offline")
    if spec is None:
        raise RuntimeError("MathJax is missing: install the book's dependencies with: pip install -e '.[book]'")
    return Path(spec.origin).parent / "static" / "mathjax"


def _copy(app, error) -> None:
    if error is not None or app.builder.format != "html":
        return
    target = Path(app.outdir) / "_static" / "mathjax"
    for part in PARTS:
        source = _source() / part
        (target / part).parent.mkdir(parents=True, exist_ok=True)
        if source.is_dir():
            shutil.copytree(source, target / part, dirs_exist_ok=True)
        else:
            shutil.copy2(source, target / part)


def setup(app):
    """Point Sphinx at the copy and make it when the pages are written."""
    app.connect("config-inited", lambda app, config: setattr(config, "mathjax_path", "mathjax/tex-chtml.js"))
    app.connect("build-finished", _copy)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
