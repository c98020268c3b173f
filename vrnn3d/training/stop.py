"""When a training stops before its end: a signal, a time limit, or a number of updates."""

from __future__ import annotations

import signal
import time
from types import FrameType, TracebackType


class Interrupted(KeyboardInterrupt):
    """A run was asked by a signal to stop, and has stopped cleanly."""

    def __init__(self, number: int):
        super().__init__(f"stopped by {signal.Signals(number).name}")
        self.number = number


class StopRule:
    """Within its ``with``, SIGINT and SIGTERM ask for a clean stop instead of ending the process; one that is ignored stays so.

    Args:
        max_minutes: ask for a stop after this long.
        max_steps: ask for a stop after this many updates of this call.
    """

    def __init__(self, max_minutes: float | None = None, max_steps: int | None = None):
        self.max_minutes, self.max_steps = max_minutes, max_steps
        self.received: signal.Signals | None = None  #: the signal that asked for a stop
        self._handlers: dict[signal.Signals, object] = {}
        self._started = time.monotonic()

    def __enter__(self) -> StopRule:
        try:  # outside the main thread Python forbids handlers; then only Ctrl-C's exception stops a run
            for number in (signal.SIGINT, signal.SIGTERM):
                if signal.getsignal(number) is not signal.SIG_IGN:  # a shell's background job ignores SIGINT, and shall
                    self._handlers[number] = signal.signal(number, self._note)
        except ValueError:
            pass
        return self

    def __exit__(self, kind: type | None, error: BaseException | None, where: TracebackType | None) -> None:
        for number, handler in self._handlers.items():
            signal.signal(number, handler)  # type: ignore[arg-type]

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.received = signal.Signals(number)

    def enough(self, steps_done: int) -> bool:
        """Whether `steps_done` updates are as many as this call shall do."""
        return self.max_steps is not None and steps_done >= self.max_steps

    def asks(self, steps_done: int) -> bool:
        """Whether to stop after `steps_done` updates of this call."""
        late = self.max_minutes is not None and time.monotonic() - self._started > 60 * self.max_minutes
        return late or self.enough(steps_done) or self.received is not None
