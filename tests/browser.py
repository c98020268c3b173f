"""A headless Chromium for tests, driven through its own debugging pipe: no driver and no further Python package."""

from __future__ import annotations

import base64
import json
import os
import select
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import pytest

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-dev-shm-usage",  # which is small in containers
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-default-apps",
    "--disable-extensions",
    "--disable-sync",
    "--mute-audio",
    "--hide-scrollbars",
    "--remote-debugging-pipe",
)
_KEY_CODES = {"Tab": 9, "Enter": 13, "ArrowLeft": 37, "ArrowUp": 38, "ArrowRight": 39, "ArrowDown": 40}
_KEY_TEXTS = {"Enter": "\r"}


def find() -> str | None:
    """The command that starts Chromium or Chrome on this machine."""
    names = ("chromium", "chromium-browser", "google-chrome", "chrome")
    return os.environ.get("CHROMIUM") or next(filter(None, map(shutil.which, names)), None)


needs_chromium = pytest.mark.skipif(find() is None, reason="there is no Chromium here (install it, or name it in $CHROMIUM)")


class PageError(Exception):
    """The page's script threw; the message is its own."""


class Browser:
    """One Chromium with one tab. A context manager; :meth:`open` shows one page after another."""

    def __enter__(self) -> Browser:
        self._profile = tempfile.mkdtemp(prefix="chromium-")
        read_commands, self._commands = os.pipe()
        self._answers, write_answers = os.pipe()
        # Chromium reads commands from descriptor 3 and writes answers to descriptor 4.
        plumbing = f'exec "$@" 3<&{read_commands} 4>&{write_answers}'
        command = [str(find()), *_FLAGS, f"--user-data-dir={self._profile}", "about:blank"]
        self._process = subprocess.Popen(
            ["bash", "-c", plumbing, "chromium", *command],
            pass_fds=(read_commands, write_answers),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        os.close(read_commands)
        os.close(write_answers)
        self._buffer, self._number = b"", 0
        self.errors: list[str] = []
        self._session = self._tab = ""
        return self

    def __exit__(self, *_: Any) -> None:
        try:
            os.killpg(self._process.pid, signal.SIGKILL)  # the group is Chromium's own
        except ProcessLookupError:
            pass
        self._process.wait()
        os.close(self._commands)
        os.close(self._answers)
        shutil.rmtree(self._profile, ignore_errors=True)

    def _message(self, until: float) -> dict:
        while b"\0" not in self._buffer:
            if not select.select([self._answers], [], [], max(0.0, until - time.monotonic()))[0]:
                raise TimeoutError("Chromium does not answer")
            part = os.read(self._answers, 1 << 16)
            if not part:
                raise ConnectionError("Chromium has ended")
            self._buffer += part
        text, _, self._buffer = self._buffer.partition(b"\0")
        return json.loads(text)

    def call(self, method: str, *, seconds: float = 120, **parameters: Any) -> dict:
        """A command of the DevTools protocol; its result."""
        self._number += 1
        command: dict[str, Any] = {"id": self._number, "method": method, "params": parameters}
        if self._session:
            command["sessionId"] = self._session
        os.write(self._commands, json.dumps(command).encode() + b"\0")
        until = time.monotonic() + seconds
        while (answer := self._message(until)).get("id") != self._number:
            self._note(answer)
        if "error" in answer:
            raise PageError(f"{method}: {answer['error']['message']}")
        return answer["result"]

    def _note(self, event: dict) -> None:
        """Keep what the page complains of."""
        parameters = event.get("params", {})
        if event.get("method") == "Runtime.exceptionThrown":
            details = parameters["exceptionDetails"]
            self.errors.append(details.get("exception", {}).get("description", details["text"]))
        elif event.get("method") == "Log.entryAdded" and parameters["entry"]["level"] == "error":
            self.errors.append(parameters["entry"]["text"])

    def open(
        self, page: Path | str, width: int = 1000, height: int = 900, scripts: bool = True, media: dict | None = None
    ) -> None:
        """Load a page from disk into a new tab, in the place of the one before, and wait until it is loaded.

        `media`: features such as {"prefers-reduced-motion": "reduce"}.
        """
        self._new_tab()
        self.call("Emulation.setScriptExecutionDisabled", value=not scripts)
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=False)
        features = [{"name": name, "value": value} for name, value in (media or {}).items()]
        self.call("Emulation.setEmulatedMedia", features=features)
        self.errors = []
        url = page.resolve().as_uri() if isinstance(page, Path) else page
        self.call("Page.navigate", url=url)
        until = time.monotonic() + 60
        while self.evaluate("location.href") == "about:blank" or self.evaluate("document.readyState") != "complete":
            if time.monotonic() > until:
                raise TimeoutError(f"{url} does not load")
            time.sleep(0.05)

    def _new_tab(self) -> None:
        old, self._session = self._tab, ""
        self._tab = self.call("Target.createTarget", url="about:blank")["targetId"]
        if old:
            self.call("Target.closeTarget", targetId=old)
        self._session = self.call("Target.attachToTarget", targetId=self._tab, flatten=True)["sessionId"]
        for domain in ("Page", "Runtime", "Log"):
            self.call(f"{domain}.enable")

    def evaluate(self, expression: str, seconds: float = 120) -> Any:
        """The value of a JavaScript expression, a promise's when it is one, as plain data."""
        result = self.call("Runtime.evaluate", seconds=seconds, expression=expression, returnByValue=True, awaitPromise=True)
        if "exceptionDetails" in result:
            details = result["exceptionDetails"]
            raise PageError(details.get("exception", {}).get("description", details["text"]))
        return result["result"].get("value")

    def wait(self, condition: str, seconds: float = 60) -> None:
        """Wait until a JavaScript expression is true."""
        until = time.monotonic() + seconds
        while not self.evaluate(condition):
            if time.monotonic() > until:
                raise TimeoutError(f"{condition} did not become true")
            time.sleep(0.05)

    def place(self, selector: str, x: float = 0.5, y: float = 0.5) -> tuple[float, float]:
        """Where an element is in the window, scrolled into view: the point at those fractions of its box."""
        left, top, width, height = self.evaluate(
            f"(() => {{ const e = document.querySelector({json.dumps(selector)});"
            " e.scrollIntoView({block: 'center', behavior: 'instant'});"
            " const r = e.getBoundingClientRect(); return [r.left, r.top, r.width, r.height]; })()"
        )
        return left + x * width, top + y * height

    def drag(self, *points: tuple[float, float], pause: float = 0.02) -> None:
        """Press the mouse at the first point of the window, move it through the others, `pause` seconds each, and let go."""
        self._mouse("mouseMoved", *points[0], 0)
        self._mouse("mousePressed", *points[0], 1)
        now = time.time()  # events bear the times of a steady hand, however slow the machine is
        for number, point in enumerate(points[1:]):
            self._mouse("mouseMoved", *point, 1, timestamp=now + number * pause)
        self._mouse("mouseReleased", *points[-1], 0, timestamp=now + len(points) * pause)

    def _mouse(self, kind: str, x: float, y: float, buttons: int, **when: float) -> None:
        button = "left" if buttons or kind == "mouseReleased" else "none"
        self.call("Input.dispatchMouseEvent", type=kind, x=x, y=y, button=button, buttons=buttons, clickCount=1, **when)

    def press(self, key: str, shift: bool = False) -> None:
        """Press a key on what has the focus: ArrowLeft, ArrowUp, ArrowRight, ArrowDown, Tab or Enter."""
        what: dict[str, Any] = {"key": key, "code": key, "windowsVirtualKeyCode": _KEY_CODES[key], "modifiers": 8 * shift}
        down: dict[str, Any] = {"type": "keyDown", "text": _KEY_TEXTS[key]} if key in _KEY_TEXTS else {"type": "rawKeyDown"}
        self.call("Input.dispatchKeyEvent", **what, **down)
        self.call("Input.dispatchKeyEvent", type="keyUp", **what)

    def screenshot(self, path: Path, selector: str | None = None) -> Path:
        """The window, or one element of the page whole, as a PNG file."""
        clip: dict[str, Any] = {}
        if selector:
            rectangle = f"(() => {{ const r = document.querySelector({json.dumps(selector)}).getBoundingClientRect();"
            x, y, width, height = self.evaluate(rectangle + " return [r.x + scrollX, r.y + scrollY, r.width, r.height]; })()")
            clip = {"clip": dict(x=x, y=y, width=width, height=height, scale=1), "captureBeyondViewport": True}
        path.write_bytes(base64.b64decode(self.call("Page.captureScreenshot", format="png", **clip)["data"]))
        return path
