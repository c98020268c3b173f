"""Whatever is typed, and whatever a file holds: exit 0, 1 or 2, at most three lines on stderr, nothing written elsewhere.

``make test`` tries a few hundred faults. ``VRNN3D_FUZZ=50 python -m pytest -q -s tests/cli/test_fuzz.py`` tries fifty times
as many, other ones each time, and prints how many of which kind.
"""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import os
import pickle
import random
import shutil
import signal
import subprocess
import sys
import time
import traceback
import warnings
from collections import Counter
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from PIL import Image

from trials import MINI, mini_profile
from vrnn3d import book, checkpoint, cli, published, show
from vrnn3d.config import known_settings
from vrnn3d.study import profiles, queue, records
from vrnn3d.study.bench import rounds
from vrnn3d.study.bench.measure import Outcome

pytestmark = pytest.mark.slow  # hundreds of tries

TIMES = int(os.environ.get("VRNN3D_FUZZ", "0"))
MODEL = "vrnn2d"
LONGEST = 120  # seconds of one try; what takes longer has hung
TRIED: Counter[tuple[str, int | None]] = Counter()  #: by kind and exit status
FAILED: Counter[str] = Counter()  #: by kind


def tries(few: int):
    """So many examples, or many more where that is asked for."""
    return hypothesis_settings(
        max_examples=few * (TIMES or 1),
        derandomize=not TIMES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        report_multiple_bugs=False,
    )


class Hung(BaseException):
    """A try took too long."""


# --- one try ----------------------------------------------------------------------------------------------------------


def tree(folder: Path) -> dict[str, tuple[int, int]]:
    """{path: (size, time of the last change)} of all files below a folder."""
    found = {}
    for path in folder.rglob("*"):
        if path.is_file():
            state = path.stat()
            found[str(path.relative_to(folder))] = (state.st_size, state.st_mtime_ns)
    return found


def attempt(words: list[str]) -> tuple[int | None, str]:
    """Exit status, or None for what must not happen, and what was written to stderr, of a command in this process."""
    out, err = io.StringIO(), io.StringIO()

    def hang(*_: object) -> None:
        raise Hung(f"not done after {LONGEST} s")

    before = signal.signal(signal.SIGALRM, hang)
    signal.alarm(LONGEST)
    try:
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err), warnings.catch_warnings():
            warnings.simplefilter("default")
            warnings.showwarning = lambda message, *_, **__: err.write(f"vrnn3d: {message}\n")
            try:
                status = cli.main(words)
            except SystemExit as ended:
                status = int(ended.code or 0)
            except (Exception, Hung):
                return None, traceback.format_exc()
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)
    return status, err.getvalue()


def check(kind: str, world: SimpleNamespace, words: list[str], *mine: str) -> None:
    """Try a command in the world's folder; `mine` begin the names of what it may write, besides "out"."""
    before = tree(world.root)
    status, err = attempt(words)
    TRIED[kind, status] += 1
    lines = [line for line in err.split("\n") if line.strip() and "\r" not in line]
    touched = {name for name, state in tree(world.root).items() if before.get(name) != state}
    allowed = tuple(os.path.normpath(f"cwd/{own}") for own in ("out", *mine))
    elsewhere = sorted(name for name in touched if not name.startswith(allowed) and "." not in allowed)
    try:
        assert status in (0, 1, 2), f"{words}: {err}"
        assert len(lines) <= 3 and "Traceback" not in err, f"{words}: {err}"
        assert lines or status == 0, f"{words} failed without a word"
        assert all(len(line) < 2500 for line in lines), f"{words}: {err}"
        assert not elsewhere, f"{words} wrote {elsewhere}"
    except AssertionError:
        FAILED[kind] += 1
        raise
    finally:
        shutil.rmtree(world.cwd / "out", ignore_errors=True)


# --- the world in which they are made ---------------------------------------------------------------------------------

FEW = ["train.sequences=4", "train.batch=2", "eval.sequences=2", "eval.samples=1"]


@pytest.fixture(scope="module", autouse=True)
def world(tmp_path_factory) -> Iterator[SimpleNamespace]:
    """A folder with a run, published weights and a clip in it; profiles, queues and measurements of a moment."""
    root = tmp_path_factory.mktemp("world")
    cwd = root / "cwd"
    cwd.mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(cwd)
        patch.setenv("VRNN3D_RESULTS", str(root / "results"))
        patch.setenv("VRNN3D_OFFLINE", "1")
        patch.setenv("XDG_CACHE_HOME", str(root / "cache"))
        patch.setattr(profiles, "PROFILES", {MINI: mini_profile(), "smoke": mini_profile()})
        patch.setattr(queue, "QUEUES", {MINI: queue.Queue("for tests", (queue.Step(MINI, (MODEL, "black")),))})
        patch.setattr(published, "home", lambda: cwd / "weights")
        patch.setattr(published, "places", lambda: [cwd / "weights"])
        patch.setattr(rounds, "in_a_process", lambda job: Outcome(1.0, 1.0, 1, 1.0))
        patch.setattr(rounds, "counts", lambda job: {})
        patch.setattr("vrnn3d.study.run.training_gigaflops", lambda experiment: 1.0)  # counting takes longer than all else
        for long in ("execute", "build", "set_up"):
            patch.setattr(book, long, lambda *_, **__: [])
        patch.setattr(book, "equipped", lambda: True)
        made = attempt(["train", MODEL, "--profile", MINI, "--out", "runs", "--quiet", "--record"])
        assert made[0] == 0, made
        run = Path("runs", MINI, MODEL, "seed0")
        assert attempt(["publish", str(run), "--name", "good"])[0] == 0
        np.save("clip.npy", np.random.default_rng(0).integers(0, 256, (12, 16, 16), np.uint8))
        for part in ("cwd", "results"):
            shutil.copytree(root / part, root / "kept" / part)
        yield SimpleNamespace(root=root, cwd=cwd, run=run)
    if TIMES:
        print_table()


def print_table() -> None:
    """How many faults of each kind were tried, how the commands ended, and how many ended as they must not."""
    heads = ("kind", "tries", "exit 0", "exit 1", "exit 2", "130 or 143", "failures")
    print(f"\n| {' | '.join(heads)} |\n{'| --- ' * len(heads)}|", file=sys.__stdout__)
    for kind in dict.fromkeys(kind for kind, _ in TRIED):
        by = {status: count for (its, status), count in TRIED.items() if its == kind}
        counts = [sum(by.values()), by.get(0, 0), by.get(1, 0), by.get(2, 0), by.get(130, 0) + by.get(143, 0), FAILED[kind]]
        print(f"| {kind} |", *(f"{count} |" for count in counts), file=sys.__stdout__)


ODD = [
    "", " ", "-", "--", "-1", "0", "1", "3", "1.5", "nan", "inf", "-inf", "1e400", "9" * 30, "\u00e4", "\udcff",
    "\0", "a\nb", "{}", "[", "null", "true", "nowhere", "..", "../x", ".", "/dev/null", "/proc/x", "x" * 300,
    "clip.npy", "runs", "good", "a/b", "%s", "{0}", "*", "~", "cpu", "cuda", "cuda:9", "tpu", "mps", "meta", "out",
    "out/x.webp", "out/x.json", "vrnn3d_kl",
]  # fmt: skip


def options_of(command: str) -> list[argparse.Action]:
    """What a command's parser takes."""
    parser = cli.parser(command)
    (commands,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return [a for a in commands.choices[command]._actions if not isinstance(a, argparse._HelpAction)]


@st.composite
def command_lines(draw: Any) -> list[str]:
    """A command with its arguments in place, of which some are odd, missing or too many."""
    command = draw(st.sampled_from([*cli.COMMANDS, "", "fly"]))
    words = [command]
    if command not in cli.COMMANDS:
        return words + draw(st.lists(st.sampled_from(ODD), max_size=3))
    odd = st.sampled_from(ODD) | st.text(max_size=8).filter(lambda text: not text.startswith("/"))
    for action in options_of(command):
        if action.option_strings and draw(st.integers(0, 3)):
            continue
        usual = [str(choice) for choice in action.choices or ()] or ["clip.npy", "1", "10"]
        value = odd | st.sampled_from(usual)
        words += action.option_strings[:1]
        if action.nargs != 0:
            count = draw(st.sampled_from([1, 1, 1, 0, 2])) if action.nargs in ("*", "+", "?") else 1
            words += [draw(value) for _ in range(count)]
    if command in ("train", "evaluate", "bench", "export", "predict") and draw(st.integers(0, 2)):
        words += {"export": ["--web", "out/x.js"], "predict": ["--out", "out/x.webp"]}.get(command, ["--out", "out"])
    if command == "train":
        words += ["--max-minutes", "1e-6", "--quiet"]
    return words


#: What a command writes where nothing is said.
DEFAULTS = ("runs", "weights", "prediction")


@tries(40)
@given(words=command_lines())
def test_command_lines(world, words):
    said_out = [words[i + 1] for i, word in enumerate(words[:-1]) if word in ("--out", "--web", "--onnx", "--torch")]
    try:
        check("command lines", world, words, "../cache", *DEFAULTS, *filter(None, said_out))
    finally:
        restore(world)


def restore(world: SimpleNamespace) -> None:
    """Bring run, weights, records and clip back, and nothing else."""
    for path in (*world.cwd.iterdir(), *world.root.iterdir()):
        if path.name not in ("cwd", "kept"):
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    shutil.copytree(world.root / "kept", world.root, dirs_exist_ok=True)


# --- settings ---------------------------------------------------------------------------------------------------------

JUNK = st.sampled_from([
    "", "x", "nan", "NaN", "Infinity", "-Infinity", "null", "true", "[]", "{}", "[[]]", "[0]", "[-1]", "[\"x\"]",
    "[null]", "-16", "-1", "0", "1", "2", "3", "7", "0.5", "1e-300", "1e300", "1e400", "9223372036854775808",
    "1000000000000000000", "[1,2,3]", "{\"a\":1}", "[[5,5]]", "[[0,0]]", "[[5]]", "black", "kl_pq", "video", "kth",
    "moving_mnist", "nowhere", "clip.npy", "../..", "\u00e4", "[",
])  # fmt: skip
NAMES = st.sampled_from([
    *known_settings(), "model.options.hidden", "model.options.widths", "model.options.latent", "model.options.head",
    "model.options.dimensions", "model.options.channels", "model.options.window", "data.name", "data.path", "data",
    "model", "", ".", "train.", "x.y", "model.options", "model.options.", "train.lr.x",
])  # fmt: skip


@tries(15)
@given(
    pairs=st.lists(st.tuples(NAMES, JUNK), min_size=1, max_size=2), name=st.sampled_from(["vrnn3d_kl", "convlstm2d", "black"])
)
def test_settings(world, pairs, name):
    words = ["train", name, "--profile", MINI, "--out", "out", "--quiet", "--max-minutes", "1e-6", "--set", *FEW]
    if pairs[0][0].startswith(("data", "eval")) and name == "black":
        words = ["evaluate", str(world.run), "--out", "out/e.json", "--quiet", "--set"]
        pairs = [(key, value) for key, value in pairs if key != "eval.samples" or len(value) < 15]  # more would take days
    check("settings", world, [*words, *(f"{key}={value}" for key, value in pairs)])


# --- bytes ------------------------------------------------------------------------------------------------------------


def spoiled(content: bytes, chance: random.Random) -> bytes:
    """Bytes with a bit or several flipped, cut, doubled, emptied, or replaced by noise."""
    changed = bytearray(content)
    match chance.randrange(7):
        case 0:
            changed[chance.randrange(len(changed))] ^= 1 << chance.randrange(8)
        case 1:
            for _ in range(chance.randrange(1, 200)):
                changed[chance.randrange(len(changed))] = chance.randrange(256)
        case 2:
            del changed[chance.randrange(len(changed)) :]
        case 3:
            start = chance.randrange(len(changed))
            del changed[start : start + chance.randrange(1, 64)]
        case 4:
            changed[: min(len(changed), 128)] = chance.randbytes(min(len(changed), 128))
        case 5:
            changed[:] = chance.randbytes(chance.randrange(300))
        case 6:
            changed += changed[: chance.randrange(len(changed))]
    return bytes(changed)


class Bomb:
    """A pickle that would leave a file behind if it were run."""

    def __reduce__(self):
        return Path.touch, (Path("exploded"),)


VALUES: list[Any] = [None, True, -1, 0, 1, 10**18, 0.5, 1e300, "", "x", "../x", [], [1], {}, {"a": 1}, [[1]], "5->5", "vrnn3d"]


def altered(value: Any, chance: random.Random) -> Any:
    """JSON values with one of them, at any depth, replaced, removed or put under another name."""
    if isinstance(value, dict) and value and chance.random() < 0.85:
        value = dict(value)
        key = chance.choice(list(value))
        match chance.randrange(8):
            case 0:
                del value[key]
            case 1:
                value[f"{key}x"] = value.pop(key)
            case _:
                value[key] = altered(value[key], chance)
        return value
    if isinstance(value, list) and value and chance.random() < 0.7:
        number = chance.randrange(len(value))
        return [*value[:number], altered(value[number], chance), *value[number + 1 :]]
    return chance.choice(VALUES)


def spoil_json(path: Path, chance: random.Random) -> None:
    """Alter the values of a JSON file, or its bytes."""
    if chance.random() < 0.2:
        path.write_bytes(spoiled(path.read_bytes(), chance))
    elif chance.random() < 0.05:
        path.write_text("[" * 100_000)
    else:
        path.write_text(json.dumps(altered(json.loads(path.read_text("utf-8")), chance)))


CHANCE = st.randoms(use_true_random=True) if TIMES else st.integers(0, 10**6).map(random.Random)


# --- clips ------------------------------------------------------------------------------------------------------------


@cache
def good_mp4() -> bytes:
    """A video of twelve frames."""
    return show.ANIMATIONS[".mp4"]([Image.new("L", (16, 16), 20 * number) for number in range(12)], 8)


def write_clip(folder: Path, chance: random.Random) -> Path:
    """A clip of some kind that is mostly not one."""
    numbers = np.random.default_rng(chance.randrange(10**6))
    shape = chance.choice(
        [(12, 16, 16), (12, 16, 16, 3), (12, 1, 16, 16), (2, 12, 16, 16), (3,), (), (12, 0, 16), (0, 16, 16), (1, 16, 16),
         (12, 1, 1), (12, 16, 16, 5), (12, 3, 5), (1, 2, 3, 4, 5, 6), (9, 300, 2), (12, 16, 16, 4), (12, 3, 16, 3)]
    )  # fmt: skip
    kind = chance.choice(["u1", "u2", "i4", "f4", "f8", "f2", "?", "c8", "U3", "M8[s]", "O"])
    array = (numbers.random(shape) * chance.choice([1, 255, 1e9, -1, np.nan])).astype("f8")
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        array = array.astype("u1" if chance.random() < 0.3 else kind)
    match chance.randrange(7):
        case 6:
            path = folder / "clip.mp4"
            path.write_bytes(good_mp4())
        case 0 | 1:
            path = folder / "clip.npy"
            np.save(path, array)
        case 2:
            path = folder / "clip.npz"
            np.savez(path, **{name: array for name in chance.choice([["frames"], ["a"], ["a", "b"], ["frames", "a"]])})
        case 3 | 4:
            path = folder / f"clip.{chance.choice(['gif', 'webp', 'apng'])}"
            images = [Image.fromarray(numbers.integers(0, 256, (16, 16), np.uint8)) for _ in range(chance.choice([1, 2, 12]))]
            kind = {"apng": "PNG"}.get(path.suffix[1:], path.suffix[1:].upper())
            images[0].save(path, kind, save_all=True, append_images=images[1:])
        case _:
            path = folder / "pictures"
            path.mkdir()
            for number in range(chance.choice([0, 1, 12])):
                image = Image.fromarray(numbers.integers(0, 256, (16, 16 + (chance.random() < 0.05)), np.uint8))
                image.convert(chance.choice("LLL1PIF")).save(path / f"{number}.tif")
                if chance.random() < 0.1:
                    (path / f"{number}.png").write_bytes(chance.randbytes(50))
            return path
    if chance.random() < 0.5:
        path.write_bytes(spoiled(path.read_bytes(), chance))
    if chance.random() < 0.1:
        path = path.rename(folder / f"clip.{chance.choice(['mp4', 'avi', 'txt', 'npy', 'gif', ''])}")
    return path


@tries(30)
@given(chance=CHANCE)
def test_clips(world, chance):
    folder = world.cwd / "clips"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    clip = write_clip(folder, chance)
    words = ["predict", str(clip), "--model", str(world.run), "--context", "5", "--frames", "2", "--samples", "1"]
    words += ["--out", chance.choice(["out/x.webp", "out/x.npz", "out/x"]), *chance.choice([[], ["--start", "0"], ["--last"]])]
    if chance.random() < 0.4:
        own = chance.choice([["train", "convlstm2d", "--profile", MINI, "--max-minutes", "1e-6"], ["evaluate", str(world.run)]])
        words = [*own, "--clips", "clips", "--out", "out/x" if own[0] == "train" else "out/e.json", "--quiet"]
    check("clips", world, words)


# --- checkpoints, published weights, records --------------------------------------------------------------------------


def use(chance: random.Random, source: str) -> list[str]:
    """A command that reads a model."""
    return chance.choice(
        [
            ["evaluate", source, "--quiet", "--sequences", "1", "--samples", "1", "--out", "out/e.json"],
            ["predict", "clip.npy", "--model", source, "--frames", "1", "--samples", "1", "--out", "out/x.npy"],
            ["export", source, "--web", "out/x.js"],
        ]
    )


def spoil_state(state: dict[str, Any], chance: random.Random) -> None:
    """Change a part of a checkpoint, whose digest will be right nevertheless."""
    name = chance.choice(list(state))
    if isinstance(state[name], dict) and state[name] and chance.random() < 0.7:
        key = chance.choice(list(state[name]))
        change = chance.choice([torch.zeros(3), torch.zeros(0), 5, None, torch.tensor(float("nan"))])
        state[name] = {**state[name], key: change}
        if chance.random() < 0.3:
            del state[name][key]
    elif name in ("config", "curves") and chance.random() < 0.8:
        state[name] = json.dumps(altered(json.loads(state[name]), chance))
    else:
        state[name] = chance.choice([*VALUES, -16, torch.zeros(2)])
    if chance.random() < 0.1:
        del state[name]


@tries(20)
@given(chance=CHANCE)
def test_checkpoints(world, chance):
    path = world.cwd / world.run / checkpoint.CHECKPOINT
    try:
        if chance.random() < 0.5:
            state = checkpoint.load_state(path)
            spoil_state(state, chance)
            checkpoint.save(path.parent, state)
        elif chance.random() < 0.2:
            path.write_bytes(pickle.dumps(Bomb()))
        elif chance.random() < 0.1:
            torch.save({"model": Bomb(), "digest": ""}, path)
        else:
            path.write_bytes(spoiled(path.read_bytes(), chance))
        again = ["train", MODEL, "--profile", MINI, "--out", "runs", "--quiet"]
        publish = ["publish", str(world.run), "--name", "bad"]
        words = chance.choice([use(chance, str(world.run)), use(chance, str(world.run)), publish, again])
        if words is again:
            (path.parent / "record.json").unlink()
        check("checkpoints", world, words, "runs", "weights/bad")
    finally:
        restore(world)


@tries(20)
@given(chance=CHANCE)
def test_published_weights(world, chance):
    folder = world.cwd / "weights" / "good"
    try:
        path = chance.choice(sorted(folder.iterdir()))
        match chance.randrange(4):
            case 0:
                path.write_bytes(spoiled(path.read_bytes(), chance))
            case 1:
                path.unlink()
            case 2:
                spoil_json(folder / published.CONFIG, chance)
            case _:  # the hash agrees with what is wrong
                weights = folder / published.WEIGHTS
                weights.write_bytes(spoiled(weights.read_bytes(), chance))
                about = json.loads((folder / published.CONFIG).read_text())
                about["files"] = {weights.name: published._sha256(weights)}
                (folder / published.CONFIG).write_text(json.dumps(about))
        check("published weights", world, use(chance, "good"))
    finally:
        restore(world)


@tries(20)
@given(chance=CHANCE)
def test_records(world, chance):
    path = world.cwd / world.run / "record.json"
    try:
        if chance.random() < 0.5:
            path = records.folder() / MINI / MODEL / "seed0.json"
        spoil_json(path, chance)
        words = chance.choice(
            [
                ["list"],
                ["list", MINI],
                ["train", "--next", MINI, "--quiet"],
                ["train", MODEL, "--profile", MINI, "--quiet"],
                ["publish", str(world.run), "--name", "bad"],
            ]
        )
        check("records", world, words, "runs", "weights/bad")
    finally:
        restore(world)


# --- signals ----------------------------------------------------------------------------------------------------------


LONG = {
    "train": ["train", "convlstm2d", "--quiet", "--out", "out", "--set", "train.sequences=100000", "train.batch=4",
              "data.size=16", "data.digit_size=8", "data.length=12", "train.context=[5]"],
    "evaluate": ["evaluate", "RUN", "--out", "out/e.json", "--sequences", "4", "--samples", "100000", "--at-once", "20",
                 "--quiet"],
    "predict": ["predict", "clip.npy", "--model", "RUN", "--out", "out/x.npy", "--frames", "1000", "--samples", "10000",
                "--quiet"],
}  # fmt: skip


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM] * max(1, TIMES // 5))
@pytest.mark.parametrize("command", LONG)
def test_a_signal_at_any_moment_ends_a_command_in_one_line(world, command, number):
    # From the first line of the command on: before it Python's own start is interrupted, which no program can tell in a line.
    code = (
        "import signal, sys; from vrnn3d.cli import main\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"  # a shell's background jobs begin with it ignored
        "print('on', flush=True); sys.exit(main(sys.argv[1:]))"
    )
    words = [str(world.run) if word == "RUN" else word for word in LONG[command]]
    environment = {**os.environ, "PYTHONPATH": str(book.ROOT)}
    start = [sys.executable, "-c", code, *words]
    with subprocess.Popen(start, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment) as process:
        assert process.stdout is not None and process.stdout.readline() == "on\n"
        time.sleep(random.uniform(0.05, 12))
        process.send_signal(number)
        _, err = process.communicate(timeout=LONGEST)
    told = [line for line in err.splitlines() if "EXCERPT of MNIST stands in" not in line]  # where MNIST could not be had
    good = process.returncode == 128 + number and len(told) == 1
    TRIED["signals", process.returncode] += 1
    FAILED["signals"] += not good
    assert good, f"{process.returncode}: {err}"
    left = [
        path
        for path in Path("out").rglob("*")
        if path.is_file() and path.name not in (".claim", "calls.json", "checkpoint.pt", "curves.csv", "record.json")
    ]
    shutil.rmtree("out", ignore_errors=True)
    assert left == [], "nothing is half-written"
