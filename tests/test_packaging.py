"""What a stranger's clone depends on: pins that agree, commands that are there, and nothing of this machine in the files."""

from __future__ import annotations

import ast
import functools
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

pytestmark = pytest.mark.slow  # resolves every pin

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


NO_NETWORK = re.compile(r"NewConnectionError|ConnectTimeout|ConnectionError|Max retries|ProxyError|SSLError|No matching index")


def pip(*arguments: str) -> subprocess.CompletedProcess[str]:
    """What pip says; skips where the package index cannot be reached."""
    quick = ["--dry-run", "--disable-pip-version-check", "--no-input", "--retries", "0", "--timeout", "10"]
    command = [sys.executable, "-m", "pip", "install", *quick, *arguments]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode and NO_NETWORK.search(done.stdout + done.stderr):
        pytest.skip("the package index cannot be reached, and this environment is not that of constraints.txt")
    return done


@pytest.mark.slow
def test_pip_accepts_the_list_of_environment_yml():
    """pip resolves it; what is installed already answers without the index."""
    arguments = [word for entry in pip_list() for word in entry.split()]
    isolation = ["--no-build-isolation"] if _knows_setuptools() else []
    done = pip(*isolation, *arguments)
    told = done.stdout + done.stderr
    assert done.returncode == 0, told
    assert f"vrnn3d-{project_version()}" in told


def test_every_pin_takes_the_oldest_python_and_the_newest(tmp_path):
    """By the metadata of what is installed; pins that are not installed here are asked of the index."""
    specifiers = pytest.importorskip("packaging.specifiers")
    versions, unknown = ("3.11.0", "3.11.4", "3.12.0", "3.13.0", "3.14.0"), []
    for name, _, version in (line.partition("==") for line in pins()):
        try:
            metadata = importlib.metadata.metadata(name)
        except importlib.metadata.PackageNotFoundError:
            metadata = None
        if metadata is None or metadata["Version"].partition("+")[0] != version:
            unknown.append(f"{name}=={version}")
            continue
        wanted = specifiers.SpecifierSet(metadata["Requires-Python"] or "")
        assert [v for v in versions if not wanted.contains(v)] == [], f"{name} {version} wants Python {wanted}"
    if unknown:
        done = pip("--python-version", versions[0], "--only-binary=:all:", "--no-deps", "--target", str(tmp_path), *unknown)
        assert done.returncode == 0, done.stdout + done.stderr


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
    for requirement in requirements_of("book", "dev", "export"):
        name, bounds = re.fullmatch(r"([A-Za-z0-9._-]+)(?:\[[a-z]+\])?(.*)", requirement).groups()
        if normal(name) == "vrnn3d":
            continue
        assert normal(name) in pinned, f"constraints.txt lacks {name}"
        pin = pinned[normal(name)]
        assert specifiers.SpecifierSet(bounds).contains(pin), f"{requirement}, and constraints.txt has {pin}"


def test_the_pin_list_is_complete():
    """What the declared dependencies pull in here, at any depth, has a pin too."""
    requirements = pytest.importorskip("packaging.requirements")
    todo, needed = requirements_of("book", "dev", "export"), set()
    while todo:
        requirement = requirements.Requirement(todo.pop())
        name = normal(requirement.name)
        if name in needed | {"vrnn3d"} or requirement.marker and not requirement.marker.evaluate({"extra": ""}):
            continue
        needed.add(name)
        try:
            todo += importlib.metadata.requires(name) or []
        except importlib.metadata.PackageNotFoundError:
            pass  # what it would pull in is not known here
    assert len(needed) > 50
    # The libraries that PyTorch's GPU builds bring differ from platform to platform.
    missing = {name for name in needed if not re.match("nvidia-|cuda-|triton", name)}
    missing -= {normal(line.partition("==")[0]) for line in pins()}
    assert not missing, f"needed and not in constraints.txt: {sorted(missing)}"


def requirements_of(*extras: str) -> list[str]:
    """The lines of pyproject.toml, with those of these extras."""
    optional = project()["optional-dependencies"]
    return project()["dependencies"] + [line for extra in extras for line in optional[extra]]


def declared(*extras: str) -> set[str]:
    """Distributions that pyproject.toml names, with those of these extras."""
    return {normal(re.match(r"[A-Za-z0-9._-]+", line).group()) for line in requirements_of(*extras)}


def imported(path: Path) -> set[str]:
    """Top-level names of everything that a file imports, anywhere in it, without Python's own."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            names.add(node.module.partition(".")[0])
    return names - set(sys.stdlib_module_names)


def owners(name: str) -> set[str]:
    """The distributions that an importable name comes from."""
    return {normal(owner) for owner in _distributions().get(name, [name])}


_distributions = functools.cache(importlib.metadata.packages_distributions)


#: What is imported only where a notebook runs, and comes with the kernel that runs it.
IN_NOTEBOOKS = {"ipython", "matplotlib-inline", "myst-nb"}


@pytest.mark.parametrize(
    "folders, extras",
    [(["vrnn3d"], ("export",)), (["vrnn3d/study", "vrnn3d/book.py", "notebooks"], ("book",)), (["tests"], ("book", "dev"))],
    ids=["library", "study", "tests"],
)
def test_everything_imported_is_declared(folders, extras):
    """A library module imports what a plain installation has, the export to ONNX apart; the study also what the book needs."""
    own = {"vrnn3d", "study"} | {path.stem for folder in ("tests", "book/_ext") for path in (ROOT / folder).rglob("*.py")}
    paths = [path for folder in folders for path in [ROOT / folder, *(ROOT / folder).rglob("*.py")] if path.suffix == ".py"]
    if "book" not in extras:
        paths = [path for path in paths if not path.is_relative_to(ROOT / "vrnn3d" / "study") and path.name != "book.py"]
    assert paths
    undeclared = [
        f"{path.relative_to(ROOT)} imports {name}"
        for path in paths
        for name in sorted(imported(path) - own)
        if not owners(name) & (declared(*extras) | IN_NOTEBOOKS)
    ]
    assert undeclared == []


def test_everything_declared_for_the_library_is_imported_by_it():
    used = {owner for path in (ROOT / "vrnn3d").rglob("*.py") for name in imported(path) for owner in owners(name)}
    assert declared() - used == set(), "declared, and never imported"


def test_the_driver_checks_for_packages_that_are_declared():
    from vrnn3d import book

    for name in book.NEEDED:
        assert owners(name) & declared("book"), name


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
    assert project()["license"] == "MIT AND CC-BY-SA-3.0", "the code, and the excerpt of MNIST"
    assert "mnist-1000.npz" in text and "CC BY-SA 3.0" in text
    assert {path for pattern in project()["license-files"] for path in ROOT.glob(pattern)} == {
        ROOT / "LICENSE",
        ROOT / "vrnn3d" / "data" / "excerpt" / "ATTRIBUTION.md",
    }
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert {"cff-version", "message", "title", "authors"} <= citation.keys()
    assert citation["license"] == "MIT"
    assert str(citation["version"]) == project_version()
    config = yaml.safe_load((ROOT / "_config.yml").read_text())
    assert citation.get("repository-code", "") == config["sphinx"]["config"]["repository"], "one address"


def test_the_excerpt_is_packaged_with_its_licence():
    packaged = [path for path in (ROOT / "vrnn3d" / "data" / "excerpt").iterdir() if path.is_file()]
    assert any("CC BY-SA" in path.read_text(errors="ignore") for path in packaged)


def test_the_changes_of_this_version_are_told():
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    assert "keepachangelog.com" in text
    versions = re.findall(r"^## \[([^\]]+)\]", text, re.M)
    assert versions[0] in (project_version(), "Unreleased") and project_version() in versions
    assert set(re.findall(r"^### (.+)$", text, re.M)) <= {"Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}


def test_the_package_tells_type_checkers_that_it_is_typed():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    assert "py.typed" in settings["package-data"]["vrnn3d"] and (ROOT / "vrnn3d" / "py.typed").is_file()


# --- the commands -----------------------------------------------------------------------------------------------------

TARGETS = {"book": "-m vrnn3d.book", "test": "-m pytest", "quick": "-m pytest", "check": "-m mypy"}


def test_ci_runs_what_the_readme_says():
    script = ROOT / ".ci" / "run"
    assert os.access(script, os.X_OK), ".ci/run is not executable"
    commands = [line.strip() for line in script.read_text().splitlines() if line.strip().startswith("make ")]
    assert {"make book", "make test"} <= set(commands) <= {f"make {target}" for target in TARGETS}
    head = "\n".join((ROOT / "README.md").read_text().splitlines()[:40])
    for command in ("make book", "make test"):
        assert command in head, f"the README's first screen lacks: {command}"
    bash = shutil.which("bash")
    if bash is None:
        pytest.skip("bash is not installed")
    subprocess.run([bash, "-n", str(script)], check=True)


@pytest.mark.parametrize("target, runs", TARGETS.items())
def test_make_knows_the_commands(target, runs):
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    command = ["make", "--no-print-directory", "--dry-run", target]  # quiet also below another make
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert runs in done.stdout.splitlines()[-1]


def test_quick_and_test_differ_in_the_slow_tests_alone():
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    last = {}
    for target in ("test", "quick"):
        command = ["make", "--no-print-directory", "--dry-run", target]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
        last[target] = done.stdout.splitlines()[-1]
    assert last["quick"].replace(' -m "not slow"', "") == last["test"] != last["quick"]


def test_contributing_names_every_target():
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    assert [target for target in TARGETS if f"make {target}" not in text] == []


# --- GitHub and pre-commit --------------------------------------------------------------------------------------------

#: As much of GitHub's syntax as a plain workflow needs.
WORKFLOW = {
    "type": "object",
    "required": ["name", "on", "permissions", "jobs"],
    "additionalProperties": False,
    "properties": {
        "name": {"type": "string"},
        "on": {"type": "object", "minProperties": 1},
        "permissions": {"type": "object", "additionalProperties": {"enum": ["read", "write", "none"]}},
        "concurrency": {"type": "object", "required": ["group"]},
        "env": {"type": "object"},
        "jobs": {
            "type": "object",
            "minProperties": 1,
            "additionalProperties": {
                "type": "object",
                "required": ["runs-on", "steps", "timeout-minutes"],
                "additionalProperties": False,
                "properties": {
                    "runs-on": {"type": "string"},
                    "timeout-minutes": {"type": "integer", "minimum": 1},
                    "needs": {"type": ["string", "array"]},
                    "if": {"type": "string"},
                    "strategy": {"type": "object", "required": ["matrix"]},
                    "environment": {"type": "object", "required": ["name"]},
                    "env": {"type": "object"},
                    "steps": {
                        "type": "array",
                        "minItems": 1,
                        "items": {
                            "type": "object",
                            "additionalProperties": False,
                            "oneOf": [{"required": ["uses"]}, {"required": ["run"]}],
                            "properties": {
                                "name": {"type": "string"},
                                "id": {"type": "string"},
                                "if": {"type": "string"},
                                "uses": {"type": "string", "pattern": "^actions/[a-z-]+@v[0-9]+$"},
                                "with": {"type": "object"},
                                "run": {"type": "string"},
                                "env": {"type": "object"},
                            },
                        },
                    },
                },
            },
        },
    },
}


def workflows() -> dict[str, dict]:
    """GitHub's workflows by file name; YAML 1.1 reads their key `on` as true."""
    found = {}
    for path in sorted((ROOT / ".github" / "workflows").glob("*.y*ml")):
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        found[path.name] = {"on" if key is True else key: value for key, value in values.items()}
    return found


def test_workflows_are_well_formed_and_call_make():
    jsonschema = pytest.importorskip("jsonschema")
    found = workflows()
    assert len(found) == 2
    commands = set()
    for name, values in found.items():
        errors = [
            f"{name}: {error.json_path}: {error.message}"
            for error in jsonschema.Draft202012Validator(WORKFLOW).iter_errors(values)
        ]
        assert errors == []
        for job in values["jobs"].values():
            if isinstance(job.get("needs"), str):
                assert job["needs"] in values["jobs"]
            commands |= {line.split("#")[0].strip() for step in job["steps"] for line in step.get("run", "").splitlines()}
    assert {"make test", "make check", "make book"} <= commands


def test_workflows_try_the_oldest_and_the_newest_python():
    jobs = [job for workflow in workflows().values() for job in workflow["jobs"].values() if "strategy" in job]
    tried = [version for job in jobs for version in job["strategy"]["matrix"]["python"]]
    assert {"3.11", "3.14"} <= set(tried) and all(isinstance(version, str) for version in tried), "3.10 unquoted is 3.1"


def test_pre_commit_needs_no_network():
    repositories = yaml.safe_load((ROOT / ".pre-commit-config.yaml").read_text(encoding="utf-8"))["repos"]
    assert [repository["repo"] for repository in repositories] == ["local"]
    hooks = {hook["id"]: hook for hook in repositories[0]["hooks"]}
    assert {"ruff", "ruff-format", "mypy"} <= set(hooks)
    assert all(hook["language"] == "system" for hook in hooks.values())
    check = re.search(r"^check:.*\n((?:\t.+\n)+)", (ROOT / "Makefile").read_text(), re.M).group(1)
    for words in ("ruff check", "ruff format --check", "mypy"):
        assert words in check, f"make check lacks {words}"


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
