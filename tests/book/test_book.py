"""The book's driver, on notebooks of a few lines in a repository of a few files."""

from __future__ import annotations

import argparse
import ast
import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from vrnn3d import book

pytestmark = pytest.mark.slow  # starts kernels

for _module in ("jupytext", "papermill", "ipykernel", "jupyter_book"):
    pytest.importorskip(_module)
nbformat = pytest.importorskip("nbformat")
psutil = pytest.importorskip("psutil")

HEADER = """# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A page

# %% tags=["parameters"]
profile = "smoke"

"""


@pytest.fixture
def root(tmp_path) -> Path:
    """A repository in which nothing but the driver's own files exists."""
    for folder in ("notebooks", "package", "results", "weights"):
        (tmp_path / folder).mkdir()
    (tmp_path / "package").rename(tmp_path / "vrnn3d")
    (tmp_path / "vrnn3d" / "part.py").write_text("# the package, so far as the driver looks at it\n")
    return tmp_path


def notebook(root: Path, name: str, code: str) -> Path:
    path = root / "notebooks" / f"{name}.py"
    path.write_text(HEADER + f"# %%\n{code}\n")
    return path


def outputs(root: Path, name: str) -> str:
    """All that an executed notebook printed."""
    executed = nbformat.read(root / "book" / "executed" / f"{name}.ipynb", as_version=4)
    return "".join(output.get("text", "") for cell in executed.cells for output in cell.get("outputs", []))


# --- executing --------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_a_notebook_runs_again_when_something_it_depends_on_changed(root):
    source = notebook(root, "01_a", "print('profile is', profile)")

    def run(**settings):
        return book.execute([source], root=root, jobs=1, **{"parameters": {"profile": "one"}, **settings})

    assert run() == ["01_a"]
    assert outputs(root, "01_a") == "profile is one\n"
    assert run() == [], "nothing has changed"
    assert run(parameters={"profile": "two"}) == ["01_a"]
    assert outputs(root, "01_a") == "profile is two\n"
    notebook(root, "01_a", "print('another', profile)")
    assert run() == ["01_a"]
    assert outputs(root, "01_a") == "another one\n"


@pytest.mark.parametrize("what", ["vrnn3d/part.py", "results/smoke/x/seed0.json", "weights/x/model.json"])
def test_the_key_covers_package_records_and_weights(root, what):
    before = book.surroundings(root, "cache")
    assert book.surroundings(root, "cache") == before
    (root / "vrnn3d" / "__pycache__").mkdir()
    (root / "vrnn3d" / "__pycache__" / "part.pyc").write_bytes(b"compiled")
    assert book.surroundings(root, "cache") == before, "compiled files are no change"
    path = root / what
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("changed")
    assert book.surroundings(root, "cache") != before


def test_the_key_covers_data_and_versions(root, monkeypatch):
    before = book.surroundings(root, "cache")
    assert book.surroundings(root, "excerpt") != before
    monkeypatch.setattr(book, "versions", lambda: ["torch==0.0.1"])
    assert book.surroundings(root, "cache") != before


def test_versions_name_this_python_and_what_is_installed():
    found = book.versions()
    assert found[0] == f"python=={sys.version.split()[0]}"
    assert any(line.startswith("torch==") for line in found)


@pytest.mark.slow
def test_a_failing_notebook_fails_the_build_and_leaves_the_old_page(root):
    bad = notebook(root, "01_bad", "print('it still worked')")
    assert book.execute([bad], root=root, jobs=1) == ["01_bad"]
    old = (root / "book" / "executed" / "01_bad.ipynb").read_bytes()

    notebook(root, "01_bad", "numerator = 1\nnumerator / 0  # this very line")
    good = notebook(root, "02_good", "print('unharmed')")
    with pytest.raises(book.BookError) as failure:
        book.execute([bad, good], root=root, jobs=1)
    told = str(failure.value)
    assert "01_bad.py failed in this cell" in told
    assert "numerator / 0  # this very line" in told
    assert "ZeroDivisionError" in told
    assert "1 of 2 notebooks failed" in told
    assert "02_good.py failed" not in told
    assert outputs(root, "02_good") == "unharmed\n"
    assert (root / "book" / "executed" / "01_bad.ipynb").read_bytes() == old
    left = sorted(os.listdir(root / "book" / "executed"))
    assert left == ["01_bad.ipynb", "02_good.ipynb"], "no temporary files stay"
    with pytest.raises(book.BookError):  # what failed is not up to date
        book.execute([bad, good], root=root, jobs=1)


def test_a_kernel_that_dies_is_named(root):
    with pytest.raises(book.BookError, match="01_dies.py failed"):
        book.execute([notebook(root, "01_dies", "import os\nos._exit(3)")], root=root, jobs=1)


def test_a_file_that_is_no_notebook_is_named(root):
    path = root / "notebooks" / "01_broken.py"
    path.write_bytes(b"# %%\n\xff\xfe not text\n")
    with pytest.raises(book.BookError, match="01_broken.py failed: UnicodeDecodeError"):
        book.execute([path], root=root, jobs=1)


def test_the_kernel_is_this_python_started_in_the_repository(root, monkeypatch, tmp_path_factory):
    """Even where the user has another kernel of the same name."""
    user = tmp_path_factory.mktemp("jupyter")
    kernel = user / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(
        json.dumps({"argv": ["/nowhere/python", "{connection_file}"], "display_name": "Python 3", "language": "python"})
    )
    monkeypatch.setenv("JUPYTER_DATA_DIR", str(user))
    monkeypatch.setenv("JUPYTER_PATH", str(user))
    code = "import json, os, sys\njson.dump([sys.executable, os.getcwd()], open('kernel.json', 'w'))"
    book.execute([notebook(root, "01_where", code)], root=root, jobs=1)
    executable, cwd = json.loads((root / "kernel.json").read_text())
    assert executable == sys.executable
    assert os.path.samefile(cwd, root)
    assert os.environ["JUPYTER_PATH"] == str(user), "the driver leaves the environment as it was"


def test_executed_notebooks_hold_no_paths_times_or_bars(tmp_path):
    root = tmp_path / "clone"
    made = nbformat.v4.new_notebook(metadata={"papermill": {"input_path": str(root), "duration": 3.5}})
    parameters = nbformat.v4.new_code_cell("profile = 'smoke'", metadata={"tags": ["parameters"]})
    injected = nbformat.v4.new_code_cell("profile = 'x'", metadata={"tags": ["injected-parameters"], "papermill": {}})
    when = {"iopub.execute_input": "2026"}
    shown = nbformat.v4.new_code_cell("f()", metadata={"execution": when, "tags": ["hide-input"]})
    pieces = [f"reading {root}{os.sep}results{os.sep}x.json\n", "0%", "\r50%", "\r100% done\n"]
    shown.outputs = [
        *(nbformat.v4.new_output("stream", name="stdout", text=text) for text in pieces),
        nbformat.v4.new_output("display_data", data={"text/plain": f"Path({root})", "image/png": "AAAA"}),
    ]
    made.cells = [parameters, injected, shown]
    tidy = book._tidied(made, "the key", root)
    assert tidy.metadata["vrnn3d"] == {"key": "the key", "parameters": {}}
    assert "papermill" not in tidy.metadata and "execution" not in tidy.cells[2].metadata
    assert ["remove-cell" in cell.metadata["tags"] for cell in tidy.cells] == [True, True, False]
    assert tidy.cells[2].outputs[0]["text"] == f"reading results{os.sep}x.json\n100% done\n"
    assert str(root) not in json.dumps(tidy)
    assert tidy.cells[2].outputs[1]["data"]["image/png"] == "AAAA"


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks processes up in /proc")
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_kernels_die_with_the_driver(root, number):
    """And what they leave behind does not hinder the next one."""
    waiting = "import os, time\nopen('pid', 'w').write(str(os.getpid()))\ntime.sleep(3600)"
    source = notebook(root, "01_waits", waiting)
    code = (
        "import signal, sys; from pathlib import Path; from vrnn3d import book\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs begin with it ignored
        "    book.execute([Path(sys.argv[1])], root=Path(sys.argv[2]), jobs=1)\n"
    )
    script = root / "drive.py"
    script.write_text(code)
    driver = subprocess.Popen([sys.executable, str(script), str(source), str(root)], stderr=subprocess.DEVNULL)
    try:
        while not (root / "pid").exists() or not (root / "pid").read_text():
            assert driver.poll() is None, "the driver ended before the notebook began"
            time.sleep(0.05)
        kernel = Path("/proc") / (root / "pid").read_text()
        assert kernel.exists()
        driver.send_signal(number)
        driver.wait()
        while kernel.exists() and "Z" not in (kernel / "stat").read_text().split()[2]:
            time.sleep(0.05)  # a test that hangs here has failed
    finally:
        driver.kill()
    notebook(root, "01_waits", "print('and now')")
    assert book.execute([source], root=root, jobs=1) == ["01_waits"]
    assert outputs(root, "01_waits") == "and now\n"


def processes_in(folder: Path) -> list:
    """The processes whose working directory is this one."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and os.path.samefile(process.cwd(), folder):
                found.append(process)
        except (psutil.Error, OSError):
            continue
    return found


@pytest.mark.slow
@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="looks for processes by their working directory")
def test_a_book_killed_at_any_moment_leaves_no_process_and_is_built_by_the_next_call(root):
    """Five kills, by chance early or late: while it starts, executes notebooks or builds pages."""
    ours = (book.ROOT / "_config.yml").read_text()
    keys = re.findall(r"^(?:title|exclude_patterns|only_build_toc_files):.*\n", ours, re.M)
    assert len(keys) == 3
    (root / "_config.yml").write_text("".join(keys) + "execute: {execute_notebooks: 'off'}\n")
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/executed/01_a\nchapters:\n- file: book/executed/02_b\n")
    sources = [notebook(root, name, "import time\ntime.sleep(1)\nprint('done')") for name in ("01_a", "02_b")]
    script = root / "drive.py"
    script.write_text(
        "import signal, sys; from pathlib import Path; from vrnn3d import book, cli\n"
        "if __name__ == '__main__':\n"
        "    signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs begin with it ignored
        "    cli.raise_when_terminated()\n"
        "    root = Path(sys.argv[1])\n"
        "    book.execute(sorted((root / 'notebooks').glob('*.py')), root=root, jobs=2, force=True)\n"
        "    book.build(root, force=True)\n"
    )
    command = [sys.executable, str(script), str(root)]
    environment = {**os.environ, "PYTHONPATH": str(book.ROOT)}
    began = time.monotonic()
    subprocess.run(command, cwd=root, env=environment, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    lasts = time.monotonic() - began
    for number in (signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGKILL, signal.SIGTERM):
        driver = subprocess.Popen(command, cwd=root, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(random.uniform(0, lasts))
        driver.send_signal(number)
        driver.wait(timeout=60)
        while processes_in(root):
            time.sleep(0.1)  # a test that hangs here has failed
    assert book.execute(sources, root=root, jobs=2, force=True) == ["01_a", "02_b"]
    executed = root / "book" / "executed"
    assert sorted(os.listdir(executed)) == ["01_a.ipynb", "02_b.ipynb"], "nothing is left of the killed ones"
    of_another_machine = executed / ".01_a.ipynb.012345-1-x.part"  # which nobody here can know to be dead
    of_another_machine.mkdir()
    (of_another_machine / "01_a.ipynb").write_text((executed / "01_a.ipynb").read_text())
    book.build(root)
    assert book.build(root) is False, "it is finished, by this process or, where the last kill came too late, by the one before"
    assert "done" in (root / "_build" / "html" / "book" / "executed" / "02_b.html").read_text(encoding="utf-8")


@pytest.mark.parametrize("error", [None, ImportError("cannot load module more than once"), OSError("half a library")])
@pytest.mark.parametrize("number, status", [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_an_interrupted_book_says_so_in_one_line(number, status, error, monkeypatch, capsys):
    """Also where the code of an import swallowed the signal and failed of something else."""

    def interrupted(*_):
        try:
            os.kill(os.getpid(), number)
            time.sleep(10)
        except KeyboardInterrupt:
            if error is None:
                raise
        raise error

    monkeypatch.setattr(book, "equipped", lambda: True)
    monkeypatch.setattr(book, "_make", interrupted)
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        assert book.main([]) == status
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    assert capsys.readouterr().err == "interrupted; the next make book goes on\n"


# --- pages ------------------------------------------------------------------------------------------------------------


@pytest.mark.slow
def test_pages_are_built_once_and_a_warning_is_an_error(root):
    settings = "title: A book\nonly_build_toc_files: true\nexecute: {execute_notebooks: 'off'}\n"
    (root / "_config.yml").write_text(settings)
    (root / "_toc.yml").write_text("format: jb-book\nroot: book/index\n")
    page = root / "book" / "index.md"
    page.parent.mkdir()
    page.write_text("# A book\n\nSome words.\n")
    assert book.build(root) is True
    index = root / "_build" / "html" / "book" / "index.html"
    assert "Some words." in index.read_text(encoding="utf-8")
    assert (root / "_build" / "html" / "index.html").exists()
    assert book.build(root) is False, "nothing has changed"
    page.write_text("# A book\n\nSee [](nothing-of-the-kind).\n")
    with pytest.raises(book.BookError, match="nothing-of-the-kind"):
        book.build(root)
    assert not (root / "_build" / "stamp").exists(), "a failed build is not taken for the last good one"


def has_something_public(path: Path) -> bool:
    """Whether a module defines, or hands on, anything that a reference could show."""
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        names = [getattr(node, "name", "_")]
        if isinstance(node, (ast.Assign, ast.AnnAssign)):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            names = ["public" if target.id == "__all__" else target.id for target in targets if isinstance(target, ast.Name)]
        if any(not name.startswith("_") for name in names):
            return True
    return False


def test_another_jupyter_book_is_told(root, monkeypatch):
    from importlib import metadata

    for name in ("_config.yml", "_toc.yml"):
        (root / name).write_text("")
    (root / "book").mkdir()
    installed = metadata.version
    monkeypatch.setattr(metadata, "version", lambda name: "2.0.1" if name == "jupyter-book" else installed(name))
    with pytest.raises(book.BookError, match="jupyter-book 2.0.1 is installed, which does not read _config.yml"):
        book.build(root)


def test_the_reference_lists_every_module():
    """The commands apart, which explain themselves with --help; packages that hold modules only may be listed."""
    texts = [(book.ROOT / "book" / name).read_text(encoding="utf-8") for name in ("api.md", "api_study.md")]
    listed = {name for text in texts for name in re.findall(r"automodule:: (\S+)", text)}
    modules = {}
    for path in (book.ROOT / "vrnn3d").rglob("*.py"):
        parts = path.relative_to(book.ROOT).with_suffix("").parts
        if parts[1] not in ("__init__", "__main__"):
            name = ".".join(parts[:-1] if parts[-1] == "__init__" else parts)
            modules[name] = parts[1] != "cli" and has_something_public(path)
    assert sorted(name for name, public in modules.items() if public and name not in listed) == [], "the API pages lack these"
    assert sorted(listed - set(modules)) == [], "the API pages name what is not there"


def test_citations_have_references():
    known = set(re.findall(r"^@\w+\{([^,]+),", (book.ROOT / "book" / "references.bib").read_text("utf-8"), re.M))
    for page in [*(book.ROOT / "book").glob("*.md"), *(book.ROOT / "notebooks").glob("*.py")]:
        for keys in re.findall(r"\{cite[^}]*\}`([^`]+)`", page.read_text("utf-8")):
            assert set(keys.split(",")) <= known, f"{page.name} cites {keys}, which references.bib lacks"


def test_built_pages_load_nothing_from_other_hosts():
    pages = sorted((book.ROOT / "_build" / "html").rglob("*.html"))
    if not pages:
        pytest.skip("the book has not been built here")
    tag, where = r"<(?:script|link|img|iframe|source|video)\b[^>]*", r"\b(?:src|href|srcset)=[\"'](?:https?:)?//[^\"']+"
    for page in pages:
        text = page.read_text("utf-8")
        assert re.findall(tag + where, text) == [], page.name
        assert "unpkg" not in text, f"{page.name} may load thebe"


def test_mathjax_is_installed_with_what_the_pages_load(tmp_path):
    sys.path.insert(0, str(Path(book.ROOT) / "book" / "_ext"))
    try:
        import offline
    finally:
        sys.path.pop(0)

    class App:
        class builder:
            format = "html"

        outdir = tmp_path

    offline.copy_mathjax(App, None)
    for part in offline.PARTS:
        assert (tmp_path / "_static" / "mathjax" / part).exists(), part


# --- the command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "arguments, told",
    [
        (["--only", "99_nothing"], "no notebook '99_nothing'; there are: 01_data"),
        (["--jobs", "0"], "must be at least 1"),
    ],
)
def test_bad_arguments_are_told_in_a_sentence(arguments, told, capsys):
    assert book.main(arguments) == 1
    error = capsys.readouterr().err
    assert told in error and "Traceback" not in error


def test_a_folder_without_notebooks_is_named(tmp_path):
    with pytest.raises(book.BookError, match="there are no notebooks in"):
        book._chosen(tmp_path, [])


def test_the_driver_starts_in_a_bare_python():
    """It makes the environment, so it must not need it: -S leaves out everything that is installed."""
    code = "import sys; sys.path.insert(0, sys.argv[1]); from vrnn3d import book; print(book.equipped())"
    command = [sys.executable, "-I", "-S", "-c", code, str(book.ROOT)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_an_environment_that_is_ready_is_left_alone(root, monkeypatch):
    (root / "pyproject.toml").write_text("")
    (root / "constraints.txt").write_text("a==1\n")
    python = root / ".venv" / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    python.parent.mkdir(parents=True)
    python.write_text("")
    ready = root / ".venv" / "ready"
    ready.write_text(book.digest([root / "pyproject.toml", root / "constraints.txt"], root) + "\n")
    commands = []

    def note(command, *_):
        commands.append(command)
        raise subprocess.CalledProcessError(1, command)

    monkeypatch.setattr(book, "_patiently", note)
    assert book.set_up(root) == python
    assert commands == []
    (root / "constraints.txt").write_text("a==2\n")
    with pytest.raises(book.BookError, match="setting up .* failed"):
        book.set_up(root)
    assert commands[0][1:4] == ["-m", "pip", "install"]


def test_declared_parameters_are_those_of_the_tagged_cell():
    cell = nbformat.v4.new_code_cell
    cells = [cell("other = 1"), cell("profile = 'smoke'\nsteps = 3", metadata={"tags": ["parameters"]})]
    assert book.declared(nbformat.v4.new_notebook(cells=cells)) == {"profile", "steps"}
    assert book.declared(nbformat.v4.new_notebook(cells=cells[:1])) == set()


def test_an_unknown_profile_is_refused_before_anything_runs(root, monkeypatch):
    monkeypatch.setattr(book, "_data", lambda: pytest.fail("the data were looked for"))
    notebook(root, "01_a", "print(1)")
    args = argparse.Namespace(profile="smokey", only=[], jobs=1, force=False)
    with pytest.raises(ValueError, match="no profile 'smokey'; there are: smoke"):
        book._make(args, root)


def test_every_reference_can_be_followed():
    text = (book.ROOT / "book" / "references.bib").read_text("utf-8")
    entries = re.findall(r"^@\w+\{([^,]+),(.*?)^\}", text, re.M | re.S)
    assert [name for name, body in entries if not re.search(r"^\s+(doi|url|eprint) = \{\S+\}", body, re.M)] == []
