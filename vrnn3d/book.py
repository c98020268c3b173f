"""Execute the notebooks and build the book: the data, then every notebook through papermill, then Jupyter Book.

The first time takes about ten minutes, most of it installing packages and running the notebooks; what has not changed is
not done again. ``python -m vrnn3d.book`` does what ``make book`` does. In a Python without the book's packages it first makes
``.venv`` with the pinned ones. This module imports the standard library only, so that it can.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from vrnn3d.cli import exit_status, raise_when_terminated, swallowed
from vrnn3d.files import check_writable, temporary_folder

ROOT = Path(__file__).resolve().parent.parent
#: The notebooks that take longest, first to be started, so that none of them is waited for alone at the end.
LONGEST = ("04_training", "03_loss", "11_own_code")
NEEDED = ("torch", "tqdm", "jupytext", "papermill", "ipykernel", "myst_nb", "jupyter_book")
# What papermill does not need to show: the parameters and the values it put in their place
HIDDEN_TAGS = {"parameters", "injected-parameters"}


class BookError(Exception):
    """The book cannot be built; the message says why and what to do."""


# --- the environment --------------------------------------------------------------------------------------------------


def equipped() -> bool:
    """Whether this Python has what the book needs."""
    return all(importlib.util.find_spec(name) for name in NEEDED)


def set_up(root: Path = ROOT) -> Path:
    """Make ``.venv`` with the pinned packages where it is missing or out of date; the path of its Python."""
    if sys.version_info < (3, 11):
        have = ".".join(map(str, sys.version_info[:2]))
        raise BookError(f"Python 3.11 or newer is needed, and this is {have}: start this with a newer one")
    folder = root / ".venv"
    python = folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python")
    ready = folder / "ready"
    pins = digest([root / "pyproject.toml", root / "constraints.txt"], root)
    if python.exists() and ready.exists() and ready.read_text().strip() == pins:
        ready.touch()  # make compares times
        return python
    try:
        if not python.exists():
            print(f"making {folder}", flush=True)
            subprocess.run([sys.executable, "-m", "venv", str(folder)], check=True)
        install = ["-m", "pip", "install", "--disable-pip-version-check", "--quiet", "--compile"]
        _patiently(
            [str(python), *install, "-c", "constraints.txt", "-e", ".[dev]"],
            root,
            "installing PyTorch, Jupyter Book and the rest into .venv (about 2 GB on disk, two to five minutes)",
        )
    except subprocess.CalledProcessError as error:
        raise BookError(
            f"setting up {folder} failed ({' '.join(error.cmd[1:4])}; its message is above): "
            "see to a network or another Python, and start again"
        ) from None
    ready.write_text(pins + "\n")
    return python


def _patiently(command: list[str], cwd: Path, words: str) -> None:
    """Run a silent command with a line that shows that it goes on; ``CalledProcessError`` when it fails."""
    started = time.monotonic()
    process = subprocess.Popen(command, cwd=cwd)
    try:
        while process.poll() is None:
            if sys.stderr.isatty():
                print(f"\r{words}: {time.monotonic() - started:.0f} s ", end="", file=sys.stderr, flush=True)
            try:
                process.wait(1 if sys.stderr.isatty() else 60)
            except subprocess.TimeoutExpired:
                if not sys.stderr.isatty():
                    print(f"{words}: {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)
    finally:
        if process.poll() is None:
            process.kill()
    if process.returncode:
        raise subprocess.CalledProcessError(process.returncode, command)
    print(f"{words}: done in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)


def versions() -> list[str]:
    """Every installed distribution as "name==version", and this Python."""
    from importlib.metadata import distributions

    found = {f"{d.metadata['Name']}=={d.version}".lower() for d in distributions() if d.metadata["Name"]}
    return [f"python=={sys.version.split()[0]}", *sorted(found)]


# --- what has changed -------------------------------------------------------------------------------------------------


def digest(files: Iterable[Path], root: Path, *more: str) -> str:
    """SHA-256 over the files' names (relative to `root`) and contents, and over `more`."""
    total = hashlib.sha256()
    for path in sorted(files):
        total.update(f"{path.relative_to(root).as_posix()}\0".encode())
        total.update(hashlib.sha256(path.read_bytes()).digest())
    for text in more:
        total.update(hashlib.sha256(text.encode()).digest())
    return total.hexdigest()


def _files(*folders: Path) -> list[Path]:
    """All files below the folders, caches and hidden ones left out."""
    return [
        path
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and not any(part == "__pycache__" or part[0] == "." for part in path.relative_to(folder).parts)
    ]


def surroundings(root: Path, data: str) -> str:
    """Hash of all that a notebook may read besides itself: package, records, weights, versions, and which data."""
    return digest(_files(root / "vrnn3d", root / "results", root / "weights"), root, *versions(), data)


def _key_of(executed: Path) -> str | None:
    """The key an executed notebook was made under; None where there is none."""
    try:
        return json.loads(executed.read_text(encoding="utf-8"))["metadata"]["vrnn3d"]["key"]
    except (OSError, ValueError, KeyError):
        return None


# --- notebooks --------------------------------------------------------------------------------------------------------


def _last_of_each_line(text: str) -> str:
    """Text as a terminal leaves it: what follows the last carriage return of each line, as progress bars write."""
    return "\n".join(line.rstrip("\r").rpartition("\r")[2] for line in text.split("\n"))


def _joined(outputs: list) -> list:
    """Outputs with neighbouring ones of one stream joined: a kernel sends a progress bar in many pieces."""
    joined: list = []
    for output in outputs:
        before = joined[-1] if joined else {}
        if output.output_type == "stream" and before.get("name") == output.name:
            before["text"] += output["text"]
        else:
            joined.append(output)
    return joined


def declared(notebook) -> set[str]:
    """The names that a notebook's cell tagged "parameters" gives values to."""
    cells = [cell.source for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    lines = [line for source in cells for line in ast.parse(source).body]
    assigned = [target for line in lines if isinstance(line, ast.Assign) for target in line.targets]
    return {target.id for target in assigned if isinstance(target, ast.Name)}


def _tidied(notebook, key: str, root: Path, parameters: dict | None = None):
    """An executed notebook without paths of this machine and times; parameter cells hidden."""
    home = str(Path.home())

    def anonymous(text: str) -> str:
        text = text.replace(f"{root}{os.sep}", "").replace(str(root), ".")
        return text.replace(home + os.sep, f"~{os.sep}") if len(home) > 1 else text

    notebook.metadata.pop("papermill", None)
    notebook.metadata["vrnn3d"] = {"key": key, "parameters": parameters or {}}
    for number, cell in enumerate(notebook.cells):
        cell["id"] = f"cell-{number}"
        for entry in ("papermill", "execution"):
            cell.metadata.pop(entry, None)
        tags = cell.metadata.get("tags", [])
        if HIDDEN_TAGS & set(tags):
            cell.metadata["tags"] = sorted({*tags, "remove-cell"})
        if "outputs" in cell:
            cell["outputs"] = _joined(cell["outputs"])
        for output in cell.get("outputs", []):
            if "text" in output:
                output["text"] = anonymous(_last_of_each_line(output["text"]))
            for kind, value in output.get("data", {}).items():
                if kind.startswith("text/") and isinstance(value, str):
                    output["data"][kind] = anonymous(value)
    return notebook


def _run_one(source: Path, target: Path, parameters: dict, key: str, root: Path) -> str | None:
    """Execute one notebook into `target`; None, or what went wrong: the cell and its traceback."""
    import jupytext
    import nbformat
    import papermill
    from papermill.exceptions import PapermillExecutionError

    folder = temporary_folder(target)
    temporary = folder / target.name
    try:
        script = jupytext.read(source)
        given = {name: value for name, value in parameters.items() if name in declared(script)}
        notebook = papermill.execute_notebook(
            script,
            str(temporary),
            parameters=given,
            kernel_name="python3",
            progress_bar=False,
            cwd=str(root),
        )
        nbformat.write(_tidied(notebook, key, root, given), temporary)
        os.replace(temporary, target)
    except PapermillExecutionError as error:
        cell = "\n".join(f"    {line}" for line in error.source.strip().splitlines())
        return f"{source.name} failed in this cell:\n\n{cell}\n\n" + "\n".join(error.traceback)
    except Exception as error:  # a kernel that died, a file that is no notebook
        return f"{source.name} failed: {type(error).__name__}: {error}"
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return None


def die_with(driver: int) -> None:
    """End this process, and the kernels it started, when the process `driver` has died, of whatever signal."""
    import threading

    def watch() -> None:
        while os.getppid() == driver:
            time.sleep(0.5)
        _kill_children()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def _children() -> set:
    """The processes that this one has started, and those that they have."""
    import psutil

    return set(psutil.Process().children(recursive=True))


def _kill_children(but: Iterable = ()) -> None:
    """Kill what :func:`_children` finds now, but for those given."""
    import psutil

    for child in _children() - set(but):
        try:
            child.kill()
        except psutil.NoSuchProcess:
            pass


def _importable(root: Path) -> str:
    """PYTHONPATH with the repository first."""
    return os.pathsep.join(filter(None, [str(root), os.environ.get("PYTHONPATH")]))


def _kernel_folder(folder: Path) -> None:
    """Write a kernel "python3" that is this very Python, whatever kernels the user has installed."""
    spec = {
        "argv": [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}", "--log-level=CRITICAL"],
        "display_name": "Python 3",
        "language": "python",
    }
    kernel = folder / "kernels" / "python3"
    kernel.mkdir(parents=True)
    (kernel / "kernel.json").write_text(json.dumps(spec))


def execute(
    sources: list[Path],
    *,
    root: Path = ROOT,
    out: Path | None = None,
    parameters: dict | None = None,
    data: str = "",
    jobs: int = 2,
    force: bool = False,
) -> list[str]:
    """Execute those notebooks (jupytext scripts) whose executed form is out of date; the names of those executed.

    Args:
        sources: the scripts. Each becomes ``out / <name>.ipynb``, which appears whole or not at all.
        root: the repository; kernels start there.
        out: default ``book/executed``.
        parameters: values for the cells tagged "parameters"; a notebook is given those that it declares.
        data: says which data there are; another value makes every executed notebook out of date.
        jobs: notebooks at a time.
        force: execute also what is up to date.

    Raises:
        BookError: with the cell and the traceback of every notebook that failed.
    """
    out = out or root / "book" / "executed"
    parameters = parameters or {}
    around = surroundings(root, data)
    todo = {}
    for source in sources:
        key = digest([source], source.parent, around, json.dumps(parameters, sort_keys=True))
        target = out / f"{source.stem}.ipynb"
        if force or _key_of(target) != key:
            todo[source] = (target, key)
    if not todo:
        return []
    with _kernels(root, jobs):
        failures = _run_all(todo, parameters, root, jobs)
    if failures:
        rule = "\n" + "-" * 100 + "\n"
        text = rule + rule.join(failures) + rule
        if not sys.stderr.isatty():
            text = re.sub(r"\x1b\[[0-9;]*m", "", text)
        raise BookError(f"{text}{len(failures)} of {len(todo)} notebooks failed; see the tracebacks above")
    return [source.stem for source in todo]


@contextmanager
def _kernels(root: Path, jobs: int) -> Iterator[None]:
    """The environment in which kernels start: folders of their own, this interpreter, this package, threads for each job."""
    with tempfile.TemporaryDirectory() as private:
        _kernel_folder(Path(private) / "jupyter")
        settings = {
            "JUPYTER_PATH": str(Path(private) / "jupyter"),
            "JUPYTER_RUNTIME_DIR": str(Path(private) / "runtime"),
            "IPYTHONDIR": str(Path(private) / "ipython"),  # two kernels must not share one history
            "PYTHONPATH": _importable(root),
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
            "OMP_NUM_THREADS": os.environ.get("OMP_NUM_THREADS", "1" if jobs > 1 else str(os.cpu_count())),
        }
        before = {name: os.environ.get(name) for name in settings}
        os.environ.update(settings)
        try:
            yield
        finally:
            for name, value in before.items():
                if value is None:
                    os.environ.pop(name, None)
                else:
                    os.environ[name] = value


def _run_all(todo: dict[Path, tuple[Path, str]], parameters: dict, root: Path, jobs: int) -> list[str]:
    """Execute notebooks, {script: (executed form, key)}, `jobs` at a time; what went wrong, a text for each that failed."""
    from concurrent.futures import ProcessPoolExecutor, as_completed
    from multiprocessing import get_context

    from tqdm import tqdm

    failures, others = [], _children()
    pool = ProcessPoolExecutor(min(jobs, len(todo)), get_context("spawn"), initializer=die_with, initargs=(os.getpid(),))
    with pool, tqdm(total=len(todo), desc="notebooks", unit="notebook") as bar:
        running = {}
        for source in sorted(todo, key=lambda source: source.stem not in LONGEST):
            target, key = todo[source]
            running[pool.submit(_run_one, source, target, parameters, key, root)] = source
        try:
            for done in as_completed(running):
                if failure := done.result():
                    failures.append(failure)
                bar.set_postfix_str(running[done].stem)
                bar.update()
        except KeyboardInterrupt:
            _kill_children(but=others)  # leaving the pool would wait for notebooks that may run for minutes
            raise
    return failures


# --- the pages --------------------------------------------------------------------------------------------------------


def build(root: Path = ROOT, force: bool = False) -> bool:
    """Build the pages with warnings as errors; False where nothing had changed since the last time.

    Raises:
        BookError: with Jupyter Book's output, when it fails or warns.
    """
    stamp, pages = root / "_build" / "stamp", root / "_build" / "html"
    # The API reference is made from the package's docstrings.
    named = [root / name for name in ("_config.yml", "_toc.yml", "CITATION.cff", "pyproject.toml")]
    files = [*_files(root / "book", root / "vrnn3d", root / "weights"), *filter(Path.exists, named)]
    now = digest(files, root, *versions())
    if not force and stamp.exists() and stamp.read_text() == now and (pages / "index.html").exists():
        return False
    for old in (pages, root / "_build" / ".doctrees"):  # pages that are no longer written, numbers glued before
        shutil.rmtree(old, ignore_errors=True)
    stamp.unlink(missing_ok=True)
    from importlib.metadata import version

    if not version("jupyter-book").startswith("1."):
        raise BookError(
            f"jupyter-book {version('jupyter-book')} is installed, which does not read _config.yml; install what"
            " constraints.txt pins: pip install -c constraints.txt 'jupyter-book<2'"
        )
    start = (
        f"from vrnn3d.book import die_with; die_with({os.getpid()});"
        " from jupyter_book.cli.main import main; main(prog_name='jupyter-book')"
    )
    command = [sys.executable, "-c", start, "build", ".", "--all", "-W", "-n", "--keep-going"]
    done = subprocess.run(
        command,
        cwd=root,
        env={**os.environ, "PYTHONPATH": _importable(root)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        errors="replace",
    )
    if done.returncode:
        raise BookError(f"{done.stdout}\nJupyter Book failed or warned; its output is above")
    stamp.write_text(now)
    return True


# --- the command ------------------------------------------------------------------------------------------------------


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The command's options."""
    parser.add_argument("--profile", default="smoke", help="at which profile the training chapter trains its live model")
    parser.add_argument("--jobs", type=int, default=2, metavar="N", help="notebooks at a time")
    parser.add_argument("--force", action="store_true", help="execute and build also what has not changed")
    parser.add_argument("--only", action="append", default=[], metavar="NAME",
                        help="execute this notebook only, the others stay as they are; may be repeated")  # fmt: skip
    parser.add_argument("--set-up", action="store_true", help="make .venv and stop")


def _chosen(root: Path, only: list[str]) -> list[Path]:
    sources = {path.stem: path for path in sorted((root / "notebooks").glob("*.py"))}
    if not sources:
        raise BookError(f"there are no notebooks in {root / 'notebooks'}: run this in a clone of the repository")
    if unknown := [name for name in only if name not in sources]:
        raise BookError(f"no notebook {unknown[0]!r}; there are: {', '.join(sources)}")
    return [sources[name] for name in dict.fromkeys(only)] or list(sources.values())


def _data() -> str:
    """Fetch MNIST where it is not there yet; says which data the notebooks will find."""
    from vrnn3d.data import mnist
    from vrnn3d.data.folders import cache_folder, given_folder

    fetched = mnist.fetch(progress=True)
    print(f"digits: {fetched.source} ({fetched.folder})", flush=True)
    found = ["excerpt" if fetched.source == "excerpt" else "given" if given_folder() else "cache"]
    for place in filter(None, (given_folder(), cache_folder())):
        for path in sorted(_files(place / "kth", place / "moving_mnist")):  # what a user may have put there
            found.append(f"{path.relative_to(place).as_posix()} {path.stat().st_size}")
    return "\n".join(found)


def _check_profile(profile: str) -> None:
    """``ValueError`` for a profile that the live training of the book does not know, before anything is executed."""
    from vrnn3d.study import profiles

    profiles.get("live", profile)


def _make(args: argparse.Namespace, root: Path) -> None:
    started = time.monotonic()
    if args.jobs < 1:
        raise BookError(f"--jobs is {args.jobs}, and must be at least 1")
    sources = _chosen(root, args.only)
    _check_profile(args.profile)
    check_writable(root / "book" / "executed")
    check_writable(root / "_build")
    data = _data()
    executed = execute(
        sources,
        root=root,
        parameters={"profile": args.profile},
        data=data,
        jobs=args.jobs,
        force=args.force,
    )
    print(f"{len(executed)} of {len(sources)} notebooks executed, the others unchanged", flush=True)
    made = root / "book" / "executed"
    if missing := [path.stem for path in _chosen(root, []) if _key_of(made / f"{path.stem}.ipynb") is None]:
        print(f"pages not built: {', '.join(missing)} not executed yet")
        return
    built = build(root, args.force)
    print(f"pages {'built' if built else 'unchanged'}; {time.monotonic() - started:.0f} s in all\n")
    print(f"The book: {root / '_build' / 'html' / 'index.html'}")


def run(args: argparse.Namespace) -> int:
    """Build the book; 0 on success, 1 with the reason on stderr."""
    try:
        if args.set_up:
            set_up()
        elif equipped():
            _make(args, ROOT)
        elif Path(sys.prefix).resolve() == ROOT / ".venv":
            raise BookError(f"{sys.prefix} lacks packages of the book: delete it and start again")
        else:
            start = f"from vrnn3d.book import die_with, main; die_with({os.getpid()}); raise SystemExit(main())"
            return subprocess.call([str(set_up()), "-c", start, *sys.argv[1 + (sys.argv[1:2] == ["book"]) :]], cwd=ROOT)
    except KeyboardInterrupt as stop:
        return _stopped(stop)
    except Exception as error:
        if came := swallowed():
            return _stopped(came)
        if not isinstance(error, (BookError, OSError, ValueError)):  # the last two: data that are damaged
            raise
        print(error, file=sys.stderr)
        return 1
    return 0


def _stopped(stop: KeyboardInterrupt) -> int:
    print("interrupted; the next make book goes on", file=sys.stderr)
    return exit_status(stop)


def main(argv: list[str] | None = None) -> int:
    """The command ``python -m vrnn3d.book``."""
    parser = argparse.ArgumentParser(
        "python -m vrnn3d.book", description=__doc__, formatter_class=argparse.ArgumentDefaultsHelpFormatter
    )
    add_arguments(parser)
    args = parser.parse_args(argv)
    raise_when_terminated()
    return run(args)


if __name__ == "__main__":
    raise SystemExit(main())
