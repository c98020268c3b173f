"""What a stranger's clone depends on: pins that agree, files that are there, and nothing of this machine in them."""

from __future__ import annotations

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).resolve().parent.parent
MIB = 2**20


def tracked() -> list[Path]:
    """Files that git tracks, or would track; skips where this is no git checkout."""
    if shutil.which("git") is None or not (ROOT / ".git").exists():
        pytest.skip("not a git checkout")
    listed = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listed, cwd=ROOT, capture_output=True, check=True).stdout.decode().split("\0")
    return [ROOT / name for name in names if name and (ROOT / name).is_file()]


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def pip_list() -> list[str]:
    """The entries of environment.yml's list for pip."""
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    return next(entry["pip"] for entry in entries if isinstance(entry, dict))


def pins() -> list[str]:
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


# --- the environment --------------------------------------------------------------------------------------------------


def test_environment_yml_asks_for_what_the_constraints_pin():
    assert pip_list() == ["-c constraints.txt", "-e .[dev]"]
    entries = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    python = next(entry for entry in entries if isinstance(entry, str) and entry.startswith("python"))
    asked = tuple(map(int, re.search(r"(\d+)\.(\d+)", python).groups()))
    least = tuple(map(int, re.search(r"(\d+)\.(\d+)", project()["requires-python"]).groups()))
    assert asked >= least
    assert "pip" in entries


def _knows_setuptools() -> bool:
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= 77
    except importlib.metadata.PackageNotFoundError:
        return False


def test_pip_accepts_the_list_of_environment_yml():
    """pip resolves it; what is installed already answers without the index."""
    arguments = [word for entry in pip_list() for word in entry.split()]
    isolation = ["--no-build-isolation"] if _knows_setuptools() else []
    quick = ["--dry-run", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "10"]
    done = subprocess.run(
        [sys.executable, "-m", "pip", "install", *quick, *isolation, *arguments],
        cwd=ROOT, capture_output=True, text=True, timeout=240,
    )  # fmt: skip
    told = done.stdout + done.stderr
    no_network = r"NewConnectionError|ConnectTimeout|ConnectionError|Max retries|ProxyError|SSLError"
    if done.returncode and re.search(no_network, told):
        pytest.skip("the package index cannot be reached, and this environment is not that of constraints.txt")
    assert done.returncode == 0, told
    assert f"vrnn3d-{project_version()}" in told


def project_version() -> str:
    return re.search(r'__version__ = "([^"]+)"', (ROOT / "vrnn3d" / "__init__.py").read_text()).group(1)


def test_constraints_are_plain_pins():
    for line in pins():
        assert re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]*==[0-9][0-9A-Za-z.]*", line), (
            f"constraints.txt: {line!r} is not NAME==VERSION; local versions and paths exist on one machine only"
        )
    names = [normal(line.partition("==")[0]) for line in pins()]
    assert len(set(names)) == len(names)
    assert "vrnn3d" not in names


def test_constraints_pin_every_dependency_inside_its_bounds():
    specifiers = pytest.importorskip("packaging.specifiers")
    pinned = {normal(line.partition("==")[0]): line.partition("==")[2] for line in pins()}
    extras = project()["optional-dependencies"]
    for requirement in project()["dependencies"] + extras["book"] + extras["dev"]:
        name, bounds = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z]+\])?(.*)", requirement).groups()
        if normal(name) == "vrnn3d":
            continue
        assert normal(name) in pinned, f"constraints.txt lacks {name}"
        pin = pinned[normal(name)]
        assert specifiers.SpecifierSet(bounds).contains(pin), f"{requirement}, and constraints.txt has {pin}"


def test_the_pin_list_is_complete():
    """What the declared dependencies pull in here, at any depth, has a pin too."""
    requirements = pytest.importorskip("packaging.requirements")
    extras = project()["optional-dependencies"]
    todo, needed = project()["dependencies"] + extras["book"] + extras["dev"], set()
    while todo:
        requirement = requirements.Requirement(todo.pop())
        name = normal(requirement.name)
        if name in needed | {"vrnn3d"} or requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        needed.add(name)
        try:
            todo += importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            pytest.skip(f"{name} is not installed")
    # The libraries that PyTorch's GPU builds bring differ from platform to platform.
    missing = {name for name in needed if not re.match("nvidia-|cuda-|triton", name)}
    missing -= {normal(line.partition("==")[0]) for line in pins()}
    assert not missing, f"needed, installed and not in constraints.txt: {sorted(missing)}"


def test_the_driver_checks_for_packages_that_are_declared():
    from vrnn3d import book

    owners = importlib.metadata.packages_distributions()
    declared = {normal(re.match(r"[A-Za-z0-9._-]+", line).group())
                for line in project()["dependencies"] + project()["optional-dependencies"]["book"]}  # fmt: skip
    for name in book.NEEDED:
        assert {normal(owner) for owner in owners[name]} & declared, name


# --- the repository ---------------------------------------------------------------------------------------------------


def test_no_tracked_file_is_large():
    sizes = {path.relative_to(ROOT).as_posix(): path.stat().st_size / MIB for path in tracked()}
    assert {name: size for name, size in sizes.items() if size > 40} == {}
    assert sum(sizes.values()) < 200


# Spelt in parts, so that this file does not hold what it looks for
_MACHINE = [
    re.compile(rf"(?<![\w.}}/$-])/{folder}/[\w.-]+".encode())
    for folder in ("work", "opt", "root", "Users", "ho" + "me", "t" + "mp", "mnt")
]
_HOSTS = re.compile(
    rb"(?:files\.python" + rb"hosted\.org|pypi\." + rb"org/simple|--(?:extra-)?index" + rb"-url"
    rb"|conda\.ana" + rb"conda\.org|registry\.npm" + rb"js\.org)"
)


def test_nothing_of_one_machine_is_tracked():
    """No absolute path of a developer's machine, no package host: a clone elsewhere has other ones."""
    found = []
    for path in tracked():
        content = path.read_bytes()
        if b"\0" in content[:4096] or path == Path(__file__).resolve():
            continue
        for pattern in (*_MACHINE, _HOSTS):
            found += [f"{path.relative_to(ROOT)}: {match.group().decode()}" for match in pattern.finditer(content)]
    assert found == []


def test_nothing_that_is_made_is_tracked():
    folders = {"_build", "executed", "__pycache__", ".venv"}
    paths = [path.relative_to(ROOT) for path in tracked()]
    made = [path.as_posix() for path in paths if path.suffix in (".ipynb", ".pyc") or folders & set(path.parts)]
    assert made == []


def test_licence_and_citation():
    text = (ROOT / "LICENSE").read_text()
    assert text.startswith("MIT License") and "WITHOUT WARRANTY OF ANY KIND" in text
    assert project()["license"] == "MIT"
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == "MIT"
    assert str(citation["version"]) == project_version()


def test_the_excerpt_is_packaged_with_its_licence():
    packaged = [path for path in (ROOT / "vrnn3d" / "data" / "excerpt").iterdir() if path.is_file()]
    assert any("CC BY-SA" in path.read_text(errors="ignore") for path in packaged)


# --- the two commands -------------------------------------------------------------------------------------------------


def test_ci_runs_what_the_readme_says():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK), ".ci/run is not executable"
    commands = [line.strip() for line in script.read_text().splitlines() if line.strip().startswith("make ")]
    assert sorted(commands) == ["make book", "make test"]
    head = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    for command in commands:
        assert command in head, f"the README's first screen lacks: {command}"
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    subprocess.run([bash, "-n", str(script)], check=True)


def test_make_knows_both_commands():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    for target, runs in (("book", "-m vrnn3d.book"), ("test", "-m pytest")):
        command = ["make", "--no-print-directory", "--dry-run", target]  # quiet also below another make
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        assert runs in done.stdout.splitlines()[-1]


def test_make_says_what_is_missing_where_python_is_too_old(tmp_path):
    make = shutil.which("make")
    if make is None:
        pytest.skip("make is not installed")
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    environment = {**os.environ, "PATH": str(tmp_path)}  # no python at all
    command = [make, "book", "SHELL=/bin/sh"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode != 0
    assert "Python 3.11 or newer is needed" in done.stderr


def test_the_console_script_is_declared_and_answers():
    assert project()["scripts"] == {"vrnn3d": "vrnn3d.cli:main"}
    command = [sys.executable, "-m", "vrnn3d", "--help"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for command in ("data", "train", "evaluate", "predict", "bench", "book"):
        assert command in done.stdout
