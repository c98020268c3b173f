"""What a reader needs to cite, download and repeat a page, and the icons that are kept."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import yaml

pytest.importorskip("sphinx")
ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "book" / "_ext"))
import edition  # noqa: E402
import icons  # noqa: E402

HERE = edition.Edition("1.2.3", "c" * 40, False, "2026-01-01", "MIT")


@pytest.fixture
def checkout(tmp_path):
    """A repository with one commit and what the footer is made from."""
    (tmp_path / "vrnn3d").mkdir()
    (tmp_path / "vrnn3d" / "__init__.py").write_text('__version__ = "1.2.3"\n')
    (tmp_path / "pyproject.toml").write_text('[project]\nlicense = "MIT"\n')
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@example.org"]
    for arguments in (["init", "-q"], ["add", "-A"], ["commit", "-qm", "one"]):
        subprocess.run([*git, *arguments], check=True)
    return tmp_path


def test_the_edition_is_that_of_the_checkout(checkout, monkeypatch):
    monkeypatch.setenv("SOURCE_DATE_EPOCH", "1767225600")
    found = edition.edition(checkout)
    assert (found.version, found.changed, found.date, found.licence) == ("1.2.3", False, "2026-01-01", "MIT")
    assert re.fullmatch("[0-9a-f]{40}", found.commit)
    (checkout / "pyproject.toml").write_text('[project]\nlicense = "MIT AND X"\n')
    assert edition.edition(checkout).code.endswith(" with changes")


def test_outside_a_checkout_no_commit_is_known(checkout):
    subprocess.run(["rm", "-rf", str(checkout / ".git")], check=True)
    assert edition.edition(checkout).code == "no commit known"


def test_the_footer_links_the_commit_once_there_is_an_address():
    assert edition.footer(HERE) == "vrnn3d 1.2.3, commit cccccccccc, built 2026-01-01. Licence: MIT."
    assert f'href="https://github.com/a/b/tree/{"c" * 40}"' in edition.footer(HERE, "https://github.com/a/b")


def test_buttons_wait_for_an_address(checkout):
    def options(repository):
        config = SimpleNamespace(repository=repository, html_theme_options={})
        edition.set_theme(SimpleNamespace(confdir=str(checkout)), config)
        return config.html_theme_options

    assert set(options("")) == {"extra_footer"}
    shown = options("https://github.com/a/b/")
    assert shown["repository_url"] == "https://github.com/a/b" and shown["use_repository_button"]


def test_the_address_is_checked():
    assert edition.address("") == "" and edition.address("https://github.com/a/b/") == "https://github.com/a/b"
    with pytest.raises(ValueError, match="repository is 'a/b' in _config.yml"):
        edition.address("a/b")


def test_a_chapter_says_what_made_it():
    command = edition.command("04_training", {"profile": "smoke"})
    assert command == "jupytext --to ipynb --output - notebooks/04_training.py | papermill - 04_training.ipynb -p profile smoke"
    assert edition.command("01_data", {}).endswith("papermill - 01_data.ipynb")
    text = edition.tools("01_data", "../x", {})
    assert 'href="../x/01_data.ipynb"' in text and 'href="../x/01_data.py"' in text
    assert "binder" not in text.lower() and "source" not in text, "no links while there is no address"
    text = edition.tools("01_data", "../x", {}, "https://github.com/a/b")
    assert "https://github.com/a/b/blob/main/notebooks/01_data.py" in text and "mybinder.org/v2/gh/a/b/HEAD" in text
    assert edition.launch("https://gitlab.com/a/b", "01_data") == ""


def test_parameters_are_those_that_the_driver_noted(tmp_path):
    path = tmp_path / "x.ipynb"
    path.write_text(json.dumps({"metadata": {"vrnn3d": {"key": "k", "parameters": {"profile": "half"}}}}))
    assert edition.parameters_of(path) == {"profile": "half"}
    path.write_text(json.dumps({"metadata": {}}))
    assert edition.parameters_of(path) == {}


def test_the_citation_is_bibtex_of_this_edition():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text(encoding="utf-8"))
    text = edition.bibtex(citation, HERE, "https://github.com/a/b")
    assert text.startswith("@software{vrnn3d,") and text.count("{") == text.count("}")
    assert citation["title"] in text and "Commit cccccccccc" in text and "url = {https://github.com/a/b}" in text
    assert "url" not in edition.bibtex(citation, HERE)


# --- icons ------------------------------------------------------------------------------------------------------------


def test_only_the_icons_shown_are_kept():
    script = (
        'var p={monero:[496,512,[],"f3d0","M3z"],"circle-half":[1,2,["adjust",9680],"f042","M4z"],house:[1,2,[127968],"f015",'
        '["M1z","M2z"]]};run(p)'
    )
    assert icons.shown(['<i class="fa-solid fa-house fa-lg">', "x"]) == {"solid", "house", "lg"}
    assert icons.subset(script, {"house"}) == 'var p={house:[1,2,[127968],"f015",["M1z","M2z"]]};run(p)'
    assert "circle-half" in icons.subset(script, {"adjust"}), "an icon is kept under any of its names"
    assert icons.subset(script, set()) == "var p={};run(p)"


def test_the_themes_script_is_one_that_can_be_shortened():
    """Its format is nowhere promised: an update of the theme that changes it must be seen."""
    theme = pytest.importorskip("pydata_sphinx_theme")
    script = Path(theme.__file__).parent / "theme" / "pydata_sphinx_theme" / "static" / "scripts" / "fontawesome.js"
    text = script.read_text(encoding="utf-8")
    short = icons.subset(text, {"magnifying-glass", "moon"})
    assert len(short) < 0.1 * len(text) and "magnifying-glass" in short
