"""``python -m vrnn3d.book``: execute every notebook with papermill, several at a time, then build the Jupyter Book.

Notebooks are jupytext scripts in ``notebooks/``; executed copies go to ``book/executed/``, which is where the book's
pages come from. A notebook whose source, parameters, package, records and library versions are those of its last
execution is not run again; where nothing at all has changed, the book is not built again either.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib.metadata
import json
import os
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("torch", "numpy", "matplotlib", "papermill", "jupytext", "jupyter-book", "sphinx", "sphinx-book-theme")
CONVENTION = "2"  # raise it when the way notebooks are executed changes


class NotebookFailed(RuntimeError):
    """A cell raised; the message holds notebook, cell and traceback."""


def _digest(paths: list[Path], extra: str = "") -> str:
    found = hashlib.sha256(extra.encode())
    for path in sorted(paths):
        found.update(str(path.relative_to(ROOT) if path.is_relative_to(ROOT) else path.name).encode())
        found.update(path.read_bytes())
    return found.hexdigest()


def _versions() -> str:
    found = {}
    for name in VERSIONS:
        try:
            found[name] = importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            found[name] = None
    return json.dumps({**found, "python": sys.version.split()[0], "convention": CONVENTION}, sort_keys=True)


def notebook_hash(source: Path, parameters: dict, root: Path = ROOT) -> str:
    """Names everything that decides what a notebook's execution gives."""
    files = [source, *(p for p in (root / "vrnn3d").rglob("*.py")), *(p for p in (root / "results").rglob("*.json"))]
    return _digest(files, json.dumps(parameters, sort_keys=True) + _versions())


def _kernels(folder: Path) -> None:
    """A kernel specification "python3" of this very interpreter, whatever else is installed."""
    spec = folder / "kernels" / "python3"
    spec.mkdir(parents=True)
    command = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    spec.joinpath("kernel.json").write_text(json.dumps({"argv": command, "display_name": "Python 3", "language": "python"}))


def execute(source: Path, target: Path, parameters: dict, threads: int = 1) -> float:
    """Execute one jupytext notebook into `target` (.ipynb), written only when all of it succeeded; seconds taken.

    Raises:
        NotebookFailed: with the cell and its traceback.
    """
    with tempfile.TemporaryDirectory() as private:
        _kernels(Path(private))
        os.environ |= {
            "JUPYTER_PATH": private,
            "IPYTHONDIR": str(Path(private) / "ipython"),
            "OMP_NUM_THREADS": str(threads),
            "VRNN3D_OFFLINE": "1",  # the data were fetched before; no kernel goes looking for them again
            "PYDEVD_DISABLE_FILE_VALIDATION": "1",
        }
        import jupytext
        import papermill
        from papermill.exceptions import PapermillExecutionError

        started = time.monotonic()
        try:
            notebook = papermill.execute_notebook(
                jupytext.read(source),
                None,
                parameters=parameters,
                kernel_name="python3",
                progress_bar=False,
                cwd=str(ROOT),
                language="python",
            )
        except PapermillExecutionError as error:
            trace = "\n".join(error.traceback)
            raise NotebookFailed(
                f"{source.name} failed in cell {error.exec_count}:\n\n{error.source}\n\n{trace}\n{error.ename}: {error.evalue}"
            ) from None
    notebook.metadata.pop("papermill", None)  # holds times and absolute paths
    for cell in notebook.cells:
        cell.metadata.pop("papermill", None)
        cell.metadata.pop("execution", None)
        tags = cell.metadata.get("tags", [])
        if "parameters" in tags or "injected-parameters" in tags:
            cell.metadata["tags"] = [*tags, "remove-cell"]
    import nbformat

    from vrnn3d.checkpoint import atomic_write

    atomic_write(target, lambda path: path.write_text(nbformat.writes(notebook)))
    return time.monotonic() - started


def _run(source: str, target: str, parameters: dict, digest: str) -> tuple[str, float]:
    seconds = execute(Path(source), Path(target), parameters)
    Path(target).with_suffix(".hash").write_text(digest)
    return source, seconds


def execute_all(sources: list[Path], folder: Path, parameters: dict, jobs: int = 2, force: bool = False) -> list[Path]:
    """Execute the notebooks that have changed, `jobs` at a time, with one bar over notebooks; those that were run.

    Every notebook is tried; then, if any failed, ``NotebookFailed`` is raised with all their messages.
    """
    from tqdm import tqdm

    folder.mkdir(parents=True, exist_ok=True)
    todo = []
    for source in sources:
        digest, target = notebook_hash(source, parameters), folder / f"{source.stem}.ipynb"
        stamp = target.with_suffix(".hash")
        if force or not (target.exists() and stamp.exists() and stamp.read_text() == digest):
            todo.append((str(source), str(target), parameters, digest))
    failures, done = [], []
    bar = tqdm(total=len(sources), initial=len(sources) - len(todo), desc="notebooks", unit=" notebook")
    with ProcessPoolExecutor(max(1, jobs), max_tasks_per_child=1, mp_context=__import__("multiprocessing").get_context("spawn")) as pool:
        for future in as_completed([pool.submit(_run, *job) for job in todo]):
            try:
                source, seconds = future.result()
                done.append(Path(source))
                bar.set_postfix_str(f"{Path(source).stem} {seconds:.0f} s")
                bar.update()
            except NotebookFailed as error:
                failures.append(str(error))
    bar.close()
    if failures:
        raise NotebookFailed("\n\n".join(failures))
    return done


def build(force: bool = False) -> tuple[Path, bool]:
    """Build the book with warnings as errors: (page to open, whether it was built anew).

    Raises:
        RuntimeError: with what Sphinx said.
    """
    page, stamp = ROOT / "_build" / "html" / "index.html", ROOT / "_build" / "stamp"
    pages = [p for p in (ROOT / "book").rglob("*") if p.is_file() and p.suffix != ".hash" and "__pycache__" not in p.parts]
    package = list((ROOT / "vrnn3d").rglob("*.py"))
    digest = _digest([*pages, *package, ROOT / "_config.yml", ROOT / "_toc.yml"], _versions())
    if not force and page.exists() and stamp.exists() and stamp.read_text() == digest:
        return page, False
    command = [sys.executable, "-m", "jupyter_book", "build", ".", "--all", "-W", "-n", "--keep-going", "--quiet"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"jupyter-book build failed:\n{done.stdout[-4000:]}\n{done.stderr[-6000:]}")
    stamp.write_text(digest)
    return page, True


def main(argv: list[str] | None = None) -> int:
    """The command line; 0 when the book stands, 1 with the failing cell's traceback otherwise."""
    parser = argparse.ArgumentParser("python -m vrnn3d.book", description=__doc__.split("\n\n")[0])
    parser.add_argument("--profile", default="smoke", help="size of what notebooks train themselves (default: smoke)")
    parser.add_argument("--jobs", type=int, default=2, help="notebooks at a time (default: 2)")
    parser.add_argument("--only", nargs="*", metavar="NAME", help="execute these notebooks only, as 02_model")
    parser.add_argument("--force", action="store_true", help="execute and build even where nothing changed")
    parser.add_argument("--no-build", action="store_true", help="execute the notebooks, leave the book")
    args = parser.parse_args(argv)

    from vrnn3d.experiments import PROFILES

    if args.profile not in PROFILES:
        parser.error(f"no profile {args.profile!r}; there are: {', '.join(PROFILES)}")
    sources = sorted((ROOT / "notebooks").glob("*.py"))
    if args.only:
        known = {s.stem: s for s in sources}
        unknown = [name for name in args.only if name.removesuffix(".py") not in known]
        if unknown:
            parser.error(f"no notebook {', '.join(unknown)}; there are: {', '.join(known)}")
        sources = [known[name.removesuffix(".py")] for name in args.only]

    os.chdir(ROOT)
    started = time.monotonic()
    try:
        from vrnn3d.data import mnist

        print(f"data: {mnist.fetch(progress=True)}")
        ran = execute_all(sources, ROOT / "book" / "executed", {"profile": args.profile}, args.jobs, args.force)
        print(f"{len(ran)} of {len(sources)} notebooks executed, the others unchanged")
        if args.no_build:
            return 0
        page, anew = build(args.force)
    except (NotebookFailed, RuntimeError, ValueError, OSError) as error:
        print(f"\n{error}", file=sys.stderr)
        return 1
    print(f"{'built' if anew else 'unchanged'} in {time.monotonic() - started:.0f} s; open {page}")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
