"""Every command of the README and of the page on reproducing is run as it is written, in a copy of the repository.

What takes too long is recognised by its name, with the reason; what of it is a command of this package must at least be
understood by the command line.
"""

from __future__ import annotations

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from test_packaging import tracked

import extended
from vrnn3d.cli import parser
from vrnn3d.show import save_animation

pytestmark = pytest.mark.slow  # runs what the documents say

ROOT = Path(__file__).resolve().parent.parent
DOCUMENTS = ("README.md", "book/reproduce.md")

#: {how a command that is not run here looks like: why}
NOT_RUN = {
    r"\bmake (book|test|quick|check)$": "minutes, in an environment of its own; tests/test_packaging.py dry-runs them",
    r"^python -m vrnn3d\.book$": "what make book does",
    r"^pip install ": "changes the environment; tests/test_packaging.py has pip resolve it",
    r"^source \.venv/bin/activate$": "this test runs in the environment already",
    r"^jupyter-book build": "wants every chapter executed; make book does that",
    r"--profile (half|paper)\b": "hours",
    r"^vrnn3d train --next\b": "days",
    r"^(torchrun|for i in) ": "days, on several processes",
    r"^vrnn3d bench$": "ten minutes; tests/study/bench runs it at a small size",
}


def commands(document: str) -> list[str]:
    """The commands in a document's blocks of shell, and those of this package in its text; the scripts of a cluster apart."""
    text = (ROOT / document).read_text(encoding="utf-8")
    found = []
    for block in re.findall(r"^```bash\n(.*?)^```", text, re.M | re.S):
        if not block.startswith("#!"):
            found += [line.partition("  #")[0].strip() for line in block.splitlines()]
    prose = re.sub(r"^```.*?^```", "", text, flags=re.M | re.S)
    found += [" ".join(words.split()) for words in re.findall(r"`(vrnn3d (?:list|train|data|predict|evaluate) [^`]+)`", prose)]
    return [command for command in found if command and "path/of" not in command]


def reason(command: str) -> str | None:
    return next((why for pattern, why in NOT_RUN.items() if re.search(pattern, command)), None)


def test_there_are_commands_and_every_exception_is_needed():
    found = [command for document in DOCUMENTS for command in commands(document)]
    assert len(found) > 25
    assert [pattern for pattern in NOT_RUN if not any(re.search(pattern, command) for command in found)] == []


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_command_line_understands_what_is_not_run(document):
    for command in filter(reason, commands(document)):
        words = shlex.split(command)
        if words[0] == "vrnn3d":
            parser(words[1]).parse_args(words[1:])


@pytest.fixture(scope="module")
def clone(tmp_path_factory):
    """A copy of the repository as git has it, with clips and a model of a user in it, and the environment to run commands in.

    Both documents share it, so that what both train is trained once.
    """
    tmp_path = tmp_path_factory.mktemp("documents")
    folder = tmp_path / "clone"
    for path in tracked():
        target = folder / path.relative_to(ROOT)
        target.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, target)
    square = np.zeros((60, 32, 40), np.uint8)
    for t in range(60):
        square[t, t % 24 : t % 24 + 8, t % 30 : t % 30 + 8] = 255
    save_animation({"": square}, folder / "my_clip.mp4")
    (folder / "my_clips").mkdir()
    for number in range(3):
        np.save(folder / "my_clips" / f"{number}.npy", np.roll(square, number, axis=1))
    (folder / "mine.py").write_text(extended.block("A model"))
    scripts = tmp_path / "bin"
    scripts.mkdir()
    (scripts / "vrnn3d").write_text(f'#!/bin/sh\nexec "{sys.executable}" -m vrnn3d "$@"\n')
    (scripts / "python").write_text(f'#!/bin/sh\nexec "{sys.executable}" "$@"\n')
    for script in scripts.iterdir():
        script.chmod(0o755)
    places = [str(scripts), str(Path(sys.executable).parent), os.environ["PATH"]]
    without = {name: value for name, value in os.environ.items() if name not in ("PYTHONPATH", "VRNN3D_RESULTS")}
    return folder, {**without, "PATH": os.pathsep.join(places), "PYTHONPATH": str(folder), "OMP_NUM_THREADS": "1"}


@pytest.mark.slow
@pytest.mark.skipif(sys.platform == "win32" or shutil.which("bash") is None, reason="the documents speak to a Unix shell")
@pytest.mark.parametrize("document", DOCUMENTS)
def test_every_command_runs(document, clone):
    folder, environment = clone
    failed = []
    for command in commands(document):
        if reason(command):
            continue
        done = subprocess.run(
            ["bash", "-e", "-o", "pipefail", "-c", command], cwd=folder, env=environment, capture_output=True, text=True
        )
        partial = "vrnn3d data" in command and re.search("excerpt|not all of KTH|no clips of it", done.stdout + done.stderr)
        if done.returncode and not partial:  # without the whole data the command fails, and says what there is
            failed.append(f"$ {command}\n{done.stdout[-500:]}{done.stderr[-1500:]}")
    assert not failed, "\n".join(failed)


@pytest.mark.parametrize("document", DOCUMENTS)
def test_the_examples_in_python_run(document, tmp_path):
    text = (ROOT / document).read_text(encoding="utf-8")
    examples = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    assert examples
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    for example in examples:
        command = [sys.executable, "-c", example + "\nassert future.shape == (1, 5, 10, 1, 64, 64)"]
        done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
