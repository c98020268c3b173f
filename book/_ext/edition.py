"""What a reader needs to cite, download and repeat a page.

A footer with version, commit, build date and licence; under each chapter's title its notebook, its script and the command
that made it; ``{cite-this}`` with the study as BibTeX. The repository's address is one setting, ``repository`` in
_config.yml: while it is empty there are no buttons or links that would lead nowhere.
"""

from __future__ import annotations

import datetime
import html
import json
import os
import re
import shlex
import shutil
import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from docutils import nodes
from sphinx.util.docutils import SphinxDirective
from sphinx.util.osutil import relative_uri

CHAPTERS = "book/executed/"
DOWNLOADS = "_downloads/chapters"


# --- the edition ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Edition:
    """Which state of the study a book was built from."""

    version: str
    commit: str | None  #: None outside a git checkout
    changed: bool  #: whether files differed from the commit
    date: str
    licence: str

    @property
    def code(self) -> str:
        """The commit in words."""
        if self.commit is None:
            return "no commit known"
        return f"commit {self.commit[:10]}{' with changes' * self.changed}"


def edition(root: Path) -> Edition:
    """The edition of the checkout `root`, built now (or at SOURCE_DATE_EPOCH, where that is set)."""
    project = tomllib.loads((root / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    version = re.search(r'__version__ = "([^"]+)"', (root / "vrnn3d" / "__init__.py").read_text(encoding="utf-8"))
    if version is None:
        raise ValueError("vrnn3d/__init__.py holds no __version__, which the book's footer shows")
    epoch = os.environ.get("SOURCE_DATE_EPOCH")
    now = datetime.datetime.fromtimestamp(int(epoch), datetime.UTC) if epoch else datetime.datetime.now(datetime.UTC)
    return Edition(
        version=version[1],
        commit=_git(root, "rev-parse", "HEAD"),
        changed=bool(_git(root, "status", "--porcelain", "--untracked-files=no")),
        date=now.date().isoformat(),
        licence=project["license"],
    )


def _git(root: Path, *arguments: str) -> str | None:
    try:
        done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, timeout=20)
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def footer(of: Edition, repository: str = "") -> str:
    """One line of HTML below every page."""
    code = of.code
    if repository and of.commit:
        code = f'<a href="{html.escape(repository)}/tree/{of.commit}">{code}</a>'
    return f"vrnn3d {of.version}, {code}, built {of.date}. Licence: {html.escape(of.licence)}."


# --- theme ------------------------------------------------------------------------------------------------------------


def address(repository: str) -> str:
    """The setting without a slash at its end; ``ValueError`` where it is no web address."""
    if repository and not re.fullmatch(r"https://[\w.-]+/[\w./-]+", repository):
        raise ValueError(f"repository is {repository!r} in _config.yml; give an address such as https://github.com/owner/name")
    return repository.rstrip("/")


def set_theme(app, config) -> None:
    """Footer and buttons of the theme."""
    repository = address(config.repository)
    config.html_theme_options["extra_footer"] = footer(edition(Path(app.confdir)), repository)
    if repository:
        buttons = {"use_repository_button": True, "use_issues_button": True, "repository_branch": "main"}
        config.html_theme_options |= {"repository_url": repository, **buttons}


# --- chapters ---------------------------------------------------------------------------------------------------------


def command(name: str, parameters: dict[str, Any]) -> str:
    """What makes a chapter's notebook, in the repository's root: papermill reads what jupytext writes."""
    given = "".join(f" -p {key} {shlex.quote(str(value))}" for key, value in parameters.items())
    return f"jupytext --to ipynb --output - notebooks/{name}.py | papermill - {name}.ipynb{given}"


def parameters_of(executed: Path) -> dict[str, Any]:
    """What an executed notebook was given, as the driver noted it; nothing where it was not."""
    return json.loads(executed.read_text(encoding="utf-8"))["metadata"].get("vrnn3d", {}).get("parameters", {})


def launch(repository: str, name: str) -> str:
    """Where a chapter can be run without installing anything: Binder, for a repository on GitHub; else nothing."""
    on_github = re.fullmatch(r"https://github\.com/([\w.-]+/[\w.-]+)", repository)
    return f"https://mybinder.org/v2/gh/{on_github[1]}/HEAD?urlpath=lab/tree/notebooks/{name}.py" if on_github else ""


def tools(name: str, place: str, parameters: dict[str, Any], repository: str = "") -> str:
    """The line under a chapter's title: its notebook, its script, and, folded, the command that made it."""
    links = [
        f'<a href="{place}/{name}.ipynb" download>notebook with its outputs</a>',
        f'<a href="{place}/{name}.py" download>script</a>',
    ]
    if repository:
        links.append(f'<a href="{html.escape(repository)}/blob/main/notebooks/{name}.py">source</a>')
    if binder := launch(repository, name):
        links.append(f'<a href="{html.escape(binder)}">run it on Binder</a>')
    return (
        f'<details class="vrnn3d-chapter"><summary>Download or repeat this chapter</summary><p>{", ".join(links)}. '
        f"In the repository's root this command makes it:</p><pre>{html.escape(command(name, parameters))}</pre></details>"
    )


def add_tools(app, doctree) -> None:
    """Put the line under the title of a chapter."""
    page = app.env.docname
    titles = list(doctree.findall(nodes.title))
    if not page.startswith(CHAPTERS) or not titles:
        return
    name = page.removeprefix(CHAPTERS)
    place = relative_uri(app.builder.get_target_uri(page), DOWNLOADS) if app.builder.format == "html" else ""
    text = tools(name, place, parameters_of(Path(app.srcdir) / f"{page}.ipynb"), address(app.config.repository))
    section = titles[0].parent
    section.insert(section.index(titles[0]) + 1, nodes.raw("", text, format="html"))


def copy_chapters(app, error) -> None:
    """The notebooks and scripts that those lines link to."""
    if error or app.builder.format != "html":
        return
    root, target = Path(app.srcdir), Path(app.outdir) / DOWNLOADS
    target.mkdir(parents=True, exist_ok=True)
    for page in sorted(app.env.found_docs):
        if page.startswith(CHAPTERS):
            name = page.removeprefix(CHAPTERS)
            shutil.copy(root / f"{page}.ipynb", target)
            shutil.copy(root / "notebooks" / f"{name}.py", target)


# --- citation ---------------------------------------------------------------------------------------------------------


def bibtex(citation: dict[str, Any], of: Edition, repository: str = "") -> str:
    """The study as a BibTeX entry, from CITATION.cff and the edition."""
    authors = " and ".join(f"{{{author['name']}}}" for author in citation["authors"])
    fields = {
        "title": f"{{{citation['title']}}}",
        "author": authors,
        "year": str(citation["date-released"])[:4],
        "version": citation["version"],
        "note": of.code[:1].upper() + of.code[1:],
    }
    if repository:
        fields["url"] = repository
    inside = ",\n".join(f"  {key} = {{{value}}}" for key, value in fields.items())
    return f"@software{{vrnn3d,\n{inside}\n}}"


class CiteThis(SphinxDirective):
    """``{cite-this}``: the study as BibTeX."""

    def run(self) -> list[nodes.Node]:
        root = Path(self.env.srcdir)
        citation = yaml.safe_load((root / "CITATION.cff").read_text(encoding="utf-8"))
        self.env.note_dependency(str(root / "CITATION.cff"))
        text = bibtex(citation, edition(root), address(self.env.config.repository))
        block = nodes.literal_block(text, text)
        block["language"] = "bibtex"
        return [block]


def setup(app) -> dict:
    app.add_config_value("repository", "", "env", [str])
    app.add_directive("cite-this", CiteThis)
    app.connect("config-inited", set_theme)
    app.connect("doctree-read", add_tools)
    app.connect("build-finished", copy_chapters)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
