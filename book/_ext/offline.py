"""What every reader can see: MathJax from an installed package, not from a CDN; a name for every picture; short values."""

from __future__ import annotations

import shutil
from importlib.metadata import distribution
from pathlib import Path

from docutils import nodes
from sphinx import addnodes
from sphinx.errors import ExtensionError

PACKAGE = "sphinx-mathjax-offline"
SCRIPT = "tex-chtml.js"  # TeX in, HTML and CSS out
# The script, its fonts, and what \boldsymbol, \cancel and the like load when they are first met
PARTS = (SCRIPT, "output/chtml/fonts", "input/tex/extensions")
LONGEST_VALUE = 600  # characters that the reference prints of a constant; some tables have tens of thousands


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


def name_pictures(app, doctree) -> None:
    """Give a picture without alt text its section's title; a screen reader would spell out its file's name."""
    for image in doctree.findall(nodes.image):
        section = image.parent
        while section is not None and not isinstance(section, nodes.section):
            section = section.parent
        if not image.get("alt") and section is not None:
            image["alt"] = f"Figure: {section.next_node(nodes.title).astext()}"


def shorten_values(app, doctree) -> None:
    """Cut the values of long constants in the API reference: the source is the place to read them."""
    for annotation in doctree.findall(addnodes.desc_annotation):
        value = annotation.astext()
        if len(value) > LONGEST_VALUE:
            annotation.children = [nodes.Text(value[:LONGEST_VALUE].rpartition(" ")[0] + " ...")]


def keep_colons(app, what, name, obj, options, lines) -> None:
    """Let the description of a constant begin with "{name: value}": napoleon takes what is before a colon for a type."""
    if what in ("data", "attribute") and lines:
        lines.insert(0, "\\ ")  # nothing, in reStructuredText


def setup(app) -> dict:
    app.config.mathjax_path = f"mathjax/{SCRIPT}"
    app.connect("doctree-read", name_pictures)
    app.connect("doctree-read", shorten_values)
    app.connect("autodoc-process-docstring", keep_colons, priority=400)  # before napoleon
    app.connect("build-finished", copy_mathjax)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
