"""The command ``vrnn3d``. Each command is a module of this package with ``add_arguments`` and ``run``."""

from __future__ import annotations

import argparse
import io
import os
import signal
import sys
import threading
import warnings
from importlib import import_module
from typing import NoReturn

from vrnn3d.cli.own import add_import, import_own, importing

EXAMPLES = """examples:
  vrnn3d train vrnn3d_kl_ll --profile smoke          a run of seconds, on a CPU
  vrnn3d train vrnn3d_kl_ll --profile half           the paper's model at half scale, about an hour on a CPU core
  vrnn3d train --next half --record                  the next unfinished run of the study's half-scale queue
  vrnn3d predict my_clip.mp4 --out future.webp       continue your own video
  vrnn3d --import mine.py train --set model.name=my_network    train a model of your own, which mine.py registers
  vrnn3d book                                        execute the notebooks and build the book
"""

#: {command: (module, what it does)}
COMMANDS = {
    "data": ("vrnn3d.cli.data", "fetch and check the data"),
    "list": ("vrnn3d.cli.list", "list experiments, profiles and the state of the queues"),
    "train": ("vrnn3d.cli.train", "train one run, or continue it; then evaluate it and write its record"),
    "evaluate": ("vrnn3d.cli.evaluate", "evaluate a run's checkpoint or published weights again"),
    "predict": ("vrnn3d.cli.predict", "continue a video of your own"),
    "publish": ("vrnn3d.cli.publish", "write a run's weights, and a card about them, under weights/"),
    "export": ("vrnn3d.cli.export", "write a model for web pages, ONNX runtimes or as a PyTorch program"),
    "bench": ("vrnn3d.study.bench.command", "measure speed and memory"),
    "book": ("vrnn3d.book", "execute the notebooks and build the book"),
}


class Parser(argparse.ArgumentParser):
    """Shows defaults in ``--help``, and tells an error in one line."""

    def __init__(self, *arguments, **keywords):
        keywords.setdefault("formatter_class", _Help)
        super().__init__(*arguments, **keywords)

    def error(self, message: str) -> NoReturn:
        self.exit(2, f"{self.prog}: {message}; see {self.prog} --help\n")


class _Help(argparse.ArgumentDefaultsHelpFormatter, argparse.RawDescriptionHelpFormatter):
    """Defaults beside every option that has one, examples as they are written."""

    def _get_help_string(self, action: argparse.Action) -> str | None:
        if action.default is None or action.default is False or action.default in ([], argparse.SUPPRESS):
            return action.help
        return super()._get_help_string(action)


def parser(only: str | None = None) -> Parser:
    """The command line. With `only` no other command's module is imported."""
    from vrnn3d import __version__

    top = Parser(
        "vrnn3d", description="Video prediction with a 3D convolutional VRNN: train, evaluate, predict.", epilog=EXAMPLES
    )
    top.add_argument("--version", action="version", version=f"vrnn3d {__version__}")
    add_import(top)
    commands = top.add_subparsers(dest="command", required=True, metavar="COMMAND")
    for name, (module, words) in COMMANDS.items():
        one = commands.add_parser(name, help=words)
        if only in (None, name):
            command = import_module(module)
            one.description = command.__doc__
            command.add_arguments(one)
            one.set_defaults(function=command.run)
    return top


def _command(argv: list[str]) -> str:
    """The command that a command line names; "" where it names none."""
    words = [word for before, word in zip(["", *argv], argv) if before != "--import"]
    return next((word for word in words if word in COMMANDS), "")


def _imports_first(argv: list[str]) -> list[str]:
    """A command line with its ``--import`` before the command, and these imports done: options list what is registered."""
    early = Parser("vrnn3d", add_help=False, allow_abbrev=False)
    add_import(early)
    found, rest = early.parse_known_args(argv)
    for module in found.own:
        import_own(module)
    return [*importing(found.own), *rest]


class Terminated(KeyboardInterrupt):
    """SIGTERM, as an exception like that of SIGINT."""

    number = signal.SIGTERM


#: The signals that came. C code that imports a module may swallow the exception of one, and then fail of something else.
_CAME: list[KeyboardInterrupt] = []


def raise_when_terminated() -> None:
    """Let SIGTERM raise :class:`Terminated` where the program is; no effect outside the main thread."""
    _CAME.clear()
    if threading.current_thread() is threading.main_thread():
        signal.signal(signal.SIGTERM, _stop)
        if signal.getsignal(signal.SIGINT) is signal.default_int_handler:  # a background job ignores it, and shall
            signal.signal(signal.SIGINT, _stop)


def _stop(number: int, frame: object) -> None:
    _CAME.append(Terminated("terminated") if number == signal.SIGTERM else KeyboardInterrupt())
    if _importing("torch"):  # whose C++ would abort the process: the signal comes again a moment later
        again = threading.Timer(0.1, _to_main_thread, [number])
        again.daemon = True
        again.start()
        return
    raise _CAME[-1]


def _to_main_thread(number: int) -> None:
    """Send a signal where it interrupts what the program waits for."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(threading.main_thread().ident or 0, number)
    else:  # Windows
        signal.raise_signal(number)


def _importing(name: str) -> bool:
    """Whether a module is being imported at this moment."""
    return bool(getattr(getattr(sys.modules.get(name), "__spec__", None), "_initializing", False))


def swallowed() -> KeyboardInterrupt | None:
    """The last interrupt that came since :func:`raise_when_terminated`, for whoever finds another error in its place."""
    return _CAME[-1] if _CAME else None


def exit_status(stop: KeyboardInterrupt) -> int:
    """What a shell says of a process that this interrupt ends: 130 or 143."""
    return 128 + getattr(stop, "number", signal.SIGINT)


def _one_line(message: Warning | str, *_: object, **__: object) -> str:
    """A warning as a user wants it: without the line of code that gave it."""
    return f"vrnn3d: {message}\n"


def main(argv: list[str] | None = None) -> int:
    """Run a command; 0 on success, 1 after an error that is the user's to mend (one sentence on stderr), 2 for a
    command line that is wrong, 130 or 143 after an interrupt."""
    argv = sys.argv[1:] if argv is None else argv
    chosen = _command(argv)
    who = f"vrnn3d {chosen}".strip()
    raise_when_terminated()
    usual, warnings.formatwarning = warnings.formatwarning, _one_line
    for stream in (sys.stdout, sys.stderr):  # a name that the locale cannot print is printed with escapes
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    try:
        _check_words(argv)
        args = parser(chosen).parse_args(_imports_first(argv))
        return args.function(args) or 0
    except BrokenPipeError:  # the reader of our output, `head` say, has had enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt as stop:
        return _stopped(who, stop)
    except Exception as error:
        if came := swallowed():
            return _stopped(who, came)
        told = _in_words(error)
        if told is None:
            raise
        print(f"{who}: {told}", file=sys.stderr)
        return 1
    finally:
        warnings.formatwarning = usual


def _stopped(who: str, stop: KeyboardInterrupt) -> int:
    print(f"{who}: {str(stop) or 'interrupted'}; the same command goes on or starts again", file=sys.stderr)
    return exit_status(stop)


def _check_words(argv: list[str]) -> None:
    """Refuse at once what no file name, record or message could hold."""
    for word in argv:
        try:
            word.encode()
        except UnicodeEncodeError:
            raise ValueError(f"{word!r} holds bytes that are not UTF-8; choose another name or set a UTF-8 locale") from None
        if "\0" in word:
            raise ValueError(f"{word!r} holds a zero byte, which no name can have")


def _in_words(error: Exception) -> str | None:
    """What is said of an error in one sentence; None for one that is a fault of the program, whose traceback is wanted."""
    out_of_memory = isinstance(error, MemoryError) or type(error).__name__ == "OutOfMemoryError"
    if out_of_memory or "allocate memory" in str(error):
        return "there is not enough memory for this; make batch, frames, samples or the model smaller"
    mendable = isinstance(error, (ValueError, OSError, RuntimeError, ImportError)) and type(error) is not RuntimeError
    return str(error) if mendable else None
